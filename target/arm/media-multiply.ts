import type { Builder, Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';

/*
 * The signed multiplies of the DSP extension (DDI 0406C A4.4.3) and UMAAL. Products of halfwords fit in 32 bits;
 * sums that may not are made in 64.
 */

interface Product {
  readonly rd: number;
  readonly rn: number;
  readonly rm: number;
}
interface Accumulated extends Product {
  readonly ra: number;
}
interface Long {
  readonly hi: number;
  readonly lo: number;
  readonly rn: number;
  readonly rm: number;
}
/** Which half of each operand: 1 for the top one. */
interface Halves {
  readonly nTop: number;
  readonly mTop: number;
}
/** 1: the halves of rm change places. */
interface Exchange {
  readonly swap: number;
}
/** 1: round to nearest instead of truncating. */
interface Round {
  readonly r: number;
}

/** Signed halfword `top` of a word. */
export const half = (b: Builder, word: Value, top: number): Value =>
  top ? b.shrSImm(word, 16) : b.un(Op.extend16_s_i32, word);

/** left + right modulo 2^32, setting Q where the signed sum overflows. */
function addQ(c: ArmContext, left: Value, right: Value): Value {
  const { b } = c;
  const sum = b.add(left, right);
  c.setQ(b.shrUImm(b.and(b.xor(sum, left), b.xor(sum, right)), 31));
  return sum;
}

const signed64 = (b: Builder, word: Value): Value => b.un(Op.extend_s_i64, word);
const unsigned64 = (b: Builder, word: Value): Value => b.un(Op.extend_u_i64, word);
const low = (b: Builder, value: Value): Value => b.un(Op.wrap_i64, value);
const high = (b: Builder, value: Value): Value => b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, value, b.i64(32, 0)));

/** hi:lo as a 64-bit value. */
const pair = (c: ArmContext, f: Long): Value => {
  const { b } = c;
  const top = b.bin(Op.shl_i64, unsigned64(b, c.reg(f.hi)), b.i64(32, 0));
  return b.bin(Op.or_i64, top, unsigned64(b, c.reg(f.lo)));
};

function setPair(c: ArmContext, f: Long, value: Value): void {
  c.setReg(f.lo, low(c.b, value));
  c.setReg(f.hi, high(c.b, value));
}

const halfProduct = (c: ArmContext, f: Product & Halves): Value =>
  c.b.mul(half(c.b, c.reg(f.rn), f.nTop), half(c.b, c.reg(f.rm), f.mTop));

/** SMUL<x><y> rd, rn, rm */
export function smulxy(c: ArmContext, f: Product & Halves): void {
  c.setReg(f.rd, halfProduct(c, f));
}

/** SMLA<x><y> rd, rn, rm, ra */
export function smlaxy(c: ArmContext, f: Accumulated & Halves): void {
  c.setReg(f.rd, addQ(c, halfProduct(c, f), c.reg(f.ra)));
}

/** SMLAL<x><y> lo, hi, rn, rm */
export function smlalxy(c: ArmContext, f: Long & Halves): void {
  const { b } = c;
  const product = b.mul(half(b, c.reg(f.rn), f.nTop), half(b, c.reg(f.rm), f.mTop));
  setPair(c, f, b.bin(Op.add_i64, pair(c, f), signed64(b, product)));
}

/** Bits 47:16 of rn times a half of rm. */
function wideProduct(c: ArmContext, f: Product & { readonly mTop: number }): Value {
  const { b } = c;
  const product = b.bin(Op.mul_i64, signed64(b, c.reg(f.rn)), signed64(b, half(b, c.reg(f.rm), f.mTop)));
  return low(b, b.bin(Op.shr_s_i64, product, b.i64(16, 0)));
}

/** SMULW<y> rd, rn, rm */
export function smulwy(c: ArmContext, f: Product & { readonly mTop: number }): void {
  c.setReg(f.rd, wideProduct(c, f));
}

/** SMLAW<y> rd, rn, rm, ra */
export function smlawy(c: ArmContext, f: Accumulated & { readonly mTop: number }): void {
  c.setReg(f.rd, addQ(c, wideProduct(c, f), c.reg(f.ra)));
}

/** Products of the low and of the high halves. */
function twoProducts(c: ArmContext, rn: number, rm: number, exchange: number): readonly [Value, Value] {
  const { b } = c;
  const n = c.reg(rn);
  const m = c.reg(rm);
  return [b.mul(half(b, n, 0), half(b, m, exchange)), b.mul(half(b, n, 1), half(b, m, exchange ^ 1))];
}

