import { ImageError } from '../host-file.ts';

/* The qcow2 format (docs/interop/qcow2.txt of QEMU): header, L1 and L2 entries. All numbers are big-endian. */

export const qcow2Magic = 0x514649fb;
/** Incompatible features (header bytes 72–79). */
export const incompatible = { dirty: 1n, corrupt: 2n, externalData: 4n, compressionType: 8n, extendedL2: 16n } as const;
const knownIncompatible = incompatible.dirty | incompatible.corrupt | incompatible.compressionType;
const compatibleLazyRefcounts = 1n;
/** Header extensions. */
const extension = { end: 0, backingFormat: 0xe2792aca } as const;

/** Offsets of header fields that change. */
export const headerField = {
  l1: 36,
  refcountTable: 48,
  snapshots: 60,
  incompatible: 72,
  autoclear: 88,
} as const;
const v2HeaderBytes = 72;
export const v3HeaderBytes = 104;
/** A header that we write says its compression type, too. */
const writtenHeaderBytes = 112;

const maxL1Bytes = 32 << 20;
export const maxRefcountTableBytes = 8 << 20;
const maxSnapshots = 65536;
export const maxBackingName = 1023;

export interface Header {
  readonly version: number;
  readonly backingFile: string | null;
  readonly backingFormat: string | null;
  readonly clusterBits: number;
  /** Bytes of the disk. */
  size: number;
  /** Entries. */
  l1Size: number;
  l1Offset: number;
  refcountTableOffset: number;
  refcountTableClusters: number;
  snapshotCount: number;
  snapshotsOffset: number;
  incompatible: bigint;
  readonly lazyRefcounts: boolean;
  autoclear: bigint;
  /** A refcount has 2^refcountOrder bits. */
  readonly refcountOrder: number;
  readonly compression: 'zlib' | 'zstd';
}

/** Bytes to read for `parseHeader`: the smallest cluster holds all of the header's fixed part. */
export const headReadBytes = 65536;

export function parseHeader(bytes: Uint8Array, path: string): Header {
  const wrong = (why: string): never => {
    throw new ImageError(`${path}: ${why}`);
  };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u64 = (at: number): number => {
    const value = view.getBigUint64(at);
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : wrong('damaged header: a number is too large');
  };
  if (bytes.length < v2HeaderBytes || view.getUint32(0) !== qcow2Magic) wrong('no qcow2 image');
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) wrong(`qcow2 version ${version} is not supported`);
  const v3 = version === 3;
  if (v3 && bytes.length < v3HeaderBytes) wrong('damaged header: the file is cut off');
  const clusterBits = view.getUint32(20);
  if (clusterBits < 9 || clusterBits > 21) wrong(`damaged header: clusters of 2^${clusterBits} bytes`);
  if (view.getUint32(32) !== 0) wrong('encrypted images are not supported');
  const features = v3 ? view.getBigUint64(headerField.incompatible) : 0n;
  if (features & incompatible.externalData) wrong('images with an external data file are not supported');
  if (features & incompatible.extendedL2) wrong('images with extended L2 entries are not supported');
  if (features & ~knownIncompatible) wrong(`unknown incompatible features 0x${features.toString(16)}`);
  const headerBytes = v3 ? view.getUint32(100) : v2HeaderBytes;
  if (headerBytes < v2HeaderBytes || headerBytes > 2 ** clusterBits) wrong('damaged header: its length');
  const refcountOrder = v3 ? view.getUint32(96) : 4;
  if (refcountOrder > 6) wrong('damaged header: reference counts of more than 64 bits');
  const compressionType = headerBytes > v3HeaderBytes ? view.getUint8(104) : 0;
  if (compressionType > 1) wrong(`unknown compression type ${compressionType}`);
  const header: Header = {
    version,
    backingFile: backingName(bytes, u64(8), view.getUint32(16), wrong),
    backingFormat: backingFormat(bytes, headerBytes),
    clusterBits,
    size: u64(24),
    l1Size: view.getUint32(headerField.l1),
    l1Offset: u64(headerField.l1 + 4),
    refcountTableOffset: u64(headerField.refcountTable),
    refcountTableClusters: view.getUint32(headerField.refcountTable + 8),
    snapshotCount: view.getUint32(headerField.snapshots),
    snapshotsOffset: u64(headerField.snapshots + 4),
    incompatible: features,
    lazyRefcounts: v3 && (view.getBigUint64(80) & compatibleLazyRefcounts) !== 0n,
    autoclear: v3 ? view.getBigUint64(headerField.autoclear) : 0n,
    refcountOrder,
    compression: compressionType === 1 ? 'zstd' : 'zlib',
  };
  const aligned = (offset: number): boolean => offset % 2 ** clusterBits === 0;
  const { l1Size, l1Offset, refcountTableOffset, refcountTableClusters, snapshotCount, snapshotsOffset } = header;
  if (l1Size * 8 > maxL1Bytes || !aligned(l1Offset)) wrong('damaged header: the L1 table');
  if (l1Size < l1Entries(header.size, clusterBits)) wrong('damaged header: the L1 table is too small for the disk');
  if (refcountTableClusters * 2 ** clusterBits > maxRefcountTableBytes || refcountTableClusters === 0) {
    wrong('damaged header: the size of the reference count table');
  }
  if (!aligned(refcountTableOffset) || refcountTableOffset === 0) wrong('damaged header: the reference count table');
  if (snapshotCount > maxSnapshots || !aligned(snapshotsOffset)) wrong('damaged header: the snapshot table');
  return header;
}

