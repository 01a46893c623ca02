/**
 * IEEE 754 arithmetic as the ARM pseudocode has it (DDI 0406C A2.7): every rounding mode, flush-to-zero, default NaN
 * and the cumulative flags, for any binary format. Clear rather than fast: values are exact BigInt ratios rounded once.
 * Native operations serve the usual mode; this serves the others and is the reference of the tests.
 */
import { bitLength, integerSqrt } from '#util/big-integer.ts';

/** A binary interchange format. */
export interface FloatFormat {
  readonly bits: number;
  readonly exponentBits: number;
  readonly fractionBits: number;
}

export const float16: FloatFormat = { bits: 16, exponentBits: 5, fractionBits: 10 };
export const float32: FloatFormat = { bits: 32, exponentBits: 8, fractionBits: 23 };
export const float64: FloatFormat = { bits: 64, exponentBits: 11, fractionBits: 52 };

/** FPSCR.RMode, round half away from zero (VCVTA, VRINTA), and to odd with overflow to infinity (BFloat16 products). */
export const Rounding = { nearest: 0, plus: 1, minus: 2, zero: 3, away: 4, odd: 6 } as const;

/** Cumulative exception flags, FPSCR bits in place. */
export const FpFlag = {
  invalid: 1,
  divideByZero: 2,
  overflow: 4,
  underflow: 8,
  inexact: 16,
  inputDenormal: 128,
} as const;

/** What an operation reads of FPSCR, and the flags it adds to. */
export interface FloatEnv {
  rounding: number;
  flushToZero: boolean;
  /** FPSCR.FZ16, in arithmetic on half precision; conversions flush nothing. */
  flushHalf: boolean;
  defaultNan: boolean;
  /** FPSCR.AHP: the half-precision format without infinities and NaNs. */
  alternativeHalf: boolean;
  flags: number;
}

/** Fills `env` from an FPSCR value; its flags start at 0. */
export function readEnv(env: FloatEnv, fpscr: number): FloatEnv {
  env.rounding = (fpscr >>> 22) & 3;
  env.flushToZero = (fpscr & (1 << 24)) !== 0;
  env.defaultNan = (fpscr & (1 << 25)) !== 0;
  env.alternativeHalf = (fpscr & (1 << 26)) !== 0;
  env.flushHalf = false;
  env.flags = 0;
  return env;
}

/** The same for arithmetic on half precision, which knows no alternative format. */
export function readHalfEnv(env: FloatEnv, fpscr: number): FloatEnv {
  readEnv(env, fpscr);
  env.alternativeHalf = false;
  env.flushHalf = (fpscr & (1 << 19)) !== 0;
  return env;
}

const flushes = (format: FloatFormat, env: FloatEnv): boolean => (format === float16 ? env.flushHalf : env.flushToZero);

export const newEnv = (fpscr = 0): FloatEnv =>
  readEnv(
    { rounding: 0, flushToZero: false, flushHalf: false, defaultNan: false, alternativeHalf: false, flags: 0 },
    fpscr,
  );

type Kind = 'zero' | 'number' | 'infinity' | 'quiet' | 'signalling';

/** A number is significand · 2^exponent; of a NaN the significand is the fraction field. */
interface Unpacked {
  readonly kind: Kind;
  readonly sign: boolean;
  readonly exponent: number;
  readonly significand: bigint;
}

const isNan = (x: Unpacked): boolean => x.kind === 'quiet' || x.kind === 'signalling';
const minExponent = (format: FloatFormat): number => 2 - (1 << (format.exponentBits - 1));
const maxExponent = (format: FloatFormat): number => (1 << (format.exponentBits - 1)) - 1;
const signBit = (format: FloatFormat): bigint => 1n << BigInt(format.bits - 1);
const quietBit = (format: FloatFormat): bigint => 1n << BigInt(format.fractionBits - 1);
const exponentOnes = (format: FloatFormat): bigint =>
  ((1n << BigInt(format.exponentBits)) - 1n) << BigInt(format.fractionBits);

const signed = (format: FloatFormat, sign: boolean, magnitude: bigint): bigint =>
  sign ? magnitude | signBit(format) : magnitude;
const zero = (format: FloatFormat, sign: boolean): bigint => signed(format, sign, 0n);
const infinity = (format: FloatFormat, sign: boolean): bigint => signed(format, sign, exponentOnes(format));
export const defaultNan = (format: FloatFormat): bigint => exponentOnes(format) | quietBit(format);
export const negate = (format: FloatFormat, value: bigint): bigint => value ^ signBit(format);

