import { Poll } from './flags.ts';

/** Every event that a wake can be about. */
const everything: number = Object.values(Poll).reduce((all, bit) => all | bit, 0);

/** Told of every wake with its `Poll` events; returns whether that woke somebody (what EPOLLEXCLUSIVE counts). */
export type Watcher = (events: number) => boolean;

/**
 * Who waits for an open file to become ready. A waiter is a task's sleep and is woken once, whatever has happened: it
 * tries again. A watcher (epoll) stays and hears what has happened, so that an edge can be told from a level.
 */
export class Readiness {
  private readonly waiters = new Set<() => void>();
  private readonly watchers = new Set<Watcher>();
  /** Watchers of which one wake reaches only the first that has somebody to wake (EPOLLEXCLUSIVE). */
  private readonly exclusive = new Set<Watcher>();

  /** Adds a waiter; the returned function takes it out again (what `Task.sleep` calls when the sleep ends). */
  add(waiter: () => void): () => void {
    this.waiters.add(waiter);
    return () => this.waiters.delete(waiter);
  }

  /** Adds a watcher; the returned function takes it out again. */
  watch(watcher: Watcher, exclusive = false): () => void {
    const set = exclusive ? this.exclusive : this.watchers;
    set.add(watcher);
    return () => set.delete(watcher);
  }

  /** Somebody wants to hear of events without asking again. */
  get watched(): boolean {
    return this.watchers.size + this.exclusive.size > 0;
  }

  /** `events`: what may hold now that did not before. Returns whether a task was woken. */
  wake(events = everything): boolean {
    let woken = this.waiters.size > 0;
    for (const waiter of this.waiters) {
      this.waiters.delete(waiter);
      waiter();
    }
    for (const watcher of this.watchers) if (watcher(events)) woken = true;
    return this.wakeExclusive(events) || woken;
  }

  /** The one that was woken goes to the end of the row. */
  private wakeExclusive(events: number): boolean {
    for (const watcher of this.exclusive) {
      if (!watcher(events)) continue;
      this.exclusive.delete(watcher);
      this.exclusive.add(watcher);
      return true;
    }
    return false;
  }
}
