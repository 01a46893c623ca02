/**
 * Random instruction sequences, tsemu against qemu-arm:
 *
 *     node tests/random/main.ts --class a32 --seed 1 --count 10000 --tier auto
 *
 * --class a32|t32|vfp|neon|t32-vfp|t32-neon|all   --tier auto|interp|region|oracle (oracle: qemu-arm against itself)
 * --length N pieces at most in a sequence         --states N states that each is run from
 * --limit N differences at most                   --only REGEXP rows by name
 * --no-fp-flags ignores cumulative FPSCR flags
 * --cpu NAME the oracle's CPU model              --protection auto|pages|checks
 * --no-handlers lets faults end the process: code that relies on page protection runs only then
 * --hot N: in tier region, code is interpreted N − 1 times first; of N states and more the others run compiled
 * --coverage prints how often each row was tried
 */
import { parseArgs } from 'node:util';
import type { Protection, Tier } from '../support/run.ts';
import { minimise, summary } from './campaign.ts';
import { describeDifference } from './compare.ts';
import { armContest, differ, makeSides } from './differ.ts';
import { type InsnClass, insnClasses, loadRows } from './rows.ts';

const { values } = parseArgs({
  options: {
    class: { type: 'string', default: 'all' },
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000' },
    length: { type: 'string', default: '6' },
    states: { type: 'string', default: '1' },
    limit: { type: 'string', default: '20' },
    tier: { type: 'string', default: 'auto' },
    hot: { type: 'string', default: '1' },
    only: { type: 'string' },
    'no-fp-flags': { type: 'boolean', default: false },
    'no-handlers': { type: 'boolean', default: false },
    cpu: { type: 'string' },
    protection: { type: 'string', default: 'auto' },
    coverage: { type: 'boolean', default: false },
  },
});

const classes = values.class === 'all' ? insnClasses : insnClasses.filter((name) => name === values.class);
if (classes.length === 0) throw new Error(`no instruction class ${values.class}`);
const { cpu } = values;
const protection = values.protection as Protection;
const sides = await makeSides(values.tier as Tier | 'oracle', {
  protection,
  hot: Number(values.hot),
  ...(cpu !== undefined && { cpu }),
});
let different = 0;

async function tryClass(insnClass: InsnClass): Promise<void> {
  const set = await loadRows(insnClass);
  const only = values.only === undefined ? undefined : new RegExp(values.only, 'i');
  const chosen = only ? { ...set, candidates: set.candidates.filter(({ name }) => only.test(name)) } : set;
  if (chosen.candidates.length === 0) {
    process.stdout.write(`${insnClass}: no rows\n`);
    return;
  }
  const options = {
    seed: Number(values.seed),
    count: Number(values.count),
    length: Number(values.length),
    states: Number(values.states),
    limit: Number(values.limit),
    fpFlags: !values['no-fp-flags'],
    handlers: !values['no-handlers'],
    onProgress: ({ sequences, findings }: { sequences: number; findings: readonly unknown[] }) =>
      process.stderr.write(`${insnClass}: ${sequences} tried, ${findings.length} differ\n`),
  };
  const tally = await differ(chosen, sides, options);
  for (const finding of tally.findings.slice(0, options.limit)) {
    const small = await minimise(armContest(sides, options), finding);
    process.stdout.write(`${describeDifference(small, options)}\n\n`);
  }
  different += tally.findings.length;
  process.stdout.write(`${insnClass}: ${summary(tally)}\n`);
  if (values.coverage) {
    for (const [name, count] of [...tally.byName].sort((a, b) => a[1] - b[1]))
      process.stdout.write(`${String(count).padStart(8)} ${name}\n`);
  }
}

for (const insnClass of classes) await tryClass(insnClass);
process.exitCode = different === 0 ? 0 : 1;
