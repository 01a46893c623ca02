import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import {
  alternate,
  everyLane,
  fieldD,
  fieldM,
  getVector,
  laneOps,
  oddQuad,
  setQcIfDifferent,
  setVector,
} from './neon-vectors.ts';
import { neonData, type RowPair } from './vfp-registers.ts';

/** Advanced SIMD shifts by a constant (DDI 0406C A7.4.4). */

interface Shift {
  readonly u: number;
  readonly d: number;
  readonly imm: number;
  readonly vd: number;
  readonly l: number;
  readonly q: number;
  readonly m: number;
  readonly vm: number;
}

/** log2 of the element bytes: the position of the highest 1 of L:imm6. */
const sizeOf = (f: Shift): number => (f.l ? 3 : 28 - Math.clz32(f.imm));
const widthOf = (size: number): number => 8 << size;
/** The shift amounts the two halves of the encodings mean. */
const rightAmount = (f: Shift, size: number): number => (f.l ? 64 : 2 * widthOf(size)) - f.imm;
const leftAmount = (f: Shift, size: number): number => f.imm & (widthOf(size) - 1);

/** L:imm6 below 8 is another instruction, whose rows come before. */
function refused(c: ArmContext, f: Shift): boolean {
  if (f.l || f.imm >= 8) return oddQuad(c, f.q, fieldD(f), fieldM(f));
  c.undefined();
  return true;
}

/** value >> amount (1…width), rounding to nearest if `round`. */
function shiftedRight(c: ArmContext, value: Value, size: number, amount: number, u: number, round: boolean): Value {
  const { b } = c;
  const width = widthOf(size);
  const op = (u ? laneOps.shrU : laneOps.shrS)[size]!;
  const whole =
    amount < width ? b.bin(op, value, b.i32(amount)) : b.bin(op, b.bin(op, value, b.i32(width - 1)), b.i32(1));
  if (!round) return whole;
  // The highest bit shifted out rounds up.
  const last = b.bin(laneOps.shrU[size]!, value, b.i32(amount - 1));
  return b.bin(laneOps.add[size]!, whole, b.bin(Op.and_v128, last, everyLane(c, size, 1)));
}

/** VSHR VSRA VRSHR VRSRA. */
const right =
  (round: boolean, accumulate: boolean) =>
  (c: ArmContext, f: Shift): void => {
    if (refused(c, f)) return;
    const size = sizeOf(f);
    const d = fieldD(f);
    const value = shiftedRight(c, getVector(c, f.q, fieldM(f)), size, rightAmount(f, size), f.u, round);
    setVector(c, f.q, d, accumulate ? c.b.bin(laneOps.add[size]!, getVector(c, f.q, d), value) : value);
  };

/** VSHL (immediate). */
function vshl(c: ArmContext, f: Shift): void {
  if (refused(c, f)) return;
  const size = sizeOf(f);
  const value = getVector(c, f.q, fieldM(f));
  setVector(c, f.q, fieldD(f), c.b.bin(laneOps.shl[size]!, value, c.b.i32(leftAmount(f, size))));
}

/** VSLI, VSRI: the bits shifted in are the destination's. */
const insert =
  (isRight: boolean) =>
  (c: ArmContext, f: Shift): void => {
    if (refused(c, f)) return;
    const { b } = c;
    const size = sizeOf(f);
    const amount = isRight ? rightAmount(f, size) : leftAmount(f, size);
    if (amount === widthOf(size)) return;
    const op = (isRight ? laneOps.shrU : laneOps.shl)[size]!;
    const shift = b.i32(amount);
    const mask = b.bin(op, everyLane(c, 3, -1), shift);
    const value = b.bin(op, getVector(c, f.q, fieldM(f)), shift);
    const d = fieldD(f);
    setVector(c, f.q, d, b.tri(Op.bitselect_v128, value, getVector(c, f.q, d), mask));
  };

/** VSHLL (1…width−1), VMOVL (0). */
function vshll(c: ArmContext, f: Shift): void {
  const d = fieldD(f);
  if (f.l || f.imm < 8 || f.q || d & 1) {
    c.undefined();
    return;
  }
  const { b } = c;
  const size = sizeOf(f);
  const wide = b.un((f.u ? laneOps.widenU : laneOps.widenS)[size]!, getVector(c, 0, fieldM(f)));
  const amount = leftAmount(f, size);
  setVector(c, 1, d, amount === 0 ? wide : b.bin(laneOps.shl[size + 1]!, wide, b.i32(amount)));
}

/** The low halves of the elements of a Q value, whose element size is `size` + 1. */
export const narrowed = (c: ArmContext, value: Value, size: number): Value => alternate(c, size, value, value, 0);

