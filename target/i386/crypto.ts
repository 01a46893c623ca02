/** AES-NI, PCLMULQDQ and the SHA extensions: helpers on the state, with their rows (SDM vol. 2, tables ). */
import type { CpuView } from '#tcg/target.ts';
import * as aes from './aes.ts';
import type { X86Context } from './context.ts';
import { defineHelper } from './helpers.ts';
import { row, type X86Row } from './row.ts';
import { i386State, slotXmm } from './state.ts';
import { load, loadUnaligned, type Translate } from './vector.ts';

const slotOperand = i386State.offset('operand');

/** The source: operand 1, which is put into `operand`. That of the SHA instructions need not be aligned. */
function putSource(c: X86Context, aligned: boolean): void {
  c.b.set('v128', slotOperand, aligned ? load(c, 1) : loadUnaligned(c, 1));
}

const bytesAt = (cpu: CpuView, slot: number): Uint8Array => cpu.u8.subarray(slot, slot + 16);

/** dst = operation(dst, src, immediate) on 16 bytes each. */
function instruction(
  name: string,
  operation: (destination: Uint8Array, source: Uint8Array, immediate: number) => void,
  aligned = true,
): Translate {
  const helper = defineHelper({
    name,
    call(cpu, register, immediate) {
      operation(bytesAt(cpu, slotXmm(register)), bytesAt(cpu, slotOperand), immediate);
      return 0;
    },
  });
  return (c) => {
    putSource(c, aligned);
    const { insn } = c;
    c.b.helper(
      helper,
      false,
      c.b.i32(c.register(0)),
      c.b.i32(insn.bits.operands.length > 2 ? c.immediate(2) & 0xff : 0),
    );
  };
}

const read64 = (bytes: Uint8Array, at: number): bigint => {
  let value = 0n;
  for (let i = 7; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
  return value;
};

/** PCLMULQDQ: the product without carries of two halves. */
function carrylessMultiply(destination: Uint8Array, source: Uint8Array, immediate: number): void {
  const a = read64(destination, immediate & 1 ? 8 : 0);
  const b = read64(source, immediate & 16 ? 8 : 0);
  let product = 0n;
  for (let i = 0n; i < 64n; i++) if ((b >> i) & 1n) product ^= a << i;
  for (let i = 0; i < 16; i++) destination[i] = Number((product >> BigInt(8 * i)) & 0xffn);
}

const rotateLeft = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
const rotateRight = (x: number, by: number): number => (x >>> by) | (x << (32 - by));

/** Four 32-bit words, the lowest first. */
const readWords = (bytes: Uint8Array): [number, number, number, number] => {
  const word = (i: number): number =>
    bytes[4 * i]! | (bytes[4 * i + 1]! << 8) | (bytes[4 * i + 2]! << 16) | (bytes[4 * i + 3]! << 24);
  return [word(0), word(1), word(2), word(3)];
};

function writeWords(bytes: Uint8Array, words: readonly number[]): void {
  words.forEach((word, i) => {
    for (let k = 0; k < 4; k++) bytes[4 * i + k] = word >>> (8 * k);
  });
}

type Words = readonly [number, number, number, number];
const onWords =
  (operation: (a: Words, b: Words, immediate: number) => readonly number[]) =>
  (destination: Uint8Array, source: Uint8Array, immediate: number): void =>
    writeWords(destination, operation(readWords(destination), readWords(source), immediate));

const sha1Functions: readonly ((b: number, c: number, d: number) => number)[] = [
  (b, c, d) => (b & c) ^ (~b & d),
  (b, c, d) => b ^ c ^ d,
  (b, c, d) => (b & c) ^ (b & d) ^ (c & d),
  (b, c, d) => b ^ c ^ d,
];
const sha1Constants = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc | 0, 0xca62c1d6 | 0];

/** SHA1RNDS4: four rounds. The highest word of dst is A, of src W0 + E. */
const sha1Rounds = onWords((x, y, immediate) => {
  const f = sha1Functions[immediate & 3]!;
  const constant = sha1Constants[immediate & 3]!;
  let [a, b, c, d, e] = [x[3], x[2], x[1], x[0], 0];
  for (let i = 0; i < 4; i++) {
    const next = (f(b, c, d) + rotateLeft(a, 5) + y[3 - i]! + e + constant) | 0;
    [a, b, c, d, e] = [next, a, rotateLeft(b, 30), c, d];
  }
  return [d, c, b, a];
});

const sha1NextE = onWords((x, y) => [y[0], y[1], y[2], (y[3] + rotateLeft(x[3], 30)) | 0]);
const sha1Message1 = onWords((x, y) => [x[0] ^ y[2], x[1] ^ y[3], x[2] ^ x[0], x[3] ^ x[1]]);
const sha1Message2 = onWords((x, y) => {
  const w16 = rotateLeft(x[3] ^ y[2], 1);
  return [rotateLeft(x[0] ^ w16, 1), rotateLeft(x[1] ^ y[0], 1), rotateLeft(x[2] ^ y[1], 1), w16];
});

