import type { SerialPort } from '../char/pl011.ts';
import { VirtioDevice, virtioIds } from './device.ts';
import type { Chain } from './virtqueue.ts';

/*
 * Console device (Virtual I/O Device 1.2, section 5.3): ports with a pair of queues each, and a pair for control messages
 * about them. Port 0 is a console's; it works with drivers that know of one port only, too.
 */

/** Feature bits. */
const features = { multiport: 1 } as const;
const controlReceive = 2;
const controlTransmit = 3;
const portQueueSize = 128;
const controlQueueSize = 32;
/** Columns and rows; how many ports there can be. */
const configBytes = 12;
const maxPortsOffset = 4;
export const mostPorts = 31;

/** Control messages: id (u32), event (u16), value (u16), and a name in some. */
const messageBytes = 8;
const events = {
  deviceReady: 0,
  deviceAdd: 1,
  portReady: 3,
  consolePort: 4,
  portOpen: 6,
  portName: 7,
} as const;

/** Bytes waiting for the guest from which on nothing more is taken, and below which there is. */
const holdAt = 65536;
const resumeAt = 16384;

/** A port's other end. */
export interface PortBackend extends SerialPort {
  /** Somebody is there. */
  readonly connected: boolean;
  /** Sets who is told when somebody comes, or leaves. */
  onOpen(opened: (open: boolean) => void): void;
}

/** What a port is made of. */
export interface PortConfig {
  readonly console: boolean;
  /** What the guest finds it by; '' for none. */
  readonly name: string;
  /** Null: nothing comes in, what goes out is lost. */
  readonly backend: PortBackend | null;
}

class Port {
  readonly number: number;
  readonly config: PortConfig;
  /** A program of the guest has it open. */
  open = false;
  waiting: Uint8Array[] = [];
  private held = false;

  constructor(number: number, config: PortConfig) {
    this.number = number;
    this.config = config;
  }

  get waitingBytes(): number {
    return this.waiting.reduce((sum, { length }) => sum + length, 0);
  }

  /** Nothing more is to come in while much is waiting. */
  hold(): void {
    const held = this.waitingBytes > (this.held ? resumeAt : holdAt);
    if (held !== this.held) this.config.backend?.hold(held);
    this.held = held;
  }
}

/** Queues of a port: receiving, and transmitting after it. */
const receiveQueue = (port: number): number => (port === 0 ? 0 : 2 * port + 2);

export class VirtioConsole extends VirtioDevice {
  readonly name = 'virtio-serial-device';
  readonly id = virtioIds.console;
  readonly queueSizes: readonly number[];
  override readonly features = [features.multiport];
  override readonly config = new Uint8Array(configBytes);
  readonly maxPorts: number;
  private readonly ports = new Map<number, Port>();
  /** Control messages that the driver has no room for yet. */
  private messages: Uint8Array[] = [];

  constructor(maxPorts: number) {
    super();
    this.maxPorts = maxPorts;
    new DataView(this.config.buffer).setUint32(maxPortsOffset, maxPorts, true);
    this.queueSizes = Array.from({ length: 2 * (maxPorts + 1) }, (_, queue) =>
      queue === controlReceive || queue === controlTransmit ? controlQueueSize : portQueueSize,
    );
  }

  /** The number that a port without one of its own gets, or null: port 0 is for consoles. */
  freePort(console: boolean): number | null {
    for (let number = console ? 0 : 1; number < this.maxPorts; number++) if (!this.ports.has(number)) return number;
    return null;
  }

  hasPort(number: number): boolean {
    return this.ports.has(number);
  }

  /** Plugs a port in, before the machine runs. */
  addPort(number: number, config: PortConfig): void {
    const port = new Port(number, config);
    this.ports.set(number, port);
    const { backend } = config;
    backend?.onInput((bytes) => {
      port.waiting.push(bytes);
      this.deliver(port);
    });
    backend?.onRoom(() => this.transmit(number));
    backend?.onOpen((open) => {
      if (!config.console) this.tell(port, events.portOpen, open ? 1 : 0);
    });
  }

  private get multiport(): boolean {
    return this.transport.has(features.multiport);
  }

