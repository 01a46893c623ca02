import type { Clock, Device, Line, Ram } from '../device.ts';
import type { VirtioDevice, VirtioTransport } from './device.ts';
import { type QueueState, ringFeatures, Virtqueue } from './virtqueue.ts';

/*
 * Virtio over MMIO, version 2 (Virtual I/O Device 1.2, section 4.2): 0x200 bytes of registers and an interrupt. Without a
 * device behind it its device ID is 0.
 */

const registers = {
  MagicValue: 0x000,
  Version: 0x004,
  DeviceID: 0x008,
  VendorID: 0x00c,
  DeviceFeatures: 0x010,
  DeviceFeaturesSel: 0x014,
  DriverFeatures: 0x020,
  DriverFeaturesSel: 0x024,
  QueueSel: 0x030,
  QueueNumMax: 0x034,
  QueueNum: 0x038,
  QueueReady: 0x044,
  QueueNotify: 0x050,
  InterruptStatus: 0x060,
  InterruptACK: 0x064,
  Status: 0x070,
  QueueDescLow: 0x080,
  QueueDescHigh: 0x084,
  QueueDriverLow: 0x090,
  QueueDriverHigh: 0x094,
  QueueDeviceLow: 0x0a0,
  QueueDeviceHigh: 0x0a4,
  SHMLenLow: 0x0b0,
  SHMBaseHigh: 0x0bc,
  ConfigGeneration: 0x0fc,
  Config: 0x100,
} as const;

/** "virt" */
const magic = 0x74726976;
const version = 2;
/** QEMU's. */
const vendor = 0x554d4551;

/** Device status (2.1). */
const status = { driverOk: 4, featuresOk: 8, needsReset: 0x40 } as const;
/** InterruptStatus bits. */
const usedBuffer = 1;
const configChange = 2;
/** Feature: not the legacy interface (6). */
const version1 = 32;

/** Which address of a queue a register is the low or high word of. */
const addresses: Readonly<Record<number, readonly ['descriptors' | 'available' | 'used', high: boolean]>> = {
  [registers.QueueDescLow]: ['descriptors', false],
  [registers.QueueDescHigh]: ['descriptors', true],
  [registers.QueueDriverLow]: ['available', false],
  [registers.QueueDriverHigh]: ['available', true],
  [registers.QueueDeviceLow]: ['used', false],
  [registers.QueueDeviceHigh]: ['used', true],
};

/** What a transport is built from. */
export interface VirtioParts {
  readonly ram: Ram;
  readonly clock: Clock;
}

export class VirtioMmio implements Device, VirtioTransport {
  readonly name: string;
  readonly ram: Ram;
  readonly clock: Clock;
  readonly queues: readonly Virtqueue[];
  private readonly device: VirtioDevice | null;
  private readonly irq: Line;
  private readonly offered: readonly [number, number];
  private state = { ...resetState };

  /** `name`: that of the bus it is, `virtio-mmio-bus.0`. */
  constructor(name: string, { ram, clock }: VirtioParts, irq: Line, device: VirtioDevice | null) {
    this.name = name;
    this.ram = ram;
    this.clock = clock;
    this.irq = irq;
    this.device = device;
    this.queues = (device?.queueSizes ?? []).map((size) => new Virtqueue(size, this));
    const words: [number, number] = [0, 0];
    for (const bit of [...(device?.features ?? []), ...Object.values(ringFeatures), version1]) {
      words[bit >> 5] = (words[bit >> 5]! | (1 << (bit & 31))) >>> 0;
    }
    this.offered = words;
    device?.attach(this);
  }

  // ---- for the device and its queues

  get running(): boolean {
    return (this.state.status & (status.driverOk | status.needsReset)) === status.driverOk;
  }

  has(feature: number): boolean {
    return ((this.state.accepted[feature >> 5]! >>> (feature & 31)) & 1) === 1;
  }

  interrupt(): void {
    this.raise(usedBuffer);
  }

  configChanged(): void {
    if (!this.running) return;
    this.state.generation = (this.state.generation + 1) >>> 0;
    this.raise(configChange);
  }

  broken(): void {
    this.state.status |= status.needsReset;
    if (this.state.status & status.driverOk) this.raise(configChange);
  }

  private raise(bits: number): void {
    this.state.interrupts |= bits;
    this.update();
  }

  private update(): void {
    this.irq(this.state.interrupts !== 0);
  }

  // ---- registers

  private get selected(): Virtqueue | undefined {
    return this.queues[this.state.queue];
  }

  read(offset: number, bytes: number): number {
    if (offset >= registers.Config) return this.readConfig(offset - registers.Config, bytes);
    return bytes === 4 && (offset & 3) === 0 ? this.readRegister(offset) : 0;
  }

