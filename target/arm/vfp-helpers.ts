import type { CpuView } from '#tcg/target.ts';
import { defineHelper } from './helpers.ts';
import * as soft from './softfloat.ts';
import { type FloatEnv, type FloatFormat, float16, float32, float64 } from './softfloat.ts';
import { armState, slotD, slotS } from './state.ts';
import { fastDouble, fastFma } from './vfp-fast.ts';
import { currentRounding, VfpOp } from './vfp-ops.ts';

const fpscrIndex = armState.offset('fpscr') >> 2;
const nzcvIndex = armState.offset('fpNzcv') >> 2;
const env: FloatEnv = soft.newEnv();

const readS = (cpu: CpuView, n: number): bigint => BigInt(cpu.i32[slotS(n) >> 2]! >>> 0);
const readD = (cpu: CpuView, n: number): bigint => BigInt.asUintN(64, cpu.i64[slotD(n) >> 3]!);

function writeS(cpu: CpuView, n: number, bits: bigint): void {
  cpu.i32[slotS(n) >> 2] = Number(BigInt.asIntN(32, bits));
}

function writeD(cpu: CpuView, n: number, bits: bigint): void {
  cpu.i64[slotD(n) >> 3] = BigInt.asIntN(64, bits);
}

/** A half is the low part of an S register. */
function read(cpu: CpuView, format: FloatFormat, n: number): bigint {
  if (format === float64) return readD(cpu, n);
  return format === float32 ? readS(cpu, n) : readS(cpu, n) & 0xffffn;
}

/** A half leaves zeros above it. */
function write(cpu: CpuView, format: FloatFormat, n: number, bits: bigint): void {
  if (format === float64) writeD(cpu, n, bits);
  else writeS(cpu, n, bits);
}

/** What a two- or three-operand operation gives; `d` is its old destination. */
function compute(op: number, format: FloatFormat, d: bigint, n: bigint, m: bigint): bigint {
  const minus = (x: bigint): bigint => soft.negate(format, x);
  switch (op) {
    case VfpOp.add:
      return soft.add(format, n, m, env);
    case VfpOp.sub:
      return soft.sub(format, n, m, env);
    case VfpOp.mul:
      return soft.mul(format, n, m, env);
    case VfpOp.nmul:
      return minus(soft.mul(format, n, m, env));
    case VfpOp.div:
      return soft.div(format, n, m, env);
    case VfpOp.mla:
      return soft.add(format, d, soft.mul(format, n, m, env), env);
    case VfpOp.mls:
      return soft.add(format, d, minus(soft.mul(format, n, m, env)), env);
    case VfpOp.nmla:
      return soft.add(format, minus(d), minus(soft.mul(format, n, m, env)), env);
    case VfpOp.nmls:
      return soft.add(format, minus(d), soft.mul(format, n, m, env), env);
    case VfpOp.fma:
      return soft.fma(format, d, n, m, env);
    case VfpOp.fms:
      return soft.fma(format, d, minus(n), m, env);
    case VfpOp.fnma:
      return soft.fma(format, minus(d), minus(n), m, env);
    case VfpOp.fnms:
      return soft.fma(format, minus(d), n, m, env);
    case VfpOp.sqrt:
      return soft.sqrt(format, m, env);
    case VfpOp.maxnm:
      return soft.minMax(format, n, m, true, true, env);
    case VfpOp.minnm:
      return soft.minMax(format, n, m, false, true, env);
    default:
      throw new Error(`no floating-point operation ${op}`);
  }
}

const roundingOf = (x: number): number => ((x & 7) === currentRounding ? env.rounding : x & 7);

function toFixed(cpu: CpuView, format: FloatFormat, x: number, d: number): void {
  const width = x & 0x200 ? 16 : 32;
  const fraction = (x & 0xff) - 64;
  const value = soft.toFixed(format, read(cpu, format, d), width, fraction, (x & 0x100) !== 0, soft.Rounding.zero, env);
  write(cpu, format, d, value);
}

