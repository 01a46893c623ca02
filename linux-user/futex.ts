import { Errno } from '#util/errno.ts';
import { timerDelay } from './clock.ts';
import type { Mm } from './mm/mm.ts';
import type { Interruption, Task } from './task.ts';

/** The parts of the word of a priority-inheriting or robust futex. */
export const FutexWord = { waiters: 0x8000_0000, ownerDied: 0x4000_0000, tid: 0x3fff_ffff } as const;

/** Matches every waiter (FUTEX_BITSET_MATCH_ANY). */
export const matchAny = 0xffffffff;

/** Longest one setTimeout, milliseconds. */

/** How a wait has ended. */
type Wakening = 'woken' | 'timeout';

interface Waiter {
  readonly task: Task;
  /** Address of the word in the task's memory. */
  at: number;
  readonly bitset: number;
  /** The queue it stands in: requeue moves it. */
  queue: Queue;
  wake(how: Wakening): void;
  /** It has come here by FUTEX_WAIT_REQUEUE_PI, or waits to lock: waking it makes it the owner. */
  locks: boolean;
}

/** The waiters of one word, in the order they came. */
interface Queue {
  readonly object: object;
  readonly offset: number;
  readonly waiters: Set<Waiter>;
  /** Who has the lock that waiters wait for: its end passes the lock on, whatever the word says by then. */
  owner: Task | null;
}

/** Milliseconds that are left now; null to wait for ever. */
export type TimeLeft = (() => number) | null;

/** Calls `end` when no time is left; returns what stops that. */
function wakeAtEnd(timeLeft: () => number, end: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (left: number): void => {
    timer = setTimeout(expire, timerDelay(left));
  };
  const expire = (): void => {
    const left = timeLeft();
    if (left <= 0) end();
    else arm(left);
  };
  arm(timeLeft());
  return () => clearTimeout(timer);
}

/** Threads that wait on words in memory (futex(2)). Words of memory that processes share are named by its object. */
export class FutexTable {
  private readonly objects = new WeakMap<object, Map<number, Queue>>();
  /** Queues with a thread that waits to lock. */
  private readonly locking = new Set<Queue>();

  private find(mm: Mm, at: number): Queue | undefined {
    const { object, offset } = mm.identify(at);
    return this.objects.get(object)?.get(offset);
  }

  private queue(mm: Mm, at: number): Queue {
    const { object, offset } = mm.identify(at);
    let queues = this.objects.get(object);
    if (queues === undefined) this.objects.set(object, (queues = new Map()));
    let queue = queues.get(offset);
    if (queue === undefined) queues.set(offset, (queue = { object, offset, waiters: new Set(), owner: null }));
    return queue;
  }

  private remove(waiter: Waiter): void {
    const { queue } = waiter;
    queue.waiters.delete(waiter);
    if (![...queue.waiters].some(({ locks }) => locks)) this.locking.delete(queue);
    const queues = this.objects.get(queue.object);
    if (queue.waiters.size === 0 && queues?.get(queue.offset) === queue) queues.delete(queue.offset);
  }

  private insert(waiter: Waiter, queue: Queue): void {
    waiter.queue = queue;
    queue.waiters.add(waiter);
    if (waiter.locks) this.locking.add(queue);
  }

  /** Wakes up to `count` threads that wait at `at` for a bit of `bitset`; returns how many. */
  wake(mm: Mm, at: number, count: number, bitset: number = matchAny): number {
    const queue = this.find(mm, at);
    if (queue === undefined) return 0;
    let woken = 0;
    for (const waiter of queue.waiters) {
      if (woken >= count) break;
      if ((waiter.bitset & bitset) === 0) continue;
      // A lock's waiters are woken by unlocking.
      if (waiter.locks) throw new Errno('EINVAL');
      this.remove(waiter);
      waiter.wake('woken');
      woken++;
    }
    return woken;
  }

  /** Wakes `wake` threads of the word at `from` and moves `move` others to that at `to`; returns [woken, moved]. */
  requeue(mm: Mm, from: number, to: number, wake: number, move: number): readonly [number, number] {
    const woken = this.wake(mm, from, wake);
    const source = this.find(mm, from);
    if (source === undefined) return [woken, 0];
    const target = this.queue(mm, to);
    let moved = 0;
    for (const waiter of [...source.waiters]) {
      if (moved >= move) break;
      this.remove(waiter);
      waiter.at = to;
      this.insert(waiter, target);
      moved++;
    }
    return [woken, moved];
  }

  /** Sleeps on the word at `at`. True: woken; false: the time is over. */
  async wait(task: Task, at: number, bitset: number, timeLeft: TimeLeft, how: Interruption): Promise<boolean> {
    return (await this.sleep(task, at, bitset, timeLeft, false, how)) === 'woken';
  }

  private sleep(
    task: Task,
    at: number,
    bitset: number,
    timeLeft: TimeLeft,
    locks: boolean,
    how: Interruption,
  ): Promise<Wakening> {
    return task.sleep<Wakening>((wake) => {
      const queue = this.queue(task.mm, at);
      const waiter: Waiter = { task, at, bitset, queue, wake, locks };
      this.insert(waiter, queue);
      const timer = timeLeft === null ? null : wakeAtEnd(timeLeft, () => wake('timeout'));
      return () => {
        timer?.();
        this.remove(waiter);
      };
    }, how);
  }

