import type { BlockBackend } from '#hw/block/backend.ts';
import type { SharedFiles } from '#hw/virtio/9p/files.ts';
import type { PortBackend, VirtioConsole } from '#hw/virtio/console.ts';
import type { VirtioDevice } from '#hw/virtio/device.ts';
import type { RandomSource } from '#hw/virtio/rng.ts';
import type { Networks } from '../net/networks.ts';
import type { Properties, Values } from '../option-properties.ts';
import type { OptionString } from '../option-string.ts';

/** What devices are connected to on the host, by the names that the command line gives. Throws OptionError. */
export interface Backends {
  readonly random: RandomSource;
  readonly networks: Networks;
  /** The disk of a `-drive` with this ID, for one device. */
  drive(id: string): BlockBackend;
  /** The user's side of a `-chardev` with this ID. */
  chardev(id: string): PortBackend;
  /** The folder of an `-fsdev` with this ID. */
  folder(id: string): SharedFiles;
}

/** A kind of device that `-device` makes. */
export interface DeviceType {
  readonly help: string;
  readonly properties: Properties;
  /** `options`: for messages. Throws OptionError. */
  create(values: Values<Properties>, backends: Backends, options: OptionString): VirtioDevice;
}

/** A device with a bus of its own, which others are plugged into: its name, and what is on it. */
export interface SerialBus {
  readonly name: string;
  readonly device: VirtioConsole;
}

/** A kind of device that is plugged into a serial bus. */
export interface PortType {
  readonly help: string;
  readonly properties: Properties;
  /** Throws OptionError. */
  plug(values: Values<Properties>, backends: Backends, options: OptionString, bus: VirtioConsole): void;
}

/** Gives `plug` the types of its properties. */
export const portType = <const P extends Properties>(type: {
  readonly help: string;
  readonly properties: P;
  plug(values: Values<P>, backends: Backends, options: OptionString, bus: VirtioConsole): void;
}): PortType => type as PortType;

/** Gives `create` the types of its properties. */
export const deviceType = <const P extends Properties>(type: {
  readonly help: string;
  readonly properties: P;
  create(values: Values<P>, backends: Backends, options: OptionString): VirtioDevice;
}): DeviceType => type as DeviceType;
