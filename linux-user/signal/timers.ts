import { Errno } from '#util/errno.ts';
import type { Alarm } from '../alarm.ts';
import { monotonic, timerDelay } from '../clock.ts';
import type { CpuTime } from '../cpu-usage.ts';
import { Signal } from './numbers.ts';
import { PosixTimers } from './posix-timers.ts';

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

/** What the timers of a process want of it. */
export interface TimerOwner {
  /** What it has used up to now. */
  cpuTime(): CpuTime;
  /** A timer's signal is due. */
  expire(signo: number): void;
  /** CPU time has passed: limits of it may be reached. */
  checkCpuLimit(used: CpuTime): void;
  /** There is such a limit. */
  readonly cpuLimited: boolean;
}

/** The timers of a process: the three of setitimer(2), those of timer_create(2), and who else waits for its CPU time. */
export class IntervalTimers {
  readonly posix = new PosixTimers();
  private readonly owner: TimerOwner;
  private readonly running: (Running | null)[] = [null, null, null];
  private alarm: ReturnType<typeof setTimeout> | null = null;
  private readonly cpuAlarms = new Set<Alarm>();

  constructor(owner: TimerOwner) {
    this.owner = owner;
  }

  private now(which: number): number {
    if (which === IntervalTimer.REAL) return monotonic() * 1000;
    const { user, system } = this.owner.cpuTime();
    return which === IntervalTimer.VIRTUAL ? user : user + system;
  }

  /** setitimer(2); returns the old setting. Throws EINVAL. */
  set(which: number, setting: TimerSetting): TimerSetting {
    const old = this.get(which);
    const { value, interval } = setting;
    this.running[which] = value === 0 ? null : { due: this.now(which) + value, interval };
    if (which === IntervalTimer.REAL) this.arm();
    return old;
  }

  /** getitimer(2). Throws EINVAL. */
  get(which: number): TimerSetting {
    if (which < 0 || which > 2) throw new Errno('EINVAL');
    const timer = this.running[which];
    if (timer === null) return { interval: 0, value: 0 };
    return { interval: timer.interval, value: Math.max(1, Math.round(timer.due - this.now(which))) };
  }

  /** True if any timer runs that sends a signal. */
  get active(): boolean {
    return this.running.some((timer) => timer !== null) || this.posix.active || this.owner.cpuLimited;
  }

  /** True if something waits for CPU time: the scheduler then calls `poll` while the guest computes. */
  get measuresCpu(): boolean {
    const timers = this.running[IntervalTimer.VIRTUAL] !== null || this.running[IntervalTimer.PROF] !== null;
    return timers || this.cpuAlarms.size > 0 || this.owner.cpuLimited;
  }

  /** An alarm on this process's CPU time waits, or waits no more. */
  watchCpu(alarm: Alarm, on: boolean): void {
    if (on) this.cpuAlarms.add(alarm);
    else this.cpuAlarms.delete(alarm);
  }

  /** Fires what is due. */
  poll(): void {
    for (let which = 0; which < 3; which++) {
      const timer = this.running[which];
      if (timer === null) continue;
      const time = this.now(which);
      if (time < timer.due) continue;
      if (timer.interval === 0) this.running[which] = null;
      else timer.due += Math.ceil((time - timer.due + 1) / timer.interval) * timer.interval;
      this.owner.expire(signals[which]);
    }
    for (const alarm of [...this.cpuAlarms]) alarm.check();
    if (this.owner.cpuLimited) this.owner.checkCpuLimit(this.owner.cpuTime());
    this.arm();
  }

  /** Stops everything (the end of the process). */
  stop(): void {
    this.running.fill(null);
    this.posix.deleteAll();
    this.cpuAlarms.clear();
    this.arm();
  }

  private arm(): void {
    if (this.alarm !== null) clearTimeout(this.alarm);
    this.alarm = null;
    const timer = this.running[IntervalTimer.REAL];
    if (timer === null) return;
    const left = (timer.due - this.now(IntervalTimer.REAL)) / 1000;
    this.alarm = setTimeout(() => this.poll(), Math.max(1, timerDelay(left)));
  }
}
