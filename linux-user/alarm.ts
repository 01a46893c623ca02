import { timerDelay } from './clock.ts';
import { cpuClockOwner, readClock } from './clocks.ts';
import type { Process } from './process.ts';

/** Longest one setTimeout, milliseconds. */

/** Calls back once a clock has reached a time. Wall time is Node's to wait for; CPU time is looked at now and then. */
export class Alarm {
  private readonly process: Process;
  private readonly clock: number;
  private readonly ring: () => void;
  /** Whose CPU time it is; null for wall time. */
  private readonly owner: Process | null;
  private timer: NodeJS.Timeout | null = null;
  /** Milliseconds on the clock; null while it is not set. */
  private due: number | null = null;

  /** EINVAL for a clock that is none. */
  constructor(process: Process, clock: number, ring: () => void) {
    this.process = process;
    this.clock = clock;
    this.ring = ring;
    this.owner = cpuClockOwner(process, clock);
    readClock(process, clock);
  }

  /** Milliseconds on the clock. */
  now(): number {
    return readClock(this.process, this.clock);
  }

  /** Sets it to a time on the clock, or (null) off. */
  set(due: number | null): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.due = due;
    if (this.owner !== null) this.owner.timers.watchCpu(this, due !== null);
    else if (due !== null) this.wait(due);
  }

  private wait(due: number): void {
    this.timer = setTimeout(() => this.check(), timerDelay(due - this.now()));
  }

  /** Rings if it is time. */
  check(): void {
    const { due } = this;
    if (due === null) return;
    if (this.now() < due) {
      if (this.owner === null) this.wait(due);
      return;
    }
    this.set(null);
    this.ring();
  }
}
