import { groupRows } from './group.rows.ts';
import { oneByteRows } from './one-byte.rows.ts';
import type { X86Row } from './row.ts';
import { simdRows } from './simd.rows.ts';
import { sseRows } from './sse.rows.ts';
import { threeByteRows } from './three-byte.rows.ts';
import { twoByteRows } from './two-byte.rows.ts';
import { x87Rows } from './x87.rows.ts';

/** The opcode map. Where rows overlap, the first one counts. */
export const rows: readonly X86Row[] = [
  ...oneByteRows,
  ...groupRows,
  ...twoByteRows,
  ...threeByteRows,
  ...x87Rows,
  ...simdRows,
  ...sseRows,
];
