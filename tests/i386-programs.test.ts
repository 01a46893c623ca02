import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repoRoot } from './support/cache.ts';
import { plainEnvironment, run, type Tier, tsemuCommand, tsemuIsBuilt } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

/*
 * What only an i386 program can ask of its CPU and kernel, and what the kernel does differently for one. The expected
 * output, NAME.out beside the source, is that of an x86 host.
 */

const triple = 'i686-linux-gnu';
const found = await toolchainOrReason(triple);
const reason = 'reason' in found ? found.reason : tsemuIsBuilt() ? undefined : 'not built';

const programs: readonly (readonly [name: string, tiers: readonly Tier[]])[] = [
  ['i386/cpu', ['interp', 'auto']],
  ['i386/kernel', ['auto']],
  ['i386/mxcsr', ['interp', 'region']],
  ['c/ptrace', ['auto']],
  ['c/aliases', ['auto']],
  ['c/clone-flags', ['auto']],
];

const flags = [
  '-O1',
  '-w',
  '-D_GNU_SOURCE',
  '-static',
  '-no-pie',
  '-fno-stack-protector',
  '-fno-omit-frame-pointer',
  '-msse2',
  '-pthread',
];

describe.skipIf(reason !== undefined)(`i386 programs${reason ? ` (skipped: ${reason})` : ''}`, () => {
  describe.each(programs)('%s', (name, tiers) => {
    test.each(tiers)(
      'tier %s',
      async (tier) => {
        const source = join(repoRoot, 'fixtures', `${name}.c`);
        const program = await buildGuest({ triple, sources: [source], flags, libraries: ['-lm'] });
        const cwd = freshWorkdir(`i386-${name.replace('/', '-')}-${tier}`, {});
        const [command, args] = tsemuCommand([program], tier, 'auto', 'tsemu-i386');
        const outcome = await run(command, args, { cwd, env: plainEnvironment, timeout: 100_000 });
        expect(outcome.stdout.toString()).toBe(readFileSync(source.replace(/c$/, 'out'), 'utf8'));
        expect(outcome.status).toBe(0);
      },
      110_000,
    );
  });
});
