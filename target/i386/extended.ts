/**
 * The arithmetic of the x87 unit on its 80-bit numbers (SDM vol. 1, chapters 4 and 8), exact: rounding and precision
 * control, NaNs and unsupported encodings, denormals, and the exception flags. Clear rather than fast: values are
 * BigInt ratios that are rounded once. Generated code serves the usual case; this serves the others.
 *
 * A number is a BigInt of 80 bits as FSTP m80 stores it: sign, exponent (15 bits), significand with its integer bit (64).
 */
import { bitLength, integerSqrt } from '#util/big-integer.ts';

/** RC of the control word. */
export const X87Rounding = { nearest: 0, down: 1, up: 2, zero: 3 } as const;

/** Exception flags, at the places of the status word (and, as masks, of the control word). */
export const X87Flag = {
  invalid: 1,
  denormal: 2,
  divideByZero: 4,
  overflow: 8,
  underflow: 16,
  precision: 32,
} as const;

/** What an operation reads of the control word, and what it tells for the status word. */
export interface X87Env {
  /** `X87Rounding`. */
  rounding: number;
  /** Bits of the significand by PC: 24, 53 or 64. */
  precision: number;
  /** The masks of the control word, by `X87Flag`: an exception whose bit is clear gives its unmasked result. */
  masks: number;
  /** Raised so far. */
  flags: number;
  /** C1: the last rounding went away from zero. */
  roundedUp: boolean;
}

/** Bits of the significand by PC; the reserved value 1 works as 64 does. */
const precisions = [24, 64, 53, 64] as const;

/** Fills `env` from a control word; nothing is raised. */
export function readX87Env(env: X87Env, controlWord: number): X87Env {
  env.rounding = (controlWord >>> 10) & 3;
  env.precision = precisions[(controlWord >>> 8) & 3]!;
  env.masks = controlWord & 0x3f;
  env.flags = 0;
  env.roundedUp = false;
  return env;
}

export const newX87Env = (controlWord = 0x37f): X87Env =>
  readX87Env({ rounding: 0, precision: 64, masks: 0x3f, flags: 0, roundedUp: false }, controlWord);

type Kind = 'zero' | 'number' | 'infinity' | 'quiet' | 'signalling' | 'unsupported';

/** A number is significand · 2^exponent; of a NaN the significand is what is encoded, with its integer bit. */
export interface UnpackedExtended {
  readonly kind: Kind;
  readonly sign: boolean;
  readonly exponent: number;
  readonly significand: bigint;
}

/** A format results are rounded to; exponents are those of a significand 1 ≤ s < 2. */
export interface Destination {
  /** Bits of a normal significand. */
  readonly width: number;
  readonly minExponent: number;
  readonly maxExponent: number;
}

const extended: Destination = { width: 64, minExponent: -16382, maxExponent: 16383 };
export const single: Destination = { width: 24, minExponent: -126, maxExponent: 127 };
export const double: Destination = { width: 53, minExponent: -1022, maxExponent: 1023 };

const bias = 16383;
const integerBit = 1n << 63n;
const quietBit = 1n << 62n;
const significandMask = (1n << 64n) - 1n;
const signBit = 1n << 79n;
/** By how much the exponent of an unmasked overflow or underflow is wrapped (SDM vol. 1, 8.5.4). */
const exponentWrap = 24576;

/** The real indefinite, the answer to an invalid operation. */
export const indefinite = (0xffffn << 64n) | (integerBit | quietBit);

const packed = (sign: boolean, biased: number, significand: bigint): bigint =>
  (sign ? signBit : 0n) | (BigInt(biased) << 64n) | significand;
export const zeroExtended = (sign: boolean): bigint => packed(sign, 0, 0n);
export const infinityExtended = (sign: boolean): bigint => packed(sign, 0x7fff, integerBit);

