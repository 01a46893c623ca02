import type { Value } from '#tcg/builder.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { Vector } from './state.ts';

/** MUL src: AX, DX:AX or EDX:EAX = AL, AX or EAX × src */
export function mul(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  const source = c.loadUnsigned(0);
  if (bytes === 4) {
    setWide(c, b.bin(Op.mul_i64, b.un(Op.extend_u_i64, c.reg(Reg.eax)), b.un(Op.extend_u_i64, source)), false);
    return;
  }
  const product = b.mul(c.unsigned(c.getRegister(0, bytes), bytes), source);
  setNarrow(c, bytes, product, b.bin(Op.ne_i32, b.shrUImm(product, 8 * bytes), b.i32(0)));
}

/** IMUL src: the same, signed */
export function imulWide(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  const source = c.load(0);
  if (bytes === 4) {
    setWide(c, b.bin(Op.mul_i64, b.un(Op.extend_s_i64, c.reg(Reg.eax)), b.un(Op.extend_s_i64, source)), true);
    return;
  }
  const product = b.mul(c.signed(c.getRegister(0, bytes), bytes), source);
  setNarrow(c, bytes, product, b.bin(Op.ne_i32, product, c.signed(product, bytes)));
}

function setWide(c: X86Context, product: Value, signed: boolean): void {
  const { b } = c;
  const low = b.un(Op.wrap_i64, product);
  const high = b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, product, b.i64(32, 0)));
  c.setReg(Reg.eax, low);
  c.setReg(Reg.edx, high);
  setOverflow(c, b.bin(Op.ne_i32, high, signed ? b.shrSImm(low, 31) : b.i32(0)));
}

function setNarrow(c: X86Context, bytes: number, product: Value, overflow: Value): void {
  if (bytes === 1) c.setRegister(Reg.eax, 2, product);
  else {
    c.setRegister(Reg.eax, 2, product);
    c.setRegister(Reg.edx, 2, c.b.shrUImm(product, 16));
  }
  setOverflow(c, overflow);
}

/** CF and OF: the product does not fit. The other flags are open. */
function setOverflow(c: X86Context, overflow: Value): void {
  c.flags.setCf(overflow);
  c.flags.setOf(c.b.shlImm(overflow, 31));
}

/** IMUL dst, src and IMUL dst, src, imm */
export function imul(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  const left = c.load(c.insn.bits.operands.length === 3 ? 2 : 0);
  const right = c.load(1);
  const product = b.mul(left, right);
  c.store(0, product);
  if (bytes === 2) setOverflow(c, b.bin(Op.ne_i32, product, c.signed(product, 2)));
  else {
    const whole = b.bin(Op.mul_i64, b.un(Op.extend_s_i64, left), b.un(Op.extend_s_i64, right));
    setOverflow(c, b.bin(Op.ne_i64, whole, b.un(Op.extend_s_i64, product)));
  }
}

/** Divides by 1 instead of 0, for the divisions that an exception has kept from being reached. */
const nonzero = (c: X86Context, divisor: Value): Value => c.b.select(divisor, divisor, c.b.i32(1));

/** DIV src: quotient and remainder of AX, DX:AX or EDX:EAX; #DE by 0 and where the quotient does not fit */
export function div(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  const divisor = c.loadUnsigned(0);
  const high = bytes === 1 ? c.unsigned(c.getRegister(4, 1), 1) : c.unsigned(c.reg(Reg.edx), bytes);
  // This is so for a divisor of 0 too.
  c.raiseIf(b.bin(Op.ge_u_i32, high, divisor), Vector.divide);
  const safe = nonzero(c, divisor);
  if (bytes === 4 && !(b.isConst(high) && b.constOf(high) === 0)) {
    const dividend = wide(c);
    const by = b.un(Op.extend_u_i64, safe);
    setQuotient(
      c,
      bytes,
      b.un(Op.wrap_i64, b.bin(Op.div_u_i64, dividend, by)),
      b.un(Op.wrap_i64, b.bin(Op.rem_u_i64, dividend, by)),
    );
    return;
  }
  const dividend = bytes === 2 ? dxAx(c) : c.unsigned(c.reg(Reg.eax), bytes === 1 ? 2 : 4);
  setQuotient(c, bytes, b.bin(Op.div_u_i32, dividend, safe), b.bin(Op.rem_u_i32, dividend, safe));
}

/** IDIV src: the same, signed, rounded toward 0 */
export function idiv(c: X86Context): void {
  const { b } = c;
  const bytes = c.size(0);
  const divisor = c.load(0);
  c.raiseIf(b.eqz(divisor), Vector.divide);
  const safe = nonzero(c, divisor);
  if (bytes === 4 && !isSignOfEax(c)) {
    divideWide(c, safe);
    return;
  }
  const dividend = bytes === 1 ? c.signed(c.reg(Reg.eax), 2) : bytes === 2 ? dxAx(c) : c.reg(Reg.eax);
  const overflow = b.and(b.bin(Op.eq_i32, dividend, b.i32(1 << 31)), b.bin(Op.eq_i32, safe, b.i32(-1)));
  if (bytes === 4) c.raiseIf(overflow, Vector.divide);
  const by = b.select(overflow, b.i32(1), safe);
  const quotient = b.bin(Op.div_s_i32, dividend, by);
  if (bytes < 4) c.raiseIf(b.or(overflow, b.bin(Op.ne_i32, quotient, c.signed(quotient, bytes))), Vector.divide);
  setQuotient(c, bytes, quotient, b.bin(Op.rem_s_i32, dividend, by));
}

function divideWide(c: X86Context, divisor: Value): void {
  const { b } = c;
  const dividend = wide(c);
  const least = b.bin(Op.eq_i64, dividend, b.i64(0, 1 << 31));
  const overflow = b.and(least, b.bin(Op.eq_i32, divisor, b.i32(-1)));
  const by = b.un(Op.extend_s_i64, b.select(overflow, b.i32(1), divisor));
  const quotient = b.bin(Op.div_s_i64, dividend, by);
  const low = b.un(Op.wrap_i64, quotient);
  const lost = b.bin(Op.ne_i64, b.un(Op.extend_s_i64, low), quotient);
  c.raiseIf(b.or(overflow, lost), Vector.divide);
  setQuotient(c, 4, low, b.un(Op.wrap_i64, b.bin(Op.rem_s_i64, dividend, by)));
}

/** Does EDX hold the sign of EAX (CDQ before IDIV)? */
function isSignOfEax(c: X86Context): boolean {
  const { block } = c.b;
  const high = c.reg(Reg.edx);
  if (block.op[high] !== Op.shr_s_i32 || block.a[high] !== c.reg(Reg.eax)) return false;
  const amount = block.b[high]!;
  return c.b.isConst(amount) && c.b.constOf(amount) === 31;
}

/** DX:AX. */
const dxAx = (c: X86Context): Value => c.b.or(c.b.shlImm(c.reg(Reg.edx), 16), c.unsigned(c.reg(Reg.eax), 2));

/** EDX:EAX. */
function wide(c: X86Context): Value {
  const { b } = c;
  const high = b.bin(Op.shl_i64, b.un(Op.extend_u_i64, c.reg(Reg.edx)), b.i64(32, 0));
  return b.bin(Op.or_i64, high, b.un(Op.extend_u_i64, c.reg(Reg.eax)));
}

function setQuotient(c: X86Context, bytes: number, quotient: Value, remainder: Value): void {
  c.setRegister(Reg.eax, bytes, quotient);
  if (bytes === 1) c.setRegister(4, 1, remainder);
  else c.setRegister(Reg.edx, bytes, remainder);
}
