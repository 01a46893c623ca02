/**
 * The S-boxes of AES (FIPS 197, 5.1.1, 5.3.2) for a machine that looks up 16 nibbles at once.
 *
 * A byte x = i·β1 + j·β2 with i, j in the subfield GF(2^4) has the inverse U[io] + T[jo], where
 *
 *     io = 1/(1/i + a/k) + j    jo = 1/(1/j + a/k) + i    k = i + j
 *
 * and the inverse of 0 is a mark above 15, which added to anything stays one and is looked up as 0 (Hamburg,
 * "Accelerating AES with vector permute instructions", 2009).
 */

/** Tables of 16 bytes. `low` and `high` take the nibbles of a byte to i << 4 | k; their sum is to be taken. */
export interface SboxTables {
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** 1/n and a/n. */
  readonly inverse: readonly number[];
  readonly quotient: readonly number[];
  readonly u: readonly number[];
  readonly t: readonly number[];
}

function multiply(a: number, b: number): number {
  let result = 0;
  for (let x = a, y = b; y !== 0; y >>= 1) {
    if (y & 1) result ^= x;
    x = (x << 1) ^ (x & 0x80 ? 0x11b : 0);
  }
  return result;
}

function inverseOf(x: number): number {
  let result = 1;
  for (let i = 0; i < 254; i++) result = multiply(result, x);
  return result;
}

/** The bits of `n` as a sum of `basis`. */
const combination = (basis: readonly number[], n: number): number =>
  basis.reduce((sum, element, bit) => (n & (1 << bit) ? sum ^ element : sum), 0);

/** A basis of GF(2^4) in AES's field, and β1, β2 and a, which solve the equations above. */
const subfield = [0x01, 0x0c, 0x50, 0xb0];
const beta1 = 0x02;
const beta2 = 0x94;
const factor = 0xe1;
/** U and T that belong to them; at 0 they are never looked at. */
const outputU = [0, 101, 78, 9, 131, 168, 71, 230, 138, 108, 161, 196, 43, 239, 205, 34];
const outputT = [0, 225, 81, 92, 188, 12, 13, 93, 224, 189, 80, 177, 176, 1, 237, 236];
const infinity = 0x80;

/** The linear part of the affine map of SubBytes. */
const affine = (x: number): number => {
  const doubled = x | (x << 8);
  return (x ^ (doubled >> 4) ^ (doubled >> 5) ^ (doubled >> 6) ^ (doubled >> 7)) & 0xff;
};
/** Of InvSubBytes. */
const affineInverse = (x: number): number => {
  const doubled = x | (x << 8);
  return ((doubled >> 2) ^ (doubled >> 5) ^ (doubled >> 7)) & 0xff;
};

const nibbles = Array.from({ length: 16 }, (_, n) => n);

/** The tables for SubBytes or InvSubBytes, without the constant 0x63, which is added after or before. */
export function sboxTables(inverts: boolean): SboxTables {
  const element = nibbles.map((n) => combination(subfield, n));
  const nibbleOf = (x: number): number => element.indexOf(x);
  /** i << 4 | (i ^ j) by byte. */
  const split: number[] = [];
  for (const i of nibbles) {
    for (const j of nibbles) split[multiply(element[i]!, beta1) ^ multiply(element[j]!, beta2)] = (i << 4) | (i ^ j);
  }
  const input = (x: number): number => split[inverts ? affineInverse(x) : x]!;
  const output = (x: number): number => (inverts ? x : affine(x));
  return {
    low: nibbles.map((n) => input(n)),
    high: nibbles.map((n) => input(n << 4)),
    inverse: nibbles.map((n) => (n === 0 ? infinity : nibbleOf(inverseOf(element[n]!)))),
    quotient: nibbles.map((n) => (n === 0 ? infinity : nibbleOf(multiply(factor, inverseOf(element[n]!))))),
    u: outputU.map(output),
    t: outputT.map(output),
  };
}
