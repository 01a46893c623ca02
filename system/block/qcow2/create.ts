import { ImageError, type ImageFile } from '../host-file.ts';
import type { Compression } from './compression.ts';
import { type Header, incompatible, l1Entries, v3HeaderBytes, writeHeader } from './format.ts';

export interface Qcow2Options {
  readonly size: number;
  readonly version?: 2 | 3;
  readonly clusterBits?: number;
  readonly refcountBits?: number;
  readonly lazyRefcounts?: boolean;
  readonly compression?: Compression;
  readonly backingFile?: string | null;
  readonly backingFormat?: string | null;
}

export const defaultClusterBits = 16;
const largestL1Bytes = 32 << 20;

/** Writes an empty image into an empty file: header, reference counts, L1 table. */
export function createQcow2(file: ImageFile, options: Qcow2Options): void {
  const { size, version = 3, clusterBits = defaultClusterBits, refcountBits = 16, compression = 'zlib' } = options;
  const clusterBytes = 2 ** clusterBits;
  const l1Size = l1Entries(size, clusterBits);
  if (l1Size * 8 > largestL1Bytes) throw new ImageError('The image size is too large for this cluster size');
  const l1Clusters = Math.ceil((l1Size * 8) / clusterBytes);
  const perBlock = (clusterBytes * 8) / refcountBits;
  // Header, reference count table, its blocks, L1 table.
  let blocks = 1;
  while (2 + blocks + l1Clusters > blocks * perBlock) blocks++;
  const clusters = 2 + blocks + l1Clusters;
  const header: Header = {
    version,
    backingFile: options.backingFile ?? null,
    backingFormat: options.backingFormat ?? null,
    clusterBits,
    size,
    l1Size,
    l1Offset: (2 + blocks) * clusterBytes,
    refcountTableOffset: clusterBytes,
    refcountTableClusters: 1,
    snapshotCount: 0,
    snapshotsOffset: 0,
    incompatible: compression === 'zstd' ? incompatible.compressionType : 0n,
    lazyRefcounts: options.lazyRefcounts ?? false,
    autoclear: 0n,
    refcountOrder: Math.log2(refcountBits),
    compression,
  };
  if (blocks * 8 > clusterBytes || clusterBytes < v3HeaderBytes) throw new ImageError('the clusters are too small');
  const table = new Uint8Array(clusterBytes);
  const counts = new Uint8Array(blocks * clusterBytes);
  const view = new DataView(table.buffer);
  for (let i = 0; i < blocks; i++) view.setBigUint64(8 * i, BigInt((2 + i) * clusterBytes));
  for (let i = 0; i < clusters; i++) setOne(counts, i, refcountBits);
  file.write(clusterBytes, table);
  file.write(2 * clusterBytes, counts);
  file.truncate(clusters * clusterBytes);
  file.write(0, writeHeader(header));
  file.sync();
}

/** Sets count `i` of a block to 1. */
function setOne(counts: Uint8Array, i: number, bits: number): void {
  if (bits < 8) counts[Math.floor((i * bits) / 8)]! |= 1 << ((i * bits) % 8);
  else counts[((i + 1) * bits) / 8 - 1] = 1;
}
