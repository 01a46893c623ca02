import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import { hostCalls } from '../host-calls.ts';
import { Open, Poll } from './flags.ts';
import { Fallocate, type FileStat, OpenFile, Seek } from './open-file.ts';

/** Node takes at most this many bytes in one call. */
const maxTransfer = 0x7fffffff;

/** Standard streams stay open for tsemu itself. */
export const isStream = (hostFd: number): boolean => hostFd <= 2;

/** What files, directories and streams of the host have in common: everything that goes by the descriptor. */
export abstract class HostBacked extends OpenFile {
  override readonly hostFd: number;
  /** False for what stays open. */
  private readonly owned: boolean;

  constructor(path: Uint8Array, flags: number, hostFd: number, owned = true) {
    super(path, flags);
    this.hostFd = hostFd;
    this.owned = owned;
  }

  protected override close(): void {
    if (this.owned) fs.closeSync(this.hostFd);
  }

  override stat(): FileStat {
    return fs.fstatSync(this.hostFd, { bigint: true });
  }

  /** With O_PATH by the name below /proc/self/fd, which is how glibc changes the mode of what must not be a link. */
  override chmod(mode: number): void {
    this.checkMount();
    if ((this.flags & Open.path) !== 0) fs.chmodSync(`/proc/self/fd/${this.hostFd}`, mode);
    else fs.fchmodSync(this.hostFd, mode);
  }

  override chown(uid: number, gid: number): void {
    this.checkMount();
    fs.fchownSync(this.hostFd, uid, gid);
  }

  /** EROFS below a read-only mount. */
  private checkMount(): void {
    if (this.mount?.readOnly) throw new Errno('EROFS');
  }

  override sync(dataOnly: boolean): void {
    if (dataOnly) fs.fdatasyncSync(this.hostFd);
    else fs.fsyncSync(this.hostFd);
  }

  /** Never earlier than asked for, and at most 240 ns later (`hostSeconds`). */
  override setTimes(atimeNs: bigint, mtimeNs: bigint): void {
    this.checkMount();
    fs.futimesSync(this.hostFd, hostSeconds(atimeNs), hostSeconds(mtimeNs));
  }
}

/**
 * A file time for Node, which takes seconds as a double: the next one at or after `ns`, so that a copy never looks
 * older than its original.
 */
export function hostSeconds(ns: bigint): number {
  const seconds = Number(ns) / 1e9;
  // Node cuts the rest off: 238 ns are the distance of doubles today.
  const whole = Math.floor(seconds);
  if (BigInt(whole) * 1_000_000_000n + BigInt(Math.floor((seconds - whole) * 1e9)) >= ns) return seconds;
  return seconds + 2 ** (Math.floor(Math.log2(Math.abs(seconds))) - 52);
}

/** A file opened with O_PATH: it has a place and a stat, nothing else. */
export class HostPath extends HostBacked {
  override read(): number {
    throw new Errno('EBADF');
  }

  override write(): number {
    throw new Errno('EBADF');
  }
}

/**
 * A regular file or block device of the host. Node has no lseek, so the offset is ours. Descriptors inherited from the
 * host share theirs with other host programs (`(a; tsemu b; c) > log`): `hostPosition` follows it, and while the two
 * agree the transfer goes through the host's offset and moves it.
 */
export class HostFile extends HostBacked {
  private offset: number;
  private hostPosition: number;

  /** `inheritedOffset`: the host's offset of a descriptor we have not opened ourselves; null for our own. */
  constructor(path: Uint8Array, flags: number, hostFd: number, inheritedOffset: number | null = null) {
    super(path, flags, hostFd, !isStream(hostFd));
    this.offset = inheritedOffset ?? 0;
    this.hostPosition = inheritedOffset ?? -1;
  }

  override get seekable(): boolean {
    return true;
  }

  private get appends(): boolean {
    return (this.flags & Open.append) !== 0;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const atHost = this.offset === this.hostPosition;
    const count = fs.readSync(this.hostFd, bytes, start, Math.min(length, maxTransfer), atHost ? null : this.offset);
    this.offset += count;
    if (atHost) this.hostPosition = this.offset;
    return count;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    if (this.appends) this.offset = fs.fstatSync(this.hostFd).size;
    const atHost = this.hostPosition >= 0 && (this.offset === this.hostPosition || this.appends);
    const count = fs.writeSync(this.hostFd, bytes, start, Math.min(length, maxTransfer), atHost ? null : this.offset);
    this.offset += count;
    if (atHost) this.hostPosition = this.offset;
    return count;
  }

