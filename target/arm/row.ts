import { type Row, rowFor } from '#tcg/decode.ts';
import type { ArmContext } from './context.ts';

export type ArmRow = Row<ArmContext>;

/** One A32 or T32 encoding and its translate function; see `tcg/decode.ts` for patterns and options. */
export const row = rowFor<ArmContext>();
