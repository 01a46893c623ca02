import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { IpcAccess } from '#linux-user/ipc/ipc-table.ts';
import {
  countWaiters,
  type SemaphoreSet,
  type Semaphores,
  type SemOperation,
  semLimits,
} from '#linux-user/ipc/semaphores.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { hexWord, int, uint } from './arguments.ts';
import { command, getFlags, IPC_64, key, SemCommand, semaphoreFlagNames } from './ipc-names.ts';
import { loadOwner, permissionFields, semidStruct, seminfoStruct } from './ipc-structs.ts';
import { bits, pointer } from './print.ts';
import { type Argument, type Rows, row } from './row.ts';
import { loadDuration, timespecIn, wideTimespecIn } from './time-values.ts';

const semaphoresOf = (task: Task): Semaphores => task.process.kernel.ipc.semaphores;

export function semget(task: Task, wanted: number, count: number, how: number): number {
  return semaphoresOf(task).obtain(task, wanted, count, how);
}

/** Bytes of struct sembuf. */
const sembufBytes = 6;

const signed16 = (value: number): number => (value << 16) >> 16;

function loadOperations(memory: GuestMemory, at: number, count: number): SemOperation[] {
  memory.require(at, count * sembufBytes, Access.read);
  return Array.from({ length: count }, (_, n) => {
    const [index, change, flags] = [0, 2, 4].map((offset) => memory.load16(at + n * sembufBytes + offset));
    return { index, change: signed16(change), flags };
  });
}

/** `timeout`: milliseconds, null for none. */
export function semop(task: Task, id: number, at: number, count: number, timeout: number | null): SyscallResult {
  if (count < 1 || id < 0) throw new Errno('EINVAL');
  if (count > semLimits.operations) throw new Errno('E2BIG');
  return semaphoresOf(task).operate(task, id, loadOperations(task.memory, at, count), timeout);
}

/** The timeout of semtimedop; a null pointer is none. */
export const semTimeout = (task: Task, at: number, wide: boolean): number | null =>
  at === 0 ? null : loadDuration(task.memory, at, wide);

function storeSet(task: Task, set: SemaphoreSet, at: number): void {
  const { operated: otime, changed: ctime } = set;
  semidStruct.store(task.memory, at, { ...permissionFields(set), otime, ctime, nsems: set.semaphores.length });
}

/** IPC_INFO and SEM_INFO differ in two fields: limits, or what is in use. */
function storeInfo(task: Task, at: number, used: boolean): number {
  const { table } = semaphoresOf(task);
  const { sets, perSet, operations, value } = semLimits;
  const semaphores = [...table].reduce((sum, set) => sum + set.semaphores.length, 0);
  seminfoStruct.store(task.memory, at, {
    semmap: sets * perSet,
    semmni: sets,
    semmns: sets * perSet,
    semmnu: sets * perSet,
    semmsl: perSet,
    semopm: operations,
    semume: operations,
    semusz: used ? table.count : 20,
    semvmx: value,
    semaem: used ? semaphores : value,
  });
  return table.highestIndex;
}

/** What the commands about one semaphore answer. */
function ask(task: Task, id: number, index: number, what: number): number {
  const set = semaphoresOf(task).table.get(id);
  set.check(task.credentials, IpcAccess.read);
  const semaphore = set.semaphores[index];
  if (semaphore === undefined) throw new Errno('EINVAL');
  switch (what) {
    case SemCommand.GETVAL:
      return semaphore.value;
    case SemCommand.GETPID:
      return semaphore.pid;
    default:
      return countWaiters(set, index, what === SemCommand.GETZCNT);
  }
}

function setValue(task: Task, id: number, index: number, value: number): number {
  const semaphores = semaphoresOf(task);
  if (value < 0 || value > semLimits.value) throw new Errno('ERANGE');
  const set = semaphores.table.get(id);
  if (set.semaphores[index] === undefined) throw new Errno('EINVAL');
  set.check(task.credentials, IpcAccess.write);
  semaphores.setValues(task.process, set, index, [value]);
  return 0;
}

