import * as alu from './alu.ts';
import { type Alu, execute, operandRn } from './alu.ts';
import type { ArmContext } from './context.ts';
import { type ArmRow, row } from './row.ts';
import { expandA32, rotatedA32, Shift, shiftedConstant, shiftImmediate, shiftRegister } from './shift.ts';

/** `<op>{S}<c> <Rd>, <Rn>, #<const>` (DDI 0406C A5.2.3). */
const immediate =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rn: number; rd: number; imm: number }): void => {
    const rn = operandRn(c, op, f.rn);
    const operand = shiftedConstant(c, expandA32(f.imm), rotatedA32(f.imm), f.s === 1 && op.logical);
    execute(c, op, f.rd, rn, operand, f.s === 1);
  };

/** `<op>{S}<c> <Rd>, <Rn>, <Rm>{, <shift>}` (A5.2.1). */
const register =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rn: number; rd: number; imm: number; type: number; rm: number }): void => {
    if (op === alu.add && f.rd === 15 && f.rn === 15 && f.s === 0 && jumpTable(c, f)) return;
    const rn = operandRn(c, op, f.rn);
    const operand = shiftImmediate(c, c.reg(f.rm), f.type, f.imm, f.s === 1 && op.logical);
    execute(c, op, f.rd, rn, operand, f.s === 1);
  };

/** `ADDLS PC, PC, <Rm>, LSL #2` after `CMP <Rm>, #n`: a table of branches. */
function jumpTable(c: ArmContext, f: { imm: number; type: number; rm: number }): boolean {
  if (f.type !== Shift.lsl || f.imm !== 2 || f.rm === 15) return false;
  const bound = c.boundOf(f.rm);
  if (bound < 0 || bound >= maxBranchTable) return false;
  const targets: number[] = [];
  for (let i = 0; i <= bound; i++) targets.push((c.pcValue + 4 * i) | 0);
  c.switch(c.reg(f.rm), targets);
  return true;
}

const maxBranchTable = 1024;

/** `<op>{S}<c> <Rd>, <Rn>, <Rm>, <type> <Rs>` (A5.2.2). */
const shiftedByRegister =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rn: number; rd: number; rs: number; type: number; rm: number }): void => {
    const rn = operandRn(c, op, f.rn);
    const operand = shiftRegister(c, c.reg(f.rm), f.type, c.reg(f.rs), f.s === 1 && op.logical);
    execute(c, op, f.rd, rn, operand, f.s === 1);
  };

/** `MOVW<c> <Rd>, #<imm16>` (A8.8.102). */
const movw = (c: ArmContext, f: { rd: number; imm: number }): void => c.setReg(f.rd, c.b.i32(f.imm));

/** `MOVT<c> <Rd>, #<imm16>` (A8.8.106). */
function movt(c: ArmContext, f: { rd: number; imm: number }): void {
  const { b } = c;
  c.setReg(f.rd, b.or(b.andImm(c.reg(f.rd), 0xffff), b.i32(f.imm << 16)));
}

