import { Access } from '#accel/guest-memory.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { EventCounter } from '#linux-user/vfs/event-counter.ts';
import type { Place } from '#linux-user/vfs/file-system.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { MemoryData, Seal } from '#linux-user/vfs/memory-data.ts';
import { AnonymousMemory, MemoryFile } from '#linux-user/vfs/memory-file.ts';
import { Fallocate, type OpenFile } from '#linux-user/vfs/open-file.ts';
import { createPipe, PipeEnd } from '#linux-user/vfs/pipe.ts';
import { Errno } from '#util/errno.ts';
import {
  bufferIn,
  bufferOut,
  createMode,
  descriptorFlags,
  dirfd,
  fd,
  flags,
  int,
  mode,
  off64,
  oneOf,
  openFlags,
  path,
  structIn,
  structOut,
  uint,
} from './arguments.ts';
import {
  gather,
  loadVectors,
  readableFile,
  readInto,
  scatter,
  scatterBuffer,
  untilReady,
  usableLength,
  writableFile,
  writeBytes,
  writeFrom,
  wroteFile,
} from './io.ts';
import { MemfdFlag, Whence } from './names.ts';
import { base, locate } from './paths.ts';
import { buffer } from './print.ts';
import { partial, type Rows, row } from './row.ts';
import { checkNewLength, writableLength } from './size-limit.ts';

function open(task: Task, directory: number, name: Uint8Array, how: number, permissions: number): SyscallResult {
  const follow =
    (how & Open.noFollow) === 0 && (how & (Open.create | Open.exclusive)) !== (Open.create | Open.exclusive);
  return openPlace(task, locate(task, directory, name, follow), how, permissions);
}

/** Opens a place; for the other side of a FIFO this waits. */
export function openPlace(task: Task, place: Place, how: number, permissions: number): SyscallResult {
  const { process } = task;
  const opened = task.fs.open(process, place, how, permissions).retain();
  const enter = (file: OpenFile): number => {
    // What has arrived may be another object than what was waited for.
    file.retain();
    try {
      return task.files.add(file, (how & Open.closeOnExec) !== 0);
    } finally {
      file.release();
      opened.release();
    }
  };
  const arrived = opened.whenOpen();
  if (arrived !== null) return enter(arrived);
  return Promise.resolve(
    untilReady(task, opened, () => opened.whenOpen(), { nonBlocking: false, timeout: Infinity }),
  ).then(enter, (error: unknown) => {
    opened.release();
    throw error;
  });
}

function seek(task: Task, descriptor: number, offset: number, whence: number): number {
  const file = task.files.get(descriptor);
  if (whence < 0 || whence > Whence.SEEK_HOLE) throw new Errno('EINVAL');
  return file.seek(offset, whence);
}

function positional(file: OpenFile, offset: number): void {
  if (offset < 0) throw new Errno('EINVAL');
  if (!file.seekable) throw new Errno('ESPIPE');
}

function readVectors(
  task: Task,
  descriptor: number,
  vector: number,
  count: number,
  offset: number | null,
): SyscallResult {
  const { memory } = task;
  const file = readableFile(task, descriptor);
  if (offset !== null) positional(file, offset);
  const vectors = loadVectors(memory, vector, count);
  const bytes = scatterBuffer(memory, vectors);
  return untilReady(task, file, () => {
    const done = offset === null ? file.read(bytes, 0, bytes.length) : file.pread(bytes, 0, bytes.length, offset);
    if (done > 0) scatter(memory, vectors, bytes.subarray(0, done));
    return done;
  });
}

function writeVectors(
  task: Task,
  descriptor: number,
  vector: number,
  count: number,
  offset: number | null,
): SyscallResult {
  const file = writableFile(task, descriptor);
  if (offset !== null) positional(file, offset);
  const bytes = gather(task.memory, loadVectors(task.memory, vector, count));
  if (offset !== null) {
    const done = file.pwrite(bytes, 0, writableLength(task, file, bytes.length, offset), offset);
    return wroteFile(task, file, done, offset);
  }
  return noted(task, file, writeBytes(task, file, bytes, 0, bytes.length));
}

/** A write at the file's own offset. */
function noted(task: Task, file: OpenFile, done: SyscallResult): SyscallResult {
  return typeof done === 'number'
    ? wroteFile(task, file, done, null)
    : done.then((count) => wroteFile(task, file, count, null));
}

/** The offset of preadv and pwritev: two longs, low first, not aligned. */
const vectorOffset = (low: number, high: number): number => (high | 0) * 2 ** 32 + low;

