import { Errno } from '#util/errno.ts';
import { Mode, Open, Poll } from './flags.ts';
import { anonymousStat, type FileStat, OpenFile, Seek } from './open-file.ts';

/** A file whose bytes are in our memory: synthetic files (/proc/self/maps) and memfd_create. */
export class MemoryFile extends OpenFile {
  private content: Uint8Array;
  private size: number;
  private offset = 0;
  private mode: number;
  private readonly identity: FileStat;

  /** `mode`: permission bits of a regular file. */
  constructor(path: Uint8Array, flags: number, content: Uint8Array, mode: number) {
    super(path, flags);
    this.content = content;
    this.size = content.length;
    this.mode = Mode.regular | mode;
    this.identity = anonymousStat(this.mode);
  }

  override get seekable(): boolean {
    return true;
  }

  override stat(): FileStat {
    const size = BigInt(this.size);
    return { ...this.identity, mode: BigInt(this.mode), size, blocks: (size + 511n) / 512n };
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const count = this.pread(bytes, start, length, this.offset);
    this.offset += count;
    return count;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    if ((this.flags & Open.append) !== 0) this.offset = this.size;
    const count = this.pwrite(bytes, start, length, this.offset);
    this.offset += count;
    return count;
  }

  override pread(bytes: Uint8Array, start: number, length: number, offset: number): number {
    const count = Math.max(0, Math.min(length, this.size - offset));
    bytes.set(this.content.subarray(offset, offset + count), start);
    return count;
  }

  override pwrite(bytes: Uint8Array, start: number, length: number, offset: number): number {
    if (offset + length > this.size) this.resize(offset + length);
    this.content.set(bytes.subarray(start, start + length), offset);
    return length;
  }

  override seek(offset: number, whence: number): number {
    const base = whence === Seek.set ? 0 : whence === Seek.current ? this.offset : this.size;
    const target = base + offset;
    if (whence > Seek.end || target < 0) throw new Errno('EINVAL');
    this.offset = target;
    return target;
  }

  override available(): number {
    return Math.max(0, this.size - this.offset);
  }

  override poll(events: number): number {
    return events & (Poll.in | Poll.out | Poll.rdNorm | Poll.wrNorm);
  }

  override truncate(length: number): void {
    if (!this.writable) throw new Errno('EINVAL');
    this.resize(length);
  }

  override allocate(offset: number, length: number): void {
    if (offset + length > this.size) this.resize(offset + length);
  }

  override chmod(mode: number): void {
    this.mode = Mode.regular | mode;
  }

  override sync(): void {}

  private resize(length: number): void {
    if (length > 2 ** 31) throw new Errno('ENOSPC');
    if (length > this.content.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(2 * this.content.length, 2 ** 31)));
      grown.set(this.content.subarray(0, this.size));
      this.content = grown;
    }
    if (length < this.size) this.content.fill(0, length, this.size);
    this.size = length;
  }
}
