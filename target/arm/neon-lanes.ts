import type { Value } from '#tcg/builder.ts';
import type { CpuView } from '#tcg/target.ts';
import type { ArmContext } from './context.ts';
import { Feature } from './features.ts';
import { defineHelper } from './helpers.ts';
import { nativeFloat } from './neon-float.ts';
import { type LaneOperation, laneOperationNames, laneOperations, newLaneEnv, qcBit } from './neon-lane-ops.ts';
import { doubledHigh, saturatingShiftLeft, shiftedBy, uniformAmount } from './neon-native.ts';
import {
  alternate,
  broadcast,
  fieldD,
  fieldM,
  fieldN,
  getPair,
  getVector,
  oddQuad,
  setVector,
  type ThreeFields,
} from './neon-vectors.ts';
import { convert, float16, float32, Rounding } from './softfloat.ts';
import { armState, slotD } from './state.ts';
import { directed } from './vfp-convert.ts';
import { wantsVectorFlags } from './vfp-fpscr.ts';
import { neonData, type RowPair } from './vfp-registers.ts';

/** Advanced SIMD instructions that `neon-lane-ops.ts` can do lane by lane (DDI 0406C A7.4). */

const fpscrIndex = armState.offset('fpscr') >> 2;
const env = newLaneEnv();

/** Fields of the helper's first operand, from bit 0: operation 8, size 2, u, q, pairwise, scalar (m's lane x), x 8. */
const sizeShift = 8;
const uBit = 1 << 10;
const qBit = 1 << 11;
const pairwiseBit = 1 << 12;
const scalarBit = 1 << 13;
const xShift = 16;

function readLane(cpu: CpuView, byte: number, size: number): bigint {
  if (size === 3) return BigInt.asUintN(64, cpu.i64[byte >> 3]!);
  let value = 0;
  for (let i = (1 << size) - 1; i >= 0; i--) value = value * 256 + cpu.u8[byte + i]!;
  return BigInt(value);
}

function writeLane(cpu: CpuView, byte: number, size: number, value: bigint): void {
  if (size === 3) {
    cpu.i64[byte >> 3] = BigInt.asIntN(64, value);
    return;
  }
  const word = Number(BigInt.asUintN(32, value));
  for (let i = 0; i < 1 << size; i++) cpu.u8[byte + i] = word >>> (8 * i);
}

/** (fields above, d | n << 8 | m << 16). */
function laneHelper(cpu: CpuView, code: number, registers: number): number {
  const op = laneOperations[laneOperationNames[code & 0xff]!];
  const size = (code >>> sizeShift) & 3;
  const d = slotD(registers & 0xff);
  const n = slotD((registers >>> 8) & 0xff);
  const m = slotD((registers >>> 16) & 0xff);
  const x = (code >>> xShift) & 0xff;
  const count = (code & qBit ? 16 : 8) >> size;
  const results: bigint[] = [];
  env.flags = 0;
  env.qc = false;
  env.flushHalf = (cpu.i32[fpscrIndex]! & (1 << 19)) !== 0;
  env.alternativeHalf = false;
  for (let i = 0; i < count; i++) {
    const lane = i << size;
    let left = n + lane;
    let right = code & scalarBit ? m + (x << size) : m + lane;
    if (code & pairwiseBit) {
      left = (2 * i < count ? n : m) + (((2 * i) % count) << size);
      right = left + (1 << size);
    }
    const old = readLane(cpu, d + lane, size);
    results.push(
      op(readLane(cpu, left, size), readLane(cpu, right, size), old, 8 << size, (code & uBit) !== 0, env, x),
    );
  }
  for (let i = 0; i < count; i++) writeLane(cpu, d + (i << size), size, results[i]!);
  cpu.i32[fpscrIndex] = cpu.i32[fpscrIndex]! | env.flags | (env.qc ? qcBit : 0);
  return 0;
}

