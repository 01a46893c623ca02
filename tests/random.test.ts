import { describe, expect, test } from 'vitest';
import { describeDifference } from './random/compare.ts';
import { differ, makeSides, minimise } from './random/differ.ts';
import { insnClasses, loadRows } from './random/rows.ts';
import { oracleOrReason } from './support/oracle.ts';
import type { Tier } from './support/run.ts';

const oracle = await oracleOrReason();
const reason = 'reason' in oracle ? oracle.reason : undefined;
const tiers: Tier[] = ['interp', 'region', 'auto'];

// About three instructions each: some 20,000 in all.
const COUNT = 400;
const SHOWN = 5;

describe.skipIf(reason !== undefined)(
  `random instructions as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    describe.each(insnClasses)('%s', (insnClass) => {
      test.each(tiers)(
        'tier %s',
        async (tier) => {
          const set = await loadRows(insnClass);
          expect(set.candidates.length).toBeGreaterThan(0);
          const sides = await makeSides(tier);
          const options = { seed: 1000, count: COUNT, length: 6, limit: COUNT, fpFlags: true };
          const tally = await differ(set, sides, options);
          const reports: string[] = [];
          for (const finding of tally.findings.slice(0, SHOWN)) {
            const small = await minimise(finding, sides, options);
            reports.push(describeDifference(small.sequence, small.differences, options));
          }
          expect(tally.findings.length, reports.join('\n\n')).toBe(0);
        },
        300_000,
      );
    });
  },
);
