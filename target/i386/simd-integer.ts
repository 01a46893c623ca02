/** Integer arithmetic of MMX and SSE to SSE4.2, on both kinds of registers (SDM vol. 1, chapters 9 to 12). */
import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { bytesOf } from '#tcg/sequences/vector.ts';
import type { X86Context } from './context.ts';
import { slotAf, slotCf, slotOf, slotSf, slotZf } from './flags.ts';
import {
  alternate,
  binary,
  checkMmx,
  isMmx,
  load,
  lowHalves,
  shuffle,
  shuffleElements,
  store,
  type Translate,
  touchMmx,
  unary,
  words,
  zero,
} from './vector.ts';

const andNot = (c: X86Context, a: Value, b: Value): Value => c.b.bin(Op.andnot_v128, a, b);

/** PANDN: ~dst & src. */
export const pandn = binary((c, a, b) => andNot(c, b, a));

/** PUNPCKL, PUNPCKH: elements of both in turn, from the low or the high half. */
export const unpack = (bytes: number, high: boolean): Translate =>
  binary((c, a, b, mmx) => {
    const first = high ? (mmx ? 8 : 16) / bytes / 2 : 0;
    const count = 16 / bytes;
    return shuffleElements(
      c,
      bytes,
      a,
      b,
      Array.from({ length: count }, (_, i) => first + (i >> 1) + (i & 1 ? count : 0)),
    );
  });

/** PACKSS, PACKUS: both narrowed with saturation. */
export const pack = (op: number): Translate =>
  binary((c, a, b, mmx) => {
    if (!mmx) return c.b.bin(op, a, b);
    const both = lowHalves(c, a, b);
    return c.b.bin(op, both, both);
  });

/** The upper halves of 16-bit products. */
const multiplyHigh = (low: number, high: number): Translate =>
  binary((c, a, b) =>
    shuffle(
      c,
      c.b.bin(low, a, b),
      c.b.bin(high, a, b),
      bytesOf((i) => 4 * (i >> 1) + 2 + (i & 1)),
    ),
  );
export const pmulhw = multiplyHigh(Op.extmul_low_s_i16x8, Op.extmul_high_s_i16x8);
export const pmulhuw = multiplyHigh(Op.extmul_low_u_i16x8, Op.extmul_high_u_i16x8);

/** PMULUDQ, PMULDQ: 64-bit products of the even 32-bit elements. */
const multiplyEven = (op: number): Translate =>
  binary((c, a, b) =>
    c.b.bin(op, shuffleElements(c, 4, a, a, [0, 2, 0, 2]), shuffleElements(c, 4, b, b, [0, 2, 0, 2])),
  );
export const pmuludq = multiplyEven(Op.extmul_low_u_i32x4);
export const pmuldq = multiplyEven(Op.extmul_low_s_i32x4);

/** PMULHRSW: rounded, but unlike the wasm op not saturated. */
export const pmulhrsw = binary((c, a, b) => {
  const least = words(c, 0x80008000 | 0);
  const both = c.b.bin(Op.and_v128, c.b.bin(Op.eq_i16x8, a, least), c.b.bin(Op.eq_i16x8, b, least));
  return c.b.bin(Op.xor_v128, c.b.bin(Op.q15mulr_sat_s_i16x8, a, b), both);
});

/** PMADDUBSW: unsigned bytes of dst times signed ones of src, neighbours added with saturation. */
export const pmaddubsw = binary((c, x, y) => {
  const { b } = c;
  const eight = b.i32(8);
  const evenX = b.bin(Op.and_v128, x, words(c, 0x00ff00ff));
  const evenY = b.bin(Op.shr_s_i16x8, b.bin(Op.shl_i16x8, y, eight), eight);
  const odd = b.bin(Op.mul_i16x8, b.bin(Op.shr_u_i16x8, x, eight), b.bin(Op.shr_s_i16x8, y, eight));
  return b.bin(Op.add_sat_s_i16x8, b.bin(Op.mul_i16x8, evenX, evenY), odd);
});

