import { type Code, emptyBlockType, W, wasmTypes } from './code.ts';

const F = { f32_sign: 0x7fffffff } as const;

/** Locals an inlined NaN rule may use. */
export interface NanScratch {
  /** i32 for f32, i64 for f64. */
  readonly bits: number;
}

/**
 * ARM FPProcessNaNs (DDI 0406C A2.7.7) on locals: if `result` is a NaN, replaces it by what the operands demand. The
 * replacement stays inline in a cold `if`: a call there would spill every vector register of the loop around it.
 */
export function emitFpNan(
  code: Code,
  type: 'f32' | 'f64',
  result: number,
  operands: readonly number[],
  scratch: NanScratch,
): void {
  code.get(result);
  code.get(result);
  code.u8(type === 'f32' ? W.f32_ne : W.f64_ne);
  code.op2(W.if, emptyBlockType);
  // Candidates in rising priority: default NaN, quiet operands last to first, signalling operands last to first.
  pushBits(code, type, 0x7fc00000, 0x7ff80000, 0);
  code.set(scratch.bits);
  const descending = [...operands].reverse();
  for (const operand of descending) emitCandidate(code, type, operand, scratch, false);
  for (const operand of descending) emitCandidate(code, type, operand, scratch, true);
  code.get(scratch.bits);
  code.u8(type === 'f32' ? 0xbe : 0xbf);
  code.set(result);
  code.u8(W.end);
}

function pushBits(code: Code, type: 'f32' | 'f64', single: number, high: number, low: number): void {
  if (type === 'f32') {
    code.i32(single);
    return;
  }
  code.u8(W.i64_const);
  code.sleb64(low, high);
}

/** bits = operand is a quiet (or signalling) NaN ? operand made quiet : bits. */
function emitCandidate(
  code: Code,
  type: 'f32' | 'f64',
  operand: number,
  scratch: NanScratch,
  signalling: boolean,
): void {
  const single = type === 'f32';
  const reinterpret = single ? 0xbc : 0xbd;
  code.get(operand);
  code.u8(reinterpret);
  pushBits(code, type, 0x00400000, 0x00080000, 0);
  code.u8(single ? W.i32_or : 0x84);
  code.get(scratch.bits);
  // Without its sign a NaN is above infinity; a quiet one is at or above infinity with the quiet bit.
  code.get(operand);
  code.u8(reinterpret);
  pushBits(code, type, F.f32_sign, 0x7fffffff, -1);
  code.u8(single ? W.i32_and : 0x83);
  if (signalling) {
    // infinity < |x| < quiet  ⇔  |x| − (infinity + 1) < quiet − (infinity + 1), unsigned
    pushBits(code, type, 0x7f800001, 0x7ff00000, 1);
    code.u8(single ? W.i32_sub : 0x7d);
    pushBits(code, type, 0x003fffff, 0x0007ffff, -1);
    code.u8(single ? W.i32_lt_u : 0x54);
  } else {
    pushBits(code, type, 0x7fc00000, 0x7ff80000, 0);
    code.u8(single ? W.i32_ge_u : 0x5a);
  }
  code.u8(W.select);
  code.set(scratch.bits);
}

export const nanScratchType = { f32: wasmTypes.i32, f64: wasmTypes.i64 } as const;
