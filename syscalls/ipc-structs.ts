import type { GuestMemory } from '#accel/guest-memory.ts';
import type { IpcObject } from '#linux-user/ipc/ipc-table.ts';
import { guestStruct } from './guest-struct.ts';

/*
 * The structs of the *ctl calls, as 32-bit guests have them with IPC_64 (include/uapi/asm-generic/ipcbuf.h, shmbuf.h,
 * sembuf.h, msgbuf.h). Times are two words; so that they can be read as one, they are u64 on 4 bytes: two u32 here.
 */

const permissions = {
  key: 'u32',
  uid: 'u32',
  gid: 'u32',
  cuid: 'u32',
  cgid: 'u32',
  mode: 'u16',
  pad1: 'u16',
  seq: 'u16',
  pad2: 'u16',
  unused1: 'u32',
  unused2: 'u32',
} as const;

export const shmidStruct = guestStruct({
  ...permissions,
  segsz: 'u32',
  atime: 'u32',
  atimeHigh: 'u32',
  dtime: 'u32',
  dtimeHigh: 'u32',
  ctime: 'u32',
  ctimeHigh: 'u32',
  cpid: 'u32',
  lpid: 'u32',
  nattch: 'u32',
  unused4: 'u32',
  unused5: 'u32',
});

export const semidStruct = guestStruct({
  ...permissions,
  otime: 'u32',
  otimeHigh: 'u32',
  ctime: 'u32',
  ctimeHigh: 'u32',
  nsems: 'u32',
  unused3: 'u32',
  unused4: 'u32',
});

export const msqidStruct = guestStruct({
  ...permissions,
  stime: 'u32',
  stimeHigh: 'u32',
  rtime: 'u32',
  rtimeHigh: 'u32',
  ctime: 'u32',
  ctimeHigh: 'u32',
  cbytes: 'u32',
  qnum: 'u32',
  qbytes: 'u32',
  lspid: 'u32',
  lrpid: 'u32',
  unused4: 'u32',
  unused5: 'u32',
});

export const shminfoStruct = guestStruct({
  shmmax: 'u32',
  shmmin: 'u32',
  shmmni: 'u32',
  shmseg: 'u32',
  shmall: 'u32',
  unused1: 'u32',
  unused2: 'u32',
  unused3: 'u32',
  unused4: 'u32',
});

export const shmUsageStruct = guestStruct({
  usedIds: 'u32',
  total: 'u32',
  resident: 'u32',
  swapped: 'u32',
  swapAttempts: 'u32',
  swapSuccesses: 'u32',
});

export const seminfoStruct = guestStruct({
  semmap: 'u32',
  semmni: 'u32',
  semmns: 'u32',
  semmnu: 'u32',
  semmsl: 'u32',
  semopm: 'u32',
  semume: 'u32',
  semusz: 'u32',
  semvmx: 'u32',
  semaem: 'u32',
});

export const msginfoStruct = guestStruct({
  msgpool: 'u32',
  msgmap: 'u32',
  msgmax: 'u32',
  msgmnb: 'u32',
  msgmni: 'u32',
  msgssz: 'u32',
  msgtql: 'u32',
  msgseg: 'u16',
});

/** The fields of struct ipc64_perm. */
export function permissionFields(
  object: IpcObject,
): Record<'key' | 'uid' | 'gid' | 'cuid' | 'cgid' | 'mode' | 'seq', number> {
  const { key, uid, gid, cuid, cgid, mode, sequence } = object;
  return { key, uid, gid, cuid, cgid, mode, seq: sequence & 0xffff };
}

/** What IPC_SET takes from a struct: owner and mode are at the same place in all three. */
export function loadOwner(memory: GuestMemory, at: number): { uid: number; gid: number; mode: number } {
  const [uid, gid, mode] = [4, 8, 20].map((offset) => memory.load32(at + offset));
  return { uid, gid, mode: mode & 0xffff };
}
