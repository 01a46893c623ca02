/** A guest access that may fault: what the engine must know when it does. */
export interface FaultSite {
  /** PC of the instruction (target's encoding) and its aux word. */
  readonly pc: number;
  readonly aux: number;
  /** The access is `bytes` bytes at faultAddress + offset. */
  readonly offset: number;
  readonly bytes: number;
  /** 1 read, 2 write. */
  readonly access: number;
}

/** The accesses of a module that trap where they are refused, in ascending order of their places. */
export class TrapSites {
  /** Four words each: byte offset of the instruction in the module, pc, aux, access. */
  readonly words: number[];

  constructor(words: number[] = []) {
    this.words = words;
  }

  /** Adds the accesses of one function, whose places count from its first instruction, at byte `start`. */
  append(start: number, sites: readonly TrapSite[]): void {
    for (const { at, pc, aux, access } of sites) this.words.push(start + at, pc, aux, access);
  }

  /** The access at byte `offset` of the module, or undefined. */
  find(offset: number): Pick<TrapSite, 'pc' | 'aux' | 'access'> | undefined {
    const { words } = this;
    let low = 0;
    let high = words.length / 4;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (words[4 * middle]! < offset) low = middle + 1;
      else high = middle;
    }
    if (words[4 * low] !== offset) return undefined;
    return { pc: words[4 * low + 1]!, aux: words[4 * low + 2]!, access: words[4 * low + 3]! };
  }
}

/** An unchecked access to guest memory. */
export interface TrapSite {
  /** Byte offset of the wasm instruction from its function's first. */
  at: number;
  /** PC of the guest's instruction (target's encoding) and its aux word. */
  readonly pc: number;
  readonly aux: number;
  /** 1 read, 2 write. */
  readonly access: number;
}
