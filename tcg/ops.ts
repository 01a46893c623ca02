/**
 * The IR op table: everything the verifier, text form, optimizer, interpreter and wasm backend know about an op.
 *
 * An op has up to three SSA operands (a, b, c: indices of earlier ops in the block), immediates (x, y, z: 32-bit
 * words) and at most one result. An op with `wasm` bytes is emitted as: push a, b, c; append the bytes. The others
 * are emitted by name in the two backends, which throw at an op they have no case for.
 *
 * Semantics are WebAssembly's unless the op says otherwise: shifts and rotates take the amount modulo the width,
 * comparisons give i32 0 or 1, arithmetic wraps, float results that are NaN have unspecified bits (see `fpnan*`).
 */

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** Bytes of a value, and so of the state slot that holds one. */
export const valueBytes: Readonly<Record<ValueType, number>> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };

/** What an immediate means; drives printing, parsing and verification. */
export type ImmediateKind =
  /** 32-bit integer. */
  | 'int'
  /** Second word of a 64-bit constant begun by the `int` before it. */
  | 'high'
  /** Byte offset of a state slot in the CPU page. */
  | 'slot'
  /** Unsigned byte offset added to a guest address, 0…4095. */
  | 'offset'
  /** Bytes accessed. */
  | 'size'
  /** Access bits: 1 read, 2 write. */
  | 'access'
  /** Guest PC in the target's encoding. */
  | 'pc'
  /** `ExitReason`. */
  | 'reason'
  /** SIMD lane. */
  | 'lane'
  /** Index into `Target.helpers`. */
  | 'helper'
  /** Index into `IrBlock.tables`. */
  | 'table'
  /** Target-defined word of `insn` (ARM: ITSTATE). */
  | 'aux';

export type Effect =
  /** Result depends on the operands only; may be removed, duplicated, moved. */
  | 'pure'
  /** Reads a state slot. */
  | 'get'
  /** Writes a state slot. */
  | 'set'
  /** Reads guest memory; may fault. */
  | 'load'
  /** Writes guest memory; may fault. */
  | 'store'
  /** May fault, touches nothing. */
  | 'probe'
  /** Calls a helper: reads and writes any state and memory. */
  | 'helper'
  /** Orders memory. */
  | 'fence'
  /** Structured `if`/`else`/`endif`. */
  | 'structure'
  /** Leaves the block: last op of a block or of an `if`/`else` body. */
  | 'terminal'
  /** Marks a guest instruction. */
  | 'marker';

export interface OpDef {
  readonly args: readonly ValueType[];
  readonly result?: ValueType;
  /** Meaning of x, y, z in order. */
  readonly immediates?: readonly ImmediateKind[];
  /** True: 16 immediate bytes in z, x, y and `w`. */
  readonly bytes16?: true;
  readonly effect: Effect;
  readonly wasm?: readonly number[];
  /** Constant folding for i32-only ops; undefined result: do not fold. */
  readonly fold?: (a: number, b: number, c: number) => number | undefined;
  readonly commutative?: true;
}

const unary = (type: ValueType, result: ValueType, wasm: number | readonly number[], fold?: (a: number) => number) =>
  ({
    args: [type],
    result,
    effect: 'pure',
    wasm: typeof wasm === 'number' ? [wasm] : wasm,
    ...(fold && { fold }),
  }) as const;
const binary = (
  type: ValueType,
  result: ValueType,
  wasm: number | readonly number[],
  fold?: (a: number, b: number) => number | undefined,
) =>
  ({
    args: [type, type],
    result,
    effect: 'pure',
    wasm: typeof wasm === 'number' ? [wasm] : wasm,
    ...(fold && { fold }),
  }) as const;
const commuting = (
  type: ValueType,
  result: ValueType,
  wasm: number | readonly number[],
  fold?: (a: number, b: number) => number,
) => ({ ...binary(type, result, wasm, fold), commutative: true }) as const;

/** SIMD opcode bytes: prefix 0xfd and the opcode as LEB128. */
const simd = (opcode: number): readonly number[] =>
  opcode < 128 ? [0xfd, opcode] : [0xfd, (opcode & 127) | 128, opcode >> 7];
