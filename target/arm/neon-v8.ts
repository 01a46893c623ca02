/**
 * The Advanced SIMD extensions in the 1111 110x and 1111 1110 spaces (DDI 0487 F3.1.11): dot products, matrix
 * products, complex numbers, widening fused multiply-add, BFloat16. Few programs for AArch32 have them: a helper does
 * them word by word.
 */
import type { CpuView } from '#tcg/target.ts';
import type { ArmContext } from './context.ts';
import { Feature } from './features.ts';
import { defineHelper } from './helpers.ts';
import { fieldD, fieldM, fieldN, oddQuad, type ThreeFields } from './neon-vectors.ts';
import * as soft from './softfloat.ts';
import { type FloatFormat, float16, float32, Rounding } from './softfloat.ts';
import { armState, slotD, slotS } from './state.ts';
import { neonData, numberS, type RowPair, vfpAlways } from './vfp-registers.ts';

const fpscrIndex = armState.offset('fpscr') >> 2;
/** The standard FPSCR value; BFloat16 products round to odd and raise nothing. */
const env = soft.newEnv((1 << 24) | (1 << 25));
const oddEnv = { ...soft.newEnv((1 << 24) | (1 << 25)), rounding: Rounding.odd };

/** Operands as bytes, so that a destination may be a source. */
interface Operands {
  /** Destination's old value, and the first operand. */
  readonly d: DataView;
  readonly n: DataView;
  /** The second operand, or the 8 bytes of the register that holds the scalar. */
  readonly m: DataView;
  /** Bytes of the destination: 8 or 16. */
  readonly bytes: number;
  /** The scalar's element, or -1. */
  readonly index: number;
  /** The operation's own: rotation, top half, negation. */
  readonly x: number;
}

type Operation = (o: Operands, result: DataView) => void;

/** The byte of m that a word of the destination uses, for elements of 32 bits. */
const wordOf = (o: Operands, at: number): number => (o.index < 0 ? at : 4 * o.index);

const bits = (value: bigint): number => Number(BigInt.asUintN(32, value));
const single = (view: DataView, at: number): bigint => BigInt(view.getUint32(at, true));
const halfAt = (view: DataView, at: number): bigint => BigInt(view.getUint16(at, true));

const byteAt = (view: DataView, at: number, signed: boolean): number => (signed ? view.getInt8(at) : view.getUint8(at));

/** V<S|U|US|SU>DOT: sums of four products of bytes. */
const dot =
  (signedN: boolean, signedM: boolean): Operation =>
  (o, result) => {
    for (let at = 0; at < o.bytes; at += 4) {
      let sum = o.d.getInt32(at, true);
      const from = wordOf(o, at);
      for (let i = 0; i < 4; i++) sum += byteAt(o.n, at + i, signedN) * byteAt(o.m, from + i, signedM);
      result.setInt32(at, sum, true);
    }
  };

/** V<S|U|US>MMLA: a 2×8 matrix times an 8×2 one. */
const matrix =
  (signedN: boolean, signedM: boolean): Operation =>
  (o, result) => {
    for (let word = 0; word < 4; word++) {
      let sum = o.d.getInt32(4 * word, true);
      for (let i = 0; i < 8; i++) {
        sum += byteAt(o.n, 8 * (word >> 1) + i, signedN) * byteAt(o.m, 8 * (word & 1) + i, signedM);
      }
      result.setInt32(4 * word, sum, true);
    }
  };

/** BFDotAdd: two products and their sum, each rounded to odd, then added. */
function bfloatDot(sum: bigint, n: number, m: number): number {
  const low = soft.mul(float32, BigInt((n << 16) >>> 0), BigInt((m << 16) >>> 0), oddEnv);
  const high = soft.mul(float32, BigInt((n & 0xffff0000) >>> 0), BigInt((m & 0xffff0000) >>> 0), oddEnv);
  return bits(soft.add(float32, sum, soft.add(float32, low, high, oddEnv), oddEnv));
}

