import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Vma } from './vma.ts';

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/**
 * Memory that processes share (MAP_SHARED). WebAssembly memories cannot have pages in common, so each process has a
 * copy, and since only one runs at a time they are made alike when another one's turn comes: what the last one changed
 * goes here, and from here into the next one's copy.
 */
export class SharedMemory {
  private length: number;
  /** Made when a second process comes. */
  private bytes: Uint8Array | null = null;

  constructor(length: number) {
    this.length = length;
  }

  /** The process of `memory` has run: takes over what it has changed. */
  publish(memory: GuestMemory, vma: Vma): void {
    memory.copyOut(vma.start, this.part(vma), same);
  }

  /** The process of `memory` is about to run: true if others have changed something. */
  fetch(memory: GuestMemory, vma: Vma): boolean {
    // Nobody else has ever run with it.
    if (this.bytes === null) return false;
    return memory.copyIn(vma.start, this.part(vma), same);
  }

  /** What lies past the end of the object belongs to the mapping alone. */
  private part({ offset, start, end }: Vma): Uint8Array {
    return this.bytesOf(offset, end - start);
  }

  protected bytesOf(offset: number, length: number): Uint8Array {
    this.bytes ??= new Uint8Array(this.length);
    return this.bytes.subarray(offset, offset + length);
  }

  /** Makes room for `length` bytes in all. */
  protected grow(length: number): void {
    if (length <= this.length) return;
    this.length = length;
    if (this.bytes === null) return;
    const grown = new Uint8Array(length);
    grown.set(this.bytes);
    this.bytes = grown;
  }
}
