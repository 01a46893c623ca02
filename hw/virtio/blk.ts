import { type BlockBackend, sectorBytes } from '../block/backend.ts';
import type { Timer } from '../device.ts';
import { VirtioDevice, type VirtioTransport, virtioIds } from './device.ts';
import type { Chain } from './virtqueue.ts';

/* Block device (Virtual I/O Device 1.2, section 5.2). A request is served before the guest runs on. */

/** Feature bits. */
const features = {
  segMax: 2,
  geometry: 4,
  readOnly: 5,
  blockSize: 6,
  flush: 9,
  topology: 10,
  configWce: 11,
  discard: 13,
  writeZeroes: 14,
} as const;

/** Request types. */
const requests = { in: 0, out: 1, flush: 4, getId: 8, discard: 11, writeZeroes: 13 } as const;
/** Status, a request's last byte. */
const ok = 0;
const ioError = 1;
const unsupported = 2;

/** Offsets in the configuration space. */
const config = {
  capacity: 0,
  segMax: 12,
  cylinders: 16,
  heads: 18,
  sectors: 19,
  blockSize: 20,
  physicalBlockExponent: 24,
  minIoSize: 26,
  optIoSize: 28,
  writeback: 32,
  maxDiscardSectors: 36,
  maxDiscardSegments: 40,
  discardAlignment: 44,
  maxZeroesSectors: 48,
  maxZeroesSegments: 52,
  zeroesMayUnmap: 56,
  length: 60,
} as const;

const headerBytes = 16;
const idBytes = 20;
/** A part of a discard or write-zeroes request: sector, number of sectors, flags. */
const rangeBytes = 16;
const unmapFlag = 1;
/** Sectors and ranges in one such request: QEMU's limits. */
const maxRangeSectors = 0x3fffff;
const maxRanges = 1;
/** Bytes moved before other things get their turn. */
const turnBytes = 64 << 20;

export interface BlockProperties {
  readonly serial?: string;
  readonly queueSize?: number;
  readonly logicalBlockSize?: number;
  readonly physicalBlockSize?: number;
}

export class VirtioBlock extends VirtioDevice {
  readonly name = 'virtio-blk-device';
  readonly id = virtioIds.block;
  readonly queueSizes: readonly number[];
  override readonly features: readonly number[];
  override readonly config = new Uint8Array(config.length);
  private readonly backend: BlockBackend;
  private readonly serial: Uint8Array;
  /** Serves what the last turn has left. */
  private more: Timer | undefined;

  constructor(backend: BlockBackend, properties: BlockProperties = {}) {
    super();
    const { serial = '', queueSize = 256, logicalBlockSize = sectorBytes } = properties;
    const { physicalBlockSize = logicalBlockSize } = properties;
    this.backend = backend;
    this.queueSizes = [queueSize];
    this.serial = new TextEncoder().encode(serial).subarray(0, idBytes);
    const { readOnly, segMax, geometry, blockSize, flush, topology, configWce, discard, writeZeroes } = features;
    const always = [segMax, geometry, blockSize, flush, topology, configWce];
    this.features = backend.readOnly ? [...always, readOnly] : [...always, discard, writeZeroes];
    const view = this.configView;
    const sectors = Math.floor(backend.size / sectorBytes);
    view.setUint32(config.capacity, sectors, true);
    view.setUint32(config.capacity + 4, Math.floor(sectors / 2 ** 32), true);
    view.setUint32(config.segMax, queueSize - 2, true);
    const heads = 16;
    const perTrack = 63;
    view.setUint16(config.cylinders, Math.min(Math.floor(sectors / (heads * perTrack)), 16383), true);
    view.setUint8(config.heads, heads);
    view.setUint8(config.sectors, perTrack);
    view.setUint32(config.blockSize, logicalBlockSize, true);
    view.setUint8(config.physicalBlockExponent, Math.log2(physicalBlockSize / logicalBlockSize));
    view.setUint8(config.writeback, 1);
    view.setUint32(config.maxDiscardSectors, maxRangeSectors, true);
    view.setUint32(config.maxDiscardSegments, maxRanges, true);
    view.setUint32(config.discardAlignment, logicalBlockSize / sectorBytes, true);
    view.setUint32(config.maxZeroesSectors, maxRangeSectors, true);
    view.setUint32(config.maxZeroesSegments, maxRanges, true);
    view.setUint8(config.zeroesMayUnmap, 1);
  }

  private get configView(): DataView {
    return new DataView(this.config.buffer);
  }

  override attach(transport: VirtioTransport): void {
    super.attach(transport);
    this.more = transport.clock.timer(() => this.serve());
  }

  notified(): void {
    this.serve();
  }

