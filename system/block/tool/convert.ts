import type { DiskImage } from '../image.ts';
import { zeroes } from '../image.ts';
import { Qcow2Image } from '../qcow2/image.ts';

/** Bytes that a run of zeroes must have to be left out. */
const sparseBytes = 4096;
const chunkBytes = 1 << 20;

const isZero = (bytes: Uint8Array): boolean => Buffer.compare(bytes, zeroes.subarray(0, bytes.length)) === 0;

/**
 * Copies a disk into a fresh one. Zeroes are not written. `below`: what the target reads as before; what is equal to it is
 * left out.
 */
export function copyDisk(from: DiskImage, to: DiskImage, compressed: boolean, below: DiskImage | null): void {
  const unit = to instanceof Qcow2Image ? 2 ** to.header.clusterBits : sparseBytes;
  const whole = Math.max(chunkBytes, unit);
  for (let at = 0; at < from.size; at += whole) {
    const length = Math.min(whole, from.size - at);
    if (!below && from.isHole(at, length)) continue;
    const bytes = new Uint8Array(length);
    from.read(at, bytes);
    for (let inside = 0; inside < length; inside += unit) {
      const part = bytes.subarray(inside, Math.min(inside + unit, length));
      if (sameBelow(below, at + inside, part)) continue;
      if (compressed && to instanceof Qcow2Image) to.writeCompressed(at + inside, padded(part, unit));
      else to.write(at + inside, part);
    }
  }
}

function sameBelow(below: DiskImage | null, at: number, part: Uint8Array): boolean {
  if (!below) return isZero(part);
  const there = new Uint8Array(part.length);
  const length = Math.max(0, Math.min(part.length, below.size - at));
  if (length > 0) below.read(at, there.subarray(0, length));
  return Buffer.compare(there, part) === 0;
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  const whole = new Uint8Array(length);
  whole.set(bytes);
  return whole;
}

/** The offset of the first byte in which two disks differ, or -1. What one of them lacks counts as zeroes. */
export function firstDifference(one: DiskImage, other: DiskImage): number {
  const size = Math.max(one.size, other.size);
  const [a, b] = [new Uint8Array(chunkBytes), new Uint8Array(chunkBytes)];
  for (let at = 0; at < size; at += chunkBytes) {
    for (const [disk, bytes] of [
      [one, a],
      [other, b],
    ] as const) {
      const length = Math.max(0, Math.min(chunkBytes, disk.size - at));
      if (length > 0) disk.read(at, bytes.subarray(0, length));
      bytes.fill(0, length);
    }
    if (Buffer.compare(a, b) === 0) continue;
    return at + a.findIndex((byte, i) => byte !== b[i]);
  }
  return -1;
}