export function unpackExtended(bits: bigint): UnpackedExtended {
  const sign = (bits & signBit) !== 0n;
  const biased = Number((bits >> 64n) & 0x7fffn);
  const significand = bits & significandMask;
  const of = (kind: Kind, exponent = 0): UnpackedExtended => ({ kind, sign, exponent, significand });
  if (biased === 0) return significand === 0n ? of('zero') : of('number', 1 - bias - 63);
  if ((significand & integerBit) === 0n) return of('unsupported');
  if (biased !== 0x7fff) return of('number', biased - bias - 63);
  if (significand === integerBit) return of('infinity');
  return of(significand & quietBit ? 'quiet' : 'signalling');
}

const isNan = (x: UnpackedExtended): boolean => x.kind === 'quiet' || x.kind === 'signalling';
/** Is it a NaN of either kind? */
export const isNanExtended = (bits: bigint): boolean => isNan(unpackExtended(bits));
/** Denormal or pseudo-denormal: the exponent field is 0. */
const isDenormal = (bits: bigint): boolean => (bits & (0x7fffn << 64n)) === 0n && (bits & significandMask) !== 0n;

export function invalidOperation(env: X87Env): bigint {
  env.flags |= X87Flag.invalid;
  return indefinite;
}

/** What becomes of NaNs and unsupported operands (SDM vol. 1, table 4-7); undefined where there are none. */
export function processNans(x: UnpackedExtended, y: UnpackedExtended, env: X87Env): bigint | undefined {
  if (x.kind === 'unsupported' || y.kind === 'unsupported') return invalidOperation(env);
  if (!isNan(x) && !isNan(y)) return undefined;
  if (x.kind === 'signalling' || y.kind === 'signalling') env.flags |= X87Flag.invalid;
  const quieted = (nan: UnpackedExtended): bigint => packed(nan.sign, 0x7fff, nan.significand | quietBit);
  if (!isNan(y)) return quieted(x);
  if (!isNan(x)) return quieted(y);
  if (x.kind !== y.kind) return quieted(x.kind === 'quiet' ? x : y);
  if (x.significand !== y.significand) return quieted(x.significand > y.significand ? x : y);
  return quieted(x.sign ? y : x);
}

/** Raises the denormal flag for operands that are; to be called where no NaN and no invalid operation comes first. */
export function noteDenormals(env: X87Env, a: bigint, b = 0n): void {
  if (isDenormal(a) || isDenormal(b)) env.flags |= X87Flag.denormal;
}

/** significand · 2^exponent cut to whole units of 2^unit and rounded; `sticky`: it is a little more. */
export function roundAt(
  sign: boolean,
  significand: bigint,
  exponent: number,
  unit: number,
  sticky: boolean,
  rounding: number,
): { whole: bigint; inexact: boolean; up: boolean } {
  const shift = unit - exponent;
  if (shift <= 0 && !sticky) return { whole: significand << BigInt(-shift), inexact: false, up: false };
  if (shift <= 0) throw new Error('a sticky significand has too few bits');
  const whole = significand >> BigInt(shift);
  const rest = significand - (whole << BigInt(shift));
  if (rest === 0n && !sticky) return { whole, inexact: false, up: false };
  const half = 1n << BigInt(shift - 1);
  const up =
    rounding === X87Rounding.nearest
      ? rest > half || (rest === half && (sticky || (whole & 1n) !== 0n))
      : rounding === (sign ? X87Rounding.down : X87Rounding.up);
  return { whole: up ? whole + 1n : whole, inexact: true, up };
}

/** A rounded result: whole · 2^unit, or infinity. */
interface Rounded {
  readonly whole: bigint;
  readonly unit: number;
  readonly infinite: boolean;
}

const infiniteResult: Rounded = { whole: 0n, unit: 0, infinite: true };

/**
 * Rounds ±(significand + a little if sticky) · 2^exponent to `precision` bits in `to`. With `sticky` the significand
 * must have at least two bits more. Tininess is seen after rounding. `wrap`: unmasked overflow and underflow wrap the
 * exponent (results in registers), else they leave the rounding to the caller as if masked.
 */
