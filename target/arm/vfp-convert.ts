import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { Feature } from './features.ts';
import { Rounding } from './softfloat.ts';
import { slotS } from './state.ts';
import { emitSoft } from './vfp-arith.ts';
import { isSoft } from './vfp-fpscr.ts';
import { currentRounding, VfpOp } from './vfp-ops.ts';
import {
  type FloatType,
  floatOps,
  floatType,
  getF,
  numberD,
  numberF,
  numberS,
  powerOfTwo,
  type RowPair,
  setF,
  vfp,
  vfpAlways,
} from './vfp-registers.ts';

/** Floating-point conversions and rounding to integers (DDI 0406C A7.5, DDI 0487 for the ARMv8 ones). */

interface Unary {
  readonly sz: number;
  readonly vd: number;
  readonly d: number;
  readonly vm: number;
  readonly m: number;
}

/** VCVT<c>.F64.F32 Dd, Sm; VCVT<c>.F32.F64 Sd, Dm. NaNs keep the top of their payload and become quiet. */
function vcvtFormat(c: ArmContext, f: Unary): void {
  const { b } = c;
  if (f.sz) {
    const d = numberS(f.vd, f.d);
    const m = numberD(f.vm, f.m);
    if (isSoft(c)) {
      emitSoft(c, VfpOp.convert, 'f64', 0, d, 0, m);
      return;
    }
    const from = getF(c, 'f64', m);
    const bits = b.un(Op.bits_f64, from);
    const sign = b.andImm(b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, bits, b.i64(32, 0))), 1 << 31);
    const payload = b.andImm(b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, bits, b.i64(29, 0))), 0x3fffff);
    const nan = b.un(Op.from_bits_f32, b.or(b.or(sign, b.i32(0x7fc00000)), payload));
    setF(c, 'f32', d, b.tri(Op.select_f32, nan, b.un(Op.demote_f64, from), b.bin(Op.ne_f64, from, from)));
    return;
  }
  const d = numberD(f.vd, f.d);
  const m = numberS(f.vm, f.m);
  if (isSoft(c)) {
    emitSoft(c, VfpOp.convert, 'f32', 0, d, 0, m);
    return;
  }
  const from = getF(c, 'f32', m);
  const bits = b.un(Op.bits_f32, from);
  const sign = b.bin(Op.shl_i64, b.un(Op.extend_u_i64, b.andImm(bits, 1 << 31)), b.i64(32, 0));
  const payload = b.bin(Op.shl_i64, b.un(Op.extend_u_i64, b.andImm(bits, 0x7fffff)), b.i64(29, 0));
  const nan = b.un(Op.from_bits_f64, b.bin(Op.or_i64, b.bin(Op.or_i64, sign, b.i64(0, 0x7ff80000)), payload));
  setF(c, 'f64', d, b.tri(Op.select_f64, nan, b.un(Op.promote_f32, from), b.bin(Op.ne_f32, from, from)));
}

/** VCVT<c>.F<32|64>.<S32|U32> Fd, Sm. */
function vcvtFromInteger(c: ArmContext, f: Unary & { s: number }): void {
  const type = floatType(f.sz);
  const d = numberF(type, f.vd, f.d);
  const m = numberS(f.vm, f.m);
  if (isSoft(c)) {
    emitSoft(c, VfpOp.fromInteger, type, f.s << 3, d, 0, m);
    return;
  }
  const { b } = c;
  const ops = floatOps[type];
  setF(c, type, d, b.un(f.s ? ops.fromSigned : ops.fromUnsigned, b.get32(slotS(m))));
}

/** An integral value by rounding mode; NaN payloads are of no interest here. */
function rounded(c: ArmContext, type: FloatType, value: Value, rounding: number): Value {
  const { b } = c;
  const ops = floatOps[type];
  switch (rounding) {
    case Rounding.plus:
      return b.un(ops.ceil, value);
    case Rounding.minus:
      return b.un(ops.floor, value);
    case Rounding.zero:
      return b.un(ops.trunc, value);
    case Rounding.away:
      return roundedAway(c, type, value);
    default:
      return b.un(ops.nearest, value);
  }
}

/** trunc(x), and one further from zero where the rest is a half or more. */
function roundedAway(c: ArmContext, type: FloatType, value: Value): Value {
  const { b } = c;
  const ops = floatOps[type];
  const whole = b.un(ops.trunc, value);
  const rest = b.un(ops.abs, b.bin(ops.sub, value, whole));
  const one = powerOfTwo(c, type, 0);
  const zero = type === 'f32' ? b.f32Bits(0) : b.f64Bits(0, 0);
  const step = b.tri(ops.select, one, b.un(ops.neg, one), b.bin(ops.gt, value, zero));
  const further = b.bin(ops.ge, rest, powerOfTwo(c, type, -1));
  return b.tri(ops.select, b.bin(ops.add, whole, step), whole, further);
}

