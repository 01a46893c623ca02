import { describe, expect, test } from 'vitest';
import { describeDifference } from './random/compare.ts';
import { differ, makeSides, minimise } from './random/differ.ts';
import { insnClasses, loadRows } from './random/rows.ts';
import { oracleOrReason } from './support/oracle.ts';
import type { Tier } from './support/run.ts';

const oracle = await oracleOrReason();
const reason = 'reason' in oracle ? oracle.reason : undefined;
// Sequences of three to four instructions: some 20,000 in all. Every sequence of the region tier is a module of its own.
const counts: [Tier, number][] = [
  ['interp', 600],
  ['auto', 200],
  ['region', 100],
];
const SHOWN = 5;

describe.skipIf(reason !== undefined)(
  `random instructions as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    describe.each(insnClasses)('%s', (insnClass) => {
      test.each(counts)(
        'tier %s',
        async (tier, count) => {
          const set = await loadRows(insnClass);
          expect(set.candidates.length).toBeGreaterThan(0);
          const sides = await makeSides(tier);
          const options = { seed: 1000, count, length: 6, limit: count, fpFlags: true };
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
