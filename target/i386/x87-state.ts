/** The x87 registers as the helpers see them (SDM vol. 1, 8.1): the stack, its tags, the status word. */
import type { CpuView } from '#tcg/target.ts';
import { indefinite, newX87Env, readX87Env, type X87Env, X87Flag } from './extended.ts';
import { i386State, slotSt } from './state.ts';

const wordOf = (name: 'fctrl' | 'fstat' | 'ftop' | 'ftag'): number => i386State.offset(name) >> 2;
const fctrl = wordOf('fctrl');
const fstat = wordOf('fstat');
const ftop = wordOf('ftop');
const ftag = wordOf('ftag');
export const operandSlot = i386State.offset('operand');

/** Bits of the status word beside the exception flags and TOP. */
export const X87Status = {
  stackFault: 0x40,
  /** ES: an unmasked exception waits for the next x87 instruction. */
  summary: 0x80,
  c0: 0x100,
  c1: 0x200,
  c2: 0x400,
  c3: 0x4000,
  busy: 0x8000,
} as const;

const conditions = X87Status.c0 | X87Status.c1 | X87Status.c2 | X87Status.c3;
/** Exceptions that, unmasked, leave registers and memory as they were. */
const preventing = X87Flag.invalid | X87Flag.denormal | X87Flag.divideByZero;

const environment = newX87Env();
/** The one environment of the running helper, from the control word. */
export const beginX87 = (cpu: CpuView): X87Env => readX87Env(environment, cpu.i32[fctrl]!);

/** Number of the register that is ST(i). */
export const physical = (cpu: CpuView, i: number): number => (cpu.i32[ftop]! + i) & 7;

export const isEmpty = (cpu: CpuView, i: number): boolean => ((cpu.i32[ftag]! >> physical(cpu, i)) & 1) !== 0;

export function setEmpty(cpu: CpuView, i: number, empty: boolean): void {
  const bit = 1 << physical(cpu, i);
  cpu.i32[ftag] = empty ? cpu.i32[ftag]! | bit : cpu.i32[ftag]! & ~bit;
}

/** The 80 bits at byte offset `slot` of the state. */
export function read80(cpu: CpuView, slot: number): bigint {
  return (BigInt(cpu.i32[(slot >> 2) + 2]! & 0xffff) << 64n) | BigInt.asUintN(64, cpu.i64[slot >> 3]!);
}

export function write80(cpu: CpuView, slot: number, bits: bigint): void {
  cpu.i64[slot >> 3] = BigInt.asIntN(64, bits);
  cpu.i32[(slot >> 2) + 2] = Number(bits >> 64n);
}

export const readSt = (cpu: CpuView, i: number): bigint => read80(cpu, slotSt(physical(cpu, i)));

/** Writes ST(i), which is then not empty. */
export function writeSt(cpu: CpuView, i: number, bits: bigint): void {
  write80(cpu, slotSt(physical(cpu, i)), bits);
  setEmpty(cpu, i, false);
}

/** Adds to TOP. */
export function rotate(cpu: CpuView, by: number): void {
  cpu.i32[ftop] = (cpu.i32[ftop]! + by) & 7;
}

export function pop(cpu: CpuView): void {
  setEmpty(cpu, 0, true);
  rotate(cpu, 1);
}

/** Sets condition bits C0…C3 (all of them, as `bits` has them). */
export function setConditions(cpu: CpuView, bits: number): void {
  cpu.i32[fstat] = (cpu.i32[fstat]! & ~conditions) | bits;
}

/** Sets or clears C1 alone. */
export function setC1(cpu: CpuView, on: boolean): void {
  cpu.i32[fstat] = on ? cpu.i32[fstat]! | X87Status.c1 : cpu.i32[fstat]! & ~X87Status.c1;
}

/** Raises exception flags: those that are not masked wait for the next instruction. True if that forbids a result. */
export function raiseFlags(cpu: CpuView, flags: number): boolean {
  const unmasked = flags & ~cpu.i32[fctrl]! & 0x3f;
  cpu.i32[fstat] = cpu.i32[fstat]! | flags | (unmasked !== 0 ? X87Status.summary | X87Status.busy : 0);
  return (unmasked & preventing) !== 0;
}

