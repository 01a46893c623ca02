import { Errno, errnoNumbers, errnoOf } from '#util/errno.ts';
import { type HostCalls, hostCalls } from '../host-calls.ts';
import { Mode } from './flags.ts';
import type { HostPlace, Place } from './namespace.ts';
import { fileType, type OpenFile } from './open-file.ts';

/*
 * Extended attributes (xattr(7)). The host's files have the host's, where its C library can be asked; files of ours have
 * those of the name space "user." in memory.
 */

/** Longest value and list (XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const longestValue = 65536;

export const XattrFlag = { XATTR_CREATE: 1, XATTR_REPLACE: 2 } as const;

/** Extended attributes of one file, links followed or not as the place says. */
export interface Xattrs {
  /** ENODATA without such an attribute; EOPNOTSUPP. */
  get(name: string): Uint8Array;
  /** EEXIST, ENODATA by the flags. */
  set(name: string, value: Uint8Array, flags: number): void;
  names(): string[];
  remove(name: string): void;
}

class HostXattrs implements Xattrs {
  private readonly calls: HostCalls;
  private readonly path: ArrayBuffer;
  private readonly prefix: 'l' | '';
  /** A guest that is kept from the host writes no attributes that mean something there. */
  private readonly confined: boolean;
  private readonly readOnly: boolean;

  constructor(calls: HostCalls, path: Buffer, follow: boolean, confined: boolean, readOnly: boolean) {
    this.calls = calls;
    this.path = calls.text(path);
    this.prefix = follow ? '' : 'l';
    this.confined = confined;
    this.readOnly = readOnly;
  }

  private name(name: string): ArrayBuffer {
    return this.calls.text(Buffer.from(name, 'latin1'));
  }

  get(name: string): Uint8Array {
    const { calls } = this;
    const text = this.name(name);
    const value = new ArrayBuffer(longestValue);
    const length = calls.call(`${this.prefix}getxattr`, this.path, text, value, BigInt(longestValue));
    return new Uint8Array(value, 0, length);
  }

  set(name: string, value: Uint8Array, flags: number): void {
    this.checkChange(name);
    const { calls } = this;
    const text = this.name(name);
    const copy = calls.text(value);
    calls.call(`${this.prefix}setxattr`, this.path, text, copy, BigInt(value.length), flags);
  }

  names(): string[] {
    const { calls } = this;
    const list = new ArrayBuffer(longestValue);
    const length = calls.call(`${this.prefix}listxattr`, this.path, list, BigInt(longestValue));
    return Buffer.from(list, 0, length).toString('latin1').split('\0').slice(0, -1);
  }

  remove(name: string): void {
    this.checkChange(name);
    const text = this.name(name);
    this.calls.call(`${this.prefix}removexattr`, this.path, text);
  }

  private checkChange(name: string): void {
    if (this.readOnly) throw new Errno('EROFS');
    if (this.confined && /^(security|system|trusted)\./.test(name)) throw new Errno('EPERM');
  }
}

class MemoryXattrs implements Xattrs {
  private readonly values: Map<string, Uint8Array>;
  private readonly allowed: boolean;

  constructor(values: Map<string, Uint8Array>, allowed: boolean) {
    this.values = values;
    this.allowed = allowed;
  }

  private check(name: string): void {
    if (!name.startsWith('user.')) throw new Errno('EOPNOTSUPP');
    if (!this.allowed) throw new Errno('EPERM');
  }

  get(name: string): Uint8Array {
    if (!name.startsWith('user.')) throw new Errno('EOPNOTSUPP');
    const value = this.values.get(name);
    if (value === undefined) throw new Errno('ENODATA');
    return value;
  }

  set(name: string, value: Uint8Array, flags: number): void {
    this.check(name);
    const known = this.values.has(name);
    if ((flags & XattrFlag.XATTR_CREATE) !== 0 && known) throw new Errno('EEXIST');
    if ((flags & XattrFlag.XATTR_REPLACE) !== 0 && !known) throw new Errno('ENODATA');
    this.values.set(name, Uint8Array.from(value));
  }

  names(): string[] {
    return [...this.values.keys()];
  }

  remove(name: string): void {
    this.check(name);
    if (!this.values.delete(name)) throw new Errno('ENODATA');
  }
}

/** A host that cannot be asked: nothing is there, and nothing can be put there. */
const unsupported: Xattrs = {
  get: () => {
    throw new Errno('EOPNOTSUPP');
  },
  set: () => {
    throw new Errno('EOPNOTSUPP');
  },
  names: () => [],
  remove: () => {
    throw new Errno('EOPNOTSUPP');
  },
};

const inMemory = new WeakMap<object, Map<string, Uint8Array>>();

function memoryXattrs(owner: object, mode: bigint): Xattrs {
  const values = inMemory.get(owner) ?? new Map<string, Uint8Array>();
  inMemory.set(owner, values);
  const type = fileType(mode);
  return new MemoryXattrs(values, type === Mode.regular || type === Mode.directory);
}

/** Of a place. ENOENT. */
export function xattrsOfPlace(place: Place, follow: boolean, confined: boolean): Xattrs {
  if (place.kind === 'file') return xattrsOfFile(place.file, confined);
  if (place.kind === 'host') return hostXattrs(place, follow, confined);
  if (place.inode === null) throw new Errno('ENOENT');
  return memoryXattrs(place.inode, place.inode.stat().mode);
}

function hostXattrs({ host, mount, confined }: HostPlace, follow: boolean, closed: boolean): Xattrs {
  const calls = hostCalls();
  if (calls === null) return unsupported;
  return new HostXattrs(calls, host, follow && !confined, closed, mount.readOnly);
}

/** Of an open file. EBADF for one opened with O_PATH is the caller's business. */
export function xattrsOfFile(file: OpenFile, confined: boolean): Xattrs {
  const calls = hostCalls();
  if (file.hostFd < 0) return memoryXattrs('owner' in file ? (file.owner as object) : file, file.stat().mode);
  if (calls === null) return unsupported;
  const path = Buffer.from(`/proc/self/fd/${file.hostFd}`);
  return new HostXattrs(calls, path, true, confined, file.mount?.readOnly ?? false);
}

/** listxattr(2) of what has no attributes at all is an empty list. */
export function xattrNames(attributes: Xattrs): string[] {
  try {
    return attributes.names();
  } catch (error) {
    if (errnoOf(error) === errnoNumbers.EOPNOTSUPP) return [];
    throw error;
  }
}
