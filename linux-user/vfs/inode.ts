import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { Mode, Open } from './flags.ts';
import { lstat } from './host-tree.ts';
import { anonymousStat, type DirectoryEntry, type FileStat, fileType, OpenFile, Seek } from './open-file.ts';

/** What the change of a directory or a file needs to know of who makes it. */
export interface Creation {
  /** Type and permission bits, after the umask. */
  readonly mode: number;
  readonly process: Process;
}

/**
 * An object of a file system that is ours (/proc, /dev, tmpfs). Names are bytes as latin1 text. The defaults answer as
 * Linux does for an object that lacks the operation.
 */
export abstract class Inode {
  abstract stat(): FileStat;

  /** The path below which the host has what is not here; null: what is not here is nowhere. */
  readonly host: string | null = null;

  get isDirectory(): boolean {
    return fileType(this.stat().mode) === Mode.directory;
  }

  get isLink(): boolean {
    return false;
  }

  /** A link that leads to an object rather than to the path it shows (RESOLVE_NO_MAGICLINKS). */
  readonly isMagic: boolean = false;

  /** The entry of a directory; null if there is none. `viewer`: null while the first process is being made. */
  lookup(_name: string, _viewer: Process | null): Inode | null {
    throw new Errno('ENOTDIR');
  }

  /** What is in a directory, without "." and "..". */
  list(_viewer: Process): readonly DirectoryEntry[] {
    throw new Errno('ENOTDIR');
  }

  /** readlink(2). */
  readlink(_viewer: Process): Uint8Array {
    throw new Errno('EINVAL');
  }

  /** Where a link leads: to a path, or straight to an open file. */
  follow(viewer: Process): Uint8Array | OpenFile {
    return this.readlink(viewer);
  }

  /** open(2); `flags` have no O_CREAT any more. */
  open(_viewer: Process, _path: Uint8Array, _flags: number): OpenFile {
    throw new Errno('ENXIO');
  }

  /** Makes a regular file, directory, FIFO or socket of `creation.mode`'s type. */
  create(_name: string, _creation: Creation): Inode {
    throw new Errno('EACCES');
  }

  symlink(_name: string, _target: Uint8Array, _process: Process): void {
    throw new Errno('EACCES');
  }

  link(_name: string, _inode: Inode): void {
    throw new Errno('EPERM');
  }

  /** `directory`: rmdir(2), else unlink(2). */
  remove(_name: string, _directory: boolean): void {
    throw new Errno('EPERM');
  }

  /** Moves the entry `name` into `target` (of the same file system) as `newName`. */
  rename(_name: string, _target: Inode, _newName: string): void {
    throw new Errno('EPERM');
  }

  chmod(_mode: number): void {
    throw new Errno('EPERM');
  }

  chown(_uid: number, _gid: number): void {
    throw new Errno('EPERM');
  }

  setTimes(_atimeNs: bigint, _mtimeNs: bigint): void {
    throw new Errno('EPERM');
  }

  truncate(_length: number): void {
    throw new Errno(this.isDirectory ? 'EISDIR' : 'EINVAL');
  }
}

/** DT_* of a mode. */
export const entryType = (mode: bigint): number => Number(mode >> 12n) & 15;

/** A directory's entry for an object. */
export function entryOf(name: string, inode: Inode): DirectoryEntry {
  const { ino, mode } = inode.stat();
  return { name: Buffer.from(name, 'latin1'), ino, type: entryType(mode) };
}

/** What the host has in a directory beside what is ours. */
export function hostEntries(host: string, own: (name: string) => boolean): DirectoryEntry[] {
  let names: string[];
  try {
    names = fs.readdirSync(host, { encoding: 'latin1' });
  } catch {
    return [];
  }
  return names
    .filter((name) => !own(name))
    .map((name) => {
      const stat = lstat(`${host}/${name}`);
      return {
        name: Buffer.from(name, 'latin1'),
        ino: stat?.ino ?? 1n,
        type: stat === undefined ? 0 : entryType(stat.mode),
      };
    });
}

/** An open directory of ours; or, with O_PATH, any object. */
export class OpenInode extends OpenFile {
  readonly inode: Inode;
  private readonly viewer: Process;
  private taken: readonly DirectoryEntry[] | null = null;

  constructor(inode: Inode, viewer: Process, path: Uint8Array, flags: number) {
    super(path, flags);
    this.inode = inode;
    this.viewer = viewer;
  }

  override get isDirectory(): boolean {
    return this.inode.isDirectory;
  }

  override stat(): FileStat {
    return this.inode.stat();
  }