function unpack(format: FloatFormat, bits: bigint, env: FloatEnv): Unpacked {
  const sign = (bits & signBit(format)) !== 0n;
  const fractionBits = BigInt(format.fractionBits);
  const fraction = bits & ((1n << fractionBits) - 1n);
  const biased = Number((bits & ~signBit(format)) >> fractionBits);
  const top = (1 << format.exponentBits) - 1;
  if (biased === 0) {
    if (fraction === 0n) return { kind: 'zero', sign, exponent: 0, significand: 0n };
    if (flushes(format, env)) {
      if (format !== float16) env.flags |= FpFlag.inputDenormal;
      return { kind: 'zero', sign, exponent: 0, significand: 0n };
    }
    return { kind: 'number', sign, exponent: minExponent(format) - format.fractionBits, significand: fraction };
  }
  if (biased === top && !(format === float16 && env.alternativeHalf)) {
    if (fraction === 0n) return { kind: 'infinity', sign, exponent: 0, significand: 0n };
    return { kind: fraction & quietBit(format) ? 'quiet' : 'signalling', sign, exponent: 0, significand: fraction };
  }
  const exponent = biased - 1 + minExponent(format) - format.fractionBits;
  return { kind: 'number', sign, exponent, significand: fraction | (1n << fractionBits) };
}

/** Whether a significand cut off above `rest` of 2^shift (sticky: something non-zero below) rounds up. */
function roundsUp(
  rounding: number,
  sign: boolean,
  odd: boolean,
  rest: bigint,
  shift: number,
  sticky: boolean,
): boolean {
  if (rest === 0n && !sticky) return false;
  if (rounding === Rounding.plus) return !sign;
  if (rounding === Rounding.minus) return sign;
  if (rounding === Rounding.zero) return false;
  if (rounding === Rounding.odd) return !odd;
  if (shift <= 0) return false;
  const half = 1n << BigInt(shift - 1);
  if (rest !== half) return rest > half;
  return sticky || rounding === Rounding.away || odd;
}

/**
 * FPRound: ±(significand + a little if sticky) · 2^exponent to the format. With `sticky` the significand must have at
 * least two bits more than the format.
 */
function round(
  format: FloatFormat,
  sign: boolean,
  significand: bigint,
  exponent: number,
  sticky: boolean,
  env: FloatEnv,
): bigint {
  const { fractionBits } = format;
  const top = exponent + bitLength(significand) - 1;
  const tiny = top < minExponent(format);
  if (tiny && flushes(format, env)) {
    env.flags |= FpFlag.underflow;
    return zero(format, sign);
  }
  let unit = (tiny ? minExponent(format) : top) - fractionBits;
  const shift = unit - exponent;
  let result = shift > 0 ? significand >> BigInt(shift) : significand << BigInt(-shift);
  const rest = shift > 0 ? significand - (result << BigInt(shift)) : 0n;
  const inexact = rest !== 0n || sticky;
  if (roundsUp(env.rounding, sign, (result & 1n) !== 0n, rest, shift, sticky)) {
    result += 1n;
    if (bitLength(result) > fractionBits + 1) {
      result >>= 1n;
      unit++;
    }
  }
  const alternative = format === float16 && env.alternativeHalf;
  if (result !== 0n && unit + fractionBits > maxExponent(format) + (alternative ? 1 : 0))
    return overflow(format, sign, env);
  if (inexact) env.flags |= tiny ? FpFlag.underflow | FpFlag.inexact : FpFlag.inexact;
  const hidden = 1n << BigInt(fractionBits);
  if (result < hidden) return signed(format, sign, result);
  const biased = BigInt(unit + fractionBits - minExponent(format) + 1);
  return signed(format, sign, (biased << BigInt(fractionBits)) | (result - hidden));
}

function overflow(format: FloatFormat, sign: boolean, env: FloatEnv): bigint {
  if (format === float16 && env.alternativeHalf) {
    env.flags |= FpFlag.invalid;
    return signed(format, sign, 0x7fffn);
  }
  env.flags |= FpFlag.overflow | FpFlag.inexact;
  const toInfinity =
    env.rounding === Rounding.nearest ||
    env.rounding === Rounding.away ||
    env.rounding === Rounding.odd ||
    (env.rounding === Rounding.plus && !sign) ||
    (env.rounding === Rounding.minus && sign);
  return toInfinity ? infinity(format, sign) : signed(format, sign, exponentOnes(format) - 1n);
}

function invalid(format: FloatFormat, env: FloatEnv): bigint {
  env.flags |= FpFlag.invalid;
  return defaultNan(format);
}

