import { describe, expect, it } from 'vitest';
import { Op, opDefs, opNames, type ValueType } from '#tcg/ops.ts';
import { type IrValue, pureOps, readValue, writeValue } from './support/ir-values.ts';

/*
 * The op table against the reference evaluator: constant folding, and the wasm bytes in a module of one function that
 * reads its operands from memory at 16, 32 and 48 and writes the result at 0.
 */

const loads: Record<ValueType, number[]> = {
  i32: [0x28, 0, 0],
  i64: [0x29, 0, 0],
  f32: [0x2a, 0, 0],
  f64: [0x2b, 0, 0],
  v128: [0xfd, 0, 0, 0],
};
const stores: Record<ValueType, number[]> = {
  i32: [0x36, 0, 0],
  i64: [0x37, 0, 0],
  f32: [0x38, 0, 0],
  f64: [0x39, 0, 0],
  v128: [0xfd, 11, 0, 0],
};
const section = (id: number, bytes: readonly number[]) => [id, bytes.length, ...bytes];

function compile(args: readonly ValueType[], result: ValueType, bytes: readonly number[]) {
  const operands = args.flatMap((type, k) => [0x41, 16 * (k + 1), ...loads[type]]);
  const body = [0, 0x41, 0, ...operands, ...bytes, ...stores[result], 0x0b];
  const module = [
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 0, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, 1, 0x6d, 2, 0, 1, 0x66, 0, 0]),
    ...section(10, [1, body.length, ...body]),
  ];
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(module)));
  return { run: exports.f as () => void, view: new DataView((exports.m as WebAssembly.Memory).buffer) };
}

const vector = (...words: number[]) => new Uint8Array(Int32Array.from(words).buffer);
const f64s = (...values: number[]) => [...new BigInt64Array(Float64Array.from(values).buffer)];
const f32s = (...values: number[]) => [...new Int32Array(Float32Array.from(values).buffer)];
const floats = [
  0,
  -0,
  1,
  -1.5,
  2.5,
  3.5,
  0.49999997,
  1e10,
  -3e9,
  4294967295,
  1e-40,
  1e38,
  -1e300,
  9.3e18,
  Infinity,
  NaN,
];
const samples: Record<ValueType, readonly IrValue[]> = {
  i32: [0, 1, -1, 2, 31, 33, 0x7f, 0x80, 0xff, 0x8000, 0xffff, 0x7fffffff, -0x80000000, 0x12345678, -0x1234567],
  i64: [0n, 1n, -1n, 63n, 65n, 0x80000000n, 2n ** 63n - 1n, -(2n ** 63n), 0x123456789abcdefn, 0x4000004000000001n],
  f32: f32s(...floats),
  f64: f64s(...floats),
  v128: [
    vector(0, 0, 0, 0),
    vector(-1, -1, -1, -1),
    vector(0x03020100, 0x07061f04, 0x0b0a0988, 0x0f0e0d0c),
    vector(-0x80000000, 0x7fffffff, 0x80ff7f01 | 0, 0x00018000),
    vector(0x12345678, -0x12345678, 0, 0x80008000 | 0),
    vector(...f32s(1.5, -2.5, 1e-40, NaN)),
    vector(...f32s(-0, Infinity, 3e38, 0.49999997)),
    new Uint8Array(Float64Array.from([1e-310, -1.00000001]).buffer),
    new Uint8Array(Float64Array.from([NaN, 1e39]).buffer),
  ],
};

const isDivision = (name: string) => /^(div|rem)_[su]_i/.test(name);
const smallest = (value: IrValue) => value === -0x80000000 || value === -(2n ** 63n);

/** Calls `visit` with all combinations of sample operands that the op allows. */
function forOperands(name: string, args: readonly ValueType[], visit: (operands: IrValue[]) => void): void {
  const walk = (operands: IrValue[]): void => {
    if (operands.length < args.length) {
      for (const value of samples[args[operands.length]!]) walk([...operands, value]);
      return;
    }
    const [a, b] = operands;
    if (isDivision(name) && (Number(b) === 0 || (Number(b) === -1 && smallest(a!)))) return;
    visit(operands);
  };
  walk([]);
}

const isNan = (value: IrValue, type: ValueType) =>
  (type === 'f32' && ((value as number) & 0x7fffffff) > 0x7f800000) ||
  (type === 'f64' && ((value as bigint) & 0x7fffffffffffffffn) > 0x7ff0000000000000n);

/** Vectors of floats are equal if their lanes are, or are NaNs on both sides. */
function sameLanes(name: string, actual: IrValue, expected: IrValue): boolean {
  const shape = /_f(32|64)x\d$/.exec(name);
  if (!shape || typeof actual !== 'object' || typeof expected !== 'object') return false;
  const of = (bytes: Uint8Array) =>
    shape[1] === '32' ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  const [left, right] = [of(actual.slice()), of(expected.slice())];
  return left.every((value, lane) => Object.is(value, right[lane]));
}

describe('the op table', () => {
  const pure = opNames.filter((name) => opDefs[Op[name]]!.effect === 'pure' && !name.startsWith('const_'));

  it.each(pure)('%s: folding and wasm bytes agree with the reference', (name) => {
    const { args, result, fold, wasm, immediates } = opDefs[Op[name]]!;
    const op = pureOps[name]!;
    const lanes = immediates?.[0] === 'lane' ? Number(/x(\d+)$/.exec(name)![1]) : 1;
    for (let lane = 0; lane < lanes; lane++) {
      const compiled = wasm && compile(args, result!, immediates ? [...wasm, lane] : wasm);
      forOperands(name, args, (operands) => {
        const bytes = Uint8Array.from({ length: 16 }, (_, i) => (i * 7) & 31);
        const expected = (op as (...values: unknown[]) => IrValue)(operands[0], operands[1], operands[2], lane, bytes);
        const [a = 0, b = 0, c = 0] = operands as number[];
        const folded = fold?.(a, b, c);
        if (folded !== undefined && folded !== expected) expect({ operands, folded }).toBe(expected);
        if (!compiled) return;
        operands.forEach((value, k) => writeValue(compiled.view, 16 * (k + 1), args[k]!, value));
        compiled.run();
        const actual = readValue(compiled.view, 0, result!);
        if (isNan(expected, result!) && isNan(actual, result!)) return;
        const same =
          typeof actual === 'object'
            ? String(actual) === String(expected) || sameLanes(name, actual, expected)
            : actual === expected;
        if (!same) expect({ operands, actual }).toEqual({ operands, actual: expected });
      });
    }
  });
});
