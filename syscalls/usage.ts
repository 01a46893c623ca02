import type { GuestMemory } from '#accel/guest-memory.ts';
import type { CpuTime } from '#linux-user/cpu-usage.ts';
import { guestStruct } from './guest-struct.ts';

const rusage = guestStruct({
  utimeSec: 'i32',
  utimeUsec: 'i32',
  stimeSec: 'i32',
  stimeUsec: 'i32',
  maxrss: 'i32',
  ixrss: 'i32',
  idrss: 'i32',
  isrss: 'i32',
  minflt: 'i32',
  majflt: 'i32',
  nswap: 'i32',
  inblock: 'i32',
  oublock: 'i32',
  msgsnd: 'i32',
  msgrcv: 'i32',
  nsignals: 'i32',
  nvcsw: 'i32',
  nivcsw: 'i32',
});

/** Fields of struct rusage besides the times: what only tsemu as a whole knows. */
export type UsageCounts = Partial<
  Omit<ReturnType<typeof rusage.load>, 'utimeSec' | 'utimeUsec' | 'stimeSec' | 'stimeUsec'>
>;

/** Writes a struct rusage; EFAULT. */
export function storeUsage(memory: GuestMemory, at: number, { user, system }: CpuTime, counts: UsageCounts = {}): void {
  rusage.store(memory, at, {
    utimeSec: Math.floor(user / 1e6),
    utimeUsec: Math.floor(user % 1e6),
    stimeSec: Math.floor(system / 1e6),
    stimeUsec: Math.floor(system % 1e6),
    ...counts,
  });
}

/** `{ru_utime={tv_sec=0, tv_usec=1}, ru_stime={…}, ...}` */
export function printUsage(memory: GuestMemory, at: number): string {
  const { utimeSec, utimeUsec, stimeSec, stimeUsec } = rusage.load(memory, at);
  return `{ru_utime={tv_sec=${utimeSec}, tv_usec=${utimeUsec}}, ru_stime={tv_sec=${stimeSec}, tv_usec=${stimeUsec}}, ...}`;
}
