import { type GuestMemory, pageSize } from '#accel/guest-memory.ts';
import { SharedMemory } from './shared-memory.ts';
import type { FileBacking, Vma } from './vma.ts';

const chunkPages = 64;
const chunkBytes = chunkPages * pageSize;

/** A piece of a file, `chunkBytes` long. */
interface Chunk {
  readonly bytes: Uint8Array;
  /** 1 for each page that some mapping has brought in. */
  readonly known: Uint8Array;
}

/** What shared mappings of one file have in common. */
export class FileMemory extends SharedMemory {
  /** Those that were mapped, by number: files may be long, and are mapped anywhere. */
  private readonly chunks = new Map<number, Chunk>();
  private users = 0;
  private readonly file: FileBacking;
  private readonly tellUse: (used: boolean) => void;

  /** `file`: how the content is read again; `tellUse` is told of the first mapping and of the end of the last. */
  constructor(file: FileBacking, tellUse: (used: boolean) => void) {
    super(0);
    this.file = file;
    this.tellUse = tellUse;
  }

  retain(): void {
    if (this.users++ > 0) return;
    this.file.retain();
    this.tellUse(true);
  }

  release(): void {
    if (--this.users > 0) return;
    this.tellUse(false);
    this.file.release();
  }

  /** A mapping that has just been read from the file: takes what others have stored meanwhile, and gives the rest. */
  join(memory: GuestMemory, vma: Vma): void {
    for (let start = vma.start; start < vma.end; start += pageSize) {
      const offset = vma.offset + (start - vma.start);
      const piece = { ...vma, start, end: start + pageSize, offset };
      const { known } = this.chunk(Math.floor(offset / chunkBytes));
      const page = (offset % chunkBytes) / pageSize;
      if (known[page] === 1) this.fetch(memory, piece);
      else this.publish(memory, piece);
      known[page] = 1;
    }
  }

  /** The file has been written to in [start, end): what is mapped of it is read again. */
  reload(start: number, end: number): void {
    for (const [number, { bytes, known }] of this.chunks) {
      const base = number * chunkBytes;
      const first = Math.max(0, Math.floor((start - base) / pageSize));
      const last = Math.min(chunkPages, Math.ceil((end - base) / pageSize));
      for (let page = first; page < last; page++) {
        const at = page * pageSize;
        if (known[page] === 1) this.file.readAt(bytes.subarray(at, at + pageSize), base + at);
      }
    }
  }

  protected override get inUse(): boolean {
    return this.chunks.size > 0;
  }

  protected override eachPart({ offset, start, end }: Vma, act: (start: number, part: Uint8Array) => void): void {
    for (let at = start; at < end; ) {
      const position = offset + (at - start);
      const from = position % chunkBytes;
      const to = Math.min(chunkBytes, from + (end - at));
      act(at, this.chunk((position - from) / chunkBytes).bytes.subarray(from, to));
      at += to - from;
    }
  }

  private chunk(number: number): Chunk {
    let chunk = this.chunks.get(number);
    if (chunk === undefined) {
      chunk = { bytes: new Uint8Array(chunkBytes), known: new Uint8Array(chunkPages) };
      this.chunks.set(number, chunk);
    }
    return chunk;
  }
}
