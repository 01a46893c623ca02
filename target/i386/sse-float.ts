/**
 * SSE floating point (SDM vol. 1, chapters 10 to 12). While MXCSR has its usual control bits and nobody has asked for the
 * exception flags, instructions are native operations, which are exact but for the flags; else they are calls of
 * `sse-helpers.ts`, which keep the flags too. `sseMode` is the bit of the translation mode that tells.
 */
import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { Op } from '#tcg/ops.ts';
import type { X86Context } from './context.ts';
import { slotAf, slotCf, slotOf, slotSf, slotZf } from './flags.ts';
import { nativeNans } from './nan-rule.ts';
import {
  ConvertKind,
  ConvertRest,
  convertHelper,
  memorySource,
  operateHelper,
  orderHelper,
  SseForm,
  SseSoft,
} from './sse-helpers.ts';
import { controlMask, slotMxcsr, slotTracked, softMode } from './sse-mode.ts';
import { i386State, Vector } from './state.ts';
import { checkMmx, load, shuffle, shuffleElements, storeMmx, type Translate, touchMmx, zero } from './vector.ts';

const slotOperand = i386State.offset('operand');

const isSoft = (c: X86Context): boolean => (c.mode & softMode) !== 0;

const isPacked = (form: SseForm): boolean => form === 'ps' || form === 'pd';
const isDouble = (form: SseForm): boolean => form === 'pd' || form === 'sd';

/** Native ops by form. */
const ops = {
  ps: {
    add: Op.add_f32x4,
    sub: Op.sub_f32x4,
    mul: Op.mul_f32x4,
    div: Op.div_f32x4,
    sqrt: Op.sqrt_f32x4,
    eq: Op.eq_f32x4,
    lt: Op.lt_f32x4,
    le: Op.le_f32x4,
  },
  pd: {
    add: Op.add_f64x2,
    sub: Op.sub_f64x2,
    mul: Op.mul_f64x2,
    div: Op.div_f64x2,
    sqrt: Op.sqrt_f64x2,
    eq: Op.eq_f64x2,
    lt: Op.lt_f64x2,
    le: Op.le_f64x2,
  },
  ss: {
    add: Op.add_f32,
    sub: Op.sub_f32,
    mul: Op.mul_f32,
    div: Op.div_f32,
    sqrt: Op.sqrt_f32,
    eq: Op.eq_f32,
    lt: Op.lt_f32,
    le: Op.le_f32,
  },
  sd: {
    add: Op.add_f64,
    sub: Op.sub_f64,
    mul: Op.mul_f64,
    div: Op.div_f64,
    sqrt: Op.sqrt_f64,
    eq: Op.eq_f64,
    lt: Op.lt_f64,
    le: Op.le_f64,
  },
} as const;

/** Operand n as a float of the form: a vector, or the lowest element. */
function get(c: X86Context, n: number, form: SseForm): Value {
  if (isPacked(form)) return load(c, n);
  const number = c.register(n);
  const type = form === 'ss' ? 'f32' : 'f64';
  return number >= 0 ? c.getLane(type, number, 0) : c.loadMemory(form === 'ss' ? Op.load_f32 : Op.load_f64);
}

/** Writes operand 0: all of the register, or its lowest element. */
function set(c: X86Context, form: SseForm, value: Value): void {
  const number = c.register(0);
  if (isPacked(form)) c.setXmm(number, value);
  else c.setLane(form === 'ss' ? 'f32' : 'f64', number, 0, value);
}

// ---- NaNs where native operations do not give those of SSE

/** The bits of a scalar with the quiet bit set, as a float again. */
function quieted(c: X86Context, form: SseForm, value: Value): Value {
  const { b } = c;
  switch (form) {
    case 'ss':
      return b.un(Op.from_bits_f32, b.or(b.un(Op.bits_f32, value), b.i32(0x400000)));
    case 'sd':
      return b.un(Op.from_bits_f64, b.bin(Op.or_i64, b.un(Op.bits_f64, value), b.i64(0, 0x80000)));
    case 'ps':
      return b.bin(Op.or_v128, value, b.v128(0x400000, 0x400000, 0x400000, 0x400000));
    case 'pd':
      return b.bin(Op.or_v128, value, b.v128(0, 0x80000, 0, 0x80000));
  }
}