function toInteger(c: ArmContext, f: Unary & { s: number }, rounding: number): void {
  const type = floatType(f.sz);
  const d = numberS(f.vd, f.d);
  const m = numberF(type, f.vm, f.m);
  if (isSoft(c)) {
    emitSoft(c, VfpOp.toInteger, type, rounding | (f.s << 3), d, 0, m);
    return;
  }
  const { b } = c;
  const ops = floatOps[type];
  const value = getF(c, type, m);
  const integral = rounding === Rounding.zero ? value : rounded(c, type, value, rounding);
  b.set32(slotS(d), b.un(f.s ? ops.toSigned : ops.toUnsigned, integral));
}

/** VCVT{R}<c>.<S32|U32>.F<32|64> Sd, Fm; z: toward zero. */
const vcvtToInteger = (c: ArmContext, f: Unary & { s: number; z: number }): void =>
  toInteger(c, f, f.z ? Rounding.zero : currentRounding);

/** VJCVT<c>.S32.F64 Sd, Dm: as JavaScript's `| 0`. */
function vjcvt(c: ArmContext, f: Omit<Unary, 'sz'>): void {
  emitSoft(c, VfpOp.toJavascript, 'f64', 0, numberS(f.vd, f.d), 0, numberD(f.vm, f.m));
}

/** VCVT<B|T><c>.BF16.F32 Sd, Sm. */
function vcvtToBFloat(c: ArmContext, f: Omit<Unary, 'sz'> & { t: number }): void {
  emitSoft(c, VfpOp.toBFloat, 'f32', f.t, numberS(f.vd, f.d), 0, numberS(f.vm, f.m));
}

/** The RM field of the ARMv8 instructions: A N P M. */
export const directed = [Rounding.away, Rounding.nearest, Rounding.plus, Rounding.minus];
/** VCVT<A|N|P|M>.<S32|U32>.F<32|64> Sd, Fm. */
const vcvtDirected = (c: ArmContext, f: Unary & { s: number; rm: number }): void => toInteger(c, f, directed[f.rm]!);

function toIntegral(c: ArmContext, f: Unary, rounding: number, exact: boolean): void {
  const type = floatType(f.sz);
  const d = numberF(type, f.vd, f.d);
  const m = numberF(type, f.vm, f.m);
  if (isSoft(c)) {
    emitSoft(c, VfpOp.roundToIntegral, type, rounding | (exact ? 8 : 0), d, 0, m);
    return;
  }
  const { b } = c;
  const value = getF(c, type, m);
  setF(c, type, d, b.bin(floatOps[type].fpnan1, rounded(c, type, value, rounding), value));
}

/** VRINT<R|X|Z><c>, VRINT<A|N|P|M>. */
const vrintr = (c: ArmContext, f: Unary): void => toIntegral(c, f, currentRounding, false);
const vrintx = (c: ArmContext, f: Unary): void => toIntegral(c, f, currentRounding, true);
const vrintz = (c: ArmContext, f: Unary): void => toIntegral(c, f, Rounding.zero, false);
const vrintDirected = (c: ArmContext, f: Unary & { rm: number }): void => toIntegral(c, f, directed[f.rm]!, false);

interface Fixed {
  readonly sz: number;
  readonly vd: number;
  readonly d: number;
  readonly u: number;
  /** 32-bit rather than 16-bit fixed point. */
  readonly sx: number;
  readonly imm: number;
}

/** imm4:i counts the integer bits. */
const fractionOf = (f: Fixed): number => (f.sx ? 32 : 16) - f.imm;
const fixedOperand = (f: Fixed): number => (fractionOf(f) + 64) | (f.u ? 0 : 0x100) | (f.sx ? 0 : 0x200);

/** VCVT<c>.<S|U><16|32>.F<32|64> Fd, Fd, #fbits. */
function vcvtToFixed(c: ArmContext, f: Fixed): void {
  const type = floatType(f.sz);
  const d = numberF(type, f.vd, f.d);
  const fraction = fractionOf(f);
  if (isSoft(c) || fraction < 0) {
    emitSoft(c, VfpOp.toFixed, type, fixedOperand(f), d, 0, 0);
    return;
  }
  const { b } = c;
  const ops = floatOps[type];
  const scaled = b.bin(ops.mul, getF(c, type, d), powerOfTwo(c, type, fraction));
  const word = b.un(f.u ? ops.toUnsigned : ops.toSigned, scaled);
  const value = f.sx ? word : saturate16(c, word, f.u !== 0);
  if (type === 'f32') b.set32(slotS(d), value);
  else setF(c, 'f64', d, b.un(Op.from_bits_f64, b.un(f.u ? Op.extend_u_i64 : Op.extend_s_i64, value)));
}

