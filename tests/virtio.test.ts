import { describe, expect, test } from 'vitest';
import { VirtioMmio } from '#hw/virtio/mmio.ts';
import { VirtioRng } from '#hw/virtio/rng.ts';
import { ramBase, VirtioDriver } from './support/virtio-driver.ts';

/** A source whose bytes count up. */
const counting = () => {
  let next = 0;
  return {
    fill(bytes: Uint8Array): void {
      for (const i of bytes.keys()) bytes[i] = next++;
    },
  };
};
const rig = (options = {}) => new VirtioDriver(new VirtioRng(counting()), options);

describe('virtio-mmio', () => {
  test('says what it is, and offers version 1 and the features of rings', () => {
    const driver = rig();
    expect([0, 4, 8, 12].map((at) => driver.get(at))).toEqual([0x74726976, 2, 4, 0x554d4551]);
    expect([driver.offered(0), driver.offered(1), driver.offered(2)]).toEqual([0x30000000, 1, 0]);
    driver.set(0x30, 0);
    expect(driver.get(0x34)).toBe(8);
    driver.set(0x30, 1);
    expect(driver.get(0x34)).toBe(0);
  });

  test('features that it does not offer, or not version 1, are not OK', () => {
    for (const accepted of [
      [0x30000001, 1],
      [0, 0],
    ]) {
      const driver = rig();
      driver.status = 0;
      expect(driver.status).toBe(0);
      driver.status = 3;
      for (const word of [0, 1]) {
        driver.set(0x24, word);
        driver.set(0x20, accepted[word]!);
      }
      driver.status = 11;
      expect(driver.status).toBe(3);
    }
  });

  test('a slot without a device reads as device 0, and keeps nothing', () => {
    const slot = new VirtioMmio('virtio-mmio-bus.0', rig().transport, () => {}, null);
    slot.write(0x70, 4, 3);
    expect([0, 4, 8, 0x70, 0x100].map((at) => slot.read(at, 4))).toEqual([0x74726976, 2, 0, 0, 0]);
  });

  test('saved state goes on where it was', () => {
    const driver = rig();
    driver.request(0, [16]);
    const saved = JSON.parse(JSON.stringify(driver.transport.save())) as unknown;
    driver.request(0, [16]);
    driver.rings[0]!.seen = driver.rings[0]!.next = 1;
    driver.view.setUint16(driver.rings[0]!.available - ramBase + 2, 1, true);
    driver.transport.reset();
    expect(driver.status).toBe(0);
    driver.transport.load(saved);
    expect(driver.status).toBe(15);
    expect(driver.request(0, [4])).toEqual([Uint8Array.of(32, 33, 34, 35)]);
  });
});

