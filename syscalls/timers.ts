import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { Clock } from '#linux-user/clocks.ts';
import { Signal, signalCount } from '#linux-user/signal/numbers.ts';
import type { PosixTimers, TimerEvent, TimerSpec } from '#linux-user/signal/posix-timers.ts';
import { TimerFile } from '#linux-user/signal/timer-file.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { Errno } from '#util/errno.ts';
import { descriptorFlags, fd, flags, int, oneOf, structIn, structOut } from './arguments.ts';
import { TimerFlag } from './names.ts';
import { partial, type Row, type Rows, row } from './row.ts';
import { loadSigEvent, Notify, printSigEvent } from './sigevent.ts';
import { loadDuration, loadTimespec, storeMilliseconds } from './time-values.ts';

/** struct itimerspec: interval and value, each a timespec of 8 or (`wide`) 16 bytes. */
function loadSpec(memory: GuestMemory, at: number, wide: boolean): TimerSpec {
  return { interval: loadDuration(memory, at, wide), value: loadDuration(memory, at + (wide ? 16 : 8), wide) };
}

function storeSpec(memory: GuestMemory, at: number, { interval, value }: TimerSpec, wide: boolean): void {
  memory.require(at, wide ? 32 : 16, Access.write);
  storeMilliseconds(memory, at, interval, wide);
  storeMilliseconds(memory, at + (wide ? 16 : 8), value, wide);
}

const printTime = (memory: GuestMemory, at: number, wide: boolean): string => {
  const { seconds, nanoseconds } = loadTimespec(memory, at, wide);
  return `{tv_sec=${seconds}, tv_nsec=${nanoseconds}}`;
};
const printSpec =
  (wide: boolean) =>
  (memory: GuestMemory, at: number): string =>
    `{it_interval=${printTime(memory, at, wide)}, it_value=${printTime(memory, at + (wide ? 16 : 8), wide)}}`;

// ---- POSIX timers

const timersOf = (task: Task): PosixTimers => task.process.timers.posix;

/** What a timer is to do; EINVAL. */
function eventOf(task: Task, at: number): TimerEvent {
  if (at === 0) return { signo: Signal.SIGALRM, value: BigInt(timersOf(task).nextId), task: null };
  const { value, signo, notify, tid } = loadSigEvent(task.memory, at, task.abi.pointerBytes);
  if (notify === Notify.SIGEV_NONE) return { signo: 0, value, task: null };
  if (signo <= 0 || signo > signalCount) throw new Errno('EINVAL');
  switch (notify) {
    case Notify.SIGEV_SIGNAL:
    case Notify.SIGEV_THREAD:
      return { signo, value, task: null };
    case Notify.SIGEV_THREAD_ID: {
      const target = task.process.tasks.get(tid);
      if (target === undefined) throw new Errno('EINVAL');
      return { signo, value, task: target };
    }
    default:
      throw new Errno('EINVAL');
  }
}

/** Clocks of which there are no timers. */
const withoutTimers = new Set<number>([
  Clock.CLOCK_MONOTONIC_RAW,
  Clock.CLOCK_REALTIME_COARSE,
  Clock.CLOCK_MONOTONIC_COARSE,
]);
/** Clocks that would wake the machine: that is a privilege (CAP_WAKE_ALARM). */
const wakingClocks = new Set<number>([Clock.CLOCK_REALTIME_ALARM, Clock.CLOCK_BOOTTIME_ALARM]);

function timerCreate(task: Task, clock: number, event: number, idAt: number): number {
  if (withoutTimers.has(clock)) throw new Errno('EOPNOTSUPP');
  if (wakingClocks.has(clock) && task.credentials.euid !== 0) throw new Errno('EPERM');
  task.memory.require(idAt, 4, Access.write);
  const timer = timersOf(task).create(task.process, clock, eventOf(task, event));
  task.memory.store32(idAt, timer.id);
  return 0;
}

function timerSettime(task: Task, id: number, how: number, next: number, old: number, wide: boolean): number {
  if (next === 0) throw new Errno('EINVAL');
  const spec = loadSpec(task.memory, next, wide);
  if (old !== 0) task.memory.require(old, wide ? 32 : 16, Access.write);
  const before = timersOf(task)
    .get(id)
    .set(spec, (how & TimerFlag.TIMER_ABSTIME) !== 0);
  if (old !== 0) storeSpec(task.memory, old, before, wide);
  return 0;
}

