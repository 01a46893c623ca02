import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { Cond } from './flags.ts';
import { callThunk, maxTableEntries, offsetJump } from './pic.ts';
import { faultOf } from './segment.ts';
import { setEflags } from './stack.ts';
import { i386State, Seg, slotSegment, Vector } from './state.ts';

/** Where a relative branch goes; a 16-bit one stays in the first 64 KiB. */
function relative(c: X86Context): number {
  const target = (c.nextPc + c.insn.immediate) | 0;
  return c.insn.operandBytes === 2 ? target & 0xffff : target;
}

/** JMP rel */
export const jmp = (c: X86Context): void => c.jump(relative(c));

/** Jcc rel */
export function jcc(c: X86Context): void {
  const cond = c.insn.opcode & 15;
  c.branch(c.flags.condition(cond), relative(c), cond ^ 1);
}

/** CALL rel */
export function call(c: X86Context): void {
  const target = relative(c);
  if (callThunk(c, target)) return;
  c.push(c.b.i32(c.nextPc), c.insn.operandBytes);
  c.ended = true;
  // A call of the next instruction reads the PC.
  if (target === c.nextPc) c.b.jump(target);
  else c.b.call(target, c.nextPc);
}

/** CALL r/m */
export function callIndirect(c: X86Context): void {
  const target = c.loadUnsigned(0);
  c.push(c.b.i32(c.nextPc), c.insn.operandBytes);
  c.ended = true;
  c.b.callIndirect(target, c.nextPc);
}

/** RET, RET imm16 */
export function ret(c: X86Context): void {
  const { insn } = c;
  const bytes = insn.operandBytes;
  const target = c.unsigned(c.peek(bytes), bytes);
  c.adjustStack(bytes + (insn.bits.operands.length > 0 ? insn.immediate & 0xffff : 0));
  c.ended = true;
  c.b.return(target);
}

/** JMP r/m */
export function jmpIndirect(c: X86Context): void {
  const { table } = c;
  if (jumpTable(c) || (table !== undefined && c.register(0) >= 0 && offsetJump(c, table))) return;
  c.jumpIndirect(c.loadUnsigned(0));
}

/** JMP [table + reg × 4] with a table in constant memory, its register bounded by the comparison before. */
function jumpTable(c: X86Context): boolean {
  const { insn, b, code } = c;
  if (!insn.isMemory || insn.base >= 0 || insn.scale !== 2 || insn.segment >= Seg.fs || insn.operandBytes !== 4)
    return false;
  const bound = insn.index < 0 ? -1 : c.boundOf(insn.index);
  const table = insn.displacement >>> 0;
  if (bound < 0 || bound >= maxTableEntries || !code.constant(table, 4 * bound + 4)) return false;
  const targets: number[] = [];
  for (let i = 0; i <= bound; i++) targets.push(code.fetch32(table + 4 * i));
  c.ended = true;
  b.switch(c.reg(insn.index), targets, targets[0]!);
  return true;
}

/** JECXZ, JCXZ rel */
export const jecxz = (c: X86Context): void => c.branch(c.b.eqz(counter(c)), relative(c));

const counter = (c: X86Context): Value => c.unsigned(c.reg(Reg.ecx), c.insn.addressBytes);

/** LOOP, LOOPE, LOOPNE rel: ECX = ECX − 1, then while ECX is not 0 and `also` holds */
const loopWhile = (also: number) => (c: X86Context) => {
  const { b, insn } = c;
  c.setRegister(Reg.ecx, insn.addressBytes, b.addImm(c.reg(Reg.ecx), -1));
  const more = counter(c);
  const condition = also < 0 ? more : b.and(b.bin(Op.ne_i32, more, b.i32(0)), c.flags.truth(also));
  c.branch(condition, relative(c));
};

export const loop = loopWhile(-1);
export const loope = loopWhile(Cond.z);
export const loopne = loopWhile(Cond.nz);

// ---- far transfers, which user mode can make within its code segment

/** Raises #GP with the selector unless it is that of the code segment. */
function requireOwnCode(c: X86Context, selector: Value): void {
  const { b } = c;
  const own = b.get32(slotSegment(Seg.cs));
  const differs = b.bin(Op.ne_i32, c.unsigned(selector, 2), own);
  c.raiseValue(b.select(differs, faultOf(c, selector, Vector.protection), b.i32(0)));
}

