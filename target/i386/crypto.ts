/** AES-NI, PCLMULQDQ and the SHA extensions, with their rows (SDM vol. 2, tables ). */
import type { Builder, Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import * as aes from '#tcg/sequences/aes.ts';
import { product64 } from '#tcg/sequences/polynomial.ts';
import {
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
import { joinWords, shuffleBytes, shuffleWords, splitWords } from '#tcg/sequences/vector.ts';
import type { X86Context } from './context.ts';
import { row, type X86Row } from './row.ts';
import { load, loadUnaligned, type Translate } from './vector.ts';

/** dst = operation(dst, src); the source in memory is aligned. */
const aligned =
  (operation: (b: Builder, destination: Value, source: Value) => Value): Translate =>
  (c) => {
    const source = load(c, 1);
    c.setXmm(c.register(0), operation(c.b, c.getXmm(c.register(0)), source));
  };

/** The same with a source at any address. */
const unaligned =
  (operation: (b: Builder, destination: Value, source: Value, c: X86Context) => Value): Translate =>
  (c) => {
    const source = loadUnaligned(c, 1);
    c.setXmm(c.register(0), operation(c.b, c.getXmm(c.register(0)), source, c));
  };

const xor = (b: Builder, x: Value, y: Value): Value => b.bin(Op.xor_v128, x, y);

// ---- AES

const encrypted = (b: Builder, state: Value): Value => aes.subBytes(b, aes.shiftRows(b, state));
const decrypted = (b: Builder, state: Value): Value => aes.invSubBytes(b, aes.invShiftRows(b, state));

const aesenc = aligned((b, state, key) => xor(b, aes.mixColumns(b, encrypted(b, state)), key));
const aesenclast = aligned((b, state, key) => xor(b, encrypted(b, state), key));
/** The equivalent inverse cipher (FIPS 197, 5.3.5). */
const aesdec = aligned((b, state, key) => xor(b, aes.invMixColumns(b, decrypted(b, state)), key));
const aesdeclast = aligned((b, state, key) => xor(b, decrypted(b, state), key));
const aesimc = aligned((b, _destination, source) => aes.invMixColumns(b, source));

/** AESKEYGENASSIST: words 1 and 3 substituted; and again, turned and with the round constant. */
const aeskeygenassist: Translate = (c) => {
  const { b } = c;
  const source = load(c, 1);
  const substituted = aes.subBytes(b, source);
  const placed = shuffleBytes(b, substituted, substituted, [4, 5, 6, 7, 5, 6, 7, 4, 12, 13, 14, 15, 13, 14, 15, 12]);
  const constant = c.immediate(2) & 0xff;
  c.setXmm(c.register(0), xor(b, placed, b.v128(0, constant, 0, constant)));
};

/** PCLMULQDQ: the product without carries of two halves. */
const pclmulqdq: Translate = (c) => {
  const { b } = c;
  const source = load(c, 1);
  const halves = c.immediate(2);
  const half = (x: Value, high: number): Value => b.emit(Op.extract_lane_i64x2, x, -1, -1, high ? 1 : 0);
  const [low, high] = product64(b, half(c.getXmm(c.register(0)), halves & 1), half(source, halves & 16));
  c.setXmm(c.register(0), b.emit(Op.replace_lane_i64x2, b.un(Op.splat_i64x2, low), high, -1, 1));
};

// ---- SHA: the highest word is the first one of SHA-1; of SHA-256, the lowest.

const reversed = ([w0, w1, w2, w3]: FourWords): FourWords => [w3, w2, w1, w0];

const sha1Functions = [choose, parity, majority, parity] as const;
const sha1Constants = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6] as const;

/** SHA1RNDS4: four rounds. The highest word of dst is A, of src W0 + E. */
const sha1rnds4 = unaligned((b, destination, source, c) => {
  const kind = c.immediate(2) & 3;
  let state = reversed(splitWords(b, destination));
  let e: Value = b.i32(0);
  for (const w of reversed(splitWords(b, source))) {
    const next = state[3];
    state = sha1Round(b, sha1Functions[kind]!, state, b.addImm(b.add(e, w), sha1Constants[kind]!));
    e = next;
  }
  return joinWords(b, reversed(state));
});

/** SHA1NEXTE: the highest word of dst, turned, is added to that of src. */
const sha1nexte = unaligned((b, destination, source) => {
  const before = rotateLeft(b, b.emit(Op.extract_lane_i32x4, destination, -1, -1, 3), 30);
  const zero = b.v128(0, 0, 0, 0);
  return b.bin(Op.add_i32x4, source, b.emit(Op.replace_lane_i32x4, zero, before, -1, 3));
});

/** SHA1MSG1: W(t) + W(t+2) over {0, 1}. */
const sha1msg1 = unaligned((b, destination, source) =>
  xor(b, destination, shuffleWords(b, destination, source, [6, 7, 0, 1])),
);

/** SHA1MSG2: the lowest word, which is the last, builds on the highest. */
const sha1msg2 = unaligned((b, destination, source) => {
  const zero = b.v128(0, 0, 0, 0);
  const mixed = xor(b, destination, shuffleWords(b, source, zero, [4, 0, 1, 2]));
  const last = shuffleWords(b, zero, mixed, [7, 0, 0, 0]);
  return xor(b, turnedWords(b, mixed, 31), turnedWords(b, last, 30));
});

/** SHA256RNDS2: two rounds; dst is C D G H, src A B E F, from the highest; XMM0 the sums of constants and message. */
const sha256rnds2 = unaligned((b, destination, source, c) => {
  const [h, g, d, third] = splitWords(b, destination);
  const [f, e, second, first] = splitWords(b, source);
  let x: FourWords = [first, second, third, d];
  let y: FourWords = [e, f, g, h];
  for (const wk of splitWords(b, c.getXmm(0)).slice(0, 2)) [x, y] = sha256Round(b, x, y, wk);
  return joinWords(b, [y[1], y[0], x[1], x[0]]);
});

const sha256msg1 = unaligned(sha256Schedule0);
const sha256msg2 = unaligned(sha256Schedule1);

export const cryptoRows: readonly X86Row[] = [
  row('AESIMC', '66 0F 38 DB', 'Vdq,Wdq', aesimc),
  row('AESENC', '66 0F 38 DC', 'Vdq,Wdq', aesenc),
  row('AESENCLAST', '66 0F 38 DD', 'Vdq,Wdq', aesenclast),
  row('AESDEC', '66 0F 38 DE', 'Vdq,Wdq', aesdec),
  row('AESDECLAST', '66 0F 38 DF', 'Vdq,Wdq', aesdeclast),
  row('AESKEYGENASSIST', '66 0F 3A DF', 'Vdq,Wdq,Ib', aeskeygenassist),
  row('PCLMULQDQ', '66 0F 3A 44', 'Vdq,Wdq,Ib', pclmulqdq),
  row('SHA1NEXTE', 'NP 0F 38 C8', 'Vdq,Wdq', sha1nexte),
  row('SHA1MSG1', 'NP 0F 38 C9', 'Vdq,Wdq', sha1msg1),
  row('SHA1MSG2', 'NP 0F 38 CA', 'Vdq,Wdq', sha1msg2),
  row('SHA256RNDS2', 'NP 0F 38 CB', 'Vdq,Wdq', sha256rnds2),
  row('SHA256MSG1', 'NP 0F 38 CC', 'Vdq,Wdq', sha256msg1),
  row('SHA256MSG2', 'NP 0F 38 CD', 'Vdq,Wdq', sha256msg2),
  row('SHA1RNDS4', 'NP 0F 3A CC', 'Vdq,Wdq,Ib', sha1rnds4),
];
