import type { Ram } from '../device.ts';
import { Scatter } from './scatter.ts';

/*
 * Split virtqueues (Virtual I/O Device 1.2, section 2.7). The driver's rings are not trusted: a queue whose rings make no
 * sense is broken, and gives nothing any more until the device is reset.
 */

/** Descriptor flags (2.7.5). */
const next = 1;
const write = 2;
const indirect = 4;
const descriptorBytes = 16;
/** Flag of the available ring: the driver wants no interrupts (2.7.6). */
const noInterrupt = 1;
/** Descriptors in a chain, those of indirect tables included: QEMU's limit. */
const maxChain = 1024;
/** A chain's bytes (2.7.5). */
const maxChainBytes = 2 ** 32;
/** Entries of a queue (4.2.2: QueueNumMax is the device's choice; 2.7: at most 32768). */
const u16 = 0xffff;

/** A request: what the device may read, and what it may write. */
export interface Chain {
  /** Index of the first descriptor. */
  readonly head: number;
  readonly readable: Scatter;
  readonly writable: Scatter;
  /** Physical addresses and lengths of what is writable. */
  readonly written: readonly (readonly [address: number, length: number])[];
}

/** What a queue needs of the transport. */
export interface QueueHost {
  readonly ram: Ram;
  /** Whether a feature was negotiated. */
  has(feature: number): boolean;
  /** Buffers were used and the driver wants to know. */
  interrupt(): void;
  /** The driver broke the rules. */
  broken(): void;
}

/** Features of rings (section 6). */
export const ringFeatures = { indirectDescriptors: 28, eventIndex: 29 } as const;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const resetState = {
  size: 0,
  ready: false,
  broken: false,
  /** Physical addresses of the descriptor table, the available ring and the used ring. */
  descriptors: 0,
  available: 0,
  used: 0,
  /** Free-running counts, 16 bits each: chains taken, chains given back, chains given back at the last interrupt. */
  taken: 0,
  returned: 0,
  signalled: 0,
};
/** Everything that a queue's driver has set up, and how far it has come. */
export type QueueState = typeof resetState;

export class Virtqueue {
  /** The most entries it can have. */
  readonly maxSize: number;
  state: QueueState = { ...resetState };
  private readonly host: QueueHost;
  /** The rings, while the queue is ready. */
  private table: DataView | undefined;
  private availableRing: DataView | undefined;
  private usedRing: DataView | undefined;

  constructor(maxSize: number, host: QueueHost) {
    this.maxSize = maxSize;
    this.host = host;
  }

  reset(): void {
    this.load(resetState);
  }

  save(): QueueState {
    return { ...this.state };
  }

  load(state: QueueState): void {
    this.state = { ...state };
    this.table = undefined;
    this.availableRing = undefined;
    this.usedRing = undefined;
    if (state.ready) this.mapRings();
  }

  /** The driver takes it into use, or (`ready` false) out of it. */
  setReady(ready: boolean): void {
    const { state } = this;
    if (ready === state.ready) return;
    if (!ready) {
      this.load({ ...state, ready: false });
      return;
    }
    if (state.size === 0) state.size = this.maxSize;
    state.ready = true;
    this.mapRings();
  }

  private mapRings(): void {
    const { size, descriptors, available, used } = this.state;
    const { ram } = this.host;
    const power = size > 0 && size <= this.maxSize && (size & (size - 1)) === 0;
    // A ring ends with the index that the other side wants to be told at.
    const rings = [
      ram.ram(descriptors, size * descriptorBytes),
      ram.ram(available, 6 + 2 * size),
      ram.ram(used, 6 + 8 * size),
    ] as const;
    if (!power || !rings[0] || !rings[1] || !rings[2]) {
      this.fail();
      return;
    }
    [this.table, this.availableRing, this.usedRing] = [viewOf(rings[0]), viewOf(rings[1]), viewOf(rings[2])];
  }

  private fail(): null {
    this.state.broken = true;
    this.host.broken();
    return null;
  }