/** An operand is an empty register. True if the exception is not masked, and there is no result. */
export function stackUnderflow(cpu: CpuView): boolean {
  setC1(cpu, false);
  return raiseFlags(cpu, X87Flag.invalid | X87Status.stackFault);
}

/** Pushes a number. A stack overflow makes it the indefinite. */
export function push(cpu: CpuView, bits: bigint): void {
  if (!isEmpty(cpu, -1)) {
    setC1(cpu, true);
    if (raiseFlags(cpu, X87Flag.invalid | X87Status.stackFault)) return;
    rotate(cpu, -1);
    writeSt(cpu, 0, indefinite);
    return;
  }
  setC1(cpu, false);
  rotate(cpu, -1);
  writeSt(cpu, 0, bits);
}

/** Ends an operation: what it raised, and C1. True if its result may be written. */
export function endX87(cpu: CpuView, env: X87Env): boolean {
  // An operand's exception that is not masked comes before there is a result to be rounded.
  const early = (env.flags & ~env.masks & preventing) !== 0;
  setC1(cpu, env.roundedUp && !early);
  return !raiseFlags(cpu, early ? env.flags & preventing : env.flags);
}

/** ES and B from the flags and the masks, after either was loaded. */
export function updateSummary(cpu: CpuView): void {
  const unmasked = cpu.i32[fstat]! & ~cpu.i32[fctrl]! & 0x3f;
  const both = X87Status.summary | X87Status.busy;
  cpu.i32[fstat] = unmasked !== 0 ? cpu.i32[fstat]! | both : cpu.i32[fstat]! & ~both;
}

/** The control word as it is kept: bit 6 is always set, the reserved ones never. */
export function loadControlWord(cpu: CpuView, word: number): void {
  cpu.i32[fctrl] = (word & 0x1f3f) | 0x40;
  updateSummary(cpu);
}

/** The status word with TOP in it. */
export const statusWord = (cpu: CpuView): number => cpu.i32[fstat]! | (cpu.i32[ftop]! << 11);

export function loadStatusWord(cpu: CpuView, word: number): void {
  cpu.i32[ftop] = (word >> 11) & 7;
  cpu.i32[fstat] = word & 0x47ff & ~X87Status.summary;
  updateSummary(cpu);
}

/** The tag word (SDM vol. 1, 8.1.7): two bits to each physical register. */
export function tagWord(cpu: CpuView): number {
  let word = 0;
  for (let n = 7; n >= 0; n--) {
    const empty = ((cpu.i32[ftag]! >> n) & 1) !== 0;
    word = (word << 2) | (empty ? 3 : tagOf(cpu, n));
  }
  return word;
}

/** 0 a normal number, 1 zero, 2 something else. */
function tagOf(cpu: CpuView, n: number): number {
  const bits = read80(cpu, slotSt(n));
  const exponent = Number((bits >> 64n) & 0x7fffn);
  const significand = BigInt.asUintN(64, bits);
  if (exponent === 0 && significand === 0n) return 1;
  return exponent !== 0 && exponent !== 0x7fff && significand >> 63n !== 0n ? 0 : 2;
}

/** Loads the tag word: only what is empty is kept. */
export function loadTagWord(cpu: CpuView, word: number): void {
  let tags = 0;
  for (let n = 0; n < 8; n++) if (((word >> (2 * n)) & 3) === 3) tags |= 1 << n;
  cpu.i32[ftag] = tags;
}

/** FNINIT. */
export function initialize(cpu: CpuView): void {
  cpu.i32[fctrl] = 0x37f;
  cpu.i32[fstat] = 0;
  cpu.i32[ftop] = 0;
  cpu.i32[ftag] = 0xff;
}

/** FNCLEX. */
export function clearExceptions(cpu: CpuView): void {
  cpu.i32[fstat] = cpu.i32[fstat]! & conditions;
}
