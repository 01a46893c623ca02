import { Errno, type ErrnoName } from '#util/errno.ts';
import type { Credentials } from '../credentials.ts';

/** Flags of the get calls, commands of the ctl calls (include/uapi/linux/ipc.h). */
export const Ipc = {
  CREAT: 0o1000,
  EXCL: 0o2000,
  NOWAIT: 0o4000,
  RMID: 0,
  SET: 1,
  STAT: 2,
  INFO: 3,
  PRIVATE: 0,
} as const;

/** What an operation needs, in the bits of one class of permissions. */
export const IpcAccess = { read: 4, write: 2, execute: 1 } as const;

/** Seconds since the epoch. */
export const now = (): number => Math.floor(Date.now() / 1000);

/** Ids are an index in the low 15 bits and a number that changes with each removal, within what is positive. */
const indexBits = 15;
const sequences = 0xffff;

/** A System V IPC object, with its owner and permissions (struct ipc64_perm). */
export class IpcObject {
  key: number;
  readonly cuid: number;
  readonly cgid: number;
  uid: number;
  gid: number;
  /** Permission bits, and what the kind of object keeps there. */
  mode: number;
  /** IPC_SET, or made: seconds. */
  changed: number = now();
  id = 0;

  constructor(key: number, mode: number, { euid, egid }: Credentials) {
    this.key = key;
    this.mode = mode & 0o777;
    this.cuid = this.uid = euid;
    this.cgid = this.gid = egid;
  }

  get sequence(): number {
    return this.id >>> indexBits;
  }

  /** EACCES unless the caller may do what `access` says (ipcperms). */
  check(credentials: Credentials, access: number): void {
    const { euid, egid, groups } = credentials;
    if (euid === 0) return;
    const inGroup = [this.gid, this.cgid].some((gid) => gid === egid || groups.includes(gid));
    const shift = euid === this.uid || euid === this.cuid ? 6 : inGroup ? 3 : 0;
    if ((access & ~(this.mode >> shift) & 7) !== 0) throw new Errno('EACCES');
  }

  /** EPERM unless the caller may change or remove it. */
  checkOwner({ euid }: Credentials): void {
    if (euid !== 0 && euid !== this.uid && euid !== this.cuid) throw new Errno('EPERM');
  }

  /** IPC_SET. */
  setOwner(uid: number, gid: number, mode: number): void {
    this.uid = uid;
    this.gid = gid;
    this.mode = (this.mode & ~0o777) | (mode & 0o777);
    this.changed = now();
  }
}

/** How `IpcTable.obtain` makes an object, and whether one that is there will do (else the error). */
export interface IpcRequest<T> {
  readonly key: number;
  /** IPC_CREAT, IPC_EXCL, permission bits. */
  readonly flags: number;
  readonly credentials: Credentials;
  readonly make: () => T;
  readonly unsuitable: (found: T) => ErrnoName | null;
}

/** The objects of one kind: by id, by key, by index (svipc(7)). */
export class IpcTable<T extends IpcObject> {
  private readonly slots: (T | undefined)[] = [];
  private readonly limit: number;
  private sequence = 0;

  /** `limit`: most objects there may be; ENOSPC beyond. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Everything that is there, by index. */
  *[Symbol.iterator](): Iterator<T> {
    for (const object of this.slots) if (object !== undefined) yield object;
  }

  get count(): number {
    return this.slots.filter((object) => object !== undefined).length;
  }

  /** The highest index in use; 0 when there is none, as the INFO commands tell. */
  get highestIndex(): number {
    return Math.max(
      0,
      this.slots.findLastIndex((object) => object !== undefined),
    );
  }

  /** The get calls: the id of the object with that key. ENOENT, EEXIST, EACCES, ENOSPC. */
  obtain({ key, flags, credentials, make, unsuitable }: IpcRequest<T>): number {
    const found = key === Ipc.PRIVATE ? undefined : this.slots.find((object) => object?.key === key);
    if (found === undefined) {
      if (key !== Ipc.PRIVATE && (flags & Ipc.CREAT) === 0) throw new Errno('ENOENT');
      return this.add(make());
    }
    if ((flags & Ipc.CREAT) !== 0 && (flags & Ipc.EXCL) !== 0) throw new Errno('EEXIST');
    const error = unsuitable(found);
    if (error !== null) throw new Errno(error);
    found.check(credentials, (flags >> 6) | (flags >> 3) | flags);
    return found.id;
  }

  private add(object: T): number {
    let index = this.slots.indexOf(undefined);
    if (index < 0) index = this.slots.length;
    if (index >= this.limit) throw new Errno('ENOSPC');
    object.id = (this.sequence << indexBits) | index;
    this.slots[index] = object;
    return object.id;
  }

  /** The object with this id; EINVAL. */
  get(id: number): T {
    const object = this.at(id & ((1 << indexBits) - 1));
    if (id < 0 || object.id !== id) throw new Errno('EINVAL');
    return object;
  }

  /** The object at this index; EINVAL. */
  at(index: number): T {
    const object = this.slots[index];
    if (object === undefined) throw new Errno('EINVAL');
    return object;
  }

  remove(object: T): void {
    this.slots[object.id & ((1 << indexBits) - 1)] = undefined;
    this.sequence = (this.sequence + 1) % sequences;
  }
}
