import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { monotonic, timerDelay } from '#linux-user/clock.ts';
import { Clock, readClock, realTime } from '#linux-user/clocks.ts';
import { IntervalTimer } from '#linux-user/signal/timers.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, flags, oneOf, structOut, uint } from './arguments.ts';
import { ITimerName, TimerFlag } from './names.ts';
import { braces } from './print.ts';
import { partial, type Rows, row } from './row.ts';
import {
  itimervalIn,
  itimervalOut,
  loadDuration,
  loadTimeval,
  storeMilliseconds,
  storeTimespec,
  timespecIn,
  timespecOut,
  timevalOut,
  wideTimespecIn,
  wideTimespecOut,
} from './time-values.ts';

/** Longest one setTimeout, milliseconds. */

function clockGettime(task: Task, clock: number, at: number, wide: boolean): number {
  if (clock === Clock.CLOCK_MONOTONIC) {
    // What programs read in a loop: no detour through milliseconds.
    const time = process.hrtime();
    storeTimespec(task.memory, at, time[0], time[1], wide);
    return 0;
  }
  const now = readClock(task.process, clock);
  const seconds = Math.floor(now / 1000);
  storeTimespec(task.memory, at, seconds, Math.floor((now - seconds * 1000) * 1e6), wide);
  return 0;
}

function clockGetres(task: Task, clock: number, at: number, wide: boolean): number {
  readClock(task.process, clock);
  const coarse = clock === Clock.CLOCK_REALTIME_COARSE || clock === Clock.CLOCK_MONOTONIC_COARSE;
  if (at !== 0) storeTimespec(task.memory, at, 0, coarse ? 4_000_000 : 1, wide);
  return 0;
}

function gettimeofday(task: Task, at: number, zone: number): number {
  const now = realTime();
  const seconds = Math.floor(now / 1000);
  if (at !== 0) storeTimespec(task.memory, at, seconds, Math.floor((now - seconds * 1000) * 1000), false);
  if (zone !== 0) task.memory.store64(zone, 0n);
  return 0;
}

/**
 * Sleeps until `due` on the monotonic clock, in milliseconds. An interrupted sleep says in `remainder` (if not 0) how
 * long it had to go, and goes on through restart_syscall if no handler ran.
 */
async function sleepUntil(task: Task, due: number, remainder: number, wide: boolean): Promise<number> {
  try {
    for (;;) {
      const left = due - monotonic();
      if (left <= 0) return 0;
      await task.sleep<void>((wake) => {
        const timer = setTimeout(wake, timerDelay(left));
        return () => clearTimeout(timer);
      }, 'ERESTART_RESTARTBLOCK');
    }
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    if (remainder !== 0) storeMilliseconds(task.memory, remainder, Math.max(0, due - monotonic()), wide);
    task.restartBlock = () => sleepUntil(task, due, remainder, wide);
    throw error;
  }
}

/** A sleep until a point in time has nothing to remember: it is just made again. */
async function sleepAbsolute(task: Task, clock: number, due: number): Promise<number> {
  for (;;) {
    const left = due - readClock(task.process, clock);
    if (left <= 0) return 0;
    await task.sleep<void>((wake) => {
      const timer = setTimeout(wake, timerDelay(left));
      return () => clearTimeout(timer);
    }, 'ERESTARTNOHAND');
  }
}

function clockNanosleep(
  task: Task,
  clock: number,
  how: number,
  request: number,
  remainder: number,
  wide: boolean,
): SyscallResult {
  if (clock === Clock.CLOCK_THREAD_CPUTIME_ID) throw new Errno('EINVAL');
  readClock(task.process, clock);
  const duration = loadDuration(task.memory, request, wide);
  if ((how & TimerFlag.TIMER_ABSTIME) !== 0) return sleepAbsolute(task, clock, duration);
  if (duration === 0) return 0;
  return sleepUntil(task, monotonic() + duration, remainder, wide);
}

function storeTimer(task: Task, at: number, setting: { interval: number; value: number }): void {
  if (at === 0) return;
  const { memory } = task;
  memory.require(at, 16, Access.write);
  [setting.interval, setting.value].forEach((micros, index) => {
    memory.store32(at + 8 * index, Math.floor(micros / 1e6));
    memory.store32(at + 8 * index + 4, Math.floor(micros % 1e6));
  });
}

function loadMicroseconds(task: Task, at: number): number {
  const { seconds, nanoseconds } = loadTimeval(task.memory, at);
  if (seconds < 0) throw new Errno('EINVAL');
  return seconds * 1e6 + nanoseconds / 1000;
}

