export const pageShift = 12;
export const pageSize = 4096;

/** What the host may do with a page: nothing, read, read and write. It never executes guest code. */
export const HostAccess = { none: 0, read: 1, write: 2 } as const;
export type HostAccess = (typeof HostAccess)[keyof typeof HostAccess];

/**
 * The host's page tables below one guest memory, where the host lets us at them. A wasm access that they refuse is a
 * wasm trap. Anything else that touches a refused page ends the process: JavaScript, bulk memory instructions, atomics.
 * Addresses are wasm addresses at page boundaries.
 */
export interface HostPages {
  /** Sets what may be done with [start, end); false if the host does not do it (all of it may be as before, or not). */
  protect(start: number, end: number, access: HostAccess): boolean;
  /** Gives the memory of writable pages back: they read as zero. */
  discard(start: number, end: number): void;
  /** Takes account of `change` more runs of pages of one protection; false if the host could run out of them. */
  account(change: number): boolean;
}

/** Gets at the host's page tables of a memory that will not grow any more, or says in words why that is impossible. */
export type HostPagesFactory = (memory: WebAssembly.Memory) => HostPages | string;
