/**
 * Operations of the helper `arithmeticHelper`. d, n, m are S or D register numbers as the format tells; x is the operation's own.
 * Where the operand types differ, the operation's comment gives them.
 */
export const VfpOp = {
  add: 0,
  sub: 1,
  mul: 2,
  nmul: 3,
  div: 4,
  mla: 5,
  mls: 6,
  nmla: 7,
  nmls: 8,
  fma: 9,
  fms: 10,
  fnma: 11,
  fnms: 12,
  sqrt: 13,
  maxnm: 14,
  minnm: 15,
  /** Compares d with m; x bit 0: quiet NaNs are invalid; bit 1: m is zero. Sets fpNzcv. */
  compare: 16,
  /** m (sz) to the other format d. */
  convert: 17,
  /** m (sz) to an integer in S register d; x: rounding, or 5 for FPSCR's; bit 3: signed. */
  toInteger: 18,
  /** Integer in S register m to d (sz); x bit 3: signed. */
  fromInteger: 19,
  /** d (sz) to fixed point in place; x: fraction bits + 64, bit 8 signed, bit 9 16 bits wide. */
  toFixed: 20,
  /** Fixed point to d (sz) in place; x as toFixed. */
  fromFixed: 21,
  /** m to integral d; x: rounding, or 5 for FPSCR's; bit 3: inexact is an exception. */
  roundToIntegral: 22,
  /** Half m (x: its halfword of an S register) to d (sz). */
  fromHalf: 23,
  /** m (sz) to halfword x of S register d. */
  toHalf: 24,
  /** D register m to an integer modulo 2^32 in S register d; sets fpNzcv (VJCVT). */
  toJavascript: 25,
  /** Single m to a BFloat16 in halfword x of S register d. */
  toBFloat: 26,
} as const;

export type VfpOp = (typeof VfpOp)[keyof typeof VfpOp];

/** Rounding operand that means FPSCR.RMode. */
export const currentRounding = 5;
