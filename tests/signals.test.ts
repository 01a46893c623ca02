import { describe, expect, test } from 'vitest';
import { buildOf, kernelPrograms, variants } from './support/guest-programs.ts';
import { observeOracle, observeTsemu, workName } from './support/observe.ts';
import { oracleOrReason } from './support/oracle.ts';
import type { Tier } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';

const needs = [
  await oracleOrReason(),
  await toolchainOrReason('arm-linux-gnueabihf'),
  await toolchainOrReason('arm-linux-gnueabi'),
];
const reason = needs.flatMap((need) => ('reason' in need ? [need.reason] : []))[0];
const tiers: Tier[] = ['interp', 'region', 'auto'];

/** A32 with hard floats and Thumb-2 with soft ones: the kernel layer does not care for more. */
const chosen = variants.filter(({ name }) => /^(hard arm -O2 static|soft thumb -O2 static .*)$/.test(name));

describe.skipIf(reason !== undefined)(`signals and mappings${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test('both ways to build them', () => expect(chosen).toHaveLength(2));

  describe.each(chosen)('$name', (variant) => {
    test.each(kernelPrograms)(
      '$name',
      async (program) => {
        const path = await buildGuest(await buildOf(program, variant));
        const name = workName(program, variant);
        const expected = await observeOracle(program, path, name);
        for (const tier of tiers) {
          expect(await observeTsemu(program, path, name, tier), `tier ${tier} of ${path}`).toEqual(expected);
        }
      },
      120_000,
    );
  });
});
