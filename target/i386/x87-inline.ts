/**
 * The x87 instructions in regions, without helpers: TOP is a constant, registers are state slots by their physical
 * number, and the arithmetic of `x87-arithmetic.ts` serves normal numbers and zeros.
 *
 * What a block takes for granted is tested once: TOP, no exception that waits, the control word. What does not hold,
 * empty registers that are read, and numbers out of the ordinary leave the region in `x87Mode`, in which
 * this one instruction is done by helpers.
 */
import type { Value } from '#tcg/builder.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { Op } from '#tcg/ops.ts';
import type { X86Context } from './context.ts';
import { slotX87Helpers } from './sse-mode.ts';
import { i386State, slotSt } from './state.ts';
import { Arithmetic, bias, type Extended, type Rounded } from './x87-arithmetic.ts';
import { type Expected, expectedAt, usualControl, usualMask } from './x87-notes.ts';
import { X87Status } from './x87-state.ts';

const slotTop = i386State.offset('ftop');
const slotTag = i386State.offset('ftag');
const slotStatus = i386State.offset('fstat');
const slotControl = i386State.offset('fctrl');

const precisions = [24, 64, 53, 64] as const;
const conditions = X87Status.c0 | X87Status.c1 | X87Status.c2 | X87Status.c3;

/** The x87 unit in a block of a region. */
export class X87Inline {
  readonly arithmetic: Arithmetic;
  private readonly c: X86Context;
  /** Values of the slots as last written here: what is known of them holds as long as they have these. */
  private topValue: Value = -1;
  private tagValue: Value = -1;
  private statusValue: Value = -1;
  private controlValue: Value = -1;
  private top = 0;
  private expectation: Expected | undefined;
  /** The control word that FLDCW has loaded in this block. */
  private loadedControl: Value = -1;
  /** Conditions of the instruction that have not been tested. */
  private wrong: Value = -1;
  /** Physical registers whose tag is known, and those of them that are empty. */
  private knownTags = 0;
  private emptyTags = 0;
  private tagBase: Value = -1;
  /** The status word is `statusBase`, without C1 if `clearsC1`, with PE if `inexact` (i64) and C1 if `up` (i32, 0 or 1). */
  private statusBase: Value = -1;
  private clearsC1 = false;
  private inexact: Value = -1;
  private up: Value = -1;
  /** The control word has been tested for `usualControl` and the precision. */
  private isUsual = false;
  private precision = 64;
  /** Significands of normal numbers and zeros. */
  private readonly ordinary = new Set<Value>();

  constructor(c: X86Context) {
    this.c = c;
    this.arithmetic = new Arithmetic(c.b);
  }

  // ---- what is taken for granted

  /** Helpers must do this instruction if `condition` is not 0: that is tested before anything is changed. */
  leaveIf(condition: Value): void {
    this.wrong = this.wrong < 0 ? condition : this.c.b.or(this.wrong, condition);
  }

  /** Leaves the region if any of the instruction's conditions says so. To be called before a store to memory. */
  check(): void {
    const { wrong } = this;
    if (wrong < 0) return;
    this.wrong = -1;
    const { b, pc } = this.c;
    if (b.isConst(wrong) && b.constOf(wrong) === 0) return;
    b.if(wrong);
    b.set32(slotX87Helpers, b.i32(1));
    b.exit(ExitReason.mode, pc);
    b.endif();
  }

  /** Begins an instruction. `rounds`: by the control word. False: helpers must do it, since nothing is known. */
  begin(rounds: boolean): boolean {
    const { b } = this.c;
    const expected = this.expected();
    if (!expected.usual) return false;
    const top = b.get32(slotTop);
    if (top !== this.topValue) {
      if (b.isConst(top)) this.top = b.constOf(top);
      else this.leaveIf(b.xor(top, b.i32(this.top)));
      this.topValue = top;
    }
    const control = b.get32(slotControl);
    if (control !== this.controlValue) {
      this.controlValue = control;
      this.isUsual = false;
    }
    if (this.isUsual) return true;
    this.leaveIf(b.andImm(b.get32(slotStatus), X87Status.summary));
    // A word just loaded is often there for a conversion to an integer alone.
    if (rounds || control !== this.loadedControl) {
      this.isUsual = true;
      const precisionControl = expected.precisionControl << 8;
      this.leaveIf(b.xor(b.andImm(control, usualMask | 0x300), b.i32(usualControl | precisionControl)));
    }
    // What waits comes before a fault of the operand.
    this.check();
    return true;
  }

