/**
 * SSE floating point as MXCSR has it (SDM vol. 1, 10.2.3 and 11.5): rounding modes, denormals as zeros, flush to zero,
 * and the exception flags. Exact and slow; the usual mode runs on native operations (`sse-float.ts`).
 */
import { bitLength, integerSqrt } from '#util/big-integer.ts';
import { type Destination, double, newX87Env, roundAt, roundTo, single, type X87Env, X87Flag } from './extended.ts';

/** A format: bits of the fraction and of the exponent, and what results are rounded to. */
export interface SseFormat {
  readonly fractionBits: bigint;
  readonly exponentBits: bigint;
  readonly destination: Destination;
}

export const float32: SseFormat = { fractionBits: 23n, exponentBits: 8n, destination: single };
export const float64: SseFormat = { fractionBits: 52n, exponentBits: 11n, destination: double };

/** MXCSR: its flags, and their masks 7 bits higher, are ordered as those of the x87 control word are. */
export const Mxcsr = { denormalsAreZero: 0x40, masks: 0x1f80, rounding: 0x6000, flushToZero: 0x8000 } as const;

export interface SseEnv extends X87Env {
  denormalsAreZero: boolean;
  flushToZero: boolean;
}

export const newSseEnv = (): SseEnv => ({ ...newX87Env(), denormalsAreZero: false, flushToZero: false });

export function readSseEnv(env: SseEnv, mxcsr: number): SseEnv {
  env.rounding = (mxcsr >>> 13) & 3;
  env.masks = (mxcsr >>> 7) & 0x3f;
  env.denormalsAreZero = (mxcsr & Mxcsr.denormalsAreZero) !== 0;
  env.flushToZero = (mxcsr & Mxcsr.flushToZero) !== 0;
  env.flags = 0;
  return env;
}

type Kind = 'zero' | 'number' | 'infinity' | 'quiet' | 'signalling';

interface Unpacked {
  readonly kind: Kind;
  readonly sign: boolean;
  /** A number is significand · 2^exponent. */
  readonly exponent: number;
  readonly significand: bigint;
  readonly denormal: boolean;
  readonly bits: bigint;
}

const ones = (f: SseFormat): bigint => ((1n << f.exponentBits) - 1n) << f.fractionBits;
const signBit = (f: SseFormat): bigint => 1n << (f.fractionBits + f.exponentBits);
const quietBit = (f: SseFormat): bigint => 1n << (f.fractionBits - 1n);
const zeroOf = (f: SseFormat, sign: boolean): bigint => (sign ? signBit(f) : 0n);
const infinityOf = (f: SseFormat, sign: boolean): bigint => ones(f) | zeroOf(f, sign);
/** The default NaN, which is negative. */
export const indefiniteOf = (f: SseFormat): bigint => signBit(f) | ones(f) | quietBit(f);

function unpack(f: SseFormat, bits: bigint, env: SseEnv): Unpacked {
  const sign = (bits & signBit(f)) !== 0n;
  const fraction = bits & ((1n << f.fractionBits) - 1n);
  const biased = Number((bits & ones(f)) >> f.fractionBits);
  const of = (kind: Kind, exponent = 0, significand = 0n, denormal = false): Unpacked => ({
    kind,
    sign,
    exponent,
    significand,
    denormal,
    bits: kind === 'zero' ? zeroOf(f, sign) : bits,
  });
  if (biased === Number((1n << f.exponentBits) - 1n)) {
    if (fraction === 0n) return of('infinity');
    return of((fraction & quietBit(f)) !== 0n ? 'quiet' : 'signalling');
  }
  const least = f.destination.minExponent - Number(f.fractionBits);
  if (biased !== 0) return of('number', biased - 1 + least, fraction | (1n << f.fractionBits));
  if (fraction === 0n || env.denormalsAreZero) return of('zero');
  return of('number', least, fraction, true);
}

const isNan = (x: Unpacked): boolean => x.kind === 'quiet' || x.kind === 'signalling';

function invalid(f: SseFormat, env: SseEnv): bigint {
  env.flags |= X87Flag.invalid;
  return indefiniteOf(f);
}

/** The first operand that is a NaN, made quiet (SDM vol. 1, table 4-7); undefined if there is none. */
function processNans(f: SseFormat, x: Unpacked, y: Unpacked, env: SseEnv): bigint | undefined {
  if (x.kind === 'signalling' || y.kind === 'signalling') env.flags |= X87Flag.invalid;
  if (isNan(x)) return x.bits | quietBit(f);
  return isNan(y) ? y.bits | quietBit(f) : undefined;
}

function noteDenormals(env: SseEnv, x: Unpacked, y = x): void {
  if (x.denormal || y.denormal) env.flags |= X87Flag.denormal;
}

