import { ImageError, type ImageFile } from '../host-file.ts';
import { encodeEntries, readEntries } from './cluster-map.ts';
import { copied, decodeEntry, headerField, incompatible, offsetMask } from './format.ts';
import type { Qcow2Image } from './image.ts';

/** An internal snapshot: a disk as it was, and perhaps a machine's state. */
export interface Snapshot {
  readonly id: string;
  readonly name: string;
  readonly l1Offset: number;
  readonly l1Size: number;
  /** Seconds since 1970, and nanoseconds. */
  readonly date: readonly [number, number];
  /** Nanoseconds that the guest has run. */
  readonly clock: bigint;
  readonly stateBytes: number;
  readonly diskSize: number;
  /** That the guest has run, if it counts them; else `noInstructions`. */
  readonly instructions: bigint;
}

export interface NewSnapshot {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly date: number;
  readonly clock?: bigint;
  /** The machine's state. */
  readonly state?: Uint8Array;
}

const fixedBytes = 40;
/** Bytes of extra data that we write: long state size, disk size, instruction count. */
const extraBytes = 24;
export const noInstructions = 2n ** 64n - 1n;
/** A table of more bytes is a damaged one. */
const maxTableBytes = 64 << 20;

/** The snapshot table of an image (qcow2.txt, "Snapshots"). */
/** A machine's state takes no more. */
const maxStateBytes = 2 ** 32;

export class Snapshots {
  readonly list: Snapshot[];
  private readonly image: Qcow2Image;
  private readonly file: ImageFile;
  private tableBytes = 0;

  constructor(image: Qcow2Image, file: ImageFile) {
    this.image = image;
    this.file = file;
    this.list = this.readTable();
  }

  private get clusterBytes(): number {
    return 2 ** this.image.header.clusterBits;
  }

  /** Offsets of the clusters that the table takes. */
  get tableClusters(): number[] {
    const { snapshotsOffset } = this.image.header;
    const count = Math.ceil(this.tableBytes / this.clusterBytes);
    return Array.from({ length: count }, (_, i) => snapshotsOffset + i * this.clusterBytes);
  }

  private readTable(): Snapshot[] {
    const { snapshotCount, snapshotsOffset } = this.image.header;
    const damaged = (): never => {
      throw new ImageError(`${this.file.path}: damaged snapshot table`);
    };
    const available = Math.max(0, this.file.size - snapshotsOffset);
    const bytes = new Uint8Array(snapshotCount === 0 ? 0 : Math.min(available, maxTableBytes));
    this.file.read(snapshotsOffset, bytes);
    const view = new DataView(bytes.buffer);
    const found: Snapshot[] = [];
    let at = 0;
    for (let i = 0; i < snapshotCount; i++) {
      if (at + fixedBytes > bytes.length) damaged();
      const [idBytes, nameBytes, extra] = [view.getUint16(at + 12), view.getUint16(at + 14), view.getUint32(at + 36)];
      const names = at + fixedBytes + extra;
      const end = names + idBytes + nameBytes;
      if (end > bytes.length) damaged();
      const u64 = (offset: number, otherwise: bigint): bigint =>
        offset + 8 <= extra ? view.getBigUint64(at + fixedBytes + offset) : otherwise;
      const text = (from: number, length: number): string =>
        new TextDecoder().decode(bytes.subarray(from, from + length));
      found.push({
        id: text(names, idBytes),
        name: text(names + idBytes, nameBytes),
        l1Offset: Number(view.getBigUint64(at)),
        l1Size: view.getUint32(at + 8),
        date: [view.getUint32(at + 16), view.getUint32(at + 20)],
        clock: view.getBigUint64(at + 24),
        stateBytes: Number(u64(0, BigInt(view.getUint32(at + 32)))),
        diskSize: Number(u64(8, BigInt(this.image.size))),
        instructions: u64(16, noInstructions),
      });
      const { l1Size, stateBytes } = found.at(-1)!;
      if (l1Size * 8 > maxTableBytes || stateBytes > maxStateBytes) damaged();
      at = Math.ceil(end / 8) * 8;
    }
    this.tableBytes = at;
    return found;
  }

  /** The snapshot with this ID or name; an ID comes first, as in QEMU. */
  find(text: string): Snapshot | undefined {
    return this.list.find(({ id }) => id === text) ?? this.list.find(({ name }) => name === text);
  }

  /** The clusters that a snapshot's L1 table takes. */
  tableOf({ l1Offset, l1Size }: Pick<Snapshot, 'l1Offset' | 'l1Size'>): number[] {
    const count = Math.ceil((l1Size * 8) / this.clusterBytes);
    return Array.from({ length: count }, (_, i) => l1Offset + i * this.clusterBytes);
  }

  l1Of({ l1Offset, l1Size }: Snapshot): BigUint64Array {
    return readEntries(this.file, l1Offset, l1Size);
  }

  /** Calls `visit` with the offset of each cluster that an L1 table leads to: L2 tables and what they lead to. */
  forEachCluster(l1: BigUint64Array, visit: (offset: number) => void): void {
    const { header } = this.image;
    for (const entry of l1) {
      const table = Number(entry & offsetMask);
      if (table === 0) continue;
      for (const word of readEntries(this.file, table, this.clusterBytes / 8)) {
        const mapping = decodeEntry(word, header.version, header.clusterBits);
        for (const offset of this.image.hostClusters(mapping)) visit(offset);
      }
      visit(table);
    }
  }

  private count(l1: BigUint64Array, change: number): void {
    const { refcounts } = this.image;
    this.forEachCluster(l1, (offset) => refcounts.add(Math.floor(offset / this.clusterBytes), change));
  }