function all(task: Task, id: number, at: number, write: boolean): number {
  const semaphores = semaphoresOf(task);
  const set = semaphores.table.get(id);
  set.check(task.credentials, write ? IpcAccess.write : IpcAccess.read);
  const { memory } = task;
  memory.require(at, 2 * set.semaphores.length, write ? Access.read : Access.write);
  if (!write) set.semaphores.forEach(({ value }, index) => memory.store16(at + 2 * index, value));
  else {
    const values = set.semaphores.map((_, index) => memory.load16(at + 2 * index));
    semaphores.setValues(task.process, set, 0, values);
  }
  return 0;
}

/** `argument`: union semun, a word. */
export function semctl(task: Task, id: number, index: number, how: number, argument: number): number {
  const semaphores = semaphoresOf(task);
  const { credentials } = task;
  const what = how & ~IPC_64;
  if (id < 0) throw new Errno('EINVAL');
  switch (what) {
    case SemCommand.IPC_INFO:
    case SemCommand.SEM_INFO:
      return storeInfo(task, argument, what === SemCommand.SEM_INFO);
    case SemCommand.IPC_STAT: {
      const set = semaphores.table.get(id);
      set.check(credentials, IpcAccess.read);
      storeSet(task, set, argument);
      return 0;
    }
    case SemCommand.SEM_STAT:
    case SemCommand.SEM_STAT_ANY: {
      const set = semaphores.table.at(id);
      if (what === SemCommand.SEM_STAT) set.check(credentials, IpcAccess.read);
      storeSet(task, set, argument);
      return set.id;
    }
    case SemCommand.GETALL:
    case SemCommand.SETALL:
      return all(task, id, argument, what === SemCommand.SETALL);
    case SemCommand.SETVAL:
      return setValue(task, id, index, argument | 0);
    case SemCommand.GETVAL:
    case SemCommand.GETPID:
    case SemCommand.GETNCNT:
    case SemCommand.GETZCNT:
      return ask(task, id, index, what);
    case SemCommand.IPC_SET: {
      const { uid, gid, mode } = loadOwner(task.memory, argument);
      const set = semaphores.table.get(id);
      set.checkOwner(credentials);
      set.setOwner(uid, gid, mode);
      return 0;
    }
    case SemCommand.IPC_RMID: {
      const set = semaphores.table.get(id);
      set.checkOwner(credentials);
      semaphores.remove(set);
      return 0;
    }
    default:
      throw new Errno('EINVAL');
  }
}

/** `[{sem_num=0, sem_op=-1, sem_flg=SEM_UNDO}]` */
const operations: Argument<number> = {
  ...hexWord,
  print(raw, { task, raw: { count } }) {
    try {
      if (count > semLimits.operations) return pointer(raw);
      const shown = loadOperations(task.memory, raw, count).map(
        ({ index, change, flags }) =>
          `{sem_num=${index}, sem_op=${change}, sem_flg=${bits(flags, semaphoreFlagNames)}}`,
      );
      return `[${shown.join(', ')}]`;
    } catch {
      return pointer(raw);
    }
  },
};

/** ipc/sem.c. */
export const semCalls: Rows = {
  semget: row({ key, count: int, flags: getFlags }, (task, { key: wanted, count, flags }) =>
    semget(task, wanted, count, flags),
  ),
  semop: row({ id: int, operations, count: uint }, (task, { id, operations: at, count }) =>
    semop(task, id, at, count, null),
  ),
  semtimedop: row(
    { id: int, operations, count: uint, timeout: timespecIn },
    (task, { id, operations: at, count, timeout }) => semop(task, id, at, count, semTimeout(task, timeout, false)),
  ),
  semtimedop_time64: row(
    { id: int, operations, count: uint, timeout: wideTimespecIn },
    (task, { id, operations: at, count, timeout }) => semop(task, id, at, count, semTimeout(task, timeout, true)),
  ),
  semctl: row(
    { id: int, index: int, command: command(SemCommand), argument: hexWord },
    (task, { id, index, command: how, argument }) => semctl(task, id, index, how, argument),
  ),
};
