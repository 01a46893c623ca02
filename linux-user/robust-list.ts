import { Access } from '#accel/guest-memory.ts';
import { FutexWord } from './futex.ts';
import type { Task } from './task.ts';

/** Longest list that is walked (ROBUST_LIST_LIMIT): a circle ends there. */
const limit = 2048;

/**
 * Releases the robust mutexes a thread holds at its end (set_robust_list(2), Documentation/locking/robust-futexes):
 * each word with its tid gets FUTEX_OWNER_DIED, and a waiter is woken. Bad pointers end the walk, as in Linux.
 */
export function walkRobustList(task: Task): void {
  const { head } = task.robustList;
  const { memory } = task;
  if (head === 0 || memory.refused(head, 12, Access.read) >= 0) return;
  const offset = memory.load32(head + 4) | 0;
  const pending = memory.load32(head + 8);
  let entry = memory.load32(head);
  for (let count = 0; count < limit && (entry & ~1) >>> 0 !== head; count++) {
    const at = (entry & ~1) >>> 0;
    if (memory.refused(at, 4, Access.read) >= 0) return;
    const next = memory.load32(at);
    if (entry !== pending) markDied(task, (at + offset) >>> 0, (entry & 1) !== 0, false);
    entry = next;
  }
  if (pending !== 0) markDied(task, ((pending & ~1) + offset) >>> 0, (pending & 1) !== 0, true);
}

/** `pending`: the thread ended within lock or unlock, where the word may be free and a waiter on its way. */
function markDied(task: Task, at: number, priorityInheriting: boolean, pending: boolean): void {
  const { memory } = task;
  const { futexes } = task.process.kernel;
  if (at % 4 !== 0 || memory.refused(at, 4, Access.read | Access.write) >= 0) return;
  const word = memory.load32(at);
  if (pending && !priorityInheriting && word === 0) {
    futexes.wake(task.mm, at, 1);
    return;
  }
  if ((word & FutexWord.tid) !== task.tid) return;
  memory.store32(at, ((word & FutexWord.waiters) | FutexWord.ownerDied) >>> 0);
  if (!priorityInheriting && (word & FutexWord.waiters) !== 0) futexes.wake(task.mm, at, 1);
}
