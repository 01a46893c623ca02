import type { CpuView } from '#tcg/target.ts';
import { X87Rounding } from './extended.ts';
import { defineHelper } from './helpers.ts';
import * as soft from './sse-soft.ts';
import { float32, float64, type SseFormat, SseOp } from './sse-soft.ts';
import { i386State, slotR, slotSt, slotXmm } from './state.ts';

/** What an instruction's name ends in: packed or scalar, single or double. */
export const SseForm = { ps: 0, pd: 1, ss: 2, sd: 3 } as const;
export type SseForm = keyof typeof SseForm;

/** Operations beyond `SseOp`. */
export const SseSoft = {
  ...SseOp,
  compare: 8,
  addSub: 9,
  horizontalAdd: 10,
  horizontalSub: 11,
  dot: 12,
  round: 13,
  reciprocal: 14,
  /** Conversions. */
  singleToDouble: 16,
  doubleToSingle: 17,
  fromInteger: 18,
  toInteger: 19,
  truncate: 20,
} as const;

/** Register number of the operand in memory, which is in `operand`. */
export const memorySource = 8;

const mxcsrIndex = i386State.offset('mxcsr') >> 2;
const operandSlot = i386State.offset('operand');
const env = soft.newSseEnv();

const sourceSlot = (n: number): number => (n === memorySource ? operandSlot : slotXmm(n));

function readLane(cpu: CpuView, f: SseFormat, slot: number, lane: number): bigint {
  if (f === float32) return BigInt(cpu.i32[(slot >> 2) + lane]! >>> 0);
  return BigInt.asUintN(64, cpu.i64[(slot >> 3) + lane]!);
}

function writeLane(cpu: CpuView, f: SseFormat, slot: number, lane: number, bits: bigint): void {
  if (f === float32) cpu.i32[(slot >> 2) + lane] = Number(BigInt.asIntN(32, bits));
  else cpu.i64[(slot >> 3) + lane] = BigInt.asIntN(64, bits);
}

const begin = (cpu: CpuView): soft.SseEnv => soft.readSseEnv(env, cpu.i32[mxcsrIndex]!);

/** Adds the flags to MXCSR. 1 if one of them is not masked: the instruction raises #XM and changes nothing else. */
function end(cpu: CpuView): number {
  cpu.i32[mxcsrIndex] = cpu.i32[mxcsrIndex]! | env.flags;
  return (env.flags & ~env.masks) !== 0 ? 1 : 0;
}

/** The two operands' lanes. */
interface Operands {
  readonly f: SseFormat;
  readonly a: readonly bigint[];
  readonly b: readonly bigint[];
}

/** Predicates of CMPPS (SDM vol. 2): does it hold, by order (undefined: unordered)? */
function holds(predicate: number, order: number | undefined): boolean {
  switch (predicate & 3) {
    case 0:
      return (order === 0) !== predicate > 3;
    case 1:
      return (order !== undefined && order < 0) !== predicate > 3;
    case 2:
      return (order !== undefined && order <= 0) !== predicate > 3;
    default:
      return (order === undefined) !== predicate > 3;
  }
}

/** LT, LE and their negations are invalid for quiet NaNs too. */
const signals = (predicate: number): boolean => (predicate & 3) === 1 || (predicate & 3) === 2;

function dot({ f, a, b }: Operands, immediate: number): bigint[] {
  const add = (x: bigint, y: bigint): bigint => soft.operate(SseOp.add, f, x, y, env);
  const products = a.map((x, i) => ((immediate >> (4 + i)) & 1 ? soft.operate(SseOp.mul, f, x, b[i]!, env) : 0n));
  let sum = add(products[0]!, products[1]!);
  if (products.length === 4) sum = add(sum, add(products[2]!, products[3]!));
  return a.map((_, i) => ((immediate >> i) & 1 ? sum : 0n));
}

function horizontal({ f, a, b }: Operands, op: number): bigint[] {
  const all = [...a, ...b];
  return a.map((_, i) => soft.operate(op, f, all[2 * i]!, all[2 * i + 1]!, env));
}

/** The rounding of an immediate of ROUND: bit 2 means MXCSR's. */
const roundingOf = (immediate: number): number => (immediate & 4 ? env.rounding : immediate & 3);

