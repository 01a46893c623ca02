import type { BlockBackend } from '#hw/block/backend.ts';
import { type FlashMemory, PflashCfi01 } from '#hw/block/pflash-cfi01.ts';
import { Pl011, type SerialPort } from '#hw/char/pl011.ts';
import type { Clock, Device, Line, Ram } from '#hw/device.ts';
import { Pl061 } from '#hw/gpio/pl061.ts';
import { GicV2 } from '#hw/intc/gicv2.ts';
import { FwCfg } from '#hw/nvram/fw-cfg.ts';
import { Pl031 } from '#hw/rtc/pl031.ts';
import { GenericTimer } from '#hw/timer/generic-timer.ts';
import type { VirtioDevice } from '#hw/virtio/device.ts';
import { VirtioMmio } from '#hw/virtio/mmio.ts';
import type { FdtNode } from '../boot/fdt.ts';
import type { PlacedDevice } from '../devices/table.ts';
import type { MemoryMap } from '../memory-map.ts';
import { OptionError } from '../option-string.ts';

/** Physical memory of QEMU's `virt` machine. */
export const map = {
  /** The first of two banks. */
  flash: [0, 0x4000000],
  gicDistributor: [0x08000000, 0x10000],
  gicCpu: [0x08010000, 0x10000],
  uart: [0x09000000, 0x1000],
  rtc: [0x09010000, 0x1000],
  fwCfg: [0x09020000, 0x18],
  gpio: [0x09030000, 0x1000],
  virtio: [0x0a000000, 0x200],
  ram: 0x40000000,
} as const satisfies Record<string, readonly [number, number] | number>;

/** Shared interrupts. */
const spi = { uart: 1, rtc: 2, gpio: 7, virtio: 16 } as const;
/** The GPIO pin of the power key. */
const powerPin = 3;
/** Private interrupts of the generic timer. */
const ppi = { securePhysical: 13, physical: 14, virtual: 11, hypervisor: 10 } as const;
const virtioSlots = 32;
export const flashBanks = 2;
/** Bytes of a bank's data bus. */
const flashWidth = 4;
const apbFrequency = 24_000_000;

/** What a machine is built from. */
export interface VirtParts {
  readonly bus: MemoryMap;
  readonly clock: Clock;
  /** Each core's IRQ line. */
  readonly irqLines: readonly Line[];
  /** Number of the core that runs. */
  readonly currentCpu: () => number;
  readonly serial: SerialPort;
  /** What the real-time clock goes by, and its seconds since 1970 at that clock's zero. */
  readonly rtc: { readonly clock: Clock; readonly start: number };
  readonly ram: Ram;
  /** What `-device` asks for. */
  readonly devices: readonly PlacedDevice[];
  /** Makes memory that is read in place, while stores go to the bus. */
  readonly readOnlyMemory: (start: number, size: number) => FlashMemory;
  /** The disk with the contents of each flash bank, if it has one. */
  readonly flashDrives: readonly (BlockBackend | null)[];
}

/** A machine like QEMU's `virt` (GICv2). */
export class VirtMachine {
  readonly timers: readonly GenericTimer[];
  readonly devices: readonly Device[];
  /** The power key: down while the line is up. */
  readonly powerKey: Line;
  readonly fwCfg: FwCfg;
  readonly flash: readonly PflashCfi01[];