/** RWF_* (readv(2)). */
const RwFlag = { RWF_HIPRI: 1, RWF_DSYNC: 2, RWF_SYNC: 4, RWF_NOWAIT: 8, RWF_APPEND: 16, RWF_NOAPPEND: 32 } as const;

/** preadv2 and pwritev2: offset -1 means the file's own. EOPNOTSUPP for flags that are not `known`. */
function vectorOffset2(low: number, high: number, how: number, known: number): number | null {
  if ((how & ~known) !== 0) throw new Errno('EOPNOTSUPP');
  const offset = vectorOffset(low, high);
  return offset === -1 ? null : offset;
}

const { RWF_HIPRI, RWF_DSYNC, RWF_SYNC, RWF_NOWAIT, RWF_APPEND } = RwFlag;

/** Files of ours and of the host's disk never make a reader wait; what does says so, with RWF_NOWAIT. */
function preadv2(
  task: Task,
  which: number,
  vector: number,
  count: number,
  low: number,
  high: number,
  how: number,
): SyscallResult {
  const offset = vectorOffset2(low, high, how, RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT);
  if ((how & RWF_NOWAIT) === 0) return readVectors(task, which, vector, count, offset);
  const file = readableFile(task, which);
  const { flags: before } = file;
  file.flags |= Open.nonBlock;
  try {
    return readVectors(task, which, vector, count, offset);
  } finally {
    file.flags = before;
  }
}

function pwritev2(
  task: Task,
  which: number,
  vector: number,
  count: number,
  low: number,
  high: number,
  how: number,
): SyscallResult {
  const offset = vectorOffset2(low, high, how, RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND);
  const file = writableFile(task, which);
  const append = (how & RWF_APPEND) !== 0 && file.seekable;
  const at = append ? Number(file.stat().size) : offset;
  const written = writeVectors(task, which, vector, count, at);
  if ((how & (RWF_DSYNC | RWF_SYNC)) === 0) return written;
  if (typeof written === 'number') {
    file.sync((how & RWF_SYNC) === 0);
    return written;
  }
  return written.then((done) => {
    file.sync((how & RWF_SYNC) === 0);
    return done;
  });
}

const copyBytes = 65536;

/**
 * Moves bytes from one file to another: sendfile, copy_file_range. `from` and `to`: offsets, or null for the files'
 * own; what has been read and not written is put back where the input can seek.
 */
function copyBetween(
  task: Task,
  input: OpenFile,
  output: OpenFile,
  count: number,
  from: number | null,
  to: number | null,
): SyscallResult {
  const chunk = new Uint8Array(Math.min(copyBytes, count));
  let done = 0;
  const next = (): SyscallResult => {
    while (done < count) {
      const wanted = Math.min(chunk.length, count - done);
      const got = from === null ? input.read(chunk, 0, wanted) : input.pread(chunk, 0, wanted, from + done);
      if (got <= 0) break;
      const written = to === null ? writeBytes(task, output, chunk, 0, got) : output.pwrite(chunk, 0, got, to + done);
      if (typeof written !== 'number') return written.then((more) => ((done += more), next()));
      done += written;
      if (written < got) {
        if (from === null && input.seekable) input.seek(written - got, Whence.SEEK_CUR);
        break;
      }
    }
    return done;
  };
  return next();
}

function sendfile(task: Task, out: number, into: number, offset: number, count: number, wide: boolean): SyscallResult {
  const { memory } = task;
  const output = writableFile(task, out);
  const input = readableFile(task, into);
  if (!input.seekable) throw new Errno('EINVAL');
  if (count > 0x7fffffff) throw new Errno('EINVAL');
  if (offset === 0) return copyBetween(task, input, output, count, null, null);
  const start = wide ? Number(BigInt.asIntN(64, memory.load64(offset))) : memory.load32(offset) | 0;
  memory.require(offset, wide ? 8 : 4, Access.write);
  if (start < 0) throw new Errno('EINVAL');
  const store = (done: number): number => {
    if (wide) memory.store64(offset, BigInt(start + done));
    else memory.store32(offset, start + done);
    return done;
  };
  const done = copyBetween(task, input, output, count, start, null);
  return typeof done === 'number' ? store(done) : done.then(store);
}

function copyFileRange(
  task: Task,
  into: number,
  fromPointer: number,
  out: number,
  toPointer: number,
  count: number,
  how: number,
): SyscallResult {
  const { memory } = task;
  const input = readableFile(task, into);
  const output = writableFile(task, out);
  if (how !== 0 || !input.seekable || !output.seekable) throw new Errno('EINVAL');
  const from = fromPointer === 0 ? null : Number(memory.load64(fromPointer));
  const to = toPointer === 0 ? null : Number(memory.load64(toPointer));
  const done = copyBetween(task, input, output, Math.min(count, 0x7ffff000), from, to) as number;
  if (from !== null) memory.store64(fromPointer, BigInt(from + done));
  if (to !== null) memory.store64(toPointer, BigInt(to + done));
  return done;
}