  /** Sleeps on several words until one of them is woken: its index; -1 when the time is over. */
  waitForAny(task: Task, words: readonly number[], timeLeft: TimeLeft, how: Interruption): Promise<number> {
    return task.sleep<number>((wake) => {
      const waiters = words.map((at, index): Waiter => {
        const queue = this.queue(task.mm, at);
        const waiter: Waiter = { task, at, bitset: matchAny, queue, locks: false, wake: () => wake(index) };
        this.insert(waiter, queue);
        return waiter;
      });
      const timer = timeLeft === null ? null : wakeAtEnd(timeLeft, () => wake(-1));
      return () => {
        timer?.();
        for (const waiter of waiters) this.remove(waiter);
      };
    }, how);
  }

  // ---- priority inheritance: the word has the owner's tid (there are no priorities here to inherit)

  /** FUTEX_TRYLOCK_PI: takes a free lock. False if it has an owner. EDEADLK if that is the caller. */
  tryLock(task: Task, at: number): boolean {
    const word = task.memory.load32(at);
    if ((word & FutexWord.tid) === task.tid) throw new Errno('EDEADLK');
    const queue = this.find(task.mm, at);
    if ((word & FutexWord.tid) !== 0 || (queue !== undefined && this.locking.has(queue))) return false;
    task.memory.store32(at, ((word & (FutexWord.ownerDied | FutexWord.waiters)) | task.tid) >>> 0);
    return true;
  }

  /** FUTEX_LOCK_PI: takes the lock, waiting for its owner. ETIMEDOUT, EDEADLK, ESRCH. */
  async lock(task: Task, at: number, timeLeft: TimeLeft): Promise<number> {
    if (this.tryLock(task, at)) return 0;
    const word = task.memory.load32(at);
    const known = this.find(task.mm, at);
    const owner = task.process.kernel.processes.task(word & FutexWord.tid) ?? known?.owner;
    if (!owner) throw new Errno('ESRCH');
    task.memory.store32(at, (word | FutexWord.waiters) >>> 0);
    this.queue(task.mm, at).owner = owner;
    const end = await this.sleep(task, at, matchAny, timeLeft, true, 'ERESTARTNOINTR');
    if (end === 'timeout') throw new Errno('ETIMEDOUT');
    return 0;
  }

  /** FUTEX_UNLOCK_PI: the longest waiter becomes the owner. EPERM if the caller is not the owner. */
  unlock(task: Task, at: number): void {
    const word = task.memory.load32(at);
    if ((word & FutexWord.tid) !== task.tid) throw new Errno('EPERM');
    const queue = this.find(task.mm, at);
    const next = queue === undefined ? undefined : this.firstLocker(queue);
    if (next === undefined) task.memory.store32(at, 0);
    else this.handOver(task, next, 0);
  }

  private firstLocker(queue: Queue): Waiter | undefined {
    for (const waiter of queue.waiters) if (waiter.locks) return waiter;
    return undefined;
  }

  /** The word is written where `task` sees it, whose turn it is: shared memory reaches the waiter from there. */
  private handOver(task: Task, next: Waiter, flags: number): void {
    task.memory.store32(next.at, (next.task.tid | FutexWord.waiters | flags) >>> 0);
    next.queue.owner = next.task;
    this.remove(next);
    next.wake('woken');
  }

  /**
   * FUTEX_CMP_REQUEUE_PI: gives the lock at `to` to the first of those that wait at `from` if it is free, and lets
   * `move` others wait for it. Returns how many it has woken or moved.
   */
  requeueToLock(task: Task, from: number, to: number, move: number): number {
    const source = this.find(task.mm, from);
    if (source === undefined) return 0;
    let done = 0;
    for (const waiter of [...source.waiters]) {
      if (done > move) break;
      const word = task.memory.load32(to);
      this.remove(waiter);
      if (done === 0 && (word & FutexWord.tid) === 0) {
        task.memory.store32(to, ((word & FutexWord.ownerDied) | waiter.task.tid | FutexWord.waiters) >>> 0);
        waiter.wake('woken');
      } else {
        task.memory.store32(to, (word | FutexWord.waiters) >>> 0);
        waiter.locks = true;
        waiter.at = to;
        const queue = this.queue(task.mm, to);
        queue.owner = task.process.kernel.processes.task(task.memory.load32(to) & FutexWord.tid) ?? null;
        this.insert(waiter, queue);
      }
      done++;
    }
    return done;
  }

  /** A thread has ended: the locks it held pass on to their waiters, with FUTEX_OWNER_DIED. */
  ownerEnded(task: Task): void {
    for (const queue of [...this.locking]) {
      const next = this.firstLocker(queue);
      if (next === undefined) continue;
      if (queue.owner === task) this.handOver(task, next, FutexWord.ownerDied);
    }
  }
}
