import type { FieldRecord } from '#tcg/decode.ts';
import { dataKinds } from './guest-data.ts';
import * as exclusive from './load-store-exclusive.ts';
import { ldm, ldmT16, popT16, pushT16, stm, stmT16, stmT32 } from './load-store-multiple.ts';
import * as single from './load-store-single.ts';
import { type ArmRow, row } from './row.ts';

/*
 * Loads and stores (DDI 0406C A5.2.8, A5.2.10, A5.3, A5.5; A6.2.4, A6.3.5–A6.3.10) and the ARMv8 acquire and release
 * forms (DDI 0487 F5.1). The unprivileged forms are ordinary accesses in user mode. LDM and STM with `^` have no rows:
 * undefined in user mode.
 */

const { word, byte, half, signedByte, signedHalf } = dataKinds;

// ---- A32

/** Immediate and scaled register offsets: words and unsigned bytes. */
const plainA32: readonly ArmRow[] = (
  [
    ['LDR', '0', '1', word],
    ['STR', '0', '0', word],
    ['LDRB', '1', '1', byte],
    ['STRB', '1', '0', byte],
  ] as const
).flatMap(([name, b, l, kind]) => {
  const [immediate, register] =
    l === '1'
      ? [single.loadImmediate(kind), single.loadRegister(kind)]
      : [single.storeImmediate(kind), single.storeRegister(kind)];
  return [
    row(`${name} (immediate)`, `cond:4 010 p:1 u:1 ${b} w:1 ${l} rn:4 rt:4 imm:12`, immediate),
    row(`${name} (register)`, `cond:4 011 p:1 u:1 ${b} w:1 ${l} rn:4 rt:4 imm:5 type:2 0 rm:4`, register),
  ];
});

const unshifted = { set: { type: 0, imm: 0 } } as const;

/** "Extra" loads and stores: 8-bit immediate and plain register offsets. */
const extraA32: readonly ArmRow[] = (
  [
    ['STRH', '0', '01', single.storeImmediate(half), single.storeRegister(half)],
    ['LDRH', '1', '01', single.loadImmediate(half), single.loadRegister(half)],
    ['LDRSB', '1', '10', single.loadImmediate(signedByte), single.loadRegister(signedByte)],
    ['LDRSH', '1', '11', single.loadImmediate(signedHalf), single.loadRegister(signedHalf)],
    ['LDRD', '0', '10', single.loadDualImmediate, single.loadDualRegister],
    ['STRD', '0', '11', single.storeDualImmediate, single.storeDualRegister],
  ] as const
).flatMap(([name, l, op, immediate, register]) => [
  row(`${name} (immediate)`, `cond:4 000 p:1 u:1 1 w:1 ${l} rn:4 rt:4 imm:4 1 ${op} 1 imm:4`, immediate),
  row(`${name} (register)`, `cond:4 000 p:1 u:1 0 w:1 ${l} rn:4 rt:4 0000 1 ${op} 1 rm:4`, register, unshifted),
]);

const loadOrdered = { set: { imm: 0, ordered: 1 }, when: exclusive.goodLoad } as const;
const loadExclusive = { set: { imm: 0, ordered: 0 }, when: exclusive.goodLoad } as const;
const storeExclusive = { set: { imm: 0 }, when: exclusive.goodStore } as const;
const goodLoad = { when: exclusive.goodLoad } as const;

const sizedExclusivesA32: readonly ArmRow[] = (
  [
    ['', '00', word],
    ['B', '10', byte],
    ['H', '11', half],
  ] as const
).flatMap(([suffix, size, kind]) => [
  row(`STREX${suffix}`, `cond:4 00011 ${size} 0 rn:4 rd:4 1111 1001 rt:4`, exclusive.strex(kind), storeExclusive),
  row(`LDREX${suffix}`, `cond:4 00011 ${size} 1 rn:4 rt:4 1111 1001 1111`, exclusive.ldrex(kind), loadExclusive),
  row(`STLEX${suffix}`, `cond:4 00011 ${size} 0 rn:4 rd:4 1110 1001 rt:4`, exclusive.strex(kind), storeExclusive),
  row(`LDAEX${suffix}`, `cond:4 00011 ${size} 1 rn:4 rt:4 1110 1001 1111`, exclusive.ldrex(kind), loadOrdered),
  row(`STL${suffix}`, `cond:4 00011 ${size} 0 rn:4 1111 1100 1001 rt:4`, exclusive.stl(kind), goodLoad),
  row(`LDA${suffix}`, `cond:4 00011 ${size} 1 rn:4 rt:4 1100 1001 1111`, exclusive.lda(kind), goodLoad),
]);

