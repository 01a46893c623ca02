import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { Inotify, inotifyFlags } from '#linux-user/vfs/inotify.ts';
import { Errno } from '#util/errno.ts';
import { descriptorFlags, fd, flags, int, path } from './arguments.ts';
import { base, checkFlags, locate } from './paths.ts';
import { partial, type Rows, row } from './row.ts';

const InotifyMask = {
  IN_ACCESS: 1,
  IN_MODIFY: 2,
  IN_ATTRIB: 4,
  IN_CLOSE_WRITE: 8,
  IN_CLOSE_NOWRITE: 0x10,
  IN_OPEN: 0x20,
  IN_MOVED_FROM: 0x40,
  IN_MOVED_TO: 0x80,
  IN_CREATE: 0x100,
  IN_DELETE: 0x200,
  IN_DELETE_SELF: 0x400,
  IN_MOVE_SELF: 0x800,
  IN_ONLYDIR: 0x1000000,
  IN_DONT_FOLLOW: 0x2000000,
  IN_EXCL_UNLINK: 0x4000000,
  IN_MASK_CREATE: 0x10000000,
  IN_MASK_ADD: 0x20000000,
  IN_ONESHOT: 0x80000000,
} as const;
const allMask = Object.values(InotifyMask).reduce<number>((all, bit) => (all | bit) >>> 0, 0);

function init(task: Task, how: number): number {
  checkFlags(how, inotifyFlags);
  const file = new Inotify(how & Open.nonBlock);
  return task.files.add(file, (how & Open.closeOnExec) !== 0);
}

function inotifyFile(task: Task, which: number): Inotify {
  const file = task.files.get(which);
  if (!(file instanceof Inotify)) throw new Errno('EINVAL');
  return file;
}

function add(task: Task, which: number, name: Uint8Array, mask: number): number {
  if ((mask & allMask) === 0) throw new Errno('EINVAL');
  const file = inotifyFile(task, which);
  const both = InotifyMask.IN_MASK_ADD | InotifyMask.IN_MASK_CREATE;
  if ((mask & both) === both) throw new Errno('EINVAL');
  return file.add(locate(task, base.cwd, name, (mask & InotifyMask.IN_DONT_FOLLOW) === 0), mask);
}

const missing = 'nothing is told of files in memory; ENOSYS on hosts that are not Linux';

/** fs/notify/inotify. */
export const inotifyCalls: Rows = {
  inotify_init: partial(
    missing,
    row({}, (task) => init(task, 0)),
  ),
  inotify_init1: partial(
    missing,
    row({ flags: descriptorFlags }, (task, { flags: how }) => init(task, how)),
  ),
  inotify_add_watch: partial(
    missing,
    row({ fd, path, mask: flags(InotifyMask) }, (task, { fd: which, path: name, mask }) =>
      add(task, which, name, mask),
    ),
  ),
  inotify_rm_watch: row({ fd, watch: int }, (task, { fd: which, watch }) => {
    inotifyFile(task, which).remove(watch);
    return 0;
  }),
};
