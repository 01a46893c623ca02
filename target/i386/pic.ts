import type { Value } from '#tcg/builder.ts';
import { Op, Reg, type X86Context } from './context.ts';
import { slotR } from './state.ts';

/*
 * What compilers make of position-independent code. A function that needs its own data calls __x86.get_pc_thunk.REG,
 * which reads the PC, and adds what is left to the global offset table (GOT):
 *
 *     call thunk; add ebx, imm32
 *
 * A `switch` jumps by offsets from there: mov eax, [ebx + 4 × eax + table]; add eax, ebx; jmp eax
 */

/** Entries of a jump table that are looked at. */
export const maxTableEntries = 1024;

/** The tables of the programs and libraries seen last. Only a guess, which code tests before it relies on it. */
const tables: number[] = [];
const maxTables = 32;

function remember(table: number): void {
  if (tables.includes(table)) return;
  if (tables.length === maxTables) tables.shift();
  tables.push(table);
}

/** The table that code at `pc` most likely uses: the nearest one behind it; −1 if none is known. */
function tableBehind(pc: number): number {
  let best = -1;
  for (const table of tables) if (table > pc && (best < 0 || table < best)) best = table;
  return best;
}

/** `mov REG, [esp]; ret` without the register: 8B 04+8×REG 24 C3. */
const thunk = 0xc324_048b;
const thunkRegister = 0x3800;

/** CALL of a thunk at `target`: the register has the address of the next instruction. False if it is none. */
export function callThunk(c: X86Context, target: number): boolean {
  const { b, code, insn } = c;
  if (insn.operandBytes !== 4 || c.isStepping || c.isStrict || !code.fetchable(target >>> 0, 4)) return false;
  const word = code.fetch32(target >>> 0);
  const number = (word >> 11) & 7;
  if ((word & ~thunkRegister) >>> 0 !== thunk || number === Reg.esp || !code.constant(target >>> 0, 4)) return false;
  b.store(Op.store_i32, b.addImm(c.reg(Reg.esp), -4), b.i32(c.nextPc));
  c.setReg(number, b.i32(c.nextPc));
  noteTable(c, number);
  return true;
}

/** Looks whether the instruction behind the call of a thunk makes the register the GOT's address. */
function noteTable(c: X86Context, number: number): void {
  const { code } = c;
  const next = c.nextPc >>> 0;
  const short = number === Reg.eax && code.fetch8(next) === 0x05;
  if (!short && (code.fetch8(next) !== 0x81 || code.fetch8(next + 1) !== (0xc0 | number))) return;
  const at = next + (short ? 1 : 2);
  if (code.fetchable(at, 4)) remember((next + code.fetch32(at)) >>> 0);
}

/** A load from a table: the value loaded, and what its address was made of. */
export interface TableLoad {
  readonly value: Value;
  readonly base: Value;
  readonly index: Value;
  /** The highest value of the index. */
  readonly bound: number;
  readonly displacement: number;
}

/** The load that MOV is about to do, if it may be one from a jump table. */
export function tableLoad(c: X86Context, value: Value): TableLoad | undefined {
  const { insn, b } = c;
  const { base, index, scale, displacement } = insn;
  if (!insn.isMemory || base < 0 || index < 0 || scale !== 2 || insn.segment >= 0 || insn.operandBytes !== 4) {
    return undefined;
  }
  const bound = c.boundOf(index);
  if (bound < 0 || bound >= maxTableEntries) return undefined;
  return { value, base: b.get32(slotR(base)), index: c.reg(index), bound, displacement };
}

/** JMP REG where REG is what the last table had, plus its base: true if the jump is made as a switch. */
export function offsetJump(c: X86Context, { value, base, index, bound, displacement }: TableLoad): boolean {
  const { b, code } = c;
  const target = c.load(0);
  const { op, a, b: right } = b.block;
  const operands = [a[target], right[target]];
  if (op[target] !== Op.add_i32 || !operands.includes(value) || !operands.includes(base)) return false;
  const got = b.isConst(base) ? b.constOf(base) >>> 0 : tableBehind(c.pc >>> 0);
  if (got < 0) return false;
  const table = (got + displacement) >>> 0;
  if (!code.constant(table, 4 * bound + 4)) return false;
  const targets: number[] = [];
  for (let i = 0; i <= bound; i++) targets.push((got + code.fetch32(table + 4 * i)) | 0);
  if (!b.isConst(base)) {
    b.if(b.bin(Op.ne_i32, base, b.i32(got)));
    b.jumpIndirect(target);
    b.endif();
  }
  c.ended = true;
  b.switch(index, targets, targets[0]!);
  return true;
}