/** VDOT.BF16. */
const bfloatDots: Operation = (o, result) => {
  for (let at = 0; at < o.bytes; at += 4) {
    const m = o.m.getUint32(wordOf(o, at), true);
    result.setUint32(at, bfloatDot(single(o.d, at), o.n.getUint32(at, true), m), true);
  }
};

/** VMMLA.BF16. */
const bfloatMatrix: Operation = (o, result) => {
  for (let word = 0; word < 4; word++) {
    let sum = single(o.d, 4 * word);
    for (const pair of [0, 4]) {
      const n = o.n.getUint32(8 * (word >> 1) + pair, true);
      sum = BigInt(bfloatDot(sum, n, o.m.getUint32(8 * (word & 1) + pair, true)));
    }
    result.setUint32(4 * word, bits(sum), true);
  }
};

/** VFMAB, VFMAT: the even or odd BFloat16 elements (x), fused. */
const bfloatFused: Operation = (o, result) => {
  const top = 2 * o.x;
  for (let at = 0; at < 16; at += 4) {
    const n = o.n.getUint16(at + top, true) * 0x10000;
    const m = o.m.getUint16(o.index < 0 ? at + top : 2 * o.index, true) * 0x10000;
    result.setUint32(at, bits(soft.fma(float32, single(o.d, at), BigInt(n), BigInt(m), env)), true);
  }
};

/** A half as a single, its denormals kept unless FZ16. */
const widened = (half: bigint): bigint => {
  const exact = { ...env, flags: 0, flushToZero: false };
  const isDenormal = (half & 0x7c00n) === 0n && (half & 0x3ffn) !== 0n;
  const value = env.flushHalf && isDenormal ? half & 0x8000n : half;
  const result = soft.convert(float16, float32, value, exact);
  env.flags |= exact.flags & soft.FpFlag.invalid;
  return result;
};

/** VFMAL, VFMSL (x): products of halves added to singles, fused; n and m are 4 bytes for a D destination. */
const halvesFused: Operation = (o, result) => {
  for (let at = 0; at < o.bytes; at += 4) {
    const n = halfAt(o.n, at >> 1);
    const m = halfAt(o.m, o.index < 0 ? at >> 1 : 2 * o.index);
    const factor = o.x ? n ^ 0x8000n : n;
    result.setUint32(at, bits(soft.fma(float32, single(o.d, at), widened(factor), widened(m), env)), true);
  }
};

interface Lanes {
  readonly format: FloatFormat;
  readonly bytes: number;
  readonly get: (view: DataView, at: number) => bigint;
  readonly set: (view: DataView, at: number, value: bigint) => void;
}
const singles: Lanes = {
  format: float32,
  bytes: 4,
  get: single,
  set: (view, at, value) => view.setUint32(at, bits(value), true),
};
const halves: Lanes = {
  format: float16,
  bytes: 2,
  get: halfAt,
  set: (view, at, value) => view.setUint16(at, Number(value), true),
};

/** VCADD #90 (x 0), #270 (1). */
const complexAdd =
  ({ format, bytes, get, set }: Lanes): Operation =>
  (o, result) => {
    for (let at = 0; at < o.bytes; at += 2 * bytes) {
      const real = get(o.m, at);
      const imaginary = get(o.m, at + bytes);
      const first = o.x ? imaginary : soft.negate(format, imaginary);
      const second = o.x ? soft.negate(format, real) : real;
      set(result, at, soft.add(format, get(o.n, at), first, env));
      set(result, at + bytes, soft.add(format, get(o.n, at + bytes), second, env));
    }
  };

/** VCMLA #(90 · x). */
const complexFused =
  ({ format, bytes, get, set }: Lanes): Operation =>
  (o, result) => {
    for (let at = 0; at < o.bytes; at += 2 * bytes) {
      const from = o.index < 0 ? at : 2 * bytes * o.index;
      const parts = [get(o.m, from), get(o.m, from + bytes)] as const;
      // Odd rotations take the imaginary part of n.
      const factor = get(o.n, at + (o.x & 1 ? bytes : 0));
      const first = o.x & 1 ? parts[1] : parts[0];
      const second = o.x & 1 ? parts[0] : parts[1];
      const negatesFirst = o.x === 1 || o.x === 2;
      const negatesSecond = o.x >= 2;
      const by = (value: bigint, negates: boolean): bigint => (negates ? soft.negate(format, value) : value);
      set(result, at, soft.fma(format, get(o.d, at), factor, by(first, negatesFirst), env));
      set(result, at + bytes, soft.fma(format, get(o.d, at + bytes), factor, by(second, negatesSecond), env));
    }
  };