function setitimer(task: Task, which: number, next: number, old: number): number {
  const { timers } = task.process;
  timers.get(which);
  const setting =
    next === 0
      ? { interval: 0, value: 0 }
      : { interval: loadMicroseconds(task, next), value: loadMicroseconds(task, next + 8) };
  storeTimer(task, old, timers.set(which, setting));
  return 0;
}

function alarm(task: Task, seconds: number): number {
  const old = task.process.timers.set(IntervalTimer.REAL, { interval: 0, value: seconds * 1e6 });
  return old.value === 0 ? 0 : Math.max(1, Math.round(old.value / 1e6));
}

/** Clock ticks a second, as user space counts them (USER_HZ). */
const ticksPerSecond = 100;

function times(task: Task, at: number): number {
  if (at !== 0) {
    const { cpu, kernel } = task.process;
    kernel.scheduler.meter.settle();
    task.memory.require(at, 16, Access.write);
    const ticks = [cpu.own.user, cpu.own.system, cpu.children.user, cpu.children.system].map((micros) =>
      Math.floor((micros * ticksPerSecond) / 1e6),
    );
    ticks.forEach((value, index) => task.memory.store32(at + 4 * index, value));
  }
  return Math.floor((monotonic() * ticksPerSecond) / 1000) & 0x7fffffff;
}

const printTimes = (memory: GuestMemory, at: number): string => {
  const [tms_utime, tms_stime, tms_cutime, tms_cstime] = [0, 4, 8, 12].map((offset) => memory.load32(at + offset));
  return braces({ tms_utime, tms_stime, tms_cutime, tms_cstime });
};

const denied = (): never => {
  throw new Errno('EPERM');
};

/** kernel/time/. */
export const timeCalls: Rows = {
  time: row({ at: structOut((memory, at) => `[${memory.load32(at)}]`) }, (task, { at }) => {
    const now = Math.floor(realTime() / 1000);
    if (at !== 0) task.memory.store32(at, now);
    return now;
  }),
  gettimeofday: row({ time: timevalOut, zone: address }, (task, { time, zone }) => gettimeofday(task, time, zone)),
  settimeofday: row({ time: address, zone: address }, denied),
  clock_settime: row({ clock: oneOf(Clock), time: timespecIn }, denied),
  clock_settime64: row({ clock: oneOf(Clock), time: wideTimespecIn }, denied),
  clock_gettime: row({ clock: oneOf(Clock), time: timespecOut }, (task, { clock, time }) =>
    clockGettime(task, clock, time, false),
  ),
  clock_gettime64: row({ clock: oneOf(Clock), time: wideTimespecOut }, (task, { clock, time }) =>
    clockGettime(task, clock, time, true),
  ),
  clock_getres: row({ clock: oneOf(Clock), time: timespecOut }, (task, { clock, time }) =>
    clockGetres(task, clock, time, false),
  ),
  clock_getres_time64: row({ clock: oneOf(Clock), time: wideTimespecOut }, (task, { clock, time }) =>
    clockGetres(task, clock, time, true),
  ),
  nanosleep: row({ request: timespecIn, remainder: timespecOut }, (task, { request, remainder }) =>
    clockNanosleep(task, Clock.CLOCK_MONOTONIC, 0, request, remainder, false),
  ),
  clock_nanosleep: partial(
    'sleeps on CPU time clocks measure at millisecond steps',
    row(
      { clock: oneOf(Clock), flags: flags(TimerFlag), request: timespecIn, remainder: timespecOut },
      (task, { clock, flags: how, request, remainder }) => clockNanosleep(task, clock, how, request, remainder, false),
    ),
  ),
  clock_nanosleep_time64: partial(
    'sleeps on CPU time clocks measure at millisecond steps',
    row(
      { clock: oneOf(Clock), flags: flags(TimerFlag), request: wideTimespecIn, remainder: wideTimespecOut },
      (task, { clock, flags: how, request, remainder }) => clockNanosleep(task, clock, how, request, remainder, true),
    ),
  ),
  times: row({ buffer: structOut(printTimes) }, (task, { buffer }) => times(task, buffer)),
  alarm: row({ seconds: uint }, (task, { seconds }) => alarm(task, seconds)),
  getitimer: row({ which: oneOf(ITimerName), value: itimervalOut }, (task, { which, value }) => {
    const setting = task.process.timers.get(which);
    task.memory.require(value, 16, Access.write);
    storeTimer(task, value, setting);
    return 0;
  }),
  setitimer: row({ which: oneOf(ITimerName), next: itimervalIn, old: itimervalOut }, (task, { which, next, old }) =>
    setitimer(task, which, next, old),
  ),
};