  override pread(bytes: Uint8Array, start: number, length: number, offset: number): number {
    return fs.readSync(this.hostFd, bytes, start, Math.min(length, maxTransfer), offset);
  }

  override pwrite(bytes: Uint8Array, start: number, length: number, offset: number): number {
    return fs.writeSync(this.hostFd, bytes, start, Math.min(length, maxTransfer), offset);
  }

  override seek(offset: number, whence: number): number {
    const target = this.target(offset, whence);
    if (target < 0 || target > Number.MAX_SAFE_INTEGER) throw new Errno('EINVAL');
    this.offset = target;
    return target;
  }

  /** A descriptor for a host program, at the same offset: the inherited one where it stands there, or one of its own. */
  openForHost(): number {
    if (this.hostPosition >= 0 && (this.hostPosition === this.offset || this.appends)) return this.hostFd;
    const append = this.appends ? fs.constants.O_APPEND : 0;
    const path = `/proc/self/fd/${this.hostFd}`;
    if (this.offset === 0 || append !== 0) return fs.openSync(path, (this.flags & Open.accessMode) | append);
    // Node has no lseek: reading moves the offset.
    const fd = fs.openSync(path, this.writable ? fs.constants.O_RDWR : fs.constants.O_RDONLY);
    const skipped = Buffer.allocUnsafe(Math.min(this.offset, 65536));
    for (let left = this.offset; left > 0; ) {
      const count = fs.readSync(fd, skipped, 0, Math.min(left, skipped.length), null);
      if (count === 0) break;
      left -= count;
    }
    return fd;
  }

  /** A host program has used `fd`, made by `openForHost`: its offset counts. */
  continueFrom(fd: number): void {
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    this.offset = Number(/^pos:\s*(\d+)/m.exec(info)?.[1] ?? this.offset);
    if (fd === this.hostFd) this.hostPosition = this.offset;
    else fs.closeSync(fd);
  }

  /** Where the host does not tell of holes all is data, and the one hole is the end (lseek(2) allows it). */
  private target(offset: number, whence: number): number {
    if (whence === Seek.set) return offset;
    if (whence === Seek.current) return this.offset + offset;
    const size = fs.fstatSync(this.hostFd).size;
    if (whence === Seek.end) return size + offset;
    if (offset < 0 || offset >= size) throw new Errno('ENXIO');
    const calls = this.hostPosition < 0 ? hostCalls() : null;
    if (calls !== null) return calls.call('lseek', this.hostFd, BigInt(offset), whence);
    return whence === Seek.data ? offset : size;
  }

  override available(): number {
    return Math.max(0, fs.fstatSync(this.hostFd).size - this.offset);
  }

  override poll(events: number): number {
    return events & (Poll.in | Poll.out | Poll.rdNorm | Poll.wrNorm);
  }

  override truncate(length: number): void {
    if (!this.writable) throw new Errno('EINVAL');
    fs.ftruncateSync(this.hostFd, length);
  }

  override allocate(mode: number, offset: number, length: number): void {
    const calls = hostCalls();
    if (calls !== null) {
      calls.call('fallocate', this.hostFd, mode, BigInt(offset), BigInt(length));
      return;
    }
    // Without the host's help holes are zeroes, and room is not set aside.
    const { size } = fs.fstatSync(this.hostFd);
    const end = offset + length;
    if ((mode & Fallocate.keepSize) === 0 && size < end) fs.ftruncateSync(this.hostFd, end);
    if ((mode & (Fallocate.punchHole | Fallocate.zeroRange)) === 0) return;
    const zeroes = Buffer.alloc(65536);
    for (let at = offset; at < Math.min(end, size); ) {
      at += fs.writeSync(this.hostFd, zeroes, 0, Math.min(zeroes.length, Math.min(end, size) - at), at);
    }
  }
}
