import type { Builder, Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';

/**
 * Values of the parallel additions and subtractions (DDI 0406C A4.4.6): 36 instructions from six ways to treat a lane
 * and six ways to arrange the lanes. Two or four lanes of 32 bits are done in a vector's lowest word.
 */

/** What becomes of a lane: S, U wrap and set GE; Q, UQ saturate; SH, UH halve. */
export type LaneRule = 'S' | 'U' | 'Q' | 'UQ' | 'SH' | 'UH';
/** ASX: low − high, high + low of the exchanged second operand; SAX: the other way round. */
export type LaneShape = 'ADD16' | 'SUB16' | 'ASX' | 'SAX' | 'ADD8' | 'SUB8';

const lanes8 = {
  add: Op.add_i8x16,
  sub: Op.sub_i8x16,
  addSigned: Op.add_sat_s_i8x16,
  subSigned: Op.sub_sat_s_i8x16,
  addUnsigned: Op.add_sat_u_i8x16,
  subUnsigned: Op.sub_sat_u_i8x16,
  shiftSigned: Op.shr_s_i8x16,
  shiftUnsigned: Op.shr_u_i8x16,
  greater: Op.gt_u_i8x16,
  greaterEqual: Op.ge_u_i8x16,
} as const;

const lanes16 = {
  add: Op.add_i16x8,
  sub: Op.sub_i16x8,
  addSigned: Op.add_sat_s_i16x8,
  subSigned: Op.sub_sat_s_i16x8,
  addUnsigned: Op.add_sat_u_i16x8,
  subUnsigned: Op.sub_sat_u_i16x8,
  shiftSigned: Op.shr_s_i16x8,
  shiftUnsigned: Op.shr_u_i16x8,
  greater: Op.gt_u_i16x8,
  greaterEqual: Op.ge_u_i16x8,
} as const;

type Lanes = Record<keyof typeof lanes8, number>;

/** Result lanes; and for S and U lanes whose top bit is their GE bit. */
interface LaneValues {
  readonly result: Value;
  readonly ge?: Value;
}

const low32 = (b: Builder, vector: Value): Value => b.emit(Op.extract_lane_i32x4, vector);

function addLanes(b: Builder, rule: LaneRule, ops: Lanes, n: Value, m: Value): LaneValues {
  switch (rule) {
    case 'S':
      // A saturated sum has the sign of the true one.
      return { result: b.bin(ops.add, n, m), ge: b.un(Op.not_v128, b.bin(ops.addSigned, n, m)) };
    case 'U': {
      const result = b.bin(ops.add, n, m);
      return { result, ge: b.bin(ops.greater, n, result) };
    }
    case 'Q':
      return { result: b.bin(ops.addSigned, n, m) };
    case 'UQ':
      return { result: b.bin(ops.addUnsigned, n, m) };
    case 'SH':
    case 'UH': {
      // n + m = 2 (n & m) + (n ^ m)
      const half = b.bin(rule === 'SH' ? ops.shiftSigned : ops.shiftUnsigned, b.bin(Op.xor_v128, n, m), b.i32(1));
      return { result: b.bin(ops.add, b.bin(Op.and_v128, n, m), half) };
    }
  }
}

function subLanes(b: Builder, rule: LaneRule, ops: Lanes, n: Value, m: Value): LaneValues {
  switch (rule) {
    case 'S':
      return { result: b.bin(ops.sub, n, m), ge: b.un(Op.not_v128, b.bin(ops.subSigned, n, m)) };
    case 'U':
      return { result: b.bin(ops.sub, n, m), ge: b.bin(ops.greaterEqual, n, m) };
    case 'Q':
      return { result: b.bin(ops.subSigned, n, m) };
    case 'UQ':
      return { result: b.bin(ops.subUnsigned, n, m) };
    case 'SH':
    case 'UH': {
      // n − m = (n ^ m) − 2 (m & ~n)
      const half = b.bin(rule === 'SH' ? ops.shiftSigned : ops.shiftUnsigned, b.bin(Op.xor_v128, n, m), b.i32(1));
      return { result: b.bin(ops.sub, half, b.bin(Op.andnot_v128, m, n)) };
    }
  }
}

/** Bytes 0 and 1 of the first operand, 2 and 3 of the second. */
const lowAndHigh = 0x13120100;

function mixHalves(b: Builder, low: Value, high: Value): Value {
  return low32(b, b.emit(Op.shuffle_i8x16, low, high, -1, 0, 0, lowAndHigh, 0));
}

/** Brings bits 7, 15, 23, 31 to bits 31:28; and bits 3:0 to bits 0, 8, 16, 24 (among others). */
const gatherFactor = 0x00204081;

/** Top bits of four byte lanes (or of two halfword lanes, each twice) to bits 3:0. */
function gatherGe(b: Builder, lanes: Value, halves: boolean): Value {
  if (!halves) return b.shrUImm(b.mul(b.andImm(lanes, 0x80808080), b.i32(gatherFactor)), 28);
  return b.shrUImm(b.mul(b.shrUImm(b.andImm(lanes, 0x80008000), 1), b.i32(0xc003)), 28);
}

/** The GE value of an unsigned rule is a lane mask, so its halfword lanes serve as byte lanes. */
const maskLanes = (rule: LaneRule): boolean => rule === 'U';

/** Result of `rule``shape` on words n and m, and its GE bits where it sets them. */
export function parallel(b: Builder, rule: LaneRule, shape: LaneShape, n: Value, m: Value): LaneValues {
  const bytes = shape === 'ADD8' || shape === 'SUB8';
  const ops = bytes ? lanes8 : lanes16;
  const halves = !bytes && !maskLanes(rule);
  const vn = b.un(Op.splat_i32x4, n);
  if (shape === 'ASX' || shape === 'SAX') {
    const vm = b.un(Op.splat_i32x4, b.rotrImm(m, 16));
    const sum = addLanes(b, rule, ops, vn, vm);
    const difference = subLanes(b, rule, ops, vn, vm);
    const [low, high] = shape === 'ASX' ? [difference, sum] : [sum, difference];
    const result = mixHalves(b, low.result, high.result);
    if (low.ge === undefined || high.ge === undefined) return { result };
    return { result, ge: gatherGe(b, mixHalves(b, low.ge, high.ge), halves) };
  }
  const vm = b.un(Op.splat_i32x4, m);
  const lanes = (shape === 'ADD16' || shape === 'ADD8' ? addLanes : subLanes)(b, rule, ops, vn, vm);
  const result = low32(b, lanes.result);
  if (lanes.ge === undefined) return { result };
  return { result, ge: gatherGe(b, low32(b, lanes.ge), halves) };
}

const laneMasks: readonly number[] = [Op.gt_u_i8x16, Op.ge_u_i8x16, Op.gt_u_i16x8, Op.ge_u_i16x8];

/** The GE bits as a mask of bytes. Where `gatherGe` has just made them, from what it made them of. */
function byteMask(b: Builder, ge: Value): Value {
  const { op, a, b: second } = b.block;
  const product = a[ge]!;
  const gathered = op[ge] === Op.shr_u_i32 && op[product] === Op.mul_i32 && b.isConst(second[product]!);
  if (!gathered || b.constOf(second[product]!) !== gatherFactor) {
    return b.mul(b.andImm(b.mul(ge, b.i32(gatherFactor)), 0x01010101), b.i32(0xff));
  }
  const tops = a[product]!;
  const lanes = a[tops]!;
  if (op[lanes] === Op.extract_lane_i32x4 && laneMasks.includes(op[a[lanes]!]!)) return lanes;
  return b.mul(b.shrUImm(tops, 7), b.i32(0xff));
}

/** Bytes of n where the GE bit is 1, of m where it is 0. */
export function selectBytes(b: Builder, ge: Value, n: Value, m: Value): Value {
  return b.xor(m, b.and(b.xor(n, m), byteMask(b, ge)));
}

/** Sum of the absolute differences of the four bytes. */
export function sumOfDifferences(b: Builder, n: Value, m: Value): Value {
  const vn = b.un(Op.splat_i32x4, n);
  const vm = b.un(Op.splat_i32x4, m);
  const d = low32(b, b.bin(Op.sub_i8x16, b.bin(Op.max_u_i8x16, vn, vm), b.bin(Op.min_u_i8x16, vn, vm)));
  const pairs = b.add(b.andImm(d, 0x00ff00ff), b.andImm(b.shrUImm(d, 8), 0x00ff00ff));
  return b.shrUImm(b.mul(pairs, b.i32(0x10001)), 16);
}

/** Halfword-wise sum, modulo 2^16 each. */
export function addHalves(b: Builder, n: Value, m: Value): Value {
  return low32(b, b.bin(Op.add_i16x8, b.un(Op.splat_i32x4, n), b.un(Op.splat_i32x4, m)));
}

/** Both signed halfwords clamped to [low, high]. */
export function clampHalves(b: Builder, n: Value, low: number, high: number): Value {
  const half = (value: number): number => (value & 0xffff) * 0x10001;
  const bound = (value: number): Value => b.v128(half(value), half(value), half(value), half(value));
  const clamped = b.bin(Op.min_s_i16x8, b.un(Op.splat_i32x4, n), bound(high));
  return low32(b, b.bin(Op.max_s_i16x8, clamped, bound(low)));
}