function fromFixed(cpu: CpuView, format: FloatFormat, x: number, d: number): void {
  const width = x & 0x200 ? 16 : 32;
  const bits = format === float64 ? readD(cpu, d) : readS(cpu, d);
  const value = x & 0x100 ? BigInt.asIntN(width, bits) : BigInt.asUintN(width, bits);
  // Fixed point to floating point rounds to nearest whatever FPSCR says (DDI 0406C A8.8.308).
  const rounding = env.rounding;
  env.rounding = soft.Rounding.nearest;
  write(cpu, format, d, soft.fromFixed(format, value, (x & 0xff) - 64, env));
  env.rounding = rounding;
}

function toHalf(cpu: CpuView, format: FloatFormat, x: number, d: number, m: number): void {
  const half = soft.convert(format, float16, read(cpu, format, m), env);
  const shift = x & 1 ? 16 : 0;
  const index = slotS(d) >> 2;
  cpu.i32[index] = (cpu.i32[index]! & ~(0xffff << shift)) | (Number(half) << shift);
}

/** By bits 9:8 of the helper's first operand. */
const formats = [float32, float64, float16];

function arithmetic(cpu: CpuView, code: number, registers: number): number {
  const op = code & 0xff;
  const format = formats[(code >>> 8) & 3]!;
  const x = code >>> 16;
  const d = registers & 0xff;
  const n = (registers >>> 8) & 0xff;
  const m = (registers >>> 16) & 0xff;
  const fpscr = cpu.i32[fpscrIndex]!;
  if (format === float64 && fastDouble(cpu, op, fpscr, d, n, m)) return 0;
  if (format === float16) soft.readHalfEnv(env, fpscr);
  else soft.readEnv(env, fpscr);
  switch (op) {
    case VfpOp.compare: {
      const right = x & 2 ? 0n : read(cpu, format, m);
      cpu.i32[nzcvIndex] = soft.compare(format, read(cpu, format, d), right, (x & 1) !== 0, env) << 28;
      break;
    }
    case VfpOp.convert:
      if (format === float64) writeS(cpu, d, soft.convert(float64, float32, readD(cpu, m), env));
      else writeD(cpu, d, soft.convert(float32, float64, readS(cpu, m), env));
      break;
    case VfpOp.toInteger:
      writeS(cpu, d, soft.toFixed(format, read(cpu, format, m), 32, 0, (x & 8) !== 0, roundingOf(x), env));
      break;
    case VfpOp.fromInteger: {
      const integer = readS(cpu, m);
      write(cpu, format, d, soft.fromFixed(format, x & 8 ? BigInt.asIntN(32, integer) : integer, 0, env));
      break;
    }
    case VfpOp.toFixed:
      toFixed(cpu, format, x, d);
      break;
    case VfpOp.fromFixed:
      fromFixed(cpu, format, x, d);
      break;
    case VfpOp.roundToIntegral:
      write(cpu, format, d, soft.roundToIntegral(format, read(cpu, format, m), roundingOf(x), (x & 8) !== 0, env));
      break;
    case VfpOp.fromHalf: {
      const half = (readS(cpu, m) >> (x & 1 ? 16n : 0n)) & 0xffffn;
      write(cpu, format, d, soft.convert(float16, format, half, env));
      break;
    }
    case VfpOp.toHalf:
      toHalf(cpu, format, x, d, m);
      break;
    case VfpOp.toJavascript: {
      const value = readD(cpu, m);
      const integer = soft.toInt32Modulo(float64, value, env);
      writeS(cpu, d, integer.bits);
      cpu.i32[nzcvIndex] = integer.exact ? 1 << 30 : 0;
      break;
    }
    case VfpOp.toBFloat: {
      const rounded = Number(soft.toBFloat16(readS(cpu, m), env));
      const shift = x & 1 ? 16 : 0;
      const index = slotS(d) >> 2;
      cpu.i32[index] = (cpu.i32[index]! & ~(0xffff << shift)) | (rounded << shift);
      break;
    }
    default:
      if (format === float64 && op >= VfpOp.fma && op <= VfpOp.fnms && fastFma(cpu, op, fpscr, d, n, m)) return 0;
      write(cpu, format, d, compute(op, format, read(cpu, format, d), read(cpu, format, n), read(cpu, format, m)));
  }
  cpu.i32[fpscrIndex] = fpscr | env.flags;
  return 0;
}

/** (operation | format << 8 | x << 16, d | n << 8 | m << 16): see `VfpOp`. */
export const arithmeticHelper = defineHelper({ name: 'vfp_arithmetic', call: arithmetic });
