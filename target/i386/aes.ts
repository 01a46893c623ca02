/** AES (FIPS 197) as AES-NI has it (SDM vol. 2, AESENC and the others): a state is 16 bytes, by columns. */

const multiply2 = (x: number): number => ((x << 1) ^ (x & 0x80 ? 0x11b : 0)) & 0xff;

function multiply(a: number, b: number): number {
  let product = 0;
  for (let x = a, y = b; y !== 0; x = multiply2(x), y >>= 1) if (y & 1) product ^= x;
  return product;
}

/** The S-box: the inverse in GF(2^8), then an affine map. */
function makeSbox(): Uint8Array {
  const sbox = new Uint8Array(256);
  const rotate = (x: number, by: number): number => ((x << by) | (x >> (8 - by))) & 0xff;
  for (let value = 0; value < 256; value++) {
    let inverse = 0;
    for (let x = 1; x < 256 && value !== 0 && inverse === 0; x++) if (multiply(value, x) === 1) inverse = x;
    sbox[value] = inverse ^ rotate(inverse, 1) ^ rotate(inverse, 2) ^ rotate(inverse, 3) ^ rotate(inverse, 4) ^ 0x63;
  }
  return sbox;
}

/** Made when they are first needed. */
interface Tables {
  readonly sbox: Uint8Array;
  readonly inverse: Uint8Array;
}
let tables: Tables | undefined;
function useTables(): Tables {
  if (tables) return tables;
  const sbox = makeSbox();
  const inverse = new Uint8Array(256);
  sbox.forEach((to, from) => (inverse[to] = from));
  return (tables = { sbox, inverse });
}

const work = new Uint8Array(16);

/** SubBytes and ShiftRows (or their inverses) of `state`, into `work`. */
function substituteShifted(state: Uint8Array, box: Uint8Array, direction: 1 | -1): void {
  for (let column = 0; column < 4; column++) {
    for (let row = 0; row < 4; row++) {
      const from = (column + direction * row + 4) & 3;
      work[4 * column + row] = box[state[4 * from + row]!]!;
    }
  }
}

/** MixColumns with the coefficients a b c d of a column's first row. */
function mix(state: Uint8Array, a: number, b: number, c: number, d: number): void {
  for (let at = 0; at < 16; at += 4) {
    const [w, x, y, z] = [state[at]!, state[at + 1]!, state[at + 2]!, state[at + 3]!];
    const sum = (p: number, q: number, r: number, s: number): number =>
      multiply(p, a) ^ multiply(q, b) ^ multiply(r, c) ^ multiply(s, d);
    state[at] = sum(w, x, y, z);
    state[at + 1] = sum(x, y, z, w);
    state[at + 2] = sum(y, z, w, x);
    state[at + 3] = sum(z, w, x, y);
  }
}

function addKey(state: Uint8Array, key: Uint8Array): void {
  for (let i = 0; i < 16; i++) state[i] = work[i]! ^ key[i]!;
}

/** AESENC, AESENCLAST: one round on `state`. */
export function encryptRound(state: Uint8Array, key: Uint8Array, last: boolean): void {
  substituteShifted(state, useTables().sbox, 1);
  if (!last) mix(work, 2, 3, 1, 1);
  addKey(state, key);
}

/** AESDEC, AESDECLAST: the equivalent inverse cipher. */
export function decryptRound(state: Uint8Array, key: Uint8Array, last: boolean): void {
  substituteShifted(state, useTables().inverse, -1);
  if (!last) mix(work, 14, 11, 13, 9);
  addKey(state, key);
}

/** AESIMC. */
export function inverseMix(to: Uint8Array, from: Uint8Array): void {
  to.set(from);
  mix(to, 14, 11, 13, 9);
}

/** AESKEYGENASSIST: words 1 and 3 substituted, and rotated with the round constant. */
export function keyAssist(to: Uint8Array, from: Uint8Array, constant: number): void {
  const { sbox } = useTables();
  for (let i = 0; i < 16; i++) work[i] = sbox[from[i]!]!;
  for (const [at, source] of [
    [0, 4],
    [8, 12],
  ] as const) {
    for (let i = 0; i < 4; i++) {
      to[at + i] = work[source + i]!;
      to[at + 4 + i] = work[source + ((i + 1) & 3)]!;
    }
    to[at + 4]! ^= constant;
  }
}
