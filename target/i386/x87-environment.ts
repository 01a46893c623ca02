/**
 * The x87 state in memory (SDM vol. 1, 8.1.10 and 10.5): FNSTENV, FNSAVE, FXSAVE and their ways back. The pointers to
 * the last instruction are 0: processors keep them only for exceptions that are not masked.
 */
import { ExitReason } from '#tcg/cpu-page.ts';
import type { X86Context } from './context.ts';
import { Op } from './context.ts';
import { i386State, Vector } from './state.ts';
import { wait } from './x87.ts';
import { controlHelper, X87Control } from './x87-helpers.ts';

const slot = (name: 'fctrl' | 'fip' | 'fop' | 'fdp' | 'mxcsr' | 'ftag'): number => i386State.offset(name);
const slotOperand = i386State.offset('operand');
/** Bits of MXCSR that may be set; MXCSR_MASK of FXSAVE. */
const mxcsrMask = 0xffff;

const control = (c: X86Context, what: number, argument = 0): number =>
  c.b.helper(controlHelper, false, c.b.i32(what), c.b.i32(argument));

const controlValue = (c: X86Context, what: number, value: number): void => {
  c.b.helper(controlHelper, false, c.b.i32(what), value);
};

/** Bytes of the environment: 28, or 14 with 16-bit operands. */
const environmentBytes = (c: X86Context): number => (c.insn.operandBytes === 4 ? 28 : 14);

/** Stores the environment's seven fields; the unused halves of 32-bit ones are ones (as processors have it). */
function storeFields(c: X86Context): void {
  const { b } = c;
  const fields = [
    b.get32(slot('fctrl')),
    control(c, X87Control.statusWord),
    control(c, X87Control.tagWord),
    b.get32(slot('fip')),
    b.shlImm(b.get32(slot('fop')), 16),
    b.get32(slot('fdp')),
    b.i32(0),
  ];
  const wide = c.insn.operandBytes === 4;
  const padded = (n: number): boolean => n < 3 || n === 6;
  fields.forEach((value, n) => {
    if (!wide) c.storeMemory(Op.store16, value, 2 * n);
    else c.storeMemory(Op.store_i32, padded(n) ? b.or(value, b.i32(0xffff_0000 | 0)) : value, 4 * n);
  });
}

/** Loads the fields that count. */
function loadFields(c: X86Context): void {
  const step = environmentBytes(c) / 7;
  const [controlWord, status, tags] = [0, 1, 2].map((n) => c.loadMemory(Op.load16_u, step * n));
  c.loadMemory(Op.load16_u, 6 * step);
  controlValue(c, X87Control.loadControl, controlWord!);
  controlValue(c, X87Control.loadTags, tags!);
  controlValue(c, X87Control.loadStatus, status!);
}

/** FNSTENV: exceptions are masked afterwards. */
export function storeEnvironment(c: X86Context): void {
  const { b } = c;
  c.probeMemory(environmentBytes(c), 2);
  storeFields(c);
  controlValue(c, X87Control.loadControl, b.or(b.get32(slot('fctrl')), b.i32(0x3f)));
}

/** FLDENV. */
export function loadEnvironment(c: X86Context): void {
  wait(c);
  c.probeMemory(environmentBytes(c), 1);
  loadFields(c);
}

/** FNSAVE: environment and registers; then FNINIT. */
export function save(c: X86Context): void {
  const bytes = environmentBytes(c);
  c.probeMemory(bytes + 80, 2);
  storeFields(c);
  for (let n = 0; n < 40; n++) c.storeMemory(Op.store16, control(c, X87Control.registerWord, n), bytes + 2 * n);
  control(c, X87Control.initialize);
}

/** FRSTOR. */
export function restore(c: X86Context): void {
  const bytes = environmentBytes(c);
  wait(c);
  c.probeMemory(bytes + 80, 1);
  loadFields(c);
  for (let n = 0; n < 8; n++) loadRegister(c, n, bytes + 10 * n);
}

function loadRegister(c: X86Context, n: number, at: number): void {
  const { b } = c;
  const low = c.loadMemory(Op.load_i64, at);
  const high = c.loadMemory(Op.load16_u, at + 8);
  b.set('i64', slotOperand, low);
  b.set32(slotOperand + 8, high);
  control(c, X87Control.loadRegister, n);
}

/** FXSAVE and FXRSTOR want 16-byte alignment. */
function checkAlignment(c: X86Context): void {
  c.raiseIf(c.b.andImm(c.address(), 15), Vector.protection);
}

/** FXSAVE, the 32-bit form; the last 224 bytes of the area stay as they are. */
export function extendedSave(c: X86Context): void {
  const { b } = c;
  checkAlignment(c);
  c.probeMemory(512, 2);
  c.storeMemory(Op.store16, b.get32(slot('fctrl')), 0);
  c.storeMemory(Op.store16, control(c, X87Control.statusWord), 2);
  // The abridged tag word has a 1 for what is not empty.
  c.storeMemory(Op.store16, b.xor(b.get32(slot('ftag')), b.i32(0xff)), 4);
  c.storeMemory(Op.store16, b.get32(slot('fop')), 6);
  c.storeMemory(Op.store_i32, b.get32(slot('fip')), 8);
  c.storeMemory(Op.store_i32, b.i32(0), 12);
  c.storeMemory(Op.store_i32, b.get32(slot('fdp')), 16);
  c.storeMemory(Op.store_i32, b.i32(0), 20);
  c.storeMemory(Op.store_i32, b.get32(slot('mxcsr')), 24);
  c.storeMemory(Op.store_i32, b.i32(mxcsrMask), 28);
  for (let n = 0; n < 40; n++) {
    const at = 32 + 16 * Math.floor(n / 5) + 2 * (n % 5);
    c.storeMemory(Op.store16, control(c, X87Control.registerWord, n), at);
    if (n % 5 === 4) {
      c.storeMemory(Op.store16, b.i32(0), at + 2);
      c.storeMemory(Op.store_i32, b.i32(0), at + 4);
    }
  }
  for (let n = 0; n < 8; n++) c.storeMemory(Op.store_v128, c.getXmm(n), 160 + 16 * n);
}

/** FXRSTOR. It is no sign that the program cares for the flags of MXCSR, as LDMXCSR is: contexts are switched by it. */
export function extendedRestore(c: X86Context): void {
  const { b } = c;
  checkAlignment(c);
  c.probeMemory(512, 1);
  const mxcsr = c.loadMemory(Op.load_i32, 24);
  c.raiseIf(b.andImm(mxcsr, ~mxcsrMask), Vector.protection);
  controlValue(c, X87Control.loadControl, c.loadMemory(Op.load16_u, 0));
  b.set32(slot('ftag'), b.xor(c.loadMemory(Op.load8_u, 4), b.i32(0xff)));
  controlValue(c, X87Control.loadStatus, c.loadMemory(Op.load16_u, 2));
  b.set32(slot('mxcsr'), mxcsr);
  for (let n = 0; n < 8; n++) loadRegister(c, n, 32 + 16 * n);
  for (let n = 0; n < 8; n++) c.setXmm(n, c.loadMemory(Op.load_v128, 160 + 16 * n));
  c.exit(ExitReason.mode, c.nextPc);
}