const helper = defineHelper({ name: 'neon_lanes', call: laneHelper });

interface Operation {
  readonly name: LaneOperation;
  readonly size: number;
  readonly u?: number;
  readonly q: number;
  readonly pairwise?: boolean;
  readonly scalar?: boolean;
  readonly x?: number;
}

/** One operation on all lanes: native vectors where there is a sequence and no flags are kept, else the helper. */
function emitLanes(c: ArmContext, o: Operation, d: number, n: number, m: number): void {
  if (!emitNative(c, o, d, n, m)) emitHelper(c, o, d, n, m);
}

type Native = (c: ArmContext, o: Operation, d: number, n: number, m: number) => void;

const doubled: Native = (c, { name, size, q, scalar: isScalar, x = 0 }, d, n, m) => {
  const right = isScalar ? broadcast(c, size, m, x) : getVector(c, q, m);
  setVector(c, q, d, doubledHigh(c, getVector(c, q, n), right, size, name === 'qrdmulh'));
};

const shiftedLeft: Native = (c, { name, size, q, u, x = 0 }, d, _n, m) => {
  const kind = name === 'qshlu' ? 'signedToUnsigned' : u ? 'unsigned' : 'signed';
  setVector(c, q, d, saturatingShiftLeft(c, getVector(c, q, m), size, x, kind));
};

const nativeIntegers: Partial<Record<LaneOperation, Native>> = {
  qdmulh: doubled,
  qrdmulh: doubled,
  qshlu: shiftedLeft,
  qshlImmediate: shiftedLeft,
  shl: emitRegisterShift,
  rshl: emitRegisterShift,
  qshl: emitRegisterShift,
  qrshl: emitRegisterShift,
};

function emitNative(c: ArmContext, o: Operation, d: number, n: number, m: number): boolean {
  const { name, size, q, u = 0, x = 0 } = o;
  const set = (value: Value): void => setVector(c, q, d, value);
  const native = nativeIntegers[name];
  if (native) {
    native(c, o, d, n, m);
    return true;
  }
  if (size !== 2 || wantsVectorFlags(c)) return false;
  const operands = floatOperands(c, o, n, m);
  return nativeFloat(c, name, { ...operands, d: () => getVector(c, q, d), u, x }, set);
}

/** The vectors n and m of an operation on singles. */
function floatOperands(c: ArmContext, o: Operation, n: number, m: number): { n: Value; m: Value } {
  const { q } = o;
  if (o.scalar) return { n: getVector(c, q, n), m: broadcast(c, 2, m, o.x ?? 0) };
  if (!o.pairwise) return { n: getVector(c, q, n), m: getVector(c, q, m) };
  const both = getPair(c, n, m);
  return { n: alternate(c, 2, both, both, 0), m: alternate(c, 2, both, both, 1) };
}

/** Shifts by a register: nearly always all lanes by the same amount. */
function emitRegisterShift(c: ArmContext, o: Operation, d: number, n: number, m: number): void {
  const { b } = c;
  const { name, size, q, u = 0 } = o;
  const { differ, amount } = uniformAmount(c, getVector(c, q, n), size);
  const value = getVector(c, q, m);
  b.if(differ);
  emitHelper(c, o, d, n, m);
  b.else();
  const shift = { size, u, rounds: name.includes('r'), saturates: name.startsWith('q') };
  setVector(c, q, d, shiftedBy(c, value, amount, shift));
  b.endif();
}

function emitHelper(c: ArmContext, o: Operation, d: number, n: number, m: number): void {
  const { b } = c;
  const bits = (o.u ? uBit : 0) | (o.q ? qBit : 0) | (o.pairwise ? pairwiseBit : 0) | (o.scalar ? scalarBit : 0);
  const code = laneOperationNames.indexOf(o.name) | (o.size << sizeShift) | bits | ((o.x ?? 0) << xShift);
  b.helper(helper, false, b.i32(code), b.i32(d | (n << 8) | (m << 16)));
}