  /** Throws OptionError where there is no slot for a device. */
  constructor(parts: VirtParts) {
    const { bus, clock, irqLines, currentCpu, serial, ram, devices } = parts;
    const gic = new GicV2(irqLines, currentCpu);
    this.timers = irqLines.map(
      (_, cpu) => new GenericTimer(clock, { physical: gic.ppi(cpu, ppi.physical), virtual: gic.ppi(cpu, ppi.virtual) }),
    );
    const uart = new Pl011(serial, gic.spi(spi.uart));
    const rtc = new Pl031(parts.rtc.clock, parts.rtc.start, gic.spi(spi.rtc));
    const gpio = new Pl061(gic.spi(spi.gpio));
    this.powerKey = gpio.pin(powerPin);
    this.fwCfg = new FwCfg(ram);
    const virtio = virtioDevices(devices).map(
      (device, slot) => new VirtioMmio(`virtio-mmio-bus.${slot}`, { ram, clock }, gic.spi(spi.virtio + slot), device),
    );
    this.flash = Array.from({ length: flashBanks }, (_, bank) => {
      const start = map.flash[0] + bank * map.flash[1];
      const memory = parts.readOnlyMemory(start, map.flash[1]);
      const flash = new PflashCfi01(`virt.flash${bank}`, memory, parts.flashDrives[bank] ?? null);
      bus.add(start, map.flash[1], flash);
      return flash;
    });
    this.devices = [...this.flash, gic.distributor, gic.cpuInterface, uart, rtc, this.fwCfg, gpio, ...virtio];
    bus.add(...map.gicDistributor, gic.distributor);
    bus.add(...map.gicCpu, gic.cpuInterface);
    bus.add(...map.uart, uart);
    bus.add(...map.rtc, rtc);
    bus.add(...map.fwCfg, this.fwCfg);
    bus.add(...map.gpio, gpio);
    for (const [slot, transport] of virtio.entries()) {
      bus.add(map.virtio[0] + slot * map.virtio[1], map.virtio[1], transport);
    }
  }

  reset(): void {
    for (const device of this.devices) device.reset();
    for (const timer of this.timers) timer.reset();
  }
}

/**
 * The device of each virtio-mmio slot. Those that name none take the highest free one, in the order they are given, as
 * on QEMU: Linux finds the last one first.
 */
function virtioDevices(placed: readonly PlacedDevice[]): (VirtioDevice | null)[] {
  const slots = Array.from({ length: virtioSlots }, (): VirtioDevice | null => null);
  for (const { device, slot } of placed) {
    if (slot === null) continue;
    if (slots[slot] !== null) throw new OptionError(`-device ${device.name}: no free slot virtio-mmio-bus.${slot}`);
    slots[slot] = device;
  }
  for (const { device, slot } of placed) {
    if (slot !== null) continue;
    const free = slots.lastIndexOf(null);
    if (free < 0) throw new OptionError(`-device ${device.name}: all ${virtioSlots} virtio-mmio slots are taken`);
    slots[free] = device;
  }
  return slots;
}

export interface VirtTree {
  readonly ramSize: number;
  readonly cpus: number;
  readonly cpuModel: string;
  readonly bootargs: string;
  readonly initrd: { readonly start: number; readonly end: number } | null;
}

const phandle = { gic: 1, clock: 2, gpio: 3 } as const;
/** Linux's KEY_POWER. */
const keyPower = 116;
const edge = 1;
const level = 4;
const sharedInterrupt = 0;
const privateInterrupt = 1;

