import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as x87 from '#target/i386/extended.ts';
import { type X87Env, X87Flag, X87Rounding } from '#target/i386/extended.ts';
import * as functions from '#target/i386/extended-functions.ts';

// Lines of tests/vectors/x87.txt, made by x87-vectors.c beside it on an x86-64 processor.
const file = process.env.X87_VECTORS ?? new URL('./vectors/x87.txt', import.meta.url);

/** C0…C3 in the status word. */
const C0 = 0x100;
const C1 = 0x200;
const C2 = 0x400;
const C3 = 0x4000;

interface Outcome {
  /** Absent where the instruction has no result. */
  readonly result?: bigint;
  readonly second?: bigint;
  /** Condition bits that the instruction defines, and how it sets them. */
  readonly conditions?: { readonly mask: number; readonly value: number };
}

type Run = (a: bigint, b: bigint, env: X87Env) => Outcome;

const plain =
  (operation: (a: bigint, b: bigint, env: X87Env) => bigint): Run =>
  (a, b, env) => ({ result: operation(a, b, env) });
const single =
  (operation: (a: bigint, env: X87Env) => bigint): Run =>
  (a, _b, env) => ({ result: operation(a, env) });
const integer =
  (width: number, rounding?: number): Run =>
  (a, _b, env) => ({ result: BigInt.asUintN(width, x87.toInteger(a, width, rounding ?? env.rounding, env)) });
const compare =
  (quiet: boolean): Run =>
  (a, b, env) => ({
    conditions: { mask: C0 | C2 | C3, value: [0, C0, C3, C0 | C2 | C3][x87.compare(a, b, quiet, env)]! },
  });
const remainder =
  (nearest: boolean): Run =>
  (a, b, env) => {
    const { value, partial, quotient } = x87.remainder(a, b, nearest, env);
    const quotientBits = (quotient & 4 ? C0 : 0) | (quotient & 2 ? C3 : 0) | (quotient & 1 ? C1 : 0);
    return { result: value, conditions: { mask: C0 | C1 | C2 | C3, value: quotientBits | (partial ? C2 : 0) } };
  };

const operations: Record<string, Run> = {
  add: plain(x87.add),
  sub: plain(x87.sub),
  mul: plain(x87.mul),
  div: plain(x87.div),
  sqrt: single(x87.sqrt),
  rndint: single(x87.roundToInteger),
  scale: plain(x87.scale),
  prem: remainder(false),
  prem1: remainder(true),
  com: compare(false),
  ucom: compare(true),
  xam: (a) => {
    const kind = x87.classify(a);
    const bits = (kind & 1 ? C0 : 0) | (kind & 2 ? C2 : 0) | (kind & 4 ? C3 : 0);
    return { conditions: { mask: C0 | C1 | C2 | C3, value: bits | (a >> 79n ? C1 : 0) } };
  },
  xtract: (a, _b, env) => {
    const { exponent, significand } = x87.extract(a, env);
    return { result: significand, second: exponent };
  },
  st32: single(x87.toSingle),
  st64: single(x87.toDouble),
  ist16: integer(16),
  ist32: integer(32),
  ist64: integer(64),
  istt32: integer(32, X87Rounding.zero),
  bstp: single(x87.toBcd),
  ld32: single(x87.fromSingle),
  ld64: single(x87.fromDouble),
};

const lines = readFileSync(file, 'utf8').trim().split('\n');

describe('x87 arithmetic against a processor', () => {
  it.each(Object.entries(operations))('%s', (name, operation) => {
    const wrong: string[] = [];
    let seen = 0;
    for (const line of lines) {
      const [op, ...words] = line.split(' ');
      if (op !== name) continue;
      seen++;
      const [cw, a, b, result, status, second] = words.map((word) => BigInt(`0x${word}`)) as [
        bigint,
        bigint,
        bigint,
        bigint,
        bigint,
        bigint,
      ];
      const env = x87.newX87Env(Number(cw));
      const outcome = operation(a, b, env);
      const rounded = (env.flags & X87Flag.precision) !== 0 && (env.flags & X87Flag.invalid) === 0;
      const { mask, value } = outcome.conditions ?? { mask: rounded ? C1 : 0, value: env.roundedUp ? C1 : 0 };
      const right =
        (outcome.result ?? result) === result &&
        (outcome.second ?? second) === second &&
        env.flags === (Number(status) & 0x3f) &&
        (Number(status) & mask) === value;
      if (!right) wrong.push(`${line}: got ${outcome.result?.toString(16)}, flags ${env.flags.toString(16)}`);
    }
    expect(seen).toBeGreaterThan(0);
    expect(wrong.slice(0, 5)).toEqual([]);
  });
});

/** A number to 64 bits, from text such as 1.5 or 3e-20: through a ratio, rounded once. */
function extended(value: number): bigint {
  const bits = new BigUint64Array(new Float64Array([value]).buffer)[0]!;
  return x87.fromDouble(bits, x87.newX87Env());
}

const fromHex = (text: string): bigint => BigInt(`0x${text}`);

// Values of processors, and of the mathematical functions rounded to 64 bits.
describe('x87 functions', () => {
  const at = (operation: (env: X87Env) => bigint): string => operation(x87.newX87Env()).toString(16);

  it('sine and cosine of 1', () => {
    expect(at((env) => functions.sine(extended(1), env))).toBe('3ffed76aa47848677021');
    expect(at((env) => functions.cosine(extended(1), env))).toBe('3ffe8a51407da8345c92');
  });

  it('π by FPATAN and its quarters', () => {
    expect(at((env) => functions.arcTangent2(extended(-1), extended(0), env))).toBe('4000c90fdaa22168c235');
    expect(at((env) => functions.arcTangent2(extended(1), extended(1), env))).toBe('3ffec90fdaa22168c235');
    expect(at((env) => functions.arcTangent2(extended(0), extended(-2), env))).toBe('bfffc90fdaa22168c235');
  });

  it('logarithms: exact where they are, of 10, near 1', () => {
    expect(at((env) => functions.yLog2(extended(1024), extended(3), env))).toBe('4003f000000000000000');
    expect(at((env) => functions.yLog2(extended(10), extended(1), env))).toBe('4000d49a784bcd1b8afe');
    expect(at((env) => functions.yLog2OnePlus(extended(2 ** -80), extended(1), env))).toBe('3fafb8aa3b295c17f0bc');
  });

  it('powers', () => {
    expect(at((env) => functions.exp2MinusOne(extended(0.5), env))).toBe('3ffdd413cccfe7799211');
    expect(at((env) => functions.exp2MinusOne(extended(-1), env))).toBe('bffe8000000000000000');
  });

  it('a logarithm of less than nothing is invalid', () => {
    const env = x87.newX87Env();
    expect(functions.yLog2(extended(-1), extended(1), env)).toBe(x87.indefinite);
    expect(env.flags).toBe(X87Flag.invalid);
    expect(x87.indefinite).toBe(fromHex('ffffc000000000000000'));
  });

  it('an angle of 2^63 is out of range', () => {
    expect(functions.outOfRange(extended(2 ** 63))).toBe(true);
    expect(functions.outOfRange(extended(2 ** 62))).toBe(false);
  });
});
