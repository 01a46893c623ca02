import { type GuestMemory, pageSize } from '#accel/guest-memory.ts';
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
  /** Of a file: 1 for each page that is here; what the others hold is in the file and in the mappings. */
  private readonly ofFile: boolean;
  private present: Uint8Array = new Uint8Array(0);

  /** `length` bytes of zeros, or a file of which that much has been mapped so far. */
  constructor(length: number, ofFile = false) {
    this.length = length;
    this.ofFile = ofFile;
  }

  /** The process of `memory` has run: takes over what it has changed. */
  publish(memory: GuestMemory, vma: Vma): void {
    memory.copyOut(vma.start, this.part(vma), same);
    if (this.ofFile) this.present.fill(1, vma.offset / pageSize, (vma.offset + vma.end - vma.start) / pageSize);
  }

  /** The process of `memory` is about to run: true if others have changed something. */
  fetch(memory: GuestMemory, vma: Vma): boolean {
    const part = this.part(vma);
    if (this.ofFile) this.complete(memory, vma, part);
    return memory.copyIn(vma.start, part, same);
  }

  /** Takes the pages that nobody has published from who has just read them from the file. */
  private complete(memory: GuestMemory, { start, end, offset }: Vma, part: Uint8Array): void {
    const flags = this.present.subarray(offset / pageSize, (offset + end - start) / pageSize);
    for (let page = flags.indexOf(0); page >= 0; page = flags.indexOf(0, page)) {
      memory.copyOut(start + page * pageSize, part.subarray(page * pageSize, (page + 1) * pageSize), same);
      flags[page] = 1;
    }
  }

  /** What lies past the end of the object belongs to the mapping alone. */
  private part({ offset, start, end }: Vma): Uint8Array {
    const needed = offset + (end - start);
    if (this.ofFile && needed > this.length) this.length = needed;
    if (this.bytes === null || this.bytes.length < this.length) this.grow();
    return this.bytes!.subarray(offset, needed);
  }

  private grow(): void {
    const bytes = new Uint8Array(this.length);
    if (this.bytes !== null) bytes.set(this.bytes);
    this.bytes = bytes;
    if (!this.ofFile) return;
    const present = new Uint8Array(Math.ceil(this.length / pageSize));
    present.set(this.present);
    this.present = present;
  }
}
