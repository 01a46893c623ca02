/**
 * The host's monotonic clock (Linux: CLOCK_MONOTONIC), in milliseconds. Not `performance.now()`: Node loads that
 * object when it is first used, for 5 ms of CPU.
 */
export function monotonic(): number {
  // Taking the array apart by its iterator costs a quarter of the call.
  const time = process.hrtime();
  return time[0] * 1e3 + time[1] / 1e6;
}

/** Longest time of a Node timer, milliseconds. */
const longestDelay = 2 ** 31 - 1;

/** What setTimeout takes for `left` milliseconds: Node warns of negative times, and takes long ones for none. */
export const timerDelay = (left: number): number => Math.max(0, Math.min(Math.ceil(left), longestDelay));