function round(
  to: Destination,
  precision: number,
  sign: boolean,
  significand: bigint,
  exponent: number,
  sticky: boolean,
  env: X87Env,
  wrap: boolean,
): Rounded {
  const top = exponent + bitLength(significand) - 1;
  let unit = top - (precision - 1);
  let result = roundAt(sign, significand, exponent, unit, sticky, env.rounding);
  const roundedTop = bitLength(result.whole) > precision ? top + 1 : top;
  if (roundedTop < to.minExponent) {
    if (wrap && (env.masks & X87Flag.underflow) === 0) {
      env.flags |= X87Flag.underflow;
      if (roundedTop + exponentWrap < to.minExponent) {
        // FSCALE can go further than that.
        env.flags |= X87Flag.precision;
        return { whole: 0n, unit, infinite: false };
      }
      return { whole: finish(result, env), unit: unit + exponentWrap, infinite: false };
    }
    unit = Math.max(unit, to.minExponent - (precision - 1));
    result = roundAt(sign, significand, exponent, unit, sticky, env.rounding);
    if (result.inexact || (env.masks & X87Flag.underflow) === 0) env.flags |= X87Flag.underflow;
    return { whole: finish(result, env), unit, infinite: false };
  }
  if (roundedTop <= to.maxExponent) return { whole: finish(result, env), unit, infinite: false };
  env.flags |= X87Flag.overflow;
  const wrapped = wrap && (env.masks & X87Flag.overflow) === 0;
  if (wrapped && roundedTop - exponentWrap <= to.maxExponent) {
    return { whole: finish(result, env), unit: unit - exponentWrap, infinite: false };
  }
  env.flags |= X87Flag.precision;
  const away =
    wrapped || env.rounding === X87Rounding.nearest || env.rounding === (sign ? X87Rounding.down : X87Rounding.up);
  env.roundedUp = away;
  if (away) return infiniteResult;
  return { whole: (1n << BigInt(precision)) - 1n, unit: to.maxExponent - (precision - 1), infinite: false };
}

function finish(result: { whole: bigint; inexact: boolean; up: boolean }, env: X87Env): bigint {
  if (result.inexact) env.flags |= X87Flag.precision;
  env.roundedUp = result.up;
  return result.whole;
}

/** Packs ±whole · 2^unit, which fits. */
function packNumber(sign: boolean, whole: bigint, unit: number): bigint {
  if (whole === 0n) return zeroExtended(sign);
  const length = bitLength(whole);
  const top = unit + length - 1;
  if (top < extended.minExponent) return packed(sign, 0, whole << BigInt(unit - (extended.minExponent - 63)));
  const significand = length > 64 ? whole >> BigInt(length - 64) : whole << BigInt(64 - length);
  return packed(sign, top + bias, significand);
}

/** `round` for results that are not kept in registers: nothing wraps. */
export const roundTo = (
  to: Destination,
  precision: number,
  sign: boolean,
  significand: bigint,
  exponent: number,
  sticky: boolean,
  env: X87Env,
): Rounded => round(to, precision, sign, significand, exponent, sticky, env, false);

/** Rounds to `precision` bits (by default what the control word says) of the register format. */
export function roundExtended(
  sign: boolean,
  significand: bigint,
  exponent: number,
  sticky: boolean,
  env: X87Env,
  precision = env.precision,
): bigint {
  const { whole, unit, infinite } = round(extended, precision, sign, significand, exponent, sticky, env, true);
  return infinite ? infinityExtended(sign) : packNumber(sign, whole, unit);
}

export const negateExtended = (bits: bigint): bigint => bits ^ signBit;
export const absoluteExtended = (bits: bigint): bigint => bits & ~signBit;

export function add(a: bigint, b: bigint, env: X87Env): bigint {
  return addSigned(a, unpackExtended(b), b, env);
}

/** a − b; a NaN b keeps its sign. */
export function sub(a: bigint, b: bigint, env: X87Env): bigint {
  const y = unpackExtended(b);
  return addSigned(a, isNan(y) ? y : { ...y, sign: !y.sign }, b, env);
}

