import type { Builder, Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { clampHalves } from './media-parallel.ts';

/* Saturating arithmetic (DDI 0406C A4.4.4): results clamped, with Q set where that changed them. */

interface Saturated {
  readonly value: Value;
  /** 1 where the true result did not fit. */
  readonly overflow: Value;
}

function saturate(b: Builder, wrapped: Value, overflow: Value): Saturated {
  // A wrapped sum has the wrong sign: the bound is its sign's opposite.
  const bound = b.xor(b.shrSImm(wrapped, 31), b.i32(1 << 31));
  return { value: b.select(overflow, bound, wrapped), overflow };
}

function addSaturated(b: Builder, left: Value, right: Value): Saturated {
  const sum = b.add(left, right);
  return saturate(b, sum, b.shrUImm(b.and(b.xor(sum, left), b.xor(sum, right)), 31));
}

function subSaturated(b: Builder, left: Value, right: Value): Saturated {
  const difference = b.sub(left, right);
  return saturate(b, difference, b.shrUImm(b.and(b.xor(left, right), b.xor(difference, left)), 31));
}

/** QADD, QSUB, QDADD, QDSUB rd, rm, rn: `minus` subtracts, `double` doubles rn first, saturating. */
export function saturatingAddSub(
  c: ArmContext,
  f: { readonly rd: number; readonly rm: number; readonly rn: number; readonly double: number; readonly minus: number },
): void {
  const { b } = c;
  const n = c.reg(f.rn);
  const doubled = f.double ? addSaturated(b, n, n) : undefined;
  const { value, overflow } = (f.minus ? subSaturated : addSaturated)(b, c.reg(f.rm), doubled ? doubled.value : n);
  c.setQ(doubled ? b.or(doubled.overflow, overflow) : overflow);
  c.setReg(f.rd, value);
}

/** Clamps a signed word to [low, high] and sets Q where that changes it. */
function clamp(c: ArmContext, value: Value, low: number, high: number): Value {
  const { b } = c;
  const lowest = b.i32(low);
  const highest = b.i32(high);
  const floored = b.select(b.bin(Op.lt_s_i32, value, lowest), lowest, value);
  const result = b.select(b.bin(Op.gt_s_i32, value, highest), highest, floored);
  c.setQ(b.bin(Op.ne_i32, result, value));
  return result;
}

/** The operand of SSAT and USAT: `sh` 0 LSL #imm, 1 ASR #imm (32 for 0). */
const shifted = (c: ArmContext, f: { readonly rn: number; readonly sh: number; readonly imm: number }): Value =>
  f.sh ? c.b.shrSImm(c.reg(f.rn), f.imm === 0 ? 31 : f.imm) : c.b.shlImm(c.reg(f.rn), f.imm);

interface Saturation {
  readonly rd: number;
  readonly rn: number;
  readonly sat: number;
}

/** SSAT rd, #sat+1, rn{, shift} */
export function ssat(c: ArmContext, f: Saturation & { readonly sh: number; readonly imm: number }): void {
  const value = shifted(c, f);
  c.setReg(f.rd, f.sat === 31 ? value : clamp(c, value, -1 << f.sat, (1 << f.sat) - 1));
}

/** USAT rd, #sat, rn{, shift} */
export function usat(c: ArmContext, f: Saturation & { readonly sh: number; readonly imm: number }): void {
  c.setReg(f.rd, clamp(c, shifted(c, f), 0, 2 ** f.sat - 1));
}

function clampBoth(c: ArmContext, f: Saturation, low: number, high: number): void {
  const { b } = c;
  const value = c.reg(f.rn);
  const result = clampHalves(b, value, low, high);
  c.setQ(b.bin(Op.ne_i32, result, value));
  c.setReg(f.rd, result);
}

/** SSAT16 rd, #sat+1, rn */
export function ssat16(c: ArmContext, f: Saturation): void {
  clampBoth(c, f, -1 << f.sat, (1 << f.sat) - 1);
}

/** USAT16 rd, #sat, rn */
export function usat16(c: ArmContext, f: Saturation): void {
  clampBoth(c, f, 0, (1 << f.sat) - 1);
}
