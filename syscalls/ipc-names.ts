import { Ipc } from '#linux-user/ipc/ipc-table.ts';
import { MsgFlag } from '#linux-user/ipc/message-queues.ts';
import { SEM_UNDO } from '#linux-user/ipc/semaphores.ts';
import { Shm } from '#linux-user/ipc/shared-segments.ts';
import { hexWord, int } from './arguments.ts';
import { bits, hex, named, octalMode } from './print.ts';
import { type Argument } from './row.ts';

/** In the command of a ctl call: the structs are those with wide ids (include/uapi/linux/ipc.h). */
export const IPC_64 = 0x100;

export const ShmCommand = {
  IPC_RMID: 0,
  IPC_SET: 1,
  IPC_STAT: 2,
  IPC_INFO: 3,
  SHM_LOCK: 11,
  SHM_UNLOCK: 12,
  SHM_STAT: 13,
  SHM_INFO: 14,
  SHM_STAT_ANY: 15,
} as const;

export const SemCommand = {
  IPC_RMID: 0,
  IPC_SET: 1,
  IPC_STAT: 2,
  IPC_INFO: 3,
  GETPID: 11,
  GETVAL: 12,
  GETALL: 13,
  GETNCNT: 14,
  GETZCNT: 15,
  SETVAL: 16,
  SETALL: 17,
  SEM_STAT: 18,
  SEM_INFO: 19,
  SEM_STAT_ANY: 20,
} as const;

export const MsgCommand = {
  IPC_RMID: 0,
  IPC_SET: 1,
  IPC_STAT: 2,
  IPC_INFO: 3,
  MSG_STAT: 11,
  MSG_INFO: 12,
  MSG_STAT_ANY: 13,
} as const;

/** `IPC_PRIVATE`, or the key. */
export const key: Argument<number> = { ...hexWord, print: (raw) => (raw === Ipc.PRIVATE ? 'IPC_PRIVATE' : hex(raw)) };

/** `IPC_CREAT|IPC_EXCL|0600`. */
export const getFlags: Argument<number> = {
  ...hexWord,
  print(raw) {
    const names = bits(raw & ~0o777, { IPC_CREAT: Ipc.CREAT, IPC_EXCL: Ipc.EXCL });
    return (raw & ~0o777) === 0 ? octalMode(raw & 0o777) : `${names}|${octalMode(raw & 0o777)}`;
  },
};

/** A command, with IPC_64 as strace shows it. */
export const command = (names: Readonly<Record<string, number>>): Argument<number> => ({
  ...int,
  print(raw) {
    const name = named(raw & ~IPC_64, names);
    return (raw & IPC_64) !== 0 ? `IPC_64|${name}` : name;
  },
});

export const attachFlagNames = {
  SHM_RDONLY: Shm.RDONLY,
  SHM_RND: Shm.RND,
  SHM_REMAP: Shm.REMAP,
  SHM_EXEC: Shm.EXEC,
} as const;
export const messageFlagNames = {
  IPC_NOWAIT: Ipc.NOWAIT,
  MSG_NOERROR: MsgFlag.NOERROR,
  MSG_EXCEPT: MsgFlag.EXCEPT,
  MSG_COPY: MsgFlag.COPY,
} as const;
export const semaphoreFlagNames = { IPC_NOWAIT: Ipc.NOWAIT, SEM_UNDO } as const;