function results(op: number, operands: Operands, immediate: number): bigint[] {
  const { f, a, b } = operands;
  const each = (operation: (x: bigint, y: bigint, i: number) => bigint): bigint[] =>
    a.map((x, i) => operation(x, b[i]!, i));
  switch (op) {
    case SseSoft.compare:
      return each((x, y) => (holds(immediate, soft.compare(f, x, y, signals(immediate), env)) ? -1n : 0n));
    case SseSoft.addSub:
      return each((x, y, i) => soft.operate(i & 1 ? SseOp.add : SseOp.sub, f, x, y, env));
    case SseSoft.horizontalAdd:
      return horizontal(operands, SseOp.add);
    case SseSoft.horizontalSub:
      return horizontal(operands, SseOp.sub);
    case SseSoft.dot:
      return dot(operands, immediate);
    case SseSoft.round:
      return each((_x, y) => soft.roundToInteger(f, y, roundingOf(immediate), (immediate & 8) !== 0, env));
    default:
      return each((x, y) => soft.operate(op, f, x, y, env));
  }
}

/** a: operation, form from bit 8, destination from 12, source from 16; b: the immediate. */
export const operateHelper = defineHelper({
  name: 'sse_operate',
  call(cpu, a, b) {
    const form = (a >> 8) & 15;
    const f = form & 1 ? float64 : float32;
    const count = form >= SseForm.ss ? 1 : f === float32 ? 4 : 2;
    const destination = slotXmm((a >> 12) & 15);
    const source = sourceSlot((a >> 16) & 15);
    begin(cpu);
    const lanes = Array.from({ length: count }, (_, i) => i);
    const outcome = results(
      a & 255,
      {
        f,
        a: lanes.map((i) => readLane(cpu, f, destination, i)),
        b: lanes.map((i) => readLane(cpu, f, source, i)),
      },
      b,
    );
    if (end(cpu)) return 1;
    outcome.forEach((bits, i) => writeLane(cpu, f, destination, i, bits));
    return 0;
  },
});

/** Conversions between formats of `count` lanes. a as above, count from bit 20; the rest of the destination by `b`. */
export const ConvertRest = { keep: 0, zero: 1 } as const;
/** Destinations and sources that are not XMM registers, from bit 24: MMX registers or a general register. */
export const ConvertKind = { xmm: 0, mmx: 1, general: 2 } as const;

function convertLane(op: number, f: SseFormat, bits: bigint): bigint {
  switch (op) {
    case SseSoft.singleToDouble:
      return soft.convert(float32, float64, bits, env);
    case SseSoft.doubleToSingle:
      return soft.convert(float64, float32, bits, env);
    case SseSoft.fromInteger:
      return soft.fromInteger(f, BigInt.asIntN(32, bits), env);
    case SseSoft.toInteger:
      return soft.toInteger(f, bits, env.rounding, env);
    default:
      return soft.toInteger(f, bits, X87Rounding.zero, env);
  }
}

const isToFloat = (op: number): boolean =>
  op === SseSoft.singleToDouble || op === SseSoft.doubleToSingle || op === SseSoft.fromInteger;

export const convertHelper = defineHelper({
  name: 'sse_convert',
  call(cpu, a, b) {
    const op = a & 255;
    const f = (a >> 8) & 1 ? float64 : float32;
    const kind = (a >> 24) & 3;
    const number = (a >> 12) & 15;
    const source = sourceSlot((a >> 16) & 15);
    const from = op === SseSoft.fromInteger || op === SseSoft.singleToDouble ? float32 : float64;
    const sourceFormat = op === SseSoft.toInteger || op === SseSoft.truncate ? f : from;
    begin(cpu);
    const outcome = Array.from({ length: (a >> 20) & 15 }, (_, i) =>
      convertLane(op, f, readLane(cpu, sourceFormat, source, i)),
    );
    if (end(cpu)) return 1;
    const to = isToFloat(op)
      ? op === SseSoft.singleToDouble
        ? float64
        : op === SseSoft.fromInteger
          ? f
          : float32
      : float32;
    const destination =
      kind === ConvertKind.xmm ? slotXmm(number) : kind === ConvertKind.mmx ? slotSt(number) : slotR(number);
    if (b === ConvertRest.zero) cpu.u8.fill(0, destination, destination + 16);
    outcome.forEach((bits, i) => writeLane(cpu, to, destination, i, bits));
    return 0;
  },
});

/** UCOMIS, COMIS. Returns the order as ZF PF CF of EFLAGS, or −1 for #XM. */
export const orderHelper = defineHelper({
  name: 'sse_order',
  call(cpu, a, b) {
    const f = (a >> 8) & 1 ? float64 : float32;
    begin(cpu);
    const x = readLane(cpu, f, slotXmm((a >> 12) & 15), 0);
    const y = readLane(cpu, f, sourceSlot((a >> 16) & 15), 0);
    const order = soft.compare(f, x, y, b !== 0, env);
    if (end(cpu)) return -1;
    if (order === undefined) return 0x45;
    return order === 0 ? 0x40 : order < 0 ? 1 : 0;
  },
});
