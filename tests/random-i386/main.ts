/**
 * Random i386 instruction sequences, tsemu against the host, which must be an x86 one that runs 32-bit programs:
 *
 *     node tests/random-i386/main.ts --seed 1 --count 10000 --tier auto
 *
 * --tier auto|interp|region     --protection auto|pages|checks     --length N pieces at most in a sequence
 * --states N states that each is run from   --no-handlers lets faults end the process
 * --no-fp-flags runs SSE as in programs that do not ask for the flags of MXCSR
 * --hot N: in tier region, code is interpreted N − 1 times first; of N states and more the others run compiled
 * --class integer|x87|simd|sse
 * --limit N differences at most     --only REGEXP rows by name     --coverage prints how often each row was tried
 */
import { parseArgs } from 'node:util';
import { rows } from '#target/i386/rows.ts';
import { minimise, summary } from '../random/campaign.ts';
import type { Protection, Tier } from '../support/run.ts';
import { type DifferOptions, describeFinding, differ, i386Contest, tsemuRig } from './differ.ts';
import { classes } from './generate.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
    length: { type: 'string', default: '6' },
    states: { type: 'string', default: '1' },
    'no-fp-flags': { type: 'boolean', default: false },
    'no-handlers': { type: 'boolean', default: false },
    limit: { type: 'string', default: '20' },
    tier: { type: 'string', default: 'auto' },
    hot: { type: 'string', default: '1' },
    only: { type: 'string' },
    class: { type: 'string', default: 'integer' },
    protection: { type: 'string', default: 'auto' },
    coverage: { type: 'boolean', default: false },
  },
});

const ours = tsemuRig(values.tier as Tier, values.protection as Protection, Number(values.hot));
const only = values.only === undefined ? undefined : new RegExp(values.only, 'i');
const ofClass = classes[values.class];
if (ofClass === undefined) throw new Error(`no class ${values.class}: ${Object.keys(classes).join(', ')}`);
const limit = Number(values.limit);
const options: DifferOptions = {
  seed: Number(values.seed),
  count: Number(values.count),
  length: Number(values.length),
  states: Number(values.states),
  limit,
  rows: rows.filter((row) => ofClass(row) && (only?.test(row.name) ?? true)),
  fx: values.class !== 'integer',
  fpFlags: !values['no-fp-flags'],
  handlers: !values['no-handlers'],
  onProgress: ({ sequences, findings }) => process.stderr.write(`${sequences} tried, ${findings.length} differ\n`),
};
const tally = await differ(ours, options);
for (const finding of tally.findings.slice(0, limit)) {
  process.stdout.write(`${describeFinding(await minimise(i386Contest(ours, options), finding))}\n\n`);
}
process.stdout.write(`${values.class}: ${summary(tally)}\n`);
if (values.coverage) {
  for (const [name, count] of [...tally.byName].sort((a, b) => a[1] - b[1])) {
    process.stdout.write(`${String(count).padStart(8)} ${name}\n`);
  }
}
process.exitCode = tally.findings.length === 0 ? 0 : 1;
