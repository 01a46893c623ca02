/**
 * Random i386 instruction sequences, tsemu against the host, which must be an x86 one that runs 32-bit programs:
 *
 *     node tests/random-i386/main.ts --seed 1 --count 10000 --tier auto
 *
 * --tier auto|interp|region     --protection auto|pages|checks     --length N pieces at most in a sequence
 * --class integer|x87|simd|sse
 * --limit N differences at most     --only REGEXP rows by name     --coverage prints how often each row was tried
 */
import { parseArgs } from 'node:util';
import { rows } from '#target/i386/rows.ts';
import type { Protection, Tier } from '../support/run.ts';
import { describeFinding, differ, minimise, tsemuRig } from './differ.ts';
import { classes } from './generate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
    length: { type: 'string', default: '6' },
    limit: { type: 'string', default: '20' },
    tier: { type: 'string', default: 'auto' },
    only: { type: 'string' },
    class: { type: 'string', default: 'integer' },
    protection: { type: 'string', default: 'auto' },
    coverage: { type: 'boolean', default: false },
  },
});

const ours = tsemuRig(values.tier as Tier, values.protection as Protection);
const only = values.only === undefined ? undefined : new RegExp(values.only, 'i');
const ofClass = classes[values.class];
if (ofClass === undefined) throw new Error(`no class ${values.class}: ${Object.keys(classes).join(', ')}`);
const limit = Number(values.limit);
const tally = await differ(ours, {
  seed: Number(values.seed),
  count: Number(values.count),
  length: Number(values.length),
  limit,
  rows: rows.filter((row) => ofClass(row) && (only?.test(row.name) ?? true)),
  fx: values.class !== 'integer',
  onProgress: ({ sequences, findings }) => process.stderr.write(`${sequences} tried, ${findings.length} differ\n`),
});
for (const finding of tally.findings.slice(0, limit)) {
  process.stdout.write(`${describeFinding(await minimise(ours, finding))}\n\n`);
}
const { sequences, instructions, faults, deaths, byName } = tally;
process.stdout.write(
  `${sequences} sequences, ${instructions} instructions of ${byName.size} names, ${faults} faults, ${deaths} not compared, ${tally.findings.length} differ\n`,
);
if (values.coverage) {
  for (const [name, count] of [...byName].sort((a, b) => a[1] - b[1])) {
    process.stdout.write(`${String(count).padStart(8)} ${name}\n`);
  }
}
process.exitCode = tally.findings.length === 0 ? 0 : 1;
