import { bitsT32 } from './bits.ts';
import { branchT32Rows } from './branch.ts';
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
