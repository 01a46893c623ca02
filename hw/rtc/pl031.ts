import { type Clock, type Device, type Line, primeCellWord, subword, type Timer } from '../device.ts';

/* ARM PrimeCell Real Time Clock (PL031, DDI 0224): seconds, with an alarm. */

const registers = { DR: 0x00, MR: 0x04, LR: 0x08, CR: 0x0c, IMSC: 0x10, RIS: 0x14, MIS: 0x18, ICR: 0x1c } as const;
/** PeriphID and PCellID from 0xfe0 on. */
const identification = [0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1];
const second = 1e9;

export class Pl031 implements Device {
  readonly name = 'pl031';
  private readonly clock: Clock;
  private readonly irq: Line;
  private readonly timer: Timer;
  private readonly base: number;
  /** What LR has changed: seconds to add to the clock's. */
  private offset: number;
  private match = 0;
  private loaded = 0;
  private raw = 0;
  private mask = 0;

  /** `start`: seconds since 1970 at the clock's zero. */
  constructor(clock: Clock, start: number, irq: Line) {
    this.clock = clock;
    this.irq = irq;
    this.base = start;
    this.offset = start;
    this.timer = clock.timer(() => {
      this.raw = 1;
      this.update();
    });
  }

  private get seconds(): number {
    return (Math.floor(this.clock.now() / second) + this.offset) >>> 0;
  }

  read(offset: number, bytes: number): number {
    return subword(this.readWord(offset & ~3), offset, bytes);
  }

  private readWord(offset: number): number {
    switch (offset) {
      case registers.DR:
        return this.seconds;
      case registers.MR:
        return this.match;
      case registers.LR:
        return this.loaded;
      case registers.CR:
        return 1;
      case registers.IMSC:
        return this.mask;
      case registers.RIS:
        return this.raw;
      case registers.MIS:
        return this.raw & this.mask;
      default:
        return primeCellWord(identification, offset);
    }
  }

  write(offset: number, _bytes: number, value: number): void {
    switch (offset) {
      case registers.MR:
        this.match = value >>> 0;
        this.setAlarm();
        break;
      case registers.LR:
        this.loaded = value >>> 0;
        this.offset += (value >>> 0) - this.seconds;
        this.setAlarm();
        break;
      case registers.IMSC:
        this.mask = value & 1;
        break;
      case registers.ICR:
        this.raw &= ~value;
        break;
      default:
        return;
    }
    this.update();
  }

  private setAlarm(): void {
    const seconds = this.match - this.offset;
    this.timer.set(seconds * second > this.clock.now() ? seconds * second : Infinity);
  }

  private update(): void {
    this.irq((this.raw & this.mask) !== 0);
  }

  reset(): void {
    this.load({ offset: this.base, match: 0, loaded: 0, raw: 0, mask: 0 });
  }

  save() {
    const { offset, match, loaded, raw, mask } = this;
    return { offset, match, loaded, raw, mask };
  }

  load(state: unknown): void {
    Object.assign(this, state);
    this.setAlarm();
    this.update();
  }
}
