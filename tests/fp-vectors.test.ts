import { describe, expect, test } from 'vitest';
import { makeSides } from './random/differ.ts';
import { compareVectors } from './random/fp-vectors.ts';
import { oracleOrReason } from './support/oracle.ts';
import type { Tier } from './support/run.ts';

const oracle = await oracleOrReason();
const reason = 'reason' in oracle ? oracle.reason : undefined;

// A thin slice of each: the script takes all of them.
describe.skipIf(reason !== undefined)(
  `operand classes × rounding modes × FZ × DN as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    test.each<[Tier, boolean]>([
      ['interp', true],
      ['interp', false],
      ['region', false],
    ])(
      'tier %s, flags looked at: %s',
      async (tier, fpFlags) => {
        const of = tier === 'region' ? 19_997 : 4_999;
        const run = await compareVectors(await makeSides(tier), 11, of, { fpFlags, handlers: true });
        expect(run.differences).toEqual([]);
        expect(run.tried).toBeGreaterThan(300);
      },
      120_000,
    );
  },
);
