import { Access } from '#accel/guest-memory.ts';
import { monotonic } from '#linux-user/clock.ts';
import { matchAny, type TimeLeft } from '#linux-user/futex.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, structIn, uint } from './arguments.ts';
import { FutexFlag, FutexOp } from './names.ts';
import { bits, named } from './print.ts';
import { type Argument, type Rows, row } from './row.ts';
import { loadTimespec, timespecIn, wideTimespecIn } from './time-values.ts';

/** When a wait is over: null for never. */
export interface Deadline {
  readonly time: number;
  readonly now: () => number;
}

const wallClock = (): number => Date.now();

/** FUTEX_WAIT's timeout is relative, that of the others a point in time, on the clock that the flags name. */
export function deadlineOf(
  task: Task,
  at: number,
  wide: boolean,
  relative: boolean,
  realtime: boolean,
): Deadline | null {
  if (at === 0) return null;
  const { seconds, nanoseconds } = loadTimespec(task.memory, at, wide);
  if (seconds < 0 || nanoseconds < 0 || nanoseconds > 999_999_999) throw new Errno('EINVAL');
  const time = seconds * 1000 + nanoseconds / 1e6;
  const now = realtime ? wallClock : monotonic;
  return { time: relative ? now() + time : time, now };
}

export const leftOf = (deadline: Deadline | null): TimeLeft =>
  deadline === null ? null : () => deadline.time - deadline.now();

export function wait(
  task: Task,
  at: number,
  expected: number,
  bitset: number,
  deadline: Deadline | null,
): SyscallResult {
  if (bitset === 0) throw new Errno('EINVAL');
  if (task.memory.load32(at) !== expected) throw new Errno('EAGAIN');
  const left = leftOf(deadline);
  if (left !== null && left() <= 0) throw new Errno('ETIMEDOUT');
  return sleepOn(task, at, expected, bitset, deadline);
}

/** A wait with an end is made again through restart_syscall, since a relative timeout must not begin anew. */
async function sleepOn(
  task: Task,
  at: number,
  expected: number,
  bitset: number,
  deadline: Deadline | null,
): Promise<number> {
  const how = deadline === null ? 'ERESTARTSYS' : 'ERESTART_RESTARTBLOCK';
  try {
    if (await task.process.kernel.futexes.wait(task, at, bitset, leftOf(deadline), how)) return 0;
  } catch (error) {
    if (deadline !== null) task.restartBlock = () => wait(task, at, expected, bitset, deadline);
    throw error;
  }
  throw new Errno('ETIMEDOUT');
}

/** FUTEX_WAIT_REQUEUE_PI: waits to be moved to the lock at `lock` and given it. */
async function waitForLock(
  task: Task,
  at: number,
  expected: number,
  deadline: Deadline | null,
  lock: number,
): Promise<number> {
  task.memory.require(lock, 4, Access.write);
  if (task.memory.load32(at) !== expected) throw new Errno('EAGAIN');
  const woken = await task.process.kernel.futexes.wait(task, at, matchAny, leftOf(deadline), 'EINTR');
  if (!woken) throw new Errno('ETIMEDOUT');
  return 0;
}

/** The words of one call. */
interface FutexCall {
  readonly address: number;
  readonly operation: number;
  readonly value: number;
  /** A pointer for the calls that wait, a count for the others. */
  readonly timeout: number;
  readonly second: number;
  readonly value3: number;
}

function futex(task: Task, call: FutexCall, wide: boolean): SyscallResult {
  const { address: at, operation, value, timeout, second, value3 } = call;
  const command = operation & ~(FutexFlag.FUTEX_PRIVATE_FLAG | FutexFlag.FUTEX_CLOCK_REALTIME);
  const realtime = (operation & FutexFlag.FUTEX_CLOCK_REALTIME) !== 0;
  if (at % 4 !== 0) throw new Errno('EINVAL');
  const { memory, mm } = task;
  const { futexes } = task.process.kernel;
  switch (command) {
    case FutexOp.FUTEX_WAIT:
      return wait(task, at, value, matchAny, deadlineOf(task, timeout, wide, true, realtime));
    case FutexOp.FUTEX_WAIT_BITSET:
      return wait(task, at, value, value3, deadlineOf(task, timeout, wide, false, realtime));
    case FutexOp.FUTEX_WAKE:
    case FutexOp.FUTEX_WAKE_BITSET: {
      const bitset = command === FutexOp.FUTEX_WAKE ? matchAny : value3;
      if (bitset === 0) throw new Errno('EINVAL');
      memory.require(at, 4, Access.read);
      return futexes.wake(mm, at, Math.max(1, value | 0), bitset);
    }
    case FutexOp.FUTEX_REQUEUE:
    case FutexOp.FUTEX_CMP_REQUEUE: {
      memory.require(second, 4, Access.read);
      if ((value | 0) < 0 || (timeout | 0) < 0) throw new Errno('EINVAL');
      if (command === FutexOp.FUTEX_CMP_REQUEUE && memory.load32(at) !== value3) throw new Errno('EAGAIN');
      const [woken, moved] = futexes.requeue(mm, at, second, value, timeout);
      return woken + moved;
    }
    case FutexOp.FUTEX_WAKE_OP:
      return wakeOp(task, at, value, timeout, second, value3);
    default:
      return lockCall(task, command, call, wide, realtime);
  }
}