const exclusivesA32: readonly ArmRow[] = [
  ...sizedExclusivesA32,
  row('STREXD', 'cond:4 00011010 rn:4 rd:4 1111 1001 rt:4', exclusive.strexdA32, storeExclusive),
  row('LDREXD', 'cond:4 00011011 rn:4 rt:4 1111 1001 1111', exclusive.ldrexdA32, loadExclusive),
  row('STLEXD', 'cond:4 00011010 rn:4 rd:4 1110 1001 rt:4', exclusive.strexdA32, storeExclusive),
  row('LDAEXD', 'cond:4 00011011 rn:4 rt:4 1110 1001 1111', exclusive.ldrexdA32, loadOrdered),
  row('SWP', 'cond:4 00010000 rn:4 rt:4 0000 1001 rt2:4', exclusive.swp(word), { when: noPc }),
  row('SWPB', 'cond:4 00010100 rn:4 rt:4 0000 1001 rt2:4', exclusive.swp(byte), { when: noPc }),
  row('CLREX', '1111 01010111 1111 1111 0000 0001 1111', exclusive.clrex),
];

function noPc(f: FieldRecord): boolean {
  return f['rn'] !== 15 && f['rt'] !== 15 && f['rt2'] !== 15;
}

const hintsA32: readonly ArmRow[] = [
  row('PLD, PLDW (immediate)', '1111 0101 u:1 r:1 01 rn:4 1111 imm:12', single.preloadA32),
  row('PLD, PLDW (register)', '1111 0111 u:1 r:1 01 rn:4 1111 imm:5 type:2 0 rm:4', single.preloadA32),
  row('PLI (immediate)', '1111 0100 u:1 101 rn:4 1111 imm:12', single.preload),
  row('PLI (register)', '1111 0110 u:1 101 rn:4 1111 imm:5 type:2 0 rm:4', single.preload),
  row('memory hint', '1111 0100 x001 xxxx xxxx xxxx xxxx xxxx', single.preload),
  row('memory hint', '1111 0110 x001 xxxx xxxx xxxx xxx0 xxxx', single.preload),
];

/** The A32 encodings. */
export const loadStoreA32: readonly ArmRow[] = [
  ...plainA32,
  row('LDM', 'cond:4 100 p:1 u:1 0 w:1 1 rn:4 list:16', ldm(1)),
  row('STM', 'cond:4 100 p:1 u:1 0 w:1 0 rn:4 list:16', stm(1)),
  ...extraA32,
  ...exclusivesA32,
  ...hintsA32,
];

// ---- T32, 16 bits

const registerT16 = { set: { p: 1, u: 1, w: 0, type: 0, imm: 0 } } as const;

const rowsT16: readonly ArmRow[] = [
  row('LDR (literal)', '01001 rt:3 imm:8', single.loadScaled(word, 2), { set: { rn: 15 } }),
  row('STR (register)', '0101000 rm:3 rn:3 rt:3', single.storeRegister(word), registerT16),
  row('STRH (register)', '0101001 rm:3 rn:3 rt:3', single.storeRegister(half), registerT16),
  row('STRB (register)', '0101010 rm:3 rn:3 rt:3', single.storeRegister(byte), registerT16),
  row('LDRSB (register)', '0101011 rm:3 rn:3 rt:3', single.loadRegister(signedByte), registerT16),
  row('LDR (register)', '0101100 rm:3 rn:3 rt:3', single.loadRegister(word), registerT16),
  row('LDRH (register)', '0101101 rm:3 rn:3 rt:3', single.loadRegister(half), registerT16),
  row('LDRB (register)', '0101110 rm:3 rn:3 rt:3', single.loadRegister(byte), registerT16),
  row('LDRSH (register)', '0101111 rm:3 rn:3 rt:3', single.loadRegister(signedHalf), registerT16),
  row('STR (immediate)', '01100 imm:5 rn:3 rt:3', single.storeScaled(word, 2)),
  row('LDR (immediate)', '01101 imm:5 rn:3 rt:3', single.loadScaled(word, 2)),
  row('STRB (immediate)', '01110 imm:5 rn:3 rt:3', single.storeScaled(byte, 0)),
  row('LDRB (immediate)', '01111 imm:5 rn:3 rt:3', single.loadScaled(byte, 0)),
  row('STRH (immediate)', '10000 imm:5 rn:3 rt:3', single.storeScaled(half, 1)),
  row('LDRH (immediate)', '10001 imm:5 rn:3 rt:3', single.loadScaled(half, 1)),
  row('STR (SP)', '10010 rt:3 imm:8', single.storeScaled(word, 2), { set: { rn: 13 } }),
  row('LDR (SP)', '10011 rt:3 imm:8', single.loadScaled(word, 2), { set: { rn: 13 } }),
  row('PUSH', '1011010 lr:1 list:8', pushT16),
  row('POP', '1011110 pc:1 list:8', popT16),
  row('STM', '11000 rn:3 list:8', stmT16),
  row('LDM', '11001 rn:3 list:8', ldmT16),
];

