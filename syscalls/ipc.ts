import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, hexWord, int } from './arguments.ts';
import { msgctl, msgget, msgrcv, msgsnd } from './msg.ts';
import { named } from './print.ts';
import { type Argument, type Rows, row } from './row.ts';
import { semctl, semget, semop, semTimeout } from './sem.ts';
import { shmat, shmctl, shmdt, shmget } from './shm.ts';

/** What ipc(2) does (include/uapi/linux/ipc.h). */
const Call = {
  SEMOP: 1,
  SEMGET: 2,
  SEMCTL: 3,
  SEMTIMEDOP: 4,
  MSGSND: 11,
  MSGRCV: 12,
  MSGGET: 13,
  MSGCTL: 14,
  SHMAT: 21,
  SHMDT: 22,
  SHMGET: 23,
  SHMCTL: 24,
} as const;

interface IpcCall {
  readonly call: number;
  readonly first: number;
  readonly second: number;
  readonly third: number;
  readonly pointer: number;
  readonly fifth: number;
}

/** The one call of older ABIs for all of System V IPC. Its upper half is the version: with 0 msgrcv has its type in memory. */
function ipc(task: Task, { call, first, second, third, pointer: at, fifth }: IpcCall): SyscallResult {
  const { memory } = task;
  const version = call >>> 16;
  switch (call & 0xffff) {
    case Call.SEMOP:
      return semop(task, first, at, second, null);
    case Call.SEMTIMEDOP:
      return semop(task, first, at, second, semTimeout(task, fifth, false));
    case Call.SEMGET:
      return semget(task, first, second, third);
    case Call.SEMCTL:
      if (at === 0) throw new Errno('EINVAL');
      return semctl(task, first, second, third, memory.load32(at));
    case Call.MSGSND:
      return msgsnd(task, first, at, second, third);
    case Call.MSGRCV:
      if (version !== 0) return msgrcv(task, first, at, second, fifth | 0, third);
      if (at === 0) throw new Errno('EINVAL');
      return msgrcv(task, first, memory.load32(at), second, memory.load32(at + 4) | 0, third);
    case Call.MSGGET:
      return msgget(task, first, second);
    case Call.MSGCTL:
      return msgctl(task, first, second, at);
    case Call.SHMAT: {
      if (version === 1) throw new Errno('EINVAL');
      memory.store32(third, shmat(task, first, at, second));
      return 0;
    }
    case Call.SHMDT:
      return shmdt(task, at);
    case Call.SHMGET:
      return shmget(task, first, second >>> 0, third);
    case Call.SHMCTL:
      return shmctl(task, first, second, at);
    default:
      throw new Errno('ENOSYS');
  }
}

const operation: Argument<number> = { ...int, print: (raw) => named(raw & 0xffff, Call) };

/** ipc/syscall.c. */
export const ipcCalls: Rows = {
  ipc: row(
    { call: operation, first: int, second: int, third: hexWord, pointer: address, fifth: hexWord },
    (task, call) => ipc(task, call),
  ),
};
