/** The cryptographic instructions of ARMv8 (DDI 0487 F4.1.22, F6.1: AES, SHA-1, SHA-256, 64-bit polynomials). */
import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { type SboxTables, sboxTables } from './aes-tables.ts';
import type { ArmContext } from './context.ts';
import { bytesOf, everyLane, fieldD, fieldM, fieldN, shuffle, type ThreeFields } from './neon-vectors.ts';
import { slotD, slotS } from './state.ts';
import { neonData, type RowPair } from './vfp-registers.ts';

interface Two {
  readonly d: number;
  readonly vd: number;
  readonly m: number;
  readonly vm: number;
}

const quad = (c: ArmContext, d: number): Value => c.b.get('v128', slotD(d));
const xor = (c: ArmContext, x: Value, y: Value): Value => c.b.bin(Op.xor_v128, x, y);
const swizzle = (c: ArmContext, table: Value, index: Value): Value => c.b.bin(Op.swizzle_i8x16, table, index);

/** Calls `emit` with the numbers of Qd, Qn and Qm; undefined if one is odd. */
const onQuads =
  (emit: (c: ArmContext, d: number, n: number, m: number) => Value) =>
  (c: ArmContext, f: Two | ThreeFields): void => {
    const d = fieldD(f);
    const m = fieldM(f);
    const n = 'vn' in f && f.vn !== undefined ? fieldN(f) : 0;
    if ((d | n | m) & 1) c.undefined();
    else c.b.set('v128', slotD(d), emit(c, d, n, m));
  };

// ---- AES

let forward: SboxTables | undefined;
let backward: SboxTables | undefined;

function table(c: ArmContext, bytes: readonly number[]): Value {
  const word = (i: number): number => bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
  return c.b.v128(word(0), word(4), word(8), word(12));
}

/** SubBytes or InvSubBytes but for the constant: see `aes-tables.ts`. */
function substituted(c: ArmContext, x: Value, tables: SboxTables): Value {
  const { b } = c;
  const mask = everyLane(c, 0, 15);
  const high = (value: Value): Value => b.bin(Op.shr_u_i8x16, value, b.i32(4));
  const low = (value: Value): Value => b.bin(Op.and_v128, value, mask);
  const parts = xor(c, swizzle(c, table(c, tables.low), low(x)), swizzle(c, table(c, tables.high), high(x)));
  const i = high(parts);
  const k = low(parts);
  const j = xor(c, i, k);
  const inverse = table(c, tables.inverse);
  const quotient = swizzle(c, table(c, tables.quotient), k);
  const io = xor(c, swizzle(c, inverse, xor(c, swizzle(c, inverse, i), quotient)), j);
  const jo = xor(c, swizzle(c, inverse, xor(c, swizzle(c, inverse, j), quotient)), i);
  return xor(c, swizzle(c, table(c, tables.u), io), swizzle(c, table(c, tables.t), jo));
}

/** Byte r + 4·col of the state comes from the column `by` · r further on. */
const rowsShifted = (c: ArmContext, x: Value, by: number): Value =>
  shuffle(
    c,
    x,
    x,
    bytesOf((i) => (i & 3) | ((((i >> 2) + by * (i & 3)) & 3) << 2)),
  );

/** AESE.8 Qd, Qm. */
const aese = onQuads((c, d, _n, m) => {
  forward ??= sboxTables(false);
  const state = rowsShifted(c, xor(c, quad(c, d), quad(c, m)), 1);
  return xor(c, substituted(c, state, forward), everyLane(c, 0, 0x63));
});

/** AESD.8 Qd, Qm. */
const aesd = onQuads((c, d, _n, m) => {
  backward ??= sboxTables(true);
  const state = rowsShifted(c, xor(c, quad(c, d), quad(c, m)), -1);
  return substituted(c, xor(c, state, everyLane(c, 0, 0x63)), backward);
});

