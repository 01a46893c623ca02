/**
 * Single-precision Advanced SIMD on native vectors. It rounds to nearest, flushes denormals to zero, operands and
 * results, and has only the default NaN, whatever FPSCR says (the standard FPSCR value, DDI 0406C A2.7.3). Nothing here
 * raises flags: where they are kept, `neon-lanes.ts` computes lane by lane.
 */
import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { bytesOf } from '#tcg/sequences/vector.ts';
import type { ArmContext } from './context.ts';
import type { LaneOperation } from './neon-lane-ops.ts';
import { everyWord, shuffle } from './neon-vectors.ts';

const absoluteBits = 0x7fffffff;
const exponentBits = 0x7f800000;
const smallestNormal = 0x00800000;
const defaultNan = 0x7fc00000;

const and = (c: ArmContext, a: Value, b: Value): Value => c.b.bin(Op.and_v128, a, b);
const or = (c: ArmContext, a: Value, b: Value): Value => c.b.bin(Op.or_v128, a, b);
const andNot = (c: ArmContext, a: Value, b: Value): Value => c.b.bin(Op.andnot_v128, a, b);
const select = (c: ArmContext, a: Value, b: Value, mask: Value): Value => c.b.tri(Op.bitselect_v128, a, b, mask);
const zero = (c: ArmContext): Value => c.b.v128(0, 0, 0, 0);
const absolute = (c: ArmContext, x: Value): Value => and(c, x, everyWord(c, absoluteBits));
const isNan = (c: ArmContext, x: Value): Value => c.b.bin(Op.ne_f32x4, x, x);

/** Denormals become zeros of their sign. */
function flushed(c: ArmContext, x: Value): Value {
  if (c.isFlushed(x)) return x;
  const small = c.b.bin(Op.eq_i32x4, and(c, x, everyWord(c, exponentBits)), zero(c));
  const result = andNot(c, x, and(c, small, everyWord(c, absoluteBits)));
  c.noteFlushed(result);
  return result;
}

/** NaNs become the default one. `x` has no denormals. */
function withDefaultNan(c: ArmContext, x: Value): Value {
  const result = select(c, everyWord(c, defaultNan), x, isNan(c, x));
  c.noteFlushed(result);
  return result;
}

const finished = (c: ArmContext, x: Value): Value => withDefaultNan(c, flushed(c, x));

/** Sums are exact where they are tiny: flushing the rounded one is flushing the exact one. */
const sum = (c: ArmContext, op: number, n: Value, m: Value): Value =>
  finished(c, c.b.bin(op, flushed(c, n), flushed(c, m)));

const highHalf = (c: ArmContext, x: Value): Value =>
  shuffle(
    c,
    x,
    x,
    bytesOf((i) => 8 | (i & 7)),
  );
const joined = (c: ArmContext, low: Value, high: Value): Value =>
  shuffle(
    c,
    low,
    high,
    bytesOf((i) => (i < 8 ? i : i + 8)),
  );
/** `each` on the low and the high operands, as f64x2, and the results as f32x4. */
function inDouble(c: ArmContext, operands: readonly Value[], each: (operands: readonly Value[]) => Value): Value {
  const promote = (x: Value): Value => c.b.un(Op.promote_low_f32x4_f64x2, x);
  const half = (of: (x: Value) => Value): Value => {
    const exact = each(operands.map((x) => promote(of(x))));
    return c.b.un(Op.demote_f64x2_f32x4, flushedDouble(c, exact));
  };
  return joined(
    c,
    half((x) => x),
    half((x) => highHalf(c, x)),
  );
}

/** Doubles below the smallest normal single become zeros of their sign: tininess is told before rounding. */
function flushedDouble(c: ArmContext, x: Value): Value {
  const { b } = c;
  const magnitude = b.v128(-1, absoluteBits, -1, absoluteBits);
  const smallest = b.v128(0, 0x38100000, 0, 0x38100000);
  const small = b.bin(Op.lt_f64x2, and(c, x, magnitude), smallest);
  return andNot(c, x, and(c, small, magnitude));
}

/**
 * Gives `use` the product, twice if need be: one that was rounded up to the smallest normal number may have been tiny,
 * which double precision tells.
 */
