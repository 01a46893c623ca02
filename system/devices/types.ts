import type { VirtioDevice } from '#hw/virtio/device.ts';
import type { RandomSource } from '#hw/virtio/rng.ts';
import type { Properties, Values } from '../option-text.ts';

/** What devices are connected to on the host, by the names that the command line gives. Throws OptionError. */
export interface Backends {
  readonly random: RandomSource;
}

/** A kind of device that `-device` makes. */
export interface DeviceType {
  readonly help: string;
  readonly properties: Properties;
  create(values: Values<Properties>, backends: Backends): VirtioDevice;
}

/** Gives `create` the types of its properties. */
export const deviceType = <const P extends Properties>(type: {
  readonly help: string;
  readonly properties: P;
  create(values: Values<P>, backends: Backends): VirtioDevice;
}): DeviceType => type as DeviceType;
