import { bitsA32 } from './bits.ts';
import { branchA32Rows } from './branch.ts';
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
