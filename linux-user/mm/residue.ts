import { pageSize } from '#accel/guest-memory.ts';
import type { Vma } from './vma.ts';

/** Pages that stayed in a memory when the address space they were mapped in ended: readable and not writable there. */
export interface ResiduePiece {
  readonly start: number;
  readonly end: number;
  readonly prot: number;
  readonly offset: number;
  /** `Vma.pristine`. */
  readonly version: string | null;
}

/**
 * What is left in a memory that is used again. A mapping with the same content at the same place finds its pages there,
 * and the engine its translations of them; anything else must have the pages cleared first.
 */
export class Residue {
  /** For `Mm`, which would have to make it anew: 1 for each page that may not be zero, but for the pieces. */
  readonly everWritable: Uint8Array = new Uint8Array(2 ** 32 / pageSize);
  private pieces: ResiduePiece[] = [];

  get empty(): boolean {
    return this.pieces.length === 0;
  }

  /** Keeps the pages of a VMA. */
  add({ start, end, prot, offset, pristine }: Vma): void {
    this.everWritable.fill(0, start / pageSize, end / pageSize);
    this.pieces.push({ start, end, prot, offset, version: pristine });
  }

  /**
   * True if the content of a mapping about to be made is there: it is the mapping's from now on. `same` compares the
   * contents where no file version tells.
   */
  claim(vma: Vma, same: () => boolean): boolean {
    const index = this.pieces.findIndex(
      ({ start, end, prot, offset, version }) =>
        start === vma.start &&
        end === vma.end &&
        prot === vma.prot &&
        offset === vma.offset &&
        (version !== null && vma.pristine !== null ? version === vma.pristine : same()),
    );
    if (index < 0) return false;
    this.pieces.splice(index, 1);
    return true;
  }

  /**
   * The parts of a mapping about to be made whose content is there, in order: they are the mapping's from now on. A
   * dynamic linker maps a library whole before it maps the data over its end.
   */
  claimParts({ start, end, prot, offset, pristine }: Vma): ResiduePiece[] {
    if (pristine === null) return [];
    const parts = this.pieces.filter(
      (piece) =>
        piece.start >= start &&
        piece.end <= end &&
        piece.prot === prot &&
        piece.offset - piece.start === offset - start &&
        piece.version === pristine,
    );
    if (parts.length > 0) this.pieces = this.pieces.filter((piece) => !parts.includes(piece));
    return parts.sort((a, b) => a.start - b.start);
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
