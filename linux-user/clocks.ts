import { Errno } from '#util/errno.ts';
import { monotonic } from './clock.ts';
import type { Process } from './process.ts';

/** clockid_t (include/uapi/linux/time.h). Negative ones are CPU time of a process or thread, by its number. */
export const Clock = {
  CLOCK_REALTIME: 0,
  CLOCK_MONOTONIC: 1,
  CLOCK_PROCESS_CPUTIME_ID: 2,
  CLOCK_THREAD_CPUTIME_ID: 3,
  CLOCK_MONOTONIC_RAW: 4,
  CLOCK_REALTIME_COARSE: 5,
  CLOCK_MONOTONIC_COARSE: 6,
  CLOCK_BOOTTIME: 7,
  CLOCK_REALTIME_ALARM: 8,
  CLOCK_BOOTTIME_ALARM: 9,
  CLOCK_TAI: 11,
} as const;

/** What monotonic() must be given to be the time of day; null until someone asks. */
let wallOffset: number | null = null;

/**
 * The wall clock, milliseconds. Date has whole milliseconds; the fine part comes from the monotonic clock, as long as
 * nobody has set the clock.
 */
export function realTime(): number {
  wallOffset ??= performance.timeOrigin + performance.now() - monotonic();
  const coarse = Date.now();
  const fine = wallOffset + monotonic();
  if (fine >= coarse && fine < coarse + 1) return fine;
  wallOffset += coarse - fine;
  return coarse;
}

/** Milliseconds of CPU time that a process has used. */
export function processCpuTime({ kernel, cpu }: Process): number {
  kernel.scheduler.meter.settle();
  const { user, system } = cpu.own;
  return (user + system) / 1000;
}

/** The parts of a negative clockid_t: the complement of a number above three bits (posix-timers.h). */
const clockFd = 3;

/** The process whose CPU time a clock tells; null for a clock of wall time. EINVAL. */
export function cpuClockOwner(caller: Process, clock: number): Process | null {
  if (clock === Clock.CLOCK_PROCESS_CPUTIME_ID || clock === Clock.CLOCK_THREAD_CPUTIME_ID) return caller;
  if (clock >= 0) return null;
  const number = ~(clock >> 3);
  const owner = number === 0 ? caller : caller.kernel.processes.find(number);
  if ((clock & 3) === clockFd || owner === undefined) throw new Errno('EINVAL');
  return owner;
}

/** Reads a clock, milliseconds (exact to the microsecond at least). EINVAL. */
export function readClock(process: Process, clock: number): number {
  switch (clock) {
    case Clock.CLOCK_REALTIME:
    case Clock.CLOCK_REALTIME_COARSE:
    case Clock.CLOCK_REALTIME_ALARM:
    case Clock.CLOCK_TAI:
      return realTime();
    case Clock.CLOCK_MONOTONIC:
    case Clock.CLOCK_MONOTONIC_RAW:
    case Clock.CLOCK_MONOTONIC_COARSE:
    case Clock.CLOCK_BOOTTIME:
    case Clock.CLOCK_BOOTTIME_ALARM:
      return monotonic();
    default: {
      const owner = cpuClockOwner(process, clock);
      if (owner === null) throw new Errno('EINVAL');
      return processCpuTime(owner);
    }
  }
}
