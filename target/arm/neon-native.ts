/** Integer Advanced SIMD that WebAssembly has no instruction for, in short sequences of those it has. */
import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { bytesOf } from '#tcg/sequences/vector.ts';
import type { ArmContext } from './context.ts';
import { everyLane, laneOps, setQcIfDifferent, setQcWhere, shuffle } from './neon-vectors.ts';

const widthOf = (size: number): number => 8 << size;
const equal = [Op.eq_i8x16, Op.eq_i16x8, Op.eq_i32x4, Op.eq_i64x2];
const zero = (c: ArmContext): Value => c.b.v128(0, 0, 0, 0);

/** The largest value where a lane is not negative, else the smallest. */
function signedLimit(c: ArmContext, m: Value, size: number): Value {
  const { b } = c;
  const negative = b.bin(laneOps.shrS[size]!, m, b.i32(widthOf(size) - 1));
  return b.bin(Op.xor_v128, negative, b.bin(laneOps.shrU[size]!, everyLane(c, size, -1), b.i32(1)));
}

/** VQSHL, VQSHLU by a constant `by`: `kind` says how the value is read and saturated. */
export function saturatingShiftLeft(
  c: ArmContext,
  m: Value,
  size: number,
  by: number,
  kind: 'signed' | 'unsigned' | 'signedToUnsigned',
): Value {
  const { b } = c;
  const amount = b.i32(by);
  const shifted = b.bin(laneOps.shl[size]!, m, amount);
  const back = b.bin((kind === 'signed' ? laneOps.shrS : laneOps.shrU)[size]!, shifted, amount);
  const fits = b.bin(equal[size]!, back, m);
  const all = everyLane(c, size, -1);
  const negative = b.bin(laneOps.shrS[size]!, m, b.i32(widthOf(size) - 1));
  let result = b.tri(Op.bitselect_v128, shifted, kind === 'signed' ? signedLimit(c, m, size) : all, fits);
  if (kind === 'signedToUnsigned') {
    result = b.bin(Op.andnot_v128, result, negative);
    setQcWhere(c, b.bin(Op.or_v128, b.un(Op.not_v128, fits), negative));
  } else {
    setQcWhere(c, b.un(Op.not_v128, fits));
  }
  return result;
}

/** VQDMULH, VQRDMULH (`rounds`): the high half of 2 · n · m. Only the product of the two smallest values saturates. */
export function doubledHigh(c: ArmContext, n: Value, m: Value, size: number, rounds: boolean): Value {
  const { b } = c;
  const smallest = everyLane(c, size, size === 1 ? 0x8000 : 1 << 31);
  const eq = equal[size]!;
  const overflows = b.bin(Op.and_v128, b.bin(eq, n, smallest), b.bin(eq, m, smallest));
  setQcWhere(c, overflows);
  if (size === 1) {
    if (rounds) return b.bin(Op.q15mulr_sat_s_i16x8, n, m);
    const half = (op: number): Value => b.bin(Op.shr_s_i32x4, b.bin(op, n, m), b.i32(15));
    return b.bin(Op.narrow_s_i32x4, half(Op.extmul_low_s_i16x8), half(Op.extmul_high_s_i16x8));
  }
  const half = (op: number): Value => {
    const doubled = b.bin(Op.shl_i64x2, b.bin(op, n, m), b.i32(1));
    return rounds ? b.bin(Op.add_i64x2, doubled, b.v128(1 << 31, 0, 1 << 31, 0)) : doubled;
  };
  const high = shuffle(
    c,
    half(Op.extmul_low_s_i32x4),
    half(Op.extmul_high_s_i32x4),
    bytesOf((i) => 8 * (i >> 2) + 4 + (i & 3)),
  );
  // The overflowing product doubled is −2^63, one more than the largest high half.
  return b.bin(Op.add_i32x4, high, overflows);
}

export interface RegisterShift {
  readonly size: number;
  readonly u: number;
  readonly rounds: boolean;
  readonly saturates: boolean;
}

/** A value that is not 0 if all lanes shift by the same amount, and the amount. */
export function uniformAmount(c: ArmContext, n: Value, size: number): { differ: Value; amount: Value } {
  const { b } = c;
  const above = b.i32(widthOf(size) - 8);
  const amounts = size === 0 ? n : b.bin(laneOps.shrS[size]!, b.bin(laneOps.shl[size]!, n, above), above);
  const amount = b.emit(Op.extract_lane_s_i8x16, n);
  const all = size === 3 ? b.un(Op.splat_i64x2, b.un(Op.extend_s_i64, amount)) : b.un(laneOps.splat[size]!, amount);
  return { differ: b.un(Op.any_true_v128, b.bin(Op.xor_v128, amounts, all)), amount };
}

/** VSHL VRSHL VQSHL VQRSHL of all lanes by one amount: to the left, or to the right where it is negative. */
export function shiftedBy(c: ArmContext, m: Value, amount: Value, shift: RegisterShift): Value {
  const { b } = c;
  const { size, u, rounds, saturates } = shift;
  const width = b.i32(widthOf(size));
  const right = b.sub(b.i32(0), amount);
  const isLeft = b.bin(Op.ge_s_i32, amount, b.i32(0));
  const left = b.tri(Op.select_v128, b.bin(laneOps.shl[size]!, m, amount), zero(c), b.bin(Op.lt_u_i32, amount, width));
  let rightResult = shiftedRight(c, m, right, size, u);
  if (rounds) {
    // The highest bit shifted out; of a signed value shifted out whole it is the sign, which makes zero of it.
    const last = shiftedRight(c, m, b.addImm(right, -1), size, u);
    rightResult = b.bin(laneOps.add[size]!, rightResult, b.bin(Op.and_v128, last, everyLane(c, size, 1)));
  }
  if (!saturates) return b.tri(Op.select_v128, left, rightResult, isLeft);
  const back = b.bin((u ? laneOps.shrU : laneOps.shrS)[size]!, left, amount);
  const inside = b.tri(Op.select_v128, back, zero(c), b.bin(Op.lt_u_i32, amount, width));
  const fits = b.bin(equal[size]!, inside, m);
  const limit = u ? everyLane(c, size, -1) : signedLimit(c, m, size);
  const saturated = b.tri(Op.bitselect_v128, left, limit, fits);
  const result = b.tri(Op.select_v128, saturated, rightResult, isLeft);
  setQcIfDifferent(c, result, b.tri(Op.select_v128, left, rightResult, isLeft));
  return result;
}

/** m >> amount (0 and above); from the width on nothing is left, or the sign. */
function shiftedRight(c: ArmContext, m: Value, amount: Value, size: number, u: number): Value {
  const { b } = c;
  const isInside = b.bin(Op.lt_u_i32, amount, b.i32(widthOf(size)));
  if (!u) {
    const by = b.select(isInside, amount, b.i32(widthOf(size) - 1));
    return b.bin(laneOps.shrS[size]!, m, by);
  }
  return b.tri(Op.select_v128, b.bin(laneOps.shrU[size]!, m, amount), zero(c), isInside);
}