  notified(index: number): void {
    if (index === controlReceive) this.sendMessages();
    else if (index === controlTransmit) this.control();
    else {
      const number = index < controlReceive ? 0 : (index - 2) >> 1;
      const port = this.ports.get(number);
      if (index & 1) this.transmit(number);
      else if (port) this.deliver(port);
    }
  }

  // ---- data

  /** What the guest writes goes out; to a port that is not there, nowhere. */
  private transmit(number: number): void {
    if (!this.transport.running) return;
    const queue = this.queue(receiveQueue(number) + 1);
    const backend = this.ports.get(number)?.config.backend;
    while (!backend?.full) {
      const chain = queue.pop();
      if (!chain) return;
      if (backend?.connected) for (const piece of chain.readable.pieces) for (const byte of piece) backend.write(byte);
      queue.push(chain, 0);
    }
  }

  /** Gives the guest what is waiting, if it listens and has room. */
  private deliver(port: Port): void {
    const { waiting } = port;
    if (this.transport.running && (port.open || port.config.console || !this.multiport)) {
      const queue = this.queue(receiveQueue(port.number));
      while (waiting.length > 0) {
        const chain = queue.pop();
        if (!chain) break;
        queue.push(chain, fill(chain, waiting));
      }
    }
    port.hold();
  }

  // ---- control messages

  private control(): void {
    const queue = this.queue(controlTransmit);
    for (let chain = queue.pop(); chain; chain = queue.pop()) {
      const bytes = new Uint8Array(messageBytes);
      const complete = chain.readable.read(0, bytes) === messageBytes;
      queue.push(chain, 0);
      if (!complete) continue;
      const view = new DataView(bytes.buffer);
      this.obey(view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true));
    }
  }

  /** A message of the driver. */
  private obey(number: number, event: number, value: number): void {
    if (event === events.deviceReady) {
      if (value === 1) for (const port of this.ports.values()) this.tell(port, events.deviceAdd, 1);
      return;
    }
    const port = this.ports.get(number);
    if (!port) return;
    if (event === events.portReady && value === 1) this.introduce(port);
    if (event === events.portOpen) {
      port.open = value === 1;
      this.deliver(port);
    }
  }

  /** Tells the driver what kind of port it is. */
  private introduce(port: Port): void {
    const { console, name, backend } = port.config;
    if (console) this.tell(port, events.consolePort, 1);
    if (name !== '') this.tell(port, events.portName, 1, `${name}\0`);
    if (console || backend?.connected) this.tell(port, events.portOpen, 1);
  }

  private tell({ number }: Port, event: number, value: number, text = ''): void {
    if (!this.transport.running || !this.multiport) return;
    const name = new TextEncoder().encode(text);
    const bytes = new Uint8Array(messageBytes + name.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, number, true);
    view.setUint16(4, event, true);
    view.setUint16(6, value, true);
    bytes.set(name, messageBytes);
    this.messages.push(bytes);
    this.sendMessages();
  }

  private sendMessages(): void {
    const queue = this.queue(controlReceive);
    while (this.messages.length > 0) {
      const chain = queue.pop();
      if (!chain) return;
      queue.push(chain, chain.writable.write(0, this.messages.shift()!));
    }
  }

  // ---- state

  override reset(): void {
    this.messages = [];
    for (const port of this.ports.values()) port.open = false;
  }

  override save() {
    const ports = [...this.ports.values()].map(({ number, open, waiting }) => ({
      number,
      open,
      waiting: [...waiting],
    }));
    return { messages: [...this.messages], ports };
  }

  override load(saved: unknown): void {
    const { messages, ports } = saved as ReturnType<VirtioConsole['save']>;
    this.messages = [...messages];
    for (const { number, open, waiting } of ports) {
      const port = this.ports.get(number);
      if (!port) continue;
      port.open = open;
      port.waiting = [...waiting];
    }
  }
}

/** Fills a chain with bytes that wait, which go; returns how many there were. */
function fill(chain: Chain, waiting: Uint8Array[]): number {
  let at = 0;
  while (waiting.length > 0 && at < chain.writable.length) {
    const [first] = waiting;
    const taken = chain.writable.write(at, first!);
    at += taken;
    if (taken < first!.length) waiting[0] = first!.subarray(taken);
    else waiting.shift();
  }
  return at;
}