function addSigned(a: bigint, y: UnpackedExtended, b: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const nan = processNans(x, y, env);
  if (nan !== undefined) return nan;
  if (x.kind === 'infinity' && y.kind === 'infinity' && x.sign !== y.sign) return invalidOperation(env);
  noteDenormals(env, a, b);
  if (x.kind === 'infinity' || y.kind === 'infinity') return infinityExtended(x.kind === 'infinity' ? x.sign : y.sign);
  if (x.kind === 'zero' && y.kind === 'zero') return zeroExtended(sumOfZeros(x.sign, y.sign, env));
  const exponent = Math.min(x.kind === 'zero' ? y.exponent : x.exponent, y.kind === 'zero' ? x.exponent : y.exponent);
  const align = (v: UnpackedExtended): bigint => {
    if (v.kind === 'zero') return 0n;
    const magnitude = v.significand << BigInt(v.exponent - exponent);
    return v.sign ? -magnitude : magnitude;
  };
  const sum = align(x) + align(y);
  if (sum === 0n) return zeroExtended(sumOfZeros(x.sign, y.sign, env));
  return roundExtended(sum < 0n, sum < 0n ? -sum : sum, exponent, false, env);
}

const sumOfZeros = (a: boolean, b: boolean, env: X87Env): boolean => (a === b ? a : env.rounding === X87Rounding.down);

export function mul(a: bigint, b: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const y = unpackExtended(b);
  const nan = processNans(x, y, env);
  if (nan !== undefined) return nan;
  const sign = x.sign !== y.sign;
  const infinite = x.kind === 'infinity' || y.kind === 'infinity';
  const zero = x.kind === 'zero' || y.kind === 'zero';
  if (infinite && zero) return invalidOperation(env);
  noteDenormals(env, a, b);
  if (infinite) return infinityExtended(sign);
  if (zero) return zeroExtended(sign);
  return roundExtended(sign, x.significand * y.significand, x.exponent + y.exponent, false, env);
}

export function div(a: bigint, b: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const y = unpackExtended(b);
  const nan = processNans(x, y, env);
  if (nan !== undefined) return nan;
  const sign = x.sign !== y.sign;
  if (x.kind === 'infinity' ? y.kind === 'infinity' : x.kind === 'zero' && y.kind === 'zero')
    return invalidOperation(env);
  if (y.kind === 'zero' && x.kind === 'number') {
    env.flags |= X87Flag.divideByZero;
    return infinityExtended(sign);
  }
  noteDenormals(env, a, b);
  if (x.kind === 'infinity' || y.kind === 'zero') return infinityExtended(sign);
  if (y.kind === 'infinity' || x.kind === 'zero') return zeroExtended(sign);
  const scale = Math.max(0, 68 + bitLength(y.significand) - bitLength(x.significand));
  const dividend = x.significand << BigInt(scale);
  const quotient = dividend / y.significand;
  const sticky = quotient * y.significand !== dividend;
  return roundExtended(sign, quotient, x.exponent - y.exponent - scale, sticky, env);
}

export function sqrt(a: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const nan = processNans(x, x, env);
  if (nan !== undefined) return nan;
  if (x.kind === 'zero') return a;
  if (x.sign) return invalidOperation(env);
  noteDenormals(env, a);
  if (x.kind === 'infinity') return a;
  let scale = Math.max(0, 2 * 68 - bitLength(x.significand));
  if ((x.exponent - scale) & 1) scale++;
  const radicand = x.significand << BigInt(scale);
  const root = integerSqrt(radicand);
  return roundExtended(false, root, (x.exponent - scale) / 2, root * root !== radicand, env);
}

/** How a number compares with another. */
export const X87Order = { greater: 0, less: 1, equal: 2, unordered: 3 } as const;
export type X87Order = (typeof X87Order)[keyof typeof X87Order];

