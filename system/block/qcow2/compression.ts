import { constants, deflateRawSync, inflateRawSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** Compressed clusters (qcow2.txt, "Compressed Clusters Descriptor"): raw deflate with a window of 4 KiB, or one zstd frame. */
export type Compression = 'zlib' | 'zstd';

const windowBits = 12;

/** The cluster of `length` bytes. What follows the compressed bytes is ignored. Throws what Node throws. */
export function decompress(bytes: Uint8Array, length: number, compression: Compression): Uint8Array {
  const plain =
    compression === 'zlib'
      ? inflateRawSync(bytes, { maxOutputLength: length, finishFlush: constants.Z_SYNC_FLUSH })
      : zstdDecompressSync(bytes.subarray(0, zstdFrameBytes(bytes)), { maxOutputLength: length });
  if (plain.length !== length) throw new Error(`a compressed cluster of ${plain.length} bytes`);
  return plain;
}

/** Compressed bytes, or null if they are no shorter. */
export function compress(cluster: Uint8Array, compression: Compression): Uint8Array | null {
  const bytes = compression === 'zlib' ? deflateRawSync(cluster, { windowBits }) : zstdCompressSync(cluster);
  return bytes.length < cluster.length ? bytes : null;
}

/** Bytes of the zstd frame that `bytes` begin with (RFC 8878, 3.1.1). */
function zstdFrameBytes(bytes: Uint8Array): number {
  const descriptor = bytes[4] ?? 0;
  const single = (descriptor >> 5) & 1;
  const contentSize = [single, 2, 4, 8][descriptor >> 6]!;
  const dictionary = [0, 1, 2, 4][descriptor & 3]!;
  let at = 5 + (single ? 0 : 1) + dictionary + contentSize;
  for (;;) {
    if (at + 3 > bytes.length) return bytes.length;
    const block = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
    // A block that repeats one byte has that byte only.
    at += 3 + (((block >> 1) & 3) === 1 ? 1 : block >> 3);
    if (block & 1) return Math.min(bytes.length, at + (descriptor & 4 ? 4 : 0));
  }
}
