import { VirtioDevice, virtioIds } from './device.ts';

/* Entropy device (Virtual I/O Device 1.2, section 5.4): fills what the driver gives it. */

/** Where random bytes come from. */
export interface RandomSource {
  fill(bytes: Uint8Array): void;
}

/** Bytes for one request: a driver that wants more asks again. */
const maxBytes = 65536;

export class VirtioRng extends VirtioDevice {
  readonly name = 'virtio-rng-device';
  readonly id = virtioIds.entropy;
  readonly queueSizes = [8];
  private readonly source: RandomSource;

  constructor(source: RandomSource) {
    super();
    this.source = source;
  }

  notified(index: number): void {
    const queue = this.queue(index);
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      const bytes = new Uint8Array(Math.min(chain.writable.length, maxBytes));
      this.source.fill(bytes);
      queue.push(chain, chain.writable.write(0, bytes));
    }
  }
}