  override read(): number {
    throw new Errno(this.isDirectory ? 'EISDIR' : 'EBADF');
  }

  override write(): number {
    throw new Errno('EBADF');
  }

  override seek(offset: number, whence: number): number {
    if ((this.flags & Open.path) !== 0) throw new Errno('EBADF');
    const target = whence === Seek.set ? offset : whence === Seek.current ? this.directoryOffset + offset : -1;
    if (target < 0) throw new Errno('EINVAL');
    if (target === 0) this.taken = null;
    this.directoryOffset = target;
    return target;
  }

  override entries(): readonly DirectoryEntry[] {
    if (this.taken !== null) return this.taken;
    const own = this.stat().ino;
    const dots = ['.', '..'].map((name) => ({ name: Buffer.from(name), ino: own, type: 4 }));
    this.taken = [...dots, ...this.inode.list(this.viewer)];
    return this.taken;
  }

  override chmod(mode: number): void {
    this.inode.chmod(mode);
  }

  override chown(uid: number, gid: number): void {
    this.inode.chown(uid, gid);
  }

  override setTimes(atimeNs: bigint, mtimeNs: bigint): void {
    this.inode.setTimes(atimeNs, mtimeNs);
  }

  override sync(): void {}
}

/** An object that looks the same all its life. */
abstract class FixedInode extends Inode {
  private identity: FileStat;

  constructor(mode: number, rdev = 0n) {
    super();
    this.identity = { ...anonymousStat(mode), rdev, uid: 0n, gid: 0n };
  }

  override stat(): FileStat {
    return this.identity;
  }

  protected change(change: Partial<FileStat>): void {
    this.identity = { ...this.identity, ...change };
  }
}

/** A directory whose entries are given by a table and a function. */
export class TreeDirectory extends FixedInode {
  private readonly table: ReadonlyMap<string, Inode>;
  override readonly host: string | null;

  /** `host`: where the host has the rest, if that is to be seen too. */
  constructor(entries: Readonly<Record<string, Inode>>, host: string | null = null, mode = 0o555) {
    super(Mode.directory | mode);
    this.table = new Map(Object.entries(entries));
    this.host = host;
  }

  override lookup(name: string, _viewer: Process | null): Inode | null {
    return this.table.get(name) ?? null;
  }

  override list(_viewer: Process): readonly DirectoryEntry[] {
    const own = [...this.table].map(([name, inode]) => entryOf(name, inode));
    return this.host === null ? own : [...own, ...hostEntries(this.host, (name) => this.table.has(name))];
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    return openDirectory(this, viewer, path, flags);
  }
}

/** Opens a directory of ours: it can only be read. */
export function openDirectory(inode: Inode, viewer: Process, path: Uint8Array, flags: number): OpenFile {
  if ((flags & Open.accessMode) !== Open.readOnly) throw new Errno('EISDIR');
  return new OpenInode(inode, viewer, path, flags);
}

/** A symbolic link of ours. */
export class LinkInode extends FixedInode {
  private readonly target: (viewer: Process) => string | Uint8Array;
  override readonly isMagic: boolean;

  constructor(target: (viewer: Process) => string | Uint8Array, isMagic = false) {
    super(Mode.link | 0o777);
    this.target = target;
    this.isMagic = isMagic;
  }

  override get isLink(): boolean {
    return true;
  }

  override readlink(viewer: Process): Uint8Array {
    const target = this.target(viewer);
    return typeof target === 'string' ? Buffer.from(target, 'latin1') : target;
  }
}

/** A device: `open` makes the file. */
export class DeviceInode extends FixedInode {
  private readonly make: (viewer: Process, path: Uint8Array, flags: number, identity: FileStat) => OpenFile;

  constructor(
    major: number,
    minor: number,
    make: (viewer: Process, path: Uint8Array, flags: number, identity: FileStat) => OpenFile,
    mode = 0o666,
  ) {
    super(Mode.character | mode, (BigInt(major) << 8n) | BigInt(minor));
    this.make = make;
  }

  override chmod(mode: number): void {
    this.change({ mode: BigInt(Mode.character | mode) });
  }

  override chown(uid: number, gid: number): void {
    if (uid !== -1) this.change({ uid: BigInt(uid >>> 0) });
    if (gid !== -1) this.change({ gid: BigInt(gid >>> 0) });
  }

  override setTimes(atimeNs: bigint, mtimeNs: bigint): void {
    this.change({ atimeNs, mtimeNs });
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    return this.make(viewer, path, flags, this.stat());
  }

  /** open(2) with O_TRUNC does nothing to a device. */
  override truncate(): void {}
}
