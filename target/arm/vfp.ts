import type { ArmRow } from './row.ts';
import { arithmeticRows } from './vfp-arith.ts';
import { conversionRows } from './vfp-convert.ts';
import { fpscrRows } from './vfp-fpscr.ts';
import { halfRows } from './vfp-half.ts';
import { memoryRows } from './vfp-memory.ts';
import { moveRows } from './vfp-move.ts';

/** The floating-point (VFPv4-D32 and ARMv8 additions) and 8-, 16-, 32- and 64-bit transfer instructions. */
const rows = [...fpscrRows, ...arithmeticRows, ...conversionRows, ...halfRows, ...moveRows, ...memoryRows];

export const vfpA32: readonly ArmRow[] = rows.map((pair) => pair.a32);
export const vfpT32: readonly ArmRow[] = rows.map((pair) => pair.t32);
