/** The cryptographic instructions of ARMv8 (DDI 0487 F4.1.22, F6.1: AES, SHA-1, SHA-256, 64-bit polynomials). */
import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import * as aes from '#tcg/sequences/aes.ts';
import { product64 } from '#tcg/sequences/polynomial.ts';
import {
  type Choice,
  choose,
  type FourWords,
  majority,
  parity,
  rotateLeft,
  sha1Round,
  sha256Round,
  sha256Schedule0,
  sha256Schedule1,
  turnedWords,
} from '#tcg/sequences/sha.ts';
import { shuffleWords } from '#tcg/sequences/vector.ts';
import type { ArmContext } from './context.ts';
import { fieldD, fieldM, fieldN, type ThreeFields } from './neon-vectors.ts';
import { slotD, slotS } from './state.ts';
import { neonData, type RowPair } from './vfp-registers.ts';

interface Two {
  readonly d: number;
  readonly vd: number;
  readonly m: number;
  readonly vm: number;
}

/** Calls `emit` with the numbers of Qd, Qn (0 if there is none) and Qm; undefined if one is odd. */
const withQuads =
  (emit: (c: ArmContext, d: number, n: number, m: number) => void) =>
  (c: ArmContext, f: Two | ThreeFields): void => {
    const d = fieldD(f);
    const m = fieldM(f);
    const n = 'vn' in f ? fieldN(f) : 0;
    if ((d | n | m) & 1) c.undefined();
    else emit(c, d, n, m);
  };

/** Qd = emit(Qd, Qm, Qn). */
const onQuads = (emit: (c: ArmContext, d: Value, m: Value, n: Value) => Value) =>
  withQuads((c, d, n, m) => {
    const quad = (register: number): Value => c.b.get('v128', slotD(register));
    c.b.set('v128', slotD(d), emit(c, quad(d), quad(m), quad(n)));
  });

// ---- AES

/** AESE.8 Qd, Qm. */
const aese = onQuads(({ b }, d, m) => aes.subBytes(b, aes.shiftRows(b, b.bin(Op.xor_v128, d, m))));

/** AESD.8 Qd, Qm. */
const aesd = onQuads(({ b }, d, m) => aes.invSubBytes(b, aes.invShiftRows(b, b.bin(Op.xor_v128, d, m))));

/** AESMC.8 Qd, Qm. */
const aesmc = onQuads(({ b }, _d, m) => aes.mixColumns(b, m));

/** AESIMC.8 Qd, Qm. */
const aesimc = onQuads(({ b }, _d, m) => aes.invMixColumns(b, m));

// ---- SHA-1 and SHA-256, words as scalars in the rounds

const wordsOf = (c: ArmContext, d: number): FourWords => {
  const word = (i: number): Value => c.b.get32(slotS(2 * d + i));
  return [word(0), word(1), word(2), word(3)];
};

function setWords(c: ArmContext, d: number, words: readonly Value[]): void {
  words.forEach((word, i) => c.b.set32(slotS(2 * d + i), word));
}

/** SHA1C SHA1P SHA1M Qd, Qn, Qm: four rounds; E is the low word of Qn. */
const sha1Rounds = (f: Choice) =>
  withQuads((c, d, n, m) => {
    const { b } = c;
    let x = wordsOf(c, d);
    let e = b.get32(slotS(2 * n));
    for (const w of wordsOf(c, m)) {
      const next = x[3];
      x = sha1Round(b, f, x, b.add(e, w));
      e = next;
    }
    setWords(c, d, x);
  });

/** SHA1H.32 Qd, Qm. */
const sha1h = withQuads((c, d, _n, m) => {
  const { b } = c;
  setWords(c, d, [rotateLeft(b, b.get32(slotS(2 * m)), 30), b.i32(0), b.i32(0), b.i32(0)]);
});

/** SHA1SU0.32 Qd, Qn, Qm. */
const sha1su0 = onQuads(({ b }, d, m, n) => {
  const mixed = b.bin(Op.xor_v128, shuffleWords(b, d, n, [2, 3, 4, 5]), d);
  return b.bin(Op.xor_v128, mixed, m);
});

/** SHA1SU1.32 Qd, Qm: the last word also gets the first one's. */
const sha1su1 = onQuads(({ b }, d, m) => {
  const zero = b.v128(0, 0, 0, 0);
  const mixed = b.bin(Op.xor_v128, d, shuffleWords(b, m, zero, [1, 2, 3, 4]));
  const first = shuffleWords(b, zero, mixed, [0, 0, 0, 4]);
  return b.bin(Op.xor_v128, turnedWords(b, mixed, 31), turnedWords(b, first, 30));
});

/** SHA256H, SHA256H2 (`second`) Qd, Qn, Qm: four rounds, of which one half of the state is the result. */
const sha256Rounds = (second: boolean) =>
  withQuads((c, d, n, m) => {
    let x = wordsOf(c, second ? n : d);
    let y = wordsOf(c, second ? d : n);
    for (const w of wordsOf(c, m)) [x, y] = sha256Round(c.b, x, y, w);
    setWords(c, d, second ? y : x);
  });

/** SHA256SU0.32 Qd, Qm. */
const sha256su0 = onQuads(({ b }, d, m) => sha256Schedule0(b, d, m));

/** SHA256SU1.32 Qd, Qn, Qm. */
const sha256su1 = onQuads(({ b }, d, m, n) =>
  sha256Schedule1(b, b.bin(Op.add_i32x4, d, shuffleWords(b, n, m, [1, 2, 3, 4])), m),
);

/** VMULL.P64 Qd, Dn, Dm. */
function vmullP64(c: ArmContext, f: ThreeFields): void {
  const d = fieldD(f);
  if (d & 1) {
    c.undefined();
    return;
  }
  const { b } = c;
  const [low, high] = product64(b, b.get('i64', slotD(fieldN(f))), b.get('i64', slotD(fieldM(f))));
  b.set('i64', slotD(d), low);
  b.set('i64', slotD(d + 1), high);
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
