import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import type { StructPrinter } from './arguments.ts';
import { structIn, structOut } from './arguments.ts';

/** A time as the guest gives it: not checked. `seconds` is exact to 2^53. */
export interface Timespec {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Reads a timespec of 32-bit or (`wide`) 64-bit words; the upper half of wide nanoseconds is padding. EFAULT. */
export function loadTimespec(memory: GuestMemory, address: number, wide: boolean): Timespec {
  if (!wide) {
    memory.require(address, 8, Access.read);
    return { seconds: memory.load32(address) | 0, nanoseconds: memory.load32(address + 4) | 0 };
  }
  memory.require(address, 16, Access.read);
  return {
    seconds: (memory.load32(address + 4) | 0) * 2 ** 32 + memory.load32(address),
    nanoseconds: memory.load32(address + 8) | 0,
  };
}

/** Reads a timeval (32-bit words) as a timespec; EINVAL for microseconds out of range. */
export function loadTimeval(memory: GuestMemory, address: number): Timespec {
  const { seconds, nanoseconds: micros } = loadTimespec(memory, address, false);
  if (micros < 0 || micros > 999_999) throw new Errno('EINVAL');
  return { seconds, nanoseconds: micros * 1000 };
}

/** Milliseconds of a length of time; EINVAL for one that is negative or has too many nanoseconds. */
export function loadDuration(memory: GuestMemory, address: number, wide: boolean): number {
  const { seconds, nanoseconds } = loadTimespec(memory, address, wide);
  if (seconds < 0 || nanoseconds < 0 || nanoseconds > 999_999_999) throw new Errno('EINVAL');
  return seconds * 1000 + nanoseconds / 1e6;
}

/** Writes seconds and nanoseconds; a 32-bit word of seconds takes the low half. EFAULT. */
export function storeTimespec(
  memory: GuestMemory,
  address: number,
  seconds: number,
  nanoseconds: number,
  wide: boolean,
): void {
  if (!wide) {
    memory.storePair(address, seconds, nanoseconds);
    return;
  }
  memory.require(address, 16, Access.write);
  memory.storePair(address, seconds, Math.floor(seconds / 2 ** 32));
  memory.storePair(address + 8, nanoseconds, 0);
}

/** Writes milliseconds as a timespec. */
export function storeMilliseconds(memory: GuestMemory, address: number, ms: number, wide: boolean): void {
  const seconds = Math.floor(ms / 1000);
  storeTimespec(memory, address, seconds, Math.floor((ms - seconds * 1000) * 1e6), wide);
}

const printOne = (memory: GuestMemory, address: number, wide: boolean): string => {
  const { seconds, nanoseconds } = loadTimespec(memory, address, wide);
  return `{tv_sec=${seconds}, tv_nsec=${nanoseconds}}`;
};

/** Two of them, as utimensat takes. */
export const printTimespecs =
  (bytes: 8 | 16): StructPrinter =>
  (memory, address) =>
    `[${printOne(memory, address, bytes === 16)}, ${printOne(memory, address + bytes, bytes === 16)}]`;

export const timespecIn = structIn((memory, address) => printOne(memory, address, false));
export const timespecOut = structOut((memory, address) => printOne(memory, address, false));
export const wideTimespecIn = structIn((memory, address) => printOne(memory, address, true));
export const wideTimespecOut = structOut((memory, address) => printOne(memory, address, true));

const printTimeval: StructPrinter = (memory, address) => {
  const { seconds, nanoseconds } = loadTimespec(memory, address, false);
  return `{tv_sec=${seconds}, tv_usec=${nanoseconds}}`;
};
export const timevalIn = structIn(printTimeval);
export const timevalOut = structOut(printTimeval);

const printInterval: StructPrinter = (memory, address, call) =>
  `{it_interval=${printTimeval(memory, address, call)}, it_value=${printTimeval(memory, address + 8, call)}}`;
export const itimervalIn = structIn(printInterval);
export const itimervalOut = structOut(printInterval);