const simdUnary = (opcode: number) => ({ args: ['v128'], result: 'v128', effect: 'pure', wasm: simd(opcode) }) as const;
const simdBinary = (opcode: number) =>
  ({ args: ['v128', 'v128'], result: 'v128', effect: 'pure', wasm: simd(opcode) }) as const;
const simdShift = (opcode: number) =>
  ({ args: ['v128', 'i32'], result: 'v128', effect: 'pure', wasm: simd(opcode) }) as const;
const simdTest = (opcode: number) => ({ args: ['v128'], result: 'i32', effect: 'pure', wasm: simd(opcode) }) as const;
const splat = (type: ValueType, opcode: number) =>
  ({ args: [type], result: 'v128', effect: 'pure', wasm: simd(opcode) }) as const;
/** Lane ops: the lane (x) is emitted after the opcode. */
const extractLane = (type: ValueType, opcode: number) =>
  ({ args: ['v128'], result: type, immediates: ['lane'], effect: 'pure', wasm: simd(opcode) }) as const;
const replaceLane = (type: ValueType, opcode: number) =>
  ({ args: ['v128', type], result: 'v128', immediates: ['lane'], effect: 'pure', wasm: simd(opcode) }) as const;

const get = (type: ValueType) => ({ args: [], result: type, immediates: ['slot'], effect: 'get' }) as const;
const set = (type: ValueType) => ({ args: [type], immediates: ['slot'], effect: 'set' }) as const;
/** Loads and stores: a = guest address, x = constant byte offset added to it (mod 2^32), y = `MemoryFlag` bits. */
const load = (type: ValueType) =>
  ({ args: ['i32'], result: type, immediates: ['offset', 'int'], effect: 'load' }) as const;
const store = (type: ValueType) => ({ args: ['i32', type], immediates: ['offset', 'int'], effect: 'store' }) as const;
const cmpxchg = (type: ValueType) =>
  ({ args: ['i32', type, type], result: type, immediates: ['offset', 'int'], effect: 'store' }) as const;

