import type { Ram } from '#hw/device.ts';
import type { VirtioDevice } from '#hw/virtio/device.ts';
import { VirtioMmio } from '#hw/virtio/mmio.ts';
import { InstructionClock } from '#system/clock.ts';

/** RAM of a rig: from `ramBase` on. */
export const ramBase = 0x40000000;

/** What a part of a request is: bytes that the device reads, or room that it writes. */
export type Part = Uint8Array | number;

export interface RigOptions {
  /** Feature bits to accept beside VERSION_1; default: all that are offered. */
  readonly features?: readonly number[];
  readonly queueSize?: number;
  readonly ramBytes?: number;
}

const registers = { features: 0x10, featuresSel: 0x14, driverFeatures: 0x20, driverFeaturesSel: 0x24 } as const;
const u16 = 0xffff;

interface Ring {
  readonly size: number;
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  /** Descriptors that are free. */
  free: number[];
  next: number;
  seen: number;
}

/**
 * A guest's driver for one device behind a virtio-mmio transport: sets it up as the specification has it (3.1), puts
 * requests into queues and takes back what was used. What it does by hand (`poke`) a hostile guest could do.
 */
export class VirtioDriver {
  readonly transport: VirtioMmio;
  readonly clock = new InstructionClock(0);
  readonly memory: Uint8Array;
  readonly view: DataView;
  readonly rings: Ring[] = [];
  /** How often the interrupt line went up. */
  interrupts = 0;
  private line = false;
  private top = ramBase;

  constructor(device: VirtioDevice, { features, queueSize = 8, ramBytes = 4 << 20 }: RigOptions = {}) {
    const memory = new Uint8Array(ramBytes);
    this.memory = memory;
    this.view = new DataView(memory.buffer);
    const ram: Ram = {
      ram: (at, length) =>
        at < ramBase || at + length > ramBase + memory.length
          ? undefined
          : memory.subarray(at - ramBase, at - ramBase + length),
      aboutToWrite() {},
    };
    const irq = (level: boolean): void => {
      if (level && !this.line) this.interrupts++;
      this.line = level;
    };
    this.transport = new VirtioMmio('virtio-mmio-bus.0', { ram, clock: this.clock }, irq, device);
    this.transport.reset();
    this.start(device, features, queueSize);
  }

  private start(device: VirtioDevice, features: readonly number[] | undefined, queueSize: number): void {
    this.status = 1;
    this.status = 3;
    for (const word of [0, 1]) {
      const offered = this.offered(word);
      const bits = features && [...features, 32].filter((bit) => bit >> 5 === word);
      const accepted = bits ? bits.reduce((sum, bit) => sum | (1 << (bit & 31)), 0) : offered;
      this.set(registers.driverFeaturesSel, word);
      this.set(registers.driverFeatures, accepted >>> 0);
    }
    this.status = 11;
    for (const [queue, most] of device.queueSizes.entries()) this.addQueue(queue, Math.min(queueSize, most));
    this.status = 15;
  }

  /** One word of the features that the device offers. */
  offered(word: number): number {
    this.set(registers.featuresSel, word);
    return this.get(registers.features) >>> 0;
  }

  get(offset: number): number {
    return this.transport.read(offset, 4);
  }

  set(offset: number, value: number): void {
    this.transport.write(offset, 4, value);
  }

  get status(): number {
    return this.get(0x70);
  }

  set status(value: number) {
    this.set(0x70, value);
  }

  get needsReset(): boolean {
    return (this.status & 0x40) !== 0;
  }

  /** Room in RAM; its physical address. */
  allocate(bytes: number): number {
    const at = this.top;
    this.top += (bytes + 15) & ~15;
    if (this.top > ramBase + this.memory.length) throw new Error('rig: RAM is full');
    return at;
  }

  poke(address: number, bytes: Uint8Array): void {
    this.memory.set(bytes, address - ramBase);
  }

  bytes(address: number, length: number): Uint8Array {
    return this.memory.slice(address - ramBase, address - ramBase + length);
  }

