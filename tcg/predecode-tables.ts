// What the predecoder makes of an op, by op number: chosen once, so that predecoding is a table look-up per op. The
// bundle has the values of this file in place of its code (scripts/build.ts).
import { fusedCompares, immediateOps, plainOps, t0Names, t0Opcodes } from './interpreter-ops.ts';
import { memoryAccess } from './memory-ops.ts';
import { Op, type OpName, opDefs, opNames, type ValueType } from './ops.ts';

export const Kind = { plain: 0, const32: 1, get: 2, set: 3, memory: 4, other: 5, marker: 6 } as const;

/** `Kind` by op. */
export const opKind: Uint8Array = new Uint8Array(opNames.length).fill(Kind.other);
/** T0 opcodes by op, -1 where there is none: the one of the same name; the one with a constant as second operand. */
export const plainCode: Int16Array = Int16Array.from(opNames, (name) => t0Opcodes[name] ?? -1);
export const immediateCode: Int16Array = new Int16Array(opNames.length).fill(-1);
/** The same, fused with the branch that ends the block. */
export const fusedCode: Int16Array = new Int16Array(opNames.length).fill(-1);
export const fusedImmediateCode: Int16Array = new Int16Array(opNames.length).fill(-1);
/** Loads and stores; those that a `probe` covers. */
export const memoryCode: Int16Array = new Int16Array(opNames.length).fill(-1);
export const probedCode: Int16Array = new Int16Array(opNames.length).fill(-1);
/** Moves a value of the type that the op reads from or writes to a slot. */
export const moveCode: Int16Array = new Int16Array(opNames.length).fill(-1);

const moves: Record<ValueType, number> = {
  i32: t0Opcodes.mov32!,
  i64: t0Opcodes.mov64!,
  f32: t0Opcodes.mov32!,
  f64: t0Opcodes.mov64!,
  v128: t0Opcodes.mov128!,
};

for (const [op, name] of opNames.entries()) {
  const { effect, result, args } = opDefs[op]!;
  if (op === Op.const_i32) opKind[op] = Kind.const32;
  else if (effect === 'marker') opKind[op] = Kind.marker;
  else if (effect === 'get' || effect === 'set') {
    opKind[op] = Kind[effect];
    moveCode[op] = moves[result ?? args[0]!];
  } else if (/^(load|store)/.test(name)) {
    opKind[op] = Kind.memory;
    memoryCode[op] = t0Opcodes[name]!;
    probedCode[op] = t0Opcodes[`${name}#probed`]!;
  }
}
for (const name of plainOps) opKind[Op[name]] = Kind.plain;
for (const name of immediateOps) immediateCode[Op[name]] = t0Opcodes[`${name}#imm`]!;
for (const name of fusedCompares) {
  fusedCode[Op[name]] = t0Opcodes[`branch#${name}`]!;
  fusedImmediateCode[Op[name]] = t0Opcodes[`branch#${name}#imm`]!;
}

/** By T0 opcode: bytes that it accesses in guest memory (0: none), and how (1 read, 2 write, 3 both). */
export const t0AccessBytes: Uint8Array = new Uint8Array(t0Names.length);
export const t0AccessKind: Uint8Array = new Uint8Array(t0Names.length);
for (const [code, name] of t0Names.entries()) {
  const access = memoryAccess[name.replace('#probed', '') as OpName];
  if (!access) continue;
  t0AccessBytes[code] = access.bytes;
  t0AccessKind[code] = name.startsWith('cmpxchg') ? 3 : access.write ? 2 : 1;
}
