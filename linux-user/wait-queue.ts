/**
 * Tasks that wait for one event (data in a pipe, a child's end, a futex). Waiting goes through `Task.sleep`, so that a
 * signal can end it:
 *
 *     await task.sleep((wake) => queue.add(wake));
 */
export class WaitQueue {
  private readonly waiters = new Set<() => void>();

  /** Adds a waiter; the returned function takes it out again (what `Task.sleep` calls when the sleep ends). */
  add(waiter: () => void): () => void {
    this.waiters.add(waiter);
    return () => this.waiters.delete(waiter);
  }

  /** Wakes the first `count` waiters, in the order they came; returns how many. */
  wake(count = Infinity): number {
    let woken = 0;
    for (const waiter of this.waiters) {
      if (woken >= count) break;
      this.waiters.delete(waiter);
      woken++;
      waiter();
    }
    return woken;
  }

  get size(): number {
    return this.waiters.size;
  }
}
