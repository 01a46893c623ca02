import { Errno } from '#util/errno.ts';
import { Signal } from './numbers.ts';

/** setitimer's `which`. */
export const IntervalTimer = { REAL: 0, VIRTUAL: 1, PROF: 2 } as const;

/** struct itimerval in microseconds. */
export interface TimerSetting {
  readonly interval: number;
  readonly value: number;
}

interface Running {
  /** Microseconds on the timer's clock at which it fires. */
  due: number;
  interval: number;
}

const signals = [Signal.SIGALRM, Signal.SIGVTALRM, Signal.SIGPROF];

/** Longest setTimeout, in milliseconds. */
const longestTimeout = 2 ** 31 - 1;

function now(which: number): number {
  if (which === IntervalTimer.REAL) return performance.now() * 1000;
  const { user, system } = process.cpuUsage();
  return which === IntervalTimer.VIRTUAL ? user : user + system;
}

/** The three interval timers of a process (setitimer(2)). */
export class IntervalTimers {
  private readonly running: (Running | null)[] = [null, null, null];
  private alarm: ReturnType<typeof setTimeout> | null = null;
  /** Sends a timer's signal to the process; set by its owner. */
  onExpiry: (signo: number) => void = () => {};

  /** setitimer(2); returns the old setting. Throws EINVAL. */
  set(which: number, setting: TimerSetting): TimerSetting {
    const old = this.get(which);
    this.running[which] = setting.value === 0 ? null : { due: now(which) + setting.value, interval: setting.interval };
    if (which === IntervalTimer.REAL) this.arm();
    return old;
  }

  /** getitimer(2). Throws EINVAL. */
  get(which: number): TimerSetting {
    if (which < 0 || which > 2) throw new Errno('EINVAL');
    const timer = this.running[which];
    if (timer === null) return { interval: 0, value: 0 };
    return { interval: timer.interval, value: Math.max(1, Math.round(timer.due - now(which))) };
  }

  /** True if any timer runs. */
  get active(): boolean {
    return this.running.some((timer) => timer !== null);
  }

  /** True if a timer on CPU time runs: the scheduler then calls `poll` while the guest computes. */
  get measuresCpu(): boolean {
    return this.running[1] !== null || this.running[2] !== null;
  }

  /** Fires what is due. */
  poll(): void {
    for (let which = 0; which < 3; which++) {
      const timer = this.running[which];
      if (timer === null) continue;
      const time = now(which);
      if (time < timer.due) continue;
      if (timer.interval === 0) this.running[which] = null;
      else timer.due += Math.ceil((time - timer.due + 1) / timer.interval) * timer.interval;
      this.onExpiry(signals[which]);
    }
    this.arm();
  }

  /** Stops everything (the end of the process). */
  stop(): void {
    this.running.fill(null);
    this.arm();
  }

  private arm(): void {
    if (this.alarm !== null) clearTimeout(this.alarm);
    this.alarm = null;
    const timer = this.running[IntervalTimer.REAL];
    if (timer === null) return;
    const delay = Math.min(longestTimeout, Math.ceil((timer.due - now(IntervalTimer.REAL)) / 1000));
    this.alarm = setTimeout(() => this.poll(), Math.max(1, delay));
  }
}