/** VCVT.BF16.F32 Dd, Qm. */
const toBFloats: Operation = (o, result) => {
  for (let i = 0; i < 4; i++) {
    result.setUint16(2 * i, Number(soft.toBFloat16(single(o.m, 4 * i), env)), true);
  }
};

const operations = {
  sdot: dot(true, true),
  udot: dot(false, false),
  usdot: dot(false, true),
  sudot: dot(true, false),
  smmla: matrix(true, true),
  ummla: matrix(false, false),
  usmmla: matrix(false, true),
  bfloatDots,
  bfloatMatrix,
  bfloatFused,
  halvesFused,
  complexAdd: complexAdd(singles),
  complexAddHalf: complexAdd(halves),
  complexFused: complexFused(singles),
  complexFusedHalf: complexFused(halves),
  toBFloats,
} satisfies Record<string, Operation>;
type OperationName = keyof typeof operations;
const operationNames = Object.keys(operations) as OperationName[];

/** Fields of the helper's first operand: operation 8 bits, q, x 4 bits, the scalar's index + 1. */
const qBit = 1 << 8;
const xShift = 12;
const indexShift = 16;

const result = new DataView(new ArrayBuffer(16));
const flagBits = 0x9f;

/** (fields above; byte offsets of d and n; that of m). */
function extension(cpu: CpuView, code: number, places: number, m: number): number {
  const name = operationNames[code & 0xff]!;
  const view = (at: number): DataView => new DataView(cpu.u8.buffer, cpu.u8.byteOffset + at, 16);
  const bytes = code & qBit || name === 'toBFloats' ? 16 : 8;
  const index = ((code >>> indexShift) & 0xff) - 1;
  soft.readHalfEnv(env, (1 << 24) | (1 << 25) | (cpu.i32[fpscrIndex]! & (1 << 19)));
  const d = places & 0xffff;
  const x = (code >>> xShift) & 15;
  operations[name]({ d: view(d), n: view(places >>> 16), m: view(m), bytes, index, x }, result);
  const written = name === 'toBFloats' ? 8 : bytes;
  for (let i = 0; i < written; i++) cpu.u8[d + i] = result.getUint8(i);
  cpu.i32[fpscrIndex] = cpu.i32[fpscrIndex]! | (env.flags & flagBits);
  return 0;
}

const helper = defineHelper({ name: 'neon_extension', call: extension });

interface Emitted {
  readonly q: number;
  readonly x?: number;
  readonly index?: number;
}

/** Emits an operation on state at byte offsets d, n, m. */
function emit(c: ArmContext, name: OperationName, d: number, n: number, m: number, e: Emitted): void {
  const { b } = c;
  const { q, x = 0, index = -1 } = e;
  const code = operationNames.indexOf(name) | (q ? qBit : 0) | (x << xShift) | ((index + 1) << indexShift);
  b.helper(helper, false, b.i32(code), b.i32(d | (n << 16)), b.i32(m));
}

interface Q extends ThreeFields {
  readonly q: number;
}

/** Three registers of one length. */
const same =
  (name: (f: Q & { u?: number }) => OperationName) =>
  (c: ArmContext, f: Q & { u?: number }): void => {
    if (oddQuad(c, f.q, fieldD(f), fieldN(f), fieldM(f))) return;
    emit(c, name(f), slotD(fieldD(f)), slotD(fieldN(f)), slotD(fieldM(f)), { q: f.q });
  };

/** Words of Dm[M] with all words of n. */
const byWord =
  (name: (f: Q & { u?: number }) => OperationName) =>
  (c: ArmContext, f: Q & { u?: number }): void => {
    if (oddQuad(c, f.q, fieldD(f), fieldN(f))) return;
    emit(c, name(f), slotD(fieldD(f)), slotD(fieldN(f)), slotD(f.vm), { q: f.q, index: f.m });
  };

