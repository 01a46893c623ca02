import { Decoder, type Row } from '#tcg/decode.ts';
import type { ArmContext } from './context.ts';
import { narrowIndex, wideIndex } from './decode-index.ts';
import { t32Rows } from './t32.rows.ts';

const narrow = new Decoder(t32Rows, narrowIndex);
const wide = new Decoder(t32Rows, wideIndex);

/** True if a halfword is the first of a 32-bit instruction (A6.1). */
export const isWide = (halfword: number): boolean => halfword >>> 11 >= 0b11101;

/** The row of a 16-bit T32 instruction with its field record filled. */
export const decodeT16 = (encoding: number): Row<ArmContext> | undefined => narrow.decode(encoding);

/** The row of a 32-bit T32 instruction, first halfword high, with its field record filled. */
export const decodeT32 = (encoding: number): Row<ArmContext> | undefined => wide.decode(encoding);
