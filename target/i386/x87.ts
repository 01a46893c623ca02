/**
 * Translation of the x87 instructions (SDM vol. 1, chapter 8). In regions most are done by `X87Inline`; elsewhere, and
 * where that gives up, each is the call of a helper, beside its memory access.
 */
import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import type { X86Context } from './context.ts';
import { Op } from './context.ts';
import { slotX87Helpers, x87Mode } from './sse-mode.ts';
import { i386State, Vector } from './state.ts';
import { type Extended, signBit } from './x87-arithmetic.ts';
import * as helpers from './x87-helpers.ts';
import { X87Control, X87Format, X87Function, X87Register } from './x87-helpers.ts';
import { inlineConstants, type X87Inline } from './x87-inline.ts';
import { noteHelper } from './x87-notes.ts';
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

/** The same as a number of a region: `bad` is not 0 if it is none that is done there. */
function loadNumber(c: X86Context, unit: X87Inline, format: number): Extended {
  const { arithmetic } = unit;
  const { b } = c;
  switch (format) {
    case X87Format.single: {
      const { bad, ...value } = arithmetic.fromSingle(c.loadMemory(Op.load_i32));
      unit.leaveIf(bad);
      return value;
    }
    case X87Format.double: {
      const { bad, ...value } = arithmetic.fromDouble(c.loadMemory(Op.load_i64));
      unit.leaveIf(bad);
      return value;
    }
    case X87Format.int64:
      return arithmetic.fromInteger(c.loadMemory(Op.load_i64));
    default:
      return arithmetic.fromInteger(
        b.un(Op.extend_s_i64, c.loadMemory(format === X87Format.int16 ? Op.load16_s : Op.load_i32)),
      );
  }
}

/**
 * An instruction with two forms: in regions without helpers, if `inline` says that it has done it, elsewhere with them.
 * `moves`: what it adds to TOP.
 */
const either =
  (inline: (unit: X87Inline, c: X86Context) => boolean, helped: Translate, moves = 0): Translate =>
  (c) => {
    const { b, x87: unit } = c;
    if (c.mode & x87Mode) {
      b.set32(slotX87Helpers, b.i32(0));
      helped(c);
      // A single step leaves by itself.
      if (c.isStepping) return;
      b.helper(noteHelper, false, b.i32(c.nextPc));
      c.exit(ExitReason.mode, c.nextPc);
      return;
    }
    if (unit === undefined) {
      if (!c.x87Noted) b.helper(noteHelper, false, b.i32(c.pc));
      c.x87Noted = true;
      helped(c);
      return;
    }
    if (inline(unit, c)) return;
    unit.helped(moves);
    helped(c);
  };

/** Calls a helper with a memory operand; its argument has the format in bits 4 up. */
function callWithMemory(c: X86Context, helper: number, argument: number): void {
  const format = arithmeticFormats[c.insn.opcode - 0xd8]!;
  checkPending(c);
  const words = loadWords(c, format);
  call(c, helper, argument | (format << 4), ...words);
}

/** ST(0) and a memory operand. */
export const arithmeticMemory: Translate = either(
  (unit, c) => {
    const { insn } = c;
    if (!unit.begin(true)) return false;
    const y = loadNumber(c, unit, arithmeticFormats[insn.opcode - 0xd8]!);
    unit.finish(0, unit.operate(insn.reg, unit.number(0), y));
    return true;
  },
  (c) => callWithMemory(c, helpers.arithmeticMemoryHelper, c.insn.reg),
);

/** Condition codes of a comparison that is not unordered. */
function orderConditions(c: X86Context, { equal, less }: { equal: Value; less: Value }): Value {
  const { b } = c;
  return b.or(b.shlImm(equal, 14), b.shlImm(less, 8));
}

/** FCOM, FCOMP, FICOM, FICOMP with memory. */
export const compareMemory: Translate = either(
  (unit, c) => {
    const { insn } = c;
    if (!unit.begin(false)) return false;
    const y = loadNumber(c, unit, arithmeticFormats[insn.opcode - 0xd8]!);
    unit.setConditions(orderConditions(c, unit.arithmetic.compare(unit.number(0), y)));
    if (insn.reg === 3) unit.pop();
    return true;
  },
  (c) => callWithMemory(c, helpers.compareMemoryHelper, c.insn.reg === 3 ? 1 : 0),
);

/** D8: ST(0) with ST(i). DC and DE: ST(i) with ST(0), where the subtractions and divisions have changed places. */
export const arithmeticRegister: Translate = either(
  (unit, c) => {
    const { rm, reg, opcode } = c.insn;
    if (!unit.begin(true)) return false;
    const [to, operation] = opcode === 0xd8 ? [0, reg] : [rm, reg >= 4 ? reg ^ 1 : reg];
    const x = unit.number(to);
    const y = unit.number(opcode === 0xd8 ? rm : 0);
    unit.finish(to, unit.operate(operation, x, y));
    if (opcode === 0xde) unit.pop();
    return true;
  },
  (c) => {
    const { rm, reg, opcode } = c.insn;
    checkPending(c);
    if (opcode === 0xd8) call(c, helpers.arithmeticHelper, reg | (rm << 8));
    else call(c, helpers.arithmeticHelper, (reg >= 4 ? reg ^ 1 : reg) | (rm << 4) | (opcode === 0xde ? 1 << 12 : 0));
  },
);

