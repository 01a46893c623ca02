import { type GuestMemory, pageSize } from '#accel/guest-memory.ts';
import { SharedMemory } from './shared-memory.ts';
import type { FileBacking, Vma } from './vma.ts';

/** What shared mappings of one file have in common. */
export class FileMemory extends SharedMemory {
  /** 1 for each page that some mapping has brought in. */
  private known = new Uint8Array(0);
  private users = 0;
  private readonly file: FileBacking;
  private readonly inUse: (used: boolean) => void;

  /** `file`: how the content is read again; `inUse` is told of the first mapping and of the end of the last. */
  constructor(file: FileBacking, inUse: (used: boolean) => void) {
    super(0);
    this.file = file;
    this.inUse = inUse;
  }

  retain(): void {
    if (this.users++ > 0) return;
    this.file.retain();
    this.inUse(true);
  }

  release(): void {
    if (--this.users > 0) return;
    this.inUse(false);
    this.file.release();
  }

  /** A mapping that has just been read from the file: takes what others have stored meanwhile, and gives the rest. */
  join(memory: GuestMemory, vma: Vma): void {
    const first = vma.offset / pageSize;
    const count = (vma.end - vma.start) / pageSize;
    this.grow(vma.offset + (vma.end - vma.start));
    if (this.known.length < first + count) {
      const known = new Uint8Array(first + count);
      known.set(this.known);
      this.known = known;
    }
    for (let page = 0; page < count; page++) {
      const start = vma.start + page * pageSize;
      const piece = { ...vma, start, end: start + pageSize, offset: vma.offset + page * pageSize };
      if (this.known[first + page] === 1) this.fetch(memory, piece);
      else this.publish(memory, piece);
      this.known[first + page] = 1;
    }
  }

  /** The file has been written to in [start, end): what is mapped of it is read again. */
  reload(start: number, end: number): void {
    const last = Math.min(Math.ceil(end / pageSize), this.known.length);
    for (let page = Math.floor(start / pageSize); page < last; page++) {
      if (this.known[page] === 1) this.file.readAt(this.bytesOf(page * pageSize, pageSize), page * pageSize);
    }
  }
}
