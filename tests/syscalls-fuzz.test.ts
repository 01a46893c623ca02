import { test } from 'vitest';
import { fuzzSyscalls } from './support/syscall-fuzz.ts';

/** A slice of what `node scripts/fuzz-syscalls.ts` does for longer. */
const calls = 6000;
const seed = Number(process.env.FUZZ_SEED ?? 20240607);

test.each([false, true])(
  `${calls} random calls are answered with a number (strace %s)`,
  { timeout: 120_000 },
  (strace) => fuzzSyscalls(seed, calls, strace),
);
