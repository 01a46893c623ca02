/** Bytes in the order they came, in pieces. */
export class ByteQueue {
  private pieces: Uint8Array[] = [];
  /** Bytes of the first piece that are gone. */
  private start = 0;
  length = 0;

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.pieces.push(bytes);
    this.length += bytes.length;
  }

  /** Copies the bytes from `offset` on that `into` has room for. */
  copy(offset: number, into: Uint8Array): void {
    let at = 0;
    let skip = offset + this.start;
    for (const piece of this.pieces) {
      if (at === into.length) return;
      if (skip >= piece.length) {
        skip -= piece.length;
        continue;
      }
      const part = piece.subarray(skip, skip + into.length - at);
      into.set(part, at);
      at += part.length;
      skip = 0;
    }
  }

  /** Drops the first `count` bytes. */
  drop(count: number): void {
    this.length -= count;
    this.start += count;
    let gone = 0;
    for (; gone < this.pieces.length && this.start >= this.pieces[gone]!.length; gone++) {
      this.start -= this.pieces[gone]!.length;
    }
    if (gone > 0) this.pieces.splice(0, gone);
  }
}
