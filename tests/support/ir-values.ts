import type { OpName, ValueType } from '#tcg/ops.ts';

/** i32 and the bits of f32: a signed number. i64 and the bits of f64: a signed bigint. v128: 16 bytes. */
export type IrValue = number | bigint | Uint8Array;

/** Computes a pure op. `lane` is its first immediate, `bytes` its sixteen. Written from the WebAssembly standard. */
export type PureOp = (a: never, b: never, c: never, lane: number, bytes: Uint8Array) => IrValue;

const scratch = new DataView(new ArrayBuffer(8));
const i64 = (value: bigint) => BigInt.asIntN(64, value);
const u64 = (value: bigint) => BigInt.asUintN(64, value);
const bool = (value: boolean) => (value ? 1 : 0);

export function f32(bits: number): number {
  scratch.setInt32(0, bits);
  return scratch.getFloat32(0);
}
export function f64(bits: bigint): number {
  scratch.setBigInt64(0, bits);
  return scratch.getFloat64(0);
}
/** NaN results are the default NaN: their bits are unspecified in IR. */
function f32Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc00000;
  scratch.setFloat32(0, value);
  return scratch.getInt32(0);
}
function f64Bits(value: number): bigint {
  if (Number.isNaN(value)) return 0x7ff8000000000000n;
  scratch.setFloat64(0, value);
  return scratch.getBigInt64(0);
}

/** An i64 as the nearest f32, ties to even: by way of an f64 whose last bit is sticky. */
function i64ToF32(value: bigint): number {
  const negative = value < 0n;
  let magnitude = negative ? -value : value;
  if (magnitude >> 53n) {
    const sticky = (magnitude & 0xfffn) === 0n ? 0n : 0x1000n;
    magnitude = (magnitude & ~0xfffn) | sticky;
  }
  return Math.fround(Number(negative ? -magnitude : magnitude));
}

function nearest(value: number): number {
  if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 52) return value;
  const floor = Math.floor(value);
  const rest = value - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
  return rounded === 0 && (value < 0 || Object.is(value, -0)) ? -0 : rounded;
}

function saturate(value: bigint, bits: number, signed: boolean): bigint {
  const low = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const high = (1n << BigInt(signed ? bits - 1 : bits)) - 1n;
  return value < low ? low : value > high ? high : value;
}

/** A float toward zero, saturated; NaN is 0. */
function truncate(value: number, bits: number, signed: boolean): bigint {
  if (Number.isNaN(value)) return 0n;
  if (!Number.isFinite(value)) return saturate(value > 0 ? 1n << 80n : -(1n << 80n), bits, signed);
  return saturate(BigInt(Math.trunc(value)), bits, signed);
}

function countOnes(value: bigint): bigint {
  let count = 0n;
  for (let rest = value; rest; rest &= rest - 1n) count++;
  return count;
}

const ops: Record<string, PureOp> = {};
const define = (name: string, op: (...args: never[]) => IrValue) => {
  ops[name] = op as PureOp;
};

// ---- i32 and i64: the same by way of bigints

