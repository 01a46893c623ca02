import { ImageError, type ImageFile } from '../host-file.ts';
import { copied, decodeEntry, type Header, headerField, type Mapping, offsetMask } from './format.ts';
import type { Refcounts } from './refcounts.ts';

interface Table {
  offset: number;
  readonly entries: BigUint64Array;
  dirty: boolean;
}

/** An L1 or L2 table as it lies in the file. */
export function encodeEntries(entries: BigUint64Array): Uint8Array {
  const bytes = new Uint8Array(entries.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [i, entry] of entries.entries()) view.setBigUint64(8 * i, entry);
  return bytes;
}

export function readEntries(file: ImageFile, offset: number, count: number): BigUint64Array {
  const bytes = new Uint8Array(count * 8);
  file.read(offset, bytes);
  const view = new DataView(bytes.buffer);
  return BigUint64Array.from({ length: count }, (_, i) => view.getBigUint64(8 * i));
}

/** Where the disk's clusters lie: the active L1 table and its L2 tables. Changes stay in memory until `writeOut`. */
export class ClusterMap {
  private readonly file: ImageFile;
  private readonly header: Header;
  private readonly refcounts: Refcounts;
  private readonly clusterBytes: number;
  private readonly perTable: number;
  private l1: BigUint64Array;
  private readonly dirtyL1 = new Set<number>();
  private readonly tables = new Map<number, Table>();

  constructor(file: ImageFile, header: Header, refcounts: Refcounts) {
    this.file = file;
    this.header = header;
    this.refcounts = refcounts;
    this.clusterBytes = 2 ** header.clusterBits;
    this.perTable = this.clusterBytes / 8;
    this.l1 = readEntries(file, header.l1Offset, header.l1Size);
  }

  /** The active L1 table. */
  get l1Entries(): BigUint64Array {
    return this.l1;
  }

  /** Reads the active L1 table again: it is another one now. */
  reload(): void {
    this.l1 = readEntries(this.file, this.header.l1Offset, this.header.l1Size);
    this.dirtyL1.clear();
    this.tables.clear();
  }

  private table(index: number): Table | undefined {
    const known = this.tables.get(index);
    if (known) return known;
    const offset = Number((this.l1[index] ?? 0n) & offsetMask);
    if (offset === 0) return undefined;
    this.checkAligned(offset, `L1 entry ${index}`);
    const table = { offset, entries: readEntries(this.file, offset, this.perTable), dirty: false };
    this.tables.set(index, table);
    return table;
  }

  private checkAligned(offset: number, what: string): void {
    if (offset % this.clusterBytes === 0) return;
    throw new ImageError(`${this.file.path}: damaged: ${what} leads to ${offset}, which is no cluster`);
  }

  /** Where a cluster of the disk lies. */
  get(cluster: number): Mapping {
    const table = this.table(Math.floor(cluster / this.perTable));
    const entry = table?.entries[cluster % this.perTable] ?? 0n;
    const mapping = decodeEntry(entry, this.header.version, this.header.clusterBits);
    if (mapping.kind === 'data' || mapping.kind === 'zero') this.checkAligned(mapping.offset, `cluster ${cluster}`);
    return mapping;
  }

  /** Sets the entry of a cluster of the disk. */
  set(cluster: number, entry: bigint): void {
    const table = this.ownTable(Math.floor(cluster / this.perTable));
    table.entries[cluster % this.perTable] = entry;
    table.dirty = true;
  }

  /** Makes the L1 table have at least `count` entries. */
  reserve(count: number): void {
    if (count > this.l1.length) this.growL1(count);
  }

  /** The L2 table, which is the active disk's alone from now on. */
  private ownTable(index: number): Table {
    this.reserve(index + 1);
    const known = this.table(index);
    if (known && this.l1[index]! & copied) return known;
    const offset = this.refcounts.allocate();
    const entries = known ? known.entries : new BigUint64Array(this.perTable);
    const table = { offset, entries, dirty: true };
    if (known) this.refcounts.release(known.offset);
    this.tables.set(index, table);
    this.l1[index] = BigInt(offset) | copied;
    this.dirtyL1.add(index);
    return table;
  }

  /** Moves the L1 table to where it has room for `count` entries. */
  private growL1(count: number): void {
    const { file, header, refcounts, clusterBytes } = this;
    this.writeOut();
    const clusters = Math.ceil((count * 8) / clusterBytes);
    const oldClusters = Math.ceil((header.l1Size * 8) / clusterBytes);
    const grown = new BigUint64Array((clusters * clusterBytes) / 8);
    grown.set(this.l1);
    const offset = refcounts.allocate(clusters);
    file.write(offset, encodeEntries(grown));
    refcounts.writeOut();
    for (let i = 0; i < oldClusters; i++) refcounts.release(header.l1Offset + i * clusterBytes);
    this.place(offset, grown.length);
    this.l1 = grown;
  }

  /** Makes the table of `count` entries at `offset` the active one. */
  place(offset: number, count: number): void {
    this.file.sync();
    this.header.l1Offset = offset;
    this.header.l1Size = count;
    const field = new Uint8Array(12);
    const view = new DataView(field.buffer);
    view.setUint32(0, count);
    view.setBigUint64(4, BigInt(offset));
    this.file.write(headerField.l1, field);
  }

  /** Writes what has changed, once what it refers to is counted and kept: L2 tables, then what leads to them. */
  writeOut(): void {
    const { file } = this;
    const dirty = [...this.tables.values()].filter((table) => table.dirty);
    if (dirty.length === 0 && this.dirtyL1.size === 0) return;
    this.refcounts.writeOut();
    file.sync();
    for (const table of dirty) {
      file.write(table.offset, encodeEntries(table.entries));
      table.dirty = false;
    }
    if (this.dirtyL1.size === 0) return;
    file.sync();
    for (const index of this.dirtyL1) {
      file.write(this.header.l1Offset + 8 * index, encodeEntries(this.l1.subarray(index, index + 1)));
    }
    this.dirtyL1.clear();
  }

  /** Sets the `copied` flags by the counts: after these have changed for other reasons than writes. */
  updateCopied(): void {
    const flagged = (entry: bigint, offset: number): bigint =>
      this.refcounts.get(offset / this.clusterBytes) === 1 ? entry | copied : entry & ~copied;
    for (const [index, entry] of this.l1.entries()) {
      const table = this.table(index);
      if (!table) continue;
      this.l1[index] = flagged(entry, table.offset);
      if (this.l1[index] !== entry) this.dirtyL1.add(index);
      for (const [i, old] of table.entries.entries()) {
        const mapping = decodeEntry(old, this.header.version, this.header.clusterBits);
        if ((mapping.kind !== 'data' && mapping.kind !== 'zero') || mapping.offset === 0) continue;
        table.entries[i] = flagged(old, mapping.offset);
        if (table.entries[i] !== old) table.dirty = true;
      }
    }
  }
}
