import type { NetworkLink } from '../net/link.ts';
import { VirtioDevice, virtioIds } from './device.ts';

/* Network card (Virtual I/O Device 1.2, section 5.1): one pair of queues, no offloads. */

/** Feature bits. */
const features = { mac: 5, status: 16 } as const;
const receiveQueue = 0;
const transmitQueue = 1;
/** Each frame has this in front (virtio_net_hdr); what is in it asks for offloads, which were not offered. */
const headerBytes = 12;
/** Offset of num_buffers, which is 1 without VIRTIO_NET_F_MRG_RXBUF. */
const bufferCount = 10;
const linkUp = 1;
/** The longest frame, with a VLAN tag. */
const longestFrame = 1518;

export class VirtioNet extends VirtioDevice {
  readonly name = 'virtio-net-device';
  readonly id = virtioIds.net;
  readonly queueSizes = [256, 256];
  override readonly features = [features.mac, features.status];
  override readonly config: Uint8Array;
  private readonly link: NetworkLink | null;
  private readonly received = new Uint8Array(headerBytes + longestFrame);

  /** `mac`: 6 bytes. Without a link its cable is out. */
  constructor(mac: Uint8Array, link: NetworkLink | null) {
    super();
    this.link = link;
    // mac, status
    this.config = Uint8Array.from([...mac, link ? linkUp : 0, 0]);
    link?.onFrame((frame) => this.receive(frame));
  }

  notified(index: number): void {
    if (index === receiveQueue) this.link?.ready();
    else this.transmit();
  }

  private transmit(): void {
    const queue = this.queue(transmitQueue);
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      const length = chain.readable.length - headerBytes;
      if (length > 0 && length <= longestFrame) {
        const frame = new Uint8Array(length);
        chain.readable.read(headerBytes, frame);
        this.link?.send(frame);
      }
      queue.push(chain, 0);
    }
  }

  /** A frame for the guest; false if there is no buffer for it. What comes while nobody drives the card is lost. */
  private receive(frame: Uint8Array): boolean {
    const queue = this.queue(receiveQueue);
    if (!this.transport.running || frame.length > longestFrame) return true;
    const chain = queue.pop();
    // A queue that is broken takes nothing until the card is reset.
    if (!chain) return queue.state.broken || !queue.state.ready;
    const { received } = this;
    received.fill(0, 0, headerBytes);
    received[bufferCount] = 1;
    received.set(frame, headerBytes);
    const length = headerBytes + frame.length;
    // A buffer that is too short is given back empty: the frame is lost.
    const fits = chain.writable.length >= length;
    queue.push(chain, fits ? chain.writable.write(0, received.subarray(0, length)) : 0);
    return true;
  }
}