/** SMUAD{X} rd, rn, rm */
export function smuad(c: ArmContext, f: Product & Exchange): void {
  const { b } = c;
  const [first, second] = twoProducts(c, f.rn, f.rm, f.swap);
  const sum = b.add(first, second);
  // Only twice 0x8000 × 0x8000 does not fit.
  c.setQ(b.bin(Op.eq_i32, sum, b.i32(1 << 31)));
  c.setReg(f.rd, sum);
}

/** SMLAD{X} rd, rn, rm, ra */
export function smlad(c: ArmContext, f: Accumulated & Exchange): void {
  const { b } = c;
  const [first, second] = twoProducts(c, f.rn, f.rm, f.swap);
  const products = b.bin(Op.add_i64, signed64(b, first), signed64(b, second));
  const exact = b.bin(Op.add_i64, products, signed64(b, c.reg(f.ra)));
  const sum = low(b, exact);
  c.setQ(b.bin(Op.ne_i64, exact, signed64(b, sum)));
  c.setReg(f.rd, sum);
}

/** SMUSD{X} rd, rn, rm */
export function smusd(c: ArmContext, f: Product & Exchange): void {
  c.setReg(f.rd, c.b.sub(...twoProducts(c, f.rn, f.rm, f.swap)));
}

/** SMLSD{X} rd, rn, rm, ra */
export function smlsd(c: ArmContext, f: Accumulated & Exchange): void {
  c.setReg(f.rd, addQ(c, c.b.sub(...twoProducts(c, f.rn, f.rm, f.swap)), c.reg(f.ra)));
}

/** SMLALD{X} lo, hi, rn, rm */
export function smlald(c: ArmContext, f: Long & Exchange): void {
  const { b } = c;
  const [first, second] = twoProducts(c, f.rn, f.rm, f.swap);
  const products = b.bin(Op.add_i64, signed64(b, first), signed64(b, second));
  setPair(c, f, b.bin(Op.add_i64, pair(c, f), products));
}

/** SMLSLD{X} lo, hi, rn, rm */
export function smlsld(c: ArmContext, f: Long & Exchange): void {
  const { b } = c;
  const difference = b.sub(...twoProducts(c, f.rn, f.rm, f.swap));
  setPair(c, f, b.bin(Op.add_i64, pair(c, f), signed64(b, difference)));
}

const product64 = (c: ArmContext, f: Product): Value =>
  c.b.bin(Op.mul_i64, signed64(c.b, c.reg(f.rn)), signed64(c.b, c.reg(f.rm)));

/** The high word, after adding half a unit of it where `round` asks. */
const highRounded = (b: Builder, value: Value, round: number): Value =>
  high(b, round ? b.bin(Op.add_i64, value, b.i64(1 << 31, 0)) : value);

/** SMMUL{R} rd, rn, rm */
export function smmul(c: ArmContext, f: Product & Round): void {
  c.setReg(f.rd, highRounded(c.b, product64(c, f), f.r));
}

/** ra in the high word. */
const highOperand = (c: ArmContext, ra: number): Value =>
  c.b.bin(Op.shl_i64, unsigned64(c.b, c.reg(ra)), c.b.i64(32, 0));

/** SMMLA{R} rd, rn, rm, ra */
export function smmla(c: ArmContext, f: Accumulated & Round): void {
  const { b } = c;
  if (!f.r) {
    c.setReg(f.rd, b.add(c.reg(f.ra), high(b, product64(c, f))));
    return;
  }
  c.setReg(f.rd, highRounded(b, b.bin(Op.add_i64, highOperand(c, f.ra), product64(c, f)), 1));
}

/** SMMLS{R} rd, rn, rm, ra */
export function smmls(c: ArmContext, f: Accumulated & Round): void {
  const { b } = c;
  c.setReg(f.rd, highRounded(b, b.bin(Op.sub_i64, highOperand(c, f.ra), product64(c, f)), f.r));
}

/** UMAAL lo, hi, rn, rm */
export function umaal(c: ArmContext, f: Long): void {
  const { b } = c;
  const product = b.bin(Op.mul_i64, unsigned64(b, c.reg(f.rn)), unsigned64(b, c.reg(f.rm)));
  const sum = b.bin(Op.add_i64, product, unsigned64(b, c.reg(f.lo)));
  setPair(c, f, b.bin(Op.add_i64, sum, unsigned64(b, c.reg(f.hi))));
}