/** FPProcessNaNs over operands in order of precedence; undefined where none is a NaN. */
function processNans(format: FloatFormat, env: FloatEnv, operands: readonly Unpacked[]): bigint | undefined {
  const chosen = operands.find((x) => x.kind === 'signalling') ?? operands.find((x) => x.kind === 'quiet');
  if (!chosen) return undefined;
  if (chosen.kind === 'signalling') env.flags |= FpFlag.invalid;
  if (env.defaultNan) return defaultNan(format);
  return signed(format, chosen.sign, exponentOnes(format) | quietBit(format) | chosen.significand);
}

/** The exact sum of two numbers (either may be zero), rounded. */
function roundedSum(format: FloatFormat, x: Unpacked, y: Unpacked, env: FloatEnv): bigint {
  const exponent = Math.min(x.significand ? x.exponent : y.exponent, y.significand ? y.exponent : x.exponent);
  const align = (v: Unpacked): bigint => {
    if (v.significand === 0n) return 0n;
    const magnitude = v.significand << BigInt(v.exponent - exponent);
    return v.sign ? -magnitude : magnitude;
  };
  const sum = align(x) + align(y);
  if (sum !== 0n) return round(format, sum < 0n, sum < 0n ? -sum : sum, exponent, false, env);
  const sign = x.sign === y.sign ? x.sign : env.rounding === Rounding.minus;
  return zero(format, sign);
}

export function add(format: FloatFormat, a: bigint, b: bigint, env: FloatEnv): bigint {
  const x = unpack(format, a, env);
  const y = unpack(format, b, env);
  const nan = processNans(format, env, [x, y]);
  if (nan !== undefined) return nan;
  if (x.kind === 'infinity') {
    return y.kind === 'infinity' && y.sign !== x.sign ? invalid(format, env) : infinity(format, x.sign);
  }
  if (y.kind === 'infinity') return infinity(format, y.sign);
  return roundedSum(format, x, y, env);
}

/** a − b; a NaN b keeps its sign. */
export function sub(format: FloatFormat, a: bigint, b: bigint, env: FloatEnv): bigint {
  const y = unpack(format, b, { ...env });
  return add(format, a, isNan(y) ? b : negate(format, b), env);
}

export function mul(format: FloatFormat, a: bigint, b: bigint, env: FloatEnv): bigint {
  const x = unpack(format, a, env);
  const y = unpack(format, b, env);
  const nan = processNans(format, env, [x, y]);
  if (nan !== undefined) return nan;
  const sign = x.sign !== y.sign;
  if (x.kind === 'infinity' || y.kind === 'infinity') {
    return x.kind === 'zero' || y.kind === 'zero' ? invalid(format, env) : infinity(format, sign);
  }
  if (x.kind === 'zero' || y.kind === 'zero') return zero(format, sign);
  return round(format, sign, x.significand * y.significand, x.exponent + y.exponent, false, env);
}

export function div(format: FloatFormat, a: bigint, b: bigint, env: FloatEnv): bigint {
  const x = unpack(format, a, env);
  const y = unpack(format, b, env);
  const nan = processNans(format, env, [x, y]);
  if (nan !== undefined) return nan;
  const sign = x.sign !== y.sign;
  if (x.kind === 'infinity') return y.kind === 'infinity' ? invalid(format, env) : infinity(format, sign);
  if (y.kind === 'infinity') return zero(format, sign);
  if (y.kind === 'zero') {
    if (x.kind === 'zero') return invalid(format, env);
    env.flags |= FpFlag.divideByZero;
    return infinity(format, sign);
  }
  if (x.kind === 'zero') return zero(format, sign);
  // Scale so that the quotient has at least fractionBits + 3 bits.
  const scale = Math.max(0, format.fractionBits + 4 + bitLength(y.significand) - bitLength(x.significand));
  const dividend = x.significand << BigInt(scale);
  const quotient = dividend / y.significand;
  const sticky = quotient * y.significand !== dividend;
  return round(format, sign, quotient, x.exponent - y.exponent - scale, sticky, env);
}

export function sqrt(format: FloatFormat, a: bigint, env: FloatEnv): bigint {
  const x = unpack(format, a, env);
  const nan = processNans(format, env, [x]);
  if (nan !== undefined) return nan;
  if (x.kind === 'zero') return zero(format, x.sign);
  if (x.sign) return invalid(format, env);
  if (x.kind === 'infinity') return infinity(format, false);
  let scale = Math.max(0, 2 * (format.fractionBits + 4) - bitLength(x.significand));
  if ((x.exponent - scale) & 1) scale++;
  const radicand = x.significand << BigInt(scale);
  const root = integerSqrt(radicand);
  return round(format, false, root, (x.exponent - scale) / 2, root * root !== radicand, env);
}

