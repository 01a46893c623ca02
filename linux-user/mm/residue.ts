import type { Vma } from './vma.ts';

/** Pages of a file that stayed in a memory when the address space they were mapped in ended. */
export interface ResiduePiece {
  readonly start: number;
  readonly end: number;
  readonly prot: number;
  readonly offset: number;
  /** `Vma.pristine`. */
  readonly version: string;
}

/**
 * What is left in a memory that is used again. A mapping of the same file at the same place finds its pages there, and
 * the engine its translations of them; anything else must have the pages cleared first.
 */
export class Residue {
  private pieces: ResiduePiece[] = [];

  get empty(): boolean {
    return this.pieces.length === 0;
  }

  /** Keeps the pages of a pristine VMA. */
  add({ start, end, prot, offset, pristine }: Vma): void {
    this.pieces.push({ start, end, prot, offset, version: pristine! });
  }

  /** True if the content of a mapping about to be made is there: it is the mapping's from now on. */
  claim(vma: Pick<Vma, 'start' | 'end' | 'prot' | 'offset' | 'pristine'>): boolean {
    const index = this.pieces.findIndex(
      ({ start, end, prot, offset, version }) =>
        start === vma.start &&
        end === vma.end &&
        prot === vma.prot &&
        offset === vma.offset &&
        version === vma.pristine,
    );
    if (index < 0) return false;
    this.pieces.splice(index, 1);
    return true;
  }

  /** Takes out what overlaps [start, end). */
  take(start: number, end: number): ResiduePiece[] {
    const taken = this.pieces.filter((piece) => piece.start < end && piece.end > start);
    if (taken.length > 0) this.pieces = this.pieces.filter((piece) => !taken.includes(piece));
    return taken;
  }

  [Symbol.iterator](): Iterator<ResiduePiece> {
    return this.pieces[Symbol.iterator]();
  }
}
