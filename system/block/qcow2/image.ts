import type { BlockBackend } from '#hw/block/backend.ts';
import { ImageError, type ImageFile } from '../host-file.ts';
import { type DiskImage, zeroes } from '../image.ts';
import { type CheckResult, checkImage, type Repair } from './check.ts';
import { ClusterMap } from './cluster-map.ts';
import { compress, decompress } from './compression.ts';
import {
  compressedEntry,
  copied,
  type Header,
  headerField,
  headReadBytes,
  incompatible,
  l1Entries,
  type Mapping,
  parseHeader,
  zeroFlag,
} from './format.ts';
import { Refcounts } from './refcounts.ts';
import { type Snapshot, Snapshots } from './snapshots.ts';

/**
 * A qcow2 image. Data go to the file at once, what leads to them with `flush`: reference counts, then L2 tables, then the
 * L1 table, then the counts of what is not used any more, each kept before the next is written. So whenever that ends, the
 * file is sound; at worst there are clusters in it that nothing uses.
 */
export class Qcow2Image implements DiskImage {
  readonly format = 'qcow2';
  readonly header: Header;
  readonly snapshots: Snapshots;
  readonly refcounts: Refcounts;
  readonly map: ClusterMap;
  /** What clusters read as that are not in this file. */
  readonly backing: DiskImage | null;
  private readonly file: ImageFile;
  private readonly clusterBytes: number;
  /** The compressed cluster that was read last. */
  private unpacked: { readonly offset: number; readonly bytes: Uint8Array } | null = null;
  /** Where compressed bytes go on, within a cluster that has room. */
  private packedEnd = 0;

  /**
   * `openBacking` opens the backing file of this name and format; null: it is not needed. `checking`: leave an image that
   * needs repair as it is.
   */
  constructor(
    file: ImageFile,
    openBacking: ((name: string, format: string | null) => DiskImage) | null,
    checking = false,
  ) {
    this.file = file;
    const head = new Uint8Array(Math.min(headReadBytes, file.size));
    file.read(0, head);
    this.header = parseHeader(head, file.path);
    const { header } = this;
    this.clusterBytes = 2 ** header.clusterBits;
    if (!file.readOnly && !checking) this.refuseDamaged();
    this.refcounts = new Refcounts(file, header);
    this.map = new ClusterMap(file, header, this.refcounts);
    this.snapshots = new Snapshots(this, file);
    const { backingFile, backingFormat } = header;
    this.backing = backingFile !== null && openBacking ? openBacking(backingFile, backingFormat) : null;
    if (header.incompatible & incompatible.dirty && !file.readOnly && !checking) {
      checkImage(this, file, 'all');
      this.setIncompatible(incompatible.dirty, false);
    }
  }

  private refuseDamaged(): void {
    const { header, file } = this;
    if (header.incompatible & incompatible.corrupt) {
      throw new ImageError(`${file.path}: the image is marked as corrupt: it cannot be opened for writing`);
    }
    if (header.autoclear !== 0n) {
      throw new ImageError(`${file.path}: bitmaps are not supported: the image can only be read`);
    }
  }

  get path(): string {
    return this.file.path;
  }

  get readOnly(): boolean {
    return this.file.readOnly;
  }

  get size(): number {
    return this.header.size;
  }

  // ---- data

  /** Calls `visit` for each part of [offset, offset + length) that lies in one cluster. */
  private clusters(
    offset: number,
    length: number,
    visit: (cluster: number, inside: number, at: number, bytes: number) => void,
  ): void {
    const { clusterBytes } = this;
    for (let at = 0; at < length; ) {
      const inside = (offset + at) % clusterBytes;
      const bytes = Math.min(clusterBytes - inside, length - at);
      visit((offset + at - inside) / clusterBytes, inside, at, bytes);
      at += bytes;
    }
  }

  read(offset: number, into: Uint8Array): void {
    this.clusters(offset, into.length, (cluster, inside, at, bytes) => {
      this.readCluster(cluster, this.map.get(cluster), inside, into.subarray(at, at + bytes));
    });
  }