/** FCOM, or FUCOM with `quiet`: a quiet NaN is no invalid operation there. */
export function compare(a: bigint, b: bigint, quiet: boolean, env: X87Env): X87Order {
  const x = unpackExtended(a);
  const y = unpackExtended(b);
  const strange = (v: UnpackedExtended): boolean => isNan(v) || v.kind === 'unsupported';
  if (strange(x) || strange(y)) {
    const silent = quiet && (x.kind === 'quiet' || !strange(x)) && (y.kind === 'quiet' || !strange(y));
    if (!silent) env.flags |= X87Flag.invalid;
    return X87Order.unordered;
  }
  noteDenormals(env, a, b);
  const difference = compareMagnitudes(x, y);
  const order =
    x.sign === y.sign
      ? x.sign
        ? -difference
        : difference
      : x.kind === 'zero' && y.kind === 'zero'
        ? 0
        : x.sign
          ? -1
          : 1;
  if (order === 0) return X87Order.equal;
  return order < 0 ? X87Order.less : X87Order.greater;
}

/** Sign of |x| − |y| for what is not a NaN. */
function compareMagnitudes(x: UnpackedExtended, y: UnpackedExtended): number {
  const rank = (v: UnpackedExtended): number => (v.kind === 'zero' ? 0 : v.kind === 'infinity' ? 2 : 1);
  if (rank(x) !== rank(y)) return rank(x) - rank(y);
  if (x.kind !== 'number') return 0;
  const shared = Math.min(x.exponent, y.exponent);
  const p = x.significand << BigInt(x.exponent - shared);
  const q = y.significand << BigInt(y.exponent - shared);
  return p < q ? -1 : p > q ? 1 : 0;
}

/** FRNDINT. */
export function roundToInteger(a: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const nan = processNans(x, x, env);
  if (nan !== undefined) return nan;
  if (x.kind !== 'number') return a;
  noteDenormals(env, a);
  if (x.exponent >= 0) return a;
  const result = roundAt(x.sign, x.significand, x.exponent, 0, false, env.rounding);
  return packNumber(x.sign, finish(result, env), 0);
}

/** FSCALE: a · 2^trunc(b). */
export function scale(a: bigint, b: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const y = unpackExtended(b);
  const nan = processNans(x, y, env);
  if (nan !== undefined) return nan;
  if (y.kind === 'infinity') {
    if (y.sign ? x.kind === 'infinity' : x.kind === 'zero') return invalidOperation(env);
    noteDenormals(env, a);
    return y.sign ? zeroExtended(x.sign) : infinityExtended(x.sign);
  }
  noteDenormals(env, a, b);
  if (x.kind !== 'number') return a;
  const power = y.kind === 'zero' ? 0 : truncated(y, 1 << 17);
  return roundExtended(x.sign, x.significand, x.exponent + power, false, env, 64);
}

/** The integer part of a number, kept within ±limit. */
function truncated(y: UnpackedExtended, limit: number): number {
  const top = y.exponent + bitLength(y.significand) - 1;
  const magnitude =
    top > 20
      ? limit
      : Number(y.exponent >= 0 ? y.significand << BigInt(y.exponent) : y.significand >> BigInt(-y.exponent));
  return y.sign ? -Math.min(limit, magnitude) : Math.min(limit, magnitude);
}

/** FXTRACT: the exponent as a number, and the significand. */
export function extract(a: bigint, env: X87Env): { exponent: bigint; significand: bigint } {
  const x = unpackExtended(a);
  const nan = processNans(x, x, env);
  if (nan !== undefined) return { exponent: nan, significand: nan };
  if (x.kind === 'infinity') return { exponent: infinityExtended(false), significand: a };
  if (x.kind === 'zero') {
    env.flags |= X87Flag.divideByZero;
    return { exponent: infinityExtended(true), significand: a };
  }
  noteDenormals(env, a);
  const length = bitLength(x.significand);
  const top = x.exponent + length - 1;
  return {
    exponent: fromInteger(BigInt(top)),
    significand: packed(x.sign, bias, x.significand << BigInt(64 - length)),
  };
}

/** What FPREM and FPREM1 leave: C2 if the reduction is not complete, else the low three bits of the quotient. */
export interface Remainder {
  readonly value: bigint;
  readonly partial: boolean;
  readonly quotient: number;
}

