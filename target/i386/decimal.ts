import type { Value } from '#tcg/builder.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { Vector } from './state.ts';

const al = (c: X86Context): Value => c.unsigned(c.reg(Reg.eax), 1);

/** Is the low digit of AL above 9, or AF set? 0 or 1. */
function lowDigitOver(c: X86Context): Value {
  const { b } = c;
  return b.or(b.bin(Op.gt_u_i32, b.andImm(c.reg(Reg.eax), 15), b.i32(9)), c.flags.getAf());
}

/** Sets AF and CF, each 0 or 1, beside the flags of the result (sign-extended). */
function setDecimalFlags(c: X86Context, result: Value, auxiliary: Value, carry: Value): void {
  const { b, flags } = c;
  flags.setResult(result);
  flags.setAuxiliary(b.shlImm(auxiliary, 4), result);
  flags.setCf(carry);
  flags.setOf(b.i32(0));
}

/** DAA and DAS. */
function adjustDecimal(c: X86Context, subtract: boolean): void {
  const { b, flags } = c;
  const old = al(c);
  const low = lowDigitOver(c);
  const high = b.or(b.bin(Op.gt_u_i32, old, b.i32(0x99)), flags.getCf());
  const correction = b.add(b.mul(low, b.i32(6)), b.mul(high, b.i32(0x60)));
  const value = subtract ? b.sub(old, correction) : b.add(old, correction);
  const borrowed = subtract ? b.and(low, b.bin(Op.lt_u_i32, old, b.i32(6))) : b.i32(0);
  c.setRegister(Reg.eax, 1, value);
  setDecimalFlags(c, c.signed(value, 1), low, b.or(high, borrowed));
}

/** DAA */
export const daa = (c: X86Context): void => adjustDecimal(c, false);
/** DAS */
export const das = (c: X86Context): void => adjustDecimal(c, true);

/** AAA and AAS: `correction` is added to AX. */
function adjustAscii(c: X86Context, correction: number): void {
  const { b } = c;
  const over = lowDigitOver(c);
  const ax = b.add(c.reg(Reg.eax), b.mul(over, b.i32(correction)));
  c.setRegister(Reg.eax, 2, b.andImm(ax, 0xff0f));
  setDecimalFlags(c, b.andImm(ax, 15), over, over);
}

/** AAA */
export const aaa = (c: X86Context): void => adjustAscii(c, 0x106);
/** AAS */
export const aas = (c: X86Context): void => adjustAscii(c, -0x106);

/** AAM imm8 */
export function aam(c: X86Context): void {
  const { b, flags } = c;
  const base = c.immediate(0) & 0xff;
  if (base === 0) {
    c.raise(Vector.divide);
    return;
  }
  const old = al(c);
  const digit = b.bin(Op.rem_u_i32, old, b.i32(base));
  c.setRegister(Reg.eax, 2, b.or(b.shlImm(b.bin(Op.div_u_i32, old, b.i32(base)), 8), digit));
  flags.setLogic(c.signed(digit, 1));
}

/** AAD imm8 */
export function aad(c: X86Context): void {
  const { b, flags } = c;
  const high = b.andImm(b.shrUImm(c.reg(Reg.eax), 8), 0xff);
  const value = b.andImm(b.add(al(c), b.mul(high, b.i32(c.immediate(0) & 0xff))), 0xff);
  c.setRegister(Reg.eax, 2, value);
  flags.setLogic(c.signed(value, 1));
}
