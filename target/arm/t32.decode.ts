import { Decoder, type Row } from '#tcg/decode.ts';
import { bitsT32 } from './bits.ts';
import { branchT32Rows } from './branch.ts';
import type { ArmContext } from './context.ts';
import { dataProcessingT32 } from './data-processing-t32.ts';
import { loadStoreT32 } from './load-store.ts';
import { mediaT32 } from './media.ts';
import { multiplyT32 } from './multiply.ts';
import { neonT32 } from './neon.ts';
import type { ArmRow } from './row.ts';
import { statusT32 } from './status.ts';
import { vfpT32 } from './vfp.ts';

/** All T32 encodings, 16 and 32 bits wide (DDI 0406C A6). Where rows of one width overlap, the first one counts. */
export const t32Rows: readonly ArmRow[] = [
  ...statusT32,
  ...branchT32Rows,
  ...multiplyT32,
  ...bitsT32,
  ...loadStoreT32,
  ...mediaT32,
  ...dataProcessingT32,
  ...vfpT32,
  ...neonT32,
];

let narrow: Decoder<ArmContext> | undefined;
let wide: Decoder<ArmContext> | undefined;

/** True if a halfword is the first of a 32-bit instruction (A6.1). */
export const isWide = (halfword: number): boolean => halfword >>> 11 >= 0b11101;

/** 32-bit patterns begin with 111 but not 11100; told without reading the pattern. */
const isWideRow = ({ pattern }: ArmRow): boolean => pattern.startsWith('111') && !pattern.startsWith('11100');

/** The row of a 16-bit T32 instruction with its field record filled. */
export function decodeT16(encoding: number): Row<ArmContext> | undefined {
  narrow ??= new Decoder(
    t32Rows.filter((row) => !isWideRow(row)),
    16,
    8,
    8,
  );
  return narrow.decode(encoding);
}

/** The row of a 32-bit T32 instruction, first halfword high, with its field record filled. */
export function decodeT32(encoding: number): Row<ArmContext> | undefined {
  wide ??= new Decoder(t32Rows.filter(isWideRow), 32, 20, 9);
  return wide.decode(encoding);
}