  private expected(): Expected {
    if (this.expectation) return this.expectation;
    const { pc, b } = this.c;
    const expected = expectedAt(pc, b.block.pc);
    this.expectation = expected;
    this.top = expected.top;
    this.precision = precisions[expected.precisionControl]!;
    return expected;
  }

  /** A helper does the instruction, which adds `by` to TOP if all goes well. */
  helped(by: number): void {
    this.expected();
    this.top = (this.top + by) & 7;
  }

  // ---- registers

  private physical(i: number): number {
    return (this.top + i) & 7;
  }

  private readTags(): void {
    const { b } = this.c;
    const tags = b.get32(slotTag);
    if (tags === this.tagValue) return;
    this.tagBase = tags;
    this.tagValue = tags;
    this.knownTags = b.isConst(tags) ? 0xff : 0;
    this.emptyTags = b.isConst(tags) ? b.constOf(tags) : 0;
  }

  private writeTags(): void {
    const { b } = this.c;
    const kept = ~this.knownTags & 0xff;
    const rest = kept === 0 ? b.i32(0) : b.andImm(this.tagBase, kept);
    const value = b.or(rest, b.i32(this.emptyTags));
    if (value === this.tagValue) return;
    b.set32(slotTag, value);
    this.tagValue = value;
  }

  /** Leaves unless ST(i) is empty, or is not. */
  private expect(i: number, empty: boolean): void {
    const { b } = this.c;
    this.readTags();
    const bit = 1 << this.physical(i);
    if (this.knownTags & bit) {
      if (((this.emptyTags & bit) !== 0) !== empty) this.leaveIf(b.i32(1));
      return;
    }
    const isEmpty = b.andImm(this.tagBase, bit);
    this.leaveIf(empty ? b.eqz(isEmpty) : isEmpty);
    this.knownTags |= bit;
    if (empty) this.emptyTags |= bit;
  }

  expectFull(i: number): void {
    this.expect(i, false);
  }

  expectRoom(): void {
    this.expect(-1, true);
  }

  /** ST(i) as it is. */
  raw(i: number): Extended {
    const { b } = this.c;
    const slot = slotSt(this.physical(i));
    return { significand: b.get('i64', slot), head: b.get32(slot + 8) };
  }

  /** ST(i) if it is a normal number or a zero; leaves otherwise. */
  number(i: number): Extended {
    this.expectFull(i);
    const value = this.raw(i);
    if (!this.ordinary.has(value.significand)) {
      this.leaveIf(this.arithmetic.strange(value));
      this.ordinary.add(value.significand);
    }
    return value;
  }

  /** Writes ST(i), which is not empty then. `isOrdinary`: a normal number or a zero. */
  write(i: number, value: Extended, isOrdinary: boolean): void {
    const { b } = this.c;
    this.check();
    const n = this.physical(i);
    b.set('i64', slotSt(n), value.significand);
    b.set32(slotSt(n) + 8, value.head);
    if (isOrdinary) this.ordinary.add(value.significand);
    this.readTags();
    this.knownTags |= 1 << n;
    this.emptyTags &= ~(1 << n);
    this.writeTags();
  }

  free(i: number): void {
    this.check();
    const bit = 1 << this.physical(i);
    this.readTags();
    this.knownTags |= bit;
    this.emptyTags |= bit;
    this.writeTags();
  }

  rotate(by: number): void {
    const { b } = this.c;
    this.check();
    this.top = (this.top + by) & 7;
    this.topValue = b.i32(this.top);
    b.set32(slotTop, this.topValue);
  }

  pop(): void {
    this.free(0);
    this.rotate(1);
  }

  /** Pushes a number; there is room. */
  push(value: Extended, isOrdinary: boolean): void {
    this.rotate(-1);
    this.write(0, value, isOrdinary);
    this.endExact();
  }

  isOrdinary(value: Extended): boolean {
    return this.ordinary.has(value.significand);
  }

  // ---- the status word

  private readStatus(): void {
    const { b } = this.c;
    const status = b.get32(slotStatus);
    if (status === this.statusValue) return;
    this.statusBase = status;
    this.clearsC1 = false;
    this.inexact = -1;
    this.up = -1;
  }