/** Each byte times x in AES's field. */
function doubled(c: ArmContext, x: Value): Value {
  const { b } = c;
  const carry = b.bin(Op.and_v128, b.bin(Op.shr_s_i8x16, x, b.i32(7)), everyLane(c, 0, 0x1b));
  return xor(c, b.bin(Op.add_i8x16, x, x), carry);
}

/** The bytes of each column moved up by `by`. */
const columnsTurned = (c: ArmContext, x: Value, by: number): Value =>
  shuffle(
    c,
    x,
    x,
    bytesOf((i) => (i & 12) | ((i + by) & 3)),
  );

/** 2·s(r) + 3·s(r+1) + s(r+2) + s(r+3). */
function columnsMixed(c: ArmContext, x: Value): Value {
  const next = columnsTurned(c, x, 1);
  const pairs = xor(c, x, next);
  return xor(c, xor(c, doubled(c, pairs), next), columnsTurned(c, pairs, 2));
}

/** AESMC.8 Qd, Qm. */
const aesmc = onQuads((c, _d, _n, m) => columnsMixed(c, quad(c, m)));

/** AESIMC.8 Qd, Qm: the inverse is MixColumns after adding 4·(s(r) + s(r+2)) to each byte. */
const aesimc = onQuads((c, _d, _n, m) => {
  const x = quad(c, m);
  const opposite = xor(c, x, columnsTurned(c, x, 2));
  return columnsMixed(c, xor(c, x, doubled(c, doubled(c, opposite))));
});

// ---- SHA-1 and SHA-256, words as scalars

const wordsOf = (c: ArmContext, d: number): Value[] => [0, 1, 2, 3].map((i) => c.b.get32(slotS(2 * d + i)));

function setWords(c: ArmContext, d: number, words: readonly Value[]): void {
  words.forEach((word, i) => c.b.set32(slotS(2 * d + i), word));
}

const rotated = (c: ArmContext, x: Value, left: number): Value => c.b.bin(Op.rotl_i32, x, c.b.i32(left));

type Choice = (c: ArmContext, x: Value, y: Value, z: Value) => Value;
const choose: Choice = ({ b }, x, y, z) => b.xor(b.and(b.xor(y, z), x), z);
const parity: Choice = ({ b }, x, y, z) => b.xor(b.xor(x, y), z);
const majority: Choice = ({ b }, x, y, z) => b.or(b.and(x, y), b.and(b.or(x, y), z));

/** SHA1C SHA1P SHA1M Qd, Qn, Qm: four rounds; E is the low word of Qn. */
const sha1Rounds =
  (f: Choice) =>
  (c: ArmContext, fields: ThreeFields): void => {
    const d = fieldD(fields);
    const n = fieldN(fields);
    const m = fieldM(fields);
    if ((d | n | m) & 1) {
      c.undefined();
      return;
    }
    const { b } = c;
    let x = wordsOf(c, d);
    let e = b.get32(slotS(2 * n));
    for (const w of wordsOf(c, m)) {
      const [x0, x1, x2, x3] = x as [Value, Value, Value, Value];
      const sum = b.add(b.add(b.add(e, rotated(c, x0, 5)), f(c, x1, x2, x3)), w);
      x = [sum, x0, rotated(c, x1, 30), x2];
      e = x3;
    }
    setWords(c, d, x);
  };

/** SHA1H.32 Qd, Qm. */
function sha1h(c: ArmContext, f: Two): void {
  const d = fieldD(f);
  const m = fieldM(f);
  if ((d | m) & 1) {
    c.undefined();
    return;
  }
  const { b } = c;
  setWords(c, d, [rotated(c, b.get32(slotS(2 * m)), 30), b.i32(0), b.i32(0), b.i32(0)]);
}

/** The words of two vectors, 0 to 7, that `pick` names. */
const wordShuffle = (c: ArmContext, x: Value, y: Value, pick: readonly number[]): Value =>
  shuffle(
    c,
    x,
    y,
    bytesOf((i) => 4 * pick[i >> 2]! + (i & 3)),
  );
