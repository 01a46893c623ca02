import { describe, expect, test } from 'vitest';
import type { BlockBackend } from '#hw/block/backend.ts';
import { type BlockProperties, VirtioBlock } from '#hw/virtio/blk.ts';
import { type RigOptions, VirtioDriver } from './support/virtio-driver.ts';

const ok = 0;
const ioError = 1;
const unsupported = 2;
const sector = 512;

/** A disk in memory that tells what was asked of it beside reads and writes. */
class MemoryDisk implements BlockBackend {
  readonly bytes: Uint8Array;
  readonly readOnly: boolean;
  readonly calls: string[] = [];
  failing = false;

  constructor(sectors: number, readOnly = false) {
    this.bytes = Uint8Array.from({ length: sectors * sector }, (_, i) => (i >> 9) + 1);
    this.readOnly = readOnly;
  }
  get size(): number {
    return this.bytes.length;
  }
  private check(): void {
    if (this.failing) throw new Error('EIO');
  }
  read(offset: number, into: Uint8Array): void {
    this.check();
    into.set(this.bytes.subarray(offset, offset + into.length));
  }
  write(offset: number, from: Uint8Array): void {
    this.check();
    this.bytes.set(from, offset);
  }
  flush(): void {
    this.check();
    this.calls.push('flush');
  }
  discard(offset: number, length: number): void {
    this.calls.push(`discard ${offset} ${length}`);
  }
  writeZeroes(offset: number, length: number, unmap: boolean): void {
    this.calls.push(`zeroes ${offset} ${length} ${unmap}`);
    this.bytes.fill(0, offset, offset + length);
  }
}

function rig(disk = new MemoryDisk(64), options: RigOptions = {}, properties: BlockProperties = {}) {
  const driver = new VirtioDriver(new VirtioBlock(disk, properties), options);
  /** A request's head. */
  const head = (type: number, at = 0): Uint8Array => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, type, true);
    view.setBigUint64(8, BigInt(at), true);
    return bytes;
  };
  const range = (at: number, sectors: number, flags = 0): Uint8Array => {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(at), true);
    view.setUint32(8, sectors, true);
    view.setUint32(12, flags, true);
    return bytes;
  };
  return { disk, driver, head, range };
}

/** Features without which writes are kept at once. */
const flush = 9;