  /** Chains that the driver has made available and that were not taken; 0 in a queue that is not in use. */
  get waiting(): number {
    const { availableRing, state } = this;
    if (!availableRing || state.broken) return 0;
    return (availableRing.getUint16(2, true) - state.taken) & u16;
  }

  /**
   * Takes the next chain; null if there is none. It has to be given back (`push`) before the guest runs on: saved state
   * knows of no chains under way.
   */
  pop(): Chain | null {
    const { waiting, state, availableRing } = this;
    if (waiting === 0) return null;
    const { size } = state;
    if (waiting > size) return this.fail();
    const head = availableRing!.getUint16(4 + 2 * (state.taken & (size - 1)), true);
    const chain = this.walk(head);
    if (!chain) return this.fail();
    state.taken = (state.taken + 1) & u16;
    if (this.host.has(ringFeatures.eventIndex)) this.wantNotification();
    return chain;
  }

  /** Writes the index at which the driver shall notify: that of the next chain (2.7.10). */
  private wantNotification(): void {
    const { state, usedRing, host } = this;
    host.ram.aboutToWrite(state.used, 6 + 8 * state.size);
    usedRing!.setUint16(4 + 8 * state.size, state.taken, true);
  }

  /** Collects a chain of descriptors; null if the driver broke the rules. */
  private walk(head: number): Chain | null {
    const { ram } = this.host;
    const readable = new Scatter();
    const writable = new Scatter();
    const written: [number, number][] = [];
    let table = this.table!;
    let entries = this.state.size;
    let index = head;
    let inIndirect = false;
    for (let count = 0; count < maxChain; ) {
      if (index >= entries) return null;
      const at = index * descriptorBytes;
      const address = table.getUint32(at, true) + table.getUint32(at + 4, true) * 2 ** 32;
      const length = table.getUint32(at + 8, true);
      const flags = table.getUint16(at + 12, true);
      if (flags & indirect) {
        // Only from the main table, as a chain's last descriptor; a table of whole descriptors (2.7.5.3).
        if (inIndirect || flags & next || !this.host.has(ringFeatures.indirectDescriptors)) return null;
        const bytes = length % descriptorBytes === 0 ? ram.ram(address, length) : undefined;
        if (!bytes) return null;
        table = viewOf(bytes);
        entries = length / descriptorBytes;
        index = 0;
        inIndirect = true;
        continue;
      }
      const bytes = ram.ram(address, length);
      if (!bytes || length === 0) return null;
      if (flags & write) {
        writable.add(bytes);
        written.push([address, length]);
      } else if (writable.length > 0) {
        return null;
      } else {
        readable.add(bytes);
      }
      if (readable.length + writable.length > maxChainBytes) return null;
      if (!(flags & next)) return { head, readable, writable, written };
      index = table.getUint16(at + 14, true);
      count++;
    }
    return null;
  }

  /** Gives a chain back, of which `length` bytes were written. */
  push(chain: Chain, length: number): void {
    const { state, usedRing, host } = this;
    if (!usedRing || state.broken) return;
    for (const [address, bytes] of chain.written) host.ram.aboutToWrite(address, bytes);
    host.ram.aboutToWrite(state.used, 6 + 8 * state.size);
    const at = 4 + 8 * (state.returned & (state.size - 1));
    usedRing.setUint32(at, chain.head, true);
    usedRing.setUint32(at + 4, length, true);
    state.returned = (state.returned + 1) & u16;
    usedRing.setUint16(2, state.returned, true);
    if (this.wantsInterrupt()) {
      state.signalled = state.returned;
      host.interrupt();
    }
  }

  /** Whether the driver wants to be told of what was returned since the last interrupt (2.7.7). */
  private wantsInterrupt(): boolean {
    const { state, availableRing, host } = this;
    if (!host.has(ringFeatures.eventIndex)) return (availableRing!.getUint16(0, true) & noInterrupt) === 0;
    const event = availableRing!.getUint16(4 + 2 * state.size, true);
    return ((state.returned - event - 1) & u16) < ((state.returned - state.signalled) & u16);
  }
}