/** The calls on words that hold their owner's tid. */
function lockCall(task: Task, command: number, call: FutexCall, wide: boolean, realtime: boolean): SyscallResult {
  const { address: at, value, timeout, second, value3 } = call;
  const { futexes } = task.process.kernel;
  const { memory } = task;
  memory.require(at, 4, Access.read | Access.write);
  switch (command) {
    case FutexOp.FUTEX_LOCK_PI:
    case FutexOp.FUTEX_LOCK_PI2: {
      const deadline = deadlineOf(task, timeout, wide, false, realtime || command === FutexOp.FUTEX_LOCK_PI);
      return futexes.tryLock(task, at) ? 0 : futexes.lock(task, at, leftOf(deadline));
    }
    case FutexOp.FUTEX_TRYLOCK_PI:
      if (!futexes.tryLock(task, at)) throw new Errno('EAGAIN');
      return 0;
    case FutexOp.FUTEX_UNLOCK_PI:
      futexes.unlock(task, at);
      return 0;
    case FutexOp.FUTEX_WAIT_REQUEUE_PI:
      return waitForLock(task, at, value, deadlineOf(task, timeout, wide, false, realtime), second);
    case FutexOp.FUTEX_CMP_REQUEUE_PI:
      memory.require(second, 4, Access.read | Access.write);
      if (value !== 1) throw new Errno('EINVAL');
      if (memory.load32(at) !== value3) throw new Errno('EAGAIN');
      return futexes.requeueToLock(task, at, second, timeout);
    default:
      throw new Errno('ENOSYS');
  }
}

/** FUTEX_WAKE_OP: changes the second word, wakes on the first, and on the second if it was as `encoded` says. */
function wakeOp(task: Task, at: number, wake: number, wakeSecond: number, second: number, encoded: number): number {
  const { memory, mm } = task;
  const { futexes } = task.process.kernel;
  memory.require(second, 4, Access.write);
  const argument = (encoded << 8) >> 20;
  const operand = (encoded & 0x80000000) !== 0 ? 1 << (argument & 31) : argument;
  const comparand = (encoded << 20) >> 20;
  const old = memory.load32(second) | 0;
  const changes = [operand, old + operand, old | operand, old & ~operand, old ^ operand];
  const matches = [
    old === comparand,
    old !== comparand,
    old < comparand,
    old <= comparand,
    old > comparand,
    old >= comparand,
  ];
  const change = changes[(encoded >>> 28) & 7];
  const match = matches[(encoded >>> 24) & 15];
  if (change === undefined || match === undefined) throw new Errno('ENOSYS');
  memory.store32(second, change);
  const woken = futexes.wake(mm, at, wake);
  return match ? woken + futexes.wake(mm, second, wakeSecond) : woken;
}

const operation: Argument<number> = {
  ...uint,
  print(raw) {
    const command = named(raw & 127, FutexOp);
    const how = raw & ~127;
    const name = (how & FutexFlag.FUTEX_PRIVATE_FLAG) !== 0 ? `${command}_PRIVATE` : command;
    const rest = how & ~FutexFlag.FUTEX_PRIVATE_FLAG;
    return rest === 0 ? name : `${name}|${bits(rest, FutexFlag)}`;
  },
};

/** A timeout for the calls that wait, a count for the others. */
const timeoutOr = (kind: typeof timespecIn): Argument<number> => ({
  ...kind,
  print(raw, call) {
    const command = call.raw.operation & 127;
    const waits = command === FutexOp.FUTEX_WAIT || command === FutexOp.FUTEX_WAIT_BITSET;
    return waits ? kind.print(raw, call) : String(raw);
  },
});

/** struct robust_list_head. */
const robustHeadBytes = 12;

/** kernel/futex/. */
export const futexCalls: Rows = {
  futex: row(
    { address, operation, value: uint, timeout: timeoutOr(timespecIn), second: address, value3: uint },
    (task, call) => futex(task, call, false),
  ),
  futex_time64: row(
    { address, operation, value: uint, timeout: timeoutOr(wideTimespecIn), second: address, value3: uint },
    (task, call) => futex(task, call, true),
  ),
  set_robust_list: row({ head: address, length: uint }, (task, { head, length }) => {
    if (length !== robustHeadBytes) throw new Errno('EINVAL');
    task.robustList = { head, length };
    return 0;
  }),
  get_robust_list: row(
    { pid: uint, head: structIn((_memory, at) => `0x${at.toString(16)}`), length: address },
    (task, { pid, head, length }) => {
      const found = pid === 0 ? task : task.process.kernel.processes.task(pid);
      if (found === undefined) throw new Errno('ESRCH');
      task.memory.store32(length, robustHeadBytes);
      task.memory.store32(head, found.robustList.head);
      return 0;
    },
  ),
};