const zero = (c: ArmContext): Value => c.b.v128(0, 0, 0, 0);
const plus = (c: ArmContext, x: Value, y: Value): Value => c.b.bin(Op.add_i32x4, x, y);
const shiftedDown = (c: ArmContext, x: Value, by: number): Value => c.b.bin(Op.shr_u_i32x4, x, c.b.i32(by));
const turnedDown = (c: ArmContext, x: Value, by: number): Value =>
  c.b.bin(Op.or_v128, shiftedDown(c, x, by), c.b.bin(Op.shl_i32x4, x, c.b.i32(32 - by)));

/** SHA1SU0.32 Qd, Qn, Qm. */
const sha1su0 = onQuads((c, d, n, m) => {
  const old = quad(c, d);
  return xor(c, xor(c, wordShuffle(c, old, quad(c, n), [2, 3, 4, 5]), old), quad(c, m));
});

/** SHA1SU1.32 Qd, Qm: the last word also gets the first one's. */
const sha1su1 = onQuads((c, d, _n, m) => {
  const mixed = xor(c, quad(c, d), wordShuffle(c, quad(c, m), zero(c), [1, 2, 3, 4]));
  const first = wordShuffle(c, zero(c), mixed, [0, 0, 0, 4]);
  return xor(c, turnedDown(c, mixed, 31), turnedDown(c, first, 30));
});

const sum256 = (c: ArmContext, x: Value, by: readonly [number, number, number]): Value =>
  c.b.xor(c.b.xor(rotated(c, x, 32 - by[0]), rotated(c, x, 32 - by[1])), rotated(c, x, 32 - by[2]));

/** SHA256H, SHA256H2 (`second`) Qd, Qn, Qm: four rounds, of which one half of the state is the result. */
const sha256Rounds =
  (second: boolean) =>
  (c: ArmContext, fields: ThreeFields): void => {
    const d = fieldD(fields);
    const n = fieldN(fields);
    const m = fieldM(fields);
    if ((d | n | m) & 1) {
      c.undefined();
      return;
    }
    const { b } = c;
    let x = wordsOf(c, second ? n : d);
    let y = wordsOf(c, second ? d : n);
    for (const w of wordsOf(c, m)) {
      const [x0, x1, x2, x3] = x as [Value, Value, Value, Value];
      const [y0, y1, y2, y3] = y as [Value, Value, Value, Value];
      const t = b.add(b.add(b.add(y3, sum256(c, y0, [6, 11, 25])), choose(c, y0, y1, y2)), w);
      const top = b.add(b.add(t, sum256(c, x0, [2, 13, 22])), majority(c, x0, x1, x2));
      x = [top, x0, x1, x2];
      y = [b.add(t, x3), y0, y1, y2];
    }
    setWords(c, d, second ? y : x);
  };

/** SHA256SU0.32 Qd, Qm. */
const sha256su0 = onQuads((c, d, _n, m) => {
  const old = quad(c, d);
  const t = wordShuffle(c, old, quad(c, m), [1, 2, 3, 4]);
  const sigma = xor(c, xor(c, turnedDown(c, t, 7), turnedDown(c, t, 18)), shiftedDown(c, t, 3));
  return plus(c, old, sigma);
});

/** SHA256SU1.32 Qd, Qn, Qm: the high half builds on the low one. */
const sha256su1 = onQuads((c, d, n, m) => {
  const right = quad(c, m);
  const sum = plus(c, quad(c, d), wordShuffle(c, quad(c, n), right, [1, 2, 3, 4]));
  const sigma = (x: Value): Value => xor(c, xor(c, turnedDown(c, x, 17), turnedDown(c, x, 19)), shiftedDown(c, x, 10));
  const low = plus(c, sum, sigma(wordShuffle(c, right, right, [2, 3, 2, 3])));
  const high = plus(c, sum, sigma(wordShuffle(c, low, low, [0, 1, 0, 1])));
  return wordShuffle(c, low, high, [0, 1, 6, 7]);
});

