// Facts about ops by op number, as arrays: what builder and passes ask of each op they see. The bundle has the values
// of this file in place of its code (scripts/build.ts).
import { Op, type OpDef, type OpName, opDefs, opNames, type ValueType, valueBytes } from './ops.ts';

const byOp = (fact: (def: OpDef, name: OpName) => number): Uint8Array =>
  Uint8Array.from(opNames, (name, op) => fact(opDefs[op]!, name));

/** Number of operands. */
export const argCount: Uint8Array = byOp(({ args }) => args.length);

/** 1 if the operands may change places. */
export const commutes: Uint8Array = byOp(({ commutative }) => (commutative ? 1 : 0));

/** A value type as a number; 0 is none. */
export const TypeCode = { i32: 1, i64: 2, f32: 3, f64: 4, v128: 5 } as const satisfies Record<ValueType, number>;

/** The result's `TypeCode`. */
export const resultType: Uint8Array = byOp(({ result }) => (result ? TypeCode[result] : 0));

/** Bytes of the slot that the op reads or writes. */
export const slotBytes: Uint8Array = byOp(({ effect, result, args }) =>
  effect === 'get' || effect === 'set' ? valueBytes[result ?? args[0]!] : 0,
);

/** What the dead code pass does with an op. */
export const Action = {
  keep: 0,
  pure: 1,
  get: 2,
  set: 3,
  mayFault: 4,
  helper: 5,
  structure: 6,
  terminal: 7,
} as const;

/** `Action` by op. */
export const actions: Uint8Array = byOp(({ effect }) => {
  if (effect === 'load' || effect === 'store' || effect === 'probe') return Action.mayFault;
  return effect === 'fence' || effect === 'marker' ? Action.keep : Action[effect];
});

/** Comparison that is true exactly where the op is false; 0 where there is none (floats: unordered). */
export const inverse: Uint16Array = new Uint16Array(opNames.length);
for (const type of ['i32', 'i64']) {
  for (const [one, other] of ['eq ne', 'lt_s ge_s', 'gt_s le_s', 'lt_u ge_u', 'gt_u le_u'].map((s) => s.split(' '))) {
    inverse[Op[`${one}_${type}` as OpName]] = Op[`${other}_${type}` as OpName];
    inverse[Op[`${other}_${type}` as OpName]] = Op[`${one}_${type}` as OpName];
  }
}
for (const type of ['f32', 'f64']) {
  inverse[Op[`eq_${type}` as OpName]] = Op[`ne_${type}` as OpName];
  inverse[Op[`ne_${type}` as OpName]] = Op[`eq_${type}` as OpName];
}

/** Bits an op's i32 result can have set, as far as its name tells. */
export const resultBits: Int32Array = Int32Array.from(opNames, (name) => {
  if (/^(eqz|eq|ne|[lg][te](_[su])?)_[if](32|64)$/.test(name) || name === 'any_true_v128') return 1;
  if (/^(load8_u|cmpxchg8|extract_lane_u_i8x16)$/.test(name)) return 0xff;
  if (/^(load16_u|cmpxchg16|extract_lane_u_i16x8)$/.test(name)) return 0xffff;
  return /^(clz|ctz|popcnt)_i32$/.test(name) ? 63 : -1;
});
