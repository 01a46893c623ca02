import type { FileMemory } from './file-memory.ts';
import type { SharedMemory } from './shared-memory.ts';

/** PROT_* beyond the access bits of a page. */
export const Prot = { READ: 1, WRITE: 2, EXEC: 4, SEM: 8, GROWSDOWN: 0x0100_0000, GROWSUP: 0x0200_0000 } as const;

/** MAP_* flags (include/uapi/asm-generic/mman*.h; the same on ARM and x86). */
export const MapFlags = {
  SHARED: 1,
  PRIVATE: 2,
  SHARED_VALIDATE: 3,
  TYPE: 0xf,
  FIXED: 0x10,
  ANONYMOUS: 0x20,
  GROWSDOWN: 0x100,
  LOCKED: 0x2000,
  NORESERVE: 0x4000,
  POPULATE: 0x8000,
  STACK: 0x20000,
  HUGETLB: 0x40000,
  SYNC: 0x80000,
  FIXED_NOREPLACE: 0x10_0000,
} as const;

/** Flags of mremap(2). */
export const RemapFlags = { MAYMOVE: 1, FIXED: 2, DONTUNMAP: 4 } as const;

/** Flags of msync(2). */
export const SyncFlags = { ASYNC: 1, INVALIDATE: 2, SYNC: 4 } as const;

/**
 * A file as mappings see it. The object outlives the file descriptor: `retain` and `release` count the mappings that
 * hold it (an OpenFile's own reference count will do).
 */
export interface FileBacking {
  /** What /proc/self/maps shows. */
  readonly path: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly inode: bigint;
  /** Opened for reading, for writing. */
  readonly readable: boolean;
  readonly writable: boolean;
  /** Fills `target` from byte `offset`; returns the bytes read, fewer only at the end of the file. Throws Errno. */
  readAt(target: Uint8Array, offset: number): number;
  /** Writes `source` at byte `offset`, never past the end of the file. Throws Errno. */
  writeAt(source: Uint8Array, offset: number): void;
  /** Names the file and its content now; null if a change might not show in it. */
  version(): string | null;
  retain(): void;
  release(): void;
  /** What its shared mappings have in common; null: each is on its own. */
  shared?(): FileMemory | null;
}

/** A range of pages with the same properties (vm_area_struct). Addresses are u32 or 2^32, page-aligned. */
export interface Vma {
  readonly start: number;
  readonly end: number;
  /** PROT_READ, WRITE, EXEC as the guest asked for them. */
  readonly prot: number;
  readonly shared: boolean;
  readonly file: FileBacking | null;
  /** What other processes share with this mapping; null for private memory and files nobody has forked with. */
  readonly object: SharedMemory | null;
  /** Byte offset of `start` in the file or the shared object; 0 without one. */
  readonly offset: number;
  /** `[heap]`, `[stack]`, `[vectors]`; '' for others. */
  readonly name: string;
  /** mlock. */
  readonly locked: boolean;
  /**
   * `FileBacking.version` when the pages were read, as long as nobody could have written to them since: they are what
   * any other mapping of that file has. Else null.
   */
  readonly pristine: string | null;
  /** What the file holds as far as we know, page by page from `start`: for writing back only what changed. */
  readonly snapshot: Uint8Array | null;
}

const hasOffset = ({ file, object }: Vma): boolean => file !== null || object !== null;

/** The part [start, end) of a VMA. The parts of one snapshot share its bytes. */
export function slice(vma: Vma, start: number, end: number): Vma {
  if (start === vma.start && end === vma.end) return vma;
  return {
    ...vma,
    start,
    end,
    offset: hasOffset(vma) ? vma.offset + (start - vma.start) : 0,
    snapshot: vma.snapshot?.subarray(start - vma.start, end - vma.start) ?? null,
  };
}

/** Could `a` and `b`, where `b` follows `a` at once, be one VMA? */
export function mergeable(a: Vma, b: Vma): boolean {
  return (
    a.end === b.start &&
    a.prot === b.prot &&
    a.shared === b.shared &&
    a.file === b.file &&
    a.name === b.name &&
    a.object === b.object &&
    a.pristine === b.pristine &&
    a.locked === b.locked &&
    a.snapshot === null &&
    b.snapshot === null &&
    (!hasOffset(a) || a.offset + (a.end - a.start) === b.offset)
  );
}
