import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import type { ArmContext } from './context.ts';
import { Op } from './context.ts';
import { type ArmRow, row } from './row.ts';
import { expandA32 } from './shift.ts';
import { armState } from './state.ts';

const slotQ = armState.offset('qf');
const slotGe = armState.offset('ge');
const slotEndian = armState.offset('endian');
const userMode = 0x10;

/** `MRS<c> <Rd>, APSR` (DDI 0406C A8.8.109): NZCVQ, GE, E and the mode; the execution state bits read as 0. */
function mrs(c: ArmContext, f: { rd: number }): void {
  const { b } = c;
  const q = b.shlImm(b.get32(slotQ), 27);
  const ge = b.shlImm(b.get32(slotGe), 16);
  const control = b.i32(userMode | (c.bigEndian ? 0x200 : 0));
  c.setReg(f.rd, b.or(b.or(c.flags.nzcv(), q), b.or(ge, control)));
}

/** MSR to the APSR (A8.8.111): mask bit 3 writes NZCVQ, bit 2 GE, bit 1 CPSR.E; the rest needs a higher mode. */
function writeStatus(c: ArmContext, mask: number, value: Value): void {
  const { b } = c;
  if (mask & 8) {
    c.flags.setNzcv(value);
    b.set32(slotQ, b.andImm(b.shrUImm(value, 27), 1));
  }
  if (mask & 4) b.set32(slotGe, b.andImm(b.shrUImm(value, 16), 15));
  if (mask & 2) {
    b.set32(slotEndian, b.andImm(b.shrUImm(value, 9), 1));
    c.exit(ExitReason.mode, c.nextPc);
  }
}

/** `MSR<c> <spec_reg>, <Rn>`. */
const msrRegister = (c: ArmContext, f: { mask: number; rn: number }): void => writeStatus(c, f.mask, c.reg(f.rn));

/** `MSR<c> <spec_reg>, #<const>`. */
const msrImmediate = (c: ArmContext, f: { mask: number; imm: number }): void =>
  writeStatus(c, f.mask, c.b.i32(expandA32(f.imm)));

/** `SETEND <endian_specifier>` (A8.8.168). */
function setend(c: ArmContext, f: { e: number }): void {
  if ((f.e === 1) === c.bigEndian) return;
  c.b.set32(slotEndian, c.b.i32(f.e));
  c.exit(ExitReason.mode, c.nextPc);
}

/** NOP, unallocated hints, and what user mode ignores (CPS, DBG). */
function nop(): void {}

/** `YIELD`, `WFE`, `WFI` give the processor away; NOP, SEV, SEVL, DBG and the other hints do nothing. */
function hint(c: ArmContext, f: { op: number }): void {
  if (f.op >= 1 && f.op <= 3) c.exit(ExitReason.yield, c.nextPc);
}

/** `DMB`, `DSB` (A8.8.43, A8.8.44). */
function barrier(c: ArmContext): void {
  c.b.emit(Op.fence);
}

/** `SVC<c> #<imm>` (A8.8.228). */
const svc = (c: ArmContext, f: { imm: number }): void => c.exit(ExitReason.syscall, c.nextPc, f.imm);

/** `BKPT #<imm16>` (A8.8.24). */
const bkpt = (c: ArmContext, f: { imm: number }): void => c.exit(ExitReason.breakpoint, c.currentPc, f.imm);

/** `UDF<c> #<imm16>` (A8.8.247). */
const udf = (c: ArmContext): void => c.undefined();

/** `MRC<c> p15, 0, <Rt>, c13, c0, 2|3`: TPIDRURW, TPIDRURO (B4.1.150, B4.1.151). Rt = 15 writes the flags. */
const readThreadId =
  (field: 'tpidrurw' | 'tpidruro') =>
  (c: ArmContext, f: { rt: number }): void => {
    const value = c.b.get32(armState.offset(field));
    if (f.rt === 15) c.flags.setNzcv(value);
    else c.setReg(f.rt, value);
  };

/** `MCR<c> p15, 0, <Rt>, c13, c0, 2`. */
const writeThreadId = (c: ArmContext, f: { rt: number }): void => c.b.set32(armState.offset('tpidrurw'), c.reg(f.rt));

