import { Access } from '#accel/guest-memory.ts';
import type { Mm } from '#linux-user/mm/mm.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { WaitQueue } from '#linux-user/wait-queue.ts';
import { Errno } from '#util/errno.ts';
import { address, structIn, uint } from './arguments.ts';
import { FutexFlag, FutexOp } from './names.ts';
import { bits, named } from './print.ts';
import { type Argument, partial, type Rows, row } from './row.ts';
import { loadTimespec, timespecIn, wideTimespecIn } from './time-values.ts';

const matchAny = 0xffffffff;
const longestTimeout = 2 ** 31 - 1;

/** Tasks that wait on a word, by address, in each address space. */
const queues = new WeakMap<Mm, Map<number, WaitQueue>>();

function queueAt(task: Task, at: number): WaitQueue {
  let byAddress = queues.get(task.mm);
  if (byAddress === undefined) queues.set(task.mm, (byAddress = new Map()));
  let queue = byAddress.get(at);
  if (queue === undefined) byAddress.set(at, (queue = new WaitQueue()));
  return queue;
}

/** Wakes up to `count` tasks that wait on the word at `at`; returns how many. */
export function wakeFutex(task: Task, at: number, count: number): number {
  const queue = queues.get(task.mm)?.get(at);
  if (queue === undefined) return 0;
  const woken = queue.wake(count);
  if (queue.size === 0) queues.get(task.mm)?.delete(at);
  return woken;
}

function wait(task: Task, at: number, expected: number, timeout: number | null): SyscallResult {
  if (task.memory.load32(at) !== expected) throw new Errno('EAGAIN');
  if (timeout !== null && timeout <= 0) throw new Errno('ETIMEDOUT');
  return sleepOn(task, at, timeout);
}

async function sleepOn(task: Task, at: number, timeout: number | null): Promise<number> {
  const queue = queueAt(task, at);
  const timedOut = await task.sleep<boolean>((wake) => {
    const leave = queue.add(() => wake(false));
    if (timeout === null) return leave;
    const timer = setTimeout(() => wake(true), Math.min(timeout, longestTimeout));
    return () => {
      clearTimeout(timer);
      leave();
    };
  });
  if (timedOut) throw new Errno('ETIMEDOUT');
  return 0;
}

/** Milliseconds to wait: relative for FUTEX_WAIT, until a point in time for the bitset form. */
function timeoutOf(task: Task, at: number, absolute: boolean, realtime: boolean, wide: boolean): number | null {
  if (at === 0) return null;
  const { seconds, nanoseconds } = loadTimespec(task.memory, at, wide);
  if (seconds < 0 || nanoseconds < 0 || nanoseconds > 999_999_999) throw new Errno('EINVAL');
  const time = seconds * 1000 + nanoseconds / 1e6;
  if (!absolute) return time;
  return time - (realtime ? Date.now() : Number(process.hrtime.bigint()) / 1e6);
}

function futex(
  task: Task,
  at: number,
  operation: number,
  value: number,
  timeout: number,
  second: number,
  value3: number,
  wide: boolean,
): SyscallResult {
  const command = operation & ~(FutexFlag.FUTEX_PRIVATE_FLAG | FutexFlag.FUTEX_CLOCK_REALTIME);
  const realtime = (operation & FutexFlag.FUTEX_CLOCK_REALTIME) !== 0;
  if (at % 4 !== 0) throw new Errno('EINVAL');
  const { memory } = task;
  switch (command) {
    case FutexOp.FUTEX_WAIT:
      return wait(task, at, value, timeoutOf(task, timeout, false, realtime, wide));
    case FutexOp.FUTEX_WAIT_BITSET:
      if (value3 === 0) throw new Errno('EINVAL');
      if (value3 !== matchAny) throw new Errno('ENOSYS');
      return wait(task, at, value, timeoutOf(task, timeout, true, realtime, wide));
    case FutexOp.FUTEX_WAKE:
    case FutexOp.FUTEX_WAKE_BITSET:
      if (command === FutexOp.FUTEX_WAKE_BITSET && value3 === 0) throw new Errno('EINVAL');
      memory.require(at, 4, Access.read);
      return wakeFutex(task, at, Math.max(1, value | 0));
    case FutexOp.FUTEX_CMP_REQUEUE:
      if (memory.load32(at) !== value3) throw new Errno('EAGAIN');
      return requeue(task, at, value, timeout, second);
    case FutexOp.FUTEX_REQUEUE:
      return requeue(task, at, value, timeout, second);
    case FutexOp.FUTEX_WAKE_OP:
      return wakeOp(task, at, value, timeout, second, value3);
    default:
      throw new Errno('ENOSYS');
  }
}

/** Waking all of those that would be moved is what POSIX calls a spurious wake-up: they look at the word again. */
function requeue(task: Task, at: number, wake: number, move: number, second: number): number {
  task.memory.require(second, 4, Access.read);
  if ((wake | 0) < 0 || (move | 0) < 0) throw new Errno('EINVAL');
  return wakeFutex(task, at, wake + move);
}

/** FUTEX_WAKE_OP: changes the second word, wakes on the first, and on the second if it was as `encoded` says. */
function wakeOp(task: Task, at: number, wake: number, wakeSecond: number, second: number, encoded: number): number {
  const { memory } = task;
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
  const woken = wakeFutex(task, at, wake);
  return match ? woken + wakeFutex(task, second, wakeSecond) : woken;
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

const missing = 'priority inheritance; bit sets other than all; robust lists are kept and not walked';
const robust = 'kept, not walked at the end of a thread';

/** kernel/futex/. */
export const futexCalls: Rows = {
  futex: partial(
    missing,
    row(
      { address, operation, value: uint, timeout: timeoutOr(timespecIn), second: address, value3: uint },
      (task, { address: at, operation: op, value, timeout, second, value3 }) =>
        futex(task, at, op, value, timeout, second, value3, false),
    ),
  ),
  futex_time64: partial(
    missing,
    row(
      { address, operation, value: uint, timeout: timeoutOr(wideTimespecIn), second: address, value3: uint },
      (task, { address: at, operation: op, value, timeout, second, value3 }) =>
        futex(task, at, op, value, timeout, second, value3, true),
    ),
  ),
  set_robust_list: partial(
    robust,
    row({ head: address, length: uint }, (task, { head, length }) => {
      if (length !== 12) throw new Errno('EINVAL');
      task.robustList = { head, length };
      return 0;
    }),
  ),
  get_robust_list: row(
    { pid: uint, head: structIn((_memory, at) => `0x${at.toString(16)}`), length: address },
    (task, { pid, head, length }) => {
      if (pid !== 0 && pid !== task.tid) throw new Errno('ESRCH');
      task.memory.store32(length, task.robustList.length === 0 ? 12 : task.robustList.length);
      task.memory.store32(head, task.robustList.head);
      return 0;
    },
  ),
};