/** The device tree of the machine. */
export function virtTree({ ramSize, cpus, cpuModel, bootargs, initrd }: VirtTree): FdtNode {
  const hex = (address: number): string => address.toString(16);
  const wide = ([start, size]: readonly [number, number]): number[] => [0, start, 0, size];
  const mask = ((1 << cpus) - 1) << 8;
  const timer = (n: number): number[] => [privateInterrupt, n, mask | level];
  const virtio = Array.from({ length: virtioSlots }, (_, slot): [string, FdtNode] => {
    const start = map.virtio[0] + slot * map.virtio[1];
    return [
      `virtio_mmio@${hex(start)}`,
      {
        properties: {
          compatible: 'virtio,mmio',
          reg: wide([start, map.virtio[1]]),
          interrupts: [sharedInterrupt, spi.virtio + slot, edge],
          'dma-coherent': true,
        },
      },
    ];
  });
  return {
    properties: {
      '#address-cells': [2],
      '#size-cells': [2],
      compatible: 'linux,dummy-virt',
      model: 'linux,dummy-virt',
      'interrupt-parent': [phandle.gic],
    },
    children: {
      chosen: {
        properties: {
          'stdout-path': `/pl011@${hex(map.uart[0])}`,
          bootargs,
          ...(initrd && { 'linux,initrd-start': [0, initrd.start], 'linux,initrd-end': [0, initrd.end] }),
        },
      },
      [`memory@${hex(map.ram)}`]: { properties: { device_type: 'memory', reg: [0, map.ram, 0, ramSize] } },
      [`flash@${hex(map.flash[0])}`]: {
        properties: {
          compatible: 'cfi-flash',
          reg: Array.from({ length: flashBanks }, (_, bank) =>
            wide([map.flash[0] + bank * map.flash[1], map.flash[1]]),
          ).flat(),
          'bank-width': [flashWidth],
        },
      },
      cpus: {
        properties: { '#address-cells': [1], '#size-cells': [0] },
        children: Object.fromEntries(
          Array.from({ length: cpus }, (_, n): [string, FdtNode] => [
            `cpu@${n}`,
            {
              properties: {
                device_type: 'cpu',
                compatible: `arm,${cpuModel}`,
                reg: [n],
                ...(cpus > 1 && { 'enable-method': 'psci' }),
              },
            },
          ]),
        ),
      },
      psci: {
        properties: { compatible: ['arm,psci-1.0', 'arm,psci-0.2', 'arm,psci'], method: 'hvc' },
      },
      timer: {
        properties: {
          compatible: 'arm,armv7-timer',
          'always-on': true,
          interrupts: [ppi.securePhysical, ppi.physical, ppi.virtual, ppi.hypervisor].flatMap(timer),
        },
      },
      [`intc@${hex(map.gicDistributor[0])}`]: {
        properties: {
          compatible: 'arm,cortex-a15-gic',
          '#interrupt-cells': [3],
          'interrupt-controller': true,
          '#address-cells': [0],
          reg: [...wide(map.gicDistributor), ...wide(map.gicCpu)],
          phandle: [phandle.gic],
        },
      },
      'apb-pclk': {
        properties: {
          compatible: 'fixed-clock',
          '#clock-cells': [0],
          'clock-frequency': [apbFrequency],
          'clock-output-names': 'clk24mhz',
          phandle: [phandle.clock],
        },
      },
      [`pl011@${hex(map.uart[0])}`]: {
        properties: {
          compatible: ['arm,pl011', 'arm,primecell'],
          reg: wide(map.uart),
          interrupts: [sharedInterrupt, spi.uart, level],
          clocks: [phandle.clock, phandle.clock],
          'clock-names': ['uartclk', 'apb_pclk'],
        },
      },
      [`pl031@${hex(map.rtc[0])}`]: {
        properties: {
          compatible: ['arm,pl031', 'arm,primecell'],
          reg: wide(map.rtc),
          interrupts: [sharedInterrupt, spi.rtc, level],
          clocks: [phandle.clock],
          'clock-names': 'apb_pclk',
        },
      },
      [`fw-cfg@${hex(map.fwCfg[0])}`]: {
        properties: { compatible: 'qemu,fw-cfg-mmio', reg: wide(map.fwCfg), 'dma-coherent': true },
      },
      [`pl061@${hex(map.gpio[0])}`]: {
        properties: {
          compatible: ['arm,pl061', 'arm,primecell'],
          reg: wide(map.gpio),
          interrupts: [sharedInterrupt, spi.gpio, level],
          'gpio-controller': true,
          '#gpio-cells': [2],
          clocks: [phandle.clock],
          'clock-names': 'apb_pclk',
          phandle: [phandle.gpio],
        },
      },
      'gpio-keys': {
        properties: { compatible: 'gpio-keys' },
        children: {
          poweroff: {
            properties: { label: 'GPIO Key Poweroff', 'linux,code': [keyPower], gpios: [phandle.gpio, powerPin, 0] },
          },
        },
      },
      ...Object.fromEntries(virtio),
    },
  };
}