function saturate16(c: ArmContext, word: Value, isUnsigned: boolean): Value {
  const { b } = c;
  if (isUnsigned) return b.select(b.bin(Op.gt_u_i32, word, b.i32(0xffff)), b.i32(0xffff), word);
  const high = b.select(b.bin(Op.gt_s_i32, word, b.i32(0x7fff)), b.i32(0x7fff), word);
  return b.select(b.bin(Op.lt_s_i32, high, b.i32(-0x8000)), b.i32(-0x8000), high);
}

/** VCVT<c>.F<32|64>.<S|U><16|32> Fd, Fd, #fbits. */
function vcvtFromFixed(c: ArmContext, f: Fixed): void {
  const type = floatType(f.sz);
  const d = numberF(type, f.vd, f.d);
  const fraction = fractionOf(f);
  if (isSoft(c) || fraction < 0) {
    emitSoft(c, VfpOp.fromFixed, type, fixedOperand(f), d, 0, 0);
    return;
  }
  const { b } = c;
  const ops = floatOps[type];
  const word = type === 'f32' ? b.get32(slotS(d)) : b.un(Op.wrap_i64, b.un(Op.bits_f64, getF(c, 'f64', d)));
  const half = f.u ? b.andImm(word, 0xffff) : b.un(Op.extend16_s_i32, word);
  const value = b.un(f.u ? ops.fromUnsigned : ops.fromSigned, f.sx ? word : half);
  setF(c, type, d, b.bin(ops.mul, value, powerOfTwo(c, type, -fraction)));
}

/** VCVT<B|T><c>.F<32|64>.F16 Fd, Sm. */
function vcvtFromHalf(c: ArmContext, f: Unary & { t: number }): void {
  const type = floatType(f.sz);
  if (f.sz) c.require(Feature.v8);
  emitSoft(c, VfpOp.fromHalf, type, f.t, numberF(type, f.vd, f.d), 0, numberS(f.vm, f.m));
}

/** VCVT<B|T><c>.F16.F<32|64> Sd, Fm. */
function vcvtToHalf(c: ArmContext, f: Unary & { t: number }): void {
  const type = floatType(f.sz);
  if (f.sz) c.require(Feature.v8);
  emitSoft(c, VfpOp.toHalf, type, f.t, numberS(f.vd, f.d), 0, numberF(type, f.vm, f.m));
}

export const conversionRows: readonly RowPair[] = [
  vfp('VCVT (half to floating-point)', '11101 d:1 11 0010 vd:4 101 sz:1 t:1 1 m:1 0 vm:4', vcvtFromHalf),
  vfp('VCVT (floating-point to half)', '11101 d:1 11 0011 vd:4 101 sz:1 t:1 1 m:1 0 vm:4', vcvtToHalf),
  vfp('VCVT (BF16)', '11101 d:1 11 0011 vd:4 1001 t:1 1 m:1 0 vm:4', vcvtToBFloat),
  vfp('VJCVT', '11101 d:1 11 1001 vd:4 1011 11 m:1 0 vm:4', vjcvt),
  vfp('VRINTR', '11101 d:1 11 0110 vd:4 101 sz:1 01 m:1 0 vm:4', vrintr),
  vfp('VRINTZ', '11101 d:1 11 0110 vd:4 101 sz:1 11 m:1 0 vm:4', vrintz),
  vfp('VRINTX', '11101 d:1 11 0111 vd:4 101 sz:1 01 m:1 0 vm:4', vrintx),
  vfp('VCVT (between formats)', '11101 d:1 11 0111 vd:4 101 sz:1 11 m:1 0 vm:4', vcvtFormat),
  vfp('VCVT (integer to floating-point)', '11101 d:1 11 1000 vd:4 101 sz:1 s:1 1 m:1 0 vm:4', vcvtFromInteger),
  vfp('VCVT (floating-point to integer)', '11101 d:1 11 110 s:1 vd:4 101 sz:1 z:1 1 m:1 0 vm:4', vcvtToInteger),
  vfp('VCVT (fixed-point to floating-point)', '11101 d:1 11 101 u:1 vd:4 101 sz:1 sx:1 1 imm:1 0 imm:4', (c, f) =>
    vcvtFromFixed(c, { ...f, imm: swapLow(f.imm) }),
  ),
  vfp('VCVT (floating-point to fixed-point)', '11101 d:1 11 111 u:1 vd:4 101 sz:1 sx:1 1 imm:1 0 imm:4', (c, f) =>
    vcvtToFixed(c, { ...f, imm: swapLow(f.imm) }),
  ),
  vfpAlways('VRINT (directed)', '11101 d:1 11 10 rm:2 vd:4 101 sz:1 01 m:1 0 vm:4', vrintDirected),
  vfpAlways('VCVT (directed)', '11101 d:1 11 11 rm:2 vd:4 101 sz:1 s:1 1 m:1 0 vm:4', vcvtDirected),
];

/** The field as encoded is i:imm4; the number is imm4:i. */
export function swapLow(imm: number): number {
  return ((imm & 15) << 1) | (imm >> 4);
}
