import type { Clock, Timer } from '#hw/device.ts';

/** Guest time with its timers. Subclasses say what time it is. */
export abstract class MachineClock implements Clock {
  private readonly timers = new Set<MachineTimer>();
  /** When the next timer is due, nanoseconds. */
  deadline = Infinity;

  abstract now(): number;
  /** Time stands still until `go`. */
  abstract stop(): void;
  abstract go(): void;
  /** It is `time` now. Timers must be set again. */
  abstract moveTo(time: number): void;

  timer(fire: () => void): Timer {
    const timer = new MachineTimer(this, fire);
    this.timers.add(timer);
    return timer;
  }

  /** Calls the timers that are due. */
  runDue(): void {
    const now = this.now();
    if (now < this.deadline) return;
    for (const timer of this.timers) {
      if (timer.deadline > now) continue;
      timer.deadline = Infinity;
      timer.fire();
    }
    this.findDeadline();
  }

  findDeadline(): void {
    this.deadline = Infinity;
    for (const { deadline } of this.timers) this.deadline = Math.min(this.deadline, deadline);
  }
}

class MachineTimer implements Timer {
  deadline = Infinity;
  readonly fire: () => void;
  private readonly clock: MachineClock;

  constructor(clock: MachineClock, fire: () => void) {
    this.clock = clock;
    this.fire = fire;
  }

  set(deadline: number): void {
    if (deadline === this.deadline) return;
    const old = this.deadline;
    this.deadline = deadline;
    if (deadline < this.clock.deadline) this.clock.deadline = deadline;
    else if (old === this.clock.deadline) this.clock.findDeadline();
  }
}

/** The host's time while the machine runs. */
export class RealClock extends MachineClock {
  private readonly start = process.hrtime.bigint();
  /** Nanoseconds the machine stood still. */
  private stopped = 0;
  private stoppedAt: number | null = null;

  now(): number {
    return this.stoppedAt ?? Number(process.hrtime.bigint() - this.start) - this.stopped;
  }

  stop(): void {
    this.stoppedAt ??= this.now();
  }

  go(): void {
    if (this.stoppedAt === null) return;
    const at = this.stoppedAt;
    this.stoppedAt = null;
    this.stopped += this.now() - at;
  }

  moveTo(time: number): void {
    if (this.stoppedAt === null) this.stopped += this.now() - time;
    else this.stoppedAt = time;
  }
}

/** Time that passes with the guest's instructions, and jumps to the next timer where the guest waits. */
export class InstructionClock extends MachineClock {
  private readonly nanoseconds: number;
  private time = 0;

  /** `shift`: an instruction takes 2^shift nanoseconds. */
  constructor(shift: number) {
    super();
    this.nanoseconds = 2 ** shift;
  }

  now(): number {
    return this.time;
  }

  advance(instructions: number): void {
    this.time += instructions * this.nanoseconds;
  }

  // Time that goes by instructions stands still without any.
  stop(): void {}
  go(): void {}

  moveTo(time: number): void {
    this.time = time;
  }

  /** To the next timer; false if there is none. */
  skip(): boolean {
    if (this.deadline === Infinity) return false;
    this.time = Math.max(this.time, this.deadline);
    return true;
  }
}

/** The host's time of day, nanoseconds since 1970: it goes on while the machine stands still. */
export class HostTime implements Clock {
  private readonly machine: MachineClock;

  /** `machine` wakes the timers. */
  constructor(machine: MachineClock) {
    this.machine = machine;
  }

  now(): number {
    return (performance.timeOrigin + performance.now()) * 1e6;
  }

  timer(fire: () => void): Timer {
    let due = Infinity;
    const timer = this.machine.timer(() => {
      // The machine's time may have stood still, or have been moved.
      if (this.now() >= due) fire();
      else set(due);
    });
    const set = (deadline: number): void => {
      due = deadline;
      timer.set(this.machine.now() + deadline - this.now());
    };
    return { set };
  }
}
