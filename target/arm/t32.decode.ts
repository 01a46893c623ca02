import { Decoder, type Row } from '#tcg/decode.ts';
import type { ArmContext } from './context.ts';
import { allFeatures } from './cpu-models.ts';
import { narrowIndex, wideIndex } from './decode-index.ts';
import { neededBy } from './features.ts';
import { t32Rows } from './t32.rows.ts';

const needed = (row: Row<ArmContext>): number => neededBy(row, true);
const narrow = new Decoder(t32Rows, narrowIndex, needed);
const wide = new Decoder(t32Rows, wideIndex, needed);

/** True if a halfword is the first of a 32-bit instruction (A6.1). */
export const isWide = (halfword: number): boolean => halfword >>> 11 >= 0b11101;

/** The row of a 16-bit T32 instruction with its field record filled. */
export const decodeT16 = (encoding: number, features: number = allFeatures): Row<ArmContext> | undefined =>
  narrow.decode(encoding, features);

/** The row of a 32-bit T32 instruction, first halfword high, with its field record filled. */
export const decodeT32 = (encoding: number, features: number = allFeatures): Row<ArmContext> | undefined =>
  wide.decode(encoding, features);