  private readCluster(cluster: number, mapping: Mapping, inside: number, into: Uint8Array): void {
    switch (mapping.kind) {
      case 'data':
        this.file.read(mapping.offset + inside, into);
        return;
      case 'zero':
        into.fill(0);
        return;
      case 'compressed':
        into.set(this.unpack(mapping.offset, mapping.length).subarray(inside, inside + into.length));
        return;
      case 'unallocated':
        readWithin(this.backing, cluster * this.clusterBytes + inside, into);
    }
  }

  private unpack(offset: number, length: number): Uint8Array {
    if (this.unpacked?.offset === offset) return this.unpacked.bytes;
    const packed = new Uint8Array(length);
    this.file.read(offset, packed);
    try {
      const bytes = decompress(packed, this.clusterBytes, this.header.compression);
      this.unpacked = { offset, bytes };
      return bytes;
    } catch {
      throw new ImageError(`${this.path}: damaged: no compressed cluster at ${offset}`);
    }
  }

  write(offset: number, from: Uint8Array): void {
    this.clusters(offset, from.length, (cluster, inside, at, bytes) => {
      this.writeCluster(cluster, inside, from.subarray(at, at + bytes));
    });
  }

  private writeCluster(cluster: number, inside: number, from: Uint8Array): void {
    const { file, map, clusterBytes } = this;
    const mapping = map.get(cluster);
    if (mapping.kind === 'data' && mapping.copied) {
      file.write(mapping.offset + inside, from);
      return;
    }
    let whole = from;
    if (from.length < clusterBytes) {
      whole = new Uint8Array(clusterBytes);
      this.readCluster(cluster, mapping, 0, whole);
      whole.set(from, inside);
    }
    const kept = mapping.kind === 'zero' && mapping.offset !== 0 && mapping.copied;
    const place = kept ? mapping.offset : this.refcounts.allocate();
    file.write(place, whole);
    map.set(cluster, BigInt(place) | copied);
    if (!kept) this.releaseMapping(mapping);
  }

  /** Writes a whole cluster in compressed form if that is shorter. */
  writeCompressed(offset: number, cluster: Uint8Array): void {
    const { map, header, clusterBytes } = this;
    const packed = compress(cluster, header.compression);
    if (!packed) {
      this.write(offset, cluster);
      return;
    }
    const index = offset / clusterBytes;
    const old = map.get(index);
    const place = this.packedPlace(packed.length);
    this.file.write(place, packed);
    this.packedEnd = place + packed.length;
    // A file ends with a whole sector, since entries count those.
    const end = Math.ceil(this.packedEnd / 512) * 512;
    if (end > this.file.size) this.file.truncate(end);
    map.set(index, compressedEntry(place, packed.length, header.clusterBits));
    this.releaseMapping(old);
  }

  /** Room for compressed bytes: after the last ones, as long as the cluster has it. */
  private packedPlace(bytes: number): number {
    const { refcounts, clusterBytes, packedEnd } = this;
    const cluster = Math.floor(packedEnd / clusterBytes);
    const room = packedEnd % clusterBytes === 0 ? 0 : clusterBytes - (packedEnd % clusterBytes);
    if (bytes > room || !refcounts.canShare(cluster)) return refcounts.allocate();
    refcounts.add(cluster, 1);
    return packedEnd;
  }

  /** What a cluster had is not used by it any more. */
  private releaseMapping(mapping: Mapping): void {
    for (const offset of this.hostClusters(mapping)) {
      this.refcounts.release(offset);
      // It may become another one's: nothing is added to it, and what it had counts no more.
      if (offset === this.packedEnd - (this.packedEnd % this.clusterBytes)) this.packedEnd = 0;
    }
    this.unpacked = null;
  }

  /** Offsets of the file's clusters that a mapping refers to. */
  hostClusters(mapping: Mapping): number[] {
    const { clusterBytes } = this;
    if (mapping.kind === 'unallocated' || mapping.offset === 0) return [];
    if (mapping.kind !== 'compressed') return [mapping.offset];
    const found: number[] = [];
    const last = mapping.offset + mapping.length - 1;
    for (let at = mapping.offset - (mapping.offset % clusterBytes); at <= last; at += clusterBytes) found.push(at);
    return found;
  }

