import { Op, type OpName, opDefs, opNames } from './ops.ts';

/**
 * The instructions of the interpreter (T0): what predecoded IR in memory 1 consists of. Each is an opcode word
 * followed by operand words. A cell operand is the wasm address in memory 0 of a state slot or temporary.
 *
 * Derived from the IR op table:
 *   <op>          dst, a, b, c cells as the op has them
 *   <op>#imm      i32 binary op: dst cell, a cell, b as a constant
 *   branch#<cmp>  a compare fused with the branch that ends a block
 * The order is fixed by the op table, so that a prebuilt interpreter and the predecoder agree.
 */
export type T0Name = string;

/** i32 comparisons that fuse with `branch`. */
export const fusedCompares = [
  'eq_i32',
  'ne_i32',
  'lt_s_i32',
  'lt_u_i32',
  'gt_s_i32',
  'gt_u_i32',
  'le_s_i32',
  'le_u_i32',
  'ge_s_i32',
  'ge_u_i32',
] as const satisfies readonly OpName[];

const memoryOps = opNames.filter((name) => /^(load|store)/.test(name));
const cmpxchgOps = opNames.filter((name) => name.startsWith('cmpxchg'));

/** Pure ops with wasm bytes and without lane immediates: emitted straight from the table. */
export const plainOps = opNames.filter((_name, op) => {
  const def = opDefs[op]!;
  return def.effect === 'pure' && def.wasm !== undefined && def.immediates === undefined;
});
/** Plain i32 binary ops, which also have an `#imm` form. */
export const immediateOps = plainOps.filter((name) => {
  const def = opDefs[Op[name]]!;
  return def.args.length === 2 && def.args[0] === 'i32' && def.args[1] === 'i32';
});

export const t0Names: readonly T0Name[] = [
  // control
  'enter', // count, pc, instructions; in machine mode the key of its code page
  'guard', // address in the second page of the block's code, its key, pc; only in machine mode
  'region', // table index, pc
  'jump', // link, pc
  'branch', // cell, link, pc, link, pc
  'indirect', // cell
  'call_indirect', // cell, PC it went to last (0 before), the one before that which was another
  'switch', // cell, entries, pc…
  'exit', // cell, reason, pc
  'syscall', // cell, pc
  'skip', // target
  'count', // instructions, their count so far (two words); only under --stats and --profile
  'if', // cell, target if zero
  // moves
  'const32', // dst, value
  'const64', // dst, low, high
  'const128', // dst, 4 words
  'mov32', // dst, src
  'mov64',
  'mov128',
  'mov8_u', // dst, src (byte address)
  'mov8_s',
  'mov16_u',
  'mov16_s',
  'insert8', // dst, vector, value, lane byte offset
  'insert16',
  'insert32',
  'insert64',
  'shuffle', // dst, a, b, 4 words
  // memory: dst/value cell, address cell, offset
  ...memoryOps,
  ...memoryOps.map((name) => `${name}#probed`),
  ...cmpxchgOps, // dst, address, expected, replacement, offset
  'probe', // address cell, bytes, access
  'fence',
  'helper', // dst, helper, a, b, c
  'fpnan2_f32',
  'fpnan2_f64',
  'fpnan1_f32',
  'fpnan1_f64',
  ...plainOps,
  ...immediateOps.map((name) => `${name}#imm`),
  ...fusedCompares.map((name) => `branch#${name}`), // a, b, link, pc, link, pc
  ...fusedCompares.map((name) => `branch#${name}#imm`),
];

/** Opcode by name. */
export const t0Opcodes: Readonly<Record<T0Name, number>> = Object.fromEntries(
  t0Names.map((name, index) => [name, index]),
);

/** Where things are in memory 1, the engine's own memory (byte addresses). */
export const engineMemory = {
  /** Pages of 64 KiB: 64 MiB of address space, of which only what is used is resident. */
  pages: 1024,
  /** Interpreter jump cache: 2^14 entries {PC, code address}, indexed by PC bits 14…1. */
  jumpCache: 0x1000,
  /** Guest instructions run in regions so far, 64 bits; counted only under --stats. */
  regionCounter: 0x800,
  /** Which entries of both jump caches are in use: a length, then their word numbers, as far as there is room. */
  jumpList: 0x808,
  /** Region jump cache: 2^14 entries {PC, table index}. */
  regionCache: 0x21000,
  cacheEntries: 1 << 14,
  /** Predecoded code from here to the end. */
  code: 0x41000,
} as const;

/** Byte offset of a cache entry: PC shifted left by 2, under this mask. */
export const jumpCacheMask = (engineMemory.cacheEntries - 1) << 3;
