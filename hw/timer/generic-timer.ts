import type { Clock, Line, Timer } from '../device.ts';

/** Ticks a second: QEMU's value for its `virt` machine. */
export const timerFrequency = 62_500_000;
const nanosecondsPerTick = 1e9 / timerFrequency;

/** CTL bits (DDI 0406C B8.1.5). */
const enable = 1;
const masked = 2;
const condition = 4;

/** One timer of a core: its output is up while the count has reached the compare value. Counts are numbers of ticks. */
class Channel {
  private readonly clock: Clock;
  private readonly output: Line;
  private readonly timer: Timer;
  private compareValue = 0;
  private bits = 0;

  constructor(clock: Clock, output: Line) {
    this.clock = clock;
    this.output = output;
    this.timer = clock.timer(() => this.update());
  }

  get compare(): number {
    return this.compareValue;
  }

  set compare(value: number) {
    this.compareValue = value;
    this.update();
  }

  get control(): number {
    return this.bits | (this.reached ? condition : 0);
  }

  set control(value: number) {
    this.bits = value & (enable | masked);
    this.update();
  }

  private get reached(): boolean {
    return (this.bits & enable) !== 0 && countAt(this.clock.now()) >= this.compareValue;
  }

  private update(): void {
    const { reached } = this;
    this.output(reached && (this.bits & masked) === 0);
    const waits = (this.bits & enable) !== 0 && !reached;
    this.timer.set(waits ? Math.ceil(this.compareValue * nanosecondsPerTick) : Infinity);
  }

  get state(): readonly [number, number] {
    return [this.compareValue, this.bits];
  }

  set state([compare, bits]: readonly [number, number]) {
    this.compareValue = compare;
    this.control = bits;
  }
}

const countAt = (nanoseconds: number): number => Math.floor(nanoseconds / nanosecondsPerTick);

/** The generic timer of a core (DDI 0406C B8): physical and virtual count are the same. */
export class GenericTimer {
  readonly frequency = timerFrequency;
  readonly physical: Channel;
  readonly virtual: Channel;
  private readonly clock: Clock;

  constructor(clock: Clock, outputs: { readonly physical: Line; readonly virtual: Line }) {
    this.clock = clock;
    this.physical = new Channel(clock, outputs.physical);
    this.virtual = new Channel(clock, outputs.virtual);
  }

  count(): number {
    return countAt(this.clock.now());
  }

  reset(): void {
    this.physical.state = [0, 0];
    this.virtual.state = [0, 0];
  }

  save() {
    return { physical: this.physical.state, virtual: this.virtual.state };
  }

  load(state: ReturnType<GenericTimer['save']>): void {
    this.physical.state = state.physical;
    this.virtual.state = state.virtual;
  }
}