/** PSADBW: sums of the absolute differences of eight bytes. */
export const psadbw = binary((c, x, y) => {
  const { b } = c;
  const differences = b.bin(Op.sub_i8x16, b.bin(Op.max_u_i8x16, x, y), b.bin(Op.min_u_i8x16, x, y));
  const fours = b.un(Op.extadd_pairwise_u_i16x8, b.un(Op.extadd_pairwise_u_i8x16, differences));
  const low = b.bin(Op.and_v128, fours, b.v128(-1, 0, -1, 0));
  return b.bin(Op.add_i64x2, low, b.bin(Op.shr_u_i64x2, fours, b.i32(32)));
});

/** PHADD, PHSUB: neighbours of dst, then of src. */
export const horizontal = (bytes: number, op: number): Translate =>
  binary((c, a, b, mmx) => c.b.bin(op, alternate(c, bytes, a, b, 0, mmx), alternate(c, bytes, a, b, 1, mmx)));

/** PSIGN: dst negated, zeroed or left as src is negative, zero or positive. */
export const sign = (greater: number, equal: number, subtract: number): Translate =>
  binary((c, a, b) => {
    const negative = c.b.bin(greater, zero(c), b);
    const negated = c.b.bin(subtract, c.b.bin(Op.xor_v128, a, negative), negative);
    return andNot(c, negated, c.b.bin(equal, b, zero(c)));
  });

/** PABS. */
export const absolute = (op: number): Translate => unary((c, a) => c.b.un(op, a));

/** PSHUFB: bytes of dst picked by src; 0 where bit 7 is set. */
export const pshufb = binary((c, a, b, mmx) =>
  c.b.bin(Op.swizzle_i8x16, a, c.b.bin(Op.and_v128, b, words(c, (mmx ? 0x87878787 : 0x8f8f8f8f) | 0))),
);

/** PALIGNR: dst and src as one number, shifted right by a number of bytes. */
export const palignr: Translate = (c) => {
  const by = c.immediate(2) & 0xff;
  const mmx = isMmx(c, 0);
  if (mmx) checkMmx(c);
  const source = load(c, 1);
  const destination = load(c, 0);
  if (mmx) {
    const both = lowHalves(c, source, destination);
    store(
      c,
      0,
      shuffle(
        c,
        both,
        zero(c),
        bytesOf((i) => Math.min(16, i + by)),
      ),
    );
    return;
  }
  const [low, high, shift] = by < 16 ? [source, destination, by] : [destination, zero(c), by - 16];
  store(
    c,
    0,
    shuffle(
      c,
      low,
      high,
      bytesOf((i) => (i + shift < 32 ? i + shift : 31)),
    ),
  );
};

/** PMOVSX, PMOVZX: the low elements, widened by each op in turn. */
export const widen = (...ops: readonly number[]): Translate =>
  unary((c, a) => {
    let value = a;
    for (const op of ops) value = c.b.un(op, value);
    return value;
  });

/** PBLENDVB, BLENDVPS, BLENDVPD: src where the top bit of an element of XMM0 is set. */
export const blendByMask = (shift: number, bits: number): Translate =>
  binary((c, a, b) => c.b.tri(Op.bitselect_v128, b, a, c.b.bin(shift, c.getXmm(0), c.b.i32(bits - 1))));

/** PBLENDW, BLENDPS, BLENDPD: src where a bit of the immediate is set. */
export const blend =
  (bytes: number): Translate =>
  (c) => {
    const count = 16 / bytes;
    const mask = c.immediate(2);
    const source = load(c, 1);
    const pick = Array.from({ length: count }, (_, i) => ((mask >> i) & 1 ? count + i : i));
    store(c, 0, shuffleElements(c, bytes, load(c, 0), source, pick));
  };

