/**
 * The transcendental functions of the x87 unit: F2XM1, FYL2X, FYL2XP1, FPATAN, FPTAN, FSIN, FCOS. Processors promise an
 * error below one unit in the last place, and differ; these are computed with many more bits and rounded once. The
 * special cases are those of the SDM's tables (vol. 2, at each instruction).
 *
 * Fixed-point values are BigInts in units of 2^-bits, `bits` given with each.
 */
import { bitLength, integerSqrt } from '#util/big-integer.ts';
import {
  infinityExtended,
  invalidOperation,
  noteDenormals,
  processNans,
  roundExtended,
  type UnpackedExtended,
  unpackExtended,
  type X87Env,
  X87Flag,
  zeroExtended,
} from './extended.ts';

/** Bits that a result is computed to, relative to its leading one. */
const workingBits = 136;

/** Constants of which more and more bits are computed as they are asked for. */
function growing(compute: (bits: number) => bigint): (bits: number) => bigint {
  let known = 0;
  let value = 0n;
  return (bits) => {
    if (bits > known) {
      known = bits + 64;
      value = compute(known);
    }
    return value >> BigInt(known - bits);
  };
}

/** Sum of s^k / k over odd k, with alternating signs or not: atan or atanh of a fixed-point |s| < 1. */
function arcSeries(s: bigint, bits: number, alternating: boolean): bigint {
  const shift = BigInt(bits);
  const square = (s * s) >> shift;
  let power = s;
  let sum = s;
  for (let k = 3n, negative = alternating; ; k += 2n, negative = alternating && !negative) {
    power = (power * square) >> shift;
    const term = power / k;
    if (term === 0n || term === -1n) return sum;
    sum += negative ? -term : term;
  }
}

/** Guard bits of the sums below. */
const guard = 24;

const pi = growing((bits) => {
  const work = bits + guard;
  const arcOf = (n: bigint): bigint => arcSeries((1n << BigInt(work)) / n, work, true);
  return (16n * arcOf(5n) - 4n * arcOf(239n)) >> BigInt(guard);
});

const ln2 = growing((bits) => {
  const work = bits + guard;
  return (2n * arcSeries((1n << BigInt(work)) / 3n, work, false)) >> BigInt(guard);
});

const exponentOf = (x: UnpackedExtended): number => x.exponent + bitLength(x.significand) - 1;

/** ±significand · 2^exponent in units of 2^-bits. */
function fixed(x: UnpackedExtended, bits: number): bigint {
  const shift = x.exponent + bits;
  const magnitude = shift >= 0 ? x.significand << BigInt(shift) : x.significand >> BigInt(-shift);
  return x.sign ? -magnitude : magnitude;
}

/** Rounds a fixed-point value that is not exact. */
function roundFixed(value: bigint, bits: number, env: X87Env): bigint {
  const negative = value < 0n;
  // Twice the value and a half unit more: never a tie, whatever was cut off.
  return roundExtended(negative, (negative ? -value : value) * 2n + 1n, -bits - 1, true, env, 64);
}

/** x · c for a tiny x where the next term of the series is far below: the product, a little more or less. */
function nearProduct(x: UnpackedExtended, constant: bigint, bits: number, more: boolean, env: X87Env): bigint {
  const product = (x.significand * constant) << BigInt(workingBits);
  return roundExtended(x.sign, more ? product + 1n : product - 1n, x.exponent - bits - workingBits, true, env, 64);
}

/** Exponents below which f(x) cannot be told from its first term, but for the direction it is rounded in. */
const tinyExponent = -70;

/** The argument itself, for arguments whose result the manual leaves open. */
function undefinedResult(a: bigint, env: X87Env): bigint {
  env.flags |= X87Flag.precision;
  return a;
}

