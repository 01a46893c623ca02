import { describe, expect, test } from 'vitest';
import type { CpuModelName } from '#target/arm/cpu-models.ts';
import { disagreements, spaces } from './random/definedness.ts';
import { oracleOrReason } from './support/oracle.ts';

const oracle = await oracleOrReason();
const reason = 'reason' in oracle ? oracle.reason : undefined;

// Some 23,000 encodings; the script beside tests/random tries as many as one likes.
const counts: Partial<Record<CpuModelName, number>> = {
  max: 400,
  'cortex-a7': 150,
  'cortex-a8': 150,
  'cortex-a9': 150,
  'cortex-a15': 100,
  arm1176: 100,
  arm926: 100,
};

describe.skipIf(reason !== undefined)(
  `random encodings are undefined where they are under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    test.each(Object.entries(counts) as [CpuModelName, number][])(
      '-cpu %s',
      async (cpu, count) => {
        const found: string[] = [];
        for (const space of Object.keys(spaces)) {
          for (const { encoding, defined, row } of await disagreements(space, 7, count, cpu))
            found.push(`${space} ${encoding.word.toString(16)} (${row}): ${defined ? 'qemu-arm' : 'tsemu'} only`);
        }
        expect(found).toEqual([]);
      },
      120_000,
    );
  },
);