function pipe(task: Task, pointer: number, how: number): number {
  if ((how & ~(Open.closeOnExec | Open.nonBlock | Open.direct)) !== 0) throw new Errno('EINVAL');
  task.memory.require(pointer, 8, Access.write);
  const { files } = task;
  const [reader, writer] = createPipe(how & Open.nonBlock);
  const cloexec = (how & Open.closeOnExec) !== 0;
  const first = files.add(reader, cloexec);
  let second: number;
  try {
    second = files.add(writer, cloexec);
  } catch (error) {
    files.close(first);
    throw error;
  }
  task.memory.store32(pointer, first);
  task.memory.store32(pointer + 4, second);
  return 0;
}

function dup3(task: Task, from: number, to: number, how: number): number {
  const { files } = task;
  if (from === to || (how & ~Open.closeOnExec) !== 0) throw new Errno('EINVAL');
  files.set(to, files.get(from), (how & Open.closeOnExec) !== 0);
  return to;
}

function fallocate(task: Task, descriptor: number, how: number, offset: number, length: number): number {
  const file = writableFile(task, descriptor);
  if (offset < 0 || length <= 0) throw new Errno('EINVAL');
  const { keepSize, punchHole, zeroRange } = Fallocate;
  if ((how & ~(keepSize | punchHole | zeroRange)) !== 0) throw new Errno('EOPNOTSUPP');
  const holes = (how & punchHole) !== 0;
  if (holes && (how & (keepSize | zeroRange)) !== keepSize) throw new Errno('EOPNOTSUPP');
  if (file instanceof PipeEnd) throw new Errno('ESPIPE');
  if (offset + length > Number.MAX_SAFE_INTEGER) throw new Errno('EFBIG');
  if ((how & keepSize) === 0) checkNewLength(task, offset + length);
  file.allocate(how, offset, length);
  return 0;
}

function memfdCreate(task: Task, name: Uint8Array, how: number): number {
  const { MFD_EXEC, MFD_NOEXEC_SEAL, MFD_HUGETLB } = MemfdFlag;
  if (name.length > 249 || (how & ~0x1f) !== 0) throw new Errno('EINVAL');
  if ((how & MFD_EXEC) !== 0 && (how & MFD_NOEXEC_SEAL) !== 0) throw new Errno('EINVAL');
  if ((how & MFD_HUGETLB) !== 0) throw new Errno('ENODEV');
  const label = Buffer.concat([Buffer.from('/memfd:'), name, Buffer.from(' (deleted)')]);
  const noExec = (how & MFD_NOEXEC_SEAL) !== 0;
  const seals = noExec ? Seal.exec : (how & MemfdFlag.MFD_ALLOW_SEALING) !== 0 ? 0 : Seal.seal;
  const file = new MemoryFile(
    label,
    Open.readWrite,
    new AnonymousMemory(new MemoryData(undefined, seals), noExec ? 0o666 : 0o777),
  );
  return task.files.add(file, (how & MemfdFlag.MFD_CLOEXEC) !== 0);
}

function eventfd(task: Task, initial: number, how: number): number {
  const semaphore = 1;
  if ((how & ~(semaphore | Open.closeOnExec | Open.nonBlock)) !== 0) throw new Errno('EINVAL');
  const file = new EventCounter(initial, (how & semaphore) !== 0, how & Open.nonBlock);
  return task.files.add(file, (how & Open.closeOnExec) !== 0);
}

function closeRange(task: Task, first: number, last: number, how: number): number {
  const closeOnExec = 4;
  if (first > last || (how & ~6) !== 0) throw new Errno('EINVAL');
  const { files } = task;
  for (const each of files.descriptors()) {
    if (each < first || each > last) continue;
    if ((how & closeOnExec) !== 0) files.setCloseOnExec(each, true);
    else files.close(each);
  }
  return 0;
}

