import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { bytesOf, shuffleBytes } from '#tcg/sequences/vector.ts';
import type { ArmContext } from './context.ts';
import { armState, slotD } from './state.ts';
import { numberD } from './vfp-registers.ts';

/** Ops by log2 of the element size in bytes. */
export const laneOps = {
  splat: [Op.splat_i8x16, Op.splat_i16x8, Op.splat_i32x4],
  add: [Op.add_i8x16, Op.add_i16x8, Op.add_i32x4, Op.add_i64x2],
  sub: [Op.sub_i8x16, Op.sub_i16x8, Op.sub_i32x4, Op.sub_i64x2],
  abs: [Op.abs_i8x16, Op.abs_i16x8, Op.abs_i32x4],
  neg: [Op.neg_i8x16, Op.neg_i16x8, Op.neg_i32x4],
  shl: [Op.shl_i8x16, Op.shl_i16x8, Op.shl_i32x4, Op.shl_i64x2],
  shrS: [Op.shr_s_i8x16, Op.shr_s_i16x8, Op.shr_s_i32x4, Op.shr_s_i64x2],
  shrU: [Op.shr_u_i8x16, Op.shr_u_i16x8, Op.shr_u_i32x4, Op.shr_u_i64x2],
  eq: [Op.eq_i8x16, Op.eq_i16x8, Op.eq_i32x4],
  gtS: [Op.gt_s_i8x16, Op.gt_s_i16x8, Op.gt_s_i32x4],
  gtU: [Op.gt_u_i8x16, Op.gt_u_i16x8, Op.gt_u_i32x4],
  geS: [Op.ge_s_i8x16, Op.ge_s_i16x8, Op.ge_s_i32x4],
  geU: [Op.ge_u_i8x16, Op.ge_u_i16x8, Op.ge_u_i32x4],
  minS: [Op.min_s_i8x16, Op.min_s_i16x8, Op.min_s_i32x4],
  minU: [Op.min_u_i8x16, Op.min_u_i16x8, Op.min_u_i32x4],
  maxS: [Op.max_s_i8x16, Op.max_s_i16x8, Op.max_s_i32x4],
  maxU: [Op.max_u_i8x16, Op.max_u_i16x8, Op.max_u_i32x4],
  /** The low eight bytes, each element twice as wide; by the narrow size. */
  widenS: [Op.extend_low_s_i8x16, Op.extend_low_s_i16x8, Op.extend_low_s_i32x4],
  widenU: [Op.extend_low_u_i8x16, Op.extend_low_u_i16x8, Op.extend_low_u_i32x4],
} as const;

/** A register operand: D register number and whether it is a Q register. */
export const getVector = (c: ArmContext, q: number, d: number): Value =>
  q ? c.b.get('v128', slotD(d)) : c.b.un(Op.splat_i64x2, c.b.get('i64', slotD(d)));

/** Writes a Q register, or the low half of `value` to a D register. */
export function setVector(c: ArmContext, q: number, d: number, value: Value): void {
  if (q) c.b.set('v128', slotD(d), value);
  else c.b.set('i64', slotD(d), c.b.emit(Op.extract_lane_i64x2, value));
}

/** D registers `low` and `high` as one vector. */
export function getPair(c: ArmContext, low: number, high: number): Value {
  if (high === low + 1 && (low & 1) === 0) return c.b.get('v128', slotD(low));
  const { b } = c;
  return b.emit(
    Op.replace_lane_i64x2,
    b.un(Op.splat_i64x2, b.get('i64', slotD(low))),
    b.get('i64', slotD(high)),
    -1,
    1,
  );
}

/** Writes the halves of a vector to two D registers. */
export function setPair(c: ArmContext, low: number, high: number, value: Value): void {
  if (high === low + 1 && (low & 1) === 0) {
    c.b.set('v128', slotD(low), value);
    return;
  }
  c.b.set('i64', slotD(low), c.b.emit(Op.extract_lane_i64x2, value));
  c.b.set('i64', slotD(high), c.b.emit(Op.extract_lane_i64x2, value, -1, -1, 1));
}

/** The bytes of a (0–15) and b (16–31) that `pick` names, 16 of them. */
export const shuffle = (c: ArmContext, a: Value, b: Value, pick: readonly number[]): Value =>
  shuffleBytes(c.b, a, b, pick);

/** The even (0) or odd (1) elements of a and then of b. */
export const alternate = (c: ArmContext, size: number, a: Value, b: Value, odd: 0 | 1): Value =>
  shuffle(
    c,
    a,
    b,
    bytesOf((i) => (2 * (i >> size) + odd) * (1 << size) + (i & ((1 << size) - 1))),
  );

/** The same 32 bits in every word. */
export const everyWord = (c: ArmContext, word: number): Value => c.b.v128(word, word, word, word);
/** The constant in every element. */
export function everyLane(c: ArmContext, size: number, value: number): Value {
  if (size === 3) return c.b.v128(value, value >> 31, value, value >> 31);
  if (size === 2) return everyWord(c, value);
  return everyWord(c, size === 1 ? (value & 0xffff) * 0x10001 : (value & 0xff) * 0x1010101);
}

/** Sets FPSCR.QC if two vectors differ. */
export const setQcIfDifferent = (c: ArmContext, a: Value, b: Value): void => setQcWhere(c, c.b.bin(Op.xor_v128, a, b));

/** Sets FPSCR.QC if any bit of a vector is set. */
export function setQcWhere(c: ArmContext, mask: Value): void {
  const slot = armState.offset('fpscr');
  c.b.set32(slot, c.b.or(c.b.get32(slot), c.b.shlImm(c.b.un(Op.any_true_v128, mask), 27)));
}

/** Element `index` of D register `register`, of 2^size bytes, in every lane. */
export function broadcast(c: ArmContext, size: number, register: number, index: number): Value {
  const value = getVector(c, 0, register);
  const bytes = 1 << size;
  return shuffle(
    c,
    value,
    value,
    bytesOf((i) => index * bytes + (i & (bytes - 1))),
  );
}

export interface ThreeFields {
  readonly vd: number;
  readonly d: number;
  readonly vn: number;
  readonly n: number;
  readonly vm: number;
  readonly m: number;
}

export const fieldD = (f: { vd: number; d: number }): number => numberD(f.vd, f.d);
export const fieldN = (f: { vn: number; n: number }): number => numberD(f.vn, f.n);
export const fieldM = (f: { vm: number; m: number }): number => numberD(f.vm, f.m);

/** True (after making it undefined) if a Q operand has an odd register number. */
export function oddQuad(c: ArmContext, q: number, ...registers: readonly number[]): boolean {
  if (!q || !registers.some((register) => register & 1)) return false;
  c.undefined();
  return true;
}