/** F2XM1: 2^x − 1 for −1 ≤ x ≤ 1; what lies outside is left as it is. */
export function exp2MinusOne(a: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const nan = processNans(x, x, env);
  if (nan !== undefined) return nan;
  if (x.kind === 'zero') return a;
  if (x.kind === 'infinity') return x.sign ? roundExtended(true, 1n, 0, false, env) : a;
  noteDenormals(env, a);
  const top = exponentOf(x);
  if (top > 0 || (top === 0 && bitLength(x.significand & (x.significand - 1n)) > 0)) return undefinedResult(a, env);
  if (top === 0) return roundExtended(x.sign, 1n, x.sign ? -1 : 0, false, env);
  if (top < tinyExponent) return nearProduct(x, ln2(workingBits), workingBits, !x.sign, env);
  const bits = workingBits - top;
  const t = (fixed(x, bits) * ln2(bits)) >> BigInt(bits);
  let term = t;
  let sum = t;
  for (let k = 2n; term !== 0n && term !== -1n; k++) {
    term = ((term * t) >> BigInt(bits)) / k;
    sum += term;
  }
  return roundFixed(sum, bits, env);
}

/** log2(1 + s) in units of 2^-bits, of a fixed-point s of −1/2 < s < 1. */
function log2OnePlus(s: bigint, bits: number): bigint {
  const one = 1n << BigInt(bits);
  const quotient = (s << BigInt(bits)) / (2n * one + s);
  return (2n * arcSeries(quotient, bits, false) * one) / ln2(bits);
}

/** y · factor, a fixed-point number that is not exact. */
function timesFixed(y: UnpackedExtended, factor: bigint, bits: number, env: X87Env): bigint {
  const negative = factor < 0n !== y.sign;
  const magnitude = (factor < 0n ? -factor : factor) * y.significand;
  return roundExtended(negative, magnitude * 2n + 1n, y.exponent - bits - 1, true, env, 64);
}

/** FYL2X: y · log2 x. */
export function yLog2(a: bigint, b: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const y = unpackExtended(b);
  const nan = processNans(x, y, env);
  if (nan !== undefined) return nan;
  if (x.sign && x.kind !== 'zero') return invalidOperation(env);
  if (x.kind === 'zero') {
    if (y.kind === 'zero') return invalidOperation(env);
    if (y.kind === 'number') env.flags |= X87Flag.divideByZero;
    return infinityExtended(!y.sign);
  }
  if (x.kind === 'infinity') {
    if (y.kind === 'zero') return invalidOperation(env);
    noteDenormals(env, b);
    return infinityExtended(y.sign);
  }
  const length = bitLength(x.significand);
  const isPower = (x.significand & (x.significand - 1n)) === 0n;
  const exponent = exponentOf(x);
  const isOne = isPower && exponent === 0;
  if (y.kind === 'infinity' && isOne) return invalidOperation(env);
  noteDenormals(env, a, b);
  if (y.kind === 'infinity') return infinityExtended(y.sign !== exponent < 0);
  if (y.kind === 'zero' || isOne) return zeroExtended(y.sign !== exponent < 0);
  if (isPower) {
    const product = y.significand * BigInt(Math.abs(exponent));
    return roundExtended(y.sign !== exponent < 0, product, y.exponent, false, env, 64);
  }
  // x = m · 2^e with 3/4 < m < 3/2, so that a logarithm near 0 is seen in all its bits.
  const large = x.significand << BigInt(66 - length) >= 3n << 64n;
  const e = large ? exponent + 1 : exponent;
  const bits = workingBits + 64;
  const m = fixed({ ...x, exponent: x.exponent - e }, bits);
  const logarithm = log2OnePlus(m - (1n << BigInt(bits)), bits) + (BigInt(e) << BigInt(bits));
  return timesFixed(y, logarithm, bits, env);
}

