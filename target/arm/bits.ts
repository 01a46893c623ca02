import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { reverseWord } from './guest-data.ts';
import { type ArmRow, row } from './row.ts';

interface TwoRegisters {
  readonly rd: number;
  readonly rm: number;
}

/** Bytes of each halfword exchanged. */
function reverseHalfwords(c: ArmContext, value: Value): Value {
  const { b } = c;
  return b.or(b.andImm(b.shlImm(value, 8), 0xff00ff00), b.andImm(b.shrUImm(value, 8), 0x00ff00ff));
}

/** Groups of `bits` bits, those of `mask`, exchanged with their neighbours above. */
function exchange(c: ArmContext, value: Value, bits: number, mask: number): Value {
  const { b } = c;
  return b.or(b.shlImm(b.andImm(value, mask), bits), b.andImm(b.shrUImm(value, bits), mask));
}

/** `REV<c> <Rd>, <Rm>` (DDI 0406C A8.8.145). */
const rev = (c: ArmContext, f: TwoRegisters): void => c.setReg(f.rd, reverseWord(c.b, c.reg(f.rm)));
/** `REV16<c> <Rd>, <Rm>` (A8.8.146). */
const rev16 = (c: ArmContext, f: TwoRegisters): void => c.setReg(f.rd, reverseHalfwords(c, c.reg(f.rm)));
/** `REVSH<c> <Rd>, <Rm>` (A8.8.147). */
const revsh = (c: ArmContext, f: TwoRegisters): void =>
  c.setReg(f.rd, c.b.un(Op.extend16_s_i32, reverseHalfwords(c, c.reg(f.rm))));
/** `RBIT<c> <Rd>, <Rm>` (A8.8.144). */
function rbit(c: ArmContext, f: TwoRegisters): void {
  let value = reverseWord(c.b, c.reg(f.rm));
  value = exchange(c, value, 4, 0x0f0f0f0f);
  value = exchange(c, value, 2, 0x33333333);
  c.setReg(f.rd, exchange(c, value, 1, 0x55555555));
}
/** `CLZ<c> <Rd>, <Rm>` (A8.8.33). */
const clz = (c: ArmContext, f: TwoRegisters): void => c.setReg(f.rd, c.b.un(Op.clz_i32, c.reg(f.rm)));

interface FieldOperands {
  readonly rd: number;
  readonly rn: number;
  readonly lsb: number;
}

/** `BFI<c> <Rd>, <Rn>, #<lsb>, #<width>` (A8.8.20), BFC (A8.8.19) with Rn = 15. A negative width is undefined. */
function bfi(c: ArmContext, f: FieldOperands & { msb: number }): void {
  const { b } = c;
  if (f.msb < f.lsb) {
    c.unpredictable();
    return;
  }
  const mask = (-1 >>> (31 - f.msb + f.lsb)) << f.lsb;
  const rest = b.andImm(c.reg(f.rd), ~mask);
  c.setReg(f.rd, f.rn === 15 ? rest : b.or(rest, b.andImm(b.shlImm(c.reg(f.rn), f.lsb), mask)));
}

/** `SBFX<c> <Rd>, <Rn>, #<lsb>, #<width>` (A8.8.164). A field beyond bit 31 is undefined. */
function sbfx(c: ArmContext, f: FieldOperands & { widthMinus1: number }): void {
  const { b } = c;
  const above = 31 - f.lsb - f.widthMinus1;
  if (above < 0) c.unpredictable();
  else c.setReg(f.rd, b.shrSImm(b.shlImm(c.reg(f.rn), above), above + f.lsb));
}

/** `UBFX<c> <Rd>, <Rn>, #<lsb>, #<width>` (A8.8.246). A field beyond bit 31 is undefined. */
function ubfx(c: ArmContext, f: FieldOperands & { widthMinus1: number }): void {
  const { b } = c;
  if (f.lsb + f.widthMinus1 > 31) c.unpredictable();
  else c.setReg(f.rd, b.andImm(b.shrUImm(c.reg(f.rn), f.lsb), -1 >>> (31 - f.widthMinus1)));
}

export const bitsA32: readonly ArmRow[] = [
  row('CLZ', 'cond:4 00010110 1111 rd:4 1111 0001 rm:4', clz, { pure: true }),
  row('REV', 'cond:4 01101011 1111 rd:4 1111 0011 rm:4', rev, { pure: true }),
  row('REV16', 'cond:4 01101011 1111 rd:4 1111 1011 rm:4', rev16, { pure: true }),
  row('RBIT', 'cond:4 01101111 1111 rd:4 1111 0011 rm:4', rbit, { pure: true }),
  row('REVSH', 'cond:4 01101111 1111 rd:4 1111 1011 rm:4', revsh, { pure: true }),
  row('SBFX', 'cond:4 0111101 widthMinus1:5 rd:4 lsb:5 101 rn:4', sbfx, { pure: true }),
  row('BFI', 'cond:4 0111110 msb:5 rd:4 lsb:5 001 rn:4', bfi, { pure: true }),
  row('UBFX', 'cond:4 0111111 widthMinus1:5 rd:4 lsb:5 101 rn:4', ubfx, { pure: true }),
];

export const bitsT32: readonly ArmRow[] = [
  row('REV', '1011101000 rm:3 rd:3', rev, { pure: true }),
  row('REV16', '1011101001 rm:3 rd:3', rev16, { pure: true }),
  row('REVSH', '1011101011 rm:3 rd:3', revsh, { pure: true }),
  row('REV', '111110101001 ---- 1111 rd:4 1000 rm:4', rev, { pure: true }),
  row('REV16', '111110101001 ---- 1111 rd:4 1001 rm:4', rev16, { pure: true }),
  row('RBIT', '111110101001 ---- 1111 rd:4 1010 rm:4', rbit, { pure: true }),
  row('REVSH', '111110101001 ---- 1111 rd:4 1011 rm:4', revsh, { pure: true }),
  row('CLZ', '111110101011 ---- 1111 rd:4 1000 rm:4', clz, { pure: true }),
  row('SBFX', '11110 0 110100 rn:4 0 lsb:3 rd:4 lsb:2 0 widthMinus1:5', sbfx, { pure: true }),
  row('BFI', '11110 0 110110 rn:4 0 lsb:3 rd:4 lsb:2 0 msb:5', bfi, { pure: true }),
  row('UBFX', '11110 0 111100 rn:4 0 lsb:3 rd:4 lsb:2 0 widthMinus1:5', ubfx, { pure: true }),
];