  private writeStatus(): void {
    const { b } = this.c;
    this.check();
    let value = this.statusBase;
    if (this.clearsC1) value = b.andImm(value, ~X87Status.c1);
    if (this.inexact >= 0) {
      const bit = b.bin(Op.ne_i64, this.inexact, b.i64(0, 0));
      value = b.or(value, b.shlImm(bit, 5));
    }
    if (this.up >= 0) value = b.or(value, b.shlImm(this.up, 9));
    b.set32(slotStatus, value);
    this.statusValue = value;
  }

  /** C1 becomes 0. */
  endExact(): void {
    this.readStatus();
    this.clearsC1 = true;
    this.up = -1;
    this.writeStatus();
  }

  /** PE is raised if the result was inexact; C1 tells how it was rounded. */
  endRounded({ rest, up }: { rest: Value; up: Value }): void {
    this.readStatus();
    this.clearsC1 = true;
    this.inexact = this.inexact < 0 ? rest : this.c.b.bin(Op.or_i64, this.inexact, rest);
    this.up = up;
    this.writeStatus();
  }

  /** Sets C0 to C3. */
  setConditions(bits: Value): void {
    const { b } = this.c;
    this.check();
    const value = b.or(b.andImm(b.get32(slotStatus), ~conditions), bits);
    b.set32(slotStatus, value);
    this.statusBase = value;
    this.statusValue = value;
    this.clearsC1 = false;
    this.inexact = -1;
    this.up = -1;
  }

  // ---- instructions

  /** ST(destination) = result, if it is one. */
  finish(destination: number, result: Rounded): void {
    this.leaveIf(result.bad);
    this.write(destination, result, true);
    this.endRounded(result);
  }

  /** The two-operand operation `reg` of the opcodes: on x and y, or with y first. */
  operate(operation: number, x: Extended, y: Extended): Rounded {
    const { arithmetic, precision } = this;
    switch (operation) {
      case 0:
        return arithmetic.sum(x, y, false, precision);
      case 1:
        return arithmetic.product(x, y, precision);
      case 4:
        return arithmetic.sum(x, y, true, precision);
      case 5:
        return arithmetic.sum(y, x, true, precision);
      case 6:
        return arithmetic.quotient(x, y, precision);
      default:
        return arithmetic.quotient(y, x, precision);
    }
  }

  /** FSQRT. */
  root(): void {
    this.finish(0, this.arithmetic.root(this.number(0), this.precision));
  }

  /**
   * For conversions to integers: 1 where the control word rounds to nearest. Leaves if it does not cut off either, or an
   * exception is not masked. `truncate`: it does not matter.
   */
  roundsToNearest(truncate: boolean): Value {
    const { b } = this.c;
    if (this.isUsual) return b.i32(truncate ? 0 : 1);
    const control = b.get32(slotControl);
    const nearest = b.eqz(b.andImm(control, 0xc00));
    const cutsOff = b.bin(Op.eq_i32, b.andImm(control, 0xc00), b.i32(0xc00));
    this.leaveIf(b.xor(b.andImm(control, 0x3f), b.i32(0x3f)));
    if (truncate) return b.i32(0);
    this.leaveIf(b.eqz(b.or(nearest, cutsOff)));
    return nearest;
  }

  /** FLDCW: masks and status agree about the exception that waits. */
  loadControl(word: Value): void {
    const { b } = this.c;
    const control = b.or(b.andImm(word, 0x1f3f), b.i32(0x40));
    const status = b.get32(slotStatus);
    const unmasked = b.andImm(b.and(status, b.not(control)), 0x3f);
    const waits = b.select(unmasked, b.i32(X87Status.summary | X87Status.busy), b.i32(0));
    this.check();
    b.set32(slotControl, control);
    this.loadedControl = control;
    b.set32(slotStatus, b.or(b.andImm(status, ~(X87Status.summary | X87Status.busy)), waits));
  }
}

/** The constants that are loaded exactly or, rounded to nearest, by their opcode: significand, sign and exponent. */
export const inlineConstants: readonly (readonly [low: number, high: number, head: number])[] = [
  [0, 0x80000000, bias],
  [0xcd1b8afe, 0xd49a784b, bias + 1],
  [0x5c17f0bc, 0xb8aa3b29, bias],
  [0x2168c235, 0xc90fdaa2, bias + 1],
  [0xfbcff799, 0x9a209a84, bias - 2],
  [0xd1cf79ac, 0xb17217f7, bias - 1],
  [0, 0, 0],
];
