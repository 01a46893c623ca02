import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { rows } from '#target/i386/rows.ts';
import { describeFinding, differ, minimise, tsemuRig } from './random-i386/differ.ts';
import { classes } from './random-i386/generate.ts';
import { rigProgram } from './random-i386/rig.ts';
import { type Tier, tsemuIsBuilt } from './support/run.ts';

/** The oracle is the host: an x86 one whose kernel runs 32-bit programs. */
const hostRuns = spawnSync(rigProgram, { input: '' }).status === 0;
const reason = !hostRuns ? 'the host runs no i386 programs' : tsemuIsBuilt() ? undefined : 'not built';

// Sequences of three to four instructions: some 7000 in all. Every sequence of the region tier is a module of its own.
const counts: [string, Tier, number][] = [
  ['integer', 'interp', 1000],
  ['integer', 'auto', 300],
  ['integer', 'region', 250],
  ['x87', 'interp', 400],
  ['x87', 'region', 60],
  ['simd', 'interp', 300],
  ['simd', 'region', 60],
  ['sse', 'interp', 400],
  ['sse', 'region', 60],
];
const shown = 5;

describe.skipIf(reason !== undefined)(
  `random i386 instructions as on the host${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    test.each(counts)(
      '%s, tier %s',
      async (name, tier, count) => {
        const ours = tsemuRig(tier);
        const tally = await differ(ours, {
          seed: 500_000,
          count,
          length: name === 'integer' ? 6 : 3,
          limit: count,
          rows: rows.filter(classes[name]!),
          fx: name !== 'integer',
        });
        expect(tally.deaths).toBeLessThan(count / 100);
        expect(tally.byName.size).toBeGreaterThan(50);
        const reports: string[] = [];
        for (const finding of tally.findings.slice(0, shown)) {
          reports.push(describeFinding(await minimise(ours, finding)));
        }
        expect(tally.findings.length, reports.join('\n\n')).toBe(0);
      },
      300_000,
    );
  },
);
