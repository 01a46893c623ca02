import { describe, expect, test } from 'vitest';
import { describeDifference } from './random/compare.ts';
import { differ, makeSides, minimise } from './random/differ.ts';
import { type InsnClass, insnClasses, loadRows } from './random/rows.ts';
import { oracleOrReason } from './support/oracle.ts';
import type { Tier } from './support/run.ts';

const oracle = await oracleOrReason();
const reason = 'reason' in oracle ? oracle.reason : undefined;
// Sequences of three to four instructions: some 30,000 in all. Every sequence of the region tier is a module of its own.
const counts: [Tier, number][] = [
  ['interp', 600],
  ['auto', 200],
  ['region', 300],
];
const SHOWN = 5;

async function agree(insnClass: InsnClass, tier: Tier, count: number, fpFlags: boolean): Promise<void> {
  const set = await loadRows(insnClass);
  expect(set.candidates.length).toBeGreaterThan(0);
  const sides = await makeSides(tier);
  const options = { seed: 1000, count, length: 6, limit: count, fpFlags };
  const tally = await differ(set, sides, options);
  const reports: string[] = [];
  for (const finding of tally.findings.slice(0, SHOWN)) {
    const small = await minimise(finding, sides, options);
    reports.push(describeDifference(small.sequence, small.differences, options));
  }
  expect(tally.findings.length, reports.join('\n\n')).toBe(0);
}

describe.skipIf(reason !== undefined)(
  `random instructions as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    describe.each(insnClasses)('%s', (insnClass) => {
      test.each(counts)('tier %s', (tier, count) => agree(insnClass, tier, count, true), 300_000);
      if (!/vfp|neon/.test(insnClass)) return;
      // Programs that never look at the flags of FPSCR run other code.
      test.each(counts)(
        'tier %s, flags of FPSCR not looked at',
        (tier, count) => agree(insnClass, tier, count, false),
        300_000,
      );
    });
  },
);
