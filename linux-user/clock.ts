/**
 * The host's monotonic clock (Linux: CLOCK_MONOTONIC), in milliseconds. Not `performance.now()`: Node loads that
 * object when it is first used, for 5 ms of CPU.
 */
export function monotonic(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1e3 + nanoseconds / 1e6;
}
