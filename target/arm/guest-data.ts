import type { Builder, Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';

/** What a load or store moves between memory and a general register. */
export interface DataKind {
  readonly bytes: 1 | 2 | 4;
  readonly load: number;
  /** The load that leaves the upper bits 0. */
  readonly loadUnsigned: number;
  readonly store: number;
  readonly signed: boolean;
}

export const dataKinds = {
  word: { bytes: 4, load: Op.load_i32, loadUnsigned: Op.load_i32, store: Op.store_i32, signed: false },
  byte: { bytes: 1, load: Op.load8_u, loadUnsigned: Op.load8_u, store: Op.store8, signed: false },
  half: { bytes: 2, load: Op.load16_u, loadUnsigned: Op.load16_u, store: Op.store16, signed: false },
  signedByte: { bytes: 1, load: Op.load8_s, loadUnsigned: Op.load8_u, store: Op.store8, signed: true },
  signedHalf: { bytes: 2, load: Op.load16_s, loadUnsigned: Op.load16_u, store: Op.store16, signed: true },
} as const satisfies Record<string, DataKind>;

/** The bytes of a word the other way round. */
export function reverseWord(b: Builder, word: Value): Value {
  const even = b.andImm(b.rotrImm(word, 8), 0xff00ff00);
  return b.or(even, b.andImm(b.rotrImm(word, 24), 0x00ff00ff));
}

/** The lower two bytes of a word whose upper half is 0, exchanged. */
function reverseHalf(b: Builder, half: Value): Value {
  return b.or(b.andImm(b.shlImm(half, 8), 0xff00), b.shrUImm(half, 8));
}

/** Between memory and register order: nothing unless CPSR.E is set. `value` has no bits above its `bytes`. */
export function reorder(c: ArmContext, bytes: number, value: Value): Value {
  if (!c.bigEndian || bytes === 1) return value;
  return bytes === 2 ? reverseHalf(c.b, value) : reverseWord(c.b, value);
}

/** Loads from address + offset (0…4095) in the data order of CPSR.E, extended to 32 bits. */
export function loadData(c: ArmContext, kind: DataKind, address: Value, offset = 0, flags = 0): Value {
  const { b } = c;
  if (!c.bigEndian) return b.load(kind.load, address, offset, flags);
  const value = reorder(c, kind.bytes, b.load(kind.loadUnsigned, address, offset, flags));
  if (!kind.signed) return value;
  return b.un(kind.bytes === 1 ? Op.extend8_s_i32 : Op.extend16_s_i32, value);
}

/** Stores the low bytes of a register value to address + offset (0…4095) in the data order of CPSR.E. */
export function storeData(c: ArmContext, kind: DataKind, address: Value, value: Value, offset = 0, flags = 0): void {
  const { b } = c;
  const low = c.bigEndian && kind.bytes === 2 ? b.andImm(value, 0xffff) : value;
  b.store(kind.store, address, reorder(c, kind.bytes, low), offset, flags);
}
