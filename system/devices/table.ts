import { Virtio9p } from '#hw/virtio/9p/device.ts';
import { VirtioBlock } from '#hw/virtio/blk.ts';
import { mostPorts, VirtioConsole } from '#hw/virtio/console.ts';
import type { VirtioDevice } from '#hw/virtio/device.ts';
import { VirtioNet } from '#hw/virtio/net.ts';
import { VirtioRng } from '#hw/virtio/rng.ts';
import { macProperty } from '../net/networks.ts';
import { describeProperties, property, readProperties, type Values } from '../option-properties.ts';
import { OptionString } from '../option-string.ts';
import { type Backends, type DeviceType, deviceType, type PortType, portType, type SerialBus } from './types.ts';

/** What `-device` knows, by QEMU's names. */
export const deviceTypes: Readonly<Record<string, DeviceType>> = {
  'virtio-net-device': deviceType({
    help: 'network card',
    properties: { netdev: property.text('the network it is plugged into (-netdev)'), mac: macProperty },
    create({ netdev, mac }, { networks }, options) {
      const card = networks.card(netdev, mac, options);
      return new VirtioNet(card.mac, card.link);
    },
  }),
  'virtio-blk-device': deviceType({
    help: 'disk',
    properties: {
      drive: property.text('ID of a -drive'),
      serial: property.text('what the guest reads as its serial number'),
      'queue-size': property.number('entries of its queue', 4, 1024),
      logical_block_size: property.number('bytes of its smallest access', 512, 32768),
      physical_block_size: property.number('bytes of its smallest write in one piece', 512, 32768),
    },
    create(values, backends, options) {
      if (values.drive === undefined) throw options.wrong('drive property not set');
      const sizes = [values['queue-size'], values.logical_block_size, values.physical_block_size];
      if (sizes.some((size = 1) => (size & (size - 1)) !== 0)) throw options.wrong('sizes are powers of 2');
      const logical = values.logical_block_size ?? 512;
      const physical = values.physical_block_size ?? logical;
      if (physical < logical) throw options.wrong('logical_block_size > physical_block_size not supported');
      return new VirtioBlock(backends.drive(values.drive), {
        serial: values.serial ?? '',
        queueSize: values['queue-size'] ?? 256,
        logicalBlockSize: logical,
        physicalBlockSize: physical,
      });
    },
  }),
  'virtio-9p-device': deviceType({
    help: 'folder of the host',
    properties: {
      fsdev: property.text('ID of an -fsdev'),
      mount_tag: property.text('what the guest mounts it by'),
    },
    create({ fsdev, mount_tag: tag }, backends, options) {
      if (fsdev === undefined || tag === undefined) throw options.wrong('fsdev and mount_tag are needed');
      return new Virtio9p(backends.folder(fsdev), tag);
    },
  }),
  'virtio-serial-device': deviceType({
    help: 'bus for consoles and serial ports',
    properties: { max_ports: property.number('how many ports it can have', 1, mostPorts) },
    create: ({ max_ports: ports = mostPorts }) => new VirtioConsole(ports),
  }),
  'virtio-rng-device': deviceType({
    help: 'source of random numbers',
    properties: {},
    create: (_, backends) => new VirtioRng(backends.random),
  }),
};

const portProperties = {
  chardev: property.text('ID of a -chardev'),
  name: property.text('what the guest finds it by'),
  nr: property.number('its number; 0 is for a console'),
} as const;

function plugPort(
  console: boolean,
  { chardev, name = '', nr }: Values<typeof portProperties>,
  backends: Backends,
  options: OptionString,
  bus: VirtioConsole,
): void {
  if (nr === 0 && !console) throw options.wrong('port number 0 is reserved for virtconsole devices');
  const number = nr ?? bus.freePort(console);
  if (number === null || number >= bus.maxPorts) throw options.wrong(`no port, the bus has ${bus.maxPorts}`);
  if (bus.hasPort(number)) throw options.wrong(`a port with the number ${number} is there already`);
  bus.addPort(number, { console, name, backend: chardev === undefined ? null : backends.chardev(chardev) });
}