// ---- T32, 32 bits

const positive = { set: { p: 1, u: 1, w: 0 } } as const;
const positiveNotPc = { set: { p: 1, u: 1, w: 0 }, when: (f: FieldRecord) => f['rn'] !== 15 } as const;
const literal = { set: { p: 1, w: 0, rn: 15 } } as const;
const shiftedT32 = { set: { p: 1, u: 1, w: 0, type: 0 } } as const;
const shiftedNotPc = { set: { p: 1, u: 1, w: 0, type: 0 }, when: (f: FieldRecord) => f['rn'] !== 15 } as const;
/** P = W = 0 is no load or store of this form. Stores with base R15 are undefined. */
const indexed = { when: (f: FieldRecord) => f['p'] !== 0 || f['w'] !== 0 } as const;
const indexedNotPc = { when: (f: FieldRecord) => f['rn'] !== 15 && (f['p'] !== 0 || f['w'] !== 0) } as const;

const storesT32: readonly ArmRow[] = (
  [
    ['STRB', '00', byte],
    ['STRH', '01', half],
    ['STR', '10', word],
  ] as const
).flatMap(([name, size, kind]) => [
  row(`${name} (immediate)`, `111110001 ${size} 0 rn:4 rt:4 imm:12`, single.storeImmediate(kind), positiveNotPc),
  row(
    `${name} (immediate)`,
    `111110000 ${size} 0 rn:4 rt:4 1 p:1 u:1 w:1 imm:8`,
    single.storeImmediate(kind),
    indexedNotPc,
  ),
  row(
    `${name} (register)`,
    `111110000 ${size} 0 rn:4 rt:4 000000 imm:2 rm:4`,
    single.storeRegister(kind),
    shiftedNotPc,
  ),
]);

/** Loads of less than a word into R15 in the plain offset forms: PLD, PLDW, PLI and an unallocated hint. */
const hintsT32 = (name: string, sign: '0' | '1', size: '00' | '01'): readonly ArmRow[] => [
  row(`${name} (literal)`, `1111100 ${sign} x ${size} 1 1111 1111 xxxx xxxx xxxx`, single.preload),
  row(`${name} (immediate)`, `1111100 ${sign} 1 ${size} 1 rn:4 1111 imm:12`, single.preload),
  row(`${name} (immediate)`, `1111100 ${sign} 0 ${size} 1 rn:4 1111 1100 imm:8`, single.preload),
  row(`${name} (register)`, `1111100 ${sign} 0 ${size} 1 rn:4 1111 000000 imm:2 rm:4`, single.preload),
];

