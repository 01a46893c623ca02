import { test } from 'vitest';
import { fuzzSyscalls } from './support/syscall-fuzz.ts';

/** A slice of what `node scripts/fuzz-syscalls.ts` does for longer. */
const calls = 6000;
const seed = Number(process.env.FUZZ_SEED ?? 20240607);

test.each([
  { arch: 'arm', strace: false, confined: false },
  { arch: 'arm', strace: true, confined: true },
  { arch: 'i386', strace: false, confined: true },
] as const)(`${calls} random calls are answered with a number: %o`, { timeout: 120_000 }, (options) =>
  fuzzSyscalls(seed, calls, options),
);
