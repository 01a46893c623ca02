import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { Mode } from './flags.ts';
import { type Creation, entryOf, Inode, openDirectory } from './inode.ts';
import { type Charge, MemoryData } from './memory-data.ts';
import { MemoryFile, type MemoryOwner } from './memory-file.ts';
import { anonymousStat, type DirectoryEntry, type FileStat, fileType, type OpenFile } from './open-file.ts';

const now = (): bigint => BigInt(Date.now()) * 1_000_000n;

/** How many bytes all files of one tmpfs may hold. */
export function limitedCharge(limit: number): Charge {
  let used = 0;
  return (change) => {
    if (change > 0 && used + change > limit) throw new Errno('ENOSPC');
    used += change;
  };
}

/** An object of a tmpfs. */
abstract class TmpInode extends Inode {
  protected identity: FileStat;
  protected readonly charge: Charge;

  constructor(mode: number, owner: Process | null, charge: Charge) {
    super();
    this.charge = charge;
    const { fsuid = 0, fsgid = 0 } = owner?.credentials ?? {};
    this.identity = { ...anonymousStat(mode), dev: 0x19n, uid: BigInt(fsuid), gid: BigInt(fsgid), nlink: 1n };
  }

  override stat(): FileStat {
    return this.identity;
  }

  protected change(change: Partial<FileStat>): void {
    this.identity = { ...this.identity, ctimeNs: now(), ...change };
  }

  /** Counts names in or out. */
  linked(change: number): void {
    this.change({ nlink: this.identity.nlink + BigInt(change) });
  }

  override chmod(mode: number): void {
    this.change({ mode: BigInt(fileType(this.identity.mode) | (mode & 0o7777)) });
  }

  override chown(uid: number, gid: number): void {
    if (uid !== -1) this.change({ uid: BigInt(uid >>> 0) });
    if (gid !== -1) this.change({ gid: BigInt(gid >>> 0) });
  }

  override setTimes(atimeNs: bigint, mtimeNs: bigint): void {
    this.change({ atimeNs, mtimeNs });
  }
}

class TmpFile extends TmpInode implements MemoryOwner {
  readonly data: MemoryData;
  private opened = 0;

  constructor(mode: number, owner: Process | null, charge: Charge) {
    super(mode, owner, charge);
    this.data = new MemoryData(undefined, undefined, charge);
  }

  override stat(): FileStat {
    const size = BigInt(this.data.size);
    return { ...this.identity, size, blocks: 8n * ((size + 4095n) / 4096n) };
  }

  override open(_viewer: Process, path: Uint8Array, flags: number): OpenFile {
    this.opened++;
    const file = new MemoryFile(path, flags, this);
    file.onClose(() => {
      this.opened--;
      this.dropIfGone();
    });
    return file;
  }

  override linked(change: number): void {
    super.linked(change);
    this.dropIfGone();
  }

  private dropIfGone(): void {
    if (this.opened === 0 && this.identity.nlink === 0n) this.data.drop();
  }

  override truncate(length: number): void {
    this.data.resize(length);
    this.touched();
  }

  touched(): void {
    this.change({ mtimeNs: now() });
  }
}

class TmpLink extends TmpInode {
  private readonly target: Uint8Array;

  constructor(target: Uint8Array, owner: Process | null, charge: Charge) {
    super(Mode.link | 0o777, owner, charge);
    this.target = Uint8Array.from(target);
    this.identity = { ...this.identity, size: BigInt(target.length) };
  }

  override get isLink(): boolean {
    return true;
  }

  override readlink(): Uint8Array {
    return this.target;
  }
}

/** A FIFO or a socket: what is opened by it is found by its number. */
class TmpSpecial extends TmpInode {}

/** A directory of a tmpfs. */
export class TmpDirectory extends TmpInode {
  private readonly children = new Map<string, TmpInode>();
  private gone = false;

  constructor(mode: number, owner: Process | null, charge: Charge) {
    super(Mode.directory | mode, owner, charge);
    this.linked(1);
  }

  override lookup(name: string): Inode | null {
    return this.children.get(name) ?? null;
  }

  override list(): readonly DirectoryEntry[] {
    return [...this.children].map(([name, inode]) => entryOf(name, inode));
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    return openDirectory(this, viewer, path, flags);
  }

