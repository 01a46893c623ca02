import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as soft from '#target/arm/softfloat.ts';
import { type FloatEnv, type FloatFormat, float16, float32, float64, Rounding } from '#target/arm/softfloat.ts';

// Lines of tests/vectors/vfp.txt, made by vfp-vectors.c beside it under qemu-arm:
// operation, format bits, FPSCR before, operands a b c, result, FPSCR after (all hexadecimal).
const file = process.env.VFP_VECTORS ?? new URL('./vectors/vfp.txt', import.meta.url);

type Run = (format: FloatFormat, env: FloatEnv, a: bigint, b: bigint, c: bigint) => bigint;

const fixed =
  (width: number, fraction: number, isSigned: boolean): Run =>
  (format, env, a) =>
    BigInt.asUintN(format.bits, soft.toFixed(format, a, width, fraction, isSigned, Rounding.zero, env));
const fromFixed =
  (width: number, fraction: number, isSigned: boolean): Run =>
  (format, env, a) => {
    env.rounding = Rounding.nearest;
    return soft.fromFixed(format, isSigned ? BigInt.asIntN(width, a) : BigInt.asUintN(width, a), fraction, env);
  };
const integer =
  (isSigned: boolean, rounding?: number): Run =>
  (format, env, a) =>
    BigInt.asUintN(32, soft.toFixed(format, a, 32, 0, isSigned, rounding ?? env.rounding, env));
const integral =
  (exact: boolean, rounding?: number): Run =>
  (format, env, a) =>
    soft.roundToIntegral(format, a, rounding ?? env.rounding, exact, env);
const compare =
  (signalQuiet: boolean): Run =>
  (format, env, a, b) => {
    const nzcv = soft.compare(format, a, b, signalQuiet, env);
    env.flags |= nzcv << 28;
    return 0n;
  };

const operations: Record<string, Run> = {
  add: (f, e, a, b) => soft.add(f, a, b, e),
  sub: (f, e, a, b) => soft.sub(f, a, b, e),
  mul: (f, e, a, b) => soft.mul(f, a, b, e),
  nmul: (f, e, a, b) => soft.negate(f, soft.mul(f, a, b, e)),
  div: (f, e, a, b) => soft.div(f, a, b, e),
  mla: (f, e, a, b, c) => soft.add(f, c, soft.mul(f, a, b, e), e),
  mls: (f, e, a, b, c) => soft.add(f, c, soft.negate(f, soft.mul(f, a, b, e)), e),
  nmla: (f, e, a, b, c) => soft.add(f, soft.negate(f, c), soft.negate(f, soft.mul(f, a, b, e)), e),
  nmls: (f, e, a, b, c) => soft.add(f, soft.negate(f, c), soft.mul(f, a, b, e), e),
  fma: (f, e, a, b, c) => soft.fma(f, c, a, b, e),
  fms: (f, e, a, b, c) => soft.fma(f, c, soft.negate(f, a), b, e),
  fnma: (f, e, a, b, c) => soft.fma(f, soft.negate(f, c), soft.negate(f, a), b, e),
  fnms: (f, e, a, b, c) => soft.fma(f, soft.negate(f, c), a, b, e),
  sqrt: (f, e, a) => soft.sqrt(f, a, e),
  maxnm: (f, e, a, b) => soft.minMax(f, a, b, true, true, e),
  minnm: (f, e, a, b) => soft.minMax(f, a, b, false, true, e),
  cvt: (f, e, a) => soft.convert(f, f === float64 ? float32 : float64, a, e),
  tos: integer(true, Rounding.zero),
  tou: integer(false, Rounding.zero),
  tors: integer(true),
  toru: integer(false),
  tas: integer(true, Rounding.away),
  tau: integer(false, Rounding.away),
  tps: integer(true, Rounding.plus),
  tms: integer(true, Rounding.minus),
  tns: integer(true, Rounding.nearest),
  froms: (_f, e, a) => soft.fromFixed(float32, BigInt.asIntN(32, a), 0, e),
  fromu: (_f, e, a) => soft.fromFixed(float32, a, 0, e),
  fromsd: (_f, e, a) => soft.fromFixed(float64, BigInt.asIntN(32, a), 0, e),
  fromud: (_f, e, a) => soft.fromFixed(float64, a, 0, e),
  rintr: integral(false),
  rintx: integral(true),
  rintz: integral(false, Rounding.zero),
  rinta: integral(false, Rounding.away),
  rintp: integral(false, Rounding.plus),
  rintm: integral(false, Rounding.minus),
  cmp: compare(false),
  cmpe: compare(true),
  fx_s16_5: fixed(16, 5, true),
  fx_u16_16: fixed(16, 16, false),
  fx_s32_20: fixed(32, 20, true),
  fx_u32_1: fixed(32, 1, false),
  fx_u32_7: fixed(32, 7, false),
  xf_s16_5: fromFixed(16, 5, true),
  xf_u32_32: fromFixed(32, 32, false),
  xf_s32_12: fromFixed(32, 12, true),
  xf_u16_3: fromFixed(16, 3, false),
  hb: (_f, e, a) => soft.convert(float16, float32, a & 0xffffn, e),
  ht: (_f, e, a) => soft.convert(float16, float32, a >> 16n, e),
  hbd: (_f, e, a) => soft.convert(float16, float64, a & 0xffffn, e),
  bh: (f, e, a) => soft.convert(f, float16, a, e),
  th: (f, e, a) => soft.convert(f, float16, a, e) << 16n,
  bhd: (f, e, a) => soft.convert(f, float16, a, e),
};

const lines = readFileSync(file, 'utf8').trim().split('\n');

describe('soft float against qemu-arm', () => {
  for (const name of Object.keys(operations)) {
    it(name, () => {
      const wrong: string[] = [];
      for (const line of lines) {
        const [op, bits, ...words] = line.split(' ');
        if (op !== name) continue;
        const [mode, a, b, c, result, after] = words.map((word) => BigInt(`0x${word}`)) as [
          bigint,
          bigint,
          bigint,
          bigint,
          bigint,
          bigint,
        ];
        const env = soft.newEnv(Number(mode) | 0);
        const got = operations[name]!(bits === '64' ? float64 : float32, env, a, b, c);
        const flags = (Number(mode) | env.flags) >>> 0;
        if (got !== result || flags !== Number(after))
          wrong.push(`${line}: got ${got.toString(16)} ${flags.toString(16)}`);
      }
      expect(wrong.slice(0, 5)).toEqual([]);
    });
  }
});
