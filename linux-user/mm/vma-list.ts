import { mergeable, slice, type Vma } from './vma.ts';

/** The VMAs of an address space, by address, without overlaps, neighbours merged where they can be. */
export class VmaList {
  private items: Vma[] = [];
  /** Sum of the lengths in bytes. */
  bytes = 0;

  [Symbol.iterator](): Iterator<Vma> {
    return this.items[Symbol.iterator]();
  }

  /** Index of the first VMA that ends after `address`. */
  private indexAfter(address: number): number {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.items[middle].end > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The VMA that holds `address`. */
  at(address: number): Vma | null {
    const vma = this.items[this.indexAfter(address)];
    return vma !== undefined && vma.start <= address ? vma : null;
  }

  /** The last VMA that ends at or before `address`, and the first that starts at or after it. */
  neighbours(address: number): { before: Vma | null; after: Vma | null } {
    const index = this.indexAfter(address);
    const here = this.items[index];
    const after = here !== undefined && here.start < address ? this.items[index + 1] : here;
    return { before: this.items[index - 1] ?? null, after: after ?? null };
  }

  /** The VMAs that touch [start, end). */
  overlapping(start: number, end: number): Vma[] {
    const found: Vma[] = [];
    for (let i = this.indexAfter(start); i < this.items.length && this.items[i].start < end; i++) {
      found.push(this.items[i]);
    }
    return found;
  }

  /** True if nothing is mapped in [start, end). */
  free(start: number, end: number): boolean {
    const vma = this.items[this.indexAfter(start)];
    return vma === undefined || vma.start >= end;
  }

  /** True if every page of [start, end) is mapped. */
  covers(start: number, end: number): boolean {
    let reached = start;
    for (let i = this.indexAfter(start); i < this.items.length; i++) {
      if (this.items[i].start > reached) return false;
      reached = this.items[i].end;
      if (reached >= end) return true;
    }
    return reached >= end;
  }

  /**
   * Takes [start, end) out, splitting what sticks out; returns the pieces taken. Each piece and each remainder holds
   * its own reference to the file; the caller releases those of the pieces it drops.
   */
  carve(start: number, end: number): Vma[] {
    const first = this.indexAfter(start);
    let last = first;
    const taken: Vma[] = [];
    const kept: Vma[] = [];
    for (; last < this.items.length && this.items[last].start < end; last++) {
      const vma = this.items[last];
      taken.push(slice(vma, Math.max(start, vma.start), Math.min(end, vma.end)));
      if (vma.start < start) kept.push(slice(vma, vma.start, start));
      if (vma.end > end) kept.push(slice(vma, end, vma.end));
    }
    if (taken.length === 0) return taken;
    for (const vma of kept) vma.file?.retain();
    this.items.splice(first, last - first, ...kept);
    for (const vma of taken) this.bytes -= vma.end - vma.start;
    return taken;
  }

  /** Puts a VMA into a free place; its file reference passes to the list. */
  insert(vma: Vma): void {
    const index = this.indexAfter(vma.start);
    this.bytes += vma.end - vma.start;
    this.items.splice(index, 0, vma);
    this.mergeAt(index);
    this.mergeAt(index - 1);
  }

  private mergeAt(index: number): void {
    const a = this.items[index];
    const b = this.items[index + 1];
    if (a === undefined || b === undefined || !mergeable(a, b)) return;
    this.items.splice(index, 2, { ...a, end: b.end });
    b.file?.release();
  }

  /** Start of the highest free range of `length` bytes inside [low, high), or -1. */
  highestGap(low: number, high: number, length: number): number {
    let top = high;
    for (let i = this.items.length - 1; i >= 0; i--) {
      const vma = this.items[i];
      if (vma.start >= top) continue;
      if (vma.end <= top && top - vma.end >= length) return top - length >= low ? top - length : -1;
      top = Math.min(top, vma.start);
      if (top - low < length) return -1;
    }
    return top - length >= low ? top - length : -1;
  }

  /** Start of the lowest free range of `length` bytes inside [low, high), or -1. */
  lowestGap(low: number, high: number, length: number): number {
    let bottom = low;
    for (let i = this.indexAfter(low); i < this.items.length; i++) {
      if (this.items[i].start - bottom >= length) break;
      bottom = Math.max(bottom, this.items[i].end);
    }
    return bottom + length <= high ? bottom : -1;
  }
}