/** What is plugged into a `virtio-serial-device` that comes before it. */
export const portTypes: Readonly<Record<string, PortType>> = {
  virtconsole: portType({
    help: 'console (hvc0)',
    properties: portProperties,
    plug: (values, backends, options, bus) => plugPort(true, values, backends, options, bus),
  }),
  virtserialport: portType({
    help: 'serial port with a name',
    properties: portProperties,
    plug: (values, backends, options, bus) => plugPort(false, values, backends, options, bus),
  }),
};

/** Other names for them: those that QEMU maps to a machine's own bus. */
const aliases: Readonly<Record<string, string>> = {
  'virtio-net': 'virtio-net-device',
  'virtio-9p': 'virtio-9p-device',
  'virtio-blk': 'virtio-blk-device',
  'virtio-rng': 'virtio-rng-device',
  'virtio-serial': 'virtio-serial-device',
};

/** Properties that every device has. */
const common = {
  id: property.text('name of the device'),
  bus: property.text('virtio-mmio-bus.N: the slot to use (default: the highest free one)'),
} as const;

/** Properties that every port has. */
const portCommon = { id: common.id, bus: property.text('ID.0 of the serial bus (default: the first one)') } as const;

/** A device that the command line has asked for. */
export interface PlacedDevice {
  readonly id: string | null;
  /** Number of the virtio-mmio slot, or null for any. */
  readonly slot: number | null;
  readonly device: VirtioDevice;
}

/** The text for `-device help`, or null if `text` asks for no help. */
export function deviceHelp(text: string): string | null {
  const options = new OptionString('-device', text);
  const driver = options.first;
  if (driver === 'help' || driver === '?') {
    const rows = Object.entries(deviceTypes).map(
      ([name, { help }]) => `name "${name}", bus virtio-bus, desc "${help}"\n`,
    );
    const ports = Object.entries(portTypes).map(
      ([name, { help }]) => `name "${name}", bus virtio-serial-bus, desc "${help}"\n`,
    );
    return [...rows, ...ports].join('');
  }
  if (options.last('help') === undefined) return null;
  const port = portTypeOf(options);
  const properties = port ? { ...port.properties, ...portCommon } : { ...typeOf(options).properties, ...common };
  return `${driver} options:\n${describeProperties(properties)}`;
}

const portTypeOf = ({ first }: OptionString): PortType | undefined =>
  Object.hasOwn(portTypes, first) ? portTypes[first] : undefined;

function typeOf(options: OptionString): DeviceType {
  const name = aliases[options.first] ?? options.first;
  const type = Object.hasOwn(deviceTypes, name) ? deviceTypes[name] : undefined;
  if (!type) throw options.wrong('no such device; -device help lists them');
  return type;
}

/** Makes the devices of `-device` options. Throws OptionError. */
export function createDevices(texts: readonly string[], backends: Backends): PlacedDevice[] {
  const placed: PlacedDevice[] = [];
  const buses: SerialBus[] = [];
  for (const text of texts) {
    const options = new OptionString('-device', text);
    const port = portTypeOf(options);
    if (port) {
      const values = readProperties(options, { ...port.properties, ...portCommon });
      port.plug(values, backends, options, serialBus(options, values.bus, buses));
      continue;
    }
    const type = typeOf(options);
    const values = readProperties(options, { ...type.properties, ...common });
    const { id = null, bus } = values;
    if (id !== null && placed.some((other) => other.id === id)) throw options.wrong(`duplicate ID '${id}'`);
    const device = type.create(values, backends, options);
    if (device instanceof VirtioConsole) buses.push({ name: `${id ?? `virtio-serial${buses.length}`}.0`, device });
    placed.push({ id, slot: slotOf(options, bus), device });
  }
  return placed;
}

function serialBus(options: OptionString, name: string | undefined, buses: readonly SerialBus[]): VirtioConsole {
  const found = name === undefined ? buses[0] : buses.find((bus) => bus.name === name);
  if (found) return found.device;
  if (name !== undefined) throw options.wrong(`bus '${name}' not found`);
  throw options.wrong(`No 'virtio-serial-bus' bus found for device '${options.first}'`);
}

function slotOf(options: OptionString, bus: string | undefined): number | null {
  if (bus === undefined) return null;
  const [, number] = /^virtio-mmio-bus\.(\d+)$/.exec(bus) ?? [];
  if (number === undefined) throw options.wrong(`bus '${bus}' not found`);
  return Number(number);
}
