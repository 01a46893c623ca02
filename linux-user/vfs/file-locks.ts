import { Errno, errnoNumbers, errnoOf } from '#util/errno.ts';
import { hostCalls } from '../host-calls.ts';
import type { Task } from '../task.ts';
import { WaitQueue } from '../wait-queue.ts';
import type { FileTable } from './file-table.ts';
import { HostRecordLocks } from './host-record-locks.ts';
import type { OpenFile } from './open-file.ts';

/*
 * Advisory locks (fcntl_locking(2), flock(2)): they hold among guest processes, and are the host's too, where its C
 * library can be asked.
 */

/** Who holds a record lock: a table of descriptors (POSIX), or an open file description (OFD). */
type Owner = FileTable | OpenFile;

/** Bytes from `start` to `end`, both included; Infinity: to the end of the file, wherever that is. */
export interface HeldRange {
  readonly exclusive: boolean;
  readonly start: number;
  readonly end: number;
  /** Of the process that has made it; -1 for an OFD lock. */
  readonly pid: number;
}

export interface RecordLock extends HeldRange {
  readonly owner: Owner;
}

/** Milliseconds between two tries for a lock that a program of the host holds: doubled up to the second. */
const firstTry = 1;
const lastTry = 32;

/** LOCK_* (flock(2)). */
const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

const overlap = (a: RecordLock, b: RecordLock): boolean => a.start <= b.end && b.start <= a.end;
const conflict = (a: RecordLock, b: RecordLock): boolean =>
  a.owner !== b.owner && (a.exclusive || b.exclusive) && overlap(a, b);

/** The locks of one file. */
class LockedFile {
  records: RecordLock[] = [];
  /** `records` as the host has them; null: it does not, undefined: it has not been told. */
  host: HostRecordLocks | null | undefined;
  /** flock: who holds it, and how. */
  readonly whole: Map<OpenFile, 'shared' | 'exclusive'> = new Map();
  readonly changed: WaitQueue = new WaitQueue();

  get idle(): boolean {
    return this.records.length === 0 && this.whole.size === 0 && this.changed.size === 0;
  }
}

export class FileLocks {
  private readonly files = new Map<string, LockedFile>();
  /** Whom each owner waits for: to find circles (EDEADLK). */
  private readonly waiting = new Map<Owner, Owner>();

  private of(file: OpenFile): LockedFile {
    const key = keyOf(file);
    const known = this.files.get(key) ?? new LockedFile();
    this.files.set(key, known);
    return known;
  }

  private forget(file: OpenFile, locked: LockedFile): void {
    if (locked.records.length === 0) {
      locked.host?.close();
      locked.host = undefined;
    }
    if (locked.idle) this.files.delete(keyOf(file));
  }

  private guestBlocker(file: OpenFile, lock: RecordLock): RecordLock | null {
    return this.files.get(keyOf(file))?.records.find((held) => conflict(held, lock)) ?? null;
  }

  /** What stands in the way of a record lock; null: nothing (F_GETLK). */
  blocker(file: OpenFile, lock: RecordLock): HeldRange | null {
    const guest = this.guestBlocker(file, lock);
    if (guest !== null) return guest;
    const locked = this.of(file);
    locked.host ??= HostRecordLocks.of(file);
    const host = locked.host?.blocker(lock) ?? null;
    this.forget(file, locked);
    return host;
  }

  /** Takes a record lock, or changes one. False if it is held otherwise. */
  tryTake(file: OpenFile, lock: RecordLock): boolean {
    if (this.guestBlocker(file, lock) !== null) return false;
    const locked = this.of(file);
    if (locked.host === undefined) locked.host = HostRecordLocks.of(file);
    if (locked.host?.take(lock) === false) {
      this.forget(file, locked);
      return false;
    }
    this.watch(file, lock.owner);
    this.replace(file, lock, true);
    return true;
  }

  /** Waits for a record lock. EDEADLK, EINTR. */
  async wait(task: Task, file: OpenFile, lock: RecordLock): Promise<void> {
    let delay = firstTry;
    while (!this.tryTake(file, lock)) {
      const blocker = this.guestBlocker(file, lock);
      if (blocker === null) {
        await this.sleepFor(task, file, delay);
        delay = Math.min(2 * delay, lastTry);
        continue;
      }
      this.checkCircle(lock.owner, blocker.owner);
      this.waiting.set(lock.owner, blocker.owner);
      try {
        await task.sleep<void>((wake) => this.of(file).changed.add(wake));
      } finally {
        this.waiting.delete(lock.owner);
      }
    }
  }