export const opTable = {
  // ---- constants
  const_i32: { args: [], result: 'i32', immediates: ['int'], effect: 'pure' },
  const_i64: { args: [], result: 'i64', immediates: ['int', 'high'], effect: 'pure' },
  /** x = the bits. */
  const_f32: { args: [], result: 'f32', immediates: ['int'], effect: 'pure' },
  /** x, y = low and high word of the bits. */
  const_f64: { args: [], result: 'f64', immediates: ['int', 'high'], effect: 'pure' },
  const_v128: { args: [], result: 'v128', bytes16: true, effect: 'pure' },

  // ---- guest state; x = byte offset in the CPU page. Slots of different types may overlap.
  get_i32: get('i32'),
  get_i64: get('i64'),
  get_f32: get('f32'),
  get_f64: get('f64'),
  get_v128: get('v128'),
  set_i32: set('i32'),
  set_i64: set('i64'),
  set_f32: set('f32'),
  set_f64: set('f64'),
  set_v128: set('v128'),

  // ---- guest memory (little-endian, any alignment)
  load8_u: load('i32'),
  load8_s: load('i32'),
  load16_u: load('i32'),
  load16_s: load('i32'),
  load_i32: load('i32'),
  load_i64: load('i64'),
  load_f32: load('f32'),
  load_f64: load('f64'),
  load_v128: load('v128'),
  store8: store('i32'),
  store16: store('i32'),
  store_i32: store('i32'),
  store_i64: store('i64'),
  store_f32: store('f32'),
  store_f64: store('f64'),
  store_v128: store('v128'),
  /** Faults as an access of x bytes (y: 1 read, 2 write) at a would; accesses it covers may be `MemoryFlag.probed`. */
  probe: { args: ['i32'], immediates: ['size', 'access'], effect: 'probe' },
  /**
   * Atomic compare and exchange at a (naturally aligned: the front end has tested that): if memory = b, store c.
   * b must be zero-extended from the access's size.
   * Result: what memory held, zero-extended. Sequentially consistent.
   */
  cmpxchg8: cmpxchg('i32'),
  cmpxchg16: cmpxchg('i32'),
  cmpxchg_i32: cmpxchg('i32'),
  cmpxchg_i64: cmpxchg('i64'),
  fence: { args: [], effect: 'fence', wasm: [0xfe, 0x03, 0x00] },

  // ---- i32
  add_i32: commuting('i32', 'i32', 0x6a, (a, b) => (a + b) | 0),
  sub_i32: binary('i32', 'i32', 0x6b, (a, b) => (a - b) | 0),
  mul_i32: commuting('i32', 'i32', 0x6c, (a, b) => Math.imul(a, b)),
  /** The divisor must not be 0, nor the quotient 2^31: the front end guards with `select`. The same for all divisions. */
  div_s_i32: binary('i32', 'i32', 0x6d, (a, b) =>
    b === 0 || (b === -1 && a === -0x80000000) ? undefined : (a / b) | 0,
  ),
  div_u_i32: binary('i32', 'i32', 0x6e, (a, b) => (b === 0 ? undefined : ((a >>> 0) / (b >>> 0)) | 0)),
  rem_s_i32: binary('i32', 'i32', 0x6f, (a, b) => (b === 0 ? undefined : (a % b) | 0)),
  rem_u_i32: binary('i32', 'i32', 0x70, (a, b) => (b === 0 ? undefined : ((a >>> 0) % (b >>> 0)) | 0)),
  and_i32: commuting('i32', 'i32', 0x71, (a, b) => a & b),
  or_i32: commuting('i32', 'i32', 0x72, (a, b) => a | b),
  xor_i32: commuting('i32', 'i32', 0x73, (a, b) => a ^ b),
  shl_i32: binary('i32', 'i32', 0x74, (a, b) => a << b),
  shr_s_i32: binary('i32', 'i32', 0x75, (a, b) => a >> b),
  shr_u_i32: binary('i32', 'i32', 0x76, (a, b) => (a >>> b) | 0),
  rotl_i32: binary('i32', 'i32', 0x77, (a, b) => (a << (b & 31)) | (a >>> (32 - (b & 31)))),
  rotr_i32: binary('i32', 'i32', 0x78, (a, b) => (b & 31 ? (a >>> (b & 31)) | (a << (32 - (b & 31))) : a)),
  clz_i32: unary('i32', 'i32', 0x67, (a) => Math.clz32(a)),
  ctz_i32: unary('i32', 'i32', 0x68, (a) => (a === 0 ? 32 : 31 - Math.clz32(a & -a))),
  popcnt_i32: unary('i32', 'i32', 0x69),
  eqz_i32: unary('i32', 'i32', 0x45, (a) => (a === 0 ? 1 : 0)),
  eq_i32: commuting('i32', 'i32', 0x46, (a, b) => (a === b ? 1 : 0)),
  ne_i32: commuting('i32', 'i32', 0x47, (a, b) => (a !== b ? 1 : 0)),
  lt_s_i32: binary('i32', 'i32', 0x48, (a, b) => (a < b ? 1 : 0)),
  lt_u_i32: binary('i32', 'i32', 0x49, (a, b) => (a >>> 0 < b >>> 0 ? 1 : 0)),
  gt_s_i32: binary('i32', 'i32', 0x4a, (a, b) => (a > b ? 1 : 0)),
  gt_u_i32: binary('i32', 'i32', 0x4b, (a, b) => (a >>> 0 > b >>> 0 ? 1 : 0)),
  le_s_i32: binary('i32', 'i32', 0x4c, (a, b) => (a <= b ? 1 : 0)),
  le_u_i32: binary('i32', 'i32', 0x4d, (a, b) => (a >>> 0 <= b >>> 0 ? 1 : 0)),
  ge_s_i32: binary('i32', 'i32', 0x4e, (a, b) => (a >= b ? 1 : 0)),
  ge_u_i32: binary('i32', 'i32', 0x4f, (a, b) => (a >>> 0 >= b >>> 0 ? 1 : 0)),
  extend8_s_i32: unary('i32', 'i32', 0xc0, (a) => (a << 24) >> 24),
  extend16_s_i32: unary('i32', 'i32', 0xc1, (a) => (a << 16) >> 16),
  /** c ≠ 0 ? a : b (both are always evaluated). */
  select_i32: {
    args: ['i32', 'i32', 'i32'],
    result: 'i32',
    effect: 'pure',
    wasm: [0x1b],
    fold: (a, b, c) => (c ? a : b),
  },

  // ---- i64
  add_i64: commuting('i64', 'i64', 0x7c),
  sub_i64: binary('i64', 'i64', 0x7d),
  mul_i64: commuting('i64', 'i64', 0x7e),
  div_s_i64: binary('i64', 'i64', 0x7f),
  div_u_i64: binary('i64', 'i64', 0x80),
  rem_s_i64: binary('i64', 'i64', 0x81),
  rem_u_i64: binary('i64', 'i64', 0x82),
  and_i64: commuting('i64', 'i64', 0x83),
  or_i64: commuting('i64', 'i64', 0x84),
  xor_i64: commuting('i64', 'i64', 0x85),
  shl_i64: binary('i64', 'i64', 0x86),
  shr_s_i64: binary('i64', 'i64', 0x87),
  shr_u_i64: binary('i64', 'i64', 0x88),
  rotl_i64: binary('i64', 'i64', 0x89),
  rotr_i64: binary('i64', 'i64', 0x8a),
  clz_i64: unary('i64', 'i64', 0x79),
  ctz_i64: unary('i64', 'i64', 0x7a),
  popcnt_i64: unary('i64', 'i64', 0x7b),
  eqz_i64: unary('i64', 'i32', 0x50),
  eq_i64: commuting('i64', 'i32', 0x51),
  ne_i64: commuting('i64', 'i32', 0x52),
  lt_s_i64: binary('i64', 'i32', 0x53),
  lt_u_i64: binary('i64', 'i32', 0x54),
  gt_s_i64: binary('i64', 'i32', 0x55),
  gt_u_i64: binary('i64', 'i32', 0x56),
  le_s_i64: binary('i64', 'i32', 0x57),
  le_u_i64: binary('i64', 'i32', 0x58),
  ge_s_i64: binary('i64', 'i32', 0x59),
  ge_u_i64: binary('i64', 'i32', 0x5a),
  wrap_i64: unary('i64', 'i32', 0xa7),
  extend_s_i64: unary('i32', 'i64', 0xac),
  extend_u_i64: unary('i32', 'i64', 0xad),
  select_i64: { args: ['i64', 'i64', 'i32'], result: 'i64', effect: 'pure', wasm: [0x1b] },

  // ---- f32, f64: IEEE 754 round to nearest even, denormals kept
  add_f32: binary('f32', 'f32', 0x92),
  sub_f32: binary('f32', 'f32', 0x93),
  mul_f32: binary('f32', 'f32', 0x94),
  div_f32: binary('f32', 'f32', 0x95),
  sqrt_f32: unary('f32', 'f32', 0x91),
  /** Sign-bit operations: exact on NaN. */
  abs_f32: unary('f32', 'f32', 0x8b),
  neg_f32: unary('f32', 'f32', 0x8c),
  ceil_f32: unary('f32', 'f32', 0x8d),
  floor_f32: unary('f32', 'f32', 0x8e),
  trunc_f32: unary('f32', 'f32', 0x8f),
  nearest_f32: unary('f32', 'f32', 0x90),
  eq_f32: commuting('f32', 'i32', 0x5b),
  ne_f32: commuting('f32', 'i32', 0x5c),
  lt_f32: binary('f32', 'i32', 0x5d),
  gt_f32: binary('f32', 'i32', 0x5e),
  le_f32: binary('f32', 'i32', 0x5f),
  ge_f32: binary('f32', 'i32', 0x60),
  add_f64: binary('f64', 'f64', 0xa0),
  sub_f64: binary('f64', 'f64', 0xa1),
  mul_f64: binary('f64', 'f64', 0xa2),
  div_f64: binary('f64', 'f64', 0xa3),
  sqrt_f64: unary('f64', 'f64', 0x9f),
  abs_f64: unary('f64', 'f64', 0x99),
  neg_f64: unary('f64', 'f64', 0x9a),
  ceil_f64: unary('f64', 'f64', 0x9b),
  floor_f64: unary('f64', 'f64', 0x9c),
  trunc_f64: unary('f64', 'f64', 0x9d),
  nearest_f64: unary('f64', 'f64', 0x9e),
  eq_f64: commuting('f64', 'i32', 0x61),
  ne_f64: commuting('f64', 'i32', 0x62),
  lt_f64: binary('f64', 'i32', 0x63),
  gt_f64: binary('f64', 'i32', 0x64),
  le_f64: binary('f64', 'i32', 0x65),
  ge_f64: binary('f64', 'i32', 0x66),
  select_f32: { args: ['f32', 'f32', 'i32'], result: 'f32', effect: 'pure', wasm: [0x1b] },
  select_f64: { args: ['f64', 'f64', 'i32'], result: 'f64', effect: 'pure', wasm: [0x1b] },
  demote_f64: unary('f64', 'f32', 0xb6),
  promote_f32: unary('f32', 'f64', 0xbb),
  convert_s_i32_f32: unary('i32', 'f32', 0xb2),
  convert_u_i32_f32: unary('i32', 'f32', 0xb3),
  convert_s_i64_f32: unary('i64', 'f32', 0xb4),
  convert_u_i64_f32: unary('i64', 'f32', 0xb5),
  convert_s_i32_f64: unary('i32', 'f64', 0xb7),
  convert_u_i32_f64: unary('i32', 'f64', 0xb8),
  convert_s_i64_f64: unary('i64', 'f64', 0xb9),
  convert_u_i64_f64: unary('i64', 'f64', 0xba),
  /** Round toward zero, saturate, NaN to 0. */
  trunc_sat_s_f32_i32: unary('f32', 'i32', [0xfc, 0]),
  trunc_sat_u_f32_i32: unary('f32', 'i32', [0xfc, 1]),
  trunc_sat_s_f64_i32: unary('f64', 'i32', [0xfc, 2]),
  trunc_sat_u_f64_i32: unary('f64', 'i32', [0xfc, 3]),
  trunc_sat_s_f32_i64: unary('f32', 'i64', [0xfc, 4]),
  trunc_sat_u_f32_i64: unary('f32', 'i64', [0xfc, 5]),
  trunc_sat_s_f64_i64: unary('f64', 'i64', [0xfc, 6]),
  trunc_sat_u_f64_i64: unary('f64', 'i64', [0xfc, 7]),
  bits_f32: unary('f32', 'i32', 0xbc),
  bits_f64: unary('f64', 'i64', 0xbd),
  from_bits_f32: unary('i32', 'f32', 0xbe),
  from_bits_f64: unary('i64', 'f64', 0xbf),
  /**
   * ARM FPProcessNaNs (DDI 0406C A2.7.7): a is the native result of an operation on b and c. If a is a NaN, the
   * result is the first signalling NaN of b, c made quiet, else the first quiet NaN, else the default NaN 0x7ff8…;
   * otherwise a itself.
   */
  fpnan2_f32: { args: ['f32', 'f32', 'f32'], result: 'f32', effect: 'pure' },
  fpnan2_f64: { args: ['f64', 'f64', 'f64'], result: 'f64', effect: 'pure' },
  /** The same for one operand b. */
  fpnan1_f32: { args: ['f32', 'f32'], result: 'f32', effect: 'pure' },
  fpnan1_f64: { args: ['f64', 'f64'], result: 'f64', effect: 'pure' },

  // ---- v128
  splat_i8x16: splat('i32', 0x0f),
  splat_i16x8: splat('i32', 0x10),
  splat_i32x4: splat('i32', 0x11),
  splat_i64x2: splat('i64', 0x12),
  splat_f32x4: splat('f32', 0x13),
  splat_f64x2: splat('f64', 0x14),
  extract_lane_s_i8x16: extractLane('i32', 0x15),
  extract_lane_u_i8x16: extractLane('i32', 0x16),
  replace_lane_i8x16: replaceLane('i32', 0x17),
  extract_lane_s_i16x8: extractLane('i32', 0x18),
  extract_lane_u_i16x8: extractLane('i32', 0x19),
  replace_lane_i16x8: replaceLane('i32', 0x1a),
  extract_lane_i32x4: extractLane('i32', 0x1b),
  replace_lane_i32x4: replaceLane('i32', 0x1c),
  extract_lane_i64x2: extractLane('i64', 0x1d),
  replace_lane_i64x2: replaceLane('i64', 0x1e),
  extract_lane_f32x4: extractLane('f32', 0x1f),
  replace_lane_f32x4: replaceLane('f32', 0x20),
  extract_lane_f64x2: extractLane('f64', 0x21),
  replace_lane_f64x2: replaceLane('f64', 0x22),
  /** Bytes of a (0–15) and b (16–31) picked by the 16 immediate bytes. */
  shuffle_i8x16: { args: ['v128', 'v128'], result: 'v128', bytes16: true, effect: 'pure' },
  /** Bytes of a picked by the bytes of b; 0 where b ≥ 16. */
  swizzle_i8x16: simdBinary(0x0e),
  not_v128: simdUnary(0x4d),
  and_v128: simdBinary(0x4e),
  andnot_v128: simdBinary(0x4f),
  or_v128: simdBinary(0x50),
  xor_v128: simdBinary(0x51),
  /** Bits of a where c is 1, of b where it is 0. */
  bitselect_v128: { args: ['v128', 'v128', 'v128'], result: 'v128', effect: 'pure', wasm: simd(0x52) },
  any_true_v128: simdTest(0x53),
  select_v128: { args: ['v128', 'v128', 'i32'], result: 'v128', effect: 'pure', wasm: [0x1b] },
  eq_i8x16: simdBinary(0x23),
  gt_s_i8x16: simdBinary(0x27),
  gt_u_i8x16: simdBinary(0x28),
  ge_s_i8x16: simdBinary(0x2b),
  ge_u_i8x16: simdBinary(0x2c),
  eq_i16x8: simdBinary(0x2d),
  gt_s_i16x8: simdBinary(0x31),
  gt_u_i16x8: simdBinary(0x32),
  ge_s_i16x8: simdBinary(0x35),
  ge_u_i16x8: simdBinary(0x36),
  eq_i32x4: simdBinary(0x37),
  gt_s_i32x4: simdBinary(0x3b),
  gt_u_i32x4: simdBinary(0x3c),
  ge_s_i32x4: simdBinary(0x3f),
  ge_u_i32x4: simdBinary(0x40),
  eq_i64x2: simdBinary(0xd6),
  abs_i8x16: simdUnary(0x60),
  neg_i8x16: simdUnary(0x61),
  popcnt_i8x16: simdUnary(0x62),
  shl_i8x16: simdShift(0x6b),
  shr_s_i8x16: simdShift(0x6c),
  shr_u_i8x16: simdShift(0x6d),
  add_i8x16: simdBinary(0x6e),
  add_sat_s_i8x16: simdBinary(0x6f),
  add_sat_u_i8x16: simdBinary(0x70),
  sub_i8x16: simdBinary(0x71),
  sub_sat_s_i8x16: simdBinary(0x72),
  sub_sat_u_i8x16: simdBinary(0x73),
  min_s_i8x16: simdBinary(0x76),
  min_u_i8x16: simdBinary(0x77),
  max_s_i8x16: simdBinary(0x78),
  max_u_i8x16: simdBinary(0x79),
  avgr_u_i8x16: simdBinary(0x7b),
  abs_i16x8: simdUnary(0x80),
  neg_i16x8: simdUnary(0x81),
  shl_i16x8: simdShift(0x8b),
  shr_s_i16x8: simdShift(0x8c),
  shr_u_i16x8: simdShift(0x8d),
  add_i16x8: simdBinary(0x8e),
  add_sat_s_i16x8: simdBinary(0x8f),
  add_sat_u_i16x8: simdBinary(0x90),
  sub_i16x8: simdBinary(0x91),
  sub_sat_s_i16x8: simdBinary(0x92),
  sub_sat_u_i16x8: simdBinary(0x93),
  mul_i16x8: simdBinary(0x95),
  min_s_i16x8: simdBinary(0x96),
  min_u_i16x8: simdBinary(0x97),
  max_s_i16x8: simdBinary(0x98),
  max_u_i16x8: simdBinary(0x99),
  avgr_u_i16x8: simdBinary(0x9b),
  abs_i32x4: simdUnary(0xa0),
  neg_i32x4: simdUnary(0xa1),
  shl_i32x4: simdShift(0xab),
  shr_s_i32x4: simdShift(0xac),
  shr_u_i32x4: simdShift(0xad),
  add_i32x4: simdBinary(0xae),
  sub_i32x4: simdBinary(0xb1),
  mul_i32x4: simdBinary(0xb5),
  min_s_i32x4: simdBinary(0xb6),
  min_u_i32x4: simdBinary(0xb7),
  max_s_i32x4: simdBinary(0xb8),
  max_u_i32x4: simdBinary(0xb9),
  abs_i64x2: simdUnary(0xc0),
  neg_i64x2: simdUnary(0xc1),
  shl_i64x2: simdShift(0xcb),
  shr_s_i64x2: simdShift(0xcc),
  shr_u_i64x2: simdShift(0xcd),
  add_i64x2: simdBinary(0xce),
  sub_i64x2: simdBinary(0xd1),
  mul_i64x2: simdBinary(0xd5),
  narrow_s_i16x8: simdBinary(0x65),
  narrow_u_i16x8: simdBinary(0x66),
  narrow_s_i32x4: simdBinary(0x85),
  narrow_u_i32x4: simdBinary(0x86),
  extend_low_s_i8x16: simdUnary(0x87),
  extend_low_u_i8x16: simdUnary(0x89),
  extend_low_s_i16x8: simdUnary(0xa7),
  extend_low_u_i16x8: simdUnary(0xa9),
  extend_low_s_i32x4: simdUnary(0xc7),
  extend_low_u_i32x4: simdUnary(0xc9),
  extend_high_s_i8x16: simdUnary(0x88),
  extend_high_u_i8x16: simdUnary(0x8a),
  extend_high_s_i16x8: simdUnary(0xa8),
  extend_high_u_i16x8: simdUnary(0xaa),
  extend_high_s_i32x4: simdUnary(0xc8),
  extend_high_u_i32x4: simdUnary(0xca),
  /** Products of the extended low (high) halves. */
  extmul_low_s_i8x16: simdBinary(0x9c),
  extmul_high_s_i8x16: simdBinary(0x9d),
  extmul_low_u_i8x16: simdBinary(0x9e),
  extmul_high_u_i8x16: simdBinary(0x9f),
  extmul_low_s_i16x8: simdBinary(0xbc),
  extmul_high_s_i16x8: simdBinary(0xbd),
  extmul_low_u_i16x8: simdBinary(0xbe),
  extmul_high_u_i16x8: simdBinary(0xbf),
  extmul_low_s_i32x4: simdBinary(0xdc),
  extmul_high_s_i32x4: simdBinary(0xdd),
  extmul_low_u_i32x4: simdBinary(0xde),
  extmul_high_u_i32x4: simdBinary(0xdf),
  /** Sums of neighbours, twice as wide. */
  extadd_pairwise_s_i8x16: simdUnary(0x7c),
  extadd_pairwise_u_i8x16: simdUnary(0x7d),
  extadd_pairwise_s_i16x8: simdUnary(0x7e),
  extadd_pairwise_u_i16x8: simdUnary(0x7f),
  /** (a · b + 0x4000) >> 15, saturated. */
  q15mulr_sat_s_i16x8: simdBinary(0x82),
  gt_s_i64x2: simdBinary(0xd9),
  /** Sums of two neighbouring products, 32 bits wide. */
  dot_s_i16x8: simdBinary(0xba),
  /** The top bits of the lanes. */
  bitmask_i8x16: simdTest(0x64),
  bitmask_i32x4: simdTest(0xa4),
  bitmask_i64x2: simdTest(0xc4),

  // ---- v128 of floats: as the scalar ones, lane by lane. Comparisons give all ones or zero.
  add_f32x4: simdBinary(0xe4),
  sub_f32x4: simdBinary(0xe5),
  mul_f32x4: simdBinary(0xe6),
  div_f32x4: simdBinary(0xe7),
  /** NaN if either is one; −0 is less than +0. */
  min_f32x4: simdBinary(0xe8),
  max_f32x4: simdBinary(0xe9),
  /** b < a ? b : a, and a < b ? b : a. */
  pmin_f32x4: simdBinary(0xea),
  pmax_f32x4: simdBinary(0xeb),
  sqrt_f32x4: simdUnary(0xe3),
  ceil_f32x4: simdUnary(0x67),
  floor_f32x4: simdUnary(0x68),
  trunc_f32x4: simdUnary(0x69),
  nearest_f32x4: simdUnary(0x6a),
  eq_f32x4: simdBinary(0x41),
  ne_f32x4: simdBinary(0x42),
  lt_f32x4: simdBinary(0x43),
  gt_f32x4: simdBinary(0x44),
  le_f32x4: simdBinary(0x45),
  ge_f32x4: simdBinary(0x46),
  add_f64x2: simdBinary(0xf0),
  sub_f64x2: simdBinary(0xf1),
  mul_f64x2: simdBinary(0xf2),
  div_f64x2: simdBinary(0xf3),
  pmin_f64x2: simdBinary(0xf6),
  pmax_f64x2: simdBinary(0xf7),
  sqrt_f64x2: simdUnary(0xef),
  ceil_f64x2: simdUnary(0x74),
  floor_f64x2: simdUnary(0x75),
  trunc_f64x2: simdUnary(0x7a),
  nearest_f64x2: simdUnary(0x94),
  eq_f64x2: simdBinary(0x47),
  ne_f64x2: simdBinary(0x48),
  lt_f64x2: simdBinary(0x49),
  gt_f64x2: simdBinary(0x4a),
  le_f64x2: simdBinary(0x4b),
  ge_f64x2: simdBinary(0x4c),
  convert_s_i32x4_f32x4: simdUnary(0xfa),
  convert_u_i32x4_f32x4: simdUnary(0xfb),
  /** Round toward zero, saturate, NaN to 0. */
  trunc_sat_s_f32x4_i32x4: simdUnary(0xf8),
  trunc_sat_u_f32x4_i32x4: simdUnary(0xf9),
  /** The same into the low half; the high one is 0. */
  trunc_sat_s_f64x2_i32x4: simdUnary(0xfc),
  convert_low_s_i32x4_f64x2: simdUnary(0xfe),
  /** The low half of an f32x4. */
  promote_low_f32x4_f64x2: simdUnary(0x5f),
  /** To the low half; the high one is 0. */
  demote_f64x2_f32x4: simdUnary(0x5e),

  // ---- control
  /** Body runs if a ≠ 0. Values defined inside are not visible outside: results go through state slots. */
  if: { args: ['i32'], effect: 'structure' },
  else: { args: [], effect: 'structure' },
  endif: { args: [], effect: 'structure' },
  /** Helper x with up to three i32 operands (unused ones are -1). The result is an i32 (0 where it has none). */
  helper0: { args: [], result: 'i32', immediates: ['helper'], effect: 'helper' },
  helper1: { args: ['i32'], result: 'i32', immediates: ['helper'], effect: 'helper' },
  helper2: { args: ['i32', 'i32'], result: 'i32', immediates: ['helper'], effect: 'helper' },
  helper3: { args: ['i32', 'i32', 'i32'], result: 'i32', immediates: ['helper'], effect: 'helper' },
  /** A guest instruction at x begins; y is the target's own word about it (ARM: ITSTATE). */
  insn: { args: [], immediates: ['pc', 'aux'], effect: 'marker' },
  /** Go on at x. */
  jump: { args: [], immediates: ['pc'], effect: 'terminal' },
  /** a ≠ 0 ? go on at x : at y. */
  branch: { args: ['i32'], immediates: ['pc', 'pc'], effect: 'terminal' },
  /** Call x; it is expected to come back to y. The link register is set by ordinary ops before. */
  call: { args: [], immediates: ['pc', 'pc'], effect: 'terminal' },
  /** Call a; it is expected to come back to x. */
  call_indirect: { args: ['i32'], immediates: ['pc'], effect: 'terminal' },
  /** Go on at a, which is most likely the caller's return address. */
  return: { args: ['i32'], effect: 'terminal' },
  /** Go on at a. */
  jump_indirect: { args: ['i32'], effect: 'terminal' },
  /** Go on at entry a of table x; its last entry serves every a out of range (unsigned). */
  switch: { args: ['i32'], immediates: ['table'], effect: 'terminal' },
  /** Leave generated code: pc slot = y, exitReason = x, exitArg = a. */
  exit: { args: ['i32'], immediates: ['reason', 'pc'], effect: 'terminal' },
} as const satisfies Record<string, OpDef>;

export type OpName = keyof typeof opTable;

export const opNames = Object.keys(opTable) as OpName[];
/** Definitions by op number. */
export const opDefs: readonly OpDef[] = opNames.map((name) => opTable[name]);
/** Op number by name. */
export const Op = Object.fromEntries(opNames.map((name, index) => [name, index])) as Readonly<Record<OpName, number>>;

/** Bits of the second immediate of loads and stores. */
export const MemoryFlag = {
  /** A `probe` earlier in the same block covers this access. */
  probed: 1,
} as const;
