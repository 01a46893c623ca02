/** Operands of the MMX and SSE instructions as vectors. An MMX register is the low half of one. */
import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { bytesOf, shuffleBytes } from '#tcg/sequences/vector.ts';
import type { X86Context } from './context.ts';
import { Method } from './operand.ts';
import { i386State, slotSt, Vector } from './state.ts';
import { X87Status } from './x87-state.ts';

export type Translate = (c: X86Context) => void;

const isMmxMethod = (method: number): boolean => method === Method.P || method === Method.Q || method === Method.N;

/** Is operand n an MMX register or 64 bits of memory beside one? */
export const isMmx = (c: X86Context, n: number): boolean => isMmxMethod(c.operand(n).method);

/**
 * Begins an MMX instruction: an x87 exception that waits comes first; then all registers are valid and TOP is 0 (SDM
 * vol. 1, 9.5.1). To be called when nothing faults any more; the pending check is `checkMmx`.
 */
function enterMmx(c: X86Context): void {
  const { b } = c;
  b.set32(i386State.offset('ftop'), b.i32(0));
  b.set32(i386State.offset('ftag'), b.i32(0));
}

/** Raises the x87 exception that waits, as MMX instructions do. */
export function checkMmx(c: X86Context): void {
  const { b } = c;
  c.raiseIf(b.andImm(b.get32(i386State.offset('fstat')), X87Status.summary), Vector.x87);
}

/** EMMS. */
export function emms(c: X86Context): void {
  const { b } = c;
  checkMmx(c);
  b.set32(i386State.offset('ftop'), b.i32(0));
  b.set32(i386State.offset('ftag'), b.i32(0xff));
}

/** Memory operands of 16 bytes must be aligned, but for the instructions that say otherwise. */
export function checkAligned(c: X86Context): void {
  c.raiseIf(c.b.andImm(c.address(), 15), Vector.protection);
}

/** Operand n; a 16-byte one in memory is aligned. MMX and 8-byte ones are in both halves; 4-byte ones in the lowest. */
export function load(c: X86Context, n: number): Value {
  const number = c.register(n);
  const { b } = c;
  if (isMmx(c, n)) return b.un(Op.splat_i64x2, number >= 0 ? c.getMmx(number) : c.loadMemory(Op.load_i64));
  if (number >= 0) return c.getXmm(number);
  switch (c.size(n)) {
    case 16:
      checkAligned(c);
      return c.loadMemory(Op.load_v128);
    case 8:
      return b.un(Op.splat_i64x2, c.loadMemory(Op.load_i64));
    case 4:
      return b.emit(Op.replace_lane_i32x4, zero(c), c.loadMemory(Op.load_i32));
    default:
      return b.emit(Op.replace_lane_i32x4, zero(c), c.loadMemory(Op.load16_u));
  }
}

/** XMM register or memory operand n, which need not be aligned. */
export function loadUnaligned(c: X86Context, n: number): Value {
  const number = c.register(n);
  return number >= 0 ? c.getXmm(number) : c.loadMemory(Op.load_v128);
}

/** Writes register operand n: an MMX register takes the low half. */
export function store(c: X86Context, n: number, value: Value): void {
  const number = c.register(n);
  if (isMmx(c, n)) storeMmx(c, number, c.b.emit(Op.extract_lane_i64x2, value));
  else c.setXmm(number, value);
}

/** Writes an MMX register; the exponent of the x87 register it is becomes all ones. */
export function storeMmx(c: X86Context, number: number, value: Value): void {
  enterMmx(c);
  c.setMmx(number, value);
  c.b.set32(slotSt(number) + 8, c.b.i32(0xffff));
}

/** Reads MMX registers without writing one: that changes the x87 state as well. */
export const touchMmx = enterMmx;

export const zero = (c: X86Context): Value => c.b.v128(0, 0, 0, 0);

/** A vector of one 32-bit word. */
export const words = (c: X86Context, word: number): Value => c.b.v128(word, word, word, word);

/** The bytes of a (0–15) and b (16–31) that `pick` names, 16 of them. */
export const shuffle = (c: X86Context, a: Value, b: Value, pick: readonly number[]): Value =>
  shuffleBytes(c.b, a, b, pick);

/** Elements of `bytes` bytes picked by number: of a first, then of b. */
export const shuffleElements = (c: X86Context, bytes: number, a: Value, b: Value, pick: readonly number[]): Value =>
  shuffle(
    c,
    a,
    b,
    bytesOf((i) => pick[Math.floor(i / bytes)]! * bytes + (i % bytes)),
  );

/** The low halves of a and b. */
export const lowHalves = (c: X86Context, a: Value, b: Value): Value => shuffleElements(c, 8, a, b, [0, 2]);

/** The elements with even (0) or odd (1) numbers of a and then of b; of MMX registers, of their halves. */
export function alternate(c: X86Context, bytes: number, a: Value, b: Value, odd: 0 | 1, mmx: boolean): Value {
  const [from, other] = mmx ? [lowHalves(c, a, b), lowHalves(c, a, b)] : [a, b];
  return shuffleElements(
    c,
    bytes,
    from,
    other,
    Array.from({ length: 16 / bytes }, (_, i) => 2 * i + odd),
  );
}

/** dst = operation(dst, src). */
export const binary =
  (operation: (c: X86Context, a: Value, b: Value, mmx: boolean) => Value): Translate =>
  (c) => {
    const mmx = isMmx(c, 0);
    if (mmx) checkMmx(c);
    const source = load(c, 1);
    store(c, 0, operation(c, load(c, 0), source, mmx));
  };

/** dst = op(dst, src). */
export const lanes = (op: number): Translate => binary((c, a, b) => c.b.bin(op, a, b));

/** dst = operation(src). */
export const unary =
  (operation: (c: X86Context, a: Value, mmx: boolean) => Value): Translate =>
  (c) => {
    const mmx = isMmx(c, 0);
    if (mmx) checkMmx(c);
    store(c, 0, operation(c, load(c, 1), mmx));
  };
