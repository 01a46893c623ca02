import { Access } from '#accel/guest-memory.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { Resolve } from '#linux-user/vfs/namespace.ts';
import { Errno } from '#util/errno.ts';
import { dirfd, fromGuestOpenFlags, path, printOpenFlags, structIn, uint } from './arguments.ts';
import { openPlace } from './file.ts';
import { guestStruct } from './guest-struct.ts';
import { directory } from './paths.ts';
import { hex, octalMode } from './print.ts';
import { type Rows, row } from './row.ts';

/** struct open_how (linux/openat2.h). */
const openHow = guestStruct({ flags: 'u64', mode: 'u64', resolve: 'u64' });
/** The longest that is taken, if all that is not known is zero: a page. */
const longestHow = 4096;

const allFlags = Object.values(Open).reduce<number>((all, bit) => all | bit, 0);
const allResolve = Object.values(Resolve).reduce<number>((all, bit) => all | bit, 0);
/** What may stand beside O_PATH. */
const pathFlags = Open.path | Open.directory | Open.noFollow | Open.closeOnExec;

function loadHow(task: Task, at: number, size: number): { flags: number; mode: number; resolve: number } {
  const { memory } = task;
  if (size < openHow.bytes) throw new Errno('EINVAL');
  if (size > longestHow) throw new Errno('E2BIG');
  memory.require(at, size, Access.read);
  if (memory.copy(at + openHow.bytes, size - openHow.bytes).some((byte) => byte !== 0)) throw new Errno('E2BIG');
  const how = openHow.load(memory, at);
  if (how.flags > 0xffffffffn || how.resolve > BigInt(allResolve)) throw new Errno('EINVAL');
  const flags = fromGuestOpenFlags(task, Number(how.flags));
  const resolve = Number(how.resolve);
  if ((flags & ~allFlags) !== 0 || (resolve & ~allResolve) !== 0) throw new Errno('EINVAL');
  const creates = (flags & (Open.create | Open.tmpFileBit)) !== 0;
  if (creates ? how.mode > 0o7777n : how.mode !== 0n) throw new Errno('EINVAL');
  if ((flags & Open.path) !== 0 && (flags & ~pathFlags) !== 0) throw new Errno('EINVAL');
  const both = Resolve.beneath | Resolve.inRoot;
  if ((resolve & both) === both) throw new Errno('EINVAL');
  if ((resolve & Resolve.cached) !== 0) throw new Errno('EAGAIN');
  return { flags, mode: Number(how.mode), resolve };
}

/** openat2(2). RESOLVE_CACHED is always "not cached": EAGAIN. */
function openat2(task: Task, at: number, name: Uint8Array, pointer: number, size: number): SyscallResult {
  const { flags, mode, resolve } = loadHow(task, pointer, size);
  const { process } = task;
  const exclusive = Open.create | Open.exclusive;
  const follow = (flags & Open.noFollow) === 0 && (flags & exclusive) !== exclusive;
  const base = resolve === 0 ? directory(task, at, name) : directory(task, at, Buffer.alloc(0));
  const place = task.fs.locate(process, base, name, follow, resolve);
  return openPlace(task, place, flags, mode);
}

const howIn = structIn((memory, at, { task }) => {
  const { flags, mode, resolve } = openHow.load(memory, at);
  const shown = printOpenFlags(fromGuestOpenFlags(task, Number(flags)));
  return `{flags=${shown}, mode=${octalMode(Number(mode))}, resolve=${hex(Number(resolve))}}`;
});

/** fs/open.c. */
export const openHowCalls: Rows = {
  openat2: row({ dirfd, path, how: howIn, size: uint }, (task, { dirfd: at, path: name, how, size }) =>
    openat2(task, at, name, how, size),
  ),
};
