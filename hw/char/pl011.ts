import { type Device, type Line, primeCellWord } from '../device.ts';

/*
 * ARM PrimeCell UART (PL011, DDI 0183). Transmission takes no time; what comes in waits in a queue until the receive
 * FIFO has room.
 */

/** Where a serial line leads: a terminal, a file, a socket. */
export interface SerialPort {
  write(byte: number): void;
  /** Sets who takes what comes in. */
  onInput(receive: (bytes: Uint8Array) => void): void;
  /** The other end is slow: what is written now has to wait. */
  readonly full: boolean;
  /** Sets who is told when it is no longer full. */
  onRoom(tell: () => void): void;
  /** Nothing more comes in (true) until it may again (false). */
  hold(on: boolean): void;
}

const registers = {
  DR: 0x00,
  RSR: 0x04,
  FR: 0x18,
  ILPR: 0x20,
  IBRD: 0x24,
  FBRD: 0x28,
  LCR_H: 0x2c,
  CR: 0x30,
  IFLS: 0x34,
  IMSC: 0x38,
  RIS: 0x3c,
  MIS: 0x40,
  ICR: 0x44,
  DMACR: 0x48,
} as const;

/** FR bits. */
const fr = { txfe: 0x80, rxff: 0x40, txff: 0x20, rxfe: 0x10 } as const;
/** Interrupt bits. */
const receive = 0x10;
const transmit = 0x20;
const receiveTimeout = 0x40;
/** LCR_H bit: FIFOs are on. */
const fen = 0x10;
const fifoDepth = 16;
/** Bytes waiting for the FIFO from which on nothing more is taken, and below which there is. */
const holdAt = 4096;
const resumeAt = 1024;

/** PeriphID and PCellID from 0xfe0 on. */
const identification = [0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

export class Pl011 implements Device {
  readonly name = 'pl011';
  private readonly irq: Line;
  private readonly port: SerialPort;
  private fifo: number[] = [];
  /** Came in while the FIFO was full. */
  private waiting: number[] = [];
  private held = false;
  private raw = 0;
  private mask = 0;
  private control = 0x300;
  private lineControl = 0;
  private levels = 0x12;
  private ibrd = 0;
  private fbrd = 0;
  private ilpr = 0;
  private dma = 0;

  constructor(port: SerialPort, irq: Line) {
    this.port = port;
    this.irq = irq;
    port.onInput((bytes) => {
      for (const byte of bytes) this.waiting.push(byte);
      this.fill();
    });
    port.onRoom(() => {
      this.raw |= transmit;
      this.update();
    });
  }

  read(offset: number): number {
    switch (offset) {
      case registers.DR:
        return this.take();
      case registers.FR:
        return this.flags();
      case registers.ILPR:
        return this.ilpr;
      case registers.IBRD:
        return this.ibrd;
      case registers.FBRD:
        return this.fbrd;
      case registers.LCR_H:
        return this.lineControl;
      case registers.CR:
        return this.control;
      case registers.IFLS:
        return this.levels;
      case registers.IMSC:
        return this.mask;
      case registers.RIS:
        return this.raw;
      case registers.MIS:
        return this.raw & this.mask;
      case registers.DMACR:
        return this.dma;
      default:
        return primeCellWord(identification, offset);
    }
  }

  write(offset: number, _bytes: number, value: number): void {
    switch (offset) {
      case registers.DR:
        // Who does not look at TXFF loses what is written while the FIFO is full.
        if (this.port.full) break;
        this.port.write(value & 0xff);
        this.raw |= transmit;
        break;
      case registers.ILPR:
        this.ilpr = value & 0xff;
        break;
      case registers.IBRD:
        this.ibrd = value & 0xffff;
        break;
      case registers.FBRD:
        this.fbrd = value & 0x3f;
        break;
      case registers.LCR_H:
        this.lineControl = value & 0xff;
        break;
      case registers.CR:
        this.control = value & 0xffff;
        break;
      case registers.IFLS:
        this.levels = value & 0x3f;
        break;
      case registers.IMSC:
        this.mask = value & 0x7ff;
        break;
      case registers.ICR:
        this.raw &= ~value;
        break;
      case registers.DMACR:
        this.dma = value & 7;
        break;
      default:
        return;
    }
    this.update();
  }

  /** FR. */
  private flags(): number {
    const { fifo, port } = this;
    const sending = port.full ? fr.txff : fr.txfe;
    return sending | (fifo.length === 0 ? fr.rxfe : 0) | (fifo.length >= this.depth ? fr.rxff : 0);
  }

  private get depth(): number {
    return this.lineControl & fen ? fifoDepth : 1;
  }

  private take(): number {
    const byte = this.fifo.shift() ?? 0;
    if (this.fifo.length === 0) this.raw &= ~(receive | receiveTimeout);
    this.fill();
    this.update();
    return byte;
  }

  /** Moves what is waiting into the FIFO. A level is never waited for: what comes in is announced at once. */
  private fill(): void {
    while (this.waiting.length > 0 && this.fifo.length < this.depth) this.fifo.push(this.waiting.shift()!);
    if (this.fifo.length > 0) this.raw |= receive | receiveTimeout;
    const hold = this.waiting.length > (this.held ? resumeAt : holdAt);
    if (hold !== this.held) this.port.hold(hold);
    this.held = hold;
    this.update();
  }

  private update(): void {
    this.irq((this.raw & this.mask) !== 0);
  }

  reset(): void {
    this.load({ ...resetState, fifo: [], waiting: this.waiting });
  }

  save() {
    const { fifo, waiting, raw, mask, control, lineControl, levels, ibrd, fbrd, ilpr, dma } = this;
    return { fifo: [...fifo], waiting: [...waiting], raw, mask, control, lineControl, levels, ibrd, fbrd, ilpr, dma };
  }

  load(state: unknown): void {
    Object.assign(this, state);
    this.update();
  }
}

const resetState = {
  fifo: [],
  raw: 0,
  mask: 0,
  control: 0x300,
  lineControl: 0,
  levels: 0x12,
  ibrd: 0,
  fbrd: 0,
  ilpr: 0,
  dma: 0,
};