  discard(offset: number, length: number): void {
    this.clusters(offset, length, (cluster, _inside, _at, bytes) => {
      if (bytes === this.clusterBytes && this.map.get(cluster).kind !== 'unallocated') this.clear(cluster);
    });
  }

  /** Gives a cluster's room back: it reads as zeroes. False if that cannot be said in this version. */
  private clear(cluster: number): boolean {
    const { map, backing, header } = this;
    if (backing && header.version < 3) return false;
    const old = map.get(cluster);
    map.set(cluster, backing ? zeroFlag : 0n);
    this.releaseMapping(old);
    return true;
  }

  writeZeroes(offset: number, length: number, unmap: boolean): void {
    const { map, header, clusterBytes } = this;
    this.clusters(offset, length, (cluster, inside, _at, bytes) => {
      const mapping = map.get(cluster);
      if (mapping.kind === 'zero' || (mapping.kind === 'unallocated' && !this.backing)) return;
      if (bytes === clusterBytes) {
        if ((unmap || mapping.kind !== 'data') && this.clear(cluster)) return;
        if (header.version >= 3 && mapping.kind === 'data') {
          map.set(cluster, BigInt(mapping.offset) | zeroFlag | (mapping.copied ? copied : 0n));
          return;
        }
      }
      for (let at = 0; at < bytes; at += zeroes.length) {
        this.writeCluster(cluster, inside + at, zeroes.subarray(0, Math.min(zeroes.length, bytes - at)));
      }
    });
  }

  isHole(offset: number, length: number): boolean {
    let hole = true;
    this.clusters(offset, length, (cluster, inside, _at, bytes) => {
      const { kind } = this.map.get(cluster);
      const at = cluster * this.clusterBytes + inside;
      const below = kind === 'unallocated' && this.backing !== null && at < this.backing.size;
      if (
        kind === 'data' ||
        kind === 'compressed' ||
        (below && !this.backing!.isHole(at, Math.min(bytes, this.backing!.size - at)))
      )
        hole = false;
    });
    return hole;
  }

  // ---- metadata

  /** From now on the disk is read as it was at a snapshot; for images that are not written to. */
  showSnapshot({ l1Offset, l1Size, diskSize }: Snapshot): void {
    Object.assign(this.header, { l1Offset, l1Size, size: diskSize });
    this.map.reload();
  }

  /** Compares reference counts with references (`checkImage`). */
  check(repair: Repair): CheckResult {
    return checkImage(this, this.file, repair);
  }

  flush(): void {
    const { refcounts, map, file } = this;
    map.writeOut();
    refcounts.writeOut();
    file.sync();
    if (!refcounts.hasReleased) return;
    refcounts.applyReleased();
    refcounts.writeOut();
  }

  /** Sets or clears an incompatible feature bit, and keeps that. */
  setIncompatible(bit: bigint, on: boolean): void {
    const { header, file } = this;
    if (header.version < 3) return;
    header.incompatible = on ? header.incompatible | bit : header.incompatible & ~bit;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, header.incompatible);
    file.sync();
    file.write(headerField.incompatible, bytes);
    file.sync();
  }

  /** Changes the size of the disk. */
  resize(size: number): void {
    const { header, file, map } = this;
    if (size < header.size) throw new ImageError(`${this.path}: a qcow2 image cannot be made smaller here`);
    map.reserve(l1Entries(size, header.clusterBits));
    header.size = size;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(size));
    this.flush();
    file.write(24, bytes);
    file.sync();
  }

  close(): void {
    if (!this.readOnly) this.flush();
    this.file.close();
    this.backing?.close();
  }
}

/** Reads from a disk that may be absent or end before: what is missing is zeroes. */
function readWithin(disk: BlockBackend | null, offset: number, into: Uint8Array): void {
  const there = disk ? Math.max(0, Math.min(into.length, disk.size - offset)) : 0;
  if (there > 0) disk!.read(offset, into.subarray(0, there));
  into.fill(0, there);
}