function defaultNan(c: X86Context, form: SseForm): Value {
  const { b } = c;
  const high = 0xfff80000 | 0;
  const one = 0xffc00000 | 0;
  switch (form) {
    case 'ss':
      return b.f32Bits(one);
    case 'sd':
      return b.f64Bits(0, high);
    case 'ps':
      return b.v128(one, one, one, one);
    case 'pd':
      return b.v128(0, high, 0, high);
  }
}

/** a where `value` is a number, else `other`. */
function ifNumber(c: X86Context, form: SseForm, value: Value, a: Value, other: Value): Value {
  const { b } = c;
  const isNumber = b.bin(ops[form].eq, value, value);
  if (isPacked(form)) return b.tri(Op.bitselect_v128, a, other, isNumber);
  return b.emit(form === 'ss' ? Op.select_f32 : Op.select_f64, a, other, isNumber);
}

/** The result of an operation on x and y with the NaN that SSE gives: x, else y, made quiet, else the default. */
function exact(c: X86Context, form: SseForm, result: Value, x: Value, y: Value): Value {
  if (nativeNans()) return result;
  const second = ifNumber(c, form, y, defaultNan(c, form), quieted(c, form, y));
  const nan = ifNumber(c, form, x, second, quieted(c, form, x));
  return ifNumber(c, form, result, result, nan);
}

// ---- soft mode

/** The source operand's number for a helper; one in memory is put into `operand` first. */
function softSource(c: X86Context, n: number, bytes: number): number {
  const number = c.register(n);
  if (number >= 0) return number;
  const { b } = c;
  if (bytes === 16) b.set('v128', slotOperand, load(c, n));
  else if (bytes === 8) b.set('i64', slotOperand, c.loadMemory(Op.load_i64));
  else b.set32(slotOperand, c.loadMemory(Op.load_i32));
  return memorySource;
}

const sourceBytes = { ps: 16, pd: 16, ss: 4, sd: 8 } as const;

function soft(c: X86Context, operation: number, form: SseForm, immediate = 0): void {
  const { b } = c;
  const source = softSource(c, 1, sourceBytes[form]);
  const code = operation | (SseForm[form] << 8) | (c.register(0) << 12) | (source << 16);
  c.raiseIf(b.helper(operateHelper, false, b.i32(code), b.i32(immediate)), Vector.simd);
}

/** An instruction with a native form and a soft one. */
const either =
  (operation: number, form: SseForm, native: (c: X86Context) => void): Translate =>
  (c) => {
    if (isSoft(c)) soft(c, operation, form);
    else native(c);
  };

// ---- arithmetic

export const arithmetic = (name: 'add' | 'sub' | 'mul' | 'div', form: SseForm): Translate =>
  either(SseSoft[name], form, (c) => {
    const y = get(c, 1, form);
    const x = get(c, 0, form);
    set(c, form, exact(c, form, c.b.bin(ops[form][name], x, y), x, y));
  });

export const sqrt = (form: SseForm): Translate =>
  either(SseSoft.sqrt, form, (c) => {
    const x = get(c, 1, form);
    set(c, form, exact(c, form, c.b.un(ops[form].sqrt, x), x, x));
  });

/** MIN, MAX: the source unless the destination is less (greater), also where a NaN is involved. */
export const extremum = (name: 'min' | 'max', form: SseForm): Translate =>
  either(SseSoft[name], form, (c) => {
    const { b } = c;
    const source = get(c, 1, form);
    const destination = get(c, 0, form);
    const isKept = name === 'min' ? b.bin(ops[form].lt, destination, source) : b.bin(ops[form].lt, source, destination);
    const select = isPacked(form) ? Op.bitselect_v128 : form === 'ss' ? Op.select_f32 : Op.select_f64;
    set(c, form, b.emit(select, destination, source, isKept));
  });

/** RCP, RSQRT: processors give 12 bits; this is the whole quotient. Denormals count as zeros. */
export const reciprocal =
  (ofRoot: boolean, form: 'ps' | 'ss'): Translate =>
  (c) => {
    const { b } = c;
    const packed = form === 'ps';
    const x = packed ? load(c, 1) : b.un(Op.splat_f32x4, get(c, 1, 'ss'));
    const magnitude = b.bin(Op.and_v128, x, splat(c, 0x7fffffff));
    const isSmall = b.bin(Op.lt_f32x4, magnitude, splat(c, 0x00800000));
    const flushed = b.tri(Op.bitselect_v128, b.bin(Op.and_v128, x, splat(c, 0x80000000 | 0)), x, isSmall);
    const divisor = ofRoot ? exact(c, 'ps', b.un(Op.sqrt_f32x4, flushed), flushed, flushed) : flushed;
    const quotient = exact(c, 'ps', b.bin(Op.div_f32x4, splat(c, 0x3f800000), divisor), divisor, divisor);
    if (packed) set(c, form, quotient);
    else set(c, form, b.emit(Op.extract_lane_f32x4, quotient));
  };