  /** Until a guest has changed its locks, or some milliseconds are over: a program of the host does not tell. */
  private sleepFor(task: Task, file: OpenFile, delay: number): Promise<void> {
    return task.sleep<void>((wake) => {
      const stop = this.of(file).changed.add(wake);
      const timer = setTimeout(wake, delay);
      return () => {
        clearTimeout(timer);
        stop();
      };
    });
  }

  private checkCircle(owner: Owner, blocker: Owner): void {
    for (let at: Owner | undefined = blocker; at !== undefined; at = this.waiting.get(at)) {
      if (at === owner) throw new Errno('EDEADLK');
    }
  }

  /** Gives up the bytes of `lock` that its owner holds. */
  release(file: OpenFile, lock: RecordLock): void {
    if (this.files.has(keyOf(file))) this.replace(file, lock, false);
  }

  /** The owner's locks on these bytes become `lock`, or nothing. */
  private replace(file: OpenFile, lock: RecordLock, keep: boolean): void {
    const locked = this.of(file);
    const rest: RecordLock[] = [];
    for (const held of locked.records) {
      if (held.owner !== lock.owner || !overlap(held, lock)) {
        rest.push(held);
        continue;
      }
      if (held.start < lock.start) rest.push({ ...held, end: lock.start - 1 });
      if (held.end > lock.end) rest.push({ ...held, start: lock.end + 1 });
    }
    if (keep) rest.push(lock);
    locked.records = rest;
    if (!keep) locked.host?.reduce(lock.start, lock.end, rest);
    locked.changed.wake();
    this.forget(file, locked);
  }

  /** Locks go with what they belong to: POSIX locks with any descriptor of the file, others with the description. */
  private watch(file: OpenFile, owner: Owner): void {
    if (owner === file) {
      this.releaseAtClose(file);
      return;
    }
    (owner as FileTable).onDescriptorClosed = (closed) => this.releaseAll(closed, owner);
  }

  private readonly watched = new WeakSet<OpenFile>();

  private releaseAtClose(file: OpenFile): void {
    if (this.watched.has(file)) return;
    this.watched.add(file);
    file.onClose(() => {
      this.releaseAll(file, file);
      this.unlock(file);
    });
  }

  private releaseAll(file: OpenFile, owner: Owner): void {
    const locked = this.files.get(keyOf(file));
    if (locked === undefined || !locked.records.some((held) => held.owner === owner)) return;
    locked.records = locked.records.filter((held) => held.owner !== owner);
    locked.host?.reduce(0, Infinity, locked.records);
    locked.changed.wake();
    this.forget(file, locked);
  }

  // ---- flock

  /** flock(2); `operation` without LOCK_NB. EAGAIN if it would have to wait. */
  private tryWhole(file: OpenFile, operation: number): boolean {
    const locked = this.of(file);
    for (const [holder, how] of locked.whole) {
      if (holder !== file && (operation === LOCK_EX || how === 'exclusive')) return false;
    }
    if (!flockOnHost(file, operation | LOCK_NB)) return false;
    this.releaseAtClose(file);
    locked.whole.set(file, operation === LOCK_EX ? 'exclusive' : 'shared');
    locked.changed.wake();
    return true;
  }

  private unlock(file: OpenFile): void {
    const locked = this.files.get(keyOf(file));
    if (locked === undefined || !locked.whole.delete(file)) return;
    flockOnHost(file, LOCK_UN);
    locked.changed.wake();
    this.forget(file, locked);
  }

  flock(task: Task, file: OpenFile, operation: number, wait: boolean): number | Promise<number> {
    if (operation === LOCK_UN) {
      this.unlock(file);
      return 0;
    }
    if (operation !== LOCK_SH && operation !== LOCK_EX) throw new Errno('EINVAL');
    if (this.tryWhole(file, operation)) return 0;
    // To change a lock is to give it up first.
    this.unlock(file);
    if (this.tryWhole(file, operation)) return 0;
    if (!wait) throw new Errno('EAGAIN');
    return this.waitWhole(task, file, operation);
  }

  private async waitWhole(task: Task, file: OpenFile, operation: number): Promise<number> {
    let delay = firstTry;
    while (!this.tryWhole(file, operation)) {
      await this.sleepFor(task, file, delay);
      delay = Math.min(2 * delay, lastTry);
    }
    return 0;
  }
}

function keyOf(file: OpenFile): string {
  const { dev, ino } = file.stat();
  return `${dev}:${ino}`;
}

/** False if a program of the host holds it. */
function flockOnHost(file: OpenFile, operation: number): boolean {
  const calls = file.hostFd < 0 ? null : hostCalls();
  if (calls === null) return true;
  try {
    calls.call('flock', file.hostFd, operation);
    return true;
  } catch (error) {
    if (errnoOf(error) === errnoNumbers.EAGAIN) return false;
    throw error;
  }
}
