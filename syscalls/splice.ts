import { Access } from '#accel/guest-memory.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { type OpenFile, wouldBlock } from '#linux-user/vfs/open-file.ts';
import { PipeEnd } from '#linux-user/vfs/pipe.ts';
import { Errno, errnoNumbers, errnoOf } from '#util/errno.ts';
import { fd, flags, structIn, uint } from './arguments.ts';
import {
  gather,
  loadVectors,
  maxTransfer,
  raiseSigpipe,
  readableFile,
  scatter,
  scatterBuffer,
  untilReady,
  writableFile,
  writeBytes,
} from './io.ts';
import { pointer } from './print.ts';
import { type Rows, row } from './row.ts';

const SpliceFlag = { SPLICE_F_MOVE: 1, SPLICE_F_NONBLOCK: 2, SPLICE_F_MORE: 4, SPLICE_F_GIFT: 8 } as const;
const allFlags = 15;
/** Most bytes moved at once. */
const chunkBytes = 65536;

const spliceFlags = flags(SpliceFlag);
const asPipe = (file: OpenFile): PipeEnd | null => (file instanceof PipeEnd ? file : null);

/** A side of a splice: an offset of its own, or the file's. */
interface Side {
  readonly file: OpenFile;
  readonly offset: number | null;
}

/** EINVAL for a file that cannot be spliced to where it is. */
function side(task: Task, file: OpenFile, at: number): Side {
  if (at === 0) return { file, offset: null };
  if (asPipe(file) !== null || !file.seekable) throw new Errno('ESPIPE');
  task.memory.require(at, 8, Access.write);
  const offset = Number(BigInt.asIntN(64, task.memory.load64(at)));
  if (offset < 0) throw new Errno('EINVAL');
  return { file, offset };
}

/** Waits until `ready` gives true. EAGAIN if it must not wait. */
function untilTrue(task: Task, file: OpenFile, nonBlocking: boolean, ready: () => boolean): true | Promise<true> {
  return untilReady(task, file, () => (ready() ? (true as const) : null), { nonBlocking, timeout: Infinity });
}

const inputReady = ({ pipe }: PipeEnd): boolean => pipe.length > 0 || pipe.writers.size === 0;

function outputReady(task: Task, { pipe }: PipeEnd): boolean {
  if (pipe.readers.size > 0) return pipe.room > 0;
  const broken = new Errno('EPIPE');
  raiseSigpipe(task, broken);
  throw broken;
}

const both = (first: true | Promise<true>, second: () => true | Promise<true>): true | Promise<true> =>
  first === true ? second() : first.then(second);

/** What one look at the input gives; `wouldBlock` if it has nothing. */
function takeInput({ file, offset }: Side, bytes: Uint8Array): number {
  return offset === null ? file.read(bytes, 0, bytes.length) : file.pread(bytes, 0, bytes.length, offset);
}

/** splice(2). */
function splice(
  task: Task,
  from: number,
  fromAt: number,
  to: number,
  toAt: number,
  count: number,
  how: number,
): SyscallResult {
  if ((how & ~allFlags) !== 0) throw new Errno('EINVAL');
  if (count === 0) return 0;
  const input = readableFile(task, from);
  const output = writableFile(task, to);
  const [source, target] = [asPipe(input), asPipe(output)];
  if (source === null && target === null) throw new Errno('EINVAL');
  if (source !== null && target !== null && source.pipe === target.pipe) throw new Errno('EINVAL');
  if (target === null && (output.flags & Open.append) !== 0) throw new Errno('EINVAL');
  if (input.isDirectory || output.isDirectory) throw new Errno('EINVAL');
  const inSide = side(task, input, fromAt);
  const outSide = side(task, output, toAt);
  const noWait = (how & SpliceFlag.SPLICE_F_NONBLOCK) !== 0;
  const move = (): SyscallResult => {
    const room = Math.min(count, chunkBytes, target?.pipe.room ?? Infinity, source?.pipe.length || Infinity);
    const bytes = new Uint8Array(room);
    const got = takeInput(inSide, bytes);
    if (got === wouldBlock) throw new Errno('EAGAIN');
    const store = (done: number): number => {
      if (inSide.offset !== null) task.memory.store64(fromAt, BigInt(inSide.offset + done));
      if (outSide.offset !== null) task.memory.store64(toAt, BigInt(outSide.offset + done));
      return done;
    };
    if (got === 0) return 0;
    if (outSide.offset !== null) return store(output.pwrite(bytes, 0, got, outSide.offset));
    const written = writeBytes(task, output, bytes, 0, got);
    return typeof written === 'number' ? store(written) : written.then(store);
  };
  const ready = both(
    source === null ? true : untilTrue(task, input, noWait || input.nonBlocking, () => inputReady(source)),
    () =>
      target === null ? true : untilTrue(task, output, noWait || output.nonBlocking, () => outputReady(task, target)),
  );
  if (ready !== true) return ready.then(() => retryRead(task, input, inSide, noWait, move));
  return retryRead(task, input, inSide, noWait, move);
}