const splat = (c: X86Context, word: number): Value => c.b.v128(word, word, word, word);

// ---- comparison

/** Predicates 0 to 3 of CMP; 4 to 7 are their negations. */
function predicate(c: X86Context, form: SseForm, number: number, x: Value, y: Value): Value {
  const { b } = c;
  const { eq, lt, le } = ops[form];
  switch (number & 3) {
    case 0:
      return b.bin(eq, x, y);
    case 1:
      return b.bin(lt, x, y);
    case 2:
      return b.bin(le, x, y);
    default: {
      const both = [b.bin(eq, x, x), b.bin(eq, y, y)] as const;
      if (isPacked(form)) return b.un(Op.not_v128, b.bin(Op.and_v128, ...both));
      return b.eqz(b.and(...both));
    }
  }
}

export const compare =
  (form: SseForm): Translate =>
  (c) => {
    const { b } = c;
    const immediate = c.immediate(2) & 7;
    if (isSoft(c)) {
      soft(c, SseSoft.compare, form, immediate);
      return;
    }
    const source = get(c, 1, form);
    const holds = predicate(c, form, immediate, get(c, 0, form), source);
    const negated = immediate > 3;
    if (isPacked(form)) {
      set(c, form, negated ? b.un(Op.not_v128, holds) : holds);
      return;
    }
    const mask = b.sub(b.i32(0), negated ? b.eqz(holds) : holds);
    if (form === 'ss') c.setLane('i32', c.register(0), 0, mask);
    else c.setLane('i64', c.register(0), 0, b.un(Op.extend_s_i64, mask));
  };

/** UCOMIS, and COMIS, which raises for quiet NaNs too: ZF PF CF; OF SF AF become 0. */
export const compareToFlags =
  (form: 'ss' | 'sd', signals: boolean): Translate =>
  (c) => {
    const { b } = c;
    if (isSoft(c)) {
      const source = softSource(c, 1, sourceBytes[form]);
      const code = (SseForm[form] << 8) | (c.register(0) << 12) | (source << 16);
      const flags = b.helper(orderHelper, false, b.i32(code), b.i32(signals ? 1 : 0));
      c.raiseIf(b.bin(Op.lt_s_i32, flags, b.i32(0)), Vector.simd);
      c.flags.setStatus(flags);
      return;
    }
    const y = get(c, 1, form);
    const x = get(c, 0, form);
    const { eq, lt, le } = ops[form];
    const less = b.bin(lt, x, y);
    const greater = b.bin(lt, y, x);
    // ZF: equal or unordered, which is neither less nor greater; CF: not (x >= y).
    b.set32(slotZf, b.or(less, greater));
    b.set32(slotCf, b.eqz(b.bin(le, y, x)));
    // PF is set if the low byte has an even number of ones: none, where unordered.
    const ordered = b.and(b.bin(eq, x, x), b.bin(eq, y, y));
    b.set32(slotSf, ordered);
    b.set32(slotAf, ordered);
    b.set32(slotOf, b.i32(0));
  };

// ---- SSE3, SSE4

/** HADD, HSUB. */
export const horizontal = (name: 'add' | 'sub', form: 'ps' | 'pd'): Translate =>
  either(name === 'add' ? SseSoft.horizontalAdd : SseSoft.horizontalSub, form, (c) => {
    const source = load(c, 1);
    const destination = load(c, 0);
    const bytes = form === 'ps' ? 4 : 8;
    const every = (odd: number): Value =>
      shuffleElements(
        c,
        bytes,
        destination,
        source,
        Array.from({ length: 16 / bytes }, (_, i) => 2 * i + odd),
      );
    const x = every(0);
    const y = every(1);
    set(c, form, exact(c, form, c.b.bin(ops[form][name], x, y), x, y));
  });

/** ADDSUB: even elements are subtracted, odd ones added. */
export const addSub = (form: 'ps' | 'pd'): Translate =>
  either(SseSoft.addSub, form, (c) => {
    const { b } = c;
    const y = load(c, 1);
    const x = load(c, 0);
    const sum = exact(c, form, b.bin(ops[form].add, x, y), x, y);
    const difference = exact(c, form, b.bin(ops[form].sub, x, y), x, y);
    set(c, form, shuffleElements(c, form === 'ps' ? 4 : 8, difference, sum, form === 'ps' ? [0, 5, 2, 7] : [0, 3]));
  });