/** Q registers only. */
const quads =
  (name: (f: { u?: number }) => OperationName) =>
  (c: ArmContext, f: ThreeFields & { u?: number }): void =>
    same(name)(c, { ...f, q: 1 });

/** VFMA<B|T>.BF16 Qd, Qn, Qm. */
function vfmaBFloat(c: ArmContext, f: ThreeFields & { t: number }): void {
  if (oddQuad(c, 1, fieldD(f), fieldN(f), fieldM(f))) return;
  emit(c, 'bfloatFused', slotD(fieldD(f)), slotD(fieldN(f)), slotD(fieldM(f)), { q: 1, x: f.t });
}

/** VFMA<B|T>.BF16 Qd, Qn, Dm[index]. */
function vfmaBFloatScalar(c: ArmContext, f: ThreeFields & { t: number }): void {
  if (oddQuad(c, 1, fieldD(f), fieldN(f))) return;
  const index = (f.m << 1) | (f.vm >> 3);
  emit(c, 'bfloatFused', slotD(fieldD(f)), slotD(fieldN(f)), slotD(f.vm & 7), { q: 1, x: f.t, index });
}

/** VFMAL, VFMSL (s): Qd, Dn, Dm or Dd, Sn, Sm. */
function vfmal(c: ArmContext, f: Q & { s: number }): void {
  if (f.q && fieldD(f) & 1) {
    c.undefined();
    return;
  }
  const slot = (field: number, extra: number): number =>
    f.q ? slotD((extra << 4) | field) : slotS(numberS(field, extra));
  emit(c, 'halvesFused', slotD(fieldD(f)), slot(f.vn, f.n), slot(f.vm, f.m), { q: f.q, x: f.s });
}

/** VFMAL, VFMSL (s) by scalar: Qd, Dn, Dm[index] or Dd, Sn, Sm[index]. */
function vfmalScalar(c: ArmContext, f: Q & { s: number }): void {
  if (f.q && fieldD(f) & 1) {
    c.undefined();
    return;
  }
  const d = slotD(fieldD(f));
  const n = f.q ? slotD(fieldN(f)) : slotS(numberS(f.vn, f.n));
  const low = f.vm & 7;
  if (f.q) emit(c, 'halvesFused', d, n, slotD(low), { q: 1, x: f.s, index: (f.m << 1) | (f.vm >> 3) });
  else emit(c, 'halvesFused', d, n, slotS(numberS(low, f.m)), { q: 0, x: f.s, index: f.vm >> 3 });
}

/** VCADD. */
function vcadd(c: ArmContext, f: Q & { r: number; s: number }): void {
  if (oddQuad(c, f.q, fieldD(f), fieldN(f), fieldM(f))) return;
  if (!f.s) c.require(Feature.fp16);
  const name = f.s ? 'complexAdd' : 'complexAddHalf';
  emit(c, name, slotD(fieldD(f)), slotD(fieldN(f)), slotD(fieldM(f)), { q: f.q, x: f.r });
}

/** VCMLA. */
function vcmla(c: ArmContext, f: Q & { rot: number; s: number }): void {
  if (oddQuad(c, f.q, fieldD(f), fieldN(f), fieldM(f))) return;
  if (!f.s) c.require(Feature.fp16);
  const name = f.s ? 'complexFused' : 'complexFusedHalf';
  emit(c, name, slotD(fieldD(f)), slotD(fieldN(f)), slotD(fieldM(f)), { q: f.q, x: f.rot });
}

/** VCMLA (by element): a single Dm, or one of the two complex numbers of halves in it. */
function vcmlaScalar(c: ArmContext, f: Q & { rot: number; s: number }): void {
  if (oddQuad(c, f.q, fieldD(f), fieldN(f))) return;
  if (!f.s) c.require(Feature.fp16);
  const d = slotD(fieldD(f));
  const n = slotD(fieldN(f));
  if (f.s) emit(c, 'complexFused', d, n, slotD(fieldM(f)), { q: f.q, x: f.rot, index: 0 });
  else emit(c, 'complexFusedHalf', d, n, slotD(f.vm), { q: f.q, x: f.rot, index: f.m });
}