/** FPREM (`nearest` false: truncating) and FPREM1. */
export function remainder(a: bigint, b: bigint, nearest: boolean, env: X87Env): Remainder {
  const of = (value: bigint, quotient = 0, partial = false): Remainder => ({ value, partial, quotient });
  const x = unpackExtended(a);
  const y = unpackExtended(b);
  const nan = processNans(x, y, env);
  if (nan !== undefined) return of(nan);
  if (x.kind === 'infinity' || y.kind === 'zero') return of(invalidOperation(env));
  noteDenormals(env, a, b);
  if (x.kind === 'zero') return of(a);
  // A pseudo-denormal comes back as the normal number it is.
  const unchanged = (): Remainder => of(roundExtended(x.sign, x.significand, x.exponent, false, env, 64));
  if (y.kind === 'infinity') return unchanged();
  const topOf = (v: UnpackedExtended): number => v.exponent + bitLength(v.significand) - 1;
  const difference = topOf(x) - topOf(y);
  if (difference < -1) return unchanged();
  if (difference >= 64) {
    // A step reduces the exponent by 32 to 63; this many keep the next difference in the same phase as hardware does.
    const cut = difference - (32 + (difference & 31));
    const shift = x.exponent - y.exponent - cut;
    const dividend = shift >= 0 ? x.significand << BigInt(shift) : x.significand;
    const divisor = shift >= 0 ? y.significand : y.significand << BigInt(-shift);
    const unit = (shift >= 0 ? y.exponent : x.exponent - cut) + cut;
    const rest = dividend % divisor;
    if (rest === 0n) return of(zeroExtended(x.sign), 0, true);
    return of(roundExtended(x.sign, rest, unit, false, env, 64), 0, true);
  }
  const unit = Math.min(x.exponent, y.exponent);
  const dividend = x.significand << BigInt(x.exponent - unit);
  const divisor = y.significand << BigInt(y.exponent - unit);
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let sign = x.sign;
  if (nearest && (2n * rest > divisor || (2n * rest === divisor && (quotient & 1n) !== 0n))) {
    quotient += 1n;
    rest = divisor - rest;
    sign = !sign;
  }
  if (rest === 0n) return of(zeroExtended(x.sign), Number(quotient & 7n));
  return of(roundExtended(sign, rest, unit, false, env, 64), Number(quotient & 7n));
}

/** FILD: exact. */
export function fromInteger(value: bigint): bigint {
  return packNumber(value < 0n, value < 0n ? -value : value, 0);
}

/**
 * FIST, or FISTTP with truncation: an integer of `width` bits as two's complement. What does not fit is an invalid
 * operation and the most negative integer.
 */
export function toInteger(a: bigint, width: number, rounding: number, env: X87Env): bigint {
  const x = unpackExtended(a);
  const least = -(1n << BigInt(width - 1));
  if (x.kind === 'zero') return 0n;
  if (x.kind === 'number' && x.exponent + bitLength(x.significand) - 1 <= width) {
    const result = roundAt(x.sign, x.significand, x.exponent, 0, false, rounding);
    const value = x.sign ? -result.whole : result.whole;
    if (value >= least && value < -least) {
      finish(result, env);
      return value;
    }
  }
  env.flags |= X87Flag.invalid;
  return least;
}

/** FLD of a single (8 exponent bits) or double: a denormal is noted; with `quiet` a signalling NaN is raised and made quiet. */
function load(bits: bigint, exponentBits: number, fractionBits: number, env: X87Env, quiet: boolean): bigint {
  const sign = bits >> BigInt(exponentBits + fractionBits) !== 0n;
  const top = (1 << exponentBits) - 1;
  const biased = Number((bits >> BigInt(fractionBits)) & BigInt(top));
  const fraction = bits & ((1n << BigInt(fractionBits)) - 1n);
  const shifted = fraction << BigInt(63 - fractionBits);
  if (biased === top) {
    if (quiet && fraction !== 0n && (shifted & quietBit) === 0n) env.flags |= X87Flag.invalid;
    return packed(sign, 0x7fff, integerBit | shifted | (quiet && fraction !== 0n ? quietBit : 0n));
  }
  if (biased !== 0) return packed(sign, biased - (top >> 1) + bias, integerBit | shifted);
  if (fraction !== 0n) env.flags |= X87Flag.denormal;
  return packNumber(sign, fraction, 2 - (1 << (exponentBits - 1)) - fractionBits);
}