/** DPPS, DPPD: by the helper always, as they are rare. */
export const dot =
  (form: 'ps' | 'pd'): Translate =>
  (c) =>
    soft(c, SseSoft.dot, form, c.immediate(2) & 0xff);

/** Rounding ops by RC: nearest, down, up, toward zero. */
const roundings = {
  ps: [Op.nearest_f32x4, Op.floor_f32x4, Op.ceil_f32x4, Op.trunc_f32x4],
  pd: [Op.nearest_f64x2, Op.floor_f64x2, Op.ceil_f64x2, Op.trunc_f64x2],
  ss: [Op.nearest_f32, Op.floor_f32, Op.ceil_f32, Op.trunc_f32],
  sd: [Op.nearest_f64, Op.floor_f64, Op.ceil_f64, Op.trunc_f64],
} as const;

/** ROUND. In the usual mode MXCSR rounds to nearest. */
export const round =
  (form: SseForm): Translate =>
  (c) => {
    const immediate = c.immediate(2) & 15;
    if (isSoft(c)) {
      soft(c, SseSoft.round, form, immediate);
      return;
    }
    const x = get(c, 1, form);
    const rounded = c.b.un(roundings[form][immediate & 4 ? 0 : immediate & 3]!, x);
    set(c, form, exact(c, form, rounded, x, x));
  };

// ---- conversions

interface Conversion {
  readonly operation: number;
  /** Elements converted, and bytes of the source. */
  readonly count: number;
  readonly bytes: number;
  readonly double: boolean;
  readonly kind?: number;
  readonly rest?: number;
}

/** A conversion with its soft form and its native one. Sources in general or MMX registers go through `operand`. */
const conversion =
  (how: Conversion, source: 'vector' | 'mmx' | 'general', native: (c: X86Context) => void): Translate =>
  (c) => {
    const { b } = c;
    // With a memory operand CVTPI2PS leaves the x87 state alone.
    if ((source === 'mmx' && c.register(1) >= 0) || how.kind === ConvertKind.mmx) checkMmx(c);
    if (!isSoft(c)) {
      native(c);
      return;
    }
    let from = memorySource;
    if (source === 'vector') from = softSource(c, 1, how.bytes);
    else if (source === 'general') b.set32(slotOperand, c.load(1));
    else b.set('i64', slotOperand, b.emit(Op.extract_lane_i64x2, load(c, 1)));
    const kind = how.kind ?? ConvertKind.xmm;
    const code =
      how.operation |
      (how.double ? 0x100 : 0) |
      (c.register(0) << 12) |
      (from << 16) |
      (how.count << 20) |
      (kind << 24);
    c.raiseIf(b.helper(convertHelper, false, b.i32(code), b.i32(how.rest ?? ConvertRest.keep)), Vector.simd);
    if (kind === ConvertKind.mmx) storeMmx(c, c.register(0), c.getMmx(c.register(0)));
    else if (source === 'mmx' && c.register(1) >= 0) touchMmx(c);
  };

/** CVTSI2SS, CVTSI2SD. */
export const fromGeneral = (form: 'ss' | 'sd'): Translate =>
  conversion({ operation: SseSoft.fromInteger, count: 1, bytes: 4, double: isDouble(form) }, 'general', (c) =>
    set(c, form, c.b.un(form === 'ss' ? Op.convert_s_i32_f32 : Op.convert_s_i32_f64, c.load(1))),
  );

/** CVTSS2SI, CVTTSD2SI, …: −2^31 where the number does not fit. */
export const toGeneral = (form: 'ss' | 'sd', truncate: boolean): Translate =>
  conversion(
    {
      operation: truncate ? SseSoft.truncate : SseSoft.toInteger,
      count: 1,
      bytes: form === 'ss' ? 4 : 8,
      double: isDouble(form),
      kind: ConvertKind.general,
    },
    'vector',
    (c) => {
      const { b } = c;
      const x = get(c, 1, form);
      const whole = truncate ? x : b.un(form === 'ss' ? Op.nearest_f32 : Op.nearest_f64, x);
      const limit = form === 'ss' ? b.f32Bits(0x4f000000) : b.f64Bits(0, 0x41e00000);
      const fits = b.bin(ops[form].lt, whole, limit);
      const saturated = b.un(form === 'ss' ? Op.trunc_sat_s_f32_i32 : Op.trunc_sat_s_f64_i32, whole);
      c.setReg(c.register(0), b.select(fits, saturated, b.i32(-0x80000000)));
    },
  );

