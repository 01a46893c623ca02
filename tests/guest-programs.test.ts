import { describe, expect, test } from 'vitest';
import { buildOf, fits, type GuestProgram, guestPrograms, variants } from './support/guest-programs.ts';
import { oracleOrReason, runQemu } from './support/oracle.ts';
import { type Outcome, plainEnvironment, runTsemu, type Tier } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';
import { describeTree, freshWorkdir } from './support/workdir.ts';

const needs = [
  await oracleOrReason(),
  await toolchainOrReason('arm-linux-gnueabihf'),
  await toolchainOrReason('arm-linux-gnueabi'),
];
const reason = needs.flatMap((need) => ('reason' in need ? [need.reason] : []))[0];

const tiers: Tier[] = ['interp', 'region', 'auto'];
const env = { ...plainEnvironment, TSEMU_TEST: 'set by the test' };

type Runner = (args: string[], options: { cwd: string; env: Record<string, string> }) => Promise<Outcome>;

async function observe(program: GuestProgram, path: string, workName: string, runner: Runner): Promise<object> {
  const cwd = freshWorkdir(workName, program.files ?? {});
  const outcome = await runner([path, ...(program.args ?? [])], { cwd, env });
  let stdout = outcome.stdout.toString('latin1');
  for (const [wrong, right] of program.oracleErrors ?? []) stdout = stdout.replace(`${wrong}\n`, `${right}\n`);
  // A fatal signal is announced on stderr, by each in its own words.
  const stderr = outcome.signal === null ? outcome.stderr.toString('latin1') : '';
  return { status: outcome.status, timedOut: outcome.timedOut, stdout, stderr, tree: describeTree(cwd) };
}

describe.skipIf(reason !== undefined)(
  `C and C++ programs as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    describe.each(variants)('$name', (variant) => {
      test.each(guestPrograms.filter((program) => fits(program, variant)))(
        '$name',
        async (program) => {
          const path = await buildGuest(await buildOf(program, variant));
          const workName = `guest-${program.name}-${variant.name.replace(/\W+/g, '-')}`;
          const expected = await observe(program, path, workName, runQemu);
          for (const tier of tiers) {
            const got = await observe(program, path, workName, (args, options) => runTsemu(args, { ...options, tier }));
            expect(got, `tier ${tier} of ${path}`).toEqual(expected);
          }
        },
        300_000,
      );
    });
  },
);
