/** Translation of the x87 instructions (SDM vol. 1, chapter 8): each is the call of a helper, beside its memory access. */
import type { X86Context } from './context.ts';
import { Op } from './context.ts';
import { i386State, Vector } from './state.ts';
import * as helpers from './x87-helpers.ts';
import { X87Control, X87Format, X87Function, X87Register } from './x87-helpers.ts';
import { X87Status } from './x87-state.ts';

type Translate = (c: X86Context) => void;

const slotStatus = i386State.offset('fstat');
const slotControl = i386State.offset('fctrl');
const slotOperand = i386State.offset('operand');

/** #MF if an exception waits: what every instruction but the control ones begins with. */
function checkPending(c: X86Context): void {
  c.raiseIf(c.b.andImm(c.b.get32(slotStatus), X87Status.summary), Vector.x87);
}

function call(c: X86Context, helper: number, a: number, ...rest: number[]): number {
  return c.b.helper(helper, false, c.b.i32(a), ...rest);
}

/** FWAIT. */
export const wait: Translate = checkPending;

/** The format of the memory operand of the opcode: D8 to DF, where reg decides too. */
const arithmeticFormats = [X87Format.single, 0, X87Format.int32, 0, X87Format.double, 0, X87Format.int16, 0];

/** The words of a memory operand of up to 8 bytes. */
function loadWords(c: X86Context, format: number): [number, number] {
  const { b } = c;
  switch (format) {
    case X87Format.int16:
      return [c.loadMemory(Op.load16_s), b.i32(0)];
    case X87Format.double:
    case X87Format.int64:
      return [c.loadMemory(Op.load_i32), c.loadMemory(Op.load_i32, 4)];
    default:
      return [c.loadMemory(Op.load_i32), b.i32(0)];
  }
}

/** ST(0) and a memory operand. */
export function arithmeticMemory(c: X86Context): void {
  const { insn } = c;
  const format = arithmeticFormats[insn.opcode - 0xd8]!;
  checkPending(c);
  const words = loadWords(c, format);
  call(c, helpers.arithmeticMemoryHelper, insn.reg | (format << 4), ...words);
}

/** FCOM, FCOMP, FICOM, FICOMP with memory. */
export function compareMemory(c: X86Context): void {
  const { insn } = c;
  const format = arithmeticFormats[insn.opcode - 0xd8]!;
  checkPending(c);
  const words = loadWords(c, format);
  call(c, helpers.compareMemoryHelper, (insn.reg === 3 ? 1 : 0) | (format << 4), ...words);
}

/** D8: ST(0) with ST(i). DC and DE: ST(i) with ST(0), where the subtractions and divisions have changed places. */
export function arithmeticRegister(c: X86Context): void {
  const { insn } = c;
  const { rm, reg, opcode } = insn;
  checkPending(c);
  if (opcode === 0xd8) call(c, helpers.arithmeticHelper, reg | (rm << 8));
  else call(c, helpers.arithmeticHelper, (reg >= 4 ? reg ^ 1 : reg) | (rm << 4) | (opcode === 0xde ? 1 << 12 : 0));
}

/** FCOM, FUCOM and their popping forms. */
export const compareRegister =
  (quiet: boolean, pops: number): Translate =>
  (c) => {
    checkPending(c);
    call(c, helpers.compareHelper, c.insn.rm | (quiet ? 16 : 0) | (pops << 5));
  };

/** FCOMI, FUCOMI and their popping forms. */
export const compareToFlags =
  (quiet: boolean, pops: number): Translate =>
  (c) => {
    checkPending(c);
    const flags = call(c, helpers.compareHelper, c.insn.rm | (quiet ? 16 : 0) | (pops << 5) | 128);
    c.flags.setStatus(flags);
  };

export const test: Translate = (c) => {
  checkPending(c);
  call(c, helpers.testHelper, 0);
};