/** CVTSS2SD, CVTSD2SS. */
export const betweenScalars = (to: 'ss' | 'sd'): Translate => {
  const from = to === 'sd' ? 'ss' : 'sd';
  const operation = to === 'sd' ? SseSoft.singleToDouble : SseSoft.doubleToSingle;
  return conversion({ operation, count: 1, bytes: to === 'sd' ? 4 : 8, double: to === 'sd' }, 'vector', (c) => {
    const { b } = c;
    const x = get(c, 1, from);
    if (nativeNans()) set(c, to, b.un(to === 'sd' ? Op.promote_f32 : Op.demote_f64, x));
    else set(c, to, to === 'sd' ? promoted(c, x) : demoted(c, x));
  });
};

/** f32 to f64 with its NaN. */
function promoted(c: X86Context, x: Value): Value {
  const { b } = c;
  const bits = b.un(Op.extend_u_i64, b.un(Op.bits_f32, x));
  const fraction = b.bin(Op.shl_i64, b.bin(Op.and_i64, bits, b.i64(0x3fffff, 0)), b.i64(29, 0));
  const sign = b.bin(Op.shl_i64, b.bin(Op.shr_u_i64, bits, b.i64(31, 0)), b.i64(63, 0));
  const nan = b.bin(Op.or_i64, b.bin(Op.or_i64, sign, fraction), b.i64(0, 0x7ff80000));
  return b.emit(Op.select_f64, b.un(Op.promote_f32, x), b.un(Op.from_bits_f64, nan), b.bin(Op.eq_f32, x, x));
}

/** f64 to f32 with its NaN. */
function demoted(c: X86Context, x: Value): Value {
  const { b } = c;
  const bits = b.un(Op.bits_f64, x);
  const fraction = b.andImm(b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, bits, b.i64(29, 0))), 0x3fffff);
  const sign = b.shlImm(b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, bits, b.i64(63, 0))), 31);
  const nan = b.or(b.or(sign, fraction), b.i32(0x7fc00000));
  return b.emit(Op.select_f32, b.un(Op.demote_f64, x), b.un(Op.from_bits_f32, nan), b.bin(Op.eq_f64, x, x));
}

/** CVTPS2PD, CVTPD2PS: packed; the upper half of the latter's result is 0. */
export const singlesToDoubles: Translate = conversion(
  { operation: SseSoft.singleToDouble, count: 2, bytes: 8, double: true },
  'vector',
  (c) => {
    const { b } = c;
    const x = load(c, 1);
    if (nativeNans()) set(c, 'pd', b.un(Op.promote_low_f32x4_f64x2, x));
    else {
      const lane = (n: number): Value => promoted(c, b.emit(Op.extract_lane_f32x4, x, -1, -1, n));
      set(c, 'pd', b.emit(Op.replace_lane_f64x2, b.un(Op.splat_f64x2, lane(0)), lane(1), -1, 1));
    }
  },
);

export const doublesToSingles: Translate = conversion(
  { operation: SseSoft.doubleToSingle, count: 2, bytes: 16, double: false, rest: ConvertRest.zero },
  'vector',
  (c) => {
    const { b } = c;
    const x = load(c, 1);
    if (nativeNans()) set(c, 'ps', b.un(Op.demote_f64x2_f32x4, x));
    else {
      const lane = (n: number): Value => demoted(c, b.emit(Op.extract_lane_f64x2, x, -1, -1, n));
      const first = b.emit(Op.replace_lane_f32x4, zero(c), lane(0), -1, 0);
      set(c, 'ps', b.emit(Op.replace_lane_f32x4, first, lane(1), -1, 1));
    }
  },
);

/** CVTDQ2PS. */
export const integersToSingles: Translate = conversion(
  { operation: SseSoft.fromInteger, count: 4, bytes: 16, double: false },
  'vector',
  (c) => set(c, 'ps', c.b.un(Op.convert_s_i32x4_f32x4, load(c, 1))),
);

/** CVTDQ2PD: exact. */
export const integersToDoubles: Translate = (c) => set(c, 'pd', c.b.un(Op.convert_low_s_i32x4_f64x2, load(c, 1)));