/** An input that is no pipe may have nothing yet (a socket, a terminal): waits for it. */
function retryRead(
  task: Task,
  input: OpenFile,
  { offset }: Side,
  noWait: boolean,
  move: () => SyscallResult,
): SyscallResult {
  try {
    return move();
  } catch (error) {
    const again = errnoOf(error) === errnoNumbers.EAGAIN;
    if (!again || offset !== null || noWait || input.nonBlocking || !input.pollable) throw error;
    return Promise.resolve(untilTrue(task, input, false, () => input.poll(1) !== 0)).then(() =>
      retryRead(task, input, { file: input, offset }, noWait, move),
    );
  }
}

/** tee(2). */
function tee(task: Task, from: number, to: number, count: number, how: number): SyscallResult {
  if ((how & ~allFlags) !== 0) throw new Errno('EINVAL');
  const input = readableFile(task, from);
  const output = writableFile(task, to);
  if (count === 0) return 0;
  const [source, target] = [asPipe(input), asPipe(output)];
  if (source === null || target === null || source.pipe === target.pipe) throw new Errno('EINVAL');
  const noWait = (how & SpliceFlag.SPLICE_F_NONBLOCK) !== 0;
  const copy = (): number => {
    const bytes = new Uint8Array(Math.min(count, source.pipe.length, target.pipe.room));
    const got = source.pipe.copy(bytes, 0, bytes.length);
    return got === 0 ? 0 : output.write(bytes, 0, got);
  };
  const ready = both(
    untilTrue(task, input, noWait || input.nonBlocking, () => inputReady(source)),
    () => untilTrue(task, output, noWait || output.nonBlocking, () => outputReady(task, target)),
  );
  return ready === true ? copy() : ready.then(copy);
}

/** vmsplice(2): the pages are copied. */
function vmsplice(task: Task, which: number, vector: number, count: number, how: number): SyscallResult {
  if ((how & ~allFlags) !== 0) throw new Errno('EINVAL');
  const file = task.files.get(which);
  const end = asPipe(file);
  if (end === null) throw new Errno('EBADF');
  const { memory } = task;
  const vectors = loadVectors(memory, vector, count);
  const nonBlocking = (how & SpliceFlag.SPLICE_F_NONBLOCK) !== 0 || file.nonBlocking;
  if (end.writable) {
    const bytes = gather(memory, vectors);
    if (bytes.length === 0) return 0;
    const ready = untilTrue(task, file, nonBlocking, () => outputReady(task, end));
    const put = (): SyscallResult => {
      const room = nonBlocking ? Math.min(bytes.length, end.pipe.room) : bytes.length;
      return writeBytes(task, file, bytes, 0, room);
    };
    return ready === true ? put() : ready.then(put);
  }
  const bytes = scatterBuffer(memory, vectors);
  if (bytes.length === 0) return 0;
  const take = (): number => {
    const done = file.read(bytes, 0, bytes.length);
    if (done > 0) scatter(memory, vectors, bytes.subarray(0, done));
    return done;
  };
  const ready = untilTrue(task, file, nonBlocking, () => inputReady(end));
  return ready === true ? take() : ready.then(take);
}

const offsetIn = structIn((memory, at) => `[${memory.load64(at)}]`);

/** fs/splice.c. */
export const spliceCalls: Rows = {
  splice: row(
    { in: fd, from: offsetIn, out: fd, to: offsetIn, count: uint, flags: spliceFlags },
    (task, { in: source, from, out, to, count, flags: how }) =>
      splice(task, source, from, out, to, Math.min(count, maxTransfer), how),
  ),
  tee: row({ in: fd, out: fd, count: uint, flags: spliceFlags }, (task, { in: source, out, count, flags: how }) =>
    tee(task, source, out, Math.min(count, maxTransfer), how),
  ),
  vmsplice: row(
    { fd, vector: structIn((_memory, at) => pointer(at)), count: uint, flags: spliceFlags },
    (task, { fd: which, vector, count, flags: how }) => vmsplice(task, which, vector, count, how),
  ),
};
