import type { Task } from '#linux-user/task.ts';
import type { Place } from '#linux-user/vfs/file-system.ts';
import type { OpenFile } from '#linux-user/vfs/open-file.ts';
import { Errno } from '#util/errno.ts';
import { AT_FDCWD, AtFlag } from './names.ts';

/** The `dirfd` of calls that have none. */
export const base = { cwd: AT_FDCWD } as const;

const slash = 0x2f;

/** The open directory that a relative path begins at; null for the working directory. EBADF. */
export function directory(task: Task, dirfd: number, name: Uint8Array): OpenFile | null {
  return dirfd === AT_FDCWD || name[0] === slash ? null : task.files.get(dirfd);
}

/** Where a path leads, relative to `dirfd`. EBADF, ENOTDIR, ENOENT. */
export function locate(task: Task, dirfd: number, name: Uint8Array, follow: boolean): Place {
  const { process } = task;
  if (name.length === 0) throw new Errno('ENOENT');
  return task.fs.locate(process, directory(task, dirfd, name), name, follow);
}

/** What an *at call is about: an open file (AT_EMPTY_PATH), or a place. */
export type Target =
  | { readonly kind: 'file'; readonly file: OpenFile }
  | { readonly kind: 'place'; readonly place: Place };

/** The target of `dirfd`, `name` and AT_ flags; `name` null counts as empty. */
export function target(task: Task, dirfd: number, name: Uint8Array | null, flags: number): Target {
  const { process } = task;
  if (name === null || name.length === 0) {
    if ((flags & AtFlag.AT_EMPTY_PATH) === 0) throw new Errno(name === null ? 'EFAULT' : 'ENOENT');
    if (dirfd !== AT_FDCWD) return { kind: 'file', file: task.files.get(dirfd) };
    return { kind: 'place', place: task.fs.locate(process, null, Buffer.from('.'), true) };
  }
  const follow = (flags & AtFlag.AT_SYMLINK_NOFOLLOW) === 0;
  return { kind: 'place', place: locate(task, dirfd, name, follow) };
}

/** EINVAL for bits outside `known`. */
export function checkFlags(flags: number, known: number): void {
  if ((flags & ~known) !== 0) throw new Errno('EINVAL');
}
