import type { Clock } from '../device.ts';
import type { QueueHost, Virtqueue } from './virtqueue.ts';

/** Device IDs (Virtual I/O Device 1.2, section 5). */
export const virtioIds = { net: 1, block: 2, console: 3, entropy: 4, balloon: 5, fileSystem9p: 9 } as const;

/** What a device needs of its transport. */
export interface VirtioTransport extends QueueHost {
  readonly queues: readonly Virtqueue[];
  readonly clock: Clock;
  /** Between DRIVER_OK and the next reset. */
  readonly running: boolean;
  /** Tells the driver that the configuration space has changed. */
  configChanged(): void;
}

/** A virtio device, whatever it is reached through. */
export abstract class VirtioDevice {
  /** What `-device` and `info qtree` call it. */
  abstract readonly name: string;
  /** One of `virtioIds`. */
  abstract readonly id: number;
  /** By queue: how many entries it can have, a power of two. */
  abstract readonly queueSizes: readonly number[];
  /** Feature bits of this kind of device that it offers; the transport adds those of rings. */
  readonly features: readonly number[] = [];
  /** The configuration space, as the driver reads it. */
  readonly config: Uint8Array = new Uint8Array(0);
  private attached: VirtioTransport | undefined;

  /** Called once, by the transport. */
  attach(transport: VirtioTransport): void {
    this.attached = transport;
  }

  protected get transport(): VirtioTransport {
    if (!this.attached) throw new Error(`${this.name}: no transport`);
    return this.attached;
  }

  protected queue(index: number): Virtqueue {
    return this.transport.queues[index]!;
  }

  /** The driver has put something into a queue that is in use. Called for each of them at DRIVER_OK, too. */
  abstract notified(queue: number): void;

  /** The driver writes to the configuration space. */
  writeConfig(_offset: number, _bytes: number, _value: number): void {}

  /** Back to the state after power on; queues are reset by the transport. */
  reset(): void {}

  /** What there is to keep beside queues and features. */
  save(): unknown {
    return null;
  }

  load(_state: unknown): void {}
}
