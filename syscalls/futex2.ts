import { Access } from '#accel/guest-memory.ts';
import { Clock } from '#linux-user/clocks.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, flags, hexWord, int, oneOf, uint } from './arguments.ts';
import { type Deadline, deadlineOf, leftOf, wait } from './futex.ts';
import { type Rows, row } from './row.ts';
import { wideTimespecIn } from './time-values.ts';

/** Flags of the calls that come after futex(2): a size, and who shares the word (include/uapi/linux/futex.h). */
const Futex2Flag = { FUTEX2_SIZE_U16: 1, FUTEX2_SIZE_U32: 2, FUTEX2_NUMA: 4, FUTEX2_PRIVATE: 128 } as const;
const sizeMask = 3;
/** Most words of one futex_waitv (FUTEX_WAITV_MAX). */
const mostWords = 128;

/** Words of 32 bits are all there are, as on Linux. EINVAL. */
function checkFlags(how: number): void {
  const known = sizeMask | Futex2Flag.FUTEX2_PRIVATE;
  if ((how & ~known) !== 0 || (how & sizeMask) !== Futex2Flag.FUTEX2_SIZE_U32) throw new Errno('EINVAL');
}

function checkWord(at: number): void {
  if (at % 4 !== 0) throw new Errno('EINVAL');
}

/** A point in time on one of two clocks; null for a null pointer. EINVAL. */
function deadline(task: Task, at: number, clock: number): Deadline | null {
  if (at === 0) return null;
  if (clock !== Clock.CLOCK_REALTIME && clock !== Clock.CLOCK_MONOTONIC) throw new Errno('EINVAL');
  return deadlineOf(task, at, true, false, clock === Clock.CLOCK_REALTIME);
}

/** struct futex_waitv: value and address as u64, flags, padding. */
const waiterBytes = 24;

interface Waiter {
  readonly value: number;
  readonly at: number;
}

function loadWaiters({ memory }: Task, at: number, count: number): Waiter[] {
  memory.require(at, count * waiterBytes, Access.read);
  return Array.from({ length: count }, (_, n) => {
    const base = at + n * waiterBytes;
    checkFlags(memory.load32(base + 16));
    if (memory.load32(base + 20) !== 0) throw new Errno('EINVAL');
    const found = { value: memory.load32(base), at: memory.load32(base + 8) };
    checkWord(found.at);
    return found;
  });
}

function waitv(task: Task, at: number, count: number, how: number, timeout: number, clock: number): SyscallResult {
  if (how !== 0 || count === 0 || count > mostWords || at === 0) throw new Errno('EINVAL');
  const due = deadline(task, timeout, clock);
  const waiters = loadWaiters(task, at, count);
  for (const { at: word, value } of waiters) if (task.memory.load32(word) !== value) throw new Errno('EAGAIN');
  const left = leftOf(due);
  if (left !== null && left() <= 0) throw new Errno('ETIMEDOUT');
  const words = waiters.map((each) => each.at);
  const { futexes } = task.process.kernel;
  return futexes.waitForAny(task, words, left, 'ERESTARTSYS').then((index) => {
    if (index < 0) throw new Errno('ETIMEDOUT');
    return index;
  });
}

function requeue(task: Task, at: number, how: number, wake: number, move: number): number {
  if (how !== 0 || at === 0) throw new Errno('EINVAL');
  const [from, to] = loadWaiters(task, at, 2);
  if (wake < 0 || move < 0) throw new Errno('EINVAL');
  task.memory.require(to.at, 4, Access.read);
  if (task.memory.load32(from.at) !== from.value) throw new Errno('EAGAIN');
  const [woken, moved] = task.process.kernel.futexes.requeue(task.mm, from.at, to.at, wake, move);
  return woken + moved;
}

const futexFlags = flags(Futex2Flag);
const clockName = oneOf({ CLOCK_REALTIME: Clock.CLOCK_REALTIME, CLOCK_MONOTONIC: Clock.CLOCK_MONOTONIC });

/** kernel/futex/syscalls.c. */
export const futex2Calls: Rows = {
  futex_waitv: row(
    { waiters: address, count: uint, flags: hexWord, timeout: wideTimespecIn, clock: clockName },
    (task, { waiters, count, flags: how, timeout, clock }) => waitv(task, waiters, count, how, timeout, clock),
  ),
  futex_wake: row(
    { address, mask: hexWord, count: int, flags: futexFlags },
    (task, { address: at, mask, count, flags: how }) => {
      checkFlags(how);
      checkWord(at);
      if (mask === 0) throw new Errno('EINVAL');
      task.memory.require(at, 4, Access.read);
      return count <= 0 ? 0 : task.process.kernel.futexes.wake(task.mm, at, count, mask);
    },
  ),
  futex_wait: row(
    { address, value: uint, mask: hexWord, flags: futexFlags, timeout: wideTimespecIn, clock: clockName },
    (task, { address: at, value, mask, flags: how, timeout, clock }) => {
      checkFlags(how);
      checkWord(at);
      return wait(task, at, value, mask, deadline(task, timeout, clock));
    },
  ),
  futex_requeue: row(
    { waiters: address, flags: hexWord, wake: int, move: int },
    (task, { waiters, flags: how, wake, move }) => requeue(task, waiters, how, wake, move),
  ),
};