function backingName(bytes: Uint8Array, offset: number, length: number, wrong: (why: string) => never): string | null {
  if (offset === 0 || length === 0) return null;
  if (length > maxBackingName || offset + length > bytes.length) wrong('damaged header: the backing file’s name');
  return new TextDecoder().decode(bytes.subarray(offset, offset + length));
}

function backingFormat(bytes: Uint8Array, headerBytes: number): string | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = headerBytes; at + 8 <= bytes.length; ) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === extension.end || length > bytes.length - at - 8) return null;
    if (type === extension.backingFormat) return new TextDecoder().decode(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return null;
}

/** Entries of an L1 table for a disk of `size` bytes. */
export const l1Entries = (size: number, clusterBits: number): number => Math.ceil(size / 2 ** (2 * clusterBits - 3));

/** The first cluster of an image of version 3. */
export function writeHeader(header: Header): Uint8Array {
  const bytes = new Uint8Array(2 ** header.clusterBits);
  const view = new DataView(bytes.buffer);
  const v3 = header.version === 3;
  const encoder = new TextEncoder();
  view.setUint32(0, qcow2Magic);
  view.setUint32(4, header.version);
  view.setUint32(20, header.clusterBits);
  view.setBigUint64(24, BigInt(header.size));
  view.setUint32(headerField.l1, header.l1Size);
  view.setBigUint64(headerField.l1 + 4, BigInt(header.l1Offset));
  view.setBigUint64(headerField.refcountTable, BigInt(header.refcountTableOffset));
  view.setUint32(headerField.refcountTable + 8, header.refcountTableClusters);
  if (v3) {
    view.setBigUint64(headerField.incompatible, header.incompatible);
    view.setBigUint64(80, header.lazyRefcounts ? compatibleLazyRefcounts : 0n);
    view.setUint32(96, header.refcountOrder);
    view.setUint32(100, writtenHeaderBytes);
    view.setUint8(104, header.compression === 'zstd' ? 1 : 0);
  }
  let at = v3 ? writtenHeaderBytes : v2HeaderBytes;
  if (header.backingFormat !== null) {
    const format = encoder.encode(header.backingFormat);
    view.setUint32(at, extension.backingFormat);
    view.setUint32(at + 4, format.length);
    bytes.set(format, at + 8);
    at += 8 + Math.ceil(format.length / 8) * 8;
  }
  at += 8;
  if (header.backingFile !== null) {
    const name = encoder.encode(header.backingFile);
    if (name.length > maxBackingName || at + name.length > bytes.length) {
      throw new ImageError(`the backing file’s name is too long: ${header.backingFile}`);
    }
    view.setBigUint64(8, BigInt(at));
    view.setUint32(16, name.length);
    bytes.set(name, at);
  }
  return bytes;
}

// ---- L1 and L2 entries

/** The reference count is 1: what is referred to may be changed in place. */
export const copied = 1n << 63n;
const compressed = 1n << 62n;
/** L2, version 3: the cluster reads as zeroes. */
export const zeroFlag = 1n;
export const offsetMask = 0x00fffffffffffe00n;

export type Mapping =
  | { readonly kind: 'unallocated' }
  | { readonly kind: 'data'; readonly offset: number; readonly copied: boolean }
  /** `offset`: a cluster that is kept for it, or 0. */
  | { readonly kind: 'zero'; readonly offset: number; readonly copied: boolean }
  | { readonly kind: 'compressed'; readonly offset: number; readonly length: number };

const unallocated: Mapping = { kind: 'unallocated' };

/** What an L2 entry says. Offsets that are too large come out as they are: reading there gives zeroes. */
export function decodeEntry(entry: bigint, version: number, clusterBits: number): Mapping {
  if (entry & compressed) {
    const offsetBits = BigInt(62 - (clusterBits - 8));
    const offset = Number(entry & ((1n << offsetBits) - 1n));
    const sectors = Number((entry >> offsetBits) & ((1n << BigInt(clusterBits - 8)) - 1n)) + 1;
    return { kind: 'compressed', offset, length: sectors * 512 - (offset % 512) };
  }
  const offset = Number(entry & offsetMask);
  const own = (entry & copied) !== 0n;
  if (version >= 3 && entry & zeroFlag) return { kind: 'zero', offset, copied: own };
  return offset === 0 ? unallocated : { kind: 'data', offset, copied: own };
}

/** The entry of compressed bytes [offset, offset + length). */
export function compressedEntry(offset: number, length: number, clusterBits: number): bigint {
  const offsetBits = BigInt(62 - (clusterBits - 8));
  const sectors = Math.floor((offset + length - 1) / 512) - Math.floor(offset / 512);
  return compressed | (BigInt(sectors) << offsetBits) | BigInt(offset);
}
