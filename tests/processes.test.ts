import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cachePath, contentKey, makeOnce, repoRoot } from './support/cache.ts';
import { onPath } from './support/debian.ts';
import { buildOf, type GuestProgram, type Variant, variants } from './support/guest-programs.ts';
import { type Outcome, plainEnvironment, run, runTsemu, type Tier } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

/*
 * Programs about processes and threads. What they print on Linux is beside their sources (`.out`), since qemu-arm gets
 * much of it wrong: vfork is fork there, stops are not seen, clone knows few flags, a thread's exec loses the process.
 */

const names = [
  'processes',
  'clone-flags',
  'threads',
  'shared-memory',
  'aliases',
  'ipc',
  'timers',
  'privileges',
  'async-io',
  'mapped-files',
];
const needs = [await toolchainOrReason('arm-linux-gnueabihf'), await toolchainOrReason('arm-linux-gnueabi')];
const reason = needs.flatMap((need) => ('reason' in need ? [need.reason] : []))[0];

const source = (name: string): string => join(repoRoot, 'fixtures/c', `${name}.c`);
const expected = (name: string): string => readFileSync(join(repoRoot, 'fixtures/c', `${name}.out`), 'utf8');
const guest = (name: string): GuestProgram => ({ name, source: source(name) });

/** The variants that differ in what matters here: A32 and Thumb, glibc and musl, both atomics of old CPUs and new. */
const chosen = ['hard arm -O2 static', 'hard thumb -O2 static-pie', 'soft arm -O0 static'];
const used: Variant[] = variants.filter(({ name }) => chosen.includes(name));

const visible = ({ status, stdout, stderr }: Outcome): object => ({
  status,
  stdout: stdout.toString(),
  stderr: stderr.toString(),
});

describe.skipIf(reason !== undefined)(`processes and threads${reason ? ` (skipped: ${reason})` : ''}`, () => {
  describe.each(used)('$name', (variant) => {
    test.each(names)(
      '%s',
      async (name) => {
        const path = await buildGuest(await buildOf(guest(name), variant));
        const tiers: Tier[] = variant.name === chosen[0] ? ['auto', 'interp', 'region'] : ['auto'];
        for (const tier of tiers) {
          const cwd = freshWorkdir(`processes-${name}-${variant.name}`, {});
          const outcome = await runTsemu([path], { cwd, tier, timeout: 120_000 });
          expect(visible(outcome), `tier ${tier} of ${path}`).toEqual({
            status: 0,
            stdout: expected(name),
            stderr: '',
          });
        }
      },
      300_000,
    );
  });
});

const cc = onPath('cc');

test.skipIf(cc === undefined || process.platform !== 'linux')(
  'the host prints the same',
  // Nothing of tsemu runs here. A program has been seen to hang natively, once in some fifty runs.
  { retry: 2, timeout: 40_000 },
  async () => {
    for (const name of names) {
      const text = readFileSync(source(name));
      const path = cachePath('guests', `host-${name}-${contentKey(text)}`);
      const args = ['-O1', '-D_GNU_SOURCE', '-w', '-o', path, source(name), '-lpthread'];
      await makeOnce(path, async () => void (await run(cc!, args, { env: { ...plainEnvironment, TMPDIR: '/tmp' } })));
      const outcome = await run(path, [], { cwd: freshWorkdir(`processes-host-${name}`, {}) });
      expect(visible(outcome)).toEqual({ status: 0, stdout: expected(name), stderr: '' });
    }
  },
);
