/**
 * What helpers do without BigInt: registers that are moved, and arithmetic by the kernel, in the usual case (round to
 * nearest, 64 bits, exceptions masked, registers in order, normal numbers and zeros). Each function tells whether it has
 * done the instruction; if not, it has changed nothing.
 */
import type { CpuView } from '#tcg/target.ts';
import { i386State, slotSt } from './state.ts';
import { type KernelOperation, X87Kernel } from './x87-kernel.ts';
import { X87Status } from './x87-state.ts';

const wordOf = (name: 'fctrl' | 'fstat' | 'ftop' | 'ftag'): number => i386State.offset(name) >> 2;
const fctrl = wordOf('fctrl');
const fstat = wordOf('fstat');
const ftop = wordOf('ftop');
const ftag = wordOf('ftag');
const operandWord = i386State.offset('operand') >> 2;

const precisionFlag = 0x20;
const conditions = X87Status.c0 | X87Status.c1 | X87Status.c2 | X87Status.c3;

/** Operations before the kernel is made, which takes some milliseconds. */
let patience = 500;
let made: X87Kernel | undefined;

/** The kernel, if the control word is the usual one. */
function kernelFor(cpu: CpuView): X87Kernel | undefined {
  if ((cpu.i32[fctrl]! & 0xf3f) !== 0x33f) return undefined;
  if (made === undefined && patience-- > 0) return undefined;
  return (made ??= new X87Kernel());
}

const slotOf = (cpu: CpuView, i: number): number => slotSt((cpu.i32[ftop]! + i) & 7);
const isFull = (cpu: CpuView, i: number): boolean => ((cpu.i32[ftag]! >> ((cpu.i32[ftop]! + i) & 7)) & 1) === 0;

/** Sets C1 alone. */
function endExact(cpu: CpuView): void {
  cpu.i32[fstat] = cpu.i32[fstat]! & ~X87Status.c1;
}

function endRounded(cpu: CpuView, kernel: X87Kernel): void {
  const status = cpu.i32[fstat]! & ~X87Status.c1;
  cpu.i32[fstat] = status | (kernel.inexact() ? precisionFlag : 0) | (kernel.up() ? X87Status.c1 : 0);
}

function pop(cpu: CpuView): void {
  const top = cpu.i32[ftop]!;
  cpu.i32[ftag] = cpu.i32[ftag]! | (1 << top);
  cpu.i32[ftop] = (top + 1) & 7;
}

/** Makes room for a number; false if there is none. */
function makeRoom(cpu: CpuView): boolean {
  if (isFull(cpu, -1)) return false;
  const top = (cpu.i32[ftop]! - 1) & 7;
  cpu.i32[ftop] = top;
  cpu.i32[ftag] = cpu.i32[ftag]! & ~(1 << top);
  endExact(cpu);
  return true;
}

/** The kernel's name of a two-operand operation as opcodes number them; the reverse ones are odd from 4 on. */
const binaries: readonly KernelOperation[] = ['add', 'mul', 'add', 'add', 'sub', 'sub', 'div', 'div'];

function operate(cpu: CpuView, kernel: X87Kernel, operation: number, destination: number): boolean {
  if (operation >= 4 && operation & 1) kernel.exchangeOperands();
  if (!kernel.run(binaries[operation]!)) return false;
  kernel.putResult(cpu.i32, destination);
  endRounded(cpu, kernel);
  return true;
}

/** ST(destination) with ST(source); `pops`: ST(0) goes. */
export function arithmetic(
  cpu: CpuView,
  operation: number,
  destination: number,
  source: number,
  pops: boolean,
): boolean {
  const kernel = kernelFor(cpu);
  if (kernel === undefined || !isFull(cpu, destination) || !isFull(cpu, source)) return false;
  const to = slotOf(cpu, destination);
  kernel.takeX(cpu.i32, to);
  kernel.takeY(cpu.i32, slotOf(cpu, source));
  if (!operate(cpu, kernel, operation, to)) return false;
  if (pops) pop(cpu);
  return true;
}

/** The kernel's names by `X87Format`; '' for those it does not know. */
const conversions = ['fromSingle', 'fromDouble', 'fromInteger', 'fromInteger', 'fromInteger', '', ''] as const;

/** Converts a memory operand; `low` and `high` are its words. */
function convert(kernel: X87Kernel, format: number, low: number, high: number): boolean {
  const conversion = conversions[format]!;
  if (conversion === '') return false;
  const wide = format === 1 || format === 4;
  kernel.setRaw(low, wide ? high : low >> 31);
  return kernel.run(conversion);
}

/** ST(0) with a memory operand. */
export function arithmeticMemory(cpu: CpuView, operation: number, format: number, low: number, high: number): boolean {
  const kernel = kernelFor(cpu);
  if (kernel === undefined || !isFull(cpu, 0) || !convert(kernel, format, low, high)) return false;
  const to = slotOf(cpu, 0);
  kernel.resultToY();
  kernel.takeX(cpu.i32, to);
  return operate(cpu, kernel, operation, to);
}

/** Pushes a memory operand. */
export function load(cpu: CpuView, format: number, low: number, high: number): boolean {
  const kernel = kernelFor(cpu);
  if (kernel === undefined || isFull(cpu, -1) || !convert(kernel, format, low, high)) return false;
  makeRoom(cpu);
  kernel.putResult(cpu.i32, slotOf(cpu, 0));
  return true;
}

