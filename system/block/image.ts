import type { BlockBackend } from '#hw/block/backend.ts';

/** A disk image of some format. */
export interface DiskImage extends BlockBackend {
  readonly format: 'raw' | 'qcow2';
  readonly path: string;
  /** What reads as zeroes or as the backing image without lying in this one: [offset, offset + length) is free of data. */
  isHole(offset: number, length: number): boolean;
  /** Writes everything out and gives the file back. */
  close(): void;
}

/** Zeroes to be written or compared with. */
export const zeroes = new Uint8Array(1 << 20);
