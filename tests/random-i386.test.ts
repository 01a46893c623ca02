import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { rows } from '#target/i386/rows.ts';
import { compareAll, minimise } from './random/campaign.ts';
import { type DifferOptions, describeFinding, differ, i386Contest, tsemuRig } from './random-i386/differ.ts';
import { classes } from './random-i386/generate.ts';
import { rigProgram } from './random-i386/rig.ts';
import { type Tier, tsemuIsBuilt } from './support/run.ts';

/** The oracle is the host: an x86 one whose kernel runs 32-bit programs. */
const hostRuns = spawnSync(rigProgram, { input: '' }).status === 0;
const reason = !hostRuns ? 'the host runs no i386 programs' : tsemuIsBuilt() ? undefined : 'not built';

// Sequences of three to four instructions, each from several states: some 40,000 in all. Every sequence of the region
// tier is a module of its own, and is interpreted once before.
const counts: [string, Tier, number, fpFlags?: boolean][] = [
  ['integer', 'interp', 500],
  ['integer', 'auto', 150],
  ['integer', 'region', 150],
  ['x87', 'interp', 200],
  ['x87', 'region', 40],
  ['simd', 'interp', 150],
  ['simd', 'region', 50],
  ['sse', 'interp', 150],
  ['sse', 'interp', 150, false],
  ['sse', 'region', 50, false],
];
const states = 8;
const shown = 5;

describe.skipIf(reason !== undefined)(
  `random i386 instructions as on the host${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    test.each(counts)(
      '%s, tier %s, %s sequences, flags of MXCSR asked for: %s',
      async (name, tier, count, fpFlags = true) => {
        const ours = tsemuRig(tier, 'auto', 2);
        const options: DifferOptions = {
          seed: 500_000,
          count,
          length: name === 'integer' ? 6 : 3,
          states,
          fpFlags,
          limit: count,
          rows: rows.filter(classes[name]!),
          fx: name !== 'integer',
        };
        const tally = await differ(ours, options);
        expect(tally.deaths).toBeLessThan(count / 100);
        expect(tally.byName.size).toBeGreaterThan(40);
        const reports: string[] = [];
        for (const finding of tally.findings.slice(0, shown)) {
          reports.push(describeFinding(await minimise(i386Contest(ours, options), finding)));
        }
        expect(tally.findings.length, reports.join('\n\n')).toBe(0);
      },
      300_000,
    );
  },
);

/** What random sequences have found: code, the control word, tags (a bit for each register in use), and ST(0), ST(1). */
const found: readonly (readonly [what: string, code: string, control: number, tags: number, st: readonly bigint[]])[] =
  [
    ['FST m32, underflow not masked', 'd9 97 00 02 00 00', 0x36f, 0xc0, [0x3f00_8765_4321_1234_5678n]],
    ['FST m32, overflow not masked', 'd9 97 00 02 00 00', 0x377, 0xc0, [0x4f00_8765_4321_1234_5678n]],
    ['FSUB, denormal not masked', 'd8 e1', 0x37d, 0xc0, [0x0000_0765_4321_1234_5678n, 0x3fff_8000_0000_0000_0001n]],
    ['FPREM1, denormal not masked', 'd9 f5', 0x37d, 0xc0, [0x0000_0765_4321_1234_5678n, 0x3fff_8000_0000_0000_0001n]],
    ['FSINCOS out of range, no room', 'd9 fb', 0x37f, 0xff, [0x7ffe_8000_0000_0000_0000n]],
    ['FPTAN out of range, no room', 'd9 f2', 0x37e, 0xff, [0x7ffe_8000_0000_0000_0000n]],
  ];

const scratchMiddle = 0x2010_0800;

test.skipIf(reason !== undefined).each(found)('%s', async (name, code, control, tags, st) => {
  const fx = new Uint8Array(512);
  const view = new DataView(fx.buffer);
  view.setUint16(0, control, true);
  view.setUint16(2, (6 << 11) | 0x4700, true);
  fx[4] = tags;
  view.setUint32(24, 0x1f80, true);
  for (const [n, value] of st.entries()) {
    view.setBigUint64(32 + 16 * n, BigInt.asUintN(64, value), true);
    view.setUint16(40 + 16 * n, Number(value >> 64n), true);
  }
  const row = rows[0]!;
  const bytes = code.split(' ').map((byte) => parseInt(byte, 16));
  const registers = { r: [0, 0, 0, 0, scratchMiddle, 0, 0, scratchMiddle], eflags: 0x202, fx };
  const trial = { seed: 0, pieces: [[{ row, name, bytes }]] as const, scratchSeed: 1, states: [registers] };
  for (const tier of ['interp', 'region'] as const) {
    const findings = await compareAll(i386Contest(tsemuRig(tier), { fx: true }), [trial]);
    expect(findings.map(describeFinding)).toEqual([]);
  }
});