/** Rounds ±significand · 2^exponent (a little more if `sticky`) to the format. */
function round(
  f: SseFormat,
  sign: boolean,
  significand: bigint,
  exponent: number,
  sticky: boolean,
  env: SseEnv,
): bigint {
  const { destination } = f;
  const before = env.flags;
  const { whole, unit, infinite } = roundTo(destination, destination.width, sign, significand, exponent, sticky, env);
  if (infinite) return infinityOf(f, sign);
  const length = bitLength(whole);
  const top = unit + length - 1;
  // Tininess is seen after rounding, and a masked underflow flushes.
  const tiny = whole === 0n || isTiny(f, sign, significand, exponent, sticky, env.rounding);
  if (tiny && env.flushToZero && (env.masks & X87Flag.underflow) !== 0) {
    env.flags = before | X87Flag.underflow | X87Flag.precision;
    return zeroOf(f, sign);
  }
  if (top < destination.minExponent) return zeroOf(f, sign) | whole;
  const fraction =
    (length > destination.width ? whole >> 1n : whole << BigInt(destination.width - length)) - (1n << f.fractionBits);
  return zeroOf(f, sign) | (BigInt(top - destination.minExponent + 1) << f.fractionBits) | fraction;
}

function isTiny(f: SseFormat, sign: boolean, significand: bigint, exponent: number, sticky: boolean, rounding: number) {
  const { width, minExponent } = f.destination;
  const top = exponent + bitLength(significand) - 1;
  const { whole } = roundAt(sign, significand, exponent, top - (width - 1), sticky, rounding);
  return (bitLength(whole) > width ? top + 1 : top) < minExponent;
}

const sumOfZeros = (a: boolean, b: boolean, env: SseEnv): boolean => (a === b ? a : env.rounding === 1);

function addSigned(f: SseFormat, x: Unpacked, y: Unpacked, env: SseEnv): bigint {
  if (x.kind === 'infinity' && y.kind === 'infinity' && x.sign !== y.sign) return invalid(f, env);
  noteDenormals(env, x, y);
  if (x.kind === 'infinity') return infinityOf(f, x.sign);
  if (y.kind === 'infinity') return infinityOf(f, y.sign);
  if (x.kind === 'zero' && y.kind === 'zero') return zeroOf(f, sumOfZeros(x.sign, y.sign, env));
  const exponent = Math.min(x.kind === 'zero' ? y.exponent : x.exponent, y.kind === 'zero' ? x.exponent : y.exponent);
  const align = (v: Unpacked): bigint => {
    if (v.kind === 'zero') return 0n;
    const magnitude = v.significand << BigInt(v.exponent - exponent);
    return v.sign ? -magnitude : magnitude;
  };
  const sum = align(x) + align(y);
  if (sum === 0n) return zeroOf(f, sumOfZeros(x.sign, y.sign, env));
  return round(f, sum < 0n, sum < 0n ? -sum : sum, exponent, false, env);
}

function multiply(f: SseFormat, x: Unpacked, y: Unpacked, env: SseEnv): bigint {
  const sign = x.sign !== y.sign;
  const infinite = x.kind === 'infinity' || y.kind === 'infinity';
  const nothing = x.kind === 'zero' || y.kind === 'zero';
  if (infinite && nothing) return invalid(f, env);
  noteDenormals(env, x, y);
  if (infinite) return infinityOf(f, sign);
  if (nothing) return zeroOf(f, sign);
  return round(f, sign, x.significand * y.significand, x.exponent + y.exponent, false, env);
}

function divide(f: SseFormat, x: Unpacked, y: Unpacked, env: SseEnv): bigint {
  const sign = x.sign !== y.sign;
  if (x.kind === 'infinity' ? y.kind === 'infinity' : x.kind === 'zero' && y.kind === 'zero') return invalid(f, env);
  if (y.kind === 'zero' && x.kind === 'number') {
    env.flags |= X87Flag.divideByZero;
    return infinityOf(f, sign);
  }
  noteDenormals(env, x, y);
  if (x.kind === 'infinity' || y.kind === 'zero') return infinityOf(f, sign);
  if (y.kind === 'infinity' || x.kind === 'zero') return zeroOf(f, sign);
  const scale = Math.max(0, f.destination.width + 4 + bitLength(y.significand) - bitLength(x.significand));
  const dividend = x.significand << BigInt(scale);
  const quotient = dividend / y.significand;
  return round(f, sign, quotient, x.exponent - y.exponent - scale, quotient * y.significand !== dividend, env);
}

function squareRoot(f: SseFormat, x: Unpacked, env: SseEnv): bigint {
  if (x.kind === 'zero') return x.bits;
  if (x.sign) return invalid(f, env);
  noteDenormals(env, x);
  if (x.kind === 'infinity') return x.bits;
  let scale = Math.max(0, 2 * (f.destination.width + 4) - bitLength(x.significand));
  if ((x.exponent - scale) & 1) scale++;
  const radicand = x.significand << BigInt(scale);
  const root = integerSqrt(radicand);
  return round(f, false, root, (x.exponent - scale) / 2, root * root !== radicand, env);
}

/** Operations of two operands of one format. */
export const SseOp = { add: 0, sub: 1, mul: 2, div: 3, min: 4, max: 5, sqrt: 6 } as const;
export type SseOp = (typeof SseOp)[keyof typeof SseOp];