export const register =
  (operation: keyof typeof X87Register): Translate =>
  (c) => {
    checkPending(c);
    call(c, helpers.registerHelper, X87Register[operation] | (c.insn.rm << 8));
  };

export const function_ =
  (operation: keyof typeof X87Function): Translate =>
  (c) => {
    checkPending(c);
    call(c, helpers.functionHelper, X87Function[operation]);
  };

export const constant: Translate = (c) => {
  checkPending(c);
  call(c, helpers.constantHelper, c.insn.rm);
};

/** FLD, FILD. */
export const load =
  (format: keyof typeof X87Format): Translate =>
  (c) => {
    checkPending(c);
    const words = loadWords(c, X87Format[format]);
    call(c, helpers.loadHelper, X87Format[format], ...words);
  };

/** FLD m80, FBLD. */
export const load80 =
  (format: 'extended' | 'bcd'): Translate =>
  (c) => {
    const { b } = c;
    checkPending(c);
    const low = c.loadMemory(Op.load_i64);
    const high = c.loadMemory(Op.load16_u, 8);
    b.set('i64', slotOperand, low);
    b.set32(slotOperand + 8, high);
    call(c, helpers.loadHelper, X87Format[format], b.i32(0), b.i32(0));
  };

const storeBytes: Readonly<Record<keyof typeof X87Format, number>> = {
  single: 4,
  double: 8,
  int16: 2,
  int32: 4,
  int64: 8,
  extended: 10,
  bcd: 10,
};

/** FST, FIST, FISTTP, FBSTP. */
export const store =
  (format: keyof typeof X87Format, pops: boolean, truncate = false): Translate =>
  (c) => {
    const { b } = c;
    const bytes = storeBytes[format];
    checkPending(c);
    c.probeMemory(bytes, 2);
    const stores = call(c, helpers.storeHelper, X87Format[format] | (truncate ? 16 : 0));
    b.if(stores);
    if (bytes === 2) c.storeMemory(Op.store16, b.get32(slotOperand));
    else if (bytes === 4) c.storeMemory(Op.store_i32, b.get32(slotOperand));
    else c.storeMemory(Op.store_i64, b.get('i64', slotOperand));
    if (bytes === 10) c.storeMemory(Op.store16, b.get32(slotOperand + 8), 8);
    if (pops) call(c, helpers.popHelper, 0);
    b.endif();
  };

export const initialize: Translate = (c) => {
  call(c, helpers.controlHelper, X87Control.initialize, c.b.i32(0));
};

export const clearExceptions: Translate = (c) => {
  call(c, helpers.controlHelper, X87Control.clear, c.b.i32(0));
};

export const nothing: Translate = () => {};

/** FNOP waits as the others do. */
export const noOperation: Translate = checkPending;

/** FLDCW. */
export const loadControlWord: Translate = (c) => {
  checkPending(c);
  call(c, helpers.controlHelper, X87Control.loadControl, c.loadMemory(Op.load16_u));
};

/** FNSTCW. */
export const storeControlWord: Translate = (c) => {
  c.storeMemory(Op.store16, c.b.get32(slotControl));
};

/** FNSTSW, to memory or AX. */
export const storeStatusWord: Translate = (c) => {
  const { b } = c;
  const word = b.or(b.get32(slotStatus), b.shlImm(b.get32(i386State.offset('ftop')), 11));
  c.store(0, word);
};

/** FCMOVcc: the condition codes of the opcodes DA C0, DA C8, DA D0, DA D8 and their negations in DB. */
const moveConditions = [2, 4, 6, 10];

export const conditionalMove: Translate = (c) => {
  const { b, insn } = c;
  checkPending(c);
  const condition = moveConditions[insn.reg]! | (insn.opcode === 0xdb ? 1 : 0);
  const holds = b.bin(Op.ne_i32, c.flags.condition(condition), b.i32(0));
  call(c, helpers.conditionalMoveHelper, insn.rm, holds);
};
