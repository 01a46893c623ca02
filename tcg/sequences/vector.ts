/** Vectors of constants, and vectors put together from parts of others. */
import type { Builder, Value } from '../builder.ts';
import { Op } from '../ops.ts';

/** [f(0) … f(15)]. */
export const bytesOf = (f: (i: number) => number): number[] => Array.from({ length: 16 }, (_, i) => f(i));

/** Bytes 4·i to 4·i + 3 as a word. */
const wordAt = (bytes: readonly number[], i: number): number =>
  bytes[4 * i]! | (bytes[4 * i + 1]! << 8) | (bytes[4 * i + 2]! << 16) | (bytes[4 * i + 3]! << 24);

/** A constant of 16 bytes, the lowest first. */
export const constantBytes = (b: Builder, bytes: readonly number[]): Value =>
  b.v128(wordAt(bytes, 0), wordAt(bytes, 1), wordAt(bytes, 2), wordAt(bytes, 3));

/** The same byte 16 times. */
export function everyByte(b: Builder, byte: number): Value {
  const word = byte * 0x1010101;
  return b.v128(word, word, word, word);
}

/** The bytes of x (0–15) and y (16–31) that `pick` names, 16 of them. */
export const shuffleBytes = (b: Builder, x: Value, y: Value, pick: readonly number[]): Value =>
  b.emit(Op.shuffle_i8x16, x, y, -1, wordAt(pick, 1), wordAt(pick, 2), wordAt(pick, 0), wordAt(pick, 3));

/** The words of x (0–3) and y (4–7) that `pick` names, four of them. */
export const shuffleWords = (b: Builder, x: Value, y: Value, pick: readonly number[]): Value =>
  shuffleBytes(
    b,
    x,
    y,
    bytesOf((i) => 4 * pick[i >> 2]! + (i & 3)),
  );

/** The words of a vector, the lowest first. */
export const splitWords = (b: Builder, x: Value): [Value, Value, Value, Value] => {
  const word = (i: number): Value => b.emit(Op.extract_lane_i32x4, x, -1, -1, i);
  return [word(0), word(1), word(2), word(3)];
};

/** A vector of four words, the lowest first. */
export const joinWords = (b: Builder, words: readonly Value[]): Value =>
  words.reduce((vector, word, i) =>
    i === 0 ? vector : b.emit(Op.replace_lane_i32x4, i === 1 ? b.un(Op.splat_i32x4, vector) : vector, word, -1, i),
  );