interface Same extends ThreeFields {
  readonly size: number;
  readonly q: number;
}

/** The element size of floats: halves need FEAT_FP16. */
function floatSize(c: ArmContext, isHalf: boolean): number {
  if (isHalf) c.require(Feature.fp16);
  return isHalf ? 1 : 2;
}

/** Floating point on three registers; the low size bit is the precision. */
const floatSame =
  (name: LaneOperation, pairwise = false) =>
  (c: ArmContext, f: Same): void => {
    if (pairwise && f.q) {
      c.undefined();
      return;
    }
    if (oddQuad(c, f.q, fieldD(f), fieldN(f), fieldM(f))) return;
    emitLanes(c, { name, size: floatSize(c, (f.size & 1) !== 0), q: f.q, pairwise }, fieldD(f), fieldN(f), fieldM(f));
  };

/** VSHL VQSHL VRSHL VQRSHL (register). */
const shiftSame = (name: LaneOperation) => (c: ArmContext, f: Same & { u: number }) => {
  if (oddQuad(c, f.q, fieldD(f), fieldN(f), fieldM(f))) return;
  emitLanes(c, { name, size: f.size, u: f.u, q: f.q }, fieldD(f), fieldN(f), fieldM(f));
};

/** VQDMULH, VQRDMULH. */
const doublingSame = (name: LaneOperation) => (c: ArmContext, f: Same) => {
  if (f.size === 0 || f.size === 3) c.undefined();
  else if (!oddQuad(c, f.q, fieldD(f), fieldN(f), fieldM(f)))
    emitLanes(c, { name, size: f.size, q: f.q }, fieldD(f), fieldN(f), fieldM(f));
};

/** By scalar: u is Q, Dm[x] with 16 or 32 bits. */
const byScalar =
  (name: LaneOperation, isFloat: boolean) => (c: ArmContext, f: ThreeFields & { u: number; size: number }) => {
    if (f.size === 0 || f.size === 3) {
      c.undefined();
      return;
    }
    if (isFloat) floatSize(c, f.size === 1);
    if (oddQuad(c, f.u, fieldD(f), fieldN(f))) return;
    const isHalf = f.size === 1;
    const x = isHalf ? (f.m << 1) | (f.vm >> 3) : f.m;
    emitLanes(c, { name, size: f.size, q: f.u, scalar: true, x }, fieldD(f), fieldN(f), isHalf ? f.vm & 7 : f.vm);
  };

interface Two {
  readonly size: number;
  readonly d: number;
  readonly vd: number;
  readonly q: number;
  readonly m: number;
  readonly vm: number;
}

/** Floats of one register: size 2 is single, 1 half precision. */
const floats =
  (name: LaneOperation, { u = 0, x = 0, feature = 0 } = {}) =>
  (c: ArmContext, f: Two) => {
    if (f.size !== 1 && f.size !== 2) {
      c.undefined();
      return;
    }
    if (oddQuad(c, f.q, fieldD(f), fieldM(f))) return;
    if (feature) c.require(feature);
    emitLanes(c, { name, size: floatSize(c, f.size === 1), q: f.q, u, x }, fieldD(f), 0, fieldM(f));
  };

/** 32-bit elements of one register. */
const words = (name: LaneOperation) => (c: ArmContext, f: Two) => {
  if (f.size !== 2) c.undefined();
  else if (!oddQuad(c, f.q, fieldD(f), fieldM(f))) emitLanes(c, { name, size: 2, q: f.q }, fieldD(f), 0, fieldM(f));
};

interface Shift {
  readonly u: number;
  readonly d: number;
  readonly imm: number;
  readonly vd: number;
  readonly l: number;
  readonly q: number;
  readonly m: number;
  readonly vm: number;
}

