// How rows are found. The bundle has the values of this file in place of its code (scripts/build.ts).
import { type DecodeIndex, indexRows } from '#tcg/decode.ts';
import { a32Rows } from './a32.rows.ts';
import type { ArmRow } from './row.ts';
import { t32Rows } from './t32.rows.ts';

const isUnconditional = (row: ArmRow): boolean => row.pattern.startsWith('1111');
/** 32-bit T32 patterns begin with 111 but not 11100. */
const isWideRow = ({ pattern }: ArmRow): boolean => pattern.startsWith('111') && !pattern.startsWith('11100');

/** A32, by bits 27:20, which tell most encodings apart. */
export const conditionalIndex: DecodeIndex = indexRows(a32Rows, 20, 8, (row) => !isUnconditional(row));
export const unconditionalIndex: DecodeIndex = indexRows(a32Rows, 20, 8, isUnconditional);
/** T32, 16 and 32 bits wide. */
export const narrowIndex: DecodeIndex = indexRows(t32Rows, 8, 8, (row) => !isWideRow(row));
export const wideIndex: DecodeIndex = indexRows(t32Rows, 20, 9, isWideRow);
