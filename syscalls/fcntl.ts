import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { OwnerType, owner, ownerSignal, setAsync, setOwner, setOwnerSignal } from '#linux-user/signal/async-io.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import type { HeldRange } from '#linux-user/vfs/file-locks.ts';
import { Open, settableFlags } from '#linux-user/vfs/flags.ts';
import { Seal } from '#linux-user/vfs/memory-data.ts';
import { MemoryFile } from '#linux-user/vfs/memory-file.ts';
import type { OpenFile } from '#linux-user/vfs/open-file.ts';
import { type Pipe, PipeEnd } from '#linux-user/vfs/pipe.ts';
import { Errno } from '#util/errno.ts';
import { fd, flags, fromGuestOpenFlags, oneOf, printOpenFlags, toGuestOpenFlags, uint } from './arguments.ts';
import { Fcntl, FdFlag, FlockName, Whence } from './names.ts';
import { bits, hex } from './print.ts';
import { type Argument, partial, type Rows, row } from './row.ts';

const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** What an O_PATH descriptor takes (open(2)). */
const pathCommands: readonly number[] = [
  Fcntl.F_DUPFD,
  Fcntl.F_DUPFD_CLOEXEC,
  Fcntl.F_GETFD,
  Fcntl.F_SETFD,
  Fcntl.F_GETFL,
];

function duplicate(task: Task, file: OpenFile, from: number, closeOnExec: boolean): number {
  const { files } = task;
  if (from >= files.limit) throw new Errno('EINVAL');
  return files.add(file, closeOnExec, from);
}

/** Where l_start, l_len and l_pid are. */
interface LockLayout {
  readonly bytes: number;
  readonly start: number;
  readonly length: number;
  readonly pid: number;
}

/** struct flock; struct flock64 by the alignment of its 64-bit fields. */
const narrowLock: LockLayout = { bytes: 16, start: 4, length: 8, pid: 12 };
const wideLocks: Readonly<Record<4 | 8, LockLayout>> = {
  4: { bytes: 24, start: 4, length: 12, pid: 20 },
  8: { bytes: 32, start: 8, length: 16, pid: 24 },
};

const layoutOf = ({ abi }: Task, wide: boolean): LockLayout => (wide ? wideLocks[abi.align64] : narrowLock);

function loadOffset(memory: GuestMemory, at: number, wide: boolean): number {
  return wide ? Number(BigInt.asIntN(64, memory.load64(at))) : memory.load32(at) | 0;
}

/** The bytes that a struct flock means. EINVAL, EOVERFLOW. */
function lockedBytes(file: OpenFile, whence: number, offset: number, length: number): { start: number; end: number } {
  const base = whence === Whence.SEEK_SET ? 0 : whence === Whence.SEEK_CUR ? position(file) : Number(file.stat().size);
  if (whence < 0 || whence > Whence.SEEK_END) throw new Errno('EINVAL');
  const from = base + offset;
  const [start, end] = length < 0 ? [from + length, from - 1] : [from, length === 0 ? Infinity : from + length - 1];
  if (start < 0) throw new Errno('EINVAL');
  return { start, end };
}

const position = (file: OpenFile): number => (file.seekable ? file.seek(0, Whence.SEEK_CUR) : 0);

const questions: readonly number[] = [Fcntl.F_GETLK, Fcntl.F_GETLK64, Fcntl.F_OFD_GETLK];
const ofdCommands: readonly number[] = [Fcntl.F_OFD_GETLK, Fcntl.F_OFD_SETLK, Fcntl.F_OFD_SETLKW];
const waits: readonly number[] = [Fcntl.F_SETLKW, Fcntl.F_SETLKW64, Fcntl.F_OFD_SETLKW];