/** VCVT.BF16.F32 Dd, Qm. */
function vcvtBFloat(c: ArmContext, f: { d: number; vd: number; m: number; vm: number }): void {
  if (fieldM(f) & 1) c.undefined();
  else emit(c, 'toBFloats', slotD(fieldD(f)), slotD(0), slotD(fieldM(f)), { q: 0 });
}

const signed = (f: { u?: number }): OperationName => (f.u ? 'udot' : 'sdot');

export const extensionRows: readonly RowPair[] = [
  vfpAlways('VSDOT, VUDOT', '11000 d:1 10 vn:4 vd:4 1101 n:1 q:1 m:1 u:1 vm:4', same(signed)),
  vfpAlways('VSDOT, VUDOT (by element)', '11100 d:1 10 vn:4 vd:4 1101 n:1 q:1 m:1 u:1 vm:4', byWord(signed)),
  vfpAlways(
    'VUSDOT',
    '11001 d:1 10 vn:4 vd:4 1101 n:1 q:1 m:1 0 vm:4',
    same(() => 'usdot'),
  ),
  vfpAlways(
    'VUSDOT, VSUDOT (by element)',
    '11101 d:1 00 vn:4 vd:4 1101 n:1 q:1 m:1 u:1 vm:4',
    byWord((f) => (f.u ? 'sudot' : 'usdot')),
  ),
  vfpAlways(
    'VSMMLA, VUMMLA',
    '11000 d:1 10 vn:4 vd:4 1100 n:1 1 m:1 u:1 vm:4',
    quads((f) => (f.u ? 'ummla' : 'smmla')),
  ),
  vfpAlways(
    'VUSMMLA',
    '11001 d:1 10 vn:4 vd:4 1100 n:1 1 m:1 0 vm:4',
    quads(() => 'usmmla'),
  ),
  vfpAlways(
    'VDOT.BF16',
    '11000 d:1 00 vn:4 vd:4 1101 n:1 q:1 m:1 0 vm:4',
    same(() => 'bfloatDots'),
  ),
  vfpAlways(
    'VDOT.BF16 (by element)',
    '11100 d:1 00 vn:4 vd:4 1101 n:1 q:1 m:1 0 vm:4',
    byWord(() => 'bfloatDots'),
  ),
  vfpAlways(
    'VMMLA.BF16',
    '11000 d:1 00 vn:4 vd:4 1100 n:1 1 m:1 0 vm:4',
    quads(() => 'bfloatMatrix'),
  ),
  vfpAlways('VFMAB, VFMAT.BF16', '11000 d:1 11 vn:4 vd:4 1000 n:1 t:1 m:1 1 vm:4', vfmaBFloat),
  vfpAlways('VFMAB, VFMAT.BF16 (by scalar)', '11100 d:1 11 vn:4 vd:4 1000 n:1 t:1 m:1 1 vm:4', vfmaBFloatScalar),
  vfpAlways('VFMAL, VFMSL', '1100 s:1 d:1 10 vn:4 vd:4 1000 n:1 q:1 m:1 1 vm:4', vfmal),
  vfpAlways('VFMAL, VFMSL (by scalar)', '11100 d:1 0 s:1 vn:4 vd:4 1000 n:1 q:1 m:1 1 vm:4', vfmalScalar),
  vfpAlways('VCADD', '110 r:1 1 d:1 0 s:1 vn:4 vd:4 1000 n:1 q:1 m:1 0 vm:4', vcadd),
  vfpAlways('VCMLA', '110 rot:2 d:1 1 s:1 vn:4 vd:4 1000 n:1 q:1 m:1 0 vm:4', vcmla),
  vfpAlways('VCMLA (by element)', '1110 s:1 d:1 rot:2 vn:4 vd:4 1000 n:1 q:1 m:1 0 vm:4', vcmlaScalar),
  neonData('VCVT.BF16.F32', '1', '1 d:1 11 01 10 vd:4 0 1100 1 m:1 0 vm:4', vcvtBFloat),
];
