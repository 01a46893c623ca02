import { Errno } from '#util/errno.ts';
import { Mode, Open, Poll } from './flags.ts';
import { MemoryData, Seal } from './memory-data.ts';
import { anonymousStat, Fallocate, type FileStat, OpenFile, Seek } from './open-file.ts';

/** What a file in memory is besides its bytes. */
export interface MemoryOwner {
  readonly data: MemoryData;
  stat(): FileStat;
  chmod(mode: number): void;
  chown(uid: number, gid: number): void;
  setTimes(atimeNs: bigint, mtimeNs: bigint): void;
  /** The content has changed. */
  touched(): void;
}

/** An object without a name: memfd_create, and texts of ours. */
export class AnonymousMemory implements MemoryOwner {
  readonly data: MemoryData;
  private identity: FileStat;

  /** `mode`: permission bits of a regular file. */
  constructor(data: MemoryData, mode: number) {
    this.data = data;
    this.identity = anonymousStat(Mode.regular | mode);
  }

  stat(): FileStat {
    const size = BigInt(this.data.size);
    return { ...this.identity, size, blocks: (size + 511n) / 512n };
  }

  chmod(mode: number): void {
    const executable = (mode & 0o111) !== (Number(this.identity.mode) & 0o111);
    if (executable && (this.data.seals & Seal.exec) !== 0) throw new Errno('EPERM');
    this.identity = { ...this.identity, mode: BigInt(Mode.regular | mode) };
  }

  chown(uid: number, gid: number): void {
    const { identity } = this;
    this.identity = {
      ...identity,
      uid: uid === -1 ? identity.uid : BigInt(uid >>> 0),
      gid: gid === -1 ? identity.gid : BigInt(gid >>> 0),
    };
  }

  setTimes(atimeNs: bigint, mtimeNs: bigint): void {
    this.identity = { ...this.identity, atimeNs, mtimeNs };
  }

  touched(): void {
    const now = BigInt(Date.now()) * 1_000_000n;
    this.identity = { ...this.identity, mtimeNs: now, ctimeNs: now };
  }
}

/** An open file whose bytes are in our memory: tmpfs, memfd_create, texts of /proc. */
export class MemoryFile extends OpenFile {
  readonly owner: MemoryOwner;
  private offset = 0;

  constructor(path: Uint8Array, flags: number, owner: MemoryOwner) {
    super(path, flags);
    this.owner = owner;
  }

  /** A file with a text that can only be read. */
  static text(path: Uint8Array, flags: number, content: Uint8Array, mode: number): MemoryFile {
    return new MemoryFile(path, flags, new AnonymousMemory(new MemoryData(content), mode));
  }

  get data(): MemoryData {
    return this.owner.data;
  }

  override get seekable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.owner.stat();
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const count = this.pread(bytes, start, length, this.offset);
    this.offset += count;
    return count;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    if ((this.flags & Open.append) !== 0) this.offset = this.data.size;
    const count = this.pwrite(bytes, start, length, this.offset);
    this.offset += count;
    return count;
  }

  override pread(bytes: Uint8Array, start: number, length: number, offset: number): number {
    return this.data.read(bytes, start, length, offset);
  }

  override pwrite(bytes: Uint8Array, start: number, length: number, offset: number): number {
    const at = (this.flags & Open.append) !== 0 ? this.data.size : offset;
    const count = this.data.write(bytes, start, length, at);
    this.owner.touched();
    return count;
  }

  override seek(offset: number, whence: number): number {
    const { size } = this.data;
    const ends = whence === Seek.data || whence === Seek.hole;
    if (ends && (offset < 0 || offset >= size)) throw new Errno('ENXIO');
    const base = whence === Seek.current ? this.offset : whence === Seek.end ? size : 0;
    const target = whence === Seek.hole ? size : base + offset;
    if (target < 0 || target > Number.MAX_SAFE_INTEGER) throw new Errno('EINVAL');
    this.offset = target;
    return target;
  }

  override available(): number {
    return Math.max(0, this.data.size - this.offset);
  }

  override poll(events: number): number {
    return events & (Poll.in | Poll.out | Poll.rdNorm | Poll.wrNorm);
  }

  override truncate(length: number): void {
    if (!this.writable) throw new Errno('EINVAL');
    this.data.resize(length);
    this.owner.touched();
  }

  override allocate(mode: number, offset: number, length: number): void {
    const grows = (mode & Fallocate.keepSize) === 0 && offset + length > this.data.size;
    if (grows) this.data.resize(offset + length);
    if ((mode & (Fallocate.punchHole | Fallocate.zeroRange)) !== 0) this.data.clear(offset, length);
    this.owner.touched();
  }

  override chmod(mode: number): void {
    this.owner.chmod(mode);
  }

  override chown(uid: number, gid: number): void {
    this.owner.chown(uid, gid);
  }

  override setTimes(atimeNs: bigint, mtimeNs: bigint): void {
    this.owner.setTimes(atimeNs, mtimeNs);
  }

  override sync(): void {}
}