export const dataProcessingA32: readonly ArmRow[] = [
  // ---- immediate
  row('AND (immediate)', 'cond:4 0010000 s:1 rn:4 rd:4 imm:12', immediate(alu.and), { pure: true }),
  row('EOR (immediate)', 'cond:4 0010001 s:1 rn:4 rd:4 imm:12', immediate(alu.eor), { pure: true }),
  row('SUB (immediate)', 'cond:4 0010010 s:1 rn:4 rd:4 imm:12', immediate(alu.sub), { pure: true }),
  row('RSB (immediate)', 'cond:4 0010011 s:1 rn:4 rd:4 imm:12', immediate(alu.rsb), { pure: true }),
  row('ADD (immediate)', 'cond:4 0010100 s:1 rn:4 rd:4 imm:12', immediate(alu.add), { pure: true }),
  row('ADC (immediate)', 'cond:4 0010101 s:1 rn:4 rd:4 imm:12', immediate(alu.adc), { pure: true }),
  row('SBC (immediate)', 'cond:4 0010110 s:1 rn:4 rd:4 imm:12', immediate(alu.sbcOp), { pure: true }),
  row('RSC (immediate)', 'cond:4 0010111 s:1 rn:4 rd:4 imm:12', immediate(alu.rsc), { pure: true }),
  row('TST (immediate)', 'cond:4 0011000 1 rn:4 0000 imm:12', immediate(alu.tst), { set: { s: 1, rd: 0 } }),
  row('TEQ (immediate)', 'cond:4 0011001 1 rn:4 0000 imm:12', immediate(alu.teq), { set: { s: 1, rd: 0 } }),
  row('CMP (immediate)', 'cond:4 0011010 1 rn:4 0000 imm:12', immediate(alu.cmp), { set: { s: 1, rd: 0 } }),
  row('CMN (immediate)', 'cond:4 0011011 1 rn:4 0000 imm:12', immediate(alu.cmn), { set: { s: 1, rd: 0 } }),
  row('ORR (immediate)', 'cond:4 0011100 s:1 rn:4 rd:4 imm:12', immediate(alu.orr), { pure: true }),
  row('MOV (immediate)', 'cond:4 0011101 s:1 0000 rd:4 imm:12', immediate(alu.mov), { set: { rn: 0 }, pure: true }),
  row('BIC (immediate)', 'cond:4 0011110 s:1 rn:4 rd:4 imm:12', immediate(alu.bic), { pure: true }),
  row('MVN (immediate)', 'cond:4 0011111 s:1 0000 rd:4 imm:12', immediate(alu.mvn), { set: { rn: 0 }, pure: true }),
  // ---- register
  row('AND (register)', 'cond:4 0000000 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.and), { pure: true }),
  row('EOR (register)', 'cond:4 0000001 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.eor), { pure: true }),
  row('SUB (register)', 'cond:4 0000010 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.sub), { pure: true }),
  row('RSB (register)', 'cond:4 0000011 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.rsb), { pure: true }),
  row('ADD (register)', 'cond:4 0000100 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.add), { pure: true }),
  row('ADC (register)', 'cond:4 0000101 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.adc), { pure: true }),
  row('SBC (register)', 'cond:4 0000110 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.sbcOp), { pure: true }),
  row('RSC (register)', 'cond:4 0000111 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.rsc), { pure: true }),
  row('TST (register)', 'cond:4 0001000 1 rn:4 0000 imm:5 type:2 0 rm:4', register(alu.tst), { set: { s: 1, rd: 0 } }),
  row('TEQ (register)', 'cond:4 0001001 1 rn:4 0000 imm:5 type:2 0 rm:4', register(alu.teq), { set: { s: 1, rd: 0 } }),
  row('CMP (register)', 'cond:4 0001010 1 rn:4 0000 imm:5 type:2 0 rm:4', register(alu.cmp), { set: { s: 1, rd: 0 } }),
  row('CMN (register)', 'cond:4 0001011 1 rn:4 0000 imm:5 type:2 0 rm:4', register(alu.cmn), { set: { s: 1, rd: 0 } }),
  row('ORR (register)', 'cond:4 0001100 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.orr), { pure: true }),
  row('MOV (register)', 'cond:4 0001101 s:1 0000 rd:4 imm:5 type:2 0 rm:4', register(alu.mov), {
    set: { rn: 0 },
    pure: true,
  }),
  row('BIC (register)', 'cond:4 0001110 s:1 rn:4 rd:4 imm:5 type:2 0 rm:4', register(alu.bic), { pure: true }),
  row('MVN (register)', 'cond:4 0001111 s:1 0000 rd:4 imm:5 type:2 0 rm:4', register(alu.mvn), {
    set: { rn: 0 },
    pure: true,
  }),
  // ---- register-shifted register
  row(
    'AND (register-shifted register)',
    'cond:4 0000000 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.and),
    { pure: true },
  ),
  row(
    'EOR (register-shifted register)',
    'cond:4 0000001 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.eor),
    { pure: true },
  ),
  row(
    'SUB (register-shifted register)',
    'cond:4 0000010 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.sub),
    { pure: true },
  ),
  row(
    'RSB (register-shifted register)',
    'cond:4 0000011 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.rsb),
    { pure: true },
  ),
  row(
    'ADD (register-shifted register)',
    'cond:4 0000100 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.add),
    { pure: true },
  ),
  row(
    'ADC (register-shifted register)',
    'cond:4 0000101 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.adc),
    { pure: true },
  ),
  row(
    'SBC (register-shifted register)',
    'cond:4 0000110 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.sbcOp),
    { pure: true },
  ),
  row(
    'RSC (register-shifted register)',
    'cond:4 0000111 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.rsc),
    { pure: true },
  ),
  row(
    'TST (register-shifted register)',
    'cond:4 0001000 1 rn:4 0000 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.tst),
    { set: { s: 1, rd: 0 } },
  ),
  row(
    'TEQ (register-shifted register)',
    'cond:4 0001001 1 rn:4 0000 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.teq),
    { set: { s: 1, rd: 0 } },
  ),
  row(
    'CMP (register-shifted register)',
    'cond:4 0001010 1 rn:4 0000 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.cmp),
    { set: { s: 1, rd: 0 } },
  ),
  row(
    'CMN (register-shifted register)',
    'cond:4 0001011 1 rn:4 0000 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.cmn),
    { set: { s: 1, rd: 0 } },
  ),
  row(
    'ORR (register-shifted register)',
    'cond:4 0001100 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.orr),
    { pure: true },
  ),
  row(
    'MOV (register-shifted register)',
    'cond:4 0001101 s:1 0000 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.mov),
    { set: { rn: 0 }, pure: true },
  ),
  row(
    'BIC (register-shifted register)',
    'cond:4 0001110 s:1 rn:4 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.bic),
    { pure: true },
  ),
  row(
    'MVN (register-shifted register)',
    'cond:4 0001111 s:1 0000 rd:4 rs:4 0 type:2 1 rm:4',
    shiftedByRegister(alu.mvn),
    { set: { rn: 0 }, pure: true },
  ),
  // ---- 16-bit immediates
  row('MOVW', 'cond:4 00110000 imm:4 rd:4 imm:12', movw, { pure: true }),
  row('MOVT', 'cond:4 00110100 imm:4 rd:4 imm:12', movt, { pure: true }),
];

export { movt, movw };