function withProduct(c: ArmContext, n: Value, m: Value, use: (product: Value) => void): void {
  const { b } = c;
  const left = flushed(c, n);
  const right = flushed(c, m);
  const product = b.bin(Op.mul_f32x4, left, right);
  const atEdge = b.bin(Op.eq_i32x4, absolute(c, product), everyWord(c, smallestNormal));
  use(finished(c, product));
  b.if(b.un(Op.any_true_v128, atEdge));
  use(
    withDefaultNan(
      c,
      inDouble(c, [left, right], ([x, y]) => b.bin(Op.mul_f64x2, x!, y!)),
    ),
  );
  b.endif();
}

/** d + n · m in f64x2, rounded to odd: rounding that to f32 rounds as if once. */
function fusedDouble(c: ArmContext, addend: Value, n: Value, m: Value): Value {
  const { b } = c;
  const product = b.bin(Op.mul_f64x2, n, m);
  const total = b.bin(Op.add_f64x2, product, addend);
  const part = b.bin(Op.sub_f64x2, total, product);
  const error = b.bin(
    Op.add_f64x2,
    b.bin(Op.sub_f64x2, product, b.bin(Op.sub_f64x2, total, part)),
    b.bin(Op.sub_f64x2, addend, part),
  );
  const up = b.bin(Op.gt_f64x2, error, zero(c));
  // An infinite sum has a NaN residue: neither above nor below zero.
  const inexact = or(c, up, b.bin(Op.lt_f64x2, error, zero(c)));
  const odd = b.bin(Op.shr_s_i64x2, b.bin(Op.shl_i64x2, total, b.i32(63)), b.i32(63));
  const inward = b.bin(Op.xor_v128, up, b.bin(Op.gt_f64x2, total, zero(c)));
  const step = or(c, inward, b.v128(1, 0, 1, 0));
  return select(c, b.bin(Op.add_i64x2, total, step), total, andNot(c, inexact, odd));
}

function fused(c: ArmContext, addend: Value, n: Value, m: Value, negates: boolean): Value {
  const left = flushed(c, n);
  const factor = negates ? c.b.bin(Op.xor_v128, left, everyWord(c, 1 << 31)) : left;
  const result = inDouble(c, [flushed(c, addend), factor, flushed(c, m)], ([z, x, y]) => fusedDouble(c, z!, x!, y!));
  return withDefaultNan(c, result);
}

const extreme = (c: ArmContext, op: number, n: Value, m: Value): Value =>
  withDefaultNan(c, c.b.bin(op, flushed(c, n), flushed(c, m)));

/** VMAXNM, VMINNM: a quiet NaN loses to a number. */
function numberExtreme(c: ArmContext, op: number, n: Value, m: Value): Value {
  const { b } = c;
  const left = flushed(c, n);
  const right = flushed(c, m);
  const isQuiet = (x: Value): Value => b.bin(Op.shr_s_i32x4, b.bin(Op.shl_i32x4, x, b.i32(9)), b.i32(31));
  const leftNan = isNan(c, left);
  const rightNan = isNan(c, right);
  let result = extreme(c, op, left, right);
  result = select(c, right, result, and(c, andNot(c, leftNan, rightNan), isQuiet(left)));
  result = select(c, left, result, and(c, andNot(c, rightNan, leftNan), isQuiet(right)));
  c.noteFlushed(result);
  return result;
}

/** The product of a step of Newton's iteration: infinity times zero counts as zero, and tiny ones do not matter. */
function stepProduct(c: ArmContext, n: Value, m: Value): Value {
  const left = flushed(c, n);
  const right = flushed(c, m);
  const product = c.b.bin(Op.mul_f32x4, left, right);
  const invalid = andNot(c, isNan(c, product), or(c, isNan(c, left), isNan(c, right)));
  return andNot(c, product, invalid);
}

const recps = (c: ArmContext, n: Value, m: Value): Value =>
  withDefaultNan(c, c.b.bin(Op.sub_f32x4, everyWord(c, 0x40000000), stepProduct(c, n, m)));
const rsqrts = (c: ArmContext, n: Value, m: Value): Value => {
  const rest = c.b.bin(Op.sub_f32x4, everyWord(c, 0x40400000), stepProduct(c, n, m));
  return withDefaultNan(c, c.b.bin(Op.mul_f32x4, rest, everyWord(c, 0x3f000000)));
};

