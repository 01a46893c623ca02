/** The steps of an AES round (FIPS 197, 5.1 and 5.3) on a state of 16 bytes, by columns. */
import type { Builder, Value } from '../builder.ts';
import { Op } from '../ops.ts';
import { type SboxTables, sboxTables } from './aes-tables.ts';
import { bytesOf, constantBytes, everyByte, shuffleBytes } from './vector.ts';

let forward: SboxTables | undefined;
let backward: SboxTables | undefined;

const xor = (b: Builder, x: Value, y: Value): Value => b.bin(Op.xor_v128, x, y);

/** SubBytes or InvSubBytes but for the constant: see `aes-tables.ts`. */
function substituted(b: Builder, x: Value, tables: SboxTables): Value {
  const mask = everyByte(b, 15);
  const high = (value: Value): Value => b.bin(Op.shr_u_i8x16, value, b.i32(4));
  const low = (value: Value): Value => b.bin(Op.and_v128, value, mask);
  const lookup = (table: Value, index: Value): Value => b.bin(Op.swizzle_i8x16, table, index);
  const table = (bytes: readonly number[]): Value => constantBytes(b, bytes);
  const parts = xor(b, lookup(table(tables.low), low(x)), lookup(table(tables.high), high(x)));
  const i = high(parts);
  const k = low(parts);
  const j = xor(b, i, k);
  const inverse = table(tables.inverse);
  const quotient = lookup(table(tables.quotient), k);
  const io = xor(b, lookup(inverse, xor(b, lookup(inverse, i), quotient)), j);
  const jo = xor(b, lookup(inverse, xor(b, lookup(inverse, j), quotient)), i);
  return xor(b, lookup(table(tables.u), io), lookup(table(tables.t), jo));
}

export function subBytes(b: Builder, x: Value): Value {
  forward ??= sboxTables(false);
  return xor(b, substituted(b, x, forward), everyByte(b, 0x63));
}

export function invSubBytes(b: Builder, x: Value): Value {
  backward ??= sboxTables(true);
  return substituted(b, xor(b, x, everyByte(b, 0x63)), backward);
}

/** Byte r + 4·col of the state comes from the column `by` · r further on. */
const rowsShifted = (b: Builder, x: Value, by: number): Value =>
  shuffleBytes(
    b,
    x,
    x,
    bytesOf((i) => (i & 3) | ((((i >> 2) + by * (i & 3)) & 3) << 2)),
  );

export const shiftRows = (b: Builder, x: Value): Value => rowsShifted(b, x, 1);
export const invShiftRows = (b: Builder, x: Value): Value => rowsShifted(b, x, -1);

/** Each byte times x in AES's field. */
function doubled(b: Builder, x: Value): Value {
  const carry = b.bin(Op.and_v128, b.bin(Op.shr_s_i8x16, x, b.i32(7)), everyByte(b, 0x1b));
  return xor(b, b.bin(Op.add_i8x16, x, x), carry);
}

/** The bytes of each column moved up by `by`. */
const columnsTurned = (b: Builder, x: Value, by: number): Value =>
  shuffleBytes(
    b,
    x,
    x,
    bytesOf((i) => (i & 12) | ((i + by) & 3)),
  );

/** 2·s(r) + 3·s(r+1) + s(r+2) + s(r+3). */
export function mixColumns(b: Builder, x: Value): Value {
  const next = columnsTurned(b, x, 1);
  const pairs = xor(b, x, next);
  return xor(b, xor(b, doubled(b, pairs), next), columnsTurned(b, pairs, 2));
}

/** MixColumns after adding 4·(s(r) + s(r+2)) to each byte. */
export function invMixColumns(b: Builder, x: Value): Value {
  const opposite = xor(b, x, columnsTurned(b, x, 2));
  return mixColumns(b, xor(b, x, doubled(b, doubled(b, opposite))));
}