/** Four integers of floats, −2^31 where one does not fit. */
function singlesAsIntegers(c: X86Context, x: Value, truncate: boolean): Value {
  const { b } = c;
  const whole = truncate ? x : b.un(Op.nearest_f32x4, x);
  const fits = b.bin(Op.lt_f32x4, whole, splat(c, 0x4f000000));
  return b.tri(Op.bitselect_v128, b.un(Op.trunc_sat_s_f32x4_i32x4, whole), splat(c, 0x80000000 | 0), fits);
}

/** Two integers of doubles in the low half, 0 in the high one. */
function doublesAsIntegers(c: X86Context, x: Value, truncate: boolean): Value {
  const { b } = c;
  const whole = truncate ? x : b.un(Op.nearest_f64x2, x);
  const fits = b.bin(Op.lt_f64x2, whole, b.v128(0, 0x41e00000, 0, 0x41e00000));
  const mask = shuffle(c, fits, fits, [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
  const least = -0x80000000;
  return b.tri(Op.bitselect_v128, b.un(Op.trunc_sat_s_f64x2_i32x4, whole), b.v128(least, least, 0, 0), mask);
}

/** CVTPS2DQ, CVTTPS2DQ. */
export const singlesToIntegers = (truncate: boolean): Translate =>
  conversion(
    { operation: truncate ? SseSoft.truncate : SseSoft.toInteger, count: 4, bytes: 16, double: false },
    'vector',
    (c) => set(c, 'ps', singlesAsIntegers(c, load(c, 1), truncate)),
  );

/** CVTPD2DQ, CVTTPD2DQ. */
export const doublesToIntegers = (truncate: boolean): Translate =>
  conversion(
    {
      operation: truncate ? SseSoft.truncate : SseSoft.toInteger,
      count: 2,
      bytes: 16,
      double: true,
      rest: ConvertRest.zero,
    },
    'vector',
    (c) => set(c, 'pd', doublesAsIntegers(c, load(c, 1), truncate)),
  );

/** CVTPI2PS: the low half of the destination. */
export const mmxToSingles: Translate = conversion(
  { operation: SseSoft.fromInteger, count: 2, bytes: 8, double: false },
  'mmx',
  (c) => {
    const { b } = c;
    const converted = b.un(Op.convert_s_i32x4_f32x4, load(c, 1));
    c.setLane('i64', c.register(0), 0, b.emit(Op.extract_lane_i64x2, converted));
    if (c.register(1) >= 0) touchMmx(c);
  },
);

/** CVTPI2PD. */
export const mmxToDoubles: Translate = (c) => {
  const isRegister = c.register(1) >= 0;
  if (isRegister) checkMmx(c);
  set(c, 'pd', c.b.un(Op.convert_low_s_i32x4_f64x2, load(c, 1)));
  if (isRegister) touchMmx(c);
};

/** CVTPS2PI, CVTPD2PI and their truncating forms. */
export const toMmx = (form: 'ps' | 'pd', truncate: boolean): Translate =>
  conversion(
    {
      operation: truncate ? SseSoft.truncate : SseSoft.toInteger,
      count: 2,
      bytes: form === 'ps' ? 8 : 16,
      double: form === 'pd',
      kind: ConvertKind.mmx,
    },
    'vector',
    (c) => {
      const { b } = c;
      const x = load(c, 1);
      const converted = form === 'ps' ? singlesAsIntegers(c, x, truncate) : doublesAsIntegers(c, x, truncate);
      storeMmx(c, c.register(0), b.emit(Op.extract_lane_i64x2, converted));
    },
  );

// ---- MXCSR

/** Bits that may be set. */
const mxcsrMask = 0xffff;

/**
 * LDMXCSR. Reserved bits are #GP. A program that loads MXCSR without changing its control bits is after the flags: they
 * are kept from then on; from the start of programs that may read MXCSR without (linux-user/abi/mxcsr-readers.ts).
 */
export const loadMxcsr: Translate = (c) => {
  const { b } = c;
  const value = c.loadMemory(Op.load_i32);
  c.raiseIf(b.andImm(value, ~mxcsrMask), Vector.protection);
  const same = b.eqz(b.andImm(b.xor(value, b.get32(slotMxcsr)), controlMask));
  b.set32(slotTracked, b.or(b.get32(slotTracked), same));
  b.set32(slotMxcsr, value);
  c.exit(ExitReason.mode, c.nextPc);
};

/** STMXCSR. */
export const storeMxcsr: Translate = (c) => c.storeMemory(Op.store_i32, c.b.get32(slotMxcsr));