/** FPMulAdd: addend + a · b, rounded once. */
export function fma(format: FloatFormat, addend: bigint, a: bigint, b: bigint, env: FloatEnv): bigint {
  const z = unpack(format, addend, env);
  const x = unpack(format, a, env);
  const y = unpack(format, b, env);
  const infinite = x.kind === 'infinity' || y.kind === 'infinity';
  const infTimesZero = infinite && (x.kind === 'zero' || y.kind === 'zero');
  const nan = processNans(format, env, [z, x, y]);
  if (z.kind === 'quiet' && infTimesZero) return invalid(format, env);
  if (nan !== undefined) return nan;
  const sign = x.sign !== y.sign;
  if (infTimesZero || (infinite && z.kind === 'infinity' && z.sign !== sign)) return invalid(format, env);
  if (z.kind === 'infinity') return infinity(format, z.sign);
  if (infinite) return infinity(format, sign);
  const product: Unpacked = {
    kind: x.kind === 'zero' || y.kind === 'zero' ? 'zero' : 'number',
    sign,
    exponent: x.exponent + y.exponent,
    significand: x.significand * y.significand,
  };
  return roundedSum(format, z, product, env);
}

/** FPCompare: N Z C V in bits 3:0. `signalQuiet`: quiet NaNs are invalid too (VCMPE). */
export function compare(format: FloatFormat, a: bigint, b: bigint, signalQuiet: boolean, env: FloatEnv): number {
  const x = unpack(format, a, env);
  const y = unpack(format, b, env);
  if (isNan(x) || isNan(y)) {
    if (signalQuiet || x.kind === 'signalling' || y.kind === 'signalling') env.flags |= FpFlag.invalid;
    return 0b0011;
  }
  const order = orderOf(x) - orderOf(y);
  if (order !== 0) return order < 0 ? 0b1000 : 0b0010;
  if (x.kind !== 'number') return 0b0110;
  const shared = Math.min(x.exponent, y.exponent);
  const p = x.significand << BigInt(x.exponent - shared);
  const q = y.significand << BigInt(y.exponent - shared);
  if (p === q) return 0b0110;
  return p < q !== x.sign ? 0b1000 : 0b0010;
}

/** Rank by sign and kind: numbers of equal rank still have to be compared. */
function orderOf(x: Unpacked): number {
  if (x.kind === 'zero') return 0;
  const rank = x.kind === 'infinity' ? 2 : 1;
  return x.sign ? -rank : rank;
}

/** FPMax, FPMin; `number`: a lone quiet NaN loses (VMAXNM, VMINNM). */
export function minMax(
  format: FloatFormat,
  a: bigint,
  b: bigint,
  max: boolean,
  number: boolean,
  env: FloatEnv,
): bigint {
  const x = unpack(format, a, { ...env });
  const y = unpack(format, b, { ...env });
  if (number && x.kind === 'quiet' && !isNan(y)) return minMax(format, infinity(format, max), b, max, false, env);
  if (number && y.kind === 'quiet' && !isNan(x)) return minMax(format, a, infinity(format, max), max, false, env);
  const p = unpack(format, a, env);
  const q = unpack(format, b, env);
  const nan = processNans(format, env, [p, q]);
  if (nan !== undefined) return nan;
  const order = compare(format, a, b, false, { ...env });
  if (order === 0b0110 && p.kind === 'zero') return zero(format, max ? p.sign && q.sign : p.sign || q.sign);
  const chosen = (order === 0b0010) === max ? a : b;
  const kept = chosen === a ? p : q;
  return kept.kind === 'zero' ? zero(format, kept.sign) : chosen;
}

/** FPConvert between formats: NaNs keep the top of their payload. */
export function convert(from: FloatFormat, to: FloatFormat, a: bigint, env: FloatEnv): bigint {
  const x = unpack(from, a, env);
  const alternative = to === float16 && env.alternativeHalf;
  if (isNan(x)) {
    if (x.kind === 'signalling' || alternative) env.flags |= FpFlag.invalid;
    if (alternative) return zero(to, x.sign);
    if (env.defaultNan) return defaultNan(to);
    const shift = to.fractionBits - from.fractionBits;
    const payload = shift >= 0 ? x.significand << BigInt(shift) : x.significand >> BigInt(-shift);
    return signed(to, x.sign, exponentOnes(to) | quietBit(to) | payload);
  }
  if (x.kind === 'zero') return zero(to, x.sign);
  if (x.kind === 'infinity') {
    if (!alternative) return infinity(to, x.sign);
    env.flags |= FpFlag.invalid;
    return signed(to, x.sign, 0x7fffn);
  }
  return round(to, x.sign, x.significand, x.exponent, false, env);
}

