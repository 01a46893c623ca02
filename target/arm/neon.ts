import { longRows } from './neon-long.ts';
import { elementRows } from './neon-memory.ts';
import { miscRows } from './neon-misc.ts';
import { shiftRows } from './neon-shift.ts';
import { sameLengthRows } from './neon-three.ts';
import type { ArmRow } from './row.ts';

/**
 * Advanced SIMD: loads and stores, bitwise and integer instructions. Not yet: floating point, saturating multiplies,
 * shifts by a register, VQSHL, long polynomial multiplies.
 */
const rows = [...elementRows, ...sameLengthRows, ...miscRows, ...shiftRows, ...longRows];

export const neonA32: readonly ArmRow[] = rows.map((pair) => pair.a32);
export const neonT32: readonly ArmRow[] = rows.map((pair) => pair.t32);