const sigma0 = (x: number): number => rotateRight(x, 7) ^ rotateRight(x, 18) ^ (x >>> 3);
const sigma1 = (x: number): number => rotateRight(x, 17) ^ rotateRight(x, 19) ^ (x >>> 10);
const sha256Message1 = onWords((x, y) => [
  (x[0] + sigma0(x[1])) | 0,
  (x[1] + sigma0(x[2])) | 0,
  (x[2] + sigma0(x[3])) | 0,
  (x[3] + sigma0(y[0])) | 0,
]);
const sha256Message2 = onWords((x, y) => {
  const w16 = (x[0] + sigma1(y[2])) | 0;
  const w17 = (x[1] + sigma1(y[3])) | 0;
  return [w16, w17, (x[2] + sigma1(w16)) | 0, (x[3] + sigma1(w17)) | 0];
});

/** SHA256RNDS2: two rounds with the words of XMM0 (message and constant). */
function sha256Rounds(destination: Uint8Array, source: Uint8Array, wk: readonly number[]): void {
  const x = readWords(destination);
  const y = readWords(source);
  let [a, b, c, d, e, f, g, h] = [y[3], y[2], x[3], x[2], y[1], y[0], x[1], x[0]];
  for (let i = 0; i < 2; i++) {
    const choose = (e & f) ^ (~e & g);
    const upper = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);
    const first = (choose + upper + wk[i]! + h) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const lower = rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22);
    [a, b, c, d, e, f, g, h] = [(first + majority + lower) | 0, a, b, c, (first + d) | 0, e, f, g];
  }
  writeWords(destination, [f, e, b, a]);
}

const sha256RoundsHelper = defineHelper({
  name: 'sha256rnds2',
  call(cpu, register) {
    const wk = readWords(bytesAt(cpu, slotXmm(0)));
    sha256Rounds(bytesAt(cpu, slotXmm(register)), bytesAt(cpu, slotOperand), wk);
    return 0;
  },
});

function sha256rnds2(c: X86Context): void {
  putSource(c, false);
  c.b.helper(sha256RoundsHelper, false, c.b.i32(c.register(0)));
}

export const cryptoRows: readonly X86Row[] = [
  row('AESIMC', '66 0F 38 DB', 'Vdq,Wdq', instruction('aesimc', aes.inverseMix)),
  row(
    'AESENC',
    '66 0F 38 DC',
    'Vdq,Wdq',
    instruction('aesenc', (to, key) => aes.encryptRound(to, key, false)),
  ),
  row(
    'AESENCLAST',
    '66 0F 38 DD',
    'Vdq,Wdq',
    instruction('aesenclast', (to, key) => aes.encryptRound(to, key, true)),
  ),
  row(
    'AESDEC',
    '66 0F 38 DE',
    'Vdq,Wdq',
    instruction('aesdec', (to, key) => aes.decryptRound(to, key, false)),
  ),
  row(
    'AESDECLAST',
    '66 0F 38 DF',
    'Vdq,Wdq',
    instruction('aesdeclast', (to, key) => aes.decryptRound(to, key, true)),
  ),
  row('AESKEYGENASSIST', '66 0F 3A DF', 'Vdq,Wdq,Ib', instruction('aeskeygenassist', aes.keyAssist)),
  row('PCLMULQDQ', '66 0F 3A 44', 'Vdq,Wdq,Ib', instruction('pclmulqdq', carrylessMultiply)),
  row('SHA1NEXTE', 'NP 0F 38 C8', 'Vdq,Wdq', instruction('sha1nexte', sha1NextE, false)),
  row('SHA1MSG1', 'NP 0F 38 C9', 'Vdq,Wdq', instruction('sha1msg1', sha1Message1, false)),
  row('SHA1MSG2', 'NP 0F 38 CA', 'Vdq,Wdq', instruction('sha1msg2', sha1Message2, false)),
  row('SHA256RNDS2', 'NP 0F 38 CB', 'Vdq,Wdq', sha256rnds2),
  row('SHA256MSG1', 'NP 0F 38 CC', 'Vdq,Wdq', instruction('sha256msg1', sha256Message1, false)),
  row('SHA256MSG2', 'NP 0F 38 CD', 'Vdq,Wdq', instruction('sha256msg2', sha256Message2, false)),
  row('SHA1RNDS4', 'NP 0F 3A CC', 'Vdq,Wdq,Ib', instruction('sha1rnds4', sha1Rounds, false)),
];
