import { Decoder, type Row } from '#tcg/decode.ts';
import { a32Rows } from './a32.rows.ts';
import type { ArmContext } from './context.ts';
import { conditionalIndex, unconditionalIndex } from './decode-index.ts';

const conditional = new Decoder(a32Rows, conditionalIndex);
const unconditional = new Decoder(a32Rows, unconditionalIndex);

/** The row of an A32 instruction with its field record filled. Condition 1111 is an instruction space of its own. */
export function decodeA32(encoding: number): Row<ArmContext> | undefined {
  return (encoding >>> 28 === 15 ? unconditional : conditional).decode(encoding);
}
