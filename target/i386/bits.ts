import type { Value } from '#tcg/builder.ts';
import { Op, type X86Context } from './context.ts';
import { defineHelper } from './helpers.ts';

type Change = (c: X86Context, old: Value, mask: Value) => Value;

/**
 * BT, BTS, BTR, BTC dst, bit: CF is the bit before `change`. A bit number in a register selects, in memory, any bit of
 * the 512 MiB around the operand.
 */
const bitTest = (change: Change | undefined) => (c: X86Context) => {
  const { b, flags } = c;
  const bytes = c.size(0);
  const bits = 8 * bytes;
  const number = c.load(1);
  if (c.isMemory(0) && !c.isImmediate(1)) {
    const shift = bytes === 2 ? 4 : 5;
    c.addToAddress(b.shlImm(b.shrSImm(number, shift), shift - 3));
  }
  const place = b.andImm(number, bits - 1);
  const carry = (old: Value): Value => b.andImm(b.shrU(old, place), 1);
  if (!change) {
    flags.setCf(carry(c.load(0)));
    return;
  }
  c.update(
    0,
    (old) => change(c, old, b.shl(b.i32(1), place)),
    (old) => flags.setCf(carry(old)),
  );
};

/** BT src, bit */
export const bt = bitTest(undefined);
/** BTS dst, bit */
export const bts = bitTest((c, old, mask) => c.b.or(old, mask));
/** BTR dst, bit */
export const btr = bitTest((c, old, mask) => c.b.and(old, c.b.not(mask)));
/** BTC dst, bit */
export const btc = bitTest((c, old, mask) => c.b.xor(old, mask));

/** Bit scans of 0 leave dst as it was (AMD says so, Intel does so). */
function scan(c: X86Context, found: (source: Value) => Value): void {
  const { b, flags } = c;
  const source = c.loadUnsigned(1);
  c.store(0, b.select(source, found(source), c.loadAny(0)));
  flags.setZf(source);
}

/** BSF dst, src */
export const bsf = (c: X86Context): void => scan(c, (source) => c.b.un(Op.ctz_i32, source));
/** BSR dst, src */
export const bsr = (c: X86Context): void => scan(c, (source) => c.b.xor(c.b.un(Op.clz_i32, source), c.b.i32(31)));

/** ZF and CF of LZCNT and TZCNT. */
function setCountFlags(c: X86Context, source: Value, count: Value): void {
  c.flags.setZf(count);
  c.flags.setCf(c.b.eqz(source));
}

/** LZCNT dst, src */
export function lzcnt(c: X86Context): void {
  const { b } = c;
  const source = c.loadUnsigned(1);
  const count = b.addImm(b.un(Op.clz_i32, source), 8 * c.size(0) - 32);
  c.store(0, count);
  setCountFlags(c, source, count);
}

/** TZCNT dst, src */
export function tzcnt(c: X86Context): void {
  const { b } = c;
  const source = c.loadUnsigned(1);
  const stop = c.size(0) === 2 ? b.or(source, b.i32(0x10000)) : source;
  const count = b.un(Op.ctz_i32, stop);
  c.store(0, count);
  setCountFlags(c, source, count);
}

/** POPCNT dst, src */
export function popcnt(c: X86Context): void {
  const { b, flags } = c;
  const source = c.loadUnsigned(1);
  c.store(0, b.un(Op.popcnt_i32, source));
  // SF = PF = 0: a result of 1 has neither.
  flags.setZf(source);
  flags.setNothing();
}

/** The bytes of a word the other way round. */
function reverse(c: X86Context, word: Value): Value {
  const { b } = c;
  return b.or(b.andImm(b.rotrImm(word, 8), 0xff00ff00), b.andImm(b.rotrImm(word, 24), 0x00ff00ff));
}

/** BSWAP reg; of 16 bits it gives 0, as hardware does */
export function bswap(c: X86Context): void {
  c.store(0, c.size(0) === 2 ? c.b.i32(0) : reverse(c, c.load(0)));
}

/** MOVBE dst, src */
export function movbe(c: X86Context): void {
  const value = reverse(c, c.loadUnsigned(1));
  c.store(0, c.size(0) === 2 ? c.b.shrUImm(value, 16) : value);
}

/** The Castagnoli polynomial with its bits the other way round. */
const castagnoli = 0x82f63b78;

const crc32Helper = defineHelper({
  name: 'crc32',
  pure: true,
  call(_cpu, crc, data, bytes) {
    let state = crc ^ (bytes === 4 ? data : data & (bytes === 1 ? 0xff : 0xffff));
    for (let i = 0; i < 8 * bytes; i++) state = (state >>> 1) ^ (state & 1 ? castagnoli : 0);
    return state;
  },
});

/** CRC32 dst, src */
export function crc32(c: X86Context): void {
  const { b } = c;
  c.store(0, b.helper(crc32Helper, true, c.load(0), c.loadUnsigned(1), b.i32(c.size(1))));
}
