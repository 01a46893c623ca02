// What ops do with NaNs, by op: 1 or 0. The bundle has the values of this file in place of its code (scripts/build.ts).
import { opNames } from '#tcg/ops.ts';

const indicesOf = (pattern: RegExp): Uint8Array => Uint8Array.from(opNames, (name) => (pattern.test(name) ? 1 : 0));

export const isRule: Uint8Array = indicesOf(/^fpnan/);
/** Exact on the bits of a NaN. */
export const isSignOp: Uint8Array = indicesOf(/^(neg|abs)_f/);
/** Uses no bits of a NaN: comparisons, conversions to integers, and arithmetic, whose NaNs are unspecified anyway. */
export const isTolerant: Uint8Array = indicesOf(
  /^((add|sub|mul|div|sqrt|ceil|floor|trunc|nearest|eq|ne|lt|gt|le|ge|neg|abs)_f|trunc_sat|demote|promote|fpnan)/,
);