const toInt = (c: ArmContext, x: Value): Value => c.b.un(Op.trunc_sat_s_f32x4_i32x4, x);
const toFloat = (c: ArmContext, x: Value): Value => c.b.un(Op.convert_s_i32x4_f32x4, x);
const shr = (c: ArmContext, x: Value, by: number): Value => c.b.bin(Op.shr_u_i32x4, x, c.b.i32(by));
const shl = (c: ArmContext, x: Value, by: number): Value => c.b.bin(Op.shl_i32x4, x, c.b.i32(by));
const plus = (c: ArmContext, x: Value, y: Value): Value => c.b.bin(Op.add_i32x4, x, y);
const minus = (c: ArmContext, x: Value, y: Value): Value => c.b.bin(Op.sub_i32x4, x, y);
const times = (c: ArmContext, x: Value, y: Value): Value => c.b.bin(Op.mul_i32x4, x, y);
const words = everyWord;

/** VRECPE.F32: 9 bits of the operand to 9 of its reciprocal (RecipEstimate, A2.7.5). */
function recpe(c: ArmContext, operand: Value): Value {
  const { b } = c;
  const x = flushed(c, operand);
  const sign = and(c, x, words(c, 1 << 31));
  const exponent = and(c, shr(c, x, 23), words(c, 255));
  // 2^19 / (2 · scaled + 1): the quotient of such small numbers is never rounded up to the next integer.
  const scaled = or(c, and(c, shr(c, x, 15), words(c, 255)), words(c, 256));
  const divisor = toFloat(c, plus(c, plus(c, scaled, scaled), words(c, 1)));
  const quotient = toInt(c, b.bin(Op.div_f32x4, words(c, 0x49000000), divisor));
  const estimate = shr(c, plus(c, quotient, words(c, 1)), 1);
  const fraction = shl(c, and(c, estimate, words(c, 255)), 15);
  const bits = or(c, or(c, sign, shl(c, minus(c, words(c, 253), exponent), 23)), fraction);
  // Results below the normal range are flushed.
  const normal = andNot(c, bits, b.bin(Op.gt_s_i32x4, exponent, words(c, 252)));
  const isZero = b.bin(Op.eq_i32x4, exponent, zero(c));
  const result = or(c, sign, select(c, words(c, exponentBits), normal, isZero));
  return withDefaultNan(c, select(c, x, result, isNan(c, x)));
}

/** VRSQRTE.F32 (RecipSqrtEstimate). */
function rsqrte(c: ArmContext, operand: Value): Value {
  const { b } = c;
  const x = flushed(c, operand);
  const sign = and(c, x, words(c, 1 << 31));
  const exponent = and(c, shr(c, x, 23), words(c, 255));
  const fraction = and(c, shr(c, x, 15), words(c, 255));
  const isOdd = minus(c, zero(c), and(c, exponent, words(c, 1)));
  const odd = plus(c, words(c, 128), shr(c, fraction, 1));
  // The middle of the interval: 2 · scaled + 1, from 256 on of the even part and doubled.
  const even = shl(c, or(c, shl(c, shr(c, or(c, fraction, words(c, 256)), 1), 1), words(c, 1)), 1);
  const middle = select(c, or(c, shl(c, odd, 1), words(c, 1)), even, isOdd);
  // The largest guess whose square times the middle is below 2^28: from a rounded root, one up or down.
  const root = b.un(Op.sqrt_f32x4, b.bin(Op.div_f32x4, words(c, 0x4d800000), toFloat(c, middle)));
  const near = toInt(c, root);
  const below = (guess: Value): Value =>
    b.bin(Op.gt_s_i32x4, words(c, 1 << 28), times(c, times(c, guess, guess), middle));
  const above = plus(c, near, words(c, 1));
  const down = plus(c, near, b.un(Op.not_v128, below(near)));
  const guess = select(c, above, down, below(above));
  const estimate = shr(c, plus(c, guess, words(c, 1)), 1);
  const resultExponent = shl(c, shr(c, minus(c, words(c, 380), exponent), 1), 23);
  const normal = or(c, resultExponent, shl(c, and(c, estimate, words(c, 255)), 15));
  const isInfinite = b.bin(Op.eq_i32x4, x, words(c, exponentBits));
  const isZero = b.bin(Op.eq_i32x4, exponent, zero(c));
  const isNegative = b.bin(Op.gt_s_i32x4, zero(c), x);
  const positive = select(c, words(c, defaultNan), andNot(c, normal, isInfinite), isNegative);
  const result = select(c, or(c, sign, words(c, exponentBits)), positive, isZero);
  return withDefaultNan(c, select(c, x, result, isNan(c, x)));
}

/** 2^exponent in every lane. */
const power = (c: ArmContext, exponent: number): Value => words(c, (exponent + 127) << 23);