export const statusA32: readonly ArmRow[] = [
  row('CPS', '1111 00010000 imod:2 m:1 0 0000 000 a:1 i:1 f:1 0 mode:5', nop),
  row('SETEND', '1111 00010000 000 1 000000 e:1 0 0000 0000', setend),
  row('DSB', '1111 01010111 1111 1111 0000 0100 option:4', barrier),
  row('DMB', '1111 01010111 1111 1111 0000 0101 option:4', barrier),
  row('ISB', '1111 01010111 1111 1111 0000 0110 option:4', nop),
  row('SB', '1111 01010111 1111 1111 0000 0111 0000', nop),
  row('NOP, YIELD, WFE, WFI, SEV, SEVL, DBG', 'cond:4 00110010 0000 1111 (0)(0)(0)(0) op:8', hint),
  row('MSR (immediate)', 'cond:4 00110010 mask:4 1111 imm:12', msrImmediate),
  row('MRS', 'cond:4 00010000 1111 rd:4 00 0 0 0000 0000', mrs),
  row('MSR (register)', 'cond:4 00010010 mask:4 1111 00 0 0 0000 rn:4', msrRegister),
  row('BKPT', 'cond:4 00010010 imm:12 0111 imm:4', bkpt),
  row('UDF', 'cond:4 01111111 imm:12 1111 imm:4', udf),
  row('SVC', 'cond:4 1111 imm:24', svc),
  row('MRC TPIDRURW', 'cond:4 1110 0001 1101 rt:4 1111 010 1 0000', readThreadId('tpidrurw')),
  row('MRC TPIDRURO', 'cond:4 1110 0001 1101 rt:4 1111 011 1 0000', readThreadId('tpidruro')),
  row('MCR TPIDRURW', 'cond:4 1110 0000 1101 rt:4 1111 010 1 0000', writeThreadId),
  row('MCR CP15ISB', 'cond:4 1110 0000 0111 rt:4 1111 100 1 0101', nop),
  row('MCR CP15DSB', 'cond:4 1110 0000 0111 rt:4 1111 100 1 1010', barrier),
  row('MCR CP15DMB', 'cond:4 1110 0000 0111 rt:4 1111 101 1 1010', barrier),
];

export const statusT32: readonly ArmRow[] = [
  row('SETEND', '10110110010 1 e:1 000', setend),
  row('CPS', '10110110011 im:1 0 a:1 i:1 f:1', nop),
  row('BKPT', '10111110 imm:8', bkpt),
  row('NOP, YIELD, WFE, WFI, SEV, SEVL', '10111111 op:4 0000', hint),
  row('UDF', '11011110 imm:8', udf),
  row('SVC', '11011111 imm:8', svc),
  row('NOP, YIELD, WFE, WFI, SEV, SEVL, DBG', '111100111010 1111 10 0 0 0 000 op:8', hint),
  row('CPS', '111100111010 1111 10 0 0 0 imod:2 m:1 a:1 i:1 f:1 mode:5', nop),
  row('DSB', '111100111011 1111 10 0 0 1111 0100 option:4', barrier),
  row('DMB', '111100111011 1111 10 0 0 1111 0101 option:4', barrier),
  row('ISB', '111100111011 1111 10 0 0 1111 0110 option:4', nop),
  row('SB', '111100111011 1111 10 0 0 1111 0111 0000', nop),
  row('MSR (register)', '111100111000 rn:4 10 0 0 mask:4 00 0 00000', msrRegister),
  row('MRS', '111100111110 1111 10 0 0 rd:4 00 0 00000', mrs),
  row('UDF.W', '111101111111 imm:4 1010 imm:12', udf),
  row('MRC TPIDRURW', '1110 1110 0001 1101 rt:4 1111 010 1 0000', readThreadId('tpidrurw')),
  row('MRC TPIDRURO', '1110 1110 0001 1101 rt:4 1111 011 1 0000', readThreadId('tpidruro')),
  row('MCR TPIDRURW', '1110 1110 0000 1101 rt:4 1111 010 1 0000', writeThreadId),
  row('MCR CP15ISB', '1110 1110 0000 0111 rt:4 1111 100 1 0101', nop),
  row('MCR CP15DSB', '1110 1110 0000 0111 rt:4 1111 100 1 1010', barrier),
  row('MCR CP15DMB', '1110 1110 0000 0111 rt:4 1111 101 1 1010', barrier),
];