  /**
   * Runs `change`, in the middle of which counts and flags do not fit each other: until it has ended the image is marked
   * as one to be repaired.
   */
  private repairable(change: () => void): void {
    const { image } = this;
    image.flush();
    image.setIncompatible(incompatible.dirty, true);
    change();
    image.flush();
    image.map.updateCopied();
    image.flush();
    image.setIncompatible(incompatible.dirty, false);
  }

  create({ name, date, clock = 0n, state = new Uint8Array(0) }: NewSnapshot): Snapshot {
    const { image, file } = this;
    const stateOffset = this.stateOffset;
    if (state.length > 0) image.write(stateOffset, state);
    const id = String(Math.max(0, ...this.list.map((other) => Number(other.id) || 0)) + 1);
    let made: Snapshot | undefined;
    this.repairable(() => {
      const l1 = image.map.l1Entries.map((entry) => entry & ~copied);
      const clusters = Math.max(1, Math.ceil((l1.length * 8) / this.clusterBytes));
      const l1Offset = image.refcounts.allocate(clusters);
      file.write(l1Offset, encodeEntries(l1));
      this.count(l1, 1);
      const seconds = Math.floor(date / 1000);
      made = {
        id,
        name,
        l1Offset,
        l1Size: l1.length,
        date: [seconds, Math.round((date - seconds * 1000) * 1e6)],
        clock,
        stateBytes: state.length,
        diskSize: image.size,
        instructions: state.length > 0 ? noInstructions : 0n,
      };
      this.list.push(made);
      this.writeTable();
    });
    // The snapshot keeps it.
    if (state.length > 0) image.discard(stateOffset, Math.ceil(state.length / this.clusterBytes) * this.clusterBytes);
    image.flush();
    return made!;
  }

  /** Where a machine's state lies, in bytes of the disk: in the first L2 table beyond its end. */
  private get stateOffset(): number {
    const perTable = (this.clusterBytes / 8) * this.clusterBytes;
    return Math.ceil(this.image.size / perTable) * perTable;
  }

  /** The disk is again as it was; answers the machine's state. */
  apply(snapshot: Snapshot): Uint8Array {
    const { image, file } = this;
    if (snapshot.diskSize !== image.size)
      throw new ImageError(`${image.path}: the disk had another size at '${snapshot.name}'`);
    this.repairable(() => {
      const old = image.map.l1Entries.slice();
      const l1 = this.l1Of(snapshot);
      this.count(l1, 1);
      image.refcounts.writeOut();
      image.map.reserve(l1.length);
      const whole = new BigUint64Array(image.map.l1Entries.length);
      whole.set(l1);
      file.sync();
      file.write(image.header.l1Offset, encodeEntries(whole));
      file.sync();
      image.map.reload();
      this.count(old, -1);
    });
    const state = new Uint8Array(snapshot.stateBytes);
    if (state.length > 0) image.read(this.stateOffset, state);
    return state;
  }

  delete(snapshot: Snapshot): void {
    this.repairable(() => {
      this.list.splice(this.list.indexOf(snapshot), 1);
      this.writeTable();
      this.image.flush();
      this.count(this.l1Of(snapshot), -1);
      for (const offset of this.tableOf(snapshot)) this.image.refcounts.release(offset);
    });
  }

  /** Writes the table to another place and makes that the one that counts. */
  private writeTable(): void {
    const { image, file } = this;
    const old = this.tableClusters;
    const bytes = this.encode();
    const offset = bytes.length === 0 ? 0 : image.refcounts.allocate(Math.ceil(bytes.length / this.clusterBytes));
    if (bytes.length > 0) file.write(offset, bytes);
    image.refcounts.writeOut();
    file.sync();
    const field = new Uint8Array(12);
    const view = new DataView(field.buffer);
    view.setUint32(0, this.list.length);
    view.setBigUint64(4, BigInt(offset));
    file.write(headerField.snapshots, field);
    file.sync();
    image.header.snapshotCount = this.list.length;
    image.header.snapshotsOffset = offset;
    this.tableBytes = bytes.length;
    for (const cluster of old) image.refcounts.release(cluster);
  }

  private encode(): Uint8Array {
    const encoder = new TextEncoder();
    const entries = this.list.map((snapshot) => {
      const [id, name] = [encoder.encode(snapshot.id), encoder.encode(snapshot.name)];
      const bytes = new Uint8Array(Math.ceil((fixedBytes + extraBytes + id.length + name.length) / 8) * 8);
      const view = new DataView(bytes.buffer);
      view.setBigUint64(0, BigInt(snapshot.l1Offset));
      view.setUint32(8, snapshot.l1Size);
      view.setUint16(12, id.length);
      view.setUint16(14, name.length);
      view.setUint32(16, snapshot.date[0]);
      view.setUint32(20, snapshot.date[1]);
      view.setBigUint64(24, snapshot.clock);
      view.setUint32(32, Math.min(snapshot.stateBytes, 0xffffffff));
      view.setUint32(36, extraBytes);
      view.setBigUint64(fixedBytes, BigInt(snapshot.stateBytes));
      view.setBigUint64(fixedBytes + 8, BigInt(snapshot.diskSize));
      view.setBigUint64(fixedBytes + 16, snapshot.instructions);
      bytes.set(id, fixedBytes + extraBytes);
      bytes.set(name, fixedBytes + extraBytes + id.length);
      return bytes;
    });
    const all = new Uint8Array(entries.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const entry of entries) {
      all.set(entry, at);
      at += entry.length;
    }
    return all;
  }
}
