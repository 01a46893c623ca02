import type { ImageFile } from '../host-file.ts';
import { readEntries } from './cluster-map.ts';
import { copied, decodeEntry, offsetMask } from './format.ts';
import type { Qcow2Image } from './image.ts';

export type Repair = 'none' | 'leaks' | 'all';

/** What there is to say about an image. */
export interface CheckResult {
  /** What is wrong, a line each, in `qemu-img check`'s words. */
  readonly lines: string[];
  corruptions: number;
  leaks: number;
  fixedCorruptions: number;
  fixedLeaks: number;
  /** Clusters of the disk, and how many of them lie in the file, not beside the one before, compressed. */
  readonly clusters: number;
  allocated: number;
  fragmented: number;
  compressed: number;
  /** Where the last used cluster ends. */
  endOffset: number;
}

/**
 * Compares reference counts with what refers to clusters, and `copied` flags with counts. `repair`: counts that are too
 * high are set right (`leaks`), or all that can be (`all`).
 */
export function checkImage(image: Qcow2Image, file: ImageFile, repair: Repair = 'none'): CheckResult {
  return new Check(image, file, repair).run();
}

class Check {
  private readonly image: Qcow2Image;
  private readonly file: ImageFile;
  private readonly repair: Repair;
  private readonly clusterBytes: number;
  /** By cluster of the file: how many refer to it. */
  private readonly expected = new Map<number, number>();
  private readonly result: CheckResult;
  /** Where the L2 table's entry before leads. */
  private before = -1;

  constructor(image: Qcow2Image, file: ImageFile, repair: Repair) {
    this.image = image;
    this.file = file;
    this.repair = repair;
    this.clusterBytes = 2 ** image.header.clusterBits;
    this.result = {
      lines: [],
      corruptions: 0,
      leaks: 0,
      fixedCorruptions: 0,
      fixedLeaks: 0,
      clusters: Math.ceil(image.size / this.clusterBytes),
      allocated: 0,
      fragmented: 0,
      compressed: 0,
      endOffset: 0,
    };
  }

  run(): CheckResult {
    const { image, result } = this;
    const { header, snapshots, refcounts } = image;
    this.refer(0, 'header');
    this.referTable(image.map.l1Entries, header.l1Offset, true);
    for (const snapshot of snapshots.list) this.referTable(snapshots.l1Of(snapshot), snapshot.l1Offset, false);
    for (const offset of snapshots.tableClusters) this.refer(offset, 'snapshot table');
    for (let i = 0; i < header.refcountTableClusters; i++) {
      this.refer(header.refcountTableOffset + i * this.clusterBytes, 'refcount table');
    }
    for (const offset of refcounts.blockOffsets) this.refer(offset, 'refcount block');
    this.compareCounts();
    if (this.repair === 'all' && result.corruptions > 0) {
      image.map.updateCopied();
      image.flush();
    } else if (result.fixedLeaks > 0) {
      image.flush();
    }
    return result;
  }

  /** Notes that the cluster at `offset` is referred to by a `what`. */
  private refer(offset: number, what: string): boolean {
    if (offset % this.clusterBytes !== 0 || offset >= Math.max(this.file.size, 1)) {
      this.corruption(`ERROR ${what} offset 0x${offset.toString(16)} is not in the image`);
      return false;
    }
    const cluster = offset / this.clusterBytes;
    this.expected.set(cluster, (this.expected.get(cluster) ?? 0) + 1);
    this.result.endOffset = Math.max(this.result.endOffset, offset + this.clusterBytes);
    return true;
  }

  private corruption(line: string): void {
    this.result.lines.push(line);
    this.result.corruptions++;
  }

  /** An L1 table with all that it leads to; `active`: the one whose flags count. */
  private referTable(l1: BigUint64Array, offset: number, active: boolean): void {
    const { header } = this.image;
    for (let at = 0; at < l1.length * 8; at += this.clusterBytes) this.refer(offset + at, 'L1 table');
    for (const entry of l1) {
      const table = Number(entry & offsetMask);
      if (table === 0 || !this.refer(table, 'L2 table')) continue;
      if (active) this.checkCopied('L2 table', `l1_entry=${entry.toString(16)}`, entry, table);
      const entries = readEntries(this.file, table, this.clusterBytes / 8);
      this.before = -1;
      for (const word of entries) {
        const mapping = decodeEntry(word, header.version, header.clusterBits);
        const hosts = this.image.hostClusters(mapping);
        if (active && hosts.length > 0) this.tally(mapping.kind === 'compressed', hosts[0]!);
        for (const host of hosts) {
          if (!this.refer(host, 'data cluster') || !active || mapping.kind === 'compressed') continue;
          this.checkCopied('data cluster', `l2_entry=${word.toString(16)}`, word, host);
        }
      }
    }
  }

  private tally(compressed: boolean, host: number): void {
    const { result } = this;
    result.allocated++;
    if (compressed) {
      result.compressed++;
      result.fragmented++;
      return;
    }
    if (this.before >= 0 && host !== this.before + this.clusterBytes) result.fragmented++;
    this.before = host;
  }

  private checkCopied(what: string, shown: string, entry: bigint, offset: number): void {
    const count = this.image.refcounts.get(offset / this.clusterBytes);
    if ((count === 1) === ((entry & copied) !== 0n)) return;
    this.corruption(`ERROR OFLAG_COPIED ${what}: ${shown} refcount=${count}`);
    if (this.repair === 'all') this.result.fixedCorruptions++;
  }

  private compareCounts(): void {
    const { refcounts } = this.image;
    const clusters = Math.ceil(this.file.size / this.clusterBytes);
    for (let cluster = 0; cluster < clusters; cluster++) {
      const count = refcounts.get(cluster);
      const expected = this.expected.get(cluster) ?? 0;
      if (count === expected) continue;
      const numbers = `cluster ${cluster} refcount=${count} reference=${expected}`;
      if (count > expected) {
        this.result.lines.push(`${this.repair === 'none' ? 'Leaked' : 'Repairing'} ${numbers}`);
        this.result.leaks++;
        if (this.repair === 'none') continue;
        this.result.fixedLeaks++;
      } else {
        this.corruption(`${this.repair === 'all' ? 'Repairing' : 'ERROR'} ${numbers}`);
        if (this.repair !== 'all') continue;
        this.result.fixedCorruptions++;
      }
      refcounts.set(cluster, expected);
    }
  }
}