/** VQSHL, VQSHLU (immediate). */
const saturatingShift = (name: LaneOperation) => (c: ArmContext, f: Shift) => {
  if (!f.l && f.imm < 8) {
    c.undefined();
    return;
  }
  if (oddQuad(c, f.q, fieldD(f), fieldM(f))) return;
  const size = f.l ? 3 : 28 - Math.clz32(f.imm);
  emitLanes(c, { name, size, u: f.u, q: f.q, x: f.imm & ((8 << size) - 1) }, fieldD(f), 0, fieldM(f));
};

/** VCVT between floating and fixed point. */
const fixedPoint =
  (name: LaneOperation, isHalf = false) =>
  (c: ArmContext, f: Shift) => {
    if (f.l || f.imm < (isHalf ? 48 : 32)) c.undefined();
    else if (!oddQuad(c, f.q, fieldD(f), fieldM(f))) {
      const size = floatSize(c, isHalf);
      emitLanes(c, { name, size, u: f.u, q: f.q, x: 64 - f.imm }, fieldD(f), 0, fieldM(f));
    }
  };

/** (x: to half, d | m << 16): four halves of Dm to Qd, or the other way. */
function halfHelper(cpu: CpuView, toHalf: number, registers: number): number {
  const d = slotD(registers & 0xff);
  const m = slotD(registers >>> 16);
  const [from, to] = toHalf ? ([2, 1] as const) : ([1, 2] as const);
  const formats = [float16, float16, float32];
  env.flags = 0;
  env.flushHalf = false;
  env.alternativeHalf = (cpu.i32[fpscrIndex]! & (1 << 26)) !== 0;
  const results = [0, 1, 2, 3].map((i) =>
    convert(formats[from]!, formats[to]!, readLane(cpu, m + (i << from), from), env),
  );
  for (let i = 0; i < 4; i++) writeLane(cpu, d + (i << to), to, results[i]!);
  cpu.i32[fpscrIndex] = cpu.i32[fpscrIndex]! | env.flags;
  return 0;
}

const half = defineHelper({ name: 'neon_half', call: halfHelper });

/** VCVT.F16.F32 Dd, Qm; VCVT.F32.F16 Qd, Dm. */
const vcvtHalf = (toHalf: 0 | 1) => (c: ArmContext, f: Omit<Two, 'q' | 'size'>) => {
  const d = fieldD(f);
  const m = fieldM(f);
  if (oddQuad(c, 1, toHalf ? m : d)) return;
  const { b } = c;
  b.helper(half, false, b.i32(toHalf), b.i32(d | (m << 16)));
};

/** VCVT<A|N|P|M>.<S|U>32.F32: U is opposite to the bit. */
const vcvtDirected = (c: ArmContext, f: Two & { rm: number; u: number }): void =>
  floats('toIntegerDirected', { u: f.u, x: directed[f.rm]! })(c, f);

const same = <const P extends string>(opc: P) => `0 d:1 size:2 vn:4 vd:4 ${opc} vm:4` as const;
const scalar = <const P extends string>(opc: P) => `1 d:1 size:2 vn:4 vd:4 ${opc} n:1 1 m:1 0 vm:4` as const;
const two = <const P extends string>(opc: P) => `1 d:1 11 size:2 ${opc} q:1 m:1 0 vm:4` as const;
const shifted = <const P extends string>(opc: P) => `1 d:1 imm:6 vd:4 ${opc} l:1 q:1 m:1 1 vm:4` as const;

/** A row on three registers whose size field begins with `high`; U fixed. */
const floatRow = (
  name: string,
  u: '0' | '1',
  high: '0' | '1',
  opc: string,
  b: '0' | '1',
  op: LaneOperation,
  pairwise = false,
): RowPair =>
  neonData(name, u, `0 d:1 ${high} size:1 vn:4 vd:4 ${opc} n:1 q:1 m:1 ${b} vm:4`, (c, f: object) =>
    floatSame(op, pairwise)(c, f as Same),
  );