/** FYL2XP1: y · log2(x + 1) for |x| ≤ 1 − √2/2; further out, as far as there is a logarithm. */
export function yLog2OnePlus(a: bigint, b: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const y = unpackExtended(b);
  const nan = processNans(x, y, env);
  if (nan !== undefined) return nan;
  if (x.kind === 'infinity') {
    if (x.sign || y.kind === 'zero') return invalidOperation(env);
    return infinityExtended(y.sign);
  }
  if (x.kind === 'zero') {
    if (y.kind === 'infinity') return invalidOperation(env);
    noteDenormals(env, b);
    return zeroExtended(x.sign !== y.sign);
  }
  const top = exponentOf(x);
  if (x.sign && top >= 0) return undefinedResult(a, env);
  noteDenormals(env, a, b);
  if (y.kind === 'infinity') return infinityExtended(x.sign !== y.sign);
  if (y.kind === 'zero') return zeroExtended(x.sign !== y.sign);
  if (top < tinyExponent) {
    const inverse = (1n << BigInt(2 * workingBits)) / ln2(workingBits);
    const product = {
      sign: x.sign !== y.sign,
      significand: x.significand * y.significand,
      exponent: x.exponent + y.exponent,
    };
    return nearProduct({ kind: 'number', ...product }, inverse, workingBits, x.sign, env);
  }
  const bits = workingBits + 64 - Math.min(0, top);
  const s = fixed(x, bits);
  const one = 1n << BigInt(bits);
  // The series converges for s < 1: larger arguments, which the manual leaves open, go by halves.
  let e = 0n;
  let m = s + one;
  for (; m >= 2n * one; m >>= 1n) e++;
  for (; 2n * m < one; m <<= 1n) e--;
  return timesFixed(y, log2OnePlus(e === 0n ? s : m - one, bits) + e * one, bits, env);
}

/** atan of a fixed-point 0 ≤ s ≤ 1. */
function arcTangent(s: bigint, bits: number): bigint {
  // Two halvings of the angle: atan s = 2 atan(s / (1 + √(1 + s²))).
  const one = 1n << BigInt(bits);
  let t = s;
  for (let halvings = 0; halvings < 2; halvings++)
    t = (t << BigInt(bits)) / (one + integerSqrt((one + ((t * t) >> BigInt(bits))) << BigInt(bits)));
  return arcSeries(t, bits, true) << 2n;
}

/** FPATAN: the angle of the point (x, y), −π to π. `a` is x (ST0), `b` is y (ST1). */
export function arcTangent2(a: bigint, b: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const y = unpackExtended(b);
  const nan = processNans(x, y, env);
  if (nan !== undefined) return nan;
  noteDenormals(env, a, b);
  /** ± n quarters of π. */
  const quarters = (n: bigint): bigint => roundFixed((y.sign ? -n : n) * pi(workingBits), workingBits + 2, env);
  if (y.kind === 'infinity') return quarters(x.kind === 'infinity' ? (x.sign ? 3n : 1n) : 2n);
  if (x.kind === 'infinity' || y.kind === 'zero') return x.sign ? quarters(4n) : zeroExtended(y.sign);
  if (x.kind === 'zero') return quarters(2n);
  const difference = exponentOf(y) - exponentOf(x);
  const signOf = (value: bigint): bigint => (y.sign ? -value : value);
  if (difference < tinyExponent && !x.sign) return tinyQuotient(x, y, env);
  if (difference < -workingBits) return quarters(4n);
  if (difference > workingBits) return quarters(2n);
  const bits = workingBits + 8 + Math.max(0, x.sign ? 0 : -difference);
  const steep = difference > 0 || (difference === 0 && compareSignificands(x, y) < 0);
  const [low, high] = steep ? [x, y] : [y, x];
  const shift = low.exponent - high.exponent + bits;
  const quotient =
    shift >= 0
      ? (low.significand << BigInt(shift)) / high.significand
      : low.significand / (high.significand << BigInt(-shift));
  const angle = arcTangent(quotient, bits);
  const first = steep ? (pi(bits) >> 1n) - angle : angle;
  return roundFixed(signOf(x.sign ? pi(bits) - first : first), bits, env);
}

const compareSignificands = (x: UnpackedExtended, y: UnpackedExtended): number => {
  const p = x.significand << BigInt(64 - bitLength(x.significand));
  const q = y.significand << BigInt(64 - bitLength(y.significand));
  return p < q ? -1 : p > q ? 1 : 0;
};

/** y / x where atan cannot be told from its argument, but is less. */
function tinyQuotient(x: UnpackedExtended, y: UnpackedExtended, env: X87Env): bigint {
  const scale = 140 + bitLength(x.significand) - bitLength(y.significand);
  const dividend = y.significand << BigInt(scale);
  const quotient = dividend / x.significand;
  const exact = quotient * x.significand === dividend;
  return roundExtended(y.sign, exact ? quotient - 1n : quotient, y.exponent - x.exponent - scale, true, env, 64);
}

/**
 * π as the processors reduce arguments by it: its first 66 bits (SDM vol. 1, 8.3.8). Sines of large arguments are those
 * of this π.
 */
