// Makes random system calls in-process, in rounds of a fresh rig each:
//   node scripts/fuzz-syscalls.ts [--seed N] [--count CALLS] [--round CALLS] [--strace] [--arch arm|i386] [--root]
// The first call that throws ends it, named with its arguments; `--seed` of that round alone repeats it.
// As the host's root without --root it could change any file: names of files come back in buffers that calls get.
import { parseArgs } from 'node:util';
import type { SyscallArch } from '#syscalls/table.ts';
import { fuzzSyscalls } from '#tests/support/syscall-fuzz.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    count: { type: 'string', default: '1000000' },
    round: { type: 'string', default: '20000' },
    strace: { type: 'boolean', default: false },
    arch: { type: 'string', default: 'arm' },
    root: { type: 'boolean', default: false },
  },
});
const count = Number(values.count);
const round = Number(values.round);
const options = { strace: values.strace, arch: values.arch as SyscallArch, confined: values.root };
let seed = Number(values.seed);
for (let done = 0; done < count; done += round, seed++) {
  try {
    await fuzzSyscalls(seed, Math.min(round, count - done), options);
  } catch (error) {
    process.stderr.write(`seed ${seed}: `);
    throw error;
  }
  process.stderr.write(`\r${done + round} calls, seed ${seed}`);
}
process.stderr.write('\n');
process.exit(0);
