import * as alu from './alu.ts';
import { type Alu, execute, operandRn, outsideIt, setsFlags } from './alu.ts';
import type { ArmContext } from './context.ts';
import { movt, movw } from './data-processing-a32.ts';
import { type ArmRow, row } from './row.ts';
import { expandT32, rotatedT32, shiftedConstant, shiftImmediate, shiftRegister } from './shift.ts';

/** `<op>{S}<c>.W <Rd>, <Rn>, #<const>` with a modified immediate (DDI 0406C A6.3.1). */
const immediate =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rn: number; rd: number; imm: number }): void => {
    const rn = operandRn(c, op, f.rn);
    const operand = shiftedConstant(c, expandT32(f.imm), rotatedT32(f.imm), f.s === 1 && op.logical);
    execute(c, op, f.rd, rn, operand, f.s === 1);
  };

/** `<op>{S}<c>.W <Rd>, <Rn>, <Rm>{, <shift>}` (A6.3.11). */
const register =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rn: number; rd: number; imm: number; type: number; rm: number }): void => {
    const rn = operandRn(c, op, f.rn);
    const operand = shiftImmediate(c, c.reg(f.rm), f.type, f.imm, f.s === 1 && op.logical);
    execute(c, op, f.rd, rn, operand, f.s === 1);
  };

/** `<op>{S} <Rd>, <Rn>, <Rm>{, <shift>}`, 16-bit: sets the flags outside IT blocks. */
const register16 =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rn: number; rd: number; imm: number; type: number; rm: number }): void => {
    const s = setsFlags(c, f.s);
    const rn = operandRn(c, op, f.rn);
    execute(c, op, f.rd, rn, shiftImmediate(c, c.reg(f.rm), f.type, f.imm, s && op.logical), s);
  };

/** `<op>{S} <Rd>, <Rn>, #<imm>`, the immediate as it stands. */
const plainImmediate =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rn: number; rd: number; imm: number }): void =>
    execute(c, op, f.rd, operandRn(c, op, f.rn), shiftedConstant(c, f.imm, false, false), setsFlags(c, f.s));

/** `<op>{S} <Rdn>, #<imm>`. */
const twoOperandImmediate =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rd: number; imm: number }): void =>
    execute(c, op, f.rd, c.reg(f.rd), shiftedConstant(c, f.imm, false, false), setsFlags(c, f.s));

/** `<op>{S} <Rdn>, <Rm>`. */
const twoOperandRegister =
  (op: Alu) =>
  (c: ArmContext, f: { s: number; rd: number; rm: number }): void =>
    execute(c, op, f.rd, operandRn(c, op, f.rd), shiftImmediate(c, c.reg(f.rm), 0, 0, false), setsFlags(c, f.s));

/** `LSL{S} <Rdn>, <Rm>` and the other shifts, 16-bit. */
function shift16(c: ArmContext, f: { s: number; type: number; rd: number; rm: number }): void {
  const s = setsFlags(c, f.s);
  execute(c, alu.mov, f.rd, -1, shiftRegister(c, c.reg(f.rd), f.type, c.reg(f.rm), s), s);
}

/** `LSL{S}<c>.W <Rd>, <Rn>, <Rm>` and the other shifts. */
function shift32(c: ArmContext, f: { s: number; type: number; rn: number; rd: number; rm: number }): void {
  const s = f.s === 1;
  execute(c, alu.mov, f.rd, -1, shiftRegister(c, c.reg(f.rn), f.type, c.reg(f.rm), s), s);
}

/** `ADD <Rd>, SP, #<imm>`, `SUB SP, SP, #<imm>`; the immediate counts words. */
const stackImmediate =
  (op: Alu) =>
  (c: ArmContext, f: { rd: number; imm: number }): void =>
    execute(c, op, f.rd, c.reg(13), shiftedConstant(c, f.imm * 4, false, false), false);