/** The kernel's names by `X87Format`, and where integers are cut off. */
const stores = ['toSingle', 'toDouble', 'toInt16', 'toInt32', 'toInt64'] as const;
const cutStores = ['toSingle', 'toDouble', 'truncInt16', 'truncInt32', 'truncInt64'] as const;

/** Puts ST(0) into `operand` as it is to be stored. */
export function store(cpu: CpuView, format: number, truncate: boolean): boolean {
  if (format > 4) return false;
  // Integers are cut off where the control word says so, too: programs change it for that.
  const cutsOff = format >= 2 && (cpu.i32[fctrl]! & 0xf3f) === 0xf3f;
  const kernel = cutsOff ? made : kernelFor(cpu);
  if (kernel === undefined || !isFull(cpu, 0)) return false;
  kernel.takeX(cpu.i32, slotOf(cpu, 0));
  if (!kernel.run((truncate || cutsOff ? cutStores : stores)[format]!)) return false;
  cpu.i32[operandWord] = kernel.rawLow();
  cpu.i32[operandWord + 1] = kernel.rawHigh();
  endRounded(cpu, kernel);
  return true;
}

/** Compares ST(0) with what is in the kernel's second operand. */
function order(cpu: CpuView, kernel: X87Kernel): boolean {
  kernel.takeX(cpu.i32, slotOf(cpu, 0));
  return kernel.run('compare');
}

function setConditions(cpu: CpuView, kernel: X87Kernel): void {
  const bits = kernel.equal() ? X87Status.c3 : kernel.less() ? X87Status.c0 : 0;
  cpu.i32[fstat] = (cpu.i32[fstat]! & ~conditions) | bits;
}

/** Compares ST(0) with ST(source): the bits of EFLAGS, −1 if it has not been done. `toStatus`: into the status word. */
export function compare(cpu: CpuView, source: number, pops: number, toStatus: boolean): number {
  const kernel = kernelFor(cpu);
  if (kernel === undefined || !isFull(cpu, 0) || !isFull(cpu, source)) return -1;
  kernel.takeY(cpu.i32, slotOf(cpu, source));
  if (!order(cpu, kernel)) return -1;
  if (toStatus) setConditions(cpu, kernel);
  for (let left = pops; left > 0; left--) pop(cpu);
  return kernel.equal() ? 0x40 : kernel.less() ? 1 : 0;
}

/** Compares ST(0) with a memory operand. */
export function compareMemory(cpu: CpuView, format: number, low: number, high: number, pops: boolean): boolean {
  const kernel = kernelFor(cpu);
  if (kernel === undefined || !isFull(cpu, 0) || !convert(kernel, format, low, high)) return false;
  kernel.resultToY();
  if (!order(cpu, kernel)) return false;
  setConditions(cpu, kernel);
  if (pops) pop(cpu);
  return true;
}

/** FTST. */
export function test(cpu: CpuView): boolean {
  const kernel = kernelFor(cpu);
  if (kernel === undefined || !isFull(cpu, 0)) return false;
  kernel.zeroY();
  if (!order(cpu, kernel)) return false;
  setConditions(cpu, kernel);
  return true;
}

export function root(cpu: CpuView): boolean {
  const kernel = kernelFor(cpu);
  if (kernel === undefined || !isFull(cpu, 0)) return false;
  const slot = slotOf(cpu, 0);
  kernel.takeX(cpu.i32, slot);
  if (!kernel.run('sqrt')) return false;
  kernel.putResult(cpu.i32, slot);
  endRounded(cpu, kernel);
  return true;
}

// ---- registers as they are

function copy(cpu: CpuView, from: number, to: number): void {
  cpu.i32.copyWithin(to >> 2, from >> 2, (from >> 2) + 3);
}

/** FLD ST(i). */
export function loadRegister(cpu: CpuView, i: number): boolean {
  if (!isFull(cpu, i) || isFull(cpu, -1)) return false;
  const from = slotOf(cpu, i);
  makeRoom(cpu);
  copy(cpu, from, slotOf(cpu, 0));
  return true;
}

/** FST ST(i), FSTP ST(i). */
export function storeRegister(cpu: CpuView, i: number, pops: boolean): boolean {
  if (!isFull(cpu, 0)) return false;
  copy(cpu, slotOf(cpu, 0), slotOf(cpu, i));
  cpu.i32[ftag] = cpu.i32[ftag]! & ~(1 << ((cpu.i32[ftop]! + i) & 7));
  endExact(cpu);
  if (pops) pop(cpu);
  return true;
}

/** FXCH. */
export function exchange(cpu: CpuView, i: number): boolean {
  if (!isFull(cpu, 0) || !isFull(cpu, i)) return false;
  const { i32 } = cpu;
  const [a, b] = [slotOf(cpu, 0) >> 2, slotOf(cpu, i) >> 2];
  for (let n = 0; n < 3; n++) {
    const word = i32[a + n]!;
    i32[a + n] = i32[b + n]!;
    i32[b + n] = word;
  }
  endExact(cpu);
  return true;
}

/** FCHS, FABS: the sign's bit is changed, or cleared. */
export function changeSign(cpu: CpuView, clears: boolean): boolean {
  if (!isFull(cpu, 0)) return false;
  const at = (slotOf(cpu, 0) >> 2) + 2;
  cpu.i32[at] = clears ? cpu.i32[at]! & 0x7fff : cpu.i32[at]! ^ 0x8000;
  endExact(cpu);
  return true;
}
