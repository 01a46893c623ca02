import { cryptoRows } from './neon-crypto.ts';
import { laneRows, laneScalarRows } from './neon-lanes.ts';
import { longRows } from './neon-long.ts';
import { elementRows } from './neon-memory.ts';
import { miscRows } from './neon-misc.ts';
import { shiftRows } from './neon-shift.ts';
import { sameLengthRows } from './neon-three.ts';
import { extensionRows } from './neon-v8.ts';
import type { ArmRow } from './row.ts';

/** Advanced SIMD of ARMv7-A with VFPv4 and ARMv8's additions: loads and stores, bitwise, integer and single-precision instructions. */
const rows = [
  ...elementRows,
  ...cryptoRows,
  ...extensionRows,
  ...sameLengthRows,
  ...miscRows,
  ...shiftRows,
  ...laneRows,
  ...longRows,
  ...laneScalarRows,
];

export const neonA32: readonly ArmRow[] = rows.map((pair) => pair.a32);
export const neonT32: readonly ArmRow[] = rows.map((pair) => pair.t32);