/** `ADR<c> <Rd>, <label>` (A8.8.12). */
const adr16 = (c: ArmContext, f: { rd: number; imm: number }): void => c.setReg(f.rd, c.b.i32(c.pcAligned + f.imm * 4));
const adrAdd = (c: ArmContext, f: { rd: number; imm: number }): void => c.setReg(f.rd, c.b.i32(c.pcAligned + f.imm));
const adrSubtract = (c: ArmContext, f: { rd: number; imm: number }): void =>
  c.setReg(f.rd, c.b.i32(c.pcAligned - f.imm));

/** The 16-bit immediate imm4:i:imm3:imm8 of MOVW and MOVT. */
const wide =
  (move: (c: ArmContext, f: { rd: number; imm: number }) => void) =>
  (c: ArmContext, f: { i: number; high: number; low: number; rd: number }): void =>
    move(c, { rd: f.rd, imm: (f.high << 12) | (f.i << 11) | f.low });

export const dataProcessingT32: readonly ArmRow[] = [
  // ---- 32-bit, immediate
  row('TST (immediate)', '11110 imm:1 00000 1 rn:4 0 imm:3 1111 imm:8', immediate(alu.tst), { set: { s: 1, rd: 0 } }),
  row('AND (immediate)', '11110 imm:1 00000 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.and), { pure: true }),
  row('BIC (immediate)', '11110 imm:1 00001 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.bic), { pure: true }),
  row('MOV (immediate)', '11110 imm:1 00010 s:1 1111 0 imm:3 rd:4 imm:8', immediate(alu.mov), {
    set: { rn: 0 },
    pure: true,
  }),
  row('ORR (immediate)', '11110 imm:1 00010 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.orr), { pure: true }),
  row('MVN (immediate)', '11110 imm:1 00011 s:1 1111 0 imm:3 rd:4 imm:8', immediate(alu.mvn), {
    set: { rn: 0 },
    pure: true,
  }),
  row('ORN (immediate)', '11110 imm:1 00011 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.orn), { pure: true }),
  row('TEQ (immediate)', '11110 imm:1 00100 1 rn:4 0 imm:3 1111 imm:8', immediate(alu.teq), { set: { s: 1, rd: 0 } }),
  row('EOR (immediate)', '11110 imm:1 00100 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.eor), { pure: true }),
  row('CMN (immediate)', '11110 imm:1 01000 1 rn:4 0 imm:3 1111 imm:8', immediate(alu.cmn), { set: { s: 1, rd: 0 } }),
  row('ADD (immediate)', '11110 imm:1 01000 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.add), { pure: true }),
  row('ADC (immediate)', '11110 imm:1 01010 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.adc), { pure: true }),
  row('SBC (immediate)', '11110 imm:1 01011 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.sbcOp), { pure: true }),
  row('CMP (immediate)', '11110 imm:1 01101 1 rn:4 0 imm:3 1111 imm:8', immediate(alu.cmp), { set: { s: 1, rd: 0 } }),
  row('SUB (immediate)', '11110 imm:1 01101 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.sub), { pure: true }),
  row('RSB (immediate)', '11110 imm:1 01110 s:1 rn:4 0 imm:3 rd:4 imm:8', immediate(alu.rsb), { pure: true }),
  // ---- 32-bit, register
  row('TST (register)', '11101010000 1 rn:4 0 imm:3 1111 imm:2 type:2 rm:4', register(alu.tst), {
    set: { s: 1, rd: 0 },
  }),
  row('AND (register)', '11101010000 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.and), { pure: true }),
  row('BIC (register)', '11101010001 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.bic), { pure: true }),
  row('MOV (register)', '11101010010 s:1 1111 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.mov), {
    set: { rn: 0 },
    pure: true,
  }),
  row('ORR (register)', '11101010010 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.orr), { pure: true }),
  row('MVN (register)', '11101010011 s:1 1111 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.mvn), {
    set: { rn: 0 },
    pure: true,
  }),
  row('ORN (register)', '11101010011 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.orn), { pure: true }),
  row('TEQ (register)', '11101010100 1 rn:4 0 imm:3 1111 imm:2 type:2 rm:4', register(alu.teq), {
    set: { s: 1, rd: 0 },
  }),
  row('EOR (register)', '11101010100 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.eor), { pure: true }),
  row('CMN (register)', '11101011000 1 rn:4 0 imm:3 1111 imm:2 type:2 rm:4', register(alu.cmn), {
    set: { s: 1, rd: 0 },
  }),
  row('ADD (register)', '11101011000 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.add), { pure: true }),
  row('ADC (register)', '11101011010 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.adc), { pure: true }),
  row('SBC (register)', '11101011011 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.sbcOp), { pure: true }),
  row('CMP (register)', '11101011101 1 rn:4 0 imm:3 1111 imm:2 type:2 rm:4', register(alu.cmp), {
    set: { s: 1, rd: 0 },
  }),
  row('SUB (register)', '11101011101 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.sub), { pure: true }),
  row('RSB (register)', '11101011110 s:1 rn:4 0 imm:3 rd:4 imm:2 type:2 rm:4', register(alu.rsb), { pure: true }),
  // ---- 32-bit, plain 12 and 16-bit immediates
  row('ADR (add)', '11110 imm:1 100000 1111 0 imm:3 rd:4 imm:8', adrAdd, { pure: true }),
  row('ADD (12-bit immediate)', '11110 imm:1 100000 rn:4 0 imm:3 rd:4 imm:8', plainImmediate(alu.add), {
    set: { s: 0 },
    pure: true,
  }),
  row('ADR (subtract)', '11110 imm:1 101010 1111 0 imm:3 rd:4 imm:8', adrSubtract, { pure: true }),
  row('SUB (12-bit immediate)', '11110 imm:1 101010 rn:4 0 imm:3 rd:4 imm:8', plainImmediate(alu.sub), {
    set: { s: 0 },
    pure: true,
  }),
  row('MOVW', '11110 i:1 100100 high:4 0 low:3 rd:4 low:8', wide(movw), { pure: true }),
  row('MOVT', '11110 i:1 101100 high:4 0 low:3 rd:4 low:8', wide(movt), { pure: true }),
  // ---- 32-bit, shifts by register
  row('LSL, LSR, ASR, ROR (register)', '11111010 0 type:2 s:1 rn:4 1111 rd:4 0000 rm:4', shift32, { pure: true }),
  // ---- 16-bit
  row('MOV (register)', '00000 00000 rm:3 rd:3', register16(alu.mov), {
    set: { s: outsideIt, type: 0, imm: 0, rn: 0 },
    pure: true,
  }),
  row('LSL (immediate)', '00000 imm:5 rm:3 rd:3', register16(alu.mov), {
    set: { s: outsideIt, type: 0, rn: 0 },
    pure: true,
  }),
  row('LSR (immediate)', '00001 imm:5 rm:3 rd:3', register16(alu.mov), {
    set: { s: outsideIt, type: 1, rn: 0 },
    pure: true,
  }),
  row('ASR (immediate)', '00010 imm:5 rm:3 rd:3', register16(alu.mov), {
    set: { s: outsideIt, type: 2, rn: 0 },
    pure: true,
  }),
  row('ADD (register)', '0001100 rm:3 rn:3 rd:3', register16(alu.add), {
    set: { s: outsideIt, type: 0, imm: 0 },
    pure: true,
  }),
  row('SUB (register)', '0001101 rm:3 rn:3 rd:3', register16(alu.sub), {
    set: { s: outsideIt, type: 0, imm: 0 },
    pure: true,
  }),
  row('ADD (3-bit immediate)', '0001110 imm:3 rn:3 rd:3', plainImmediate(alu.add), {
    set: { s: outsideIt },
    pure: true,
  }),
  row('SUB (3-bit immediate)', '0001111 imm:3 rn:3 rd:3', plainImmediate(alu.sub), {
    set: { s: outsideIt },
    pure: true,
  }),
  row('MOV (8-bit immediate)', '00100 rd:3 imm:8', plainImmediate(alu.mov), {
    set: { s: outsideIt, rn: 0 },
    pure: true,
  }),
  row('CMP (8-bit immediate)', '00101 rn:3 imm:8', plainImmediate(alu.cmp), { set: { s: 1, rd: 0 } }),
  row('ADD (8-bit immediate)', '00110 rd:3 imm:8', twoOperandImmediate(alu.add), { set: { s: outsideIt }, pure: true }),
  row('SUB (8-bit immediate)', '00111 rd:3 imm:8', twoOperandImmediate(alu.sub), { set: { s: outsideIt }, pure: true }),
  row('AND (register)', '010000 0000 rm:3 rd:3', twoOperandRegister(alu.and), { set: { s: outsideIt }, pure: true }),
  row('EOR (register)', '010000 0001 rm:3 rd:3', twoOperandRegister(alu.eor), { set: { s: outsideIt }, pure: true }),
  row('LSL (register)', '010000 0010 rm:3 rd:3', shift16, { set: { s: outsideIt, type: 0 }, pure: true }),
  row('LSR (register)', '010000 0011 rm:3 rd:3', shift16, { set: { s: outsideIt, type: 1 }, pure: true }),
  row('ASR (register)', '010000 0100 rm:3 rd:3', shift16, { set: { s: outsideIt, type: 2 }, pure: true }),
  row('ADC (register)', '010000 0101 rm:3 rd:3', twoOperandRegister(alu.adc), { set: { s: outsideIt }, pure: true }),
  row('SBC (register)', '010000 0110 rm:3 rd:3', twoOperandRegister(alu.sbcOp), { set: { s: outsideIt }, pure: true }),
  row('ROR (register)', '010000 0111 rm:3 rd:3', shift16, { set: { s: outsideIt, type: 3 }, pure: true }),
  row('TST (register)', '010000 1000 rm:3 rd:3', twoOperandRegister(alu.tst), { set: { s: 1 } }),
  row('RSB (immediate)', '010000 1001 rn:3 rd:3', plainImmediate(alu.rsb), {
    set: { s: outsideIt, imm: 0 },
    pure: true,
  }),
  row('CMP (register)', '010000 1010 rm:3 rd:3', twoOperandRegister(alu.cmp), { set: { s: 1 } }),
  row('CMN (register)', '010000 1011 rm:3 rd:3', twoOperandRegister(alu.cmn), { set: { s: 1 } }),
  row('ORR (register)', '010000 1100 rm:3 rd:3', twoOperandRegister(alu.orr), { set: { s: outsideIt }, pure: true }),
  row('BIC (register)', '010000 1110 rm:3 rd:3', twoOperandRegister(alu.bic), { set: { s: outsideIt }, pure: true }),
  row('MVN (register)', '010000 1111 rm:3 rd:3', twoOperandRegister(alu.mvn), { set: { s: outsideIt }, pure: true }),
  row('ADD (high registers)', '01000100 rd:1 rm:4 rd:3', twoOperandRegister(alu.add), { set: { s: 0 }, pure: true }),
  row('CMP (high registers)', '01000101 rd:1 rm:4 rd:3', twoOperandRegister(alu.cmp), { set: { s: 1 } }),
  row('MOV (high registers)', '01000110 rd:1 rm:4 rd:3', twoOperandRegister(alu.mov), { set: { s: 0 }, pure: true }),
  row('ADR', '10100 rd:3 imm:8', adr16, { pure: true }),
  row('ADD (SP plus immediate)', '10101 rd:3 imm:8', stackImmediate(alu.add), { pure: true }),
  row('ADD (SP plus immediate to SP)', '10110000 0 imm:7', stackImmediate(alu.add), { set: { rd: 13 }, pure: true }),
  row('SUB (SP minus immediate)', '10110000 1 imm:7', stackImmediate(alu.sub), { set: { rd: 13 }, pure: true }),
];
