/**
 * Advanced SIMD operations done lane by lane in a helper: floating point, which always flushes to zero and gives default
 * NaNs (the standard FPSCR value, DDI 0406C A2.7.3), and integer operations WebAssembly has no counterpart for.
 */
import * as soft from './softfloat.ts';
import { type FloatEnv, type FloatFormat, FpFlag, float16, float32, Rounding } from './softfloat.ts';

/** FPSCR.QC, set by saturation. */
export const qcBit = 1 << 27;

/** What a lane operation may note. */
export interface LaneEnv extends FloatEnv {
  qc: boolean;
}

export const newLaneEnv = (): LaneEnv => ({ ...soft.newEnv((1 << 24) | (1 << 25)), qc: false });

/** Result of one lane: operands are unsigned, `bits` is the lane's width and d its old value; x is the operation's own. */
export type LaneOp = (
  n: bigint,
  m: bigint,
  d: bigint,
  bits: number,
  isUnsigned: boolean,
  env: LaneEnv,
  x: number,
) => bigint;

const saturate = (value: bigint, bits: number, isUnsigned: boolean, env: LaneEnv): bigint => {
  const high = isUnsigned ? (1n << BigInt(bits)) - 1n : (1n << BigInt(bits - 1)) - 1n;
  const low = isUnsigned ? 0n : -(1n << BigInt(bits - 1));
  if (value >= low && value <= high) return value;
  env.qc = true;
  return value > high ? high : low;
};

const operand = (value: bigint, bits: number, isUnsigned: boolean): bigint =>
  isUnsigned ? value : BigInt.asIntN(bits, value);

/** m shifted left by the signed low byte of n, right if that is negative. */
const shift =
  (round: boolean, saturates: boolean): LaneOp =>
  (n, m, _d, bits, isUnsigned, env) => {
    const amount = Number(BigInt.asIntN(8, n));
    const value = operand(m, bits, isUnsigned);
    const half = round && amount < 0 ? 1n << BigInt(-amount - 1) : 0n;
    const shifted = amount >= 0 ? value << BigInt(amount) : (value + half) >> BigInt(-amount);
    return saturates ? saturate(shifted, bits, isUnsigned, env) : shifted;
  };

const doubledHigh =
  (round: boolean): LaneOp =>
  (n, m, _d, bits, _u, env) => {
    const product = 2n * BigInt.asIntN(bits, n) * BigInt.asIntN(bits, m) + (round ? 1n << BigInt(bits - 1) : 0n);
    return saturate(product >> BigInt(bits), bits, false, env);
  };

/** The high half of d ± 2 · n · m, rounded and saturated once (VQRDMLAH, VQRDMLSH). */
const doubledAccumulate =
  (subtracts: boolean): LaneOp =>
  (n, m, d, bits, _u, env) => {
    const product = 2n * BigInt.asIntN(bits, n) * BigInt.asIntN(bits, m);
    const sum = (BigInt.asIntN(bits, d) << BigInt(bits)) + (subtracts ? -product : product);
    return saturate((sum + (1n << BigInt(bits - 1))) >> BigInt(bits), bits, false, env);
  };

const formatOf = (bits: number): FloatFormat => (bits === 16 ? float16 : float32);
/** Small constants as single and half. */
const two = (bits: number): bigint => (bits === 16 ? 0x4000n : 0x40000000n);
const three = (bits: number): bigint => (bits === 16 ? 0x4200n : 0x40400000n);
const oneAndHalf = (bits: number): bigint => (bits === 16 ? 0x3e00n : 0x3fc00000n);
const signOf = (bits: number): bigint => 1n << BigInt(bits - 1);
const exponentOf = (bits: number): bigint => (bits === 16 ? 0x7c00n : 0x7f800000n);
const magnitudeOf = (x: bigint, bits: number): bigint => x & (signOf(bits) - 1n);
const isInfinite = (x: bigint, bits: number): boolean => magnitudeOf(x, bits) === exponentOf(bits);
const isZeroOrDenormal = (x: bigint, bits: number): boolean => (x & exponentOf(bits)) === 0n;
const isDenormal = (x: bigint, bits: number): boolean => isZeroOrDenormal(x, bits) && magnitudeOf(x, bits) !== 0n;
const isNan = (x: bigint, bits: number): boolean => magnitudeOf(x, bits) > exponentOf(bits);
/** Whether an operand counts as zero. */
const isFlushed = (x: bigint, bits: number, env: LaneEnv): boolean =>
  isDenormal(x, bits) && (bits === 16 ? env.flushHalf : env.flushToZero);
const isZero = (x: bigint, bits: number, env: LaneEnv): boolean =>
  magnitudeOf(x, bits) === 0n || isFlushed(x, bits, env);

/** All ones if the comparison's N Z C V satisfies `holds`. */
const comparison =
  (signalQuiet: boolean, holds: (nzcv: number) => boolean, absolute = false): LaneOp =>
  (n, m, _d, bits, _u, env) => {
    const of = (x: bigint): bigint => (absolute ? magnitudeOf(x, bits) : x);
    const nzcv = soft.compare(formatOf(bits), of(n), of(m), signalQuiet, env);
    return holds(nzcv) ? (1n << BigInt(bits)) - 1n : 0n;
  };
