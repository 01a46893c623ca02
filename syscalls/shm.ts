import { pageSize } from '#accel/guest-memory.ts';
import { IpcAccess } from '#linux-user/ipc/ipc-table.ts';
import { type Segment, type SharedSegments, Shm, shmLimits } from '#linux-user/ipc/shared-segments.ts';
import { ResourceLimit } from '#linux-user/resource-limits.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, flags, int, uint } from './arguments.ts';
import { attachFlagNames, command, getFlags, IPC_64, key, ShmCommand } from './ipc-names.ts';
import { loadOwner, permissionFields, shmidStruct, shminfoStruct, shmUsageStruct } from './ipc-structs.ts';
import { partial, type Rows, row } from './row.ts';

const segmentsOf = (task: Task): SharedSegments => task.process.kernel.ipc.segments;

export function shmget(task: Task, wanted: number, size: number, how: number): number {
  return segmentsOf(task).obtain(task, wanted, size, how);
}

export function shmat(task: Task, id: number, at: number, how: number): number {
  const alignment = task.abi.attachAlignment ?? pageSize;
  return segmentsOf(task).attach(task, id, { address: at, flags: how, alignment });
}

export function shmdt(task: Task, at: number): number {
  segmentsOf(task).detach(task.process, at);
  return 0;
}

function storeSegment(task: Task, segment: Segment, at: number): void {
  shmidStruct.store(task.memory, at, {
    ...permissionFields(segment),
    segsz: segment.size,
    atime: segment.attached,
    dtime: segment.detached,
    ctime: segment.changed,
    cpid: segment.cpid,
    lpid: segment.lpid,
    nattch: segmentsOf(task).attachments(segment),
  });
}

/** SHM_LOCK needs ownership and a limit; nothing is ever swapped out here. */
function lock(task: Task, id: number, on: boolean): number {
  const { credentials, process } = task;
  const segment = segmentsOf(task).get(id);
  if (credentials.euid !== 0) {
    segment.checkOwner(credentials);
    if (on && process.limits.get(ResourceLimit.MEMLOCK).soft === 0) throw new Errno('EPERM');
  }
  segment.mode = on ? segment.mode | Shm.LOCKED : segment.mode & ~Shm.LOCKED;
  return 0;
}

export function shmctl(task: Task, id: number, how: number, at: number): number {
  const segments = segmentsOf(task);
  const { memory } = task;
  const { credentials } = task;
  const what = how & ~IPC_64;
  if (id < 0 || what < 0) throw new Errno('EINVAL');
  switch (what) {
    case ShmCommand.IPC_INFO:
      shminfoStruct.store(memory, at, {
        shmmax: shmLimits.bytes,
        shmmin: 1,
        shmmni: shmLimits.segments,
        shmseg: shmLimits.segments,
        shmall: shmLimits.pages,
      });
      return segments.table.highestIndex;
    case ShmCommand.SHM_INFO: {
      const { pages } = segments;
      shmUsageStruct.store(memory, at, { usedIds: segments.table.count, total: pages, resident: pages });
      return segments.table.highestIndex;
    }
    case ShmCommand.IPC_STAT: {
      const segment = segments.get(id);
      segment.check(credentials, IpcAccess.read);
      storeSegment(task, segment, at);
      return 0;
    }
    case ShmCommand.SHM_STAT:
    case ShmCommand.SHM_STAT_ANY: {
      const segment = segments.table.at(id);
      if (what === ShmCommand.SHM_STAT) segment.check(credentials, IpcAccess.read);
      storeSegment(task, segment, at);
      return segment.id;
    }
    case ShmCommand.IPC_SET: {
      const { uid, gid, mode } = loadOwner(memory, at);
      const segment = segments.get(id);
      segment.checkOwner(credentials);
      segment.setOwner(uid, gid, mode);
      return 0;
    }
    case ShmCommand.IPC_RMID: {
      const segment = segments.get(id);
      segment.checkOwner(credentials);
      segments.markRemoved(segment);
      return 0;
    }
    case ShmCommand.SHM_LOCK:
    case ShmCommand.SHM_UNLOCK:
      return lock(task, id, what === ShmCommand.SHM_LOCK);
    default:
      throw new Errno('EINVAL');
  }
}

/** ipc/shm.c. */
export const shmCalls: Rows = {
  shmget: row({ key, size: uint, flags: getFlags }, (task, { key: wanted, size, flags: how }) =>
    shmget(task, wanted, size, how),
  ),
  shmat: partial(
    'two attachments in one process see each other’s changes when another process has run, where the host is not Linux on x86-64',
    row(
      { id: int, address, flags: flags(attachFlagNames) },
      (task, { id, address: at, flags: how }) => shmat(task, id, at, how),
      'address',
    ),
  ),
  shmdt: row({ address }, (task, { address: at }) => shmdt(task, at)),
  shmctl: row({ id: int, command: command(ShmCommand), buffer: address }, (task, { id, command: how, buffer }) =>
    shmctl(task, id, how, buffer),
  ),
};
