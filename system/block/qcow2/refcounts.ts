import { ImageError, type ImageFile } from '../host-file.ts';
import { type Header, headerField, maxRefcountTableBytes } from './format.ts';

/*
 * Reference counts of an image's clusters, and with them which are free. Changes are made in memory; `writeOut` brings
 * them to the file so that at each moment the counts there are no smaller than what refers to the clusters.
 */

interface Block {
  /** Where it lies in the file. */
  readonly offset: number;
  readonly bytes: Uint8Array;
  dirty: boolean;
}

/** Reads and writes counts of 2^order bits in a block. */
function countAccess(order: number): {
  get(bytes: Uint8Array, i: number): number;
  set(bytes: Uint8Array, i: number, value: number): void;
} {
  const bits = 2 ** order;
  if (bits < 8) {
    const perByte = 8 / bits;
    const mask = (1 << bits) - 1;
    const shift = (i: number): number => (i % perByte) * bits;
    return {
      get: (bytes, i) => (bytes[Math.floor(i / perByte)]! >> shift(i)) & mask,
      set(bytes, i, value) {
        const at = Math.floor(i / perByte);
        bytes[at] = (bytes[at]! & ~(mask << shift(i))) | (value << shift(i));
      },
    };
  }
  const size = bits / 8;
  return {
    get(bytes, i) {
      let value = 0;
      for (let k = 0; k < size; k++) value = value * 256 + bytes[i * size + k]!;
      return value;
    },
    set(bytes, i, value) {
      for (let k = size - 1, left = value; k >= 0; k--, left = Math.floor(left / 256)) bytes[i * size + k] = left % 256;
    },
  };
}

export class Refcounts {
  private readonly file: ImageFile;
  private readonly header: Header;
  private readonly clusterBytes: number;
  /** Counts in a block. */
  private readonly perBlock: number;
  private readonly largest: number;
  private readonly access;
  /** Offsets of blocks; 0: there is none, all its counts are 0. */
  private readonly table: number[];
  private readonly blocks = new Map<number, Block>();
  private readonly dirtyEntries = new Set<number>();
  /** Where the table is to be, if it has grown. */
  private moved: { readonly offset: number; readonly clusters: number } | null = null;
  /** Cluster below which none is free. */
  private firstFree = 0;
  /** Clusters whose reference goes once nothing in the file refers to them. */
  private released: number[] = [];

  constructor(file: ImageFile, header: Header) {
    this.file = file;
    this.header = header;
    this.clusterBytes = 2 ** header.clusterBits;
    this.perBlock = (this.clusterBytes * 8) / 2 ** header.refcountOrder;
    this.largest = Math.min(2 ** (2 ** header.refcountOrder) - 1, Number.MAX_SAFE_INTEGER);
    this.access = countAccess(header.refcountOrder);
    const bytes = new Uint8Array(header.refcountTableClusters * this.clusterBytes);
    file.read(header.refcountTableOffset, bytes);
    const view = new DataView(bytes.buffer);
    this.table = Array.from({ length: bytes.length / 8 }, (_, i) => Number(view.getBigUint64(8 * i) & ~0x1ffn));
  }

  /** Offsets of the blocks that there are. */
  get blockOffsets(): number[] {
    return this.table.filter((offset) => offset !== 0);
  }

  private block(index: number): Block | undefined {
    const known = this.blocks.get(index);
    if (known) return known;
    const offset = this.table[index] ?? 0;
    if (offset === 0) return undefined;
    if (offset % this.clusterBytes !== 0) {
      throw new ImageError(`${this.file.path}: damaged reference count table: entry ${index} leads to ${offset}`);
    }
    const block = { offset, bytes: new Uint8Array(this.clusterBytes), dirty: false };
    this.file.read(offset, block.bytes);
    this.blocks.set(index, block);
    return block;
  }

  get(cluster: number): number {
    const block = this.block(Math.floor(cluster / this.perBlock));
    return block ? this.access.get(block.bytes, cluster % this.perBlock) : 0;
  }

  set(cluster: number, count: number): void {
    if (count < 0)
      throw new ImageError(`${this.file.path}: damaged: cluster ${cluster} is used more often than counted`);
    if (count > this.largest) throw new ImageError(`${this.file.path}: cluster ${cluster} is used too often`);
    const block = this.makeBlock(Math.floor(cluster / this.perBlock));
    this.access.set(block.bytes, cluster % this.perBlock, count);
    block.dirty = true;
    if (count === 0) this.firstFree = Math.min(this.firstFree, cluster);
  }