export const laneRows: readonly RowPair[] = [
  neonData('VSHL (register)', 'u:1', same('0100 n:1 q:1 m:1 0'), shiftSame('shl')),
  neonData('VQSHL (register)', 'u:1', same('0100 n:1 q:1 m:1 1'), shiftSame('qshl')),
  neonData('VRSHL', 'u:1', same('0101 n:1 q:1 m:1 0'), shiftSame('rshl')),
  neonData('VQRSHL', 'u:1', same('0101 n:1 q:1 m:1 1'), shiftSame('qrshl')),
  neonData('VQDMULH', '0', same('1011 n:1 q:1 m:1 0'), doublingSame('qdmulh')),
  neonData('VQRDMULH', '1', same('1011 n:1 q:1 m:1 0'), doublingSame('qrdmulh')),
  floatRow('VFMA', '0', '0', '1100', '1', 'fma'),
  floatRow('VFMS', '0', '1', '1100', '1', 'fms'),
  floatRow('VADD.F32', '0', '0', '1101', '0', 'add'),
  floatRow('VSUB.F32', '0', '1', '1101', '0', 'sub'),
  floatRow('VPADD.F32', '1', '0', '1101', '0', 'add', true),
  floatRow('VABD.F32', '1', '1', '1101', '0', 'abd'),
  floatRow('VMLA.F32', '0', '0', '1101', '1', 'mla'),
  floatRow('VMLS.F32', '0', '1', '1101', '1', 'mls'),
  floatRow('VMUL.F32', '1', '0', '1101', '1', 'mul'),
  floatRow('VCEQ.F32', '0', '0', '1110', '0', 'ceq'),
  floatRow('VCGE.F32', '1', '0', '1110', '0', 'cge'),
  floatRow('VCGT.F32', '1', '1', '1110', '0', 'cgt'),
  floatRow('VACGE.F32', '1', '0', '1110', '1', 'acge'),
  floatRow('VACGT.F32', '1', '1', '1110', '1', 'acgt'),
  floatRow('VMAX.F32', '0', '0', '1111', '0', 'max'),
  floatRow('VMIN.F32', '0', '1', '1111', '0', 'min'),
  floatRow('VPMAX.F32', '1', '0', '1111', '0', 'max', true),
  floatRow('VPMIN.F32', '1', '1', '1111', '0', 'min', true),
  floatRow('VRECPS', '0', '0', '1111', '1', 'recps'),
  floatRow('VRSQRTS', '0', '1', '1111', '1', 'rsqrts'),
  floatRow('VMAXNM.F32', '1', '0', '1111', '1', 'maxnm'),
  floatRow('VMINNM.F32', '1', '1', '1111', '1', 'minnm'),
  neonData('VCGT.F32 (zero)', '1', two('01 vd:4 0 1000'), floats('cgtZero')),
  neonData('VCGE.F32 (zero)', '1', two('01 vd:4 0 1001'), floats('cgeZero')),
  neonData('VCEQ.F32 (zero)', '1', two('01 vd:4 0 1010'), floats('ceqZero')),
  neonData('VCLE.F32 (zero)', '1', two('01 vd:4 0 1011'), floats('cleZero')),
  neonData('VCLT.F32 (zero)', '1', two('01 vd:4 0 1100'), floats('cltZero')),
  neonData('VRECPE.U32', '1', two('11 vd:4 0 1000'), words('urecpe')),
  neonData('VRSQRTE.U32', '1', two('11 vd:4 0 1001'), words('ursqrte')),
  neonData('VRECPE.F32', '1', two('11 vd:4 0 1010'), floats('recpe')),
  neonData('VRSQRTE.F32', '1', two('11 vd:4 0 1011'), floats('rsqrte')),
  neonData('VCVT.F32.S32', '1', two('11 vd:4 0 1100'), floats('fromFixed')),
  neonData('VCVT.F32.U32', '1', two('11 vd:4 0 1101'), floats('fromFixed', { u: 1 })),
  neonData('VCVT.S32.F32', '1', two('11 vd:4 0 1110'), floats('toFixed')),
  neonData('VCVT.U32.F32', '1', two('11 vd:4 0 1111'), floats('toFixed', { u: 1 })),
  neonData('VCVT.F16.F32', '1', '1 d:1 11 01 10 vd:4 0 1100 0 m:1 0 vm:4', vcvtHalf(1)),
  neonData('VCVT.F32.F16', '1', '1 d:1 11 01 10 vd:4 0 1110 0 m:1 0 vm:4', vcvtHalf(0)),
  // VRINT<N|X|A|Z|M|P>; 100 and 110 in the place of op are conversions of halves.
  neonData('VRINTN', '1', two('10 vd:4 0 1000'), floats('rint', { x: Rounding.nearest, feature: Feature.v8 })),
  neonData('VRINTX', '1', two('10 vd:4 0 1001'), floats('rintExact', { x: Rounding.nearest, feature: Feature.v8 })),
  neonData('VRINTA', '1', two('10 vd:4 0 1010'), floats('rint', { x: Rounding.away, feature: Feature.v8 })),
  neonData('VRINTZ', '1', two('10 vd:4 0 1011'), floats('rint', { x: Rounding.zero, feature: Feature.v8 })),
  neonData('VRINTM', '1', two('10 vd:4 0 1101'), floats('rint', { x: Rounding.minus, feature: Feature.v8 })),
  neonData('VRINTP', '1', two('10 vd:4 0 1111'), floats('rint', { x: Rounding.plus, feature: Feature.v8 })),
  neonData('VCVT (directed)', '1', '1 d:1 11 size:2 11 vd:4 0 0 rm:2 u:1 q:1 m:1 0 vm:4', vcvtDirected),
  neonData('VQRDMLAH', '1', same('1011 n:1 q:1 m:1 1'), doublingSame('qrdmlah')),
  neonData('VQRDMLSH', '1', same('1100 n:1 q:1 m:1 1'), doublingSame('qrdmlsh')),
  neonData('VQSHLU', '1', shifted('0110'), (c, f) => saturatingShift('qshlu')(c, { ...f, u: 1 })),
  neonData('VQSHL (immediate)', 'u:1', shifted('0111'), saturatingShift('qshlImmediate')),
  neonData('VCVT.F16 (fixed-point to half)', 'u:1', shifted('1100'), fixedPoint('fromFixed', true)),
  neonData('VCVT.F16 (half to fixed-point)', 'u:1', shifted('1101'), fixedPoint('toFixed', true)),
  neonData('VCVT (fixed-point to F32)', 'u:1', shifted('1110'), fixedPoint('fromFixed')),
  neonData('VCVT (F32 to fixed-point)', 'u:1', shifted('1111'), fixedPoint('toFixed')),
];

/** Come after the rows with 11 in the place of size. */
export const laneScalarRows: readonly RowPair[] = [
  neonData('VMLA.F32 (by scalar)', 'u:1', scalar('0001'), byScalar('mla', true)),
  neonData('VMLS.F32 (by scalar)', 'u:1', scalar('0101'), byScalar('mls', true)),
  neonData('VMUL.F32 (by scalar)', 'u:1', scalar('1001'), byScalar('mul', true)),
  neonData('VQDMULH (by scalar)', 'u:1', scalar('1100'), byScalar('qdmulh', false)),
  neonData('VQRDMLAH (by scalar)', 'u:1', scalar('1110'), byScalar('qrdmlah', false)),
  neonData('VQRDMLSH (by scalar)', 'u:1', scalar('1111'), byScalar('qrdmlsh', false)),
  neonData('VQRDMULH (by scalar)', 'u:1', scalar('1101'), byScalar('qrdmulh', false)),
];