  private readConfig(offset: number, bytes: number): number {
    const config = this.device?.config;
    let value = 0;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8) | (config?.[offset + i] ?? 0);
    return value;
  }

  private readRegister(offset: number): number {
    const { state } = this;
    switch (offset) {
      case registers.MagicValue:
        return magic;
      case registers.Version:
        return version;
      case registers.DeviceID:
        return this.device?.id ?? 0;
      case registers.VendorID:
        return vendor;
      case registers.DeviceFeatures:
        return this.offered[state.offeredWord] ?? 0;
      case registers.QueueNumMax:
        return this.selected?.maxSize ?? 0;
      case registers.QueueReady:
        return this.selected?.state.ready ? 1 : 0;
      case registers.InterruptStatus:
        return state.interrupts;
      case registers.Status:
        return state.status;
      case registers.ConfigGeneration:
        return state.generation;
      default:
        // There is no shared memory region: its length and place read as -1 (4.2.2.1).
        return offset >= registers.SHMLenLow && offset <= registers.SHMBaseHigh ? -1 : 0;
    }
  }

  write(offset: number, bytes: number, value: number): void {
    if (!this.device) return;
    if (offset >= registers.Config) this.device.writeConfig(offset - registers.Config, bytes, value);
    else if (bytes === 4 && (offset & 3) === 0) this.writeRegister(offset, value >>> 0);
  }

  private writeRegister(offset: number, value: number): void {
    const { state, selected } = this;
    switch (offset) {
      case registers.DeviceFeaturesSel:
        state.offeredWord = value;
        break;
      case registers.DriverFeatures:
        if (state.acceptedWord < 2 && !(state.status & status.featuresOk)) state.accepted[state.acceptedWord] = value;
        break;
      case registers.DriverFeaturesSel:
        state.acceptedWord = value;
        break;
      case registers.QueueSel:
        state.queue = value;
        break;
      case registers.QueueNum:
        if (selected && !selected.state.ready) selected.state.size = value;
        break;
      case registers.QueueReady:
        selected?.setReady((value & 1) !== 0);
        break;
      case registers.QueueNotify:
        this.notify(value);
        break;
      case registers.InterruptACK:
        state.interrupts &= ~value;
        this.update();
        break;
      case registers.Status:
        this.setStatus(value & 0xff);
        break;
      default:
        this.writeAddress(offset, value);
    }
  }

  private writeAddress(offset: number, value: number): void {
    const [name, high] = addresses[offset] ?? [];
    const queue = this.selected?.state;
    if (name === undefined || !queue || queue.ready) return;
    const low = queue[name] % 2 ** 32;
    queue[name] = high ? low + value * 2 ** 32 : queue[name] - low + value;
  }

  private notify(queue: number): void {
    if (this.running && this.queues[queue]?.state.ready) this.device!.notified(queue);
  }

  private setStatus(value: number): void {
    const { state } = this;
    if (value === 0) {
      this.reset();
      return;
    }
    const before = this.running;
    // The device alone says that it needs a reset; features that it does not offer are not OK.
    const refused = this.featuresFit() ? 0 : status.featuresOk;
    state.status = (value & ~(status.needsReset | refused)) | (state.status & status.needsReset);
    if (before || !this.running) return;
    for (let queue = 0; queue < this.queues.length; queue++) this.notify(queue);
  }

  private featuresFit(): boolean {
    const { accepted } = this.state;
    return this.has(version1) && accepted.every((word, i) => (word & ~this.offered[i]!) === 0);
  }

  // ---- state

  reset(): void {
    this.state = { ...resetState, accepted: [0, 0] };
    for (const queue of this.queues) queue.reset();
    this.device?.reset();
    this.update();
  }

  save() {
    const { state, queues, device } = this;
    return {
      state: { ...state, accepted: [...state.accepted] as [number, number] },
      queues: queues.map((queue) => queue.save()),
      device: device?.save() ?? null,
    };
  }

  load(saved: unknown): void {
    const { state, queues, device } = saved as { state: typeof resetState; queues: QueueState[]; device: unknown };
    this.state = { ...state, accepted: [...state.accepted] };
    for (const [i, queue] of this.queues.entries()) queue.load(queues[i]!);
    this.device?.load(device);
    this.update();
  }
}

const resetState = {
  offeredWord: 0,
  acceptedWord: 0,
  /** Features that the driver has accepted, as two words. */
  accepted: [0, 0] as [number, number],
  queue: 0,
  status: 0,
  interrupts: 0,
  generation: 0,
};
