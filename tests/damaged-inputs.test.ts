import { test } from 'vitest';
import { damagedRound } from './support/damaged-inputs.ts';

// `node scripts/fuzz-machine.ts` goes on from here.
test('damaged kernels, trees, images, states and options are refused in one line', { timeout: 120_000 }, async () => {
  for (let seed = 1; seed <= 5; seed++) await damagedRound(seed);
});