export const fromSingle = (bits: bigint, env: X87Env, quiet = true): bigint => load(bits, 8, 23, env, quiet);
export const fromDouble = (bits: bigint, env: X87Env, quiet = true): bigint => load(bits, 11, 52, env, quiet);

/** FST to a single or double. With an unmasked exception in the flags nothing is to be stored. */
function store(a: bigint, to: Destination, exponentBits: number, env: X87Env): bigint {
  const fractionBits = BigInt(to.width - 1);
  const x = unpackExtended(a);
  const ones = ((1n << BigInt(exponentBits)) - 1n) << fractionBits;
  const place = (sign: boolean, magnitude: bigint): bigint =>
    sign ? magnitude | (1n << (fractionBits + BigInt(exponentBits))) : magnitude;
  switch (x.kind) {
    case 'zero':
      return place(x.sign, 0n);
    case 'infinity':
      return place(x.sign, ones);
    case 'unsupported':
      env.flags |= X87Flag.invalid;
      return place(true, ones | (1n << (fractionBits - 1n)));
    case 'quiet':
    case 'signalling':
      if (x.kind === 'signalling') env.flags |= X87Flag.invalid;
      return place(x.sign, ones | (((x.significand | quietBit) & ~integerBit) >> (63n - fractionBits)));
    case 'number': {
      const { whole, unit, infinite } = round(to, to.width, x.sign, x.significand, x.exponent, false, env, false);
      if (infinite) return place(x.sign, ones);
      const length = bitLength(whole);
      if (unit + length - 1 < to.minExponent) return place(x.sign, whole);
      const fraction = (length > to.width ? whole >> 1n : whole << BigInt(to.width - length)) - (1n << fractionBits);
      return place(x.sign, (BigInt(unit + length - 1 - to.minExponent + 1) << fractionBits) | fraction);
    }
  }
}

export const toSingle = (a: bigint, env: X87Env): bigint => store(a, single, 8, env);
export const toDouble = (a: bigint, env: X87Env): bigint => store(a, double, 11, env);

/** FBLD: 18 decimal digits, two to a byte, and the sign in the top bit of the tenth. */
export function fromBcd(bits: bigint): bigint {
  let value = 0n;
  for (let digit = 17n; digit >= 0n; digit--) value = value * 10n + ((bits >> (4n * digit)) & 15n);
  return packNumber(((bits >> 79n) & 1n) !== 0n, value, 0);
}

/** FBSTP: an integer of 18 decimal digits; what does not fit is an invalid operation and the BCD indefinite. */
export function toBcd(a: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  if (x.kind === 'zero') return x.sign ? signBit : 0n;
  if (x.kind === 'number' && x.exponent + bitLength(x.significand) <= 61) {
    const result = roundAt(x.sign, x.significand, x.exponent, 0, false, env.rounding);
    if (result.whole < 10n ** 18n) {
      let bits = 0n;
      let rest = finish(result, env);
      for (let at = 0n; rest !== 0n; at += 4n, rest /= 10n) bits |= (rest % 10n) << at;
      return x.sign ? bits | signBit : bits;
    }
  }
  env.flags |= X87Flag.invalid;
  return 0xffffc000000000000000n;
}

/** FXAM's C3 C2 C0, as bits 2, 1 and 0. */
export function classify(a: bigint): number {
  switch (unpackExtended(a).kind) {
    case 'unsupported':
      return 0b000;
    case 'quiet':
    case 'signalling':
      return 0b001;
    case 'infinity':
      return 0b011;
    case 'zero':
      return 0b100;
    case 'number':
      return isDenormal(a) ? 0b110 : 0b010;
  }
}
