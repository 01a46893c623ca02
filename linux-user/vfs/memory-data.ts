import { Errno } from '#util/errno.ts';

/** Longest file in memory, bytes: what one array holds safely on every host. */
const longest = 2 ** 31;

/** F_SEAL_* (include/uapi/linux/fcntl.h). */
export const Seal = { seal: 1, shrink: 2, grow: 4, write: 8, futureWrite: 16, exec: 32 } as const;

/** Takes what files in memory hold, bytes, in or out. Throws ENOSPC. */
export type Charge = (change: number) => void;

/** The content of a file in memory: what its descriptions and mappings have in common. */
export class MemoryData {
  private bytes: Uint8Array;
  private length: number;
  /** F_SEAL_* bits. */
  seals: number;
  private readonly charge: Charge;
  /** Shared mappings that can be written to: while there are any it cannot be sealed against writing. */
  writableMappings = 0;

  constructor(content: Uint8Array = new Uint8Array(0), seals: number = Seal.seal, charge: Charge = () => {}) {
    this.bytes = content;
    this.length = content.length;
    this.seals = seals;
    this.charge = charge;
  }

  get size(): number {
    return this.length;
  }

  read(target: Uint8Array, start: number, length: number, offset: number): number {
    const count = Math.max(0, Math.min(length, this.length - offset));
    if (count > 0) target.set(this.bytes.subarray(offset, offset + count), start);
    return count;
  }

  write(source: Uint8Array, start: number, length: number, offset: number): number {
    if ((this.seals & (Seal.write | Seal.futureWrite)) !== 0) throw new Errno('EPERM');
    if (length === 0) return 0;
    if (offset + length > this.length) this.resize(offset + length);
    this.bytes.set(source.subarray(start, start + length), offset);
    return length;
  }

  /** Zeroes within the size: fallocate's holes. EPERM where sealed. */
  clear(offset: number, length: number): void {
    if ((this.seals & (Seal.write | Seal.futureWrite)) !== 0) throw new Errno('EPERM');
    this.bytes.fill(0, Math.min(offset, this.length), Math.min(offset + length, this.length));
  }

  /** EPERM where sealed, EFBIG, ENOSPC. */
  resize(length: number): void {
    if (length < this.length && (this.seals & Seal.shrink) !== 0) throw new Errno('EPERM');
    if (length > this.length && (this.seals & Seal.grow) !== 0) throw new Errno('EPERM');
    if (length > longest) throw new Errno('EFBIG');
    if (length > this.bytes.length) {
      const room = Math.max(length, Math.min(2 * this.bytes.length, longest));
      this.charge(room - this.bytes.length);
      const grown = new Uint8Array(room);
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    if (length < this.length) this.bytes.fill(0, length, this.length);
    this.length = length;
  }

  /** Nobody can reach it any more. */
  drop(): void {
    this.charge(-this.bytes.length);
    this.bytes = new Uint8Array(0);
    this.length = 0;
  }
}
