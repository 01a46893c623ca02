import type { Value } from '#tcg/builder.ts';
import type { Fields } from '#tcg/decode.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { Feature } from './features.ts';
import { type ArmRow, row } from './row.ts';
import { slotD, slotS } from './state.ts';

/** Operand size of a floating-point instruction: its `sz` bit. */
export type FloatType = 'f32' | 'f64';

/** Ops by operand type, so that a translate function is written once. */
export const floatOps = {
  f32: {
    add: Op.add_f32,
    sub: Op.sub_f32,
    mul: Op.mul_f32,
    div: Op.div_f32,
    sqrt: Op.sqrt_f32,
    abs: Op.abs_f32,
    neg: Op.neg_f32,
    nearest: Op.nearest_f32,
    ceil: Op.ceil_f32,
    floor: Op.floor_f32,
    trunc: Op.trunc_f32,
    eq: Op.eq_f32,
    ne: Op.ne_f32,
    lt: Op.lt_f32,
    gt: Op.gt_f32,
    ge: Op.ge_f32,
    select: Op.select_f32,
    fpnan1: Op.fpnan1_f32,
    fpnan2: Op.fpnan2_f32,
    toSigned: Op.trunc_sat_s_f32_i32,
    toUnsigned: Op.trunc_sat_u_f32_i32,
    fromSigned: Op.convert_s_i32_f32,
    fromUnsigned: Op.convert_u_i32_f32,
    load: Op.load_f32,
    store: Op.store_f32,
  },
  f64: {
    add: Op.add_f64,
    sub: Op.sub_f64,
    mul: Op.mul_f64,
    div: Op.div_f64,
    sqrt: Op.sqrt_f64,
    abs: Op.abs_f64,
    neg: Op.neg_f64,
    nearest: Op.nearest_f64,
    ceil: Op.ceil_f64,
    floor: Op.floor_f64,
    trunc: Op.trunc_f64,
    eq: Op.eq_f64,
    ne: Op.ne_f64,
    lt: Op.lt_f64,
    gt: Op.gt_f64,
    ge: Op.ge_f64,
    select: Op.select_f64,
    fpnan1: Op.fpnan1_f64,
    fpnan2: Op.fpnan2_f64,
    toSigned: Op.trunc_sat_s_f64_i32,
    toUnsigned: Op.trunc_sat_u_f64_i32,
    fromSigned: Op.convert_s_i32_f64,
    fromUnsigned: Op.convert_u_i32_f64,
    load: Op.load_f64,
    store: Op.store_f64,
  },
} as const;

export const floatType = (sz: number): FloatType => (sz ? 'f64' : 'f32');

/** S register number of a 4-bit field and its extra low bit; D register number of one and its extra high bit. */
export const numberS = (field: number, low: number): number => (field << 1) | low;
export const numberD = (field: number, high: number): number => (high << 4) | field;
/** The S or D register number by type. */
export const numberF = (type: FloatType, field: number, extra: number): number =>
  type === 'f32' ? numberS(field, extra) : numberD(field, extra);

/** Byte offset of S or D register n. */
export const slotF = (type: FloatType, n: number): number => (type === 'f32' ? slotS(n) : slotD(n));
export function getF(c: ArmContext, type: FloatType, n: number): Value {
  requireRegister(c, type, n);
  return c.b.get(type, slotF(type, n));
}
export function setF(c: ArmContext, type: FloatType, n: number, value: Value): void {
  requireRegister(c, type, n);
  c.b.set(type, slotF(type, n), value);
}

/** D16 to D31 are undefined on CPUs with 16 doubles. */
export function requireRegister(c: ArmContext, type: FloatType, n: number): void {
  if (type === 'f64' && n > 15) c.require(Feature.d32);
}

/** A constant 2^exponent (within the normal range). */
export const powerOfTwo = (c: ArmContext, type: FloatType, exponent: number): Value =>
  type === 'f32' ? c.b.f32Bits((exponent + 127) << 23) : c.b.f64Bits(0, (exponent + 1023) << 20);

/** Rows of one instruction in both instruction sets. */
export interface RowPair {
  readonly a32: ArmRow;
  readonly t32: ArmRow;
}

const pair = (name: string, a32: string, t32: string, translate: (c: ArmContext, f: never) => void): RowPair => ({
  a32: row(name, a32, translate as (c: ArmContext, f: Readonly<Record<string, number>>) => void),
  t32: row(name, t32, translate as (c: ArmContext, f: Readonly<Record<string, number>>) => void),
});

/** A conditional coprocessor encoding; `rest` is bits 27…0. T32 has 1110 where A32 has the condition. */
export const vfp = <const P extends string>(
  name: string,
  rest: P,
  translate: (c: ArmContext, f: Fields<P>) => void,
): RowPair => pair(name, `cond:4 ${rest}`, `1110 ${rest}`, translate as (c: ArmContext, f: never) => void);

/** An unconditional coprocessor encoding: the same in both sets. */
export const vfpAlways = <const P extends string>(
  name: string,
  rest: P,
  translate: (c: ArmContext, f: Fields<P>) => void,
): RowPair => pair(name, `1111 ${rest}`, `1111 ${rest}`, translate as (c: ArmContext, f: never) => void);

/** Advanced SIMD data processing; `rest` is bits 23…0 after the U bit. */
export const neonData = <const P extends string>(
  name: string,
  u: '0' | '1' | 'u:1',
  rest: P,
  translate: (c: ArmContext, f: Fields<`u:1 ${P}`>) => void,
): RowPair =>
  pair(name, `1111001 ${u} ${rest}`, `111 ${u} 1111 ${rest}`, translate as (c: ArmContext, f: never) => void);

/** Advanced SIMD element or structure load or store; `rest` is bits 23…0. */
export const neonMemory = <const P extends string>(
  name: string,
  rest: P,
  translate: (c: ArmContext, f: Fields<P>) => void,
): RowPair => pair(name, `11110100 ${rest}`, `11111001 ${rest}`, translate as (c: ArmContext, f: never) => void);
