/**
 * A disk as a device sees it. Offsets and lengths are bytes, multiples of `sectorBytes`, and lie within `size`. What the
 * host refuses is thrown.
 */
export interface BlockBackend {
  readonly size: number;
  readonly readOnly: boolean;
  read(offset: number, into: Uint8Array): void;
  /** May be lost until the next `flush`. */
  write(offset: number, from: Uint8Array): void;
  /** What was written before is kept whatever happens. */
  flush(): void;
  /** The contents are not needed any more; what is read there then is not said. */
  discard(offset: number, length: number): void;
  /** `unmap`: the room may be given back. */
  writeZeroes(offset: number, length: number, unmap: boolean): void;
}

export const sectorBytes = 512;
