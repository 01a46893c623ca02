import type { VirtioDevice } from '#hw/virtio/device.ts';
import { VirtioRng } from '#hw/virtio/rng.ts';
import { describeProperties, OptionError, property, readProperties, splitOptions } from '../option-text.ts';
import { type Backends, type DeviceType, deviceType } from './types.ts';

/** What `-device` knows, by QEMU's names. */
export const deviceTypes: Readonly<Record<string, DeviceType>> = {
  'virtio-rng-device': deviceType({
    help: 'source of random numbers',
    properties: {},
    create: (_, backends) => new VirtioRng(backends.random),
  }),
};

/** Other names for them: those that QEMU maps to a machine's own bus. */
const aliases: Readonly<Record<string, string>> = { 'virtio-rng': 'virtio-rng-device' };

/** Properties that every device has. */
const common = {
  id: property.text('name of the device'),
  bus: property.text('virtio-mmio-bus.N: the slot to use (default: the highest free one)'),
} as const;

/** A device that the command line has asked for. */
export interface PlacedDevice {
  readonly id: string | null;
  /** Number of the virtio-mmio slot, or null for any. */
  readonly slot: number | null;
  readonly device: VirtioDevice;
}

/** The text for `-device help`, or null if `text` asks for no help. */
export function deviceHelp(text: string): string | null {
  const given = splitOptions(text, 'driver');
  const driver = given.get('driver') ?? '';
  if (driver === 'help' || driver === '?') {
    const rows = Object.entries(deviceTypes).map(
      ([name, { help }]) => `name "${name}", bus virtio-bus, desc "${help}"\n`,
    );
    return rows.join('');
  }
  if (!given.has('help')) return null;
  return `${driver} options:\n${describeProperties({ ...typeOf(driver).properties, ...common })}`;
}

function typeOf(driver: string): DeviceType {
  const name = aliases[driver] ?? driver;
  const type = Object.hasOwn(deviceTypes, name) ? deviceTypes[name] : undefined;
  if (!type) throw new OptionError(`-device ${driver}: no such device; -device help lists them`);
  return type;
}

/** Makes the devices of `-device` options. Throws OptionError. */
export function createDevices(texts: readonly string[], backends: Backends): PlacedDevice[] {
  const placed: PlacedDevice[] = [];
  for (const text of texts) {
    const given = splitOptions(text, 'driver');
    const driver = given.get('driver') ?? '';
    given.delete('driver');
    const type = typeOf(driver);
    const what = `-device ${driver}`;
    const values = readProperties(what, given, { ...type.properties, ...common });
    const { id = null, bus } = values;
    if (id !== null && placed.some((other) => other.id === id)) throw new OptionError(`${what}: duplicate ID '${id}'`);
    placed.push({ id, slot: slotOf(what, bus), device: type.create(values, backends) });
  }
  return placed;
}

function slotOf(what: string, bus: string | undefined): number | null {
  if (bus === undefined) return null;
  const [, number] = /^virtio-mmio-bus\.(\d+)$/.exec(bus) ?? [];
  if (number === undefined) throw new OptionError(`${what}: bus '${bus}' not found`);
  return Number(number);
}