/** FCOM, FUCOM and their popping forms. */
export const compareRegister = (quiet: boolean, pops: number): Translate =>
  either(
    (unit, c) => {
      if (!unit.begin(false)) return false;
      unit.setConditions(orderConditions(c, unit.arithmetic.compare(unit.number(0), unit.number(c.insn.rm))));
      for (let left = pops; left > 0; left--) unit.pop();
      return true;
    },
    (c) => {
      checkPending(c);
      call(c, helpers.compareHelper, c.insn.rm | (quiet ? 16 : 0) | (pops << 5));
    },
  );

/** FCOMI, FUCOMI and their popping forms. */
export const compareToFlags = (quiet: boolean, pops: number): Translate =>
  either(
    (unit, c) => {
      if (!unit.begin(false)) return false;
      const { equal, less } = unit.arithmetic.compare(unit.number(0), unit.number(c.insn.rm));
      unit.check();
      c.flags.setOrder(equal, less);
      if (pops > 0) unit.pop();
      return true;
    },
    (c) => {
      checkPending(c);
      const flags = call(c, helpers.compareHelper, c.insn.rm | (quiet ? 16 : 0) | (pops << 5) | 128);
      c.flags.setStatus(flags);
    },
  );

export const test: Translate = either(
  (unit, c) => {
    if (!unit.begin(false)) return false;
    const zero = { significand: c.b.i64(0, 0), head: c.b.i32(0) };
    unit.setConditions(orderConditions(c, unit.arithmetic.compare(unit.number(0), zero)));
    return true;
  },
  (c) => {
    checkPending(c);
    call(c, helpers.testHelper, 0);
  },
);

/** What regions do with registers as they are; `rm` is the other one. False where helpers must. */
const inlineRegister: Partial<Record<keyof typeof X87Register, (unit: X87Inline, rm: number, c: X86Context) => void>> =
  {
    load(unit, rm) {
      unit.expectFull(rm);
      unit.expectRoom();
      unit.push(unit.raw(rm), false);
    },
    store(unit, rm) {
      unit.expectFull(0);
      unit.write(rm, unit.raw(0), false);
      unit.endExact();
    },
    storePop(unit, rm) {
      unit.expectFull(0);
      unit.write(rm, unit.raw(0), false);
      unit.pop();
      unit.endExact();
    },
    exchange(unit, rm) {
      unit.expectFull(0);
      unit.expectFull(rm);
      const [x, y] = [unit.raw(0), unit.raw(rm)];
      unit.write(0, y, false);
      unit.write(rm, x, false);
      unit.endExact();
    },
    changeSign(unit, _, c) {
      unit.expectFull(0);
      const { significand, head } = unit.raw(0);
      unit.write(0, { significand, head: c.b.xor(head, c.b.i32(signBit)) }, false);
      unit.endExact();
    },
    absolute(unit, _, c) {
      unit.expectFull(0);
      const { significand, head } = unit.raw(0);
      unit.write(0, { significand, head: c.b.andImm(head, signBit - 1) }, false);
      unit.endExact();
    },
    free(unit, rm) {
      unit.free(rm);
      unit.endExact();
    },
    increment(unit) {
      unit.rotate(1);
      unit.endExact();
    },
    decrement(unit) {
      unit.rotate(-1);
      unit.endExact();
    },
  };

export const register = (operation: keyof typeof X87Register): Translate =>
  either(
    (unit, c) => {
      const inline = inlineRegister[operation];
      if (inline === undefined || !unit.begin(false)) return false;
      inline(unit, c.insn.rm, c);
      return true;
    },
    (c) => {
      checkPending(c);
      call(c, helpers.registerHelper, X87Register[operation] | (c.insn.rm << 8));
    },
    operation === 'storePopQuiet' || operation === 'freePop' ? 1 : 0,
  );

/** What the functions that have helpers in regions add to TOP. */
const functionMoves: Partial<Record<keyof typeof X87Function, number>> = {
  yLog2: 1,
  yLog2OnePlus: 1,
  arcTangent: 1,
  tangent: -1,
  sineCosine: -1,
  extract: -1,
};

export const function_ = (operation: keyof typeof X87Function): Translate =>
  either(
    (unit) => {
      if (operation !== 'sqrt' || !unit.begin(true)) return false;
      unit.root();
      return true;
    },
    (c) => {
      checkPending(c);
      call(c, helpers.functionHelper, X87Function[operation]);
    },
    functionMoves[operation] ?? 0,
  );

export const constant: Translate = either(
  (unit, c) => {
    if (!unit.begin(true)) return false;
    const [low, high, head] = inlineConstants[c.insn.rm]!;
    unit.expectRoom();
    unit.push({ significand: c.b.i64(low, high), head: c.b.i32(head) }, true);
    return true;
  },
  (c) => {
    checkPending(c);
    call(c, helpers.constantHelper, c.insn.rm);
  },
  -1,
);