/** Sets ZF and CF from 0-or-1 values; the other status flags are cleared. */
export function setZfCf(c: X86Context, zf: Value, cf: Value): void {
  const { b } = c;
  b.set32(slotZf, b.eqz(zf));
  b.set32(slotCf, cf);
  // One bit in the low byte: PF is clear, and so is SF.
  b.set32(slotSf, b.i32(1));
  b.set32(slotAf, b.i32(1));
  b.set32(slotOf, b.i32(0));
}

/** PTEST. */
export const ptest: Translate = (c) => {
  const { b } = c;
  const source = load(c, 1);
  const destination = load(c, 0);
  const none = (value: Value): Value => b.eqz(b.un(Op.any_true_v128, value));
  setZfCf(c, none(b.bin(Op.and_v128, source, destination)), none(andNot(c, source, destination)));
};

/** PHMINPOSUW: the least word and its place. */
export const phminposuw = unary((c, a) => {
  const { b } = c;
  const least = (value: Value, rotate: readonly number[]): Value =>
    b.bin(Op.min_u_i16x8, value, shuffleElements(c, 2, value, value, rotate));
  const four = least(a, [4, 5, 6, 7, 0, 1, 2, 3]);
  const two = least(four, [2, 3, 0, 1, 6, 7, 4, 5]);
  const all = least(two, [1, 0, 3, 2, 5, 4, 7, 6]);
  const place = b.shrUImm(b.un(Op.ctz_i32, b.un(Op.bitmask_i8x16, b.bin(Op.eq_i16x8, a, all))), 1);
  const value = b.emit(Op.extract_lane_u_i16x8, all);
  return b.emit(Op.replace_lane_i32x4, zero(c), b.or(value, b.shlImm(place, 16)));
});

/** PMOVMSKB, MOVMSKPS, MOVMSKPD. */
export const moveMask =
  (op: number): Translate =>
  (c) => {
    const { b } = c;
    const mmx = isMmx(c, 1);
    if (mmx) checkMmx(c);
    const mask = b.un(op, load(c, 1));
    if (mmx) touchMmx(c);
    c.setReg(c.register(0), mmx ? b.andImm(mask, 0xff) : mask);
  };

type ShiftKind = 'left' | 'right' | 'arithmetic';

/** Shifts by the low 64 bits of src, or an immediate: a count that is too large gives zeros, or copies of the sign. */
export const shift =
  (op: number, bits: number, kind: ShiftKind): Translate =>
  (c) => {
    const { b } = c;
    if (isMmx(c, 0)) checkMmx(c);
    if (c.isImmediate(1)) {
      const count = c.immediate(1) & 0xff;
      const value = load(c, 0);
      if (count < bits) store(c, 0, b.bin(op, value, b.i32(count)));
      else store(c, 0, kind === 'arithmetic' ? b.bin(op, value, b.i32(bits - 1)) : zero(c));
      return;
    }
    const count = b.emit(Op.extract_lane_i64x2, load(c, 1));
    const value = load(c, 0);
    const tooLarge = b.bin(Op.gt_u_i64, count, b.i64(bits - 1, 0));
    const amount = b.un(Op.wrap_i64, count);
    if (kind === 'arithmetic') {
      store(c, 0, b.bin(op, value, b.select(tooLarge, b.i32(bits - 1), amount)));
      return;
    }
    store(c, 0, b.tri(Op.select_v128, zero(c), b.bin(op, value, amount), tooLarge));
  };

/** PSLLDQ (`left`), PSRLDQ. */
export const shiftBytes =
  (left: boolean): Translate =>
  (c) => {
    const by = Math.min(16, c.immediate(1) & 0xff);
    const pick = left ? bytesOf((i) => (i >= by ? i - by : 16)) : bytesOf((i) => Math.min(16, i + by));
    store(c, 0, shuffle(c, load(c, 0), zero(c), pick));
  };
