import { Decoder, type Row } from '#tcg/decode.ts';
import { a32Rows } from './a32.rows.ts';
import type { ArmContext } from './context.ts';
import { allFeatures } from './cpu-models.ts';
import { conditionalIndex, unconditionalIndex } from './decode-index.ts';
import { neededBy } from './features.ts';

const needed = (row: Row<ArmContext>): number => neededBy(row, false);

const conditional = new Decoder(a32Rows, conditionalIndex, needed);
const unconditional = new Decoder(a32Rows, unconditionalIndex, needed);

/** The row of an A32 instruction with its field record filled. Condition 1111 is an instruction space of its own. */
export function decodeA32(encoding: number, features: number = allFeatures): Row<ArmContext> | undefined {
  return (encoding >>> 28 === 15 ? unconditional : conditional).decode(encoding, features);
}
