import { sectorBytes } from '#hw/block/backend.ts';
import { ImageError, type ImageFile } from './host-file.ts';
import { type DiskImage, zeroes } from './image.ts';
import { probeFormat } from './probe.ts';

/** A file whose bytes are the disk's. */
export class RawImage implements DiskImage {
  readonly format = 'raw';
  readonly path: string;
  readonly size: number;
  readonly readOnly: boolean;
  private readonly file: ImageFile;
  private readonly guessed: boolean;

  /** `guessed`: nobody said that it is raw, so it must not be given the head of another format. */
  constructor(file: ImageFile, guessed = false) {
    this.file = file;
    this.path = file.path;
    this.readOnly = file.readOnly;
    this.guessed = guessed;
    // What is missing of the last sector reads as zeroes.
    this.size = Math.ceil(file.size / sectorBytes) * sectorBytes;
  }

  read(offset: number, into: Uint8Array): void {
    this.file.read(offset, into);
  }

  write(offset: number, from: Uint8Array): void {
    if (this.guessed && offset === 0 && probeFormat(from) !== 'raw') {
      throw new ImageError(
        `${this.path}: refused to write the head of a ${probeFormat(from)} image into what may be raw`,
      );
    }
    this.file.write(offset, from);
  }

  flush(): void {
    this.file.sync();
  }

  // Node has no call to punch holes.
  discard(): void {}

  writeZeroes(offset: number, length: number): void {
    for (let at = 0; at < length; at += zeroes.length) {
      this.write(offset + at, zeroes.subarray(0, Math.min(zeroes.length, length - at)));
    }
  }

  isHole(): boolean {
    return false;
  }

  close(): void {
    if (!this.readOnly) this.file.sync();
    this.file.close();
  }
}