describe('virtio-blk', () => {
  test('tells its size and limits', () => {
    const { driver } = rig(undefined, {}, { logicalBlockSize: 512, physicalBlockSize: 4096, queueSize: 128 });
    expect([0x100, 0x104, 0x10c, 0x114, 0x118].map((at) => driver.get(at) & 0xffff)).toEqual([64, 0, 126, 512, 3]);
    expect(driver.offered(0) & 0x7fffffff).toBe(0x30006e54);
    expect(new VirtioDriver(new VirtioBlock(new MemoryDisk(8, true))).offered(0)).toBe(0x30000e74);
  });

  test.each([false, true])('reads and writes, indirect %s', (indirect) => {
    const { driver, head, disk } = rig();
    const [data, more, status] = driver.request(0, [head(0, 3), sector, sector, 1], indirect);
    expect([data![0], data![511], more![0], ...status!]).toEqual([4, 4, 5, ok]);
    const written = new Uint8Array(sector).fill(77);
    expect(driver.request(0, [head(1, 9), written, written, 1], indirect)).toEqual([Uint8Array.of(ok)]);
    expect([9, 10, 11].map((at) => disk.bytes[at * sector])).toEqual([77, 77, 12]);
    // The same in pieces that are no sectors
    const pieces = [
      head(1, 20).subarray(0, 8),
      head(1, 20).subarray(8),
      written.subarray(0, 100),
      written.subarray(100),
    ];
    expect(driver.request(0, [...pieces, 1], indirect)).toEqual([Uint8Array.of(ok)]);
    expect([disk.bytes[20 * sector], disk.bytes[21 * sector - 1]]).toEqual([77, 77]);
    const read = driver.request(0, [head(0, 20), 1, 510, 2], indirect);
    expect(read.map((bytes) => bytes.at(-1))).toEqual([77, 77, ok]);
  });

  test('what is beyond its end, no whole sectors, or fails on the host is an error', () => {
    const { driver, head, disk } = rig();
    const status = (parts: (Uint8Array | number)[]): number => driver.request(0, parts).at(-1)!.at(-1)!;
    const data = new Uint8Array(sector);
    expect(status([head(0, 64), sector, 1])).toBe(ioError);
    expect(status([head(0, 63), 2 * sector, 1])).toBe(ioError);
    expect(status([head(1, 2 ** 53), data, 1])).toBe(ioError);
    expect(status([head(0), 100, 1])).toBe(ioError);
    expect(status([head(99), 1])).toBe(unsupported);
    disk.failing = true;
    expect(status([head(0), sector, 1])).toBe(ioError);
    expect(status([head(4), 1])).toBe(ioError);
    const fixed = rig(new MemoryDisk(8, true));
    expect(fixed.driver.request(0, [fixed.head(1), data, 1])).toEqual([Uint8Array.of(ioError)]);
    expect(fixed.disk.bytes[0]).toBe(1);
  });

  test('a request without head or status breaks the device', () => {
    for (const parts of [[new Uint8Array(15), 1], [new Uint8Array(16)], [1]]) {
      const { driver } = rig();
      driver.put(0, parts);
      expect(driver.needsReset).toBe(true);
    }
  });

  test('says who it is', () => {
    const { driver, head } = rig(undefined, {}, { serial: 'DISK-1' });
    const [id, status] = driver.request(0, [head(8), 20, 1]);
    expect([Buffer.from(id!).toString(), status![0]]).toEqual(['DISK-1'.padEnd(20, '\0'), ok]);
    expect(driver.request(0, [head(8), 3, 1])).toEqual(
      [Buffer.from('DIS'), Uint8Array.of(ok)].map((b) => new Uint8Array(b)),
    );
  });

  test('discards and writes zeroes', () => {
    const { driver, head, range, disk } = rig();
    expect(driver.request(0, [head(11), range(8, 4), 1])[0]![0]).toBe(ok);
    expect(driver.request(0, [head(13), range(2, 1, 1), 1])[0]![0]).toBe(ok);
    expect(disk.calls).toEqual([`discard ${8 * sector} ${4 * sector}`, `zeroes ${2 * sector} ${sector} true`]);
    expect([disk.bytes[2 * sector], disk.bytes[3 * sector]]).toEqual([0, 4]);
    const wrong = [range(63, 2), range(0, 0x400000), new Uint8Array(8), new Uint8Array(32)];
    for (const bytes of wrong) expect(driver.request(0, [head(13), bytes, 1])[0]![0]).toBe(ioError);
    expect(driver.request(0, [head(11), range(0, 1, 1), 1])[0]![0]).toBe(unsupported);
  });

  test('a driver that cannot flush, or wants no write-back cache, has its writes kept at once', () => {
    const data = new Uint8Array(sector);
    const write = ({ driver, head, disk }: ReturnType<typeof rig>): number => {
      driver.request(0, [head(1), data, 1]);
      return disk.calls.length;
    };
    expect(write(rig())).toBe(0);
    expect(write(rig(undefined, { features: [flush] }))).toBe(0);
    expect(write(rig(undefined, { features: [] }))).toBe(1);
    const through = rig();
    through.driver.transport.write(0x120, 1, 0);
    expect(write(through)).toBe(1);
  });

  test('many large requests let other things have their turn', () => {
    const disk = new MemoryDisk(2048);
    const { driver, head } = rig(disk, { ramBytes: 32 << 20, queueSize: 256 });
    // A chain of 63 descriptors to the same place in RAM is 63 MiB; two of them are more than a turn's.
    driver.rings[0]!.free.splice(0, 256);
    const { descriptors } = driver.rings[0]!;
    const [at, room, status] = [driver.allocate(16), driver.allocate(1 << 20), driver.allocate(1)];
    driver.poke(at, head(0));
    for (const first of [0, 100]) {
      driver.describe(descriptors, first, at, 16, 1, first + 1);
      for (let i = 1; i <= 65; i++) driver.describe(descriptors, first + i, room, 1 << 20, 3, first + i + 1);
      driver.describe(descriptors, first + 66, status, 1, 2, 0);
    }
    const ring = driver.rings[0]!;
    driver.view.setUint16(ring.available - 0x40000000 + 4, 0, true);
    driver.view.setUint16(ring.available - 0x40000000 + 6, 100, true);
    driver.view.setUint16(ring.available - 0x40000000 + 2, 2, true);
    driver.set(0x50, 0);
    expect(driver.used(0).map((entry) => entry.head)).toEqual([0]);
    driver.clock.runDue();
    expect(driver.used(0).map((entry) => entry.head)).toEqual([100]);
  });
});