  add(cluster: number, change: number): void {
    this.set(cluster, this.get(cluster) + change);
  }

  /** Whether a cluster can be used by one more. */
  canShare(cluster: number): boolean {
    return this.get(cluster) < this.largest;
  }

  private makeBlock(index: number): Block {
    const known = this.block(index);
    if (known) return known;
    if (index >= this.table.length) {
      this.growTable(index);
      // The table's own clusters may have needed the same block.
      return this.makeBlock(index);
    }
    // It may count itself: nothing else is needed then.
    const cluster = this.find(1);
    this.firstFree = cluster + 1;
    const block = { offset: cluster * this.clusterBytes, bytes: new Uint8Array(this.clusterBytes), dirty: true };
    this.table[index] = block.offset;
    this.dirtyEntries.add(index);
    this.blocks.set(index, block);
    this.set(cluster, 1);
    return block;
  }

  /** Makes the table long enough for block `index`: it moves. */
  private growTable(index: number): void {
    const { header, clusterBytes } = this;
    const perCluster = clusterBytes / 8;
    // It counts its own clusters too, which may lie beyond what the old one reaches.
    const clusters = Math.ceil(((index + 1) * 1.5) / perCluster) + 1;
    if (clusters * clusterBytes > maxRefcountTableBytes) {
      throw new ImageError(`${this.file.path}: damaged: cluster ${index * this.perBlock} is further away than can be`);
    }
    const old = this.moved ?? { offset: header.refcountTableOffset, clusters: header.refcountTableClusters };
    const start = this.find(clusters);
    while (this.table.length < clusters * perCluster) this.table.push(0);
    this.moved = { offset: start * clusterBytes, clusters };
    this.firstFree = start + clusters;
    for (let i = 0; i < clusters; i++) this.set(start + i, 1);
    for (let i = 0; i < old.clusters; i++) this.release(old.offset + i * clusterBytes);
  }

  /** The first of `count` free clusters in a row. */
  private find(count: number): number {
    let start = this.firstFree;
    for (let at = start; at < start + count; at++) {
      if (this.get(at) !== 0) start = at + 1;
    }
    return start;
  }

  /** Takes `count` clusters in a row; answers the offset of the first. */
  allocate(count = 1): number {
    const start = this.find(count);
    if (start === this.firstFree) this.firstFree = start + count;
    // Making a block for them may take a cluster itself, of these.
    for (let i = 0; i < count; i++) this.makeBlock(Math.floor((start + i) / this.perBlock));
    for (let i = 0; i < count; i++) {
      if (this.get(start + i) !== 0) return this.allocate(count);
    }
    for (let i = 0; i < count; i++) this.set(start + i, 1);
    return start * this.clusterBytes;
  }

  /** The cluster at `offset` is referred to once less, as soon as the file says so. */
  release(offset: number): void {
    this.released.push(Math.floor(offset / this.clusterBytes));
  }

  get hasReleased(): boolean {
    return this.released.length > 0;
  }

  /** Counts what was released: nothing in the file refers to it any more. */
  applyReleased(): void {
    const clusters = this.released;
    this.released = [];
    for (const cluster of clusters) this.add(cluster, -1);
  }

  /** Writes what has changed: blocks, then what leads to them. */
  writeOut(): void {
    const { file, header } = this;
    for (const block of this.blocks.values()) {
      if (!block.dirty) continue;
      file.write(block.offset, block.bytes);
      block.dirty = false;
    }
    if (this.dirtyEntries.size === 0 && this.moved === null) return;
    file.sync();
    if (this.moved === null) {
      for (const index of this.dirtyEntries) file.write(header.refcountTableOffset + 8 * index, this.entry(index));
    } else {
      const { offset, clusters } = this.moved;
      const bytes = new Uint8Array(clusters * this.clusterBytes);
      for (const index of this.table.keys()) bytes.set(this.entry(index), 8 * index);
      file.write(offset, bytes);
      file.sync();
      header.refcountTableOffset = offset;
      header.refcountTableClusters = clusters;
      const field = new Uint8Array(12);
      const view = new DataView(field.buffer);
      view.setBigUint64(0, BigInt(offset));
      view.setUint32(8, clusters);
      file.write(headerField.refcountTable, field);
      this.moved = null;
    }
    this.dirtyEntries.clear();
  }

  private entry(index: number): Uint8Array {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(this.table[index]!));
    return bytes;
  }
}
