import { Op } from '#tcg/ops.ts';
import { Reg, type X86Context } from './context.ts';
import { tableLoad } from './pic.ts';
import { Seg } from './state.ts';

/** MOV dst, src */
export function mov(c: X86Context): void {
  const value = c.loadAny(1);
  const load = tableLoad(c, value);
  if (load) c.table = load;
  c.store(0, value);
}
/** MOVZX dst, src */
export const movzx = (c: X86Context): void => c.store(0, c.loadUnsigned(1));
/** MOVSX dst, src */
export const movsx = (c: X86Context): void => c.store(0, c.load(1));

/** LEA dst, m */
export const lea = (c: X86Context): void => c.store(0, c.effectiveAddress());

/** XCHG first, second: with memory always atomic */
export function xchg(c: X86Context): void {
  const { insn } = c;
  if (c.isMemory(0)) {
    const source = c.loadAny(1);
    insn.lock = true;
    c.update(
      0,
      () => source,
      (old) => c.store(1, old),
    );
    return;
  }
  const first = c.loadAny(0);
  const second = c.loadAny(1);
  c.store(0, second);
  c.store(1, first);
}

/** CMOVcc dst, src: src is read in any case */
export function cmov(c: X86Context): void {
  const { b } = c;
  const source = c.loadAny(1);
  const value = b.select(c.flags.condition(c.insn.opcode & 15), source, c.loadAny(0));
  c.store(0, value);
}

/** SETcc dst */
export const setcc = (c: X86Context): void => c.store(0, c.flags.truth(c.insn.opcode & 15));

/** CBW, CWDE */
export function cbw(c: X86Context): void {
  const bytes = c.insn.operandBytes;
  c.setRegister(Reg.eax, bytes, c.signed(c.reg(Reg.eax), bytes / 2));
}

/** CWD, CDQ */
export function cwd(c: X86Context): void {
  const bytes = c.insn.operandBytes;
  c.setRegister(Reg.edx, bytes, c.b.shrSImm(c.signed(c.reg(Reg.eax), bytes), 31));
}

/** XLAT: AL = [EBX + AL] */
export function xlat(c: X86Context): void {
  const { b, insn } = c;
  const sum = b.add(c.reg(Reg.ebx), c.unsigned(c.reg(Reg.eax), 1));
  const offset = insn.addressBytes === 2 ? b.andImm(sum, 0xffff) : sum;
  c.setRegister(
    Reg.eax,
    1,
    b.load(Op.load8_u, c.linear(c.insn.segment < 0 ? Seg.ds : c.insn.segment, offset, 1, false)),
  );
}
