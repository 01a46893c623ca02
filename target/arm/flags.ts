import type { Builder, Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { armState } from './state.ts';

export const slotNf = armState.offset('nf');
export const slotZf = armState.offset('zf');
export const slotCf = armState.offset('cf');
export const slotVf = armState.offset('vf');
export const slotQf = armState.offset('qf');

/** Condition codes (DDI 0406C A8.3). */
export const Cond = {
  eq: 0,
  ne: 1,
  cs: 2,
  cc: 3,
  mi: 4,
  pl: 5,
  vs: 6,
  vc: 7,
  hi: 8,
  ls: 9,
  ge: 10,
  lt: 11,
  gt: 12,
  le: 13,
  al: 14,
} as const;

type Kind = 'none' | 'sub' | 'f32' | 'f64';

/**
 * The condition flags while a block is translated. Every flag write sets the four slots with ordinary IR (a pass drops
 * the dead ones); beside that, the last comparison is remembered with its operands, so that a condition on it becomes
 * one compare. The memory counts only while the slots are known to hold the very values the comparison put there:
 * joins, helpers and other writers thus need no care.
 */
export class Flags {
  private readonly b: Builder;
  /** Counts writes, so that a condition computed before one is not used after it. */
  writes = 0;
  private kind: Kind = 'none';
  private left: Value = -1;
  private right: Value = -1;
  private n: Value = -1;
  private z: Value = -1;
  private c: Value = -1;
  private v: Value = -1;

  constructor(b: Builder) {
    this.b = b;
  }

  /** N and Z from a result. C and V stay. */
  setNz(result: Value): void {
    const { b } = this;
    this.writes++;
    b.set32(slotNf, result);
    b.set32(slotZf, result);
  }

  /** N and Z from the 64-bit result whose words are given. */
  setNz64(low: Value, high: Value): void {
    const { b } = this;
    this.writes++;
    b.set32(slotNf, high);
    b.set32(slotZf, b.or(low, high));
  }

  /** C: 0 or 1. */
  setC(carry: Value): void {
    this.writes++;
    this.b.set32(slotCf, carry);
  }

  getC(): Value {
    return this.b.get32(slotCf);
  }

  /** N Z C V from bits 31:28 of `nzcv`. */
  setNzcv(nzcv: Value): void {
    const { b } = this;
    this.writes++;
    b.set32(slotNf, nzcv);
    b.set32(slotZf, b.andImm(b.not(nzcv), 1 << 30));
    b.set32(slotCf, b.andImm(b.shrUImm(nzcv, 29), 1));
    b.set32(slotVf, b.shlImm(nzcv, 3));
  }

  /** N Z C V in bits 31:28, the rest 0. */
  nzcv(): Value {
    const { b } = this;
    const n = b.andImm(b.get32(slotNf), 1 << 31);
    const z = b.shlImm(b.eqz(b.get32(slotZf)), 30);
    const c = b.shlImm(b.get32(slotCf), 29);
    const v = b.shlImm(b.shrUImm(b.get32(slotVf), 31), 28);
    return b.or(b.or(n, z), b.or(c, v));
  }

  /** Flags of left + right = result. */
  setAdd(left: Value, right: Value, result: Value): void {
    const { b } = this;
    if (b.isConst(right) && b.constOf(right) !== 0 && b.constOf(right) !== 1 << 31) {
      // left + k and left − (−k) set the same flags but for these two k: CMN #k compares with −k.
      this.setSub(left, b.i32(-b.constOf(right)), result);
      return;
    }
    this.setNz(result);
    b.set32(slotCf, b.bin(Op.lt_u_i32, result, left));
    b.set32(slotVf, b.and(b.xor(left, result), b.xor(right, result)));
  }

  /** Flags of left − right = result. */
  setSub(left: Value, right: Value, result: Value): void {
    const { b } = this;
    this.setNz(result);
    b.set32(slotCf, b.isConst(right) && b.constOf(right) === 0 ? b.i32(1) : b.bin(Op.ge_u_i32, left, right));
    b.set32(slotVf, b.and(b.xor(left, right), b.xor(left, result)));
    this.remember('sub', left, right);
  }

  /** Flags of left + right + carry = result, the carry in being 0 or 1. */
  setAdc(left: Value, right: Value, result: Value): void {
    const { b } = this;
    this.setNz(result);
    const carries = b.or(b.and(left, right), b.and(b.or(left, right), b.not(result)));
    b.set32(slotCf, b.shrUImm(carries, 31));
    b.set32(slotVf, b.and(b.xor(left, result), b.xor(right, result)));
  }

  /**
   * APSR flags of a floating-point comparison of left and right (both f32 or both f64), as VCMP and
   * `VMRS APSR_nzcv, FPSCR` together leave them: less 1000, equal 0110, greater 0010, unordered 0011.
   */
  setFloatCompare(type: 'f32' | 'f64', left: Value, right: Value): void {
    const { b } = this;
    const less = b.bin(type === 'f32' ? Op.lt_f32 : Op.lt_f64, left, right);
    const equal = b.bin(type === 'f32' ? Op.eq_f32 : Op.eq_f64, left, right);
    const ge = b.bin(type === 'f32' ? Op.ge_f32 : Op.ge_f64, left, right);
    this.writes++;
    b.set32(slotNf, b.shlImm(less, 31));
    b.set32(slotZf, b.eqz(equal));
    b.set32(slotCf, b.eqz(less));
    b.set32(slotVf, b.shlImm(b.eqz(b.or(less, ge)), 31));
    this.remember(type, left, right);
  }

  private remember(kind: Kind, left: Value, right: Value): void {
    const { b } = this;
    this.kind = kind;
    this.left = left;
    this.right = right;
    this.n = b.known32(slotNf);
    this.z = b.known32(slotZf);
    this.c = b.known32(slotCf);
    this.v = b.known32(slotVf);
  }

  /** A value that is not 0 if and only if the condition (0…13) holds. */
  condition(cond: number): Value {
    const { b } = this;
    const direct = this.fromCompare(cond);
    if (direct >= 0) return direct;
    switch (cond) {
      case Cond.eq:
        return b.eqz(b.get32(slotZf));
      case Cond.ne:
        return b.get32(slotZf);
      case Cond.cs:
        return b.get32(slotCf);
      case Cond.cc:
        return b.eqz(b.get32(slotCf));
      case Cond.mi:
        return b.bin(Op.lt_s_i32, b.get32(slotNf), b.i32(0));
      case Cond.pl:
        return b.bin(Op.ge_s_i32, b.get32(slotNf), b.i32(0));
      case Cond.vs:
        return b.bin(Op.lt_s_i32, b.get32(slotVf), b.i32(0));
      case Cond.vc:
        return b.bin(Op.ge_s_i32, b.get32(slotVf), b.i32(0));
      case Cond.hi:
        return b.and(b.get32(slotCf), this.notZ());
      case Cond.ls:
        return b.eqz(b.and(b.get32(slotCf), this.notZ()));
      case Cond.ge:
        return b.bin(Op.ge_s_i32, this.nXorV(), b.i32(0));
      case Cond.lt:
        return b.bin(Op.lt_s_i32, this.nXorV(), b.i32(0));
      case Cond.gt:
        return b.and(this.notZ(), b.bin(Op.ge_s_i32, this.nXorV(), b.i32(0)));
      case Cond.le:
        return b.or(b.eqz(b.get32(slotZf)), b.bin(Op.lt_s_i32, this.nXorV(), b.i32(0)));
      default:
        return b.i32(1);
    }
  }

  /** The left operand of the remembered comparison. */
  get compared(): Value {
    return this.left;
  }

  /**
   * The highest value `value` can have, unsigned, where condition `cond` holds on the remembered comparison of it with
   * a constant; -1 if that bounds nothing.
   */
  boundUnder(cond: number, value: Value): number {
    const { b } = this;
    if (this.kind !== 'sub' || this.left !== value || !b.isConst(this.right) || !this.holds(cond)) return -1;
    const limit = b.constOf(this.right);
    if (cond === Cond.ls || cond === Cond.eq) return limit >= 0 ? limit : -1;
    return cond === Cond.cc && limit > 0 ? limit - 1 : -1;
  }

  private notZ(): Value {
    return this.b.bin(Op.ne_i32, this.b.get32(slotZf), this.b.i32(0));
  }

  private nXorV(): Value {
    return this.b.xor(this.b.get32(slotNf), this.b.get32(slotVf));
  }

  /** True if the flags `cond` reads are still those of the remembered comparison. */
  private holds(cond: number): boolean {
    const { b } = this;
    const needs = flagsRead[cond >> 1]!;
    return (
      ((needs & 8) === 0 || b.known32(slotNf) === this.n) &&
      ((needs & 4) === 0 || b.known32(slotZf) === this.z) &&
      ((needs & 2) === 0 || b.known32(slotCf) === this.c) &&
      ((needs & 1) === 0 || b.known32(slotVf) === this.v)
    );
  }

  private fromCompare(cond: number): Value {
    if (this.kind === 'none' || cond >= Cond.al || !this.holds(cond)) return -1;
    const { b, left, right } = this;
    if (this.kind === 'sub') {
      const op = subCompare[cond]!;
      if (op < 0) return -1;
      const zero = b.isConst(right) && b.constOf(right) === 0;
      if (zero && cond === Cond.eq) return b.eqz(left);
      if (zero && cond === Cond.ne) return left;
      return b.bin(op, left, right);
    }
    const [op, negated] = (this.kind === 'f32' ? f32Compare : f64Compare)[cond]!;
    if (op < 0) return -1;
    const result = b.bin(op, left, right);
    return negated ? b.eqz(result) : result;
  }
}

/** N Z C V read by each pair of conditions, as bits 3…0. */
const flagsRead = [4, 2, 8, 1, 6, 9, 13];

const subCompare = [
  Op.eq_i32,
  Op.ne_i32,
  Op.ge_u_i32,
  Op.lt_u_i32,
  -1,
  -1,
  -1,
  -1,
  Op.gt_u_i32,
  Op.le_u_i32,
  Op.ge_s_i32,
  Op.lt_s_i32,
  Op.gt_s_i32,
  Op.le_s_i32,
];

/** Per condition: comparison and whether its result is inverted, so that unordered operands come out right. */
const floatCompare = (eq: number, ne: number, lt: number, gt: number, le: number, ge: number) =>
  [
    [eq, false],
    [ne, false],
    [lt, true],
    [lt, false],
    [lt, false],
    [lt, true],
    [-1, false],
    [-1, false],
    [le, true],
    [le, false],
    [ge, false],
    [ge, true],
    [gt, false],
    [gt, true],
  ] as const;
const f32Compare = floatCompare(Op.eq_f32, Op.ne_f32, Op.lt_f32, Op.gt_f32, Op.le_f32, Op.ge_f32);
const f64Compare = floatCompare(Op.eq_f64, Op.ne_f64, Op.lt_f64, Op.gt_f64, Op.le_f64, Op.ge_f64);
