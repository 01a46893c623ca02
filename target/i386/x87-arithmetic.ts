/**
 * The arithmetic of normal numbers and zeros in the 80-bit format as IR: significands in i64, no helper. What is beyond
 * that (denormals, infinities, NaNs, results out of range) sets `bad`, and `extended.ts` does it.
 */
import type { Builder, Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';

/** A number as a register holds it: the significand (i64) with its integer bit; sign (bit 15) and exponent (i32). */
export interface Extended {
  readonly significand: Value;
  readonly head: Value;
}

/** A rounded number. */
export interface Rounded extends Extended {
  /** i32: not 0 if this is not the result. */
  readonly bad: Value;
  /** i64: not 0 if the result is inexact. */
  readonly rest: Value;
  /** i32, 0 or 1: it was rounded away from zero. */
  readonly up: Value;
}

export const signBit = 0x8000;
const exponentMask = 0x7fff;
export const bias = 16383;

/** Ops of the arithmetic on i64 and i32, in few letters. */
export class Arithmetic {
  readonly b: Builder;

  constructor(b: Builder) {
    this.b = b;
  }

  // ---- i64

  long(low: number, high = low >> 31): Value {
    return this.b.i64(low, high);
  }

  wide(a: Value): Value {
    return this.b.un(Op.extend_u_i64, a);
  }

  narrow(a: Value): Value {
    return this.b.un(Op.wrap_i64, a);
  }

  add(x: Value, y: Value): Value {
    return this.b.bin(Op.add_i64, x, y);
  }

  sub(x: Value, y: Value): Value {
    return this.b.bin(Op.sub_i64, x, y);
  }

  mul(x: Value, y: Value): Value {
    return this.b.bin(Op.mul_i64, x, y);
  }

  and(x: Value, y: Value): Value {
    return this.b.bin(Op.and_i64, x, y);
  }

  or(x: Value, y: Value): Value {
    return this.b.bin(Op.or_i64, x, y);
  }

  xor(x: Value, y: Value): Value {
    return this.b.bin(Op.xor_i64, x, y);
  }

  shl(x: Value, by: Value): Value {
    return this.b.bin(Op.shl_i64, x, by);
  }

  shr(x: Value, by: Value): Value {
    return this.b.bin(Op.shr_u_i64, x, by);
  }

  left(x: Value, by: number): Value {
    return this.shl(x, this.long(by));
  }

  right(x: Value, by: number): Value {
    return this.shr(x, this.long(by));
  }

  isZero(x: Value): Value {
    return this.b.un(Op.eqz_i64, x);
  }

  /** 0 or 1 as i64. */
  bit(condition: Value): Value {
    return this.wide(condition);
  }

  less(x: Value, y: Value): Value {
    return this.b.bin(Op.lt_u_i64, x, y);
  }

  choose(condition: Value, x: Value, y: Value): Value {
    return this.b.emit(Op.select_i64, x, y, condition);
  }

  /** The high 64 bits of x · y, from their halves. */
  mulHigh(x: Value, y: Value): Value {
    const low = this.long(-1, 0);
    const [x1, y1] = [this.right(x, 32), this.right(y, 32)];
    const [x0, y0] = [this.and(x, low), this.and(y, low)];
    const middle = this.add(this.mul(x1, y0), this.right(this.mul(x0, y0), 32));
    const other = this.add(this.mul(x0, y1), this.and(middle, low));
    return this.add(this.add(this.mul(x1, y1), this.right(middle, 32)), this.right(other, 32));
  }

  // ---- i32

  exponent(head: Value): Value {
    return this.b.andImm(head, exponentMask);
  }

  sign(head: Value): Value {
    return this.b.andImm(head, signBit);
  }

  /** 1 unless exponent − 1, unsigned, is less than `limit`. */
  outside(exponent: Value, limit: number): Value {
    return this.b.bin(Op.ge_u_i32, this.b.addImm(exponent, -1), this.b.i32(limit));
  }

  /** 1 unless it is a normal number or a zero. */
  strange({ significand, head }: Extended): Value {
    const { b } = this;
    const exponent = this.exponent(head);
    const normal = b.and(
      b.eqz(this.outside(exponent, exponentMask - 1)),
      b.bin(Op.lt_s_i64, significand, this.long(0)),
    );
    const zero = b.and(this.isZero(significand), b.eqz(exponent));
    return b.eqz(b.or(normal, zero));
  }

  // ---- rounding to nearest

  /**
   * Whether the bits of `rest` (the ones below the last of a number; the lowest is sticky) round up a number whose last
   * bit is `odd` (i64, 0 or 1).
   */
  private roundsUp(rest: Value, odd: Value): Value {
    const halved = this.or(this.right(rest, 1), this.and(rest, this.long(1)));
    return this.b.bin(Op.gt_u_i64, this.add(halved, odd), this.long(0, 0x40000000));
  }

  /**
   * Rounds a significand of 64 bits with `rest` below it to `precision` bits. `zero`: it is one, and its head is
   * `zeroHead`. `sign`: bit 15.
   */
  private round(
    significand: Value,
    rest: Value,
    exponent: Value,
    sign: Value,
    precision: number,
    zero: Value,
    zeroHead: Value,
    bad: Value,
  ): Rounded {
    const { b } = this;
    const dropped = 64 - precision;
    let below = rest;
    let kept = significand;
    if (dropped > 0) {
      const sticky = this.bit(b.bin(Op.ne_i64, rest, this.long(0)));
      below = this.or(this.left(significand, precision), sticky);
      kept = this.left(this.right(significand, dropped), dropped);
    }
    const odd = this.and(dropped > 0 ? this.right(significand, dropped) : significand, this.long(1));
    const up = this.roundsUp(below, odd);
    const sum = this.add(kept, dropped > 0 ? this.left(this.bit(up), dropped) : this.bit(up));
    const carry = this.isZero(sum);
    const rounded = this.or(sum, this.left(this.bit(carry), 63));
    const final = b.add(exponent, carry);
    return {
      significand: this.choose(zero, this.long(0), rounded),
      head: b.select(zero, zeroHead, b.or(sign, final)),
      bad: b.or(bad, b.and(this.outside(final, exponentMask - 1), b.eqz(zero))),
      rest: below,
      up,
    };
  }

  // ---- operations

  /** x + y, or x − y. */
  sum(x: Extended, y: Extended, subtract: boolean, precision: number): Rounded {
    const { b } = this;
    const headY = subtract ? b.xor(y.head, b.i32(signBit)) : y.head;
    const [ex, ey] = [this.exponent(x.head), this.exponent(headY)];
    const swap = b.or(
      b.bin(Op.lt_u_i32, ex, ey),
      b.and(b.bin(Op.eq_i32, ex, ey), this.less(x.significand, y.significand)),
    );
    const larger = this.choose(swap, y.significand, x.significand);
    const smaller = this.choose(swap, x.significand, y.significand);
    const head = b.select(swap, headY, x.head);
    const exponent = this.exponent(head);
    const difference = b.sub(ex, ey);
    const fill = b.shrSImm(difference, 31);
    const distance = b.sub(b.xor(difference, fill), fill);
    // What is far below the last bit counts as little more than nothing. In between it is seldom.
    const tiny = b.bin(Op.gt_u_i32, distance, b.i32(65));
    const aligned = this.choose(tiny, this.bit(b.bin(Op.ne_i64, smaller, this.long(0))), smaller);
    const shift = b.select(tiny, b.i32(63), distance);
    const bad = b.bin(Op.gt_u_i32, shift, b.i32(63));
    // Both with a bit more above them, and 63 below: high and low word.
    const by = this.wide(shift);
    const high = this.shr(this.right(aligned, 1), by);
    const low = this.shl(aligned, this.xor(by, this.long(63)));
    // Negated where the signs differ.
    const opposite = b.shrSImm(b.shlImm(b.xor(x.head, headY), 16), 31);
    const mask = b.un(Op.extend_s_i64, opposite);
    const addedLow = this.sub(this.xor(low, mask), mask);
    const addedHigh = this.add(this.xor(high, mask), this.bit(b.and(this.isZero(low), opposite)));
    const sumLow = this.add(this.left(larger, 63), addedLow);
    const carry = this.bit(this.less(sumLow, addedLow));
    const sumHigh = this.add(this.add(this.right(larger, 1), addedHigh), carry);
    const short = this.isZero(sumHigh);
    const top = this.choose(short, sumLow, sumHigh);
    const under = this.choose(short, this.long(0), sumLow);
    const zeros = b.un(Op.clz_i64, top);
    const significand = this.or(this.shl(top, zeros), this.shr(this.right(under, 1), this.xor(zeros, this.long(63))));
    const rest = this.shl(under, zeros);
    const moved = b.sub(b.sub(b.addImm(exponent, 1), this.narrow(zeros)), b.shlImm(short, 6));
    const zeroHead = this.sign(b.and(x.head, headY));
    return this.round(significand, rest, moved, this.sign(head), precision, this.isZero(top), zeroHead, bad);
  }

  product(x: Extended, y: Extended, precision: number): Rounded {
    const { b } = this;
    const high = this.mulHigh(x.significand, y.significand);
    const low = this.mul(x.significand, y.significand);
    const zeros = this.xor(this.right(high, 63), this.long(1));
    const significand = this.or(this.shl(high, zeros), this.shr(this.right(low, 1), this.xor(zeros, this.long(63))));
    const rest = this.shl(low, zeros);
    const exponents = b.add(this.exponent(x.head), this.exponent(y.head));
    const exponent = b.sub(b.addImm(exponents, 1 - bias), this.narrow(zeros));
    const sign = this.sign(b.xor(x.head, y.head));
    return this.round(significand, rest, exponent, sign, precision, this.isZero(high), sign, b.i32(0));
  }

  /** x / y; bad if y is 0. */
  quotient(x: Extended, y: Extended, precision: number): Rounded {
    const { b } = this;
    const divisor = y.significand;
    const less = this.less(x.significand, divisor);
    const lessBit = this.bit(less);
    // The dividend is less than the divisor · 2^64.
    const high = this.shr(x.significand, this.xor(lessBit, this.long(1)));
    const low = this.shl(this.and(x.significand, this.xor(lessBit, this.long(1))), this.long(63));
    const first = this.digit(high, this.right(low, 32), divisor);
    const second = this.digit(first.rest, this.and(low, this.long(-1, 0)), divisor);
    const significand = this.add(this.left(first.digit, 32), second.digit);
    const left = second.rest;
    const overHalf = this.bit(b.eqz(this.less(left, this.sub(divisor, left))));
    const rest = this.or(this.left(overHalf, 63), this.bit(b.bin(Op.ne_i64, left, this.long(0))));
    const exponents = b.sub(this.exponent(x.head), this.exponent(y.head));
    const exponent = b.sub(b.addImm(exponents, bias), less);
    const sign = this.sign(b.xor(x.head, y.head));
    const zero = this.isZero(x.significand);
    return this.round(significand, rest, exponent, sign, precision, zero, sign, this.isZero(divisor));
  }

  /** A digit of 32 bits of a quotient (Knuth 4.3.1, D): (high · 2^32 + next) / divisor, where high < divisor. */
  private digit(high: Value, next: Value, divisor: Value): { digit: Value; rest: Value } {
    const { b } = this;
    // Where the divisor is 0 this must not trap.
    const d1 = this.or(this.right(divisor, 32), this.long(-0x80000000, 0));
    const d0 = this.and(divisor, this.long(-1, 0));
    let digit = b.bin(Op.div_u_i64, high, d1);
    let left = this.sub(high, this.mul(digit, d1));
    for (let round = 0; round < 2; round++) {
      const fits = this.isZero(this.right(left, 32));
      const over = b.or(
        b.bin(Op.ne_i64, this.right(digit, 32), this.long(0)),
        this.less(this.or(this.left(left, 32), next), this.mul(digit, d0)),
      );
      const less = this.bit(round === 0 ? over : b.and(over, fits));
      digit = this.sub(digit, less);
      left = this.add(left, this.and(d1, this.sub(this.long(0), less)));
    }
    return { digit, rest: this.sub(this.or(this.left(high, 32), next), this.mul(digit, divisor)) };
  }

  /** Bad for negative numbers but −0. */
  root(x: Extended, precision: number): Rounded {
    const { b } = this;
    const { significand, head } = x;
    const zero = this.isZero(significand);
    // The radicand is significand · 2^64, or 2^63 where the exponent is even (the bias is odd).
    const odd = b.eqz(b.andImm(head, 1));
    const oddBit = this.bit(odd);
    const single = this.xor(oddBit, this.long(1));
    const radicandHigh = this.shr(significand, single);
    const radicandLow = this.left(this.and(significand, single), 63);
    const scale = b.emit(Op.select_f64, b.f64Bits(0, 0x43f00000), b.f64Bits(0, 0x43e00000), odd);
    const radicand = b.bin(Op.mul_f64, b.un(Op.convert_u_i64_f64, significand), scale);
    const estimate = b.un(Op.sqrt_f64, radicand);
    const guess = b.un(Op.trunc_sat_u_f64_i64, estimate);
    const remainder = (root: Value): [high: Value, low: Value] => {
      const squareLow = this.mul(root, root);
      const borrow = this.bit(this.less(radicandLow, squareLow));
      const high = this.sub(this.sub(radicandHigh, this.mulHigh(root, root)), borrow);
      return [high, this.sub(radicandLow, squareLow)];
    };
    // The guess is right to 2^12; one step of Newton's method leaves it right or one too small.
    const [errorHigh, errorLow] = remainder(guess);
    const error = b.bin(
      Op.add_f64,
      b.bin(Op.mul_f64, b.un(Op.convert_s_i64_f64, errorHigh), b.f64Bits(0, 0x43f00000)),
      b.un(Op.convert_u_i64_f64, errorLow),
    );
    const step = b.bin(Op.div_f64, error, b.bin(Op.add_f64, estimate, estimate));
    const below = b.un(Op.floor_f64, b.bin(Op.sub_f64, step, b.f64Bits(0, 0x3fd00000)));
    const close = this.add(guess, b.un(Op.trunc_sat_s_f64_i64, below));
    const [high, low] = remainder(close);
    // One more where the remainder is above twice the root.
    const twiceHigh = this.right(close, 63);
    const twiceLow = this.left(close, 1);
    const one = this.bit(
      b.or(this.less(twiceHigh, high), b.and(b.bin(Op.eq_i64, high, twiceHigh), this.less(twiceLow, low))),
    );
    const root = this.add(close, one);
    const mask = this.sub(this.long(0), one);
    const taken = this.add(twiceLow, this.long(1));
    const lastLow = this.sub(low, this.and(taken, mask));
    const borrow = this.and(this.bit(this.less(low, taken)), one);
    const lastHigh = this.sub(this.sub(high, this.and(twiceHigh, mask)), borrow);
    const over = b.or(b.eqz(this.isZero(lastHigh)), this.less(root, lastLow));
    const inexact = b.bin(Op.ne_i64, this.or(lastHigh, lastLow), this.long(0));
    const rest = this.or(this.left(this.bit(over), 63), this.bit(inexact));
    const exponent = b.shrUImm(b.addImm(this.exponent(head), bias), 1);
    const bad = b.and(b.eqz(zero), b.shrUImm(this.sign(head), 15));
    return this.round(root, rest, exponent, b.i32(0), precision, zero, head, bad);
  }

  // ---- formats

  /** A double's bits (i64); bad if it is neither normal nor zero. */
  fromDouble(bits: Value): Extended & { bad: Value } {
    const { b } = this;
    const biased = b.andImm(this.narrow(this.right(bits, 52)), 0x7ff);
    const sign = this.sign(this.narrow(this.right(bits, 48)));
    return this.loaded(this.left(bits, 11), this.isZero(this.left(bits, 1)), biased, sign, 0x7ff);
  }

  /** A single's bits (i32). */
  fromSingle(bits: Value): Extended & { bad: Value } {
    const { b } = this;
    const biased = b.andImm(b.shrUImm(bits, 23), 0xff);
    const sign = this.sign(b.shrUImm(bits, 16));
    return this.loaded(this.left(this.wide(bits), 40), b.eqz(b.shlImm(bits, 1)), biased, sign, 0xff);
  }

  private loaded(fraction: Value, zero: Value, biased: Value, sign: Value, top: number): Extended & { bad: Value } {
    const { b } = this;
    const significand = this.or(fraction, this.long(0, -0x80000000));
    return {
      significand: this.choose(zero, this.long(0), significand),
      head: b.or(sign, b.select(zero, b.i32(0), b.addImm(biased, bias - (top >> 1)))),
      bad: b.and(this.outside(biased, top - 1), b.eqz(zero)),
    };
  }

  /** A signed integer (i64). */
  fromInteger(value: Value): Extended {
    const { b } = this;
    const fill = b.bin(Op.shr_s_i64, value, this.long(63));
    const magnitude = this.sub(this.xor(value, fill), fill);
    const zeros = b.un(Op.clz_i64, magnitude);
    const exponent = b.sub(b.i32(bias + 63), this.narrow(zeros));
    const sign = this.sign(this.narrow(fill));
    return {
      significand: this.shl(magnitude, zeros),
      head: b.select(this.isZero(magnitude), b.i32(0), b.or(sign, exponent)),
    };
  }

  /** A double's bits (i64) or a single's (i32): bad where it does not fit among the normal ones. */
  toDouble(x: Extended): { bits: Value; bad: Value; rest: Value; up: Value } {
    const { significand, rest, up, biased, bad, zero } = this.stored(x, 11, 0x7ff);
    const sign = this.left(this.wide(this.sign(x.head)), 48);
    // The integer bit adds one to the exponent.
    const magnitude = this.add(this.left(this.wide(this.b.addImm(biased, -1)), 52), significand);
    return { bits: this.or(sign, this.choose(zero, this.long(0), magnitude)), bad, rest, up };
  }

  toSingle(x: Extended): { bits: Value; bad: Value; rest: Value; up: Value } {
    const { b } = this;
    const { significand, rest, up, biased, bad, zero } = this.stored(x, 40, 0xff);
    const magnitude = b.add(b.shlImm(b.addImm(biased, -1), 23), this.narrow(significand));
    const bits = b.or(b.shlImm(this.sign(x.head), 16), b.select(zero, b.i32(0), magnitude));
    return { bits, bad, rest, up };
  }

  private stored({ significand, head }: Extended, dropped: number, top: number) {
    const { b } = this;
    const whole = this.right(significand, dropped);
    const rest = this.left(significand, 64 - dropped);
    const up = this.roundsUp(rest, this.and(whole, this.long(1)));
    const biased = b.addImm(this.exponent(head), (top >> 1) - bias);
    const zero = this.isZero(significand);
    // The highest exponent is left out: rounding might lead beyond it.
    const bad = b.and(this.outside(biased, top - 2), b.eqz(zero));
    return { significand: this.add(whole, this.bit(up)), rest, up, biased, bad, zero };
  }

  /** An integer of `bytes`, as i64: bad if it does not fit. `nearest` (i32, 0 or 1): rounded so, else cut off. */
  toInteger(x: Extended, bytes: number, nearest: Value): { value: Value; bad: Value; rest: Value; up: Value } {
    const { b } = this;
    const { significand, head } = x;
    // What is less than a half counts as little more than nothing, at 2^−1.
    const power = b.addImm(this.exponent(head), -bias);
    const small = b.bin(Op.lt_s_i32, power, b.i32(-1));
    const kept = this.choose(small, this.bit(b.eqz(this.isZero(significand))), significand);
    const shift = this.wide(b.select(small, b.i32(0), b.addImm(power, 1)));
    const whole = this.shr(this.right(kept, 1), this.sub(this.long(63), shift));
    const rest = this.shl(kept, shift);
    const up = b.and(this.roundsUp(rest, this.and(whole, this.long(1))), nearest);
    const magnitude = this.add(whole, this.bit(up));
    const mask = this.sub(this.long(0), this.bit(b.shrUImm(this.sign(head), 15)));
    const value = this.sub(this.xor(magnitude, mask), mask);
    const large = b.bin(Op.gt_s_i32, power, b.i32(62));
    if (bytes === 8) return { value, bad: b.or(large, b.bin(Op.lt_s_i64, magnitude, this.long(0))), rest, up };
    const low = this.narrow(value);
    const fitting = b.un(Op.extend_s_i64, bytes === 2 ? b.un(Op.extend16_s_i32, low) : low);
    return { value, bad: b.or(large, b.bin(Op.ne_i64, value, fitting)), rest, up };
  }

  // ---- comparison

  /** i32, 0 or 1: x = y, x < y. */
  compare(x: Extended, y: Extended): { equal: Value; less: Value } {
    const { b } = this;
    const [ex, ey] = [this.exponent(x.head), this.exponent(y.head)];
    const sameExponent = b.bin(Op.eq_i32, ex, ey);
    const same = b.and(sameExponent, b.bin(Op.eq_i64, x.significand, y.significand));
    const smaller = b.or(b.bin(Op.lt_u_i32, ex, ey), b.and(sameExponent, this.less(x.significand, y.significand)));
    const negative = b.shrUImm(this.sign(x.head), 15);
    const opposite = b.shrUImm(this.sign(b.xor(x.head, y.head)), 15);
    const zeros = this.isZero(this.or(x.significand, y.significand));
    const equal = b.and(same, b.or(b.eqz(opposite), zeros));
    const unequal = b.select(opposite, negative, b.xor(smaller, negative));
    return { equal, less: b.and(unequal, b.eqz(equal)) };
  }
}
