/** Bytes that lie in several pieces, as a driver gives them to a device. */
export class Scatter {
  readonly pieces: Uint8Array[] = [];
  length = 0;

  add(piece: Uint8Array): void {
    this.pieces.push(piece);
    this.length += piece.length;
  }

  /** The bytes [offset, offset + length), fewer where it ends before. */
  slice(offset: number, length = this.length - offset): Uint8Array[] {
    const found: Uint8Array[] = [];
    let from = offset;
    let left = length;
    for (const piece of this.pieces) {
      if (left <= 0) break;
      if (from < piece.length) {
        const part = piece.subarray(from, from + left);
        found.push(part);
        left -= part.length;
        from = 0;
      } else {
        from -= piece.length;
      }
    }
    return found;
  }

  /** Copies bytes from `offset` on out to `into`; returns how many there were. */
  read(offset: number, into: Uint8Array): number {
    let at = 0;
    for (const piece of this.slice(offset, into.length)) {
      into.set(piece, at);
      at += piece.length;
    }
    return at;
  }

  /** Copies `bytes` in from `offset` on; returns how many had room. */
  write(offset: number, bytes: Uint8Array): number {
    let at = 0;
    for (const piece of this.slice(offset, bytes.length)) {
      piece.set(bytes.subarray(at, at + piece.length));
      at += piece.length;
    }
    return at;
  }
}
