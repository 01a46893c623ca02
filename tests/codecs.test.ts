import { describe, expect, test } from 'vitest';
import { codecCases } from './codecs/cases.ts';
import { bothOutcomes } from './codecs/run.ts';
import { Unavailable } from './support/cache.ts';
import { oracleOrReason } from './support/oracle.ts';

const oracle = await oracleOrReason();
const reason = 'reason' in oracle ? oracle.reason : undefined;
const chosen = codecCases.filter(({ ci }) => ci);

// The others, and these in other tiers: node tests/codecs/main.ts
describe.skipIf(reason !== undefined)(
  `encoders and decoders write the same bytes as under qemu-arm${reason ? ` (skipped: ${reason})` : ''}`,
  () => {
    test.each(chosen.map((item) => ({ name: item.name, item })))(
      '$name',
      async ({ item }) => {
        const outcomes = await bothOutcomes(item, 'auto').catch((error: unknown) => {
          if (error instanceof Unavailable) return undefined;
          throw error;
        });
        if (outcomes !== undefined) expect(outcomes.ours).toEqual(outcomes.oracle);
      },
      300_000,
    );
  },
);
