import { describe, expect, test } from 'vitest';
import { buildOf, fits, guestPrograms, variants } from './support/guest-programs.ts';
import { observeOracle, observeTsemu, workName } from './support/observe.ts';
import { oracleOrReason } from './support/oracle.ts';
import type { Protection, Tier } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';

const needs = [
  await oracleOrReason(),
  await toolchainOrReason('arm-linux-gnueabihf'),
  await toolchainOrReason('arm-linux-gnueabi'),
];
const reason = needs.flatMap((need) => ('reason' in need ? [need.reason] : []))[0];

describe.skipIf(reason !== undefined)(
  `C and C++ programs as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    describe.each(variants)('$name', (variant) => {
      const ways: [Tier, Protection][] = [
        ['interp', 'auto'],
        ['auto', 'auto'],
      ];
      if (variant.regions) ways.push(['region', 'auto']);
      if (variant.checks) ways.push([variant.checks, 'checks']);
      test.concurrent.each(guestPrograms.filter((program) => fits(program, variant)))(
        '$name',
        async (program) => {
          const path = await buildGuest(await buildOf(program, variant));
          const name = workName(program, variant);
          const expected = await observeOracle(program, path, name);
          for (const [tier, protection] of ways) {
            const observed = await observeTsemu(program, path, name, tier, protection);
            expect(observed, `tier ${tier}, protection ${protection} of ${path}`).toEqual(expected);
          }
        },
        300_000,
      );
    });
  },
);
