/** Rounds and message schedules of SHA-1 and SHA-256 (FIPS 180-4, 4.1, 6.1 and 6.2). */
import type { Builder, Value } from '../builder.ts';
import { Op } from '../ops.ts';
import { shuffleWords } from './vector.ts';

/** Four words of state: a to d, or e to h. */
export type FourWords = readonly [Value, Value, Value, Value];

export const rotateLeft = (b: Builder, x: Value, by: number): Value => b.bin(Op.rotl_i32, x, b.i32(by));

/** Ch, Parity and Maj. */
export type Choice = (b: Builder, x: Value, y: Value, z: Value) => Value;
export const choose: Choice = (b, x, y, z) => b.xor(b.and(b.xor(y, z), x), z);
export const parity: Choice = (b, x, y, z) => b.xor(b.xor(x, y), z);
export const majority: Choice = (b, x, y, z) => b.or(b.and(x, y), b.and(b.or(x, y), z));

/** A round of SHA-1: the next a to d; the next e is d. `addend` is the sum of e, K and W. */
export const sha1Round = (b: Builder, f: Choice, [x0, x1, x2, x3]: FourWords, addend: Value): FourWords => {
  const next = b.add(b.add(addend, rotateLeft(b, x0, 5)), f(b, x1, x2, x3));
  return [next, x0, rotateLeft(b, x1, 30), x2];
};

/** The sum of x turned right by three amounts. */
const turnedSum = (b: Builder, x: Value, by: readonly [number, number, number]): Value =>
  b.xor(b.xor(b.rotrImm(x, by[0]), b.rotrImm(x, by[1])), b.rotrImm(x, by[2]));

/** A round of SHA-256: the next a to d and e to h. `addend` is K + W. */
export function sha256Round(b: Builder, x: FourWords, y: FourWords, addend: Value): [FourWords, FourWords] {
  const [y0, y1, y2, y3] = y;
  const t = b.add(b.add(b.add(y3, turnedSum(b, y0, [6, 11, 25])), choose(b, y0, y1, y2)), addend);
  const [x0, x1, x2, x3] = x;
  const top = b.add(b.add(t, turnedSum(b, x0, [2, 13, 22])), majority(b, x0, x1, x2));
  return [
    [top, x0, x1, x2],
    [b.add(t, x3), y0, y1, y2],
  ];
}

const shiftedDown = (b: Builder, x: Value, by: number): Value => b.bin(Op.shr_u_i32x4, x, b.i32(by));

/** Each word of a vector turned right. */
export const turnedWords = (b: Builder, x: Value, by: number): Value =>
  b.bin(Op.or_v128, shiftedDown(b, x, by), b.bin(Op.shl_i32x4, x, b.i32(32 - by)));

const sigma = (b: Builder, x: Value, by: readonly [number, number, number]): Value => {
  const turned = b.bin(Op.xor_v128, turnedWords(b, x, by[0]), turnedWords(b, x, by[1]));
  return b.bin(Op.xor_v128, turned, shiftedDown(b, x, by[2]));
};

/** W(t) + σ0(W(t+1)) of four words: those of `first`, and the next from `second`. */
export const sha256Schedule0 = (b: Builder, first: Value, second: Value): Value =>
  b.bin(Op.add_i32x4, first, sigma(b, shuffleWords(b, first, second, [1, 2, 3, 4]), [7, 18, 3]));

/** `sum` + σ1(W(t-2)) of four words: the upper half builds on the lower one; the first two are the last of `before`. */
export function sha256Schedule1(b: Builder, sum: Value, before: Value): Value {
  const sigma1 = (x: Value): Value => sigma(b, x, [17, 19, 10]);
  const low = b.bin(Op.add_i32x4, sum, sigma1(shuffleWords(b, before, before, [2, 3, 2, 3])));
  const high = b.bin(Op.add_i32x4, sum, sigma1(shuffleWords(b, low, low, [0, 1, 0, 1])));
  return shuffleWords(b, low, high, [0, 1, 6, 7]);
}