function toFixed(c: ArmContext, m: Value, u: number, fraction: number): Value {
  // A denormal stays below 1.
  const scaled = fraction === 0 ? m : c.b.bin(Op.mul_f32x4, m, power(c, fraction));
  return c.b.un(u ? Op.trunc_sat_u_f32x4_i32x4 : Op.trunc_sat_s_f32x4_i32x4, scaled);
}

function fromFixed(c: ArmContext, m: Value, u: number, fraction: number): Value {
  const integral = c.b.un(u ? Op.convert_u_i32x4_f32x4 : Op.convert_s_i32x4_f32x4, m);
  const result = fraction === 0 ? integral : c.b.bin(Op.mul_f32x4, integral, power(c, -fraction));
  c.noteFlushed(result);
  return result;
}

const comparison =
  (op: number, isAbsolute = false) =>
  (c: ArmContext, n: Value, m: Value): Value => {
    const of = (x: Value): Value => flushed(c, isAbsolute ? absolute(c, x) : x);
    return c.b.bin(op, of(n), of(m));
  };

type Binary = (c: ArmContext, n: Value, m: Value) => Value;

const binary: Partial<Record<LaneOperation, Binary>> = {
  add: (c, n, m) => sum(c, Op.add_f32x4, n, m),
  sub: (c, n, m) => sum(c, Op.sub_f32x4, n, m),
  abd: (c, n, m) => absolute(c, sum(c, Op.sub_f32x4, n, m)),
  max: (c, n, m) => extreme(c, Op.max_f32x4, n, m),
  min: (c, n, m) => extreme(c, Op.min_f32x4, n, m),
  maxnm: (c, n, m) => numberExtreme(c, Op.max_f32x4, n, m),
  minnm: (c, n, m) => numberExtreme(c, Op.min_f32x4, n, m),
  ceq: comparison(Op.eq_f32x4),
  cge: comparison(Op.ge_f32x4),
  cgt: comparison(Op.gt_f32x4),
  acge: comparison(Op.ge_f32x4, true),
  acgt: comparison(Op.gt_f32x4, true),
  ceqZero: (c, _n, m) => comparison(Op.eq_f32x4)(c, m, zero(c)),
  cgeZero: (c, _n, m) => comparison(Op.ge_f32x4)(c, m, zero(c)),
  cgtZero: (c, _n, m) => comparison(Op.gt_f32x4)(c, m, zero(c)),
  cleZero: (c, _n, m) => comparison(Op.le_f32x4)(c, m, zero(c)),
  cltZero: (c, _n, m) => comparison(Op.lt_f32x4)(c, m, zero(c)),
  recps,
  rsqrts,
  recpe: (c, _n, m) => recpe(c, m),
  rsqrte: (c, _n, m) => rsqrte(c, m),
};

/** Operands of an operation; `x` is its own (fraction bits), `d` reads the destination. */
export interface FloatOperands {
  readonly n: Value;
  readonly m: Value;
  readonly d: () => Value;
  readonly u: number;
  readonly x: number;
}

type Set = (value: Value) => void;

/** Operations that read the destination, or write it twice. */
const others: Partial<Record<LaneOperation, (c: ArmContext, o: FloatOperands, set: Set) => void>> = {
  mul: (c, { n, m }, set) => withProduct(c, n, m, set),
  mla(c, { n, m, d }, set) {
    const old = d();
    withProduct(c, n, m, (product) => set(sum(c, Op.add_f32x4, old, product)));
  },
  mls(c, { n, m, d }, set) {
    const old = d();
    withProduct(c, n, m, (product) => set(sum(c, Op.sub_f32x4, old, product)));
  },
  fma: (c, { n, m, d }, set) => set(fused(c, d(), n, m, false)),
  fms: (c, { n, m, d }, set) => set(fused(c, d(), n, m, true)),
  toFixed: (c, { m, u, x }, set) => set(toFixed(c, m, u, x)),
  fromFixed: (c, { m, u, x }, set) => set(fromFixed(c, m, u, x)),
};

/** Emits an operation on single-precision lanes and gives its result to `set`; false if there is no native form. */
export function nativeFloat(c: ArmContext, name: LaneOperation, operands: FloatOperands, set: Set): boolean {
  const simple = binary[name];
  const other = others[name];
  if (simple) set(simple(c, operands.n, operands.m));
  else if (other) other(c, operands, set);
  return simple !== undefined || other !== undefined;
}
