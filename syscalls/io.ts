import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { monotonic, timerDelay } from '#linux-user/clock.ts';
import { checkForeground } from '#linux-user/job-control.ts';
import { Signal } from '#linux-user/signal/numbers.ts';
import { sendToTask } from '#linux-user/signal/send.ts';
import { SiCode } from '#linux-user/signal/siginfo.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { type OpenFile, wouldBlock } from '#linux-user/vfs/open-file.ts';
import { Errno, errnoNumbers, errnoOf } from '#util/errno.ts';
import { writableLength } from './size-limit.ts';

/** Most bytes one read or write moves (MAX_RW_COUNT of a 4 KiB page system). */
export const maxTransfer = 0x7ffff000;

/** The file of `fd`, opened for reading; EBADF. */
export function readableFile(task: Task, fd: number): OpenFile {
  const file = task.files.get(fd);
  if (!file.readable) throw new Errno('EBADF');
  if (task.mm.sharesFiles && task.fs.view.pages.maps(file)) task.mm.storeShared();
  return file;
}

/** `count` bytes have been written, at `offset` or (null) where the file was: whoever has it mapped sees them. */
export function wroteFile(task: Task, file: OpenFile, count: number, offset: number | null): number {
  if (task.fs.view.pages.written(file, count, offset)) task.mm.fetchShared();
  return count;
}

/** The file of `fd`, opened for writing; EBADF. */
export function writableFile(task: Task, fd: number): OpenFile {
  const file = task.files.get(fd);
  if (!file.writable) throw new Errno('EBADF');
  return file;
}

/**
 * How many of the `count` bytes at `address` can be used: a buffer that runs into bad memory is used up to there, as
 * Linux does. EINVAL for a negative count, EFAULT if not one byte can be used.
 */
export function usableLength(memory: GuestMemory, address: number, count: number, access: number): number {
  if (count > 0x7fffffff) throw new Errno('EINVAL');
  const length = Math.min(count, maxTransfer);
  const bad = memory.refused(address, length, access);
  if (bad < 0) return length;
  if (bad === address) throw new Errno('EFAULT');
  return bad - address;
}

/** How long a call waits: not at all, or `timeout` milliseconds. */
export interface Patience {
  readonly nonBlocking: boolean;
  readonly timeout: number;
}

const readPatience = ({ nonBlocking, readTimeout }: OpenFile): Patience => ({ nonBlocking, timeout: readTimeout });

/**
 * Makes `attempt` until it no longer gives null or `wouldBlock`, sleeping in between. EAGAIN if it must not wait, or at
 * the end of the time. A signal ends the sleep with ERESTARTSYS, with EINTR where there is a timeout (signal(7)).
 */
export function untilReady<T>(
  task: Task,
  file: OpenFile,
  attempt: () => T,
  { nonBlocking, timeout }: Patience = readPatience(file),
): NonNullable<T> | Promise<NonNullable<T>> {
  const result = attempt();
  if (isThere(result)) return result;
  if (!nonBlocking) return waitAndRetry(task, file, attempt, timeout);
  const turn = file.hostDriven ? task.process.network.turn() : null;
  if (turn === null) throw new Errno('EAGAIN');
  return turn.then(() => {
    const again = attempt();
    if (isThere(again)) return again;
    throw new Errno('EAGAIN');
  });
}

const isThere = <T>(result: T): result is NonNullable<T> => result !== null && result !== wouldBlock;

async function waitAndRetry<T>(task: Task, file: OpenFile, attempt: () => T, timeout: number): Promise<NonNullable<T>> {
  const due = monotonic() + timeout;
  for (;;) {
    await sleepUntilReady(task, file, due);
    const result = attempt();
    if (isThere(result)) return result;
  }
}

/** Sleeps until the file's readiness is woken. EAGAIN at `due` (of monotonic(); Infinity: never). */
export async function sleepUntilReady(task: Task, file: OpenFile, due: number): Promise<void> {
  const left = due - monotonic();
  if (left <= 0) throw new Errno('EAGAIN');
  await task.sleep<void>(
    (wake) => {
      const stop = file.readiness.add(wake);
      const timer = left === Infinity ? undefined : setTimeout(wake, timerDelay(left));
      return () => {
        clearTimeout(timer);
        stop();
      };
    },
    due === Infinity ? 'ERESTARTSYS' : 'EINTR',
  );
}

/** read(2) into guest memory, in place. */
export function readInto(task: Task, file: OpenFile, address: number, count: number): SyscallResult {
  const { memory } = task;
  const length = usableLength(memory, address, count, Access.write);
  if (file.terminal !== null) checkForeground(task, file.terminal, Signal.SIGTTIN);
  const done = file.readBy(task, memory.u8, address, length);
  if (done !== wouldBlock) return done;
  return untilReady(task, file, () => {
    // Another task may have unmapped it meanwhile.
    memory.require(address, length, Access.write);
    return file.readBy(task, memory.u8, address, length);
  });
}