  private place(name: string, inode: TmpInode): void {
    if (this.gone) throw new Errno('ENOENT');
    this.children.set(name, inode);
    if (inode.isDirectory) this.linked(1);
    this.change({ mtimeNs: now() });
  }

  private take(name: string): void {
    if (this.children.get(name)?.isDirectory) this.linked(-1);
    this.children.delete(name);
    this.change({ mtimeNs: now() });
  }

  override create(name: string, { mode, process }: Creation): TmpInode {
    const inode = this.make(mode, process);
    this.place(name, inode);
    return inode;
  }

  private make(mode: number, process: Process | null): TmpInode {
    switch (fileType(BigInt(mode))) {
      case Mode.directory:
        return new TmpDirectory(mode & 0o7777, process, this.charge);
      case 0:
      case Mode.regular:
        return new TmpFile(Mode.regular | (mode & 0o7777), process, this.charge);
      case Mode.fifo:
      case Mode.socket:
        return new TmpSpecial(mode, process, this.charge);
      default:
        throw new Errno('EPERM');
    }
  }

  /** O_TMPFILE. */
  makeUnnamed(mode: number, process: Process): Inode {
    const inode = this.make(mode, process);
    inode.linked(-1);
    return inode;
  }

  override symlink(name: string, target: Uint8Array, process: Process): void {
    this.place(name, new TmpLink(target, process, this.charge));
  }

  override link(name: string, inode: Inode): void {
    if (!(inode instanceof TmpInode)) throw new Errno('EXDEV');
    if (inode.isDirectory) throw new Errno('EPERM');
    this.place(name, inode);
    inode.linked(1);
  }

  override remove(name: string, directory: boolean): void {
    const inode = this.children.get(name);
    if (inode === undefined) throw new Errno('ENOENT');
    if (directory && !inode.isDirectory) throw new Errno('ENOTDIR');
    if (!directory && inode.isDirectory) throw new Errno('EISDIR');
    this.discard(inode);
    this.take(name);
  }

  /** A name of `inode` is about to go. ENOTEMPTY. */
  private discard(inode: TmpInode): void {
    if (!(inode instanceof TmpDirectory)) {
      inode.linked(-1);
      return;
    }
    if (inode.children.size > 0) throw new Errno('ENOTEMPTY');
    inode.gone = true;
    inode.linked(-2);
  }

  override rename(name: string, target: Inode, newName: string): void {
    const inode = this.children.get(name);
    if (inode === undefined) throw new Errno('ENOENT');
    if (!(target instanceof TmpDirectory)) throw new Errno('EXDEV');
    if (inode instanceof TmpDirectory && inode.holds(target)) throw new Errno('EINVAL');
    const old = target.children.get(newName);
    if (old === inode) return;
    if (old !== undefined) {
      if (old.isDirectory && !inode.isDirectory) throw new Errno('EISDIR');
      if (!old.isDirectory && inode.isDirectory) throw new Errno('ENOTDIR');
      this.discard(old);
      target.take(newName);
    }
    this.take(name);
    target.place(newName, inode);
  }

  /** RENAME_EXCHANGE. */
  exchange(name: string, target: TmpDirectory, newName: string): void {
    const [one, other] = [this.children.get(name), target.children.get(newName)];
    if (one === undefined || other === undefined) throw new Errno('ENOENT');
    this.take(name);
    target.take(newName);
    this.place(name, other);
    target.place(newName, one);
  }

  private holds(inode: Inode): boolean {
    if (this === inode) return true;
    for (const child of this.children.values()) if (child instanceof TmpDirectory && child.holds(inode)) return true;
    return false;
  }

  /** The directory at `path` below this one, made where it is missing. */
  makePath(path: string): TmpDirectory {
    return path
      .split('/')
      .filter((part) => part !== '')
      .reduce<TmpDirectory>((at, name) => at.makeDirectory(name), this);
  }

  private makeDirectory(name: string): TmpDirectory {
    const known = this.children.get(name);
    if (known instanceof TmpDirectory) return known;
    if (known !== undefined) throw new Errno('ENOTDIR');
    const made = new TmpDirectory(0o755, null, this.charge);
    this.place(name, made);
    return made;
  }
}
