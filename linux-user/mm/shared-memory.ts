import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Vma } from './vma.ts';

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

/**
 * Memory that processes share (MAP_SHARED). WebAssembly memories cannot have pages in common, so each process has a
 * copy, and since only one runs at a time they are made alike when another one's turn comes: what the last one changed
 * goes here, and from here into the next one's copy.
 */
export class SharedMemory {
  private readonly length: number;
  /** Made when a second process comes. */
  private bytes: Uint8Array | null = null;

  constructor(length: number) {
    this.length = length;
  }

  /** The process of `memory` has run: takes over what it has changed. */
  publish(memory: GuestMemory, vma: Vma): void {
    this.eachPart(vma, (start, part) => memory.copyOut(start, part, same));
  }

  /** The process of `memory` is about to run: true if others have changed something. */
  fetch(memory: GuestMemory, vma: Vma): boolean {
    if (!this.inUse) return false;
    let changed = false;
    this.eachPart(vma, (start, part) => {
      if (memory.copyIn(start, part, same)) changed = true;
    });
    return changed;
  }

  /** False: nobody else has ever run with it. */
  protected get inUse(): boolean {
    return this.bytes !== null;
  }

  /**
   * Calls `act` with the bytes that a mapping shows and where it shows them. What lies past the end of the object belongs
   * to the mapping alone.
   */
  protected eachPart({ offset, start, end }: Vma, act: (start: number, part: Uint8Array) => void): void {
    this.bytes ??= new Uint8Array(this.length);
    act(start, this.bytes.subarray(offset, offset + end - start));
  }
}