describe('a virtqueue', () => {
  test.each([false, true])('serves requests, indirect %s', (indirect) => {
    const driver = rig();
    for (let i = 0; i < 20; i++) {
      expect(driver.request(0, [3, 5], indirect).map((bytes) => bytes[0])).toEqual([8 * i, 8 * i + 3]);
    }
    expect(driver.get(0x60)).toBe(1);
    driver.set(0x64, 1);
    expect(driver.get(0x60)).toBe(0);
  });

  test('interrupts when the driver wants to: flag and event index', () => {
    const plain = rig({ features: [] });
    plain.request(0, [4]);
    plain.set(0x64, 3);
    plain.view.setUint16(plain.rings[0]!.available - ramBase, 1, true);
    plain.request(0, [4]);
    expect(plain.interrupts).toBe(1);

    const events = rig();
    const ring = events.rings[0]!;
    // Tell me of the third one
    events.view.setUint16(ring.available - ramBase + 4 + 2 * ring.size, 2, true);
    const seen = Array.from({ length: 4 }, () => {
      events.request(0, [4]);
      events.set(0x64, 3);
      return events.interrupts;
    });
    expect(seen).toEqual([0, 0, 1, 1]);
    // The device wants to be told of the next chain
    expect(events.view.getUint16(ring.used - ramBase + 4 + 8 * ring.size, true)).toBe(4);
  });

  /** What a hostile driver does to its ring; the device must ask for a reset, and go on after it. */
  const attacks: Record<string, (driver: VirtioDriver) => void> = {
    'a loop of descriptors': (driver) => {
      const { descriptors } = driver.rings[0]!;
      driver.describe(descriptors, 0, ramBase + 0x1000, 16, 3, 1);
      driver.describe(descriptors, 1, ramBase + 0x1000, 16, 3, 0);
      driver.offer(0, 0);
    },
    'a head outside the table': (driver) => driver.offer(0, 8),
    'a next outside the table': (driver) => {
      driver.describe(driver.rings[0]!.descriptors, 0, ramBase, 16, 3, 8);
      driver.offer(0, 0);
    },
    'a buffer below RAM': (driver) => {
      driver.describe(driver.rings[0]!.descriptors, 0, 0x1000, 16, 2, 0);
      driver.offer(0, 0);
    },
    'a buffer that ends beyond RAM': (driver) => {
      driver.describe(driver.rings[0]!.descriptors, 0, ramBase, 0xffffffff, 2, 0);
      driver.offer(0, 0);
    },
    'a buffer above 4 GiB': (driver) => {
      driver.describe(driver.rings[0]!.descriptors, 0, 2 ** 63, 16, 2, 0);
      driver.offer(0, 0);
    },
    'an empty buffer': (driver) => {
      driver.describe(driver.rings[0]!.descriptors, 0, ramBase, 0, 2, 0);
      driver.offer(0, 0);
    },
    'readable after writable': (driver) => {
      const { descriptors } = driver.rings[0]!;
      driver.describe(descriptors, 0, ramBase, 16, 3, 1);
      driver.describe(descriptors, 1, ramBase, 16, 0, 0);
      driver.offer(0, 0);
    },
    'an indirect table in an indirect table': (driver) => {
      const table = driver.allocate(32);
      driver.describe(table, 0, table, 32, 4, 0);
      driver.describe(driver.rings[0]!.descriptors, 0, table, 32, 4, 0);
      driver.offer(0, 0);
    },
    'half an indirect descriptor': (driver) => {
      driver.describe(driver.rings[0]!.descriptors, 0, driver.allocate(32), 24, 4, 0);
      driver.offer(0, 0);
    },
    'an indirect table with a loop': (driver) => {
      const table = driver.allocate(16 * 4096);
      for (let i = 0; i < 4096; i++) driver.describe(table, i, ramBase, 1 << 20, 3, (i + 1) % 4096);
      driver.describe(driver.rings[0]!.descriptors, 0, table, 16 * 4096, 4, 0);
      driver.offer(0, 0);
    },
    'more available than there is': (driver) => {
      driver.view.setUint16(driver.rings[0]!.available - ramBase + 2, 9, true);
      driver.set(0x50, 0);
    },
    'a ring that is not in RAM': (driver) => {
      driver.set(0x30, 0);
      driver.set(0x44, 0);
      driver.set(0xa0, ramBase + driver.memory.length - 8);
      driver.set(0x44, 1);
    },
    'a size that is no power of two': (driver) => {
      driver.set(0x30, 0);
      driver.set(0x44, 0);
      driver.set(0x38, 7);
      driver.set(0x44, 1);
    },
  };

  test.each(Object.keys(attacks))('is broken by %s, until the reset', (name) => {
    const driver = rig();
    attacks[name]!(driver);
    expect(driver.needsReset).toBe(true);
    expect(driver.get(0x60) & 2).toBe(2);
    expect(driver.used(0)).toEqual([]);
    driver.set(0x50, 0);
    driver.status = 15;
    expect(driver.needsReset).toBe(true);
    driver.status = 0;
    expect([driver.status, driver.get(0x60)]).toEqual([0, 0]);
  });

  test('registers and notifications without sense are ignored', () => {
    const driver = rig();
    for (let offset = 0; offset < 0x200; offset += 2) {
      for (const bytes of [1, 2, 4]) driver.transport.read(offset, bytes);
    }
    driver.set(0x50, 77);
    driver.set(0x30, 77);
    for (const offset of [0x38, 0x44, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4]) driver.set(offset, 0xffffffff);
    expect(driver.request(0, [1])).toEqual([Uint8Array.of(0)]);
  });
});
