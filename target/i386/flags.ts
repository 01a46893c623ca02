import type { Builder, Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { Eflags, i386State } from './state.ts';

export const slotZf = i386State.offset('zf');
export const slotSf = i386State.offset('sf');
export const slotCf = i386State.offset('cf');
export const slotOf = i386State.offset('of');
export const slotAf = i386State.offset('af');
export const slotDf = i386State.offset('df');
export const slotEflags = i386State.offset('eflags');

/** Condition codes (SDM vol. 2, appendix B.1.4). */
export const Cond = {
  o: 0,
  no: 1,
  b: 2,
  nb: 3,
  z: 4,
  nz: 5,
  be: 6,
  nbe: 7,
  s: 8,
  ns: 9,
  p: 10,
  np: 11,
  l: 12,
  nl: 13,
  le: 14,
  nle: 15,
} as const;

/**
 * The status flags while a block is translated. Every flag write sets the slots with ordinary IR (a pass drops the dead
 * ones); beside that, the last comparison is remembered with its operands, so that a condition on it becomes one
 * compare. The memory counts only while the slots are known to hold the very values the comparison put there.
 *
 * Operands and results of 8 and 16 bits are given sign-extended, which keeps both the signed and the unsigned order.
 */
export class Flags {
  private readonly b: Builder;
  private left: Value = -1;
  private right: Value = -1;
  private z: Value = -1;
  private c: Value = -1;
  private s: Value = -1;
  private o: Value = -1;

  constructor(b: Builder) {
    this.b = b;
  }

  // ---- writing

  /** ZF, SF and PF from a result. */
  setResult(result: Value): void {
    const { b } = this;
    b.set32(slotZf, result);
    b.set32(slotSf, result);
  }

  /** CF: 0 or 1. */
  setCf(carry: Value): void {
    this.b.set32(slotCf, carry);
  }

  /** ZF is set if `zero` is 0. */
  setZf(zero: Value): void {
    this.b.set32(slotZf, zero);
  }

  /** OF: bit 31 of `overflow`. */
  setOf(overflow: Value): void {
    this.b.set32(slotOf, overflow);
  }

  /** AF is bit 4 of left XOR right XOR the result set. */
  private setAf(operands: Value): void {
    this.b.set32(slotAf, operands);
  }

  /** AF is bit 4 of `auxiliary`, after `setResult(result)`. */
  setAuxiliary(auxiliary: Value, result: Value): void {
    this.setAf(this.b.xor(auxiliary, result));
  }

  /** SF OF AF CF PF = 0. */
  setNothing(): void {
    const { b } = this;
    const one = b.i32(1);
    b.set32(slotSf, one);
    b.set32(slotAf, one);
    b.set32(slotCf, b.i32(0));
    b.set32(slotOf, b.i32(0));
  }

  /** AF = 0, after `setResult(result)`. */
  clearAf(result: Value): void {
    this.b.set32(slotAf, result);
  }

  /** left + right = result; `sum` is the result before it was cut to its size and extended. */
  setAdd(left: Value, right: Value, sum: Value, result: Value): void {
    const { b } = this;
    this.setResult(result);
    b.set32(slotCf, b.bin(Op.lt_u_i32, result, left));
    this.setAddOf(left, right, sum, result);
  }

  /** left + right + carry = result. */
  setAdc(left: Value, right: Value, carry: Value, result: Value): void {
    const { b } = this;
    this.setResult(result);
    const wrapped = b.and(carry, b.bin(Op.eq_i32, result, left));
    b.set32(slotCf, b.or(b.bin(Op.lt_u_i32, result, left), wrapped));
    const differ = b.xor(left, right);
    this.setOf(b.and(b.xor(left, result), b.xor(right, result)));
    this.setAf(differ);
  }

  /** INC: all but CF of left + 1. */
  setInc(left: Value, sum: Value, result: Value): void {
    this.setResult(result);
    this.setAddOf(left, this.b.i32(1), sum, result);
    this.remember(left, this.b.i32(-1), unknown);
  }

  private setAddOf(left: Value, right: Value, sum: Value, result: Value): void {
    const { b } = this;
    this.setOf(sum === result ? b.and(b.xor(left, result), b.xor(right, result)) : b.xor(sum, result));
    this.setAf(b.xor(left, right));
  }

  /** left − right = result; `difference` is the result before it was cut to its size and extended. */
  setSub(left: Value, right: Value, difference: Value, result: Value): void {
    const { b } = this;
    this.setResult(result);
    b.set32(slotCf, b.isConst(right) && b.constOf(right) === 0 ? b.i32(0) : b.bin(Op.lt_u_i32, left, right));
    this.setSubOf(left, right, difference, result);
    this.remember(left, right, b.known32(slotCf));
  }

  /** left − right − borrow = result. */
  setSbb(left: Value, right: Value, borrow: Value, result: Value): void {
    const { b } = this;
    this.setResult(result);
    const equal = left === right ? borrow : b.and(borrow, b.bin(Op.eq_i32, left, right));
    b.set32(slotCf, left === right ? borrow : b.or(b.bin(Op.lt_u_i32, left, right), equal));
    const differ = b.xor(left, right);
    this.setOf(b.and(differ, b.xor(left, result)));
    this.setAf(differ);
  }

  /** DEC: all but CF of left − 1. */
  setDec(left: Value, difference: Value, result: Value): void {
    const one = this.b.i32(1);
    this.setResult(result);
    this.setSubOf(left, one, difference, result);
    this.remember(left, one, unknown);
  }

  private setSubOf(left: Value, right: Value, difference: Value, result: Value): void {
    const { b } = this;
    const differ = b.xor(left, right);
    this.setOf(difference === result ? b.and(differ, b.xor(left, result)) : b.xor(difference, result));
    this.setAf(differ);
  }

  /** AND, OR, XOR, TEST: CF = OF = 0; AF, which the manual leaves open, is 0 on all hardware. */
  setLogic(result: Value): void {
    const { b } = this;
    this.setResult(result);
    const zero = b.i32(0);
    b.set32(slotCf, zero);
    b.set32(slotOf, zero);
    this.clearAf(result);
  }

  /** All status flags from bits of an EFLAGS word. */
  setStatus(word: Value): void {
    this.setLow(word);
    this.setOf(this.b.shlImm(word, 20));
  }

  /** SF ZF AF PF CF from the low byte of an EFLAGS word (SAHF). */
  setLow(word: Value): void {
    const { b } = this;
    b.set32(slotZf, b.andImm(b.not(word), Eflags.zf));
    // PF is bit 2: an even number of ones in the low byte is none, an odd one is bit 0.
    const odd = b.andImm(b.shrUImm(b.not(word), 2), 1);
    const sf = b.or(b.shlImm(b.andImm(word, Eflags.sf), 24), odd);
    b.set32(slotSf, sf);
    b.set32(slotCf, b.andImm(word, 1));
    b.set32(slotAf, word);
  }

  // ---- reading

  getCf(): Value {
    return this.b.get32(slotCf);
  }

  /** OF as 0 or 1. */
  getOf(): Value {
    return this.b.shrUImm(this.b.get32(slotOf), 31);
  }

  /** ZF as 0 or 1. */
  getZf(): Value {
    return this.b.eqz(this.b.get32(slotZf));
  }

  /** AF as 0 or 1. */
  getAf(): Value {
    const { b } = this;
    return b.andImm(b.shrUImm(b.xor(b.get32(slotAf), b.get32(slotSf)), 4), 1);
  }

  /** The status flags as bits of an EFLAGS word. */
  status(): Value {
    const { b } = this;
    const of = b.shlImm(this.getOf(), 11);
    return b.or(this.low(), of);
  }

  /** SF ZF AF PF CF in place (LAHF, without bit 1). */
  low(): Value {
    const { b } = this;
    const sf = b.andImm(b.shrUImm(b.get32(slotSf), 24), Eflags.sf);
    const zf = b.shlImm(this.getZf(), 6);
    const af = b.andImm(b.xor(b.get32(slotAf), b.get32(slotSf)), Eflags.af);
    const pf = b.shlImm(b.xor(this.oddParity(), b.i32(1)), 2);
    return b.or(b.or(b.or(sf, zf), b.or(af, pf)), b.get32(slotCf));
  }

  /** 1 if PF is clear, else 0. */
  private oddParity(): Value {
    const { b } = this;
    return b.andImm(b.un(Op.popcnt_i32, b.andImm(b.get32(slotSf), 0xff)), 1);
  }

  /** 1 if the condition holds, else 0. */
  truth(cond: number): Value {
    const { b } = this;
    const value = this.condition(cond);
    // Only these are not comparisons already.
    return cond === Cond.nz ? b.bin(Op.ne_i32, value, b.i32(0)) : value;
  }

  /** A value that is not 0 if and only if the condition (0…15) holds. */
  condition(cond: number): Value {
    const { b } = this;
    const direct = this.fromCompare(cond);
    if (direct >= 0) return direct;
    const odd = (cond & 1) !== 0;
    switch (cond & ~1) {
      case Cond.o:
        return this.sign(b.get32(slotOf), odd);
      case Cond.b:
        return odd ? b.eqz(b.get32(slotCf)) : b.get32(slotCf);
      case Cond.z:
        return odd ? b.get32(slotZf) : b.eqz(b.get32(slotZf));
      case Cond.be: {
        const either = b.or(b.get32(slotCf), b.eqz(b.get32(slotZf)));
        return odd ? b.eqz(either) : either;
      }
      case Cond.s:
        return this.sign(b.get32(slotSf), odd);
      case Cond.p:
        return odd ? this.oddParity() : b.eqz(this.oddParity());
      case Cond.l:
        return this.sign(b.xor(b.get32(slotSf), b.get32(slotOf)), odd);
      default: {
        const zf = b.get32(slotZf);
        const sf = b.get32(slotSf);
        const signs = b.xor(sf, b.get32(slotOf));
        if (zf === signs) return b.bin(odd ? Op.gt_s_i32 : Op.le_s_i32, zf, b.i32(0));
        const either = b.or(b.eqz(zf), this.sign(signs, false));
        return odd ? b.eqz(either) : either;
      }
    }
  }

  /** Bit 31, or its inverse, as 0 or 1. */
  private sign(value: Value, inverted: boolean): Value {
    return this.b.bin(inverted ? Op.ge_s_i32 : Op.lt_s_i32, value, this.b.i32(0));
  }

  // ---- the remembered comparison

  /**
   * The flags are those of comparing left with right; CF is `carry` then. INC and DEC compare with −1 and 1, but leave CF
   * alone.
   */
  private remember(left: Value, right: Value, carry: Value): void {
    const { b } = this;
    this.left = left;
    this.right = right;
    this.z = b.known32(slotZf);
    this.c = carry;
    this.s = b.known32(slotSf);
    this.o = b.known32(slotOf);
  }

  /** Are the flags that `cond` reads still those of the remembered comparison? */
  private holds(cond: number): boolean {
    const { b } = this;
    const needs = flagsRead[cond >> 1]!;
    return (
      ((needs & 1) === 0 || b.known32(slotZf) === this.z) &&
      ((needs & 2) === 0 || b.known32(slotCf) === this.c) &&
      ((needs & 4) === 0 || b.known32(slotSf) === this.s) &&
      ((needs & 8) === 0 || b.known32(slotOf) === this.o)
    );
  }

  private fromCompare(cond: number): Value {
    if (this.left < 0 || flagsRead[cond >> 1] === 0 || !this.holds(cond)) return -1;
    const { b, left, right } = this;
    if (b.isConst(right) && b.constOf(right) === 0) {
      if (cond === Cond.z) return b.eqz(left);
      if (cond === Cond.nz) return left;
    }
    return b.bin(compares[cond]!, left, right);
  }

  /**
   * The highest value `value` can have, unsigned, where condition `cond` holds on the remembered comparison of it with
   * a constant; −1 if that bounds nothing.
   */
  boundUnder(cond: number, value: Value): number {
    const { b } = this;
    if (this.left !== value || !b.isConst(this.right) || flagsRead[cond >> 1] === 0 || !this.holds(cond)) return -1;
    const limit = b.constOf(this.right);
    if (cond === Cond.be || cond === Cond.z) return limit >= 0 ? limit : -1;
    return cond === Cond.b && limit > 0 ? limit - 1 : -1;
  }

  /** The left operand of the remembered comparison. */
  get compared(): Value {
    return this.left;
  }
}

/** No value: never what a slot is known to hold. */
const unknown = -2;

/** ZF CF SF OF (bits 0…3) that each pair of conditions reads; 0 where a comparison of the operands does not tell. */
const flagsRead = [0, 2, 1, 3, 0, 0, 12, 13];

const compares = [
  -1,
  -1,
  Op.lt_u_i32,
  Op.ge_u_i32,
  Op.eq_i32,
  Op.ne_i32,
  Op.le_u_i32,
  Op.gt_u_i32,
  -1,
  -1,
  -1,
  -1,
  Op.lt_s_i32,
  Op.ge_s_i32,
  Op.le_s_i32,
  Op.gt_s_i32,
];
