import { Errno } from '#util/errno.ts';
import { Alarm } from '../alarm.ts';
import type { Process } from '../process.ts';
import type { Task } from '../task.ts';
import { dropTimerSignals, sendToProcess, sendToTask } from './send.ts';
import { SiCode, type TimerSource } from './siginfo.ts';

/** DELAYTIMER_MAX: what an overrun stops at. */
const mostOverruns = 0x7fffffff;

/** Most timers of a process; Linux counts them with the signals that wait. */
const mostTimers = 4096;

/** itimerspec in milliseconds. */
export interface TimerSpec {
  readonly interval: number;
  readonly value: number;
}

/** How many times a timer with this interval has come round since `due`, the first one included. */
export const rounds = (now: number, due: number, interval: number): number =>
  now < due ? 0 : Math.floor((now - due) / interval) + 1;

/** What a timer does when it is due: a signal to the process or to one thread, or (signo 0) nothing. */
export interface TimerEvent {
  readonly signo: number;
  readonly value: bigint;
  /** SIGEV_THREAD_ID. */
  readonly task: Task | null;
}

/**
 * A timer of timer_create(2). Its signal waits at most once; what comes round meanwhile is counted when the signal is
 * taken, and the timer goes on from there (as Linux does).
 */
export class PosixTimer implements TimerSource {
  readonly id: number;
  private readonly process: Process;
  private readonly event: TimerEvent;
  private readonly alarm: Alarm;
  private interval = 0;
  /** When it rings next, or has rung; null while it is off. */
  private due: number | null = null;
  private overrun = 0;

  constructor(id: number, process: Process, clock: number, event: TimerEvent) {
    this.id = id;
    this.process = process;
    this.event = event;
    this.alarm = new Alarm(process, clock, () => this.ring());
  }

  get active(): boolean {
    return this.due !== null && this.event.signo !== 0;
  }

  /** timer_gettime(2). */
  get(): TimerSpec {
    const { interval, due } = this;
    if (due === null) return { interval, value: 0 };
    const now = this.alarm.now();
    const next = interval > 0 ? due + rounds(now, due, interval) * interval : due;
    const silent = this.event.signo === 0;
    // One that has rung, and whose signal waits, counts as about to.
    const least = interval === 0 && silent ? 0 : 1e-6;
    return { interval, value: Math.max(least, next - now) };
  }

  /** timer_settime(2); a value of 0 is off. Returns what `get` did. */
  set({ interval, value }: TimerSpec, absolute: boolean): TimerSpec {
    const old = this.get();
    dropTimerSignals(this.process, this);
    this.overrun = 0;
    this.interval = value === 0 ? 0 : interval;
    this.due = value === 0 ? null : absolute ? value : this.alarm.now() + value;
    this.alarm.set(this.event.signo === 0 ? null : this.due);
    return old;
  }

  /** timer_getoverrun(2): of the signal that was taken last. */
  get overruns(): number {
    return this.overrun;
  }

  private ring(): void {
    const { event, process } = this;
    const { signo, value, task } = event;
    const info = {
      kind: 'timer',
      signo,
      code: SiCode.SI_TIMER,
      timer: this.id,
      overrun: 0,
      value,
      source: this,
    } as const;
    const waits = task === null ? sendToProcess(process, info) : sendToTask(task, info);
    if (!waits) this.taken();
  }

  /** Its signal has been taken, or ignored: the overruns, and on to the next time. */
  taken(): number {
    const { due, interval } = this;
    if (due === null) return 0;
    if (interval === 0) {
      this.due = null;
      return (this.overrun = 0);
    }
    const count = Math.max(1, rounds(this.alarm.now(), due, interval));
    this.due = due + count * interval;
    this.alarm.set(this.due);
    this.overrun = Math.min(count - 1, mostOverruns);
    return this.overrun;
  }

  stop(): void {
    this.due = null;
    this.alarm.set(null);
    dropTimerSignals(this.process, this);
  }
}

/** The timers of timer_create(2) that a process has. */
export class PosixTimers {
  private readonly timers = new Map<number, PosixTimer>();
  private next = 0;

  get active(): boolean {
    for (const timer of this.timers.values()) if (timer.active) return true;
    return false;
  }

  /** The number the next timer will have: its signal's value where the caller gives none. */
  get nextId(): number {
    return this.next;
  }

  /** EINVAL for a bad clock, EAGAIN for too many. */
  create(process: Process, clock: number, event: TimerEvent): PosixTimer {
    if (this.timers.size >= mostTimers) throw new Errno('EAGAIN');
    const timer = new PosixTimer(this.next, process, clock, event);
    this.next = (this.next + 1) & 0x7fffffff;
    this.timers.set(timer.id, timer);
    return timer;
  }

  /** EINVAL. */
  get(id: number): PosixTimer {
    const timer = this.timers.get(id);
    if (timer === undefined) throw new Errno('EINVAL');
    return timer;
  }

  delete(id: number): void {
    this.get(id).stop();
    this.timers.delete(id);
  }

  /** exec, and the end of the process. */
  deleteAll(): void {
    for (const timer of this.timers.values()) timer.stop();
    this.timers.clear();
  }
}