/** Record locks (fcntl_locking(2)). */
function lock(task: Task, file: OpenFile, command: number, at: number, wide: boolean): SyscallResult {
  const { memory, process } = task;
  const layout = layoutOf(task, wide);
  memory.require(at, layout.bytes, Access.read);
  const type = memory.load16(at);
  const { locks } = task.fs.view;
  const ofd = ofdCommands.includes(command);
  if (ofd && memory.load32(at + layout.pid) !== 0) throw new Errno('EINVAL');
  const asks = questions.includes(command);
  if (type > F_UNLCK || (asks && type === F_UNLCK)) throw new Errno('EINVAL');
  const offset = loadOffset(memory, at + layout.start, wide);
  const length = loadOffset(memory, at + layout.length, wide);
  const bytes = lockedBytes(file, (memory.load16(at + 2) << 16) >> 16, offset, length);
  const owner = ofd ? file : task.files;
  const wanted = { ...bytes, owner, exclusive: type === F_WRLCK, pid: ofd ? -1 : process.pid };
  if (asks) {
    memory.require(at, layout.bytes, Access.write);
    storeLock(task, at, wide, locks.blocker(file, wanted));
    return 0;
  }
  if (type === F_UNLCK) {
    locks.release(file, wanted);
    return 0;
  }
  if ((type === F_RDLCK && !file.readable) || (type === F_WRLCK && !file.writable)) throw new Errno('EBADF');
  if (locks.tryTake(file, wanted)) return 0;
  if (!waits.includes(command)) throw new Errno('EAGAIN');
  return locks.wait(task, file, wanted).then(() => 0);
}

function storeLock(task: Task, at: number, wide: boolean, held: HeldRange | null): void {
  const { memory } = task;
  if (held === null) {
    memory.store16(at, F_UNLCK);
    return;
  }
  const layout = layoutOf(task, wide);
  const length = held.end === Infinity ? 0 : held.end - held.start + 1;
  memory.store16(at, held.exclusive ? F_WRLCK : F_RDLCK);
  memory.store16(at + 2, Whence.SEEK_SET);
  if (wide) {
    memory.store64(at + layout.start, BigInt(held.start));
    memory.store64(at + layout.length, BigInt(length));
  } else {
    if (held.start > 0x7fffffff || length > 0x7fffffff) throw new Errno('EOVERFLOW');
    memory.store32(at + layout.start, held.start);
    memory.store32(at + layout.length, length);
  }
  memory.store32(at + layout.pid, held.pid);
}

/** F_ADD_SEALS, F_GET_SEALS (memfd_create(2)). */
function seals(file: OpenFile, command: number, argument: number): number {
  if (!(file instanceof MemoryFile)) throw new Errno('EINVAL');
  const { data } = file;
  if (command === Fcntl.F_GET_SEALS) return data.seals;
  if (!file.writable) throw new Errno('EPERM');
  if ((argument & ~allSeals) !== 0) throw new Errno('EINVAL');
  if ((data.seals & Seal.seal) !== 0) throw new Errno('EPERM');
  if ((argument & Seal.write) !== 0 && (data.seals & Seal.write) === 0 && data.writableMappings > 0)
    throw new Errno('EBUSY');
  data.seals |= argument;
  return 0;
}

const allSeals: number = Object.values(Seal).reduce<number>((all, bit) => all | bit, 0);

function pipeOf(file: OpenFile): Pipe {
  if (!(file instanceof PipeEnd)) throw new Errno('EBADF');
  return file.pipe;
}

function fcntl(task: Task, which: number, command: number, argument: number): SyscallResult {
  const { files } = task;
  const file = files.get(which);
  if ((file.flags & Open.path) !== 0 && !pathCommands.includes(command)) throw new Errno('EBADF');
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
      return pipeOf(file).capacity;
    case Fcntl.F_SETPIPE_SZ:
      return pipeOf(file).resize(argument);
    case Fcntl.F_ADD_SEALS:
    case Fcntl.F_GET_SEALS:
      return seals(file, command, argument);
    default:
      throw new Errno('EINVAL');
  }
}

function flock(task: Task, which: number, operation: number): SyscallResult {
  const file = task.files.get(which);
  if ((file.flags & Open.path) !== 0) throw new Errno('EBADF');
  const wait = (operation & FlockName.LOCK_NB) === 0;
  return task.fs.view.locks.flock(task, file, operation & ~FlockName.LOCK_NB, wait);
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

const missing =
  'record locks of host programs are seen only where the host is Linux; leases and directory notes (EINVAL)';
const fcntlRow = partial(
  missing,
  row({ fd, command: oneOf(Fcntl), argument }, (task, args) => fcntl(task, args.fd, args.command, args.argument)),
);

/** fs/fcntl.c, fs/locks.c. */
export const fcntlCalls: Rows = {
  fcntl: fcntlRow,
  fcntl64: fcntlRow,
  flock: partial(
    'locks of host programs are seen only where the host is Linux',
    row({ fd, operation: flags(FlockName) }, (task, { fd: which, operation }) => flock(task, which, operation)),
  ),
};