const isEqual = (nzcv: number): boolean => nzcv === 0b0110;
const isGreater = (nzcv: number): boolean => nzcv === 0b0010;
const isGreaterEqual = (nzcv: number): boolean => isGreater(nzcv) || isEqual(nzcv);

/** A step of Newton's iteration; infinity times zero counts as zero. */
const step =
  (isRoot: boolean): LaneOp =>
  (n, m, _d, bits, _u, env) => {
    const format = formatOf(bits);
    if ((isInfinite(n, bits) && isZero(m, bits, env)) || (isInfinite(m, bits) && isZero(n, bits, env))) {
      if (bits === 32 && (isDenormal(n, bits) || isDenormal(m, bits))) env.flags |= FpFlag.inputDenormal;
      return isRoot ? oneAndHalf(bits) : two(bits);
    }
    const product = soft.mul(format, n, m, env);
    if (!isRoot) return soft.sub(format, two(bits), product, env);
    return soft.div(format, soft.sub(format, three(bits), product, env), two(bits), env);
  };

/** The estimate table of RecipEstimate: 9 bits of a value in [0.5, 1) to 9 bits of its reciprocal. */
const reciprocal = (scaled: number): number => (Math.floor((1 << 19) / (scaled * 2 + 1)) + 1) >> 1;

/** Of RecipSqrtEstimate: a value in [0.25, 1) scaled by 512. */
function rootReciprocal(scaled: number): number {
  const middle = scaled < 256 ? scaled * 2 + 1 : ((scaled >> 1) * 2 + 1) * 2;
  let guess = 512;
  while (middle * (guess + 1) * (guess + 1) < 2 ** 28) guess++;
  return (guess + 1) >> 1;
}

/** Exponent and the fraction as 52 bits of a number, normalised as the manual's estimates do it. */
function estimateParts(x: bigint, bits: number): { exponent: number; fraction: bigint } {
  const { fractionBits } = formatOf(bits);
  let exponent = Number((x & exponentOf(bits)) >> BigInt(fractionBits));
  let fraction = (x & ((1n << BigInt(fractionBits)) - 1n)) << BigInt(52 - fractionBits);
  if (exponent === 0) {
    while ((fraction & (1n << 51n)) === 0n) {
      fraction <<= 1n;
      exponent--;
    }
    fraction = (fraction << 1n) & ((1n << 52n) - 1n);
  }
  return { exponent, fraction };
}

/** FPRecipEstimate (DDI 0487 J1.3). */
const estimate: LaneOp = (_n, m, _d, bits, _u, env) => {
  const format = formatOf(bits);
  if (isNan(m, bits)) return soft.add(format, m, m, env);
  const sign = m & signOf(bits);
  if (isInfinite(m, bits)) return sign;
  if (isFlushed(m, bits, env) && bits === 32) env.flags |= FpFlag.inputDenormal;
  if (isZero(m, bits, env)) {
    env.flags |= FpFlag.divideByZero;
    return sign | exponentOf(bits);
  }
  const { exponent, fraction } = estimateParts(m, bits);
  // Below 2^−16 or 2^−128 the result overflows: rounding is always to nearest.
  if (exponent < -1) {
    env.flags |= FpFlag.overflow | FpFlag.inexact;
    return sign | exponentOf(bits);
  }
  const limit = bits === 16 ? 29 : 253;
  const flushes = bits === 16 ? env.flushHalf : env.flushToZero;
  if (flushes && exponent >= limit) {
    env.flags |= FpFlag.underflow;
    return sign;
  }
  let result = limit - exponent;
  let estimated = BigInt(reciprocal(256 + Number(fraction >> 44n)) & 0xff) << 44n;
  if (result <= 0) {
    estimated = ((1n << 52n) | estimated) >> BigInt(1 - result);
    result = 0;
  }
  return sign | (BigInt(result) << BigInt(format.fractionBits)) | (estimated >> BigInt(52 - format.fractionBits));
};

/** FPRSqrtEstimate. */
const rootEstimate: LaneOp = (_n, m, _d, bits, _u, env) => {
  const format = formatOf(bits);
  if (isNan(m, bits)) return soft.add(format, m, m, env);
  const sign = m & signOf(bits);
  if (isFlushed(m, bits, env) && bits === 32) env.flags |= FpFlag.inputDenormal;
  if (isZero(m, bits, env)) {
    env.flags |= FpFlag.divideByZero;
    return sign | exponentOf(bits);
  }
  if (sign) {
    env.flags |= FpFlag.invalid;
    return soft.defaultNan(format);
  }
  if (isInfinite(m, bits)) return 0n;
  const { exponent, fraction } = estimateParts(m, bits);
  const top = Number(fraction >> 44n);
  const result = rootReciprocal(exponent & 1 ? 128 + (top >> 1) : 256 + top);
  const biased = ((bits === 16 ? 44 : 380) - exponent) >> 1;
  return (BigInt(biased) << BigInt(format.fractionBits)) | (BigInt(result & 0xff) << BigInt(format.fractionBits - 8));
};