/** The far pointer in the instruction or in memory. */
function farPointer(c: X86Context): { readonly selector: Value; readonly target: Value } {
  const { b, insn } = c;
  if (!insn.bits.modrm) return { selector: b.i32(insn.immediate2), target: b.i32(insn.immediate) };
  const bytes = insn.operandBytes;
  const target = c.loadMemory(bytes === 2 ? Op.load16_u : Op.load_i32);
  return { selector: c.loadMemory(Op.load16_u, bytes), target };
}

/** JMP far */
export function jmpFar(c: X86Context): void {
  const { selector, target } = farPointer(c);
  requireOwnCode(c, selector);
  c.jumpIndirect(target);
}

/** CALL far */
export function callFar(c: X86Context): void {
  const { b, insn } = c;
  const bytes = insn.operandBytes;
  const { selector, target } = farPointer(c);
  requireOwnCode(c, selector);
  const top = b.addImm(c.reg(Reg.esp), -2 * bytes);
  const store = bytes === 2 ? Op.store16 : Op.store_i32;
  b.store(store, top, b.get32(slotSegment(Seg.cs)), bytes);
  b.store(store, top, b.i32(c.nextPc));
  c.setReg(Reg.esp, top);
  c.jumpIndirect(target);
}

/** RET far, RET far imm16 */
export function retFar(c: X86Context): void {
  const { b, insn } = c;
  const bytes = insn.operandBytes;
  const target = c.unsigned(c.peek(bytes), bytes);
  requireOwnCode(c, b.load(Op.load16_u, c.reg(Reg.esp), bytes));
  c.adjustStack(2 * bytes + (insn.bits.operands.length > 0 ? insn.immediate & 0xffff : 0));
  c.jumpIndirect(target);
}

/** IRET: EIP, CS and EFLAGS from the stack */
export function iret(c: X86Context): void {
  const { b, insn } = c;
  const bytes = insn.operandBytes;
  const top = c.reg(Reg.esp);
  const target = c.unsigned(c.peek(bytes), bytes);
  requireOwnCode(c, b.load(Op.load16_u, top, bytes));
  const word = b.load(bytes === 2 ? Op.load16_u : Op.load_i32, top, 2 * bytes);
  c.adjustStack(3 * bytes);
  setEflags(c, word, bytes);
  c.jumpIndirect(target);
}

// ---- interrupts

/** INT n: 0x80 is the system call, 3 and 4 are INT3 and an INTO that is taken, the rest is #GP */
export function int(c: X86Context): void {
  const vector = c.insn.immediate & 0xff;
  // The way into the kernel and back ends a single step untold.
  if (c.isStepping) c.setStepped(0);
  if (vector === 0x80) c.exit(ExitReason.syscall, c.nextPc, vector);
  else if (vector === Vector.breakpoint || vector === Vector.overflow) c.exit(ExitReason.exception, c.nextPc, vector);
  else c.raise(Vector.protection, vector * 8 + 2);
}

/** INT3 */
export const int3 = (c: X86Context): void => c.exit(ExitReason.exception, c.nextPc, Vector.breakpoint);
/** INT1 */
export const int1 = (c: X86Context): void => c.exit(ExitReason.exception, c.nextPc, Vector.debug);

/** INTO */
export function into(c: X86Context): void {
  const { b } = c;
  b.if(c.flags.truth(Cond.o));
  b.exit(ExitReason.exception, c.nextPc, Vector.overflow);
  b.endif();
}

/** BOUND index, m: #BR unless index is between the two words */
export function bound(c: X86Context): void {
  const { b } = c;
  const bytes = c.insn.operandBytes;
  const index = c.load(0);
  const load = bytes === 2 ? Op.load16_s : Op.load_i32;
  const low = c.loadMemory(load);
  const high = c.loadMemory(load, bytes);
  c.raiseIf(b.or(b.bin(Op.lt_s_i32, index, low), b.bin(Op.gt_s_i32, index, high)), Vector.bound);
}

/** SYSENTER: comes back to the vDSO, whose `int 0x80` does the call; EBP points at its sixth argument */
export function sysenter(c: X86Context): void {
  const { b } = c;
  const entry = b.get32(i386State.offset('sysenter'));
  c.raiseIf(b.eqz(entry), Vector.protection);
  c.setReg(Reg.ebp, b.load(Op.load_i32, c.reg(Reg.ebp)));
  c.jumpIndirect(entry);
}