/** a op b (SQRT: of b). */
export function operate(op: number, f: SseFormat, a: bigint, b: bigint, env: SseEnv): bigint {
  const x = unpack(f, a, env);
  const y = unpack(f, b, env);
  if (op === SseOp.min || op === SseOp.max) return extremum(op, f, x, y, env);
  const nan = op === SseOp.sqrt ? processNans(f, y, y, env) : processNans(f, x, y, env);
  if (nan !== undefined) return nan;
  switch (op) {
    case SseOp.add:
      return addSigned(f, x, y, env);
    case SseOp.sub:
      return addSigned(f, x, { ...y, sign: !y.sign }, env);
    case SseOp.mul:
      return multiply(f, x, y, env);
    case SseOp.div:
      return divide(f, x, y, env);
    default:
      return squareRoot(f, y, env);
  }
}

/** MIN, MAX: the second operand where a NaN is involved, or two zeros. */
function extremum(op: number, f: SseFormat, x: Unpacked, y: Unpacked, env: SseEnv): bigint {
  if (isNan(x) || isNan(y)) {
    env.flags |= X87Flag.invalid;
    return y.bits;
  }
  noteDenormals(env, x, y);
  const order = orderOf(x, y);
  return (op === SseOp.min ? order < 0 : order > 0) ? x.bits : y.bits;
}

/** Sign of x − y, of what is no NaN. */
function orderOf(x: Unpacked, y: Unpacked): number {
  const valueOf = (v: Unpacked): number =>
    v.kind === 'zero' ? 0 : (v.sign ? -1 : 1) * (v.kind === 'infinity' ? 2 : 1);
  const difference = valueOf(x) - valueOf(y);
  if (difference !== 0 || x.kind !== 'number') return Math.sign(difference);
  const shared = Math.min(x.exponent, y.exponent);
  const p = x.significand << BigInt(x.exponent - shared);
  const q = y.significand << BigInt(y.exponent - shared);
  if (p === q) return 0;
  return p < q !== x.sign ? -1 : 1;
}

/** How a compares with b: −1, 0, 1, or undefined if unordered. `signalQuiet`: quiet NaNs are invalid too. */
export function compare(f: SseFormat, a: bigint, b: bigint, signalQuiet: boolean, env: SseEnv): number | undefined {
  const x = unpack(f, a, env);
  const y = unpack(f, b, env);
  if (isNan(x) || isNan(y)) {
    if (signalQuiet || x.kind === 'signalling' || y.kind === 'signalling') env.flags |= X87Flag.invalid;
    return undefined;
  }
  noteDenormals(env, x, y);
  return orderOf(x, y);
}

/** To the other format. */
export function convert(from: SseFormat, to: SseFormat, a: bigint, env: SseEnv): bigint {
  const x = unpack(from, a, env);
  if (isNan(x)) {
    if (x.kind === 'signalling') env.flags |= X87Flag.invalid;
    const shift = to.fractionBits - from.fractionBits;
    const fraction = a & ((1n << from.fractionBits) - 1n);
    const payload = shift >= 0n ? fraction << shift : fraction >> -shift;
    return zeroOf(to, x.sign) | ones(to) | quietBit(to) | payload;
  }
  if (x.kind === 'infinity') return infinityOf(to, x.sign);
  if (x.kind === 'zero') return zeroOf(to, x.sign);
  noteDenormals(env, x);
  return round(to, x.sign, x.significand, x.exponent, false, env);
}

/** An integer to the format. */
export function fromInteger(f: SseFormat, value: bigint, env: SseEnv): bigint {
  if (value === 0n) return 0n;
  return round(f, value < 0n, value < 0n ? -value : value, 0, false, env);
}

/** To a signed 32-bit integer; what does not fit is invalid and −2^31. */
export function toInteger(f: SseFormat, a: bigint, rounding: number, env: SseEnv): bigint {
  const x = unpack(f, a, env);
  if (x.kind === 'zero') return 0n;
  if (x.kind === 'number' && x.exponent + bitLength(x.significand) - 1 <= 32) {
    const { whole, inexact } = roundAt(x.sign, x.significand, x.exponent, 0, false, rounding);
    const value = x.sign ? -whole : whole;
    if (value >= -(2n ** 31n) && value < 2n ** 31n) {
      if (inexact) env.flags |= X87Flag.precision;
      return value;
    }
  }
  env.flags |= X87Flag.invalid;
  return -(2n ** 31n);
}

/** ROUND: to an integer of the same format. `quiet`: an inexact result raises nothing. */
export function roundToInteger(f: SseFormat, a: bigint, rounding: number, quiet: boolean, env: SseEnv): bigint {
  const x = unpack(f, a, env);
  const nan = processNans(f, x, x, env);
  if (nan !== undefined) return nan;
  if (x.kind !== 'number' || x.exponent >= 0) return x.bits;
  const { whole, inexact } = roundAt(x.sign, x.significand, x.exponent, 0, false, rounding);
  if (inexact && !quiet) env.flags |= X87Flag.precision;
  if (whole === 0n) return zeroOf(f, x.sign);
  return round(f, x.sign, whole, 0, false, { ...env, flushToZero: false });
}