const reductionBits = 64;
const reductionPi = 0xc90fdaa22168c234cn;

/** An argument reduced: quadrant · π/2 + rest, |rest| ≤ π/4; the rest in units of 2^-bits. */
interface Reduced {
  readonly quadrant: number;
  readonly rest: bigint;
  readonly bits: number;
}

function reduce(x: UnpackedExtended): Reduced {
  const bits = workingBits + 64 + Math.max(0, -exponentOf(x));
  const value = fixed(x, bits);
  // reductionPi is in units of 2^-66: half of it in units of 2^-bits.
  const halfPi = reductionPi << BigInt(bits - reductionBits - 3);
  const doubled = 2n * value + (value < 0n ? -halfPi : halfPi);
  const turns = doubled / (2n * halfPi);
  return { quadrant: Number(((turns % 4n) + 4n) % 4n), rest: value - turns * halfPi, bits };
}

/** Taylor's series of sine (from x) or cosine (from 1). */
function circular(first: bigint, x: bigint, k0: bigint, bits: number): bigint {
  const square = (x * x) >> BigInt(bits);
  let term = first;
  let sum = first;
  for (let k = k0; term !== 0n && term !== -1n; k += 2n) {
    term = -((term * square) >> BigInt(bits)) / (k * (k + 1n));
    sum += term;
  }
  return sum;
}

const sineOf = ({ rest, bits }: Reduced): bigint => circular(rest, rest, 2n, bits);
const cosineOf = ({ rest, bits }: Reduced): bigint => circular(1n << BigInt(bits), rest, 1n, bits);

/** Is the argument of FSIN, FCOS or FPTAN too large (|x| ≥ 2^63)? Then C2 is set and nothing happens. */
export function outOfRange(a: bigint): boolean {
  const x = unpackExtended(a);
  return x.kind === 'number' && exponentOf(x) >= 63;
}

/** What a function of an angle gives for NaNs, infinities and zero; undefined for a number. */
function specialAngle(a: bigint, x: UnpackedExtended, atZero: bigint, env: X87Env): bigint | undefined {
  const nan = processNans(x, x, env);
  if (nan !== undefined) return nan;
  if (x.kind === 'infinity') return invalidOperation(env);
  if (x.kind === 'zero') return atZero;
  noteDenormals(env, a);
  return undefined;
}

export const oneExtended = (0x3fffn << 64n) | (1n << 63n);

/** FSIN. */
export function sine(a: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const special = specialAngle(a, x, a, env);
  if (special !== undefined) return special;
  if (exponentOf(x) < tinyExponent) return nearProduct(x, 1n, 0, false, env);
  const reduced = reduce(x);
  const value = reduced.quadrant & 1 ? cosineOf(reduced) : sineOf(reduced);
  return roundFixed(reduced.quadrant & 2 ? -value : value, reduced.bits, env);
}

/** FCOS. */
export function cosine(a: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const special = specialAngle(a, x, oneExtended, env);
  if (special !== undefined) return special;
  if (exponentOf(x) < tinyExponent) return roundExtended(false, (1n << 140n) - 1n, -140, true, env, 64);
  const reduced = reduce(x);
  const value = reduced.quadrant & 1 ? sineOf(reduced) : cosineOf(reduced);
  return roundFixed(reduced.quadrant === 1 || reduced.quadrant === 2 ? -value : value, reduced.bits, env);
}

/** FPTAN's first result (the second is 1.0). */
export function tangent(a: bigint, env: X87Env): bigint {
  const x = unpackExtended(a);
  const special = specialAngle(a, x, a, env);
  if (special !== undefined) return special;
  if (exponentOf(x) < tinyExponent) return nearProduct(x, 1n, 0, true, env);
  const reduced = reduce(x);
  const [s, c] = [sineOf(reduced), cosineOf(reduced)];
  const [numerator, denominator] = reduced.quadrant & 1 ? [-c, s] : [s, c];
  const { bits } = reduced;
  const extra =
    bits +
    Math.max(
      0,
      bitLength(denominator < 0n ? -denominator : denominator) - bitLength(numerator < 0n ? -numerator : numerator),
    );
  return roundFixed((numerator << BigInt(extra)) / denominator, extra, env);
}