/** FLD, FILD. */
export const load = (format: keyof typeof X87Format): Translate =>
  either(
    (unit, c) => {
      if (!unit.begin(false)) return false;
      const value = loadNumber(c, unit, X87Format[format]);
      unit.expectRoom();
      unit.push(value, true);
      return true;
    },
    (c) => {
      checkPending(c);
      const words = loadWords(c, X87Format[format]);
      call(c, helpers.loadHelper, X87Format[format], ...words);
    },
    -1,
  );

/** FLD m80, FBLD. */
export const load80 = (format: 'extended' | 'bcd'): Translate =>
  either(
    (unit, c) => {
      if (format === 'bcd' || !unit.begin(false)) return false;
      const significand = c.loadMemory(Op.load_i64);
      const head = c.loadMemory(Op.load16_u, 8);
      unit.expectRoom();
      unit.push({ significand, head }, false);
      return true;
    },
    (c) => {
      const { b } = c;
      checkPending(c);
      const low = c.loadMemory(Op.load_i64);
      const high = c.loadMemory(Op.load16_u, 8);
      b.set('i64', slotOperand, low);
      b.set32(slotOperand + 8, high);
      call(c, helpers.loadHelper, X87Format[format], b.i32(0), b.i32(0));
    },
    -1,
  );

const storeBytes: Readonly<Record<keyof typeof X87Format, number>> = {
  single: 4,
  double: 8,
  int16: 2,
  int32: 4,
  int64: 8,
  extended: 10,
  bcd: 10,
};

/** Stores ST(0) in a region; false where helpers must. */
function inlineStore(c: X86Context, unit: X87Inline, format: keyof typeof X87Format, truncate: boolean): boolean {
  const { arithmetic } = unit;
  switch (format) {
    case 'bcd':
      return false;
    case 'extended': {
      if (!unit.begin(false)) return false;
      unit.expectFull(0);
      const { significand, head } = unit.raw(0);
      unit.check();
      c.probeMemory(10, 2);
      c.storeMemory(Op.store_i64, significand);
      c.storeMemory(Op.store16, head, 8);
      unit.endExact();
      return true;
    }
    case 'double':
    case 'single': {
      if (!unit.begin(true)) return false;
      const x = unit.number(0);
      const result = format === 'double' ? arithmetic.toDouble(x) : arithmetic.toSingle(x);
      unit.leaveIf(result.bad);
      unit.check();
      c.storeMemory(format === 'double' ? Op.store_i64 : Op.store_i32, result.bits);
      unit.endRounded(result);
      return true;
    }
    case 'int16':
    case 'int32':
    case 'int64': {
      if (!unit.begin(false)) return false;
      const bytes = storeBytes[format];
      const result = arithmetic.toInteger(unit.number(0), bytes, unit.roundsToNearest(truncate));
      unit.leaveIf(result.bad);
      unit.check();
      if (bytes === 8) c.storeMemory(Op.store_i64, result.value);
      else c.storeMemory(bytes === 2 ? Op.store16 : Op.store_i32, arithmetic.narrow(result.value));
      unit.endRounded(result);
      return true;
    }
  }
}

/** FST, FIST, FISTTP, FBSTP. */
export const store = (format: keyof typeof X87Format, pops: boolean, truncate = false): Translate =>
  either(
    (unit, c) => {
      if (!inlineStore(c, unit, format, truncate)) return false;
      if (pops) unit.pop();
      return true;
    },
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
    },
    pops ? 1 : 0,
  );

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
export const loadControlWord: Translate = either(
  (unit, c) => {
    if (!unit.begin(false)) return false;
    unit.loadControl(c.loadMemory(Op.load16_u));
    return true;
  },
  (c) => {
    checkPending(c);
    call(c, helpers.controlHelper, X87Control.loadControl, c.loadMemory(Op.load16_u));
  },
);

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
const moveHolds = ({ flags, insn }: X86Context): Value =>
  flags.condition(moveConditions[insn.reg]! | (insn.opcode === 0xdb ? 1 : 0));

export const conditionalMove: Translate = either(
  (unit, c) => {
    const { b } = c;
    if (!unit.begin(false)) return false;
    unit.expectFull(0);
    unit.expectFull(c.insn.rm);
    const [old, source] = [unit.raw(0), unit.raw(c.insn.rm)];
    const holds = moveHolds(c);
    const significand = b.emit(Op.select_i64, source.significand, old.significand, holds);
    const isOrdinary = unit.isOrdinary(old) && unit.isOrdinary(source);
    unit.write(0, { significand, head: b.select(holds, source.head, old.head) }, isOrdinary);
    return true;
  },
  (c) => {
    const { b, insn } = c;
    checkPending(c);
    const holds = b.bin(Op.ne_i32, moveHolds(c), b.i32(0));
    call(c, helpers.conditionalMoveHelper, insn.rm, holds);
  },
);
