import { type Device, type Line, primeCellWord, subword } from '../device.ts';

/* ARM PrimeCell General Purpose Input/Output (PL061, DDI 0190): eight pins. */

const registers = {
  DIR: 0x400,
  IS: 0x404,
  IBE: 0x408,
  IEV: 0x40c,
  IE: 0x410,
  RIS: 0x414,
  MIS: 0x418,
  IC: 0x41c,
  AFSEL: 0x420,
} as const;
/** PeriphID and PCellID from 0xfe0 on. */
const identification = [0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

export class Pl061 implements Device {
  readonly name = 'pl061';
  private readonly irq: Line;
  /** Levels of the pins: driven by us where DIR is 1, from outside elsewhere. */
  private outputs = 0;
  private inputs = 0;
  private direction = 0;
  private level = 0;
  private bothEdges = 0;
  private event = 0;
  private enabled = 0;
  private alternate = 0;
  /** Edges seen. */
  private edges = 0;

  constructor(irq: Line) {
    this.irq = irq;
  }

  /** The input of pin `n`. */
  pin(n: number): Line {
    const bit = 1 << n;
    return (up) => {
      const before = this.inputs;
      this.inputs = up ? before | bit : before & ~bit;
      const changed = before ^ this.inputs;
      const rising = up ? bit : 0;
      // IEV: the level or edge that counts, unless both edges do.
      if (changed & (this.bothEdges | ~(this.event ^ rising)) & ~this.level) this.edges |= changed;
      this.update();
    };
  }

  private get pins(): number {
    return (this.outputs & this.direction) | (this.inputs & ~this.direction);
  }

  private get raw(): number {
    return (this.edges & ~this.level) | (~(this.pins ^ this.event) & this.level & 0xff);
  }

  read(offset: number, bytes: number): number {
    return subword(this.readWord(offset & ~3), offset, bytes);
  }

  private readWord(offset: number): number {
    // Address bits 9:2 of the data register choose the pins.
    if (offset < 0x400) return this.pins & (offset >> 2);
    switch (offset) {
      case registers.DIR:
        return this.direction;
      case registers.IS:
        return this.level;
      case registers.IBE:
        return this.bothEdges;
      case registers.IEV:
        return this.event;
      case registers.IE:
        return this.enabled;
      case registers.RIS:
        return this.raw;
      case registers.MIS:
        return this.raw & this.enabled;
      case registers.AFSEL:
        return this.alternate;
      default:
        return primeCellWord(identification, offset);
    }
  }

  write(offset: number, _bytes: number, value: number): void {
    const byte = value & 0xff;
    if (offset < 0x400) {
      const mask = (offset >> 2) & this.direction;
      this.outputs = (this.outputs & ~mask) | (byte & mask);
    }
    switch (offset) {
      case registers.DIR:
        this.direction = byte;
        break;
      case registers.IS:
        this.level = byte;
        break;
      case registers.IBE:
        this.bothEdges = byte;
        break;
      case registers.IEV:
        this.event = byte;
        break;
      case registers.IE:
        this.enabled = byte;
        break;
      case registers.IC:
        this.edges &= ~byte;
        break;
      case registers.AFSEL:
        this.alternate = byte;
        break;
      default:
        break;
    }
    this.update();
  }

  private update(): void {
    this.irq((this.raw & this.enabled) !== 0);
  }

  reset(): void {
    this.load({ ...resetState, inputs: this.inputs });
  }

  save() {
    const { outputs, inputs, direction, level, bothEdges, event, enabled, alternate, edges } = this;
    return { outputs, inputs, direction, level, bothEdges, event, enabled, alternate, edges };
  }

  load(state: unknown): void {
    Object.assign(this, state);
    this.update();
  }
}

const resetState = { outputs: 0, direction: 0, level: 0, bothEdges: 0, event: 0, enabled: 0, alternate: 0, edges: 0 };
