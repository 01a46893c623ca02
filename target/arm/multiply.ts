import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { outsideIt, setsFlags } from './alu.ts';
import type { ArmContext } from './context.ts';
import { type ArmRow, row } from './row.ts';

/** `MUL{S}<c> <Rd>, <Rn>, <Rm>` (DDI 0406C A8.8.114). C and V are unchanged. */
function mul(c: ArmContext, f: { s: number; rd: number; rn: number; rm: number }): void {
  const result = c.b.mul(c.reg(f.rn), c.reg(f.rm));
  if (setsFlags(c, f.s)) c.flags.setNz(result);
  c.setReg(f.rd, result);
}

/** `MUL{S} <Rdm>, <Rn>, <Rdm>`, 16-bit. */
function mul16(c: ArmContext, f: { s: number; rd: number; rn: number }): void {
  const result = c.b.mul(c.reg(f.rn), c.reg(f.rd));
  if (setsFlags(c, f.s)) c.flags.setNz(result);
  c.setReg(f.rd, result);
}

/** `MLA{S}<c> <Rd>, <Rn>, <Rm>, <Ra>` (A8.8.100). */
function mla(c: ArmContext, f: { s: number; rd: number; rn: number; rm: number; ra: number }): void {
  const result = c.b.add(c.b.mul(c.reg(f.rn), c.reg(f.rm)), c.reg(f.ra));
  if (f.s === 1) c.flags.setNz(result);
  c.setReg(f.rd, result);
}

/** `MLS<c> <Rd>, <Rn>, <Rm>, <Ra>` (A8.8.101). */
function mls(c: ArmContext, f: { rd: number; rn: number; rm: number; ra: number }): void {
  c.setReg(f.rd, c.b.sub(c.reg(f.ra), c.b.mul(c.reg(f.rn), c.reg(f.rm))));
}

interface LongFields {
  readonly s: number;
  readonly lo: number;
  readonly hi: number;
  readonly rn: number;
  readonly rm: number;
}

const product = (c: ArmContext, extend: number, f: LongFields): Value => {
  const { b } = c;
  return b.bin(Op.mul_i64, b.un(extend, c.reg(f.rn)), b.un(extend, c.reg(f.rm)));
};

/** RdHi:RdLo as i64. */
function readLong(c: ArmContext, f: LongFields): Value {
  const { b } = c;
  const high = b.bin(Op.shl_i64, b.un(Op.extend_u_i64, c.reg(f.hi)), b.i64(32, 0));
  return b.bin(Op.or_i64, high, b.un(Op.extend_u_i64, c.reg(f.lo)));
}

function writeLong(c: ArmContext, f: LongFields, value: Value): void {
  const { b } = c;
  const low = b.un(Op.wrap_i64, value);
  const high = b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, value, b.i64(32, 0)));
  if (f.s === 1) c.flags.setNz64(low, high);
  c.setReg(f.lo, low);
  c.setReg(f.hi, high);
}

/** `UMULL{S}<c> <RdLo>, <RdHi>, <Rn>, <Rm>` (A8.8.257) and SMULL (A8.8.189). */
const mull =
  (extend: number) =>
  (c: ArmContext, f: LongFields): void =>
    writeLong(c, f, product(c, extend, f));

/** `UMLAL{S}<c> <RdLo>, <RdHi>, <Rn>, <Rm>` (A8.8.256) and SMLAL (A8.8.178). */
const mlal =
  (extend: number) =>
  (c: ArmContext, f: LongFields): void =>
    writeLong(c, f, c.b.bin(Op.add_i64, readLong(c, f), product(c, extend, f)));

/** `SDIV<c> <Rd>, <Rn>, <Rm>` (A8.8.165): by zero gives 0, -2^31 / -1 gives -2^31. */
function sdiv(c: ArmContext, f: { rd: number; rn: number; rm: number }): void {
  const { b } = c;
  const n = c.reg(f.rn);
  const m = c.reg(f.rm);
  const overflow = b.and(b.bin(Op.eq_i32, n, b.i32(1 << 31)), b.bin(Op.eq_i32, m, b.i32(-1)));
  const quotient = b.bin(Op.div_s_i32, n, b.select(b.or(b.eqz(m), overflow), b.i32(1), m));
  c.setReg(f.rd, b.select(m, quotient, b.i32(0)));
}

/** `UDIV<c> <Rd>, <Rn>, <Rm>` (A8.8.248): by zero gives 0. */
function udiv(c: ArmContext, f: { rd: number; rn: number; rm: number }): void {
  const { b } = c;
  const m = c.reg(f.rm);
  const quotient = b.bin(Op.div_u_i32, c.reg(f.rn), b.select(m, m, b.i32(1)));
  c.setReg(f.rd, b.select(m, quotient, b.i32(0)));
}

const signed = Op.extend_s_i64;
const unsigned = Op.extend_u_i64;

export const multiplyA32: readonly ArmRow[] = [
  row('MUL', 'cond:4 0000000 s:1 rd:4 0000 rm:4 1001 rn:4', mul, { pure: true }),
  row('MLA', 'cond:4 0000001 s:1 rd:4 ra:4 rm:4 1001 rn:4', mla, { pure: true }),
  row('MLS', 'cond:4 00000110 rd:4 ra:4 rm:4 1001 rn:4', mls, { pure: true }),
  row('UMULL', 'cond:4 0000100 s:1 hi:4 lo:4 rm:4 1001 rn:4', mull(unsigned)),
  row('UMLAL', 'cond:4 0000101 s:1 hi:4 lo:4 rm:4 1001 rn:4', mlal(unsigned)),
  row('SMULL', 'cond:4 0000110 s:1 hi:4 lo:4 rm:4 1001 rn:4', mull(signed)),
  row('SMLAL', 'cond:4 0000111 s:1 hi:4 lo:4 rm:4 1001 rn:4', mlal(signed)),
  row('SDIV', 'cond:4 01110001 rd:4 1111 rm:4 0001 rn:4', sdiv, { pure: true }),
  row('UDIV', 'cond:4 01110011 rd:4 1111 rm:4 0001 rn:4', udiv, { pure: true }),
];

export const multiplyT32: readonly ArmRow[] = [
  row('MUL', '010000 1101 rn:3 rd:3', mul16, { set: { s: outsideIt }, pure: true }),
  row('MUL', '111110110000 rn:4 1111 rd:4 0000 rm:4', mul, { set: { s: 0 }, pure: true }),
  row('MLA', '111110110000 rn:4 ra:4 rd:4 0000 rm:4', mla, { set: { s: 0 }, pure: true }),
  row('MLS', '111110110000 rn:4 ra:4 rd:4 0001 rm:4', mls, { pure: true }),
  row('SMULL', '111110111000 rn:4 lo:4 hi:4 0000 rm:4', mull(signed), { set: { s: 0 } }),
  row('SDIV', '111110111001 rn:4 1111 rd:4 1111 rm:4', sdiv, { pure: true }),
  row('UMULL', '111110111010 rn:4 lo:4 hi:4 0000 rm:4', mull(unsigned), { set: { s: 0 } }),
  row('UDIV', '111110111011 rn:4 1111 rd:4 1111 rm:4', udiv, { pure: true }),
  row('SMLAL', '111110111100 rn:4 lo:4 hi:4 0000 rm:4', mlal(signed), { set: { s: 0 } }),
  row('UMLAL', '111110111110 rn:4 lo:4 hi:4 0000 rm:4', mlal(unsigned), { set: { s: 0 } }),
];
