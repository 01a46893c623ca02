import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { Op, Reg, singleStep, type X86Context } from './context.ts';
import { slotDf, slotEflags } from './flags.ts';
import { Eflags } from './state.ts';

/** Bytes that a push of operand 0 takes: the operand size, whatever the operand's own. */
const pushBytes = (c: X86Context): number => c.insn.operandBytes;

/** PUSH src */
export const push = (c: X86Context): void => c.push(c.load(0), pushBytes(c));

/** POP dst; ESP in the address of dst is the one after the pop */
export function pop(c: X86Context): void {
  const { insn } = c;
  const bytes = pushBytes(c);
  const value = c.peek(bytes);
  if (c.register(0) >= 0) {
    c.adjustStack(bytes);
    c.store(0, value);
    return;
  }
  if (insn.base === Reg.esp) insn.displacement += bytes;
  c.store(0, value);
  c.adjustStack(bytes);
}

/** PUSHA: EAX ECX EDX EBX ESP EBP ESI EDI */
export function pusha(c: X86Context): void {
  const { b } = c;
  const bytes = pushBytes(c);
  const top = b.addImm(c.reg(Reg.esp), -8 * bytes);
  // One by one: where a fault ends it, hardware has stored those before.
  for (let n = 0; n < 8; n++) b.store(bytes === 2 ? Op.store16 : Op.store_i32, top, c.reg(n), (7 - n) * bytes);
  c.setReg(Reg.esp, top);
}

/** POPA: the ESP in the frame is passed over */
export function popa(c: X86Context): void {
  const { b } = c;
  const bytes = pushBytes(c);
  const top = c.reg(Reg.esp);
  const values: Value[] = [];
  for (let n = 7; n >= 0; n--) {
    if (n !== Reg.esp) values[n] = b.load(bytes === 2 ? Op.load16_u : Op.load_i32, top, (7 - n) * bytes);
  }
  c.adjustStack(8 * bytes);
  values.forEach((value, n) => c.setRegister(n, bytes, value));
}

/** EFLAGS as PUSHF shows them. */
export function eflagsWord(c: X86Context): Value {
  const { b, flags } = c;
  const df = b.andImm(b.get32(slotDf), Eflags.df);
  // DF is set where the step is −1, which has bit 10; 1 has not.
  const kept = b.or(b.get32(slotEflags), b.i32(Eflags.fixed | Eflags.if));
  return b.or(b.or(flags.status(), df), kept);
}

/** EFLAGS bits kept in `eflags` that user mode can change. */
const keptFlags = Eflags.tf | Eflags.nt | Eflags.ac | Eflags.id;

/** PUSHF */
export const pushf = (c: X86Context): void => c.push(eflagsWord(c), pushBytes(c));

/** POPF */
export function popf(c: X86Context): void {
  const bytes = pushBytes(c);
  const word = c.peek(bytes);
  c.adjustStack(bytes);
  const { b } = c;
  const before = b.get32(slotEflags);
  setEflags(c, word, bytes);
  // TF counts as it was when the instruction began.
  if (c.isStepping) {
    c.setStepped(0);
    c.exit(ExitReason.exception, c.nextPc, singleStep);
    return;
  }
  b.if(b.andImm(b.xor(before, b.get32(slotEflags)), Eflags.tf | Eflags.ac));
  b.exit(ExitReason.mode, c.nextPc);
  b.endif();
}

/** Sets what user mode may set from an EFLAGS word of 2 or 4 bytes. */
export function setEflags(c: X86Context, word: Value, bytes: number): void {
  const { b, flags } = c;
  flags.setStatus(word);
  setDf(c, b.andImm(b.shrUImm(word, 10), 1));
  const mask = bytes === 2 ? keptFlags & 0xffff : keptFlags;
  b.set32(slotEflags, b.or(b.andImm(b.get32(slotEflags), ~mask), b.andImm(word, mask)));
}

/** Sets DF, 0 or 1. */
function setDf(c: X86Context, df: Value): void {
  const { b } = c;
  b.set32(slotDf, b.sub(b.i32(1), b.shlImm(df, 1)));
}

/** CLD */
export const cld = (c: X86Context): void => setDf(c, c.b.i32(0));
/** STD */
export const std = (c: X86Context): void => setDf(c, c.b.i32(1));
/** CLC */
export const clc = (c: X86Context): void => c.flags.setCf(c.b.i32(0));
/** STC */
export const stc = (c: X86Context): void => c.flags.setCf(c.b.i32(1));
/** CMC */
export const cmc = (c: X86Context): void => c.flags.setCf(c.b.xor(c.flags.getCf(), c.b.i32(1)));

/** LAHF: AH = SF ZF 0 AF 0 PF 1 CF */
export const lahf = (c: X86Context): void => c.setRegister(4, 1, c.b.or(c.flags.low(), c.b.i32(Eflags.fixed)));
/** SAHF */
export const sahf = (c: X86Context): void => c.flags.setLow(c.getRegister(4, 1));

/** ENTER imm16, imm8: a stack frame of imm16 bytes with the frame pointers of imm8 enclosing ones */
export function enter(c: X86Context): void {
  const { b, insn } = c;
  const bytes = pushBytes(c);
  const level = insn.immediate & 31;
  const store = bytes === 2 ? Op.store16 : Op.store_i32;
  const top = c.reg(Reg.esp);
  const frame = b.addImm(top, -bytes);
  b.store(store, frame, c.reg(Reg.ebp));
  for (let n = 1; n < level; n++) {
    const enclosing = b.load(bytes === 2 ? Op.load16_u : Op.load_i32, b.addImm(c.reg(Reg.ebp), -n * bytes));
    b.store(store, b.addImm(frame, -n * bytes), enclosing);
  }
  if (level > 0) b.store(store, b.addImm(frame, -level * bytes), frame);
  c.setRegister(Reg.ebp, bytes, frame);
  c.setReg(Reg.esp, b.addImm(frame, -level * bytes - (insn.immediate2 & 0xffff)));
}

/** LEAVE */
export function leave(c: X86Context): void {
  const { b } = c;
  const bytes = pushBytes(c);
  const frame = c.reg(Reg.ebp);
  const value = b.load(bytes === 2 ? Op.load16_u : Op.load_i32, frame);
  c.setReg(Reg.esp, b.addImm(frame, bytes));
  c.setRegister(Reg.ebp, bytes, value);
}
