import { Access } from '#accel/guest-memory.ts';
import { OwnerType, owner, ownerSignal, setAsync, setOwner, setOwnerSignal } from '#linux-user/signal/async-io.ts';
import type { Task } from '#linux-user/task.ts';
import { Open, settableFlags } from '#linux-user/vfs/flags.ts';
import type { OpenFile } from '#linux-user/vfs/open-file.ts';
import { pipeCapacity } from '#linux-user/vfs/pipe.ts';
import { Errno } from '#util/errno.ts';
import { fd, flags, fromGuestOpenFlags, oneOf, printOpenFlags, toGuestOpenFlags, uint } from './arguments.ts';
import { Fcntl, FdFlag, FlockName } from './names.ts';
import { bits, hex } from './print.ts';
import { type Argument, partial, type Rows, row } from './row.ts';

const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

function duplicate(task: Task, file: OpenFile, from: number, closeOnExec: boolean): number {
  const { files } = task.process;
  if (from >= files.limit) throw new Errno('EINVAL');
  return files.add(file, closeOnExec, from);
}

/** struct flock and flock64: where l_type, l_whence, l_start and l_len are. */
const lockLayouts = { narrow: { bytes: 16, start: 4 }, wide: { bytes: 32, start: 8 } } as const;

/**
 * Record locks between guest processes: with one process there is nobody to conflict with, so every lock is granted
 * and every question answered "free". Locks of host programs are not seen.
 */
function lock(task: Task, file: OpenFile, command: number, at: number, wide: boolean): number {
  const { memory } = task;
  const { bytes } = wide ? lockLayouts.wide : lockLayouts.narrow;
  memory.require(at, bytes, Access.read);
  const type = memory.load16(at);
  const whence = memory.load16(at + 2);
  if (type > F_UNLCK || whence > 2) throw new Errno('EINVAL');
  const asks = command === Fcntl.F_GETLK || command === Fcntl.F_GETLK64 || command === Fcntl.F_OFD_GETLK;
  if (asks) {
    memory.store16(at, F_UNLCK);
    return 0;
  }
  if ((type === F_RDLCK && !file.readable) || (type === F_WRLCK && !file.writable)) throw new Errno('EBADF');
  return 0;
}

function fcntl(task: Task, which: number, command: number, argument: number): number {
  const { files } = task.process;
  const file = files.get(which);
  switch (command) {
    case Fcntl.F_DUPFD:
      return duplicate(task, file, argument, false);
    case Fcntl.F_DUPFD_CLOEXEC:
      return duplicate(task, file, argument, true);
    case Fcntl.F_GETFD:
      return files.isCloseOnExec(which) ? FdFlag.FD_CLOEXEC : 0;
    case Fcntl.F_SETFD:
      files.setCloseOnExec(which, (argument & FdFlag.FD_CLOEXEC) !== 0);
      return 0;
    case Fcntl.F_GETFL:
      return toGuestOpenFlags(task, file.flags);
    case Fcntl.F_SETFL:
      setAsync(task, which, file, (fromGuestOpenFlags(task, argument) & Open.async) !== 0);
      file.flags = (file.flags & ~settableFlags) | (fromGuestOpenFlags(task, argument) & settableFlags);
      return 0;
    case Fcntl.F_GETLK:
    case Fcntl.F_SETLK:
    case Fcntl.F_SETLKW:
      return lock(task, file, command, argument, false);
    case Fcntl.F_GETLK64:
    case Fcntl.F_SETLK64:
    case Fcntl.F_SETLKW64:
    case Fcntl.F_OFD_GETLK:
    case Fcntl.F_OFD_SETLK:
    case Fcntl.F_OFD_SETLKW:
      return lock(task, file, command, argument, true);
    case Fcntl.F_GETOWN: {
      const { type, id } = owner(file);
      return type === OwnerType.group ? -id : id;
    }
    case Fcntl.F_SETOWN: {
      const id = argument | 0;
      setOwner(task, file, id < 0 ? { type: OwnerType.group, id: -id } : { type: OwnerType.pid, id });
      return 0;
    }
    case Fcntl.F_GETOWN_EX:
      task.memory.require(argument, 8, Access.write);
      task.memory.store32(argument, owner(file).type);
      task.memory.store32(argument + 4, owner(file).id);
      return 0;
    case Fcntl.F_SETOWN_EX:
      setOwner(task, file, { type: task.memory.load32(argument), id: task.memory.load32(argument + 4) | 0 });
      return 0;
    case Fcntl.F_GETSIG:
      return ownerSignal(file);
    case Fcntl.F_SETSIG:
      setOwnerSignal(file, argument | 0);
      return 0;
    case Fcntl.F_GETLEASE:
      return F_UNLCK;
    case Fcntl.F_GETPIPE_SZ:
      if (!Buffer.from(file.path).toString('latin1').startsWith('pipe:')) throw new Errno('EBADF');
      return pipeCapacity;
    default:
      throw new Errno('EINVAL');
  }
}

function flock(task: Task, which: number, operation: number): number {
  task.process.files.get(which);
  const what = operation & ~FlockName.LOCK_NB;
  if (what !== FlockName.LOCK_SH && what !== FlockName.LOCK_EX && what !== FlockName.LOCK_UN) throw new Errno('EINVAL');
  return 0;
}

const argument: Argument<number> = {
  ...uint,
  print(raw, { task, raw: { command } }) {
    if (command === Fcntl.F_SETFL) return printOpenFlags(fromGuestOpenFlags(task, raw));
    if (command === Fcntl.F_SETFD) return bits(raw, FdFlag);
    if (command === Fcntl.F_GETFL || command === Fcntl.F_GETFD) return '';
    return command === Fcntl.F_DUPFD || command === Fcntl.F_DUPFD_CLOEXEC ? String(raw) : hex(raw);
  },
};

const missing = 'locks are granted without asking the host; leases and seals (EINVAL)';
const fcntlRow = partial(
  missing,
  row({ fd, command: oneOf(Fcntl), argument }, (task, args) => fcntl(task, args.fd, args.command, args.argument)),
);

/** fs/fcntl.c, fs/locks.c. */
export const fcntlCalls: Rows = {
  fcntl: fcntlRow,
  fcntl64: fcntlRow,
  flock: partial(
    'granted without asking the host',
    row({ fd, operation: flags(FlockName) }, (task, { fd: which, operation }) => flock(task, which, operation)),
  ),
};