const integerEstimate: LaneOp = (_n, m) =>
  m & 0x80000000n ? BigInt(reciprocal(Number(m >> 23n))) << 23n : 0xffffffffn;
const integerRootEstimate: LaneOp = (_n, m) =>
  m & 0xc0000000n ? BigInt(rootReciprocal(Number(m >> 23n))) << 23n : 0xffffffffn;

const multiply: LaneOp = (n, m, _d, b, _u, env) => soft.mul(formatOf(b), n, m, env);
const float = {
  add: (n, m, _d, b, _u, env) => soft.add(formatOf(b), n, m, env),
  sub: (n, m, _d, b, _u, env) => soft.sub(formatOf(b), n, m, env),
  mul: multiply,
  abd: (n, m, _d, b, _u, env) => soft.sub(formatOf(b), n, m, env) & (signOf(b) - 1n),
  mla: (n, m, d, b, u, env, x) => soft.add(formatOf(b), d, multiply(n, m, d, b, u, env, x), env),
  mls: (n, m, d, b, u, env, x) =>
    soft.add(formatOf(b), d, soft.negate(formatOf(b), multiply(n, m, d, b, u, env, x)), env),
  fma: (n, m, d, b, _u, env) => soft.fma(formatOf(b), d, n, m, env),
  fms: (n, m, d, b, _u, env) => soft.fma(formatOf(b), d, soft.negate(formatOf(b), n), m, env),
  max: (n, m, _d, b, _u, env) => soft.minMax(formatOf(b), n, m, true, false, env),
  min: (n, m, _d, b, _u, env) => soft.minMax(formatOf(b), n, m, false, false, env),
  maxnm: (n, m, _d, b, _u, env) => soft.minMax(formatOf(b), n, m, true, true, env),
  minnm: (n, m, _d, b, _u, env) => soft.minMax(formatOf(b), n, m, false, true, env),
  ceq: comparison(false, isEqual),
  cge: comparison(true, isGreaterEqual),
  cgt: comparison(true, isGreater),
  acge: comparison(true, isGreaterEqual, true),
  acgt: comparison(true, isGreater, true),
  ceqZero: (_n, m, d, b, u, env, x) => comparison(false, isEqual)(m, 0n, d, b, u, env, x),
  cgeZero: (_n, m, d, b, u, env, x) => comparison(true, isGreaterEqual)(m, 0n, d, b, u, env, x),
  cgtZero: (_n, m, d, b, u, env, x) => comparison(true, isGreater)(m, 0n, d, b, u, env, x),
  cleZero: (_n, m, d, b, u, env, x) => comparison(true, isGreaterEqual)(0n, m, d, b, u, env, x),
  cltZero: (_n, m, d, b, u, env, x) => comparison(true, isGreater)(0n, m, d, b, u, env, x),
  recps: step(false),
  rsqrts: step(true),
  recpe: estimate,
  rsqrte: rootEstimate,
  urecpe: integerEstimate,
  ursqrte: integerRootEstimate,
  /** x: rounding. */
  rintExact: (_n, m, _d, b, _u, env, x) => soft.roundToIntegral(formatOf(b), m, x, true, env),
  rint: (_n, m, _d, b, _u, env, x) => soft.roundToIntegral(formatOf(b), m, x, false, env),
  toIntegerDirected: (_n, m, _d, b, u, env, x) => soft.toFixed(formatOf(b), m, b, 0, !u, x, env),
  /** x: fraction bits. */
  toFixed: (_n, m, _d, b, u, env, x) => soft.toFixed(formatOf(b), m, b, x, !u, Rounding.zero, env),
  fromFixed: (_n, m, _d, b, u, env, x) => soft.fromFixed(formatOf(b), u ? m : BigInt.asIntN(b, m), x, env),
} satisfies Record<string, LaneOp>;

export const laneOperations = {
  ...float,
  shl: shift(false, false),
  rshl: shift(true, false),
  qshl: shift(false, true),
  qrshl: shift(true, true),
  qdmulh: doubledHigh(false),
  qrdmulh: doubledHigh(true),
  qrdmlah: doubledAccumulate(false),
  qrdmlsh: doubledAccumulate(true),
  /** Shift by x of a signed value, saturated to unsigned. */
  qshlu: (_n, m, _d, bits, _u, env, x) => saturate(BigInt.asIntN(bits, m) << BigInt(x), bits, true, env),
  /** Shift by x. */
  qshlImmediate: (_n, m, _d, bits, u, env, x) => saturate(operand(m, bits, u) << BigInt(x), bits, u, env),
} satisfies Record<string, LaneOp>;

export type LaneOperation = keyof typeof laneOperations;
export const laneOperationNames = Object.keys(laneOperations) as LaneOperation[];