/** How a narrowing instruction saturates. */
export type Saturation = 'none' | 'signed' | 'unsigned' | 'signedToUnsigned';

/** Elements of twice `size` narrowed to `size` with saturation, which sets QC. */
export function saturatedNarrow(c: ArmContext, value: Value, size: number, saturation: Saturation): Value {
  if (saturation === 'none') return narrowed(c, value, size);
  const clamped = clamp(c, value, size, saturation);
  setQcIfDifferent(c, clamped, value);
  return narrowed(c, clamped, size);
}

/** The wide value held to the range of the narrow type. */
function clamp(c: ArmContext, value: Value, size: number, saturation: Exclude<Saturation, 'none'>): Value {
  const { b } = c;
  const bits = widthOf(size);
  if (size === 2) return clamp64(c, value, saturation);
  const high = saturation === 'signed' ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  if (saturation === 'unsigned') return b.bin(laneOps.minU[size + 1]!, value, everyLane(c, size + 1, high));
  const low = saturation === 'signed' ? -(2 ** (bits - 1)) : 0;
  const below = b.bin(laneOps.minS[size + 1]!, value, everyLane(c, size + 1, high));
  return b.bin(laneOps.maxS[size + 1]!, below, everyLane(c, size + 1, low));
}

/** There are no 64-bit minimum and maximum: compare what the narrow value would be with the wide one. */
function clamp64(c: ArmContext, value: Value, saturation: Exclude<Saturation, 'none'>): Value {
  const { b } = c;
  const negative = b.bin(Op.shr_s_i64x2, value, b.i32(63));
  if (saturation === 'signed') {
    const extended = b.bin(Op.shr_s_i64x2, b.bin(Op.shl_i64x2, value, b.i32(32)), b.i32(32));
    const limit = b.bin(Op.xor_v128, negative, b.v128(0x7fffffff, 0, 0x7fffffff, 0));
    return b.tri(Op.bitselect_v128, value, limit, b.bin(Op.eq_i64x2, extended, value));
  }
  const fits = b.bin(Op.eq_i64x2, b.bin(Op.shr_u_i64x2, value, b.i32(32)), b.v128(0, 0, 0, 0));
  const all = b.v128(-1, 0, -1, 0);
  const limit = saturation === 'unsigned' ? all : b.bin(Op.andnot_v128, all, negative);
  return b.tri(Op.bitselect_v128, value, limit, fits);
}

/** VSHRN VRSHRN VQSHRN VQRSHRN VQSHRUN VQRSHRUN; q: rounded. */
const narrowing =
  (saturation: Saturation) =>
  (c: ArmContext, f: Shift): void => {
    const m = fieldM(f);
    if (f.l || f.imm < 8 || m & 1) {
      c.undefined();
      return;
    }
    const size = sizeOf(f);
    const isUnsigned = saturation === 'unsigned' ? 1 : 0;
    const shifted = shiftedRight(c, getVector(c, 1, m), size + 1, rightAmount(f, size), isUnsigned, f.q !== 0);
    setVector(c, 0, fieldD(f), saturatedNarrow(c, shifted, size, saturation));
  };

const rest = <const P extends string>(opc: P) => `1 d:1 imm:6 vd:4 ${opc} l:1 q:1 m:1 1 vm:4` as const;

export const shiftRows: readonly RowPair[] = [
  neonData('VSHR', 'u:1', rest('0000'), right(false, false)),
  neonData('VSRA', 'u:1', rest('0001'), right(false, true)),
  neonData('VRSHR', 'u:1', rest('0010'), right(true, false)),
  neonData('VRSRA', 'u:1', rest('0011'), right(true, true)),
  neonData('VSRI', '1', rest('0100'), (c, f) => insert(true)(c, { ...f, u: 1 })),
  neonData('VSHL (immediate)', '0', rest('0101'), (c, f) => vshl(c, { ...f, u: 0 })),
  neonData('VSLI', '1', rest('0101'), (c, f) => insert(false)(c, { ...f, u: 1 })),
  neonData('VSHRN, VRSHRN', '0', rest('1000'), (c, f) => narrowing('none')(c, { ...f, u: 0 })),
  neonData('VQSHRUN, VQRSHRUN', '1', rest('1000'), (c, f) => narrowing('signedToUnsigned')(c, { ...f, u: 1 })),
  neonData('VQSHRN, VQRSHRN', 'u:1', rest('1001'), (c, f) => narrowing(f.u ? 'unsigned' : 'signed')(c, f)),
  neonData('VSHLL, VMOVL', 'u:1', rest('1010'), vshll),
];
