import { Errno, type ErrnoName } from '#util/errno.ts';
import { timerDelay } from '../clock.ts';
import type { Credentials } from '../credentials.ts';
import type { Process } from '../process.ts';
import type { Task } from '../task.ts';
import { Ipc, IpcAccess, IpcObject, IpcTable, now } from './ipc-table.ts';

/** SEMMNI, SEMMSL, SEMOPM, SEMVMX (proc_sys_kernel(5)), and SEMAEM, the most that undoing may add up to. */
export const semLimits = { sets: 32000, perSet: 32000, operations: 500, value: 32767 } as const;

/** sem_flg. */
export const SEM_UNDO = 0x1000;

/** struct sembuf. */
export interface SemOperation {
  readonly index: number;
  readonly change: number;
  readonly flags: number;
}

interface Semaphore {
  value: number;
  /** The last process that has changed it. */
  pid: number;
}

/** A task that sleeps in semop. */
interface Waiter {
  readonly pid: number;
  readonly operations: readonly SemOperation[];
  readonly undo: SemUndo;
  /** The operation that could not be done when it was last tried. */
  blocking: SemOperation;
  readonly end: (error: ErrnoName | null) => void;
}

/** A set of semaphores (struct semid_ds). */
export class SemaphoreSet extends IpcObject {
  readonly semaphores: Semaphore[];
  /** The last semop: seconds; 0 for none yet. */
  operated = 0;
  readonly waiters = new Set<Waiter>();

  constructor(key: number, count: number, mode: number, credentials: Credentials) {
    super(key, mode, credentials);
    this.semaphores = Array.from({ length: count }, () => ({ value: 0, pid: 0 }));
  }
}

/** What the end of a thread takes back (SEM_UNDO): shared by tasks made with CLONE_SYSVSEM. */
export class SemUndo {
  readonly adjustments = new Map<SemaphoreSet, Int32Array>();
  private users = 1;

  retain(): this {
    this.users++;
    return this;
  }

  /** True if the last user has gone. */
  release(): boolean {
    return --this.users === 0;
  }

  of(set: SemaphoreSet): Int32Array {
    let found = this.adjustments.get(set);
    if (found === undefined) this.adjustments.set(set, (found = new Int32Array(set.semaphores.length)));
    return found;
  }
}

/** System V semaphores (semget(2), semop(2), semctl(2)). */
export class Semaphores {
  readonly table = new IpcTable<SemaphoreSet>(semLimits.sets);
  private readonly undos = new Set<SemUndo>();

  /** semget(2): the id. */
  obtain({ credentials }: Task, key: number, count: number, flags: number): number {
    if (count < 0 || count > semLimits.perSet) throw new Errno('EINVAL');
    return this.table.obtain({
      key,
      flags,
      credentials,
      make: () => {
        if (count === 0) throw new Errno('EINVAL');
        return new SemaphoreSet(key, count, flags, credentials);
      },
      unsuitable: (found) => (count > found.semaphores.length ? 'EINVAL' : null),
    });
  }

  private undoOf(task: Task): SemUndo {
    if (task.semUndo === null) this.undos.add((task.semUndo = new SemUndo()));
    return task.semUndo;
  }

  /** What a new task with CLONE_SYSVSEM shares with its maker. */
  share(task: Task): SemUndo {
    return this.undoOf(task).retain();
  }

  /** semtimedop(2): all operations at once, or a sleep of at most `timeout` milliseconds (null: for ever). */
  operate(task: Task, id: number, operations: readonly SemOperation[], timeout: number | null): 0 | Promise<0> {
    if (operations.length === 0 || id < 0) throw new Errno('EINVAL');
    const set = this.table.get(id);
    if (operations.some(({ index }) => index >= set.semaphores.length)) throw new Errno('EFBIG');
    const alters = operations.some(({ change }) => change !== 0);
    set.check(task.credentials, alters ? IpcAccess.write : IpcAccess.read);
    const { pid } = task.process;
    const undo = this.undoOf(task);
    const blocking = attempt(set, operations, undo, pid);
    if (blocking === null) {
      set.operated = now();
      if (alters) serveWaiters(set);
      return 0;
    }
    if ((blocking.flags & Ipc.NOWAIT) !== 0 || timeout === 0) throw new Errno('EAGAIN');
    return sleepUntilDone(task, set, { pid, operations, undo, blocking }, timeout);
  }