/** |x| · 2^scale as an integer, rounded; and whether that was inexact. */
function toIntegerMagnitude(x: Unpacked, scale: number, rounding: number): { magnitude: bigint; inexact: boolean } {
  const shift = -(x.exponent + scale);
  if (shift <= 0) return { magnitude: x.significand << BigInt(-shift), inexact: false };
  const whole = x.significand >> BigInt(shift);
  const rest = x.significand - (whole << BigInt(shift));
  const up = roundsUp(rounding, x.sign, (whole & 1n) !== 0n, rest, shift, false);
  return { magnitude: up ? whole + 1n : whole, inexact: rest !== 0n };
}

/** FPToFixed: x · 2^fraction rounded and saturated to an integer of `width` bits; NaN gives 0. */
export function toFixed(
  format: FloatFormat,
  a: bigint,
  width: number,
  fraction: number,
  isSigned: boolean,
  rounding: number,
  env: FloatEnv,
): bigint {
  const x = unpack(format, a, env);
  if (isNan(x)) {
    env.flags |= FpFlag.invalid;
    return 0n;
  }
  if (x.kind === 'zero') return 0n;
  const high = isSigned ? (1n << BigInt(width - 1)) - 1n : (1n << BigInt(width)) - 1n;
  const low = isSigned ? -(1n << BigInt(width - 1)) : 0n;
  const huge = x.kind === 'infinity' || x.exponent + fraction > 64;
  const { magnitude, inexact } = huge
    ? { magnitude: 1n << 70n, inexact: false }
    : toIntegerMagnitude(x, fraction, rounding);
  const value = x.sign ? -magnitude : magnitude;
  if (value > high || value < low) {
    env.flags |= FpFlag.invalid;
    return value > high ? high : low;
  }
  if (inexact) env.flags |= FpFlag.inexact;
  return value;
}

/** FixedToFP: the integer `value` · 2^−fraction. */
export function fromFixed(format: FloatFormat, value: bigint, fraction: number, env: FloatEnv): bigint {
  if (value === 0n) return 0n;
  return round(format, value < 0n, value < 0n ? -value : value, -fraction, false, env);
}

/** FPRoundInt; `exact`: an inexact result sets IXC (VRINTX). */
export function roundToIntegral(
  format: FloatFormat,
  a: bigint,
  rounding: number,
  exact: boolean,
  env: FloatEnv,
): bigint {
  const x = unpack(format, a, env);
  const nan = processNans(format, env, [x]);
  if (nan !== undefined) return nan;
  if (x.kind === 'zero') return zero(format, x.sign);
  if (x.kind === 'infinity' || x.exponent >= 0) return a;
  const { magnitude, inexact } = toIntegerMagnitude(x, 0, rounding);
  if (exact && inexact) env.flags |= FpFlag.inexact;
  if (magnitude === 0n) return zero(format, x.sign);
  const plain = { ...env, flushToZero: false, flushHalf: false, rounding: Rounding.nearest };
  return round(format, x.sign, magnitude, 0, false, plain);
}

/** FPToFixedJS: toward zero modulo 2^32. `exact` if the value was that integer, and not −0. */
export function toInt32Modulo(format: FloatFormat, a: bigint, env: FloatEnv): { bits: bigint; exact: boolean } {
  const x = unpack(format, a, env);
  if (isNan(x) || x.kind === 'infinity') {
    env.flags |= FpFlag.invalid;
    return { bits: 0n, exact: false };
  }
  if (x.kind === 'zero') return { bits: 0n, exact: !x.sign };
  const { magnitude, inexact } = toIntegerMagnitude(x, 0, Rounding.zero);
  const value = x.sign ? -magnitude : magnitude;
  const fits = value >= -(1n << 31n) && value < 1n << 31n;
  if (!fits) env.flags |= FpFlag.invalid;
  else if (inexact) env.flags |= FpFlag.inexact;
  return { bits: BigInt.asUintN(32, value), exact: fits && !inexact };
}

/** The upper half of a single: an exponent as wide, a shorter fraction. */
export const bfloat16: FloatFormat = { bits: 16, exponentBits: 8, fractionBits: 7 };

/** FPConvertBF: a single to BFloat16. */
export const toBFloat16 = (a: bigint, env: FloatEnv): bigint => convert(float32, bfloat16, a, env);