  private addQueue(queue: number, size: number): void {
    const ring = {
      size,
      descriptors: this.allocate(16 * size),
      available: this.allocate(6 + 2 * size),
      used: this.allocate(6 + 8 * size),
      free: Array.from({ length: size }, (_, i) => i),
      next: 0,
      seen: 0,
    };
    this.rings[queue] = ring;
    this.set(0x30, queue);
    this.set(0x38, size);
    this.set(0x80, ring.descriptors);
    this.set(0x90, ring.available);
    this.set(0xa0, ring.used);
    this.set(0x44, 1);
  }

  /** Writes a descriptor into a table at `table`. */
  describe(table: number, index: number, address: number, length: number, flags: number, next: number): void {
    const at = table - ramBase + 16 * index;
    this.view.setBigUint64(at, BigInt(address), true);
    this.view.setUint32(at + 8, length, true);
    this.view.setUint16(at + 12, flags, true);
    this.view.setUint16(at + 14, next, true);
  }

  /** Makes the chain with this head available and notifies. */
  offer(queue: number, head: number): void {
    const ring = this.rings[queue]!;
    const at = ring.available - ramBase;
    this.view.setUint16(at + 4 + 2 * (ring.next % ring.size), head, true);
    ring.next = (ring.next + 1) & u16;
    this.view.setUint16(at + 2, ring.next, true);
    this.set(0x50, queue);
  }

  /**
   * Puts a request into a queue and notifies; returns the addresses of its parts. `indirect`: by a table of its own.
   */
  put(queue: number, parts: readonly Part[], indirect = false): { readonly head: number; readonly at: number[] } {
    const ring = this.rings[queue]!;
    const at = parts.map((part) => this.allocate(typeof part === 'number' ? part : part.length));
    const table = indirect ? this.allocate(16 * parts.length) : ring.descriptors;
    const indexes = indirect ? parts.map((_, i) => i) : ring.free.splice(0, parts.length);
    if (indexes.length < parts.length) throw new Error('rig: no free descriptors');
    for (const [i, part] of parts.entries()) {
      const more = i + 1 < parts.length;
      const writable = typeof part === 'number';
      if (!writable) this.poke(at[i]!, part);
      const flags = (more ? 1 : 0) | (writable ? 2 : 0);
      this.describe(table, indexes[i]!, at[i]!, writable ? part : part.length, flags, indexes[i + 1] ?? 0);
    }
    let [head] = indexes;
    if (indirect) {
      head = ring.free.shift()!;
      this.describe(ring.descriptors, head, table, 16 * parts.length, 4, 0);
    }
    this.offer(queue, head!);
    return { head: head!, at };
  }

  /** What was given back since the last call: heads and bytes written. */
  used(queue: number): { head: number; length: number }[] {
    const ring = this.rings[queue]!;
    const at = ring.used - ramBase;
    const found: { head: number; length: number }[] = [];
    while (ring.seen !== this.view.getUint16(at + 2, true)) {
      const entry = at + 4 + 8 * (ring.seen % ring.size);
      found.push({ head: this.view.getUint32(entry, true), length: this.view.getUint32(entry + 4, true) });
      ring.seen = (ring.seen + 1) & u16;
    }
    return found;
  }

  /** A request that is answered at once: the bytes that the device wrote into each part, all descriptors free again. */
  request(queue: number, parts: readonly Part[], indirect = false): Uint8Array[] {
    const top = this.top;
    const ring = this.rings[queue]!;
    const free = [...ring.free];
    const { head, at } = this.put(queue, parts, indirect);
    const answers = this.used(queue);
    if (answers.length !== 1 || answers[0]!.head !== head) throw new Error('rig: the request was not answered');
    this.top = top;
    ring.free = free;
    let left = answers[0]!.length;
    return parts.flatMap((part, i) => {
      if (typeof part !== 'number') return [];
      const length = Math.min(left, part);
      left -= length;
      return [this.bytes(at[i]!, length)];
    });
  }
}