for (const [type, bits] of [
  ['i32', 32],
  ['i64', 64],
] as const) {
  const signed = (value: IrValue) => BigInt.asIntN(bits, BigInt(value as number | bigint));
  const unsigned = (value: IrValue) => BigInt.asUintN(bits, BigInt(value as number | bigint));
  const out = (value: bigint): IrValue => (bits === 32 ? Number(BigInt.asIntN(32, value)) : i64(value));
  const size = BigInt(bits);
  const amount = (value: IrValue) => unsigned(value) % size;
  const arithmetic: Record<string, (a: IrValue, b: IrValue) => bigint> = {
    add: (a, b) => signed(a) + signed(b),
    sub: (a, b) => signed(a) - signed(b),
    mul: (a, b) => signed(a) * signed(b),
    div_s: (a, b) => signed(a) / signed(b),
    div_u: (a, b) => unsigned(a) / unsigned(b),
    rem_s: (a, b) => signed(a) % signed(b),
    rem_u: (a, b) => unsigned(a) % unsigned(b),
    and: (a, b) => signed(a) & signed(b),
    or: (a, b) => signed(a) | signed(b),
    xor: (a, b) => signed(a) ^ signed(b),
    shl: (a, b) => signed(a) << amount(b),
    shr_s: (a, b) => signed(a) >> amount(b),
    shr_u: (a, b) => unsigned(a) >> amount(b),
    rotl: (a, b) => (unsigned(a) << amount(b)) | (unsigned(a) >> (size - amount(b))),
    rotr: (a, b) => (unsigned(a) >> amount(b)) | (unsigned(a) << (size - amount(b))),
    clz: (a) => size - BigInt(unsigned(a) ? unsigned(a).toString(2).length : 0),
    ctz: (a) => (unsigned(a) ? BigInt(/0*$/.exec(unsigned(a).toString(2))![0].length) : size),
    popcnt: (a) => countOnes(unsigned(a)),
  };
  for (const [name, op] of Object.entries(arithmetic))
    define(`${name}_${type}`, (a: IrValue, b: IrValue) => out(op(a, b)));
  const tests: Record<string, (a: bigint, b: bigint) => boolean> = {
    lt: (a, b) => a < b,
    gt: (a, b) => a > b,
    le: (a, b) => a <= b,
    ge: (a, b) => a >= b,
  };
  for (const [name, test] of Object.entries(tests)) {
    define(`${name}_s_${type}`, (a: IrValue, b: IrValue) => bool(test(signed(a), signed(b))));
    define(`${name}_u_${type}`, (a: IrValue, b: IrValue) => bool(test(unsigned(a), unsigned(b))));
  }
  define(`eq_${type}`, (a: IrValue, b: IrValue) => bool(a === b));
  define(`ne_${type}`, (a: IrValue, b: IrValue) => bool(a !== b));
  define(`eqz_${type}`, (a: IrValue) => bool(signed(a) === 0n));
  for (const float of ['f32', 'f64'] as const) {
    const read = (value: IrValue) => (float === 'f32' ? f32(value as number) : f64(value as bigint));
    const write = (value: bigint) => (float === 'f32' ? f32Bits(i64ToF32(value)) : f64Bits(Number(value)));
    define(`trunc_sat_s_${float}_${type}`, (a: IrValue) => out(truncate(read(a), bits, true)));
    define(`trunc_sat_u_${float}_${type}`, (a: IrValue) => out(truncate(read(a), bits, false)));
    define(`convert_s_${type}_${float}`, (a: IrValue) => write(signed(a)));
    define(`convert_u_${type}_${float}`, (a: IrValue) => write(unsigned(a)));
  }
}
define('extend8_s_i32', (a: number) => (a << 24) >> 24);
define('extend16_s_i32', (a: number) => (a << 16) >> 16);
define('wrap_i64', (a: bigint) => Number(BigInt.asIntN(32, a)));
define('extend_s_i64', (a: number) => BigInt(a));
define('extend_u_i64', (a: number) => BigInt(a >>> 0));
for (const type of ['i32', 'i64', 'f32', 'f64', 'v128']) {
  define(`select_${type}`, (a: IrValue, b: IrValue, c: number) => (c ? a : b));
}

// ---- f32 and f64

const floatOps: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  sqrt: Math.sqrt,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest,
};
const floatTests: Record<string, (a: number, b: number) => boolean> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  gt: (a, b) => a > b,
  le: (a, b) => a <= b,
  ge: (a, b) => a >= b,
};
for (const [name, op] of Object.entries(floatOps)) {
  // One rounding from f64 is the right f32 result of each of these.
  define(`${name}_f32`, (a: number, b: number) => f32Bits(Math.fround(op(f32(a), f32(b ?? 0)))));
  define(`${name}_f64`, (a: bigint, b: bigint) => f64Bits(op(f64(a), f64(b ?? 0n))));
}
for (const [name, test] of Object.entries(floatTests)) {
  define(`${name}_f32`, (a: number, b: number) => bool(test(f32(a), f32(b))));
  define(`${name}_f64`, (a: bigint, b: bigint) => bool(test(f64(a), f64(b))));
}
define('abs_f32', (a: number) => a & 0x7fffffff);
define('neg_f32', (a: number) => a ^ -0x80000000);
define('abs_f64', (a: bigint) => a & 0x7fffffffffffffffn);
define('neg_f64', (a: bigint) => i64(a ^ (1n << 63n)));
define('demote_f64', (a: bigint) => f32Bits(Math.fround(f64(a))));
define('promote_f32', (a: number) => f64Bits(f32(a)));
define('bits_f32', (a: number) => a);
define('bits_f64', (a: bigint) => a);
define('from_bits_f32', (a: number) => a);
define('from_bits_f64', (a: bigint) => a);