  /** Serves what is waiting. */
  private serve(): void {
    const queue = this.queue(0);
    let moved = 0;
    if (!this.transport.running) return;
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      const { readable, writable } = chain;
      if (readable.length < headerBytes || writable.length === 0) {
        this.transport.broken();
        return;
      }
      const status = this.request(chain);
      writable.write(writable.length - 1, Uint8Array.of(status));
      queue.push(chain, writable.length);
      moved += readable.length + writable.length;
      if (moved < turnBytes || queue.waiting === 0) continue;
      this.more!.set(0);
      return;
    }
  }

  /** Serves one request; answers its status. */
  private request({ readable, writable }: Chain): number {
    const header = new Uint8Array(headerBytes);
    readable.read(0, header);
    const view = new DataView(header.buffer);
    const offset = (view.getUint32(8, true) + view.getUint32(12, true) * 2 ** 32) * sectorBytes;
    const room = writable.length - 1;
    try {
      switch (view.getUint32(0, true)) {
        case requests.in:
          return this.read(offset, writable.slice(0, room), room);
        case requests.out:
          return this.write(offset, readable.slice(headerBytes), readable.length - headerBytes);
        case requests.flush:
          this.backend.flush();
          return ok;
        case requests.getId: {
          const id = new Uint8Array(Math.min(idBytes, room));
          id.set(this.serial.subarray(0, id.length));
          writable.write(0, id);
          return ok;
        }
        case requests.discard:
        case requests.writeZeroes: {
          if (this.backend.readOnly) return unsupported;
          const ranges = new Uint8Array(rangeBytes * maxRanges);
          const given = readable.length - headerBytes;
          if (given === 0 || given % rangeBytes !== 0 || given > ranges.length) return ioError;
          readable.read(headerBytes, ranges);
          return this.clear(new DataView(ranges.buffer), view.getUint32(0, true) === requests.writeZeroes);
        }
        default:
          return unsupported;
      }
    } catch {
      // The host refused: to the guest that is a bad disk.
      return ioError;
    }
  }

  private within(offset: number, length: number): boolean {
    return length % sectorBytes === 0 && offset + length <= this.backend.size;
  }

  private read(offset: number, pieces: readonly Uint8Array[], length: number): number {
    if (!this.within(offset, length)) return ioError;
    if (pieces.length === 1) {
      this.backend.read(offset, pieces[0]!);
      return ok;
    }
    const bytes = new Uint8Array(length);
    this.backend.read(offset, bytes);
    let at = 0;
    for (const piece of pieces) {
      piece.set(bytes.subarray(at, at + piece.length));
      at += piece.length;
    }
    return ok;
  }

  private write(offset: number, pieces: readonly Uint8Array[], length: number): number {
    if (this.backend.readOnly || !this.within(offset, length)) return ioError;
    if (pieces.length === 1) {
      this.backend.write(offset, pieces[0]!);
    } else {
      const bytes = new Uint8Array(length);
      let at = 0;
      for (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
      }
      this.backend.write(offset, bytes);
    }
    this.written();
    return ok;
  }

  /** Discards, or writes zeroes to, a range. */
  private clear(range: DataView, zeroes: boolean): number {
    const offset = (range.getUint32(0, true) + range.getUint32(4, true) * 2 ** 32) * sectorBytes;
    const sectors = range.getUint32(8, true);
    const flags = range.getUint32(12, true);
    if (flags & ~(zeroes ? unmapFlag : 0)) return unsupported;
    if (sectors > maxRangeSectors || !this.within(offset, sectors * sectorBytes)) return ioError;
    if (zeroes) this.backend.writeZeroes(offset, sectors * sectorBytes, (flags & unmapFlag) !== 0);
    else this.backend.discard(offset, sectors * sectorBytes);
    this.written();
    return ok;
  }

  /** A driver that cannot flush, or does not want to, gets what it writes kept at once (5.2.5.1). */
  private written(): void {
    const writeback = this.transport.has(features.configWce)
      ? this.config[config.writeback] === 1
      : this.transport.has(features.flush);
    if (!writeback) this.backend.flush();
  }

  override writeConfig(offset: number, bytes: number, value: number): void {
    if (offset === config.writeback && bytes === 1 && value <= 1) this.config[config.writeback] = value;
  }

  override reset(): void {
    this.config[config.writeback] = 1;
  }

  override save() {
    return { writeback: this.config[config.writeback]! };
  }

  override load(state: unknown): void {
    const { writeback } = state as ReturnType<VirtioBlock['save']>;
    this.config[config.writeback] = writeback;
    // There may be requests that wait for the next turn.
    this.more!.set(0);
  }
}