/** An iovec array as strace shows it; `done`: bytes that mean something. */
const vectorsIn = structIn((memory, at, { raw }) => {
  const shown = loadVectors(memory, at, Math.min(raw.count, 16)).map(
    ({ base: start, length }) => `{iov_base=${buffer(memory, start, length)}, iov_len=${length}}`,
  );
  return `[${shown.join(', ')}]`;
});
const vectorsOut = structOut((memory, at, { raw, result = 0 }) => {
  let left = result;
  const shown = loadVectors(memory, at, Math.min(raw.count, 16)).map(({ base: start, length }) => {
    const filled = Math.min(left, length);
    left -= filled;
    return `{iov_base=${buffer(memory, start, filled)}, iov_len=${length}}`;
  });
  return `[${shown.join(', ')}]`;
});
const descriptorPair = structOut((memory, at) => `[${memory.load32(at)}, ${memory.load32(at + 4)}]`);
const offsetPointer = structOut((memory, at) => `[${memory.load64(at)}]`);

const nothing = (): number => 0;

/** Calls on open files (fs/read_write.c, fs/open.c, fs/file.c). */
export const fileCalls: Rows = {
  read: row({ fd, buffer: bufferOut, count: uint }, (task, { fd: from, buffer: to, count }) =>
    readInto(task, readableFile(task, from), to, count),
  ),
  write: row({ fd, buffer: bufferIn('count'), count: uint }, (task, { fd: to, buffer: from, count }) => {
    const file = writableFile(task, to);
    return noted(task, file, writeFrom(task, file, from, count));
  }),
  pread64: row(
    { fd, buffer: bufferOut, count: uint, offset: off64 },
    (task, { fd: from, buffer: to, count, offset }) => {
      const file = readableFile(task, from);
      positional(file, offset);
      const length = usableLength(task.memory, to, count, Access.write);
      return file.pread(task.memory.u8, to, length, offset);
    },
  ),
  pwrite64: row(
    { fd, buffer: bufferIn('count'), count: uint, offset: off64 },
    (task, { fd: to, buffer: from, count, offset }) => {
      const file = writableFile(task, to);
      positional(file, offset);
      const length = usableLength(task.memory, from, count, Access.read);
      const done = file.pwrite(task.memory.u8, from, writableLength(task, file, length, offset), offset);
      return wroteFile(task, file, done, offset);
    },
  ),
  readv: row({ fd, vector: vectorsOut, count: int }, (task, { fd: from, vector, count }) =>
    readVectors(task, from, vector, count, null),
  ),
  writev: row({ fd, vector: vectorsIn, count: int }, (task, { fd: to, vector, count }) =>
    writeVectors(task, to, vector, count, null),
  ),
  preadv: row(
    { fd, vector: vectorsOut, count: int, low: uint, high: uint },
    (task, { fd: from, vector, count, low, high }) => readVectors(task, from, vector, count, vectorOffset(low, high)),
  ),
  pwritev: row(
    { fd, vector: vectorsIn, count: int, low: uint, high: uint },
    (task, { fd: to, vector, count, low, high }) => writeVectors(task, to, vector, count, vectorOffset(low, high)),
  ),
  preadv2: row(
    { fd, vector: vectorsOut, count: int, low: uint, high: uint, flags: flags(RwFlag) },
    (task, { fd: from, vector, count, low, high, flags: how }) => preadv2(task, from, vector, count, low, high, how),
  ),
  pwritev2: partial(
    'RWF_NOWAIT, RWF_NOAPPEND (EOPNOTSUPP)',
    row(
      { fd, vector: vectorsIn, count: int, low: uint, high: uint, flags: flags(RwFlag) },
      (task, { fd: to, vector, count, low, high, flags: how }) => pwritev2(task, to, vector, count, low, high, how),
    ),
  ),
  open: row({ path, flags: openFlags, mode: createMode }, (task, { path: name, flags: how, mode: permissions }) =>
    open(task, base.cwd, name, how, permissions),
  ),
  creat: row({ path, mode }, (task, { path: name, mode: permissions }) =>
    open(task, base.cwd, name, Open.create | Open.writeOnly | Open.truncate, permissions),
  ),
  openat: row(
    { dirfd, path, flags: openFlags, mode: createMode },
    (task, { dirfd: directory, path: name, flags: how, mode: permissions }) =>
      open(task, directory, name, how, permissions),
  ),
  close: row({ fd }, (task, { fd: which }) => {
    task.files.close(which);
    return 0;
  }),
  close_range: row(
    { first: uint, last: uint, flags: flags({ CLOSE_RANGE_UNSHARE: 2, CLOSE_RANGE_CLOEXEC: 4 }) },
    (task, { first, last, flags: how }) => closeRange(task, first, last, how),
  ),
  lseek: row({ fd, offset: int, whence: oneOf(Whence) }, (task, { fd: which, offset, whence }) => {
    const at = seek(task, which, offset, whence);
    if (at > 0x7fffffff) throw new Errno('EOVERFLOW');
    return at;
  }),
  _llseek: row(
    { fd, high: uint, low: uint, result: offsetPointer, whence: oneOf(Whence) },
    (task, { fd: which, high, low, result, whence }) => {
      const at = seek(task, which, vectorOffset(low, high), whence);
      task.memory.store64(result, BigInt(at));
      return 0;
    },
  ),
  pipe: row({ pipefd: descriptorPair }, (task, { pipefd }) => pipe(task, pipefd, 0)),
  pipe2: row({ pipefd: descriptorPair, flags: descriptorFlags }, (task, { pipefd, flags: how }) =>
    pipe(task, pipefd, how),
  ),
  dup: row({ fd }, (task, { fd: from }) => task.files.add(task.files.get(from))),
  dup2: row({ fd, to: fd }, (task, { fd: from, to }) => {
    const { files } = task;
    if (from === to) files.get(from);
    else files.set(to, files.get(from));
    return to;
  }),
  dup3: row({ fd, to: fd, flags: descriptorFlags }, (task, { fd: from, to, flags: how }) => dup3(task, from, to, how)),
  sendfile: row(
    { out: fd, in: fd, offset: structOut((memory, at) => `[${memory.load32(at)}]`), count: uint },
    (task, { out, in: into, offset, count }) => sendfile(task, out, into, offset, count, false),
  ),
  sendfile64: row({ out: fd, in: fd, offset: offsetPointer, count: uint }, (task, { out, in: into, offset, count }) =>
    sendfile(task, out, into, offset, count, true),
  ),
  copy_file_range: row(
    { in: fd, from: offsetPointer, out: fd, to: offsetPointer, count: uint, flags: flags({}) },
    (task, { in: into, from, out, to, count, flags: how }) => copyFileRange(task, into, from, out, to, count, how),
  ),
  truncate: row({ path, length: int }, (task, { path: name, length }) => truncate(task, name, length)),
  truncate64: row({ path, length: off64 }, (task, { path: name, length }) => truncate(task, name, length)),
  ftruncate: row({ fd, length: int }, (task, { fd: which, length }) => ftruncate(task, which, length)),
  ftruncate64: row({ fd, length: off64 }, (task, { fd: which, length }) => ftruncate(task, which, length)),
  fallocate: partial(
    'modes other than KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE (EOPNOTSUPP)',
    row({ fd, mode: int, offset: off64, length: off64 }, (task, { fd: which, mode: how, offset, length }) =>
      fallocate(task, which, how, offset, length),
    ),
  ),
  arm_fadvise64_64: row({ fd, advice: int, offset: off64, length: off64 }, (task, { fd: which, advice }) => {
    task.files.get(which);
    if (advice < 0 || advice > 5) throw new Errno('EINVAL');
    return 0;
  }),
  readahead: row({ fd, offset: off64, count: uint }, (task, { fd: which }) => {
    if (!readableFile(task, which).seekable) throw new Errno('EINVAL');
    return 0;
  }),
  arm_sync_file_range: row({ fd, flags: int, offset: off64, length: off64 }, (task, { fd: which }) =>
    sync(task, which, true),
  ),
  sync: partial('waits for nothing: Node cannot sync all file systems', row({}, nothing)),
  syncfs: row({ fd }, (task, { fd: which }) => sync(task, which, false)),
  fsync: row({ fd }, (task, { fd: which }) => sync(task, which, false)),
  fdatasync: row({ fd }, (task, { fd: which }) => sync(task, which, true)),
  memfd_create: partial(
    'huge pages (ENODEV)',
    row({ name: path, flags: flags(MemfdFlag) }, (task, { name, flags: how }) => memfdCreate(task, name, how)),
  ),
  eventfd: row({ initial: uint }, (task, { initial }) => eventfd(task, initial, 0)),
  eventfd2: row({ initial: uint, flags: descriptorFlags }, (task, { initial, flags: how }) =>
    eventfd(task, initial, how),
  ),
};

function truncate(task: Task, name: Uint8Array, length: number): number {
  if (length < 0) throw new Errno('EINVAL');
  checkNewLength(task, length);
  task.fs.truncate(locate(task, base.cwd, name, true), length);
  return 0;
}

function ftruncate(task: Task, which: number, length: number): number {
  if (length < 0) throw new Errno('EINVAL');
  const file = task.files.get(which);
  if ((file.flags & Open.path) !== 0) throw new Errno('EBADF');
  checkNewLength(task, length);
  file.truncate(length);
  return 0;
}

function sync(task: Task, which: number, dataOnly: boolean): number {
  task.files.get(which).sync(dataOnly);
  return 0;
}