// ---- timerfd

const TimerFdFlag = { TFD_TIMER_ABSTIME: 1, TFD_TIMER_CANCEL_ON_SET: 2 } as const;

const fileClocks = new Set<number>([
  Clock.CLOCK_REALTIME,
  Clock.CLOCK_MONOTONIC,
  Clock.CLOCK_BOOTTIME,
  ...wakingClocks,
]);

function timerfdCreate(task: Task, clock: number, how: number): number {
  if ((how & ~(Open.nonBlock | Open.closeOnExec)) !== 0 || !fileClocks.has(clock)) throw new Errno('EINVAL');
  if (wakingClocks.has(clock) && task.credentials.euid !== 0) throw new Errno('EPERM');
  const file = new TimerFile(task.process, clock, how & Open.nonBlock);
  return task.files.add(file, (how & Open.closeOnExec) !== 0);
}

/** EBADF, and EINVAL for a descriptor of something else. */
function timerFile(task: Task, descriptor: number): TimerFile {
  const file = task.files.get(descriptor);
  if (!(file instanceof TimerFile)) throw new Errno('EINVAL');
  return file;
}

function timerfdSettime(task: Task, descriptor: number, how: number, next: number, old: number, wide: boolean): number {
  const spec = loadSpec(task.memory, next, wide);
  if ((how & ~(TimerFdFlag.TFD_TIMER_ABSTIME | TimerFdFlag.TFD_TIMER_CANCEL_ON_SET)) !== 0) throw new Errno('EINVAL');
  const file = timerFile(task, descriptor);
  if (old !== 0) task.memory.require(old, wide ? 32 : 16, Access.write);
  const before = file.set(spec, (how & TimerFdFlag.TFD_TIMER_ABSTIME) !== 0);
  if (old !== 0) storeSpec(task.memory, old, before, wide);
  return 0;
}

const idOut = structOut((memory, at) => `[${memory.load32(at)}]`);

const settime = (wide: boolean): Row =>
  row(
    { timer: int, flags: flags(TimerFlag), next: structIn(printSpec(wide)), old: structOut(printSpec(wide)) },
    (task, { timer, flags: how, next, old }) => timerSettime(task, timer, how, next, old, wide),
  );

const gettime = (wide: boolean): Row =>
  row({ timer: int, value: structOut(printSpec(wide)) }, (task, { timer, value }) => {
    storeSpec(task.memory, value, timersOf(task).get(timer).get(), wide);
    return 0;
  });

const fdSettime = (wide: boolean): Row =>
  partial(
    'TFD_TIMER_CANCEL_ON_SET: the host does not tell when its clock is set',
    row(
      { fd, flags: flags(TimerFdFlag), next: structIn(printSpec(wide)), old: structOut(printSpec(wide)) },
      (task, { fd: descriptor, flags: how, next, old }) => timerfdSettime(task, descriptor, how, next, old, wide),
    ),
  );

const fdGettime = (wide: boolean): Row =>
  row({ fd, value: structOut(printSpec(wide)) }, (task, { fd: descriptor, value }) => {
    storeSpec(task.memory, value, timerFile(task, descriptor).get(), wide);
    return 0;
  });

/** kernel/time/posix-timers.c, fs/timerfd.c. */
export const timerCalls: Rows = {
  timer_create: row(
    { clock: oneOf(Clock), event: structIn(printSigEvent), timer: idOut },
    (task, { clock, event, timer }) => timerCreate(task, clock, event, timer),
  ),
  timer_settime: settime(false),
  timer_settime64: settime(true),
  timer_gettime: gettime(false),
  timer_gettime64: gettime(true),
  timer_getoverrun: row({ timer: int }, (task, { timer }) => timersOf(task).get(timer).overruns),
  timer_delete: row({ timer: int }, (task, { timer }) => {
    timersOf(task).delete(timer);
    return 0;
  }),
  timerfd_create: row({ clock: oneOf(Clock), flags: descriptorFlags }, (task, { clock, flags: how }) =>
    timerfdCreate(task, clock, how),
  ),
  timerfd_settime: fdSettime(false),
  timerfd_settime64: fdSettime(true),
  timerfd_gettime: fdGettime(false),
  timerfd_gettime64: fdGettime(true),
};