function processNans(result: bigint, operands: readonly bigint[], exponent: bigint, quiet: bigint): bigint {
  const nan = (bits: bigint) => (bits & exponent) === exponent && (bits & ((quiet << 1n) - 1n)) !== 0n;
  if (!nan(result)) return result;
  const signalling = operands.find((bits) => nan(bits) && !(bits & quiet));
  if (signalling !== undefined) return signalling | quiet;
  return operands.find(nan) ?? exponent | quiet;
}
const nan32 = (a: number, ...operands: number[]) =>
  Number(
    BigInt.asIntN(
      32,
      processNans(
        BigInt(a >>> 0),
        operands.map((v) => BigInt(v >>> 0)),
        0x7f800000n,
        0x400000n,
      ),
    ),
  );
const nan64 = (a: bigint, ...operands: bigint[]) =>
  i64(processNans(u64(a), operands.map(u64), 0x7ff0000000000000n, 0x8000000000000n));
define('fpnan1_f32', (a: number, b: number) => nan32(a, b));
define('fpnan2_f32', (a: number, b: number, c: number) => nan32(a, b, c));
define('fpnan1_f64', (a: bigint, b: bigint) => nan64(a, b));
define('fpnan2_f64', (a: bigint, b: bigint, c: bigint) => nan64(a, b, c));

// ---- v128, lane by lane as bigints