const loadsT32: readonly ArmRow[] = (
  [
    ['LDRB', 'PLD', '0', '00', byte],
    ['LDRH', 'PLDW', '0', '01', half],
    ['LDR', undefined, '0', '10', word],
    ['LDRSB', 'PLI', '1', '00', signedByte],
    ['LDRSH', 'memory hint', '1', '01', signedHalf],
  ] as const
).flatMap(([name, hint, sign, size, kind]) => [
  ...(hint === undefined ? [] : hintsT32(hint, sign, size)),
  row(`${name} (literal)`, `1111100 ${sign} u:1 ${size} 1 1111 rt:4 imm:12`, single.loadImmediate(kind), literal),
  row(`${name} (immediate)`, `1111100 ${sign} 1 ${size} 1 rn:4 rt:4 imm:12`, single.loadImmediate(kind), positive),
  row(
    `${name} (immediate)`,
    `1111100 ${sign} 0 ${size} 1 rn:4 rt:4 1 p:1 u:1 w:1 imm:8`,
    single.loadImmediate(kind),
    indexed,
  ),
  row(
    `${name} (register)`,
    `1111100 ${sign} 0 ${size} 1 rn:4 rt:4 000000 imm:2 rm:4`,
    single.loadRegister(kind),
    shiftedT32,
  ),
]);

const sizedExclusivesT32: readonly ArmRow[] = (
  [
    ['B', '00', byte],
    ['H', '01', half],
    ['', '10', word],
  ] as const
).flatMap(([suffix, size, kind]) => [
  row(`STL${suffix}`, `111010001100 rn:4 rt:4 1111 10 ${size} 1111`, exclusive.stl(kind), goodLoad),
  row(`LDA${suffix}`, `111010001101 rn:4 rt:4 1111 10 ${size} 1111`, exclusive.lda(kind), goodLoad),
  row(`STLEX${suffix}`, `111010001100 rn:4 rt:4 1111 11 ${size} rd:4`, exclusive.strex(kind), storeExclusive),
  row(`LDAEX${suffix}`, `111010001101 rn:4 rt:4 1111 11 ${size} 1111`, exclusive.ldrex(kind), loadOrdered),
]);

const exclusivesT32: readonly ArmRow[] = [
  row('STREX', '111010000100 rn:4 rt:4 rd:4 imm:8', exclusive.strex(word), { when: exclusive.goodStore }),
  row('LDREX', '111010000101 rn:4 rt:4 1111 imm:8', exclusive.ldrex(word), {
    set: { ordered: 0 },
    when: exclusive.goodLoad,
  }),
  row('STREXB', '111010001100 rn:4 rt:4 1111 0100 rd:4', exclusive.strex(byte), storeExclusive),
  row('STREXH', '111010001100 rn:4 rt:4 1111 0101 rd:4', exclusive.strex(half), storeExclusive),
  row('STREXD', '111010001100 rn:4 rt:4 rt2:4 0111 rd:4', exclusive.strexd, storeExclusive),
  row('LDREXB', '111010001101 rn:4 rt:4 1111 0100 1111', exclusive.ldrex(byte), loadExclusive),
  row('LDREXH', '111010001101 rn:4 rt:4 1111 0101 1111', exclusive.ldrex(half), loadExclusive),
  row('LDREXD', '111010001101 rn:4 rt:4 rt2:4 0111 1111', exclusive.ldrexd, loadExclusive),
  ...sizedExclusivesT32,
  row('STLEXD', '111010001100 rn:4 rt:4 rt2:4 1111 rd:4', exclusive.strexd, storeExclusive),
  row('LDAEXD', '111010001101 rn:4 rt:4 rt2:4 1111 1111', exclusive.ldrexd, loadOrdered),
  row('CLREX', '111100111011 1111 10 0 0 1111 0010 1111', exclusive.clrex),
];

/** The T32 encodings, 16 and 32 bits wide. */
export const loadStoreT32: readonly ArmRow[] = [
  ...rowsT16,
  ...storesT32,
  ...loadsT32,
  row('LDM (IA)', '1110100010 w:1 1 rn:4 list:16', ldm(2), { set: { p: 0, u: 1 } }),
  row('LDM (DB)', '1110100100 w:1 1 rn:4 list:16', ldm(2), { set: { p: 1, u: 0 } }),
  row('STM (IA)', '1110100010 w:1 0 rn:4 list:16', stmT32, { set: { p: 0, u: 1 } }),
  row('STM (DB)', '1110100100 w:1 0 rn:4 list:16', stmT32, { set: { p: 1, u: 0 } }),
  ...exclusivesT32,
  row('LDRD', '1110100 p:1 u:1 1 w:1 1 rn:4 rt:4 rt2:4 imm:8', single.loadDualT32, indexed),
  row('STRD', '1110100 p:1 u:1 1 w:1 0 rn:4 rt:4 rt2:4 imm:8', single.storeDualT32, indexedNotPc),
];