// ---- polynomials over {0, 1}

/** Product of two 32-bit polynomials (zero-extended): with every fourth bit alone, no carry reaches the next one. */
function product32(c: ArmContext, x: Value, y: Value): Value {
  const { b } = c;
  const every = (at: number): Value => b.i64(0x11111111 << at, 0x11111111 << at);
  const parts = (value: Value): Value[] => [0, 1, 2, 3].map((at) => b.bin(Op.and_i64, value, every(at)));
  const left = parts(x);
  const right = parts(y);
  let result: Value = -1;
  for (let at = 0; at < 4; at++) {
    let sum: Value = -1;
    for (let i = 0; i < 4; i++) {
      const term = b.bin(Op.mul_i64, left[i]!, right[(at - i) & 3]!);
      sum = sum < 0 ? term : b.bin(Op.xor_i64, sum, term);
    }
    const kept = b.bin(Op.and_i64, sum, every(at));
    result = result < 0 ? kept : b.bin(Op.or_i64, result, kept);
  }
  return result;
}

/** VMULL.P64 Qd, Dn, Dm: three products of halves (Karatsuba). */
function vmullP64(c: ArmContext, f: ThreeFields): void {
  const d = fieldD(f);
  if (d & 1) {
    c.undefined();
    return;
  }
  const { b } = c;
  const halves = (register: number): [Value, Value] => [
    b.un(Op.extend_u_i64, b.get32(slotD(register))),
    b.un(Op.extend_u_i64, b.get32(slotD(register) + 4)),
  ];
  const [x0, x1] = halves(fieldN(f));
  const [y0, y1] = halves(fieldM(f));
  const xor64 = (x: Value, y: Value): Value => b.bin(Op.xor_i64, x, y);
  const low = product32(c, x0, y0);
  const high = product32(c, x1, y1);
  const middle = xor64(xor64(product32(c, xor64(x0, x1), xor64(y0, y1)), low), high);
  const by = b.i64(32, 0);
  b.set('i64', slotD(d), xor64(low, b.bin(Op.shl_i64, middle, by)));
  b.set('i64', slotD(d + 1), xor64(high, b.bin(Op.shr_u_i64, middle, by)));
}

const two = <const P extends string>(opc: P) => `1 d:1 11 ${opc} m:1 0 vm:4` as const;
const three = <const P extends string>(size: P) => `0 d:1 ${size} vn:4 vd:4 1100 n:1 1 m:1 0 vm:4` as const;

export const cryptoRows: readonly RowPair[] = [
  neonData('AESE', '1', two('00 00 vd:4 0 0110 0'), aese),
  neonData('AESD', '1', two('00 00 vd:4 0 0110 1'), aesd),
  neonData('AESMC', '1', two('00 00 vd:4 0 0111 0'), aesmc),
  neonData('AESIMC', '1', two('00 00 vd:4 0 0111 1'), aesimc),
  neonData('SHA1H', '1', two('10 01 vd:4 0 0101 1'), sha1h),
  neonData('SHA1SU1', '1', two('10 10 vd:4 0 0111 0'), sha1su1),
  neonData('SHA256SU0', '1', two('10 10 vd:4 0 0111 1'), sha256su0),
  neonData('SHA1C', '0', three('00'), sha1Rounds(choose)),
  neonData('SHA1P', '0', three('01'), sha1Rounds(parity)),
  neonData('SHA1M', '0', three('10'), sha1Rounds(majority)),
  neonData('SHA1SU0', '0', three('11'), sha1su0),
  neonData('SHA256H', '1', three('00'), sha256Rounds(false)),
  neonData('SHA256H2', '1', three('01'), sha256Rounds(true)),
  neonData('SHA256SU1', '1', three('10'), sha256su1),
  neonData('VMULL.P64', '0', '1 d:1 10 vn:4 vd:4 1110 n:1 0 m:1 0 vm:4', vmullP64),
];