function lanes(vector: Uint8Array, bits: number, signed: boolean): bigint[] {
  const bytes = bits / 8;
  return Array.from({ length: 128 / bits }, (_, lane) => {
    let value = 0n;
    for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(vector[lane * bytes + i]!);
    return signed ? BigInt.asIntN(bits, value) : value;
  });
}
function pack(values: readonly bigint[], bits: number): Uint8Array {
  const vector = new Uint8Array(16);
  const bytes = bits / 8;
  values.forEach((value, lane) => {
    for (let i = 0; i < bytes; i++) vector[lane * bytes + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  });
  return vector;
}
const absolute = (value: bigint) => (value < 0n ? -value : value);

type LaneOp = (a: bigint, b: bigint, bits: number) => bigint;
const laneOps: Record<string, LaneOp> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  add_sat_s: (a, b, bits) => saturate(a + b, bits, true),
  add_sat_u: (a, b, bits) => saturate(a + b, bits, false),
  sub_sat_s: (a, b, bits) => saturate(a - b, bits, true),
  sub_sat_u: (a, b, bits) => saturate(a - b, bits, false),
  min_s: (a, b) => (a < b ? a : b),
  min_u: (a, b) => (a < b ? a : b),
  max_s: (a, b) => (a > b ? a : b),
  max_u: (a, b) => (a > b ? a : b),
  avgr_u: (a, b) => (a + b + 1n) >> 1n,
  eq: (a, b) => (a === b ? -1n : 0n),
  gt_s: (a, b) => (a > b ? -1n : 0n),
  gt_u: (a, b) => (a > b ? -1n : 0n),
  ge_s: (a, b) => (a >= b ? -1n : 0n),
  ge_u: (a, b) => (a >= b ? -1n : 0n),
  abs: absolute,
  neg: (a) => -a,
  popcnt: countOnes,
};
for (const bits of [8, 16, 32, 64]) {
  const shape = `i${bits}x${128 / bits}`;
  for (const [name, op] of Object.entries(laneOps)) {
    const signed = !name.endsWith('_u') && name !== 'popcnt';
    define(`${name}_${shape}`, (a: Uint8Array, b: Uint8Array | undefined) => {
      const second = b && lanes(b, bits, signed);
      return pack(
        lanes(a, bits, signed).map((value, lane) => op(value, second?.[lane] ?? 0n, bits)),
        bits,
      );
    });
  }
  const shift = (signed: boolean, op: (value: bigint, amount: bigint) => bigint) => (a: Uint8Array, b: number) =>
    pack(
      lanes(a, bits, signed).map((value) => op(value, BigInt((b >>> 0) % bits))),
      bits,
    );
  define(
    `shl_${shape}`,
    shift(false, (value, amount) => value << amount),
  );
  define(
    `shr_s_${shape}`,
    shift(true, (value, amount) => value >> amount),
  );
  define(
    `shr_u_${shape}`,
    shift(false, (value, amount) => value >> amount),
  );
  for (const [sign, signed] of [
    ['s', true],
    ['u', false],
  ] as const) {
    define(`extract_lane_${sign}_${shape}`, (a: Uint8Array, _b: never, _c: never, lane: number) =>
      Number(lanes(a, bits, signed)[lane]!),
    );
    define(`extend_low_${sign}_${shape}`, (a: Uint8Array) =>
      pack(lanes(a, bits, signed).slice(0, 64 / bits), bits * 2),
    );
    define(`extend_high_${sign}_${shape}`, (a: Uint8Array) => pack(lanes(a, bits, signed).slice(64 / bits), bits * 2));
    const products = (a: Uint8Array, b: Uint8Array) => {
      const right = lanes(b, bits, signed);
      return lanes(a, bits, signed).map((value, lane) => value * right[lane]!);
    };
    define(`extmul_low_${sign}_${shape}`, (a: Uint8Array, b: Uint8Array) =>
      pack(products(a, b).slice(0, 64 / bits), bits * 2),
    );
    define(`extmul_high_${sign}_${shape}`, (a: Uint8Array, b: Uint8Array) =>
      pack(products(a, b).slice(64 / bits), bits * 2),
    );
    define(`extadd_pairwise_${sign}_${shape}`, (a: Uint8Array) => {
      const values = lanes(a, bits, signed);
      return pack(
        values.filter((_, lane) => lane % 2 === 0).map((value, lane) => value + values[2 * lane + 1]!),
        bits * 2,
      );
    });
    define(`narrow_${sign}_${shape}`, (a: Uint8Array, b: Uint8Array) =>
      pack(
        [...lanes(a, bits, true), ...lanes(b, bits, true)].map((v) => saturate(v, bits / 2, signed)),
        bits / 2,
      ),
    );
  }
  for (const letter of ['i', 'f']) {
    const name = `${letter}${bits}x${128 / bits}`;
    define(`splat_${name}`, (a: IrValue) => pack(Array(128 / bits).fill(BigInt(a as number)), bits));
    define(`replace_lane_${name}`, (a: Uint8Array, b: IrValue, _c: never, lane: number) =>
      pack(
        lanes(a, bits, false).map((value, i) => (i === lane ? BigInt(b as number) : value)),
        bits,
      ),
    );
    define(`extract_lane_${name}`, (a: Uint8Array, _b: never, _c: never, lane: number) => {
      const value = lanes(a, bits, true)[lane]!;
      return bits === 64 ? value : Number(value);
    });
  }
}
define('q15mulr_sat_s_i16x8', (a: Uint8Array, b: Uint8Array) => {
  const right = lanes(b, 16, true);
  return pack(
    lanes(a, 16, true).map((value, lane) => saturate((value * right[lane]! + 0x4000n) >> 15n, 16, true)),
    16,
  );
});

define('dot_s_i16x8', (a: Uint8Array, b: Uint8Array) => {
  const right = lanes(b, 16, true);
  const products = lanes(a, 16, true).map((value, lane) => value * right[lane]!);
  return pack(
    [0, 2, 4, 6].map((lane) => products[lane]! + products[lane + 1]!),
    32,
  );
});
for (const bits of [8, 32, 64]) {
  define(`bitmask_i${bits}x${128 / bits}`, (a: Uint8Array) =>
    lanes(a, bits, true).reduce((mask, value, lane) => mask | (value < 0n ? 1 << lane : 0), 0),
  );
}

// ---- v128 of floats

const toNumber = (bits: bigint, width: number): number =>
  width === 32 ? f32(Number(BigInt.asIntN(32, bits))) : f64(BigInt.asIntN(64, bits));
const toBits = (value: number, width: number): bigint =>
  BigInt.asUintN(width, width === 32 ? BigInt(f32Bits(value)) : f64Bits(value));
const floats = (vector: Uint8Array, width: number): number[] =>
  lanes(vector, width, false).map((bits) => toNumber(bits, width));
const packFloats = (values: readonly number[], width: number): Uint8Array =>
  pack(
    values.map((value) => toBits(value, width)),
    width,
  );
