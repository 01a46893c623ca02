import { Decoder, type Row } from '#tcg/decode.ts';
import { bitsA32 } from './bits.ts';
import { branchA32Rows } from './branch.ts';
import type { ArmContext } from './context.ts';
import { dataProcessingA32 } from './data-processing-a32.ts';
import { loadStoreA32 } from './load-store.ts';
import { mediaA32 } from './media.ts';
import { multiplyA32 } from './multiply.ts';
import { neonA32 } from './neon.ts';
import type { ArmRow } from './row.ts';
import { statusA32 } from './status.ts';
import { vfpA32 } from './vfp.ts';

/** All A32 encodings (DDI 0406C A5). Where rows overlap, the first one counts. */
export const a32Rows: readonly ArmRow[] = [
  ...branchA32Rows,
  ...statusA32,
  ...multiplyA32,
  ...bitsA32,
  ...loadStoreA32,
  ...mediaA32,
  ...dataProcessingA32,
  ...vfpA32,
  ...neonA32,
];

/** Bits 27:20 tell most encodings apart. */
const bucketShift = 20;
const bucketBits = 8;

const isUnconditional = (row: ArmRow): boolean => row.pattern.startsWith('1111');

let conditional: Decoder<ArmContext> | undefined;
let unconditional: Decoder<ArmContext> | undefined;

/** The row of an A32 instruction with its field record filled. Condition 1111 is an instruction space of its own. */
export function decodeA32(encoding: number): Row<ArmContext> | undefined {
  if (encoding >>> 28 === 15) {
    unconditional ??= new Decoder(a32Rows.filter(isUnconditional), 32, bucketShift, bucketBits);
    return unconditional.decode(encoding);
  }
  conditional ??= new Decoder(
    a32Rows.filter((row) => !isUnconditional(row)),
    32,
    bucketShift,
    bucketBits,
  );
  return conditional.decode(encoding);
}