  /** SETVAL and SETALL: values from index `first` on. What was to be undone there is forgotten. */
  setValues(process: Process, set: SemaphoreSet, first: number, values: readonly number[]): void {
    if (values.some((value) => value < 0 || value > semLimits.value)) throw new Errno('ERANGE');
    values.forEach((value, index) => {
      set.semaphores[first + index] = { value, pid: process.pid };
      for (const { adjustments } of this.undos) adjustments.get(set)?.fill(0, first + index, first + index + 1);
    });
    set.changed = now();
    serveWaiters(set);
  }

  /** IPC_RMID: those that wait are told EIDRM. */
  remove(set: SemaphoreSet): void {
    this.table.remove(set);
    for (const { adjustments } of this.undos) adjustments.delete(set);
    for (const waiter of [...set.waiters]) waiter.end('EIDRM');
  }

  /** The end of a task, or unshare: the last user of its undo list takes everything back. */
  leave(task: Task): void {
    const { semUndo } = task;
    task.semUndo = null;
    if (semUndo === null || !semUndo.release()) return;
    this.undos.delete(semUndo);
    for (const [set, changes] of semUndo.adjustments) {
      changes.forEach((change, index) => {
        if (change === 0) return;
        const value = set.semaphores[index].value + change;
        set.semaphores[index] = { value: Math.min(Math.max(value, 0), semLimits.value), pid: task.process.pid };
      });
      set.operated = now();
      serveWaiters(set);
    }
  }
}

/** How many tasks wait for a semaphore to grow (GETNCNT), or to become zero (GETZCNT). */
export function countWaiters(set: SemaphoreSet, index: number, forZero: boolean): number {
  return [...set.waiters].filter(({ blocking }) => blocking.index === index && (blocking.change === 0) === forZero)
    .length;
}

/** Carries the operations out if all can be; else returns the first that cannot. ERANGE. */
function attempt(
  set: SemaphoreSet,
  operations: readonly SemOperation[],
  undo: SemUndo,
  pid: number,
): SemOperation | null {
  const values = new Map<number, number>();
  const adjustments = new Map<number, number>();
  for (const operation of operations) {
    const { index, change, flags } = operation;
    const value = values.get(index) ?? set.semaphores[index].value;
    if (change === 0 ? value !== 0 : value + change < 0) return operation;
    if (value + change > semLimits.value) throw new Errno('ERANGE');
    values.set(index, value + change);
    if ((flags & SEM_UNDO) === 0) continue;
    const undone = (adjustments.get(index) ?? undo.of(set)[index]) - change;
    if (Math.abs(undone) > semLimits.value) throw new Errno('ERANGE');
    adjustments.set(index, undone);
  }
  for (const [index, value] of values) set.semaphores[index] = { value, pid };
  for (const [index, undone] of adjustments) undo.of(set)[index] = undone;
  return null;
}

/** Lets go on, in the order they came, those whose operations can be carried out now. */
function serveWaiters(set: SemaphoreSet): void {
  for (let again = true; again; ) {
    again = false;
    for (const waiter of [...set.waiters]) {
      let blocking: SemOperation | null;
      try {
        blocking = attempt(set, waiter.operations, waiter.undo, waiter.pid);
      } catch {
        waiter.end('ERANGE');
        continue;
      }
      if (blocking === null) {
        set.operated = now();
        waiter.end(null);
        again ||= waiter.operations.some(({ change }) => change !== 0);
      } else if ((blocking.flags & Ipc.NOWAIT) !== 0) waiter.end('EAGAIN');
      else waiter.blocking = blocking;
    }
  }
}

/** Longest one setTimeout, milliseconds. */

/** semop is never made again after a signal (signal(7)). */
function sleepUntilDone(task: Task, set: SemaphoreSet, call: Omit<Waiter, 'end'>, timeout: number | null): Promise<0> {
  return task.sleep<0>((wake, fail) => {
    const waiter: Waiter = {
      ...call,
      end(error) {
        if (error === null) wake(0);
        else fail(new Errno(error));
      },
    };
    set.waiters.add(waiter);
    const timer = timeout === null ? undefined : setTimeout(() => waiter.end('EAGAIN'), timerDelay(timeout));
    return () => {
      clearTimeout(timer);
      set.waiters.delete(waiter);
    };
  }, 'EINTR');
}
