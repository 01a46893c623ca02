import type { GuestMemory } from '#accel/guest-memory.ts';
import { Clock, realTime } from '#linux-user/clocks.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { oneOf, structOut } from './arguments.ts';
import { guestStruct } from './guest-struct.ts';
import { hex } from './print.ts';
import { partial, type Row, type Rows, row } from './row.ts';

const padding = {
  pad1: 'u32',
  pad2: 'u32',
  pad3: 'u32',
  pad4: 'u32',
  pad5: 'u32',
  pad6: 'u32',
  pad7: 'u32',
  pad8: 'u32',
  pad9: 'u32',
  pad10: 'u32',
  pad11: 'u32',
} as const;

/** struct old_timex32. */
const narrow = guestStruct({
  modes: 'u32',
  offset: 'i32',
  freq: 'i32',
  maxerror: 'i32',
  esterror: 'i32',
  status: 'i32',
  constant: 'i32',
  precision: 'i32',
  tolerance: 'i32',
  seconds: 'i32',
  microseconds: 'i32',
  tick: 'i32',
  ppsfreq: 'i32',
  jitter: 'i32',
  shift: 'i32',
  stabil: 'i32',
  jitcnt: 'i32',
  calcnt: 'i32',
  errcnt: 'i32',
  stbcnt: 'i32',
  tai: 'i32',
  ...padding,
});

/** struct __kernel_timex: longs are 64 bits. */
const wide = guestStruct({
  modes: 'u32',
  pad0: 'u32',
  offset: 'i64',
  freq: 'i64',
  maxerror: 'i64',
  esterror: 'i64',
  status: 'i32',
  padStatus: 'u32',
  constant: 'i64',
  precision: 'i64',
  tolerance: 'i64',
  seconds: 'i64',
  microseconds: 'i64',
  tick: 'i64',
  ppsfreq: 'i64',
  jitter: 'i64',
  shift: 'i32',
  padShift: 'u32',
  stabil: 'i64',
  jitcnt: 'i64',
  calcnt: 'i64',
  errcnt: 'i64',
  stbcnt: 'i64',
  tai: 'i32',
  ...padding,
});

/** What a clock is like that nobody disciplines (ntp_clear): microseconds, scaled ppm. */
const undisciplined = { maxerror: 16_000_000, esterror: 16_000_000, constant: 2, precision: 1 } as const;
const tolerance = 32_768_000;
/** USER_HZ ticks of a hundredth of a second. */
const tick = 10_000;
const STA_UNSYNC = 0x40;
/** The state of a clock that is not synchronized. */
const TIME_ERROR = 5;

/** The clock's state; to change it needs a privilege over the host. */
function adjtime({ memory }: Task, at: number, long: boolean): number {
  if (memory.load32(at) !== 0) throw new Errno('EPERM');
  const now = realTime();
  const seconds = Math.floor(now / 1000);
  const microseconds = Math.floor((now - seconds * 1000) * 1000);
  const status = STA_UNSYNC;
  if (!long) narrow.store(memory, at, { ...undisciplined, tolerance, tick, seconds, microseconds, status });
  else {
    const { maxerror, esterror, constant, precision } = undisciplined;
    const longs = { maxerror, esterror, constant, precision, tolerance, tick, seconds, microseconds };
    const values = Object.fromEntries(Object.entries(longs).map(([name, value]) => [name, BigInt(value)]));
    wide.store(memory, at, { ...values, status });
  }
  return TIME_ERROR;
}

const printed = structOut((memory: GuestMemory, at) => `{modes=${hex(memory.load32(at))}, ...}`);
const missing = 'changes need a privilege over the host: EPERM';

const clockRow = (long: boolean): Row =>
  partial(
    missing,
    row({ clock: oneOf(Clock), state: printed }, (task, { clock, state }) => {
      if (clock !== Clock.CLOCK_REALTIME) throw new Errno(clock > 15 ? 'EINVAL' : 'EOPNOTSUPP');
      return adjtime(task, state, long);
    }),
  );

/** kernel/time/ntp.c. */
export const adjtimeCalls: Rows = {
  adjtimex: partial(
    missing,
    row({ state: printed }, (task, { state }) => adjtime(task, state, false)),
  ),
  clock_adjtime: clockRow(false),
  clock_adjtime64: clockRow(true),
};
