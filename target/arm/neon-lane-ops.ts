/**
 * Advanced SIMD operations done lane by lane in a helper: floating point, which always flushes to zero and gives default
 * NaNs (the standard FPSCR value, DDI 0406C A2.7.3), and integer operations WebAssembly has no counterpart for.
 */
import * as soft from './softfloat.ts';
import { type FloatEnv, FpFlag, float32, Rounding } from './softfloat.ts';

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

const two = 0x40000000n;
const three = 0x40400000n;
const oneAndHalf = 0x3fc00000n;
const isInfinite = (x: bigint): boolean => (x & 0x7fffffffn) === 0x7f800000n;
const isZeroOrDenormal = (x: bigint): boolean => (x & 0x7f800000n) === 0n;
const isDenormal = (x: bigint): boolean => isZeroOrDenormal(x) && (x & 0x7fffffn) !== 0n;
const isNan = (x: bigint): boolean => (x & 0x7fffffffn) > 0x7f800000n;

/** All ones if the comparison's N Z C V satisfies `holds`. */
const comparison =
  (signalQuiet: boolean, holds: (nzcv: number) => boolean, absolute = false): LaneOp =>
  (n, m, _d, _bits, _u, env) => {
    const mask = absolute ? 0x7fffffffn : 0xffffffffn;
    return holds(soft.compare(float32, n & mask, m & mask, signalQuiet, env)) ? 0xffffffffn : 0n;
  };
const isEqual = (nzcv: number): boolean => nzcv === 0b0110;
const isGreater = (nzcv: number): boolean => nzcv === 0b0010;
const isGreaterEqual = (nzcv: number): boolean => isGreater(nzcv) || isEqual(nzcv);

/** A step of Newton's iteration; infinity times zero counts as zero. */
const step =
  (isRoot: boolean): LaneOp =>
  (n, m, _d, _bits, _u, env) => {
    if ((isInfinite(n) && isZeroOrDenormal(m)) || (isInfinite(m) && isZeroOrDenormal(n))) {
      if (isDenormal(n) || isDenormal(m)) env.flags |= FpFlag.inputDenormal;
      return isRoot ? oneAndHalf : two;
    }
    const product = soft.mul(float32, n, m, env);
    if (!isRoot) return soft.sub(float32, two, product, env);
    return soft.div(float32, soft.sub(float32, three, product, env), two, env);
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

const estimate: LaneOp = (_n, m, _d, _bits, _u, env) => {
  if (isNan(m)) return soft.add(float32, m, m, env);
  const sign = m & 0x80000000n;
  if (isDenormal(m)) env.flags |= FpFlag.inputDenormal;
  if (isZeroOrDenormal(m)) {
    env.flags |= FpFlag.divideByZero;
    return sign | 0x7f800000n;
  }
  if (isInfinite(m)) return sign;
  const exponent = Number((m >> 23n) & 0xffn);
  if (exponent >= 253) {
    env.flags |= FpFlag.underflow;
    return sign;
  }
  const result = reciprocal(256 + Number((m >> 15n) & 0xffn));
  return sign | (BigInt(253 - exponent) << 23n) | (BigInt(result & 0xff) << 15n);
};

const rootEstimate: LaneOp = (_n, m, _d, _bits, _u, env) => {
  if (isNan(m)) return soft.add(float32, m, m, env);
  const sign = m & 0x80000000n;
  if (isDenormal(m)) env.flags |= FpFlag.inputDenormal;
  if (isZeroOrDenormal(m)) {
    env.flags |= FpFlag.divideByZero;
    return sign | 0x7f800000n;
  }
  if (sign) {
    env.flags |= FpFlag.invalid;
    return soft.defaultNan(float32);
  }
  if (isInfinite(m)) return 0n;
  const exponent = Number((m >> 23n) & 0xffn);
  const fraction = Number((m >> 15n) & 0xffn);
  const result = rootReciprocal(exponent & 1 ? 128 + (fraction >> 1) : 256 + fraction);
  return (BigInt((380 - exponent) >> 1) << 23n) | (BigInt(result & 0xff) << 15n);
};

const integerEstimate: LaneOp = (_n, m) =>
  m & 0x80000000n ? BigInt(reciprocal(Number(m >> 23n))) << 23n : 0xffffffffn;
const integerRootEstimate: LaneOp = (_n, m) =>
  m & 0xc0000000n ? BigInt(rootReciprocal(Number(m >> 23n))) << 23n : 0xffffffffn;

const multiply: LaneOp = (n, m, _d, _b, _u, env) => soft.mul(float32, n, m, env);
const float = {
  add: (n, m, _d, _b, _u, env) => soft.add(float32, n, m, env),
  sub: (n, m, _d, _b, _u, env) => soft.sub(float32, n, m, env),
  mul: multiply,
  abd: (n, m, _d, _b, _u, env) => soft.sub(float32, n, m, env) & 0x7fffffffn,
  mla: (n, m, d, b, u, env, x) => soft.add(float32, d, multiply(n, m, d, b, u, env, x), env),
  mls: (n, m, d, b, u, env, x) => soft.add(float32, d, soft.negate(float32, multiply(n, m, d, b, u, env, x)), env),
  fma: (n, m, d, _b, _u, env) => soft.fma(float32, d, n, m, env),
  fms: (n, m, d, _b, _u, env) => soft.fma(float32, d, soft.negate(float32, n), m, env),
  max: (n, m, _d, _b, _u, env) => soft.minMax(float32, n, m, true, false, env),
  min: (n, m, _d, _b, _u, env) => soft.minMax(float32, n, m, false, false, env),
  maxnm: (n, m, _d, _b, _u, env) => soft.minMax(float32, n, m, true, true, env),
  minnm: (n, m, _d, _b, _u, env) => soft.minMax(float32, n, m, false, true, env),
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
  /** x: fraction bits. */
  toFixed: (_n, m, _d, _b, u, env, x) => soft.toFixed(float32, m, 32, x, !u, Rounding.zero, env),
  fromFixed: (_n, m, _d, _b, u, env, x) => soft.fromFixed(float32, u ? m : BigInt.asIntN(32, m), x, env),
} satisfies Record<string, LaneOp>;

export const laneOperations = {
  ...float,
  shl: shift(false, false),
  rshl: shift(true, false),
  qshl: shift(false, true),
  qrshl: shift(true, true),
  qdmulh: doubledHigh(false),
  qrdmulh: doubledHigh(true),
  /** Shift by x of a signed value, saturated to unsigned. */
  qshlu: (_n, m, _d, bits, _u, env, x) => saturate(BigInt.asIntN(bits, m) << BigInt(x), bits, true, env),
  /** Shift by x. */
  qshlImmediate: (_n, m, _d, bits, u, env, x) => saturate(operand(m, bits, u) << BigInt(x), bits, u, env),
} satisfies Record<string, LaneOp>;

export type LaneOperation = keyof typeof laneOperations;
export const laneOperationNames = Object.keys(laneOperations) as LaneOperation[];