/** write(2) from guest memory, in place. */
export function writeFrom(task: Task, file: OpenFile, address: number, count: number): SyscallResult {
  const { memory } = task;
  const length = usableLength(memory, address, count, Access.read);
  return writeBytes(task, file, memory.u8, address, length, () => memory.require(address, length, Access.read));
}

/**
 * Writes all of the bytes to a blocking file, what it takes at once to another. EPIPE comes with SIGPIPE. `recheck`
 * throws if they cannot be read any more; it is called after each sleep.
 */
export function writeBytes(
  task: Task,
  file: OpenFile,
  bytes: Uint8Array,
  start: number,
  wanted: number,
  recheck: () => void = () => {},
): SyscallResult {
  const length = writableLength(task, file, wanted, null);
  let done = 0;
  try {
    do {
      const count = file.write(bytes, start + done, length - done);
      if (count === wouldBlock) {
        if (!file.nonBlocking) return writeRest(task, file, bytes, start, length, done, recheck);
        if (done === 0) throw new Errno('EAGAIN');
        return done;
      }
      done += count;
      if (count === 0) break;
    } while (done < length && !file.nonBlocking);
  } catch (error) {
    raiseSigpipe(task, error);
    if (done === 0) throw error;
  }
  return done;
}

/** Bytes in guest memory may have been unmapped while a call slept: EFAULT. */
export function requireStill(task: Task, bytes: Uint8Array, start: number, length: number, access: number): void {
  if (bytes === task.memory.u8) task.memory.require(start, length, access);
}

async function writeRest(
  task: Task,
  file: OpenFile,
  bytes: Uint8Array,
  start: number,
  length: number,
  already: number,
  recheck: () => void,
): Promise<number> {
  let done = already;
  const due = monotonic() + file.writeTimeout;
  try {
    while (done < length) {
      recheck();
      const count = file.write(bytes, start + done, length - done);
      if (count === wouldBlock) await sleepUntilReady(task, file, due);
      else done += count;
    }
  } catch (error) {
    raiseSigpipe(task, error);
    if (done === 0) throw error;
  }
  return done;
}

/** EPIPE comes with a signal. */
export function raiseSigpipe(task: Task, error: unknown): void {
  if (errnoOf(error) !== errnoNumbers.EPIPE) return;
  const { pid, credentials } = task.process;
  sendToTask(task, { kind: 'kill', signo: Signal.SIGPIPE, code: SiCode.SI_USER, pid, uid: credentials.uid });
}

/** Most buffers of a vector (UIO_MAXIOV). */
const maxVectors = 1024;

export interface Vector {
  readonly base: number;
  readonly length: number;
}

/** Reads an iovec array; EINVAL for too many or negative lengths, EFAULT. */
export function loadVectors(memory: GuestMemory, address: number, count: number): Vector[] {
  if (count < 0 || count > maxVectors) throw new Errno('EINVAL');
  memory.require(address, 8 * count, Access.read);
  const vectors: Vector[] = [];
  let room = maxTransfer;
  for (let i = 0; i < count; i++) {
    const length = memory.load32(address + 8 * i + 4);
    if (length > 0x7fffffff) throw new Errno('EINVAL');
    vectors.push({ base: memory.load32(address + 8 * i), length: Math.min(length, room) });
    room -= Math.min(length, room);
  }
  return vectors;
}

const gatherBytes = 65536;

/** The bytes of the vectors in one piece, up to `most`; EFAULT if the first byte cannot be read. */
export function gather(memory: GuestMemory, vectors: readonly Vector[], most = gatherBytes): Uint8Array {
  const total = vectors.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(Math.min(total, most));
  let at = 0;
  for (const { base, length } of vectors) {
    const wanted = Math.min(length, bytes.length - at);
    if (wanted === 0) continue;
    const bad = memory.refused(base, wanted, Access.read);
    if (bad >= 0 && bad === base && at === 0) throw new Errno('EFAULT');
    const usable = bad < 0 ? wanted : bad - base;
    bytes.set(memory.view(base, usable), at);
    at += usable;
    if (usable < wanted) break;
  }
  return bytes.subarray(0, at);
}

/** Spreads bytes over the vectors. EFAULT. */
export function scatter(memory: GuestMemory, vectors: readonly Vector[], bytes: Uint8Array): void {
  let at = 0;
  for (const { base, length } of vectors) {
    const count = Math.min(length, bytes.length - at);
    memory.write(base, bytes.subarray(at, at + count));
    at += count;
  }
}

/** A buffer as long as the vectors, up to `most`, after a check that they can be written. EFAULT. */
export function scatterBuffer(memory: GuestMemory, vectors: readonly Vector[], most = gatherBytes): Uint8Array {
  const total = vectors.reduce((sum, { length }) => sum + length, 0);
  const size = Math.min(total, most);
  let at = 0;
  for (const { base, length } of vectors) {
    const count = Math.min(length, size - at);
    const bad = memory.refused(base, count, Access.write);
    if (bad >= 0 && at + (bad - base) === 0) throw new Errno('EFAULT');
    if (bad >= 0) return new Uint8Array(at + (bad - base));
    at += count;
  }
  return new Uint8Array(size);
}
