import { describe, expect, test } from 'vitest';
import { minimise } from './random/campaign.ts';
import { describeDifference } from './random/compare.ts';
import { armContest, differ, makeSides } from './random/differ.ts';
import { type InsnClass, insnClasses, loadRows } from './random/rows.ts';
import { oracleOrReason } from './support/oracle.ts';
import type { Protection, Tier } from './support/run.ts';

const oracle = await oracleOrReason();
const reason = 'reason' in oracle ? oracle.reason : undefined;
// Sequences of three to four instructions, each from several states: some 100,000 in all. Every sequence of the region
// tier is a module of its own, and is interpreted once before.
const counts: [Tier, number][] = [
  ['interp', 300],
  ['auto', 100],
  ['region', 150],
];
const states = 8;
const SHOWN = 5;

interface How {
  fpFlags?: boolean;
  handlers?: boolean;
  protection?: Protection;
}

async function agree(
  insnClass: InsnClass,
  tier: Tier,
  count: number,
  { fpFlags = true, handlers = true, protection = 'auto' }: How = {},
): Promise<void> {
  const set = await loadRows(insnClass);
  expect(set.candidates.length).toBeGreaterThan(0);
  const sides = await makeSides(tier, { protection, hot: 2 });
  const options = { seed: 1000, count, length: 6, states, limit: count, fpFlags, handlers };
  const tally = await differ(set, sides, options);
  const reports: string[] = [];
  for (const finding of tally.findings.slice(0, SHOWN)) {
    reports.push(describeDifference(await minimise(armContest(sides, options), finding), options));
  }
  expect(tally.findings.length, reports.join('\n\n')).toBe(0);
}

describe.skipIf(reason !== undefined)(
  `random instructions as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    describe.each(insnClasses)('%s', (insnClass) => {
      test.each(counts)('tier %s', (tier, count) => agree(insnClass, tier, count), 300_000);
      // A program that can see its faults runs code that checks: the rig must not handle them.
      test.each<Protection>(['auto', 'checks'])(
        'tier region, faults not handled, protection %s',
        (protection) => agree(insnClass, 'region', 100, { handlers: false, protection }),
        300_000,
      );
      if (!/vfp|neon/.test(insnClass)) return;
      // Programs that never look at the flags of FPSCR run other code.
      test.each(counts)(
        'tier %s, flags of FPSCR not looked at',
        (tier, count) => agree(insnClass, tier, count, { fpFlags: false }),
        300_000,
      );
    });
  },
);
