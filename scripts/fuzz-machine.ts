// Starts machines with damaged kernels, device trees, disk images, saved states and options, in-process:
//   node scripts/fuzz-machine.ts [--seed N] [--count ROUNDS]
// The first round that throws what is no line for the user ends it; `--seed` of that round alone repeats it.
import { parseArgs } from 'node:util';
import { damagedRound } from '#tests/support/damaged-inputs.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, count: { type: 'string', default: '2000' } },
});
const first = Number(values.seed);
for (let seed = first; seed < first + Number(values.count); seed++) {
  process.stderr.write(`\rseed ${seed}`);
  try {
    await damagedRound(seed);
  } catch (error) {
    process.stderr.write('\n');
    throw error;
  }
}
process.stderr.write('\n');
process.exit(0);
