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
    test.concurrent.for(chosen)('$name', { timeout: 300_000 }, async (item, { skip }) => {
      try {
        const { ours, oracle } = await bothOutcomes(item, 'auto');
        expect(ours).toEqual(oracle);
      } catch (error) {
        if (error instanceof Unavailable) skip(error.message);
        throw error;
      }
    });
  },
);