const floatLaneOps = {
  ...floatOps,
  min: Math.min,
  max: Math.max,
  pmin: (a: number, b: number) => (b < a ? b : a),
  pmax: (a: number, b: number) => (a < b ? b : a),
};
for (const width of [32, 64]) {
  const shape = `f${width}x${128 / width}`;
  for (const [name, op] of Object.entries<(a: number, b: number) => number>(floatLaneOps)) {
    define(`${name}_${shape}`, (a: Uint8Array, b: Uint8Array | undefined) => {
      const right = b && floats(b, width);
      return packFloats(
        floats(a, width).map((value, lane) => op(value, right?.[lane] ?? 0)),
        width,
      );
    });
  }
  for (const [name, test] of Object.entries(floatTests)) {
    define(`${name}_${shape}`, (a: Uint8Array, b: Uint8Array) => {
      const right = floats(b, width);
      return pack(
        floats(a, width).map((value, lane) => (test(value, right[lane]!) ? -1n : 0n)),
        width,
      );
    });
  }
}
for (const [sign, signed] of [
  ['s', true],
  ['u', false],
] as const) {
  define(`convert_${sign}_i32x4_f32x4`, (a: Uint8Array) =>
    packFloats(
      lanes(a, 32, signed).map((value) => Number(value)),
      32,
    ),
  );
  define(`trunc_sat_${sign}_f32x4_i32x4`, (a: Uint8Array) =>
    pack(
      floats(a, 32).map((value) => truncate(value, 32, signed)),
      32,
    ),
  );
}
define('trunc_sat_s_f64x2_i32x4', (a: Uint8Array) =>
  pack([...floats(a, 64).map((value) => truncate(value, 32, true)), 0n, 0n], 32),
);
define('convert_low_s_i32x4_f64x2', (a: Uint8Array) =>
  packFloats(
    lanes(a, 32, true)
      .slice(0, 2)
      .map((value) => Number(value)),
    64,
  ),
);
define('promote_low_f32x4_f64x2', (a: Uint8Array) => packFloats(floats(a, 32).slice(0, 2), 64));
define('demote_f64x2_f32x4', (a: Uint8Array) => packFloats([...floats(a, 64), 0, 0], 32));

const bytewise = (op: (a: number, b: number, c: number) => number) => (a: Uint8Array, b?: Uint8Array, c?: Uint8Array) =>
  a.map((value, i) => op(value, b?.[i] ?? 0, c?.[i] ?? 0));
define(
  'not_v128',
  bytewise((a) => ~a),
);
define(
  'and_v128',
  bytewise((a, b) => a & b),
);
define(
  'andnot_v128',
  bytewise((a, b) => a & ~b),
);
define(
  'or_v128',
  bytewise((a, b) => a | b),
);
define(
  'xor_v128',
  bytewise((a, b) => a ^ b),
);
define(
  'bitselect_v128',
  bytewise((a, b, c) => (a & c) | (b & ~c)),
);
define('any_true_v128', (a: Uint8Array) => bool(a.some((byte) => byte !== 0)));
define('swizzle_i8x16', (a: Uint8Array, b: Uint8Array) => b.map((index) => a[index] ?? 0));
define('shuffle_i8x16', (a: Uint8Array, b: Uint8Array, _c: never, _lane: number, bytes: Uint8Array) =>
  bytes.map((index) => (index < 16 ? a[index]! : b[index - 16]!)),
);

export const pureOps = ops as Partial<Record<OpName, PureOp>>;

// ---- values as bytes

export const valueBytes: Record<ValueType, number> = { i32: 4, i64: 8, f32: 4, f64: 8, v128: 16 };

export function readValue(view: DataView, offset: number, type: ValueType): IrValue {
  if (type === 'i32' || type === 'f32') return view.getInt32(offset, true);
  if (type === 'i64' || type === 'f64') return view.getBigInt64(offset, true);
  return new Uint8Array(view.buffer, view.byteOffset + offset, 16).slice();
}

export function writeValue(view: DataView, offset: number, type: ValueType, value: IrValue): void {
  if (type === 'i32' || type === 'f32') view.setInt32(offset, value as number, true);
  else if (type === 'i64' || type === 'f64') view.setBigInt64(offset, value as bigint, true);
  else new Uint8Array(view.buffer, view.byteOffset + offset, 16).set(value as Uint8Array);
}
