import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { slotFpNzcv } from './fp-mode.ts';
import { hasVectors, isSoft, rememberCompare, vectorLength, vectorStride, wantsFlags } from './vfp-fpscr.ts';
import { arithmeticHelper } from './vfp-helpers.ts';
import { VfpOp } from './vfp-ops.ts';
import {
  type FloatType,
  floatOps,
  floatType,
  getF,
  numberF,
  type RowPair,
  setF,
  vfp,
  vfpAlways,
} from './vfp-registers.ts';

/** Floating-point data processing on registers (DDI 0406C A7.5). */

interface Registers {
  readonly sz: number;
  readonly vd: number;
  readonly d: number;
  readonly vn: number;
  readonly n: number;
  readonly vm: number;
  readonly m: number;
}
type TwoRegisters = Omit<Registers, 'vn' | 'n'>;

const formatBits = { f32: 0, f64: 1, f16: 2 } as const;

/** Emits the soft form of an operation: everything happens in the state. */
export function emitSoft(
  c: ArmContext,
  op: number,
  type: FloatType | 'f16',
  x: number,
  d: number,
  n: number,
  m: number,
): void {
  const { b } = c;
  const code = op | (formatBits[type] << 8) | (x << 16);
  b.helper(arithmeticHelper, false, b.i32(code), b.i32(d | (n << 8) | (m << 16)));
}

/** Does `each` for the registers of a short vector (DDI 0406C Appendix K.3), usually one scalar. */
function forVector(
  c: ArmContext,
  type: FloatType,
  d: number,
  n: number,
  m: number,
  each: (d: number, n: number, m: number) => void,
): void {
  // Banks of eight S or four D registers; the first (and D16–D19) holds scalars.
  const bank = type === 'f32' ? 8 : 4;
  const isScalar = (register: number): boolean => (register & (type === 'f32' ? 0x18 : 0x0c)) === 0;
  if (!hasVectors(c) || isScalar(d)) {
    each(d, n, m);
    return;
  }
  const step = vectorStride(c);
  const next = (register: number): number => (register & -bank) | ((register + step) & (bank - 1));
  const count = vectorLength(c);
  const scalarM = isScalar(m);
  for (let i = 0, vd = d, vn = n, vm = m; i < count; i++) {
    each(vd, vn, vm);
    vd = next(vd);
    vn = next(vn);
    if (!scalarM) vm = next(vm);
  }
}

type Binary = (c: ArmContext, type: FloatType, d: number, n: Value, m: Value) => Value;

/** An operation of d, n, m with its native form and its `VfpOp`. */
const arithmetic =
  (op: number, native: Binary) =>
  (c: ArmContext, f: Registers): void => {
    const type = floatType(f.sz);
    const soft = wantsFlags(c);
    const each = (d: number, n: number, m: number): void => {
      if (soft) emitSoft(c, op, type, 0, d, n, m);
      else setF(c, type, d, native(c, type, d, getF(c, type, n), getF(c, type, m)));
    };
    forVector(c, type, numberF(type, f.vd, f.d), numberF(type, f.vn, f.n), numberF(type, f.vm, f.m), each);
  };

const withNans = (c: ArmContext, type: FloatType, op: number, n: Value, m: Value): Value =>
  c.b.tri(floatOps[type].fpnan2, c.b.bin(op, n, m), n, m);
const product = (c: ArmContext, type: FloatType, n: Value, m: Value): Value =>
  withNans(c, type, floatOps[type].mul, n, m);
const negated = (c: ArmContext, type: FloatType, value: Value): Value => c.b.un(floatOps[type].neg, value);
const sum = (c: ArmContext, type: FloatType, n: Value, m: Value): Value => withNans(c, type, floatOps[type].add, n, m);
/** n + (−m) by a subtraction, which is the same but for the sign of a NaN that m is. */
const less = (c: ArmContext, type: FloatType, n: Value, m: Value): Value =>
  c.b.tri(floatOps[type].fpnan2, c.b.bin(floatOps[type].sub, n, m), n, negated(c, type, m));

// VADD<c>.F<32|64> Fd, Fn, Fm, and so on. The accumulating ones round twice.
const vadd = arithmetic(VfpOp.add, (c, type, _d, n, m) => sum(c, type, n, m));
const vsub = arithmetic(VfpOp.sub, (c, type, _d, n, m) => withNans(c, type, floatOps[type].sub, n, m));
const vmul = arithmetic(VfpOp.mul, (c, type, _d, n, m) => product(c, type, n, m));
const vnmul = arithmetic(VfpOp.nmul, (c, type, _d, n, m) => negated(c, type, product(c, type, n, m)));
const vdiv = arithmetic(VfpOp.div, (c, type, _d, n, m) => withNans(c, type, floatOps[type].div, n, m));
const vmla = arithmetic(VfpOp.mla, (c, type, d, n, m) => sum(c, type, getF(c, type, d), product(c, type, n, m)));
const vmls = arithmetic(VfpOp.mls, (c, type, d, n, m) => less(c, type, getF(c, type, d), product(c, type, n, m)));
const vnmla = arithmetic(VfpOp.nmla, (c, type, d, n, m) =>
  less(c, type, negated(c, type, getF(c, type, d)), product(c, type, n, m)),
);
const vnmls = arithmetic(VfpOp.nmls, (c, type, d, n, m) =>
  sum(c, type, negated(c, type, getF(c, type, d)), product(c, type, n, m)),
);

/** An operation of d and m. */
const unary =
  (op: number, native: (c: ArmContext, type: FloatType, m: Value) => Value) =>
  (c: ArmContext, f: TwoRegisters): void => {
    const type = floatType(f.sz);
    const soft = op >= 0 && wantsFlags(c);
    const each = (d: number, _n: number, m: number): void => {
      if (soft) emitSoft(c, op, type, 0, d, d, m);
      else setF(c, type, d, native(c, type, getF(c, type, m)));
    };
    forVector(c, type, numberF(type, f.vd, f.d), 0, numberF(type, f.vm, f.m), each);
  };

/** Sign and move operations are never soft: they neither round nor look at NaNs. */
const bitOperation = -1;
const vmov = unary(bitOperation, (_c, _type, m) => m);
const vabs = unary(bitOperation, (c, type, m) => c.b.un(floatOps[type].abs, m));
const vneg = unary(bitOperation, (c, type, m) => negated(c, type, m));
const vsqrt = unary(VfpOp.sqrt, (c, type, m) => c.b.bin(floatOps[type].fpnan1, c.b.un(floatOps[type].sqrt, m), m));

/** VMOV<c>.F<32|64> Fd, #imm: VFPExpandImm. */
function vmovImmediate(c: ArmContext, f: { sz: number; vd: number; d: number; imm: number }): void {
  const type = floatType(f.sz);
  const sign = (f.imm & 0x80) << 24;
  const exponent = f.imm & 0x40 ? (type === 'f32' ? 0x3e000000 : 0x3fc00000) : 0x40000000;
  const value =
    type === 'f32'
      ? c.b.f32Bits(sign | exponent | ((f.imm & 0x3f) << 19))
      : c.b.f64Bits(0, sign | exponent | ((f.imm & 0x3f) << 16));
  forVector(c, type, numberF(type, f.vd, f.d), 0, 0, (d) => setF(c, type, d, value));
}

/** VFMA VFMS VFNMA VFNMS: rounded once. Not for short vectors. */
const fused =
  (op: number, negateProduct: boolean, negateAddend: boolean) =>
  (c: ArmContext, f: Registers): void => {
    if (hasVectors(c)) {
      c.undefined();
      return;
    }
    const type = floatType(f.sz);
    const d = numberF(type, f.vd, f.d);
    const n = numberF(type, f.vn, f.n);
    const m = numberF(type, f.vm, f.m);
    if (type === 'f64' || wantsFlags(c)) {
      emitSoft(c, op, type, 0, d, n, m);
      return;
    }
    const { b } = c;
    const left = b.un(Op.promote_f32, getF(c, 'f32', n));
    const addend = b.un(Op.promote_f32, getF(c, 'f32', d));
    const exact = b.bin(Op.mul_f64, left, b.un(Op.promote_f32, getF(c, 'f32', m)));
    const result = fusedSingle(
      c,
      negateProduct ? b.un(Op.neg_f64, exact) : exact,
      negateAddend ? b.un(Op.neg_f64, addend) : addend,
    );
    // NaNs follow a rule of three operands: out of line.
    b.if(b.bin(Op.ne_f32, result, result));
    emitSoft(c, op, type, 0, d, n, m);
    b.else();
    setF(c, 'f32', d, result);
    b.endif();
  };

/** The f64 sum rounded to odd, then to f32: rounds as if once. */
function fusedSingle(c: ArmContext, left: Value, right: Value): Value {
  const { b } = c;
  const total = b.bin(Op.add_f64, left, right);
  const part = b.bin(Op.sub_f64, total, left);
  const error = b.bin(
    Op.add_f64,
    b.bin(Op.sub_f64, left, b.bin(Op.sub_f64, total, part)),
    b.bin(Op.sub_f64, right, part),
  );
  const zero = b.f64Bits(0, 0);
  const up = b.bin(Op.gt_f64, error, zero);
  // An infinite sum has a NaN residue: neither above nor below zero.
  const inexact = b.or(up, b.bin(Op.lt_f64, error, zero));
  const bits = b.un(Op.bits_f64, total);
  const even = b.eqz(b.andImm(b.un(Op.wrap_i64, bits), 1));
  const away = b.bin(Op.eq_i32, up, b.bin(Op.gt_f64, total, zero));
  const odd = b.bin(Op.add_i64, bits, b.tri(Op.select_i64, b.i64(1, 0), b.i64(-1, -1), away));
  const chosen = b.tri(Op.select_i64, odd, bits, b.and(inexact, even));
  return b.un(Op.demote_f64, b.un(Op.from_bits_f64, chosen));
}

/** VCMP{E}<c>.F<32|64> Fd, Fm; z: with zero. */
function vcmp(c: ArmContext, f: TwoRegisters & { z: number; e: number }): void {
  if (f.z && (f.vm | f.m) !== 0) {
    c.undefined();
    return;
  }
  const type = floatType(f.sz);
  const { b } = c;
  const d = numberF(type, f.vd, f.d);
  const m = numberF(type, f.vm, f.m);
  if (isSoft(c)) {
    emitSoft(c, VfpOp.compare, type, f.e | (f.z << 1), d, d, m);
    return;
  }
  const left = getF(c, type, d);
  const right = !f.z ? getF(c, type, m) : type === 'f32' ? b.f32Bits(0) : b.f64Bits(0, 0);
  const ops = floatOps[type];
  const less = b.bin(ops.lt, left, right);
  const ordered = b.or(less, b.bin(ops.ge, left, right));
  const nz = b.or(b.shlImm(less, 31), b.shlImm(b.bin(ops.eq, left, right), 30));
  const cv = b.or(b.shlImm(b.eqz(less), 29), b.shlImm(b.eqz(ordered), 28));
  b.set32(slotFpNzcv, b.or(nz, cv));
  rememberCompare(c, type, left, right);
}

/** VSEL<cc>.F<32|64> Fd, Fn, Fm: EQ, VS, GE, GT. */
function vsel(c: ArmContext, f: Registers & { cc: number }): void {
  const type = floatType(f.sz);
  const condition = c.condition([0, 6, 10, 12][f.cc]!);
  const n = getF(c, type, numberF(type, f.vn, f.n));
  const m = getF(c, type, numberF(type, f.vm, f.m));
  setF(c, type, numberF(type, f.vd, f.d), c.b.tri(floatOps[type].select, n, m, condition));
}

/** VMAXNM, VMINNM. */
const numberMinMax =
  (op: number) =>
  (c: ArmContext, f: Registers): void => {
    const type = floatType(f.sz);
    emitSoft(c, op, type, 0, numberF(type, f.vd, f.d), numberF(type, f.vn, f.n), numberF(type, f.vm, f.m));
  };

export const arithmeticRows: readonly RowPair[] = [
  vfp('VMLA (floating-point)', '11100 d:1 00 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', vmla),
  vfp('VMLS (floating-point)', '11100 d:1 00 vn:4 vd:4 101 sz:1 n:1 1 m:1 0 vm:4', vmls),
  vfp('VNMLS', '11100 d:1 01 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', vnmls),
  vfp('VNMLA', '11100 d:1 01 vn:4 vd:4 101 sz:1 n:1 1 m:1 0 vm:4', vnmla),
  vfp('VMUL (floating-point)', '11100 d:1 10 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', vmul),
  vfp('VNMUL', '11100 d:1 10 vn:4 vd:4 101 sz:1 n:1 1 m:1 0 vm:4', vnmul),
  vfp('VADD (floating-point)', '11100 d:1 11 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', vadd),
  vfp('VSUB (floating-point)', '11100 d:1 11 vn:4 vd:4 101 sz:1 n:1 1 m:1 0 vm:4', vsub),
  vfp('VDIV', '11101 d:1 00 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', vdiv),
  vfp('VFNMS', '11101 d:1 01 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', fused(VfpOp.fnms, false, true)),
  vfp('VFNMA', '11101 d:1 01 vn:4 vd:4 101 sz:1 n:1 1 m:1 0 vm:4', fused(VfpOp.fnma, true, true)),
  vfp('VFMA', '11101 d:1 10 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', fused(VfpOp.fma, false, false)),
  vfp('VFMS', '11101 d:1 10 vn:4 vd:4 101 sz:1 n:1 1 m:1 0 vm:4', fused(VfpOp.fms, true, false)),
  vfp('VMOV (immediate)', '11101 d:1 11 imm:4 vd:4 101 sz:1 0000 imm:4', vmovImmediate),
  vfp('VMOV (register)', '11101 d:1 11 0000 vd:4 101 sz:1 01 m:1 0 vm:4', vmov),
  vfp('VABS (floating-point)', '11101 d:1 11 0000 vd:4 101 sz:1 11 m:1 0 vm:4', vabs),
  vfp('VNEG (floating-point)', '11101 d:1 11 0001 vd:4 101 sz:1 01 m:1 0 vm:4', vneg),
  vfp('VSQRT', '11101 d:1 11 0001 vd:4 101 sz:1 11 m:1 0 vm:4', vsqrt),
  vfp('VCMP', '11101 d:1 11 010 z:1 vd:4 101 sz:1 e:1 1 m:1 0 vm:4', vcmp),
  vfpAlways('VSEL', '11100 d:1 cc:2 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', vsel),
  vfpAlways('VMAXNM', '11101 d:1 00 vn:4 vd:4 101 sz:1 n:1 0 m:1 0 vm:4', numberMinMax(VfpOp.maxnm)),
  vfpAlways('VMINNM', '11101 d:1 00 vn:4 vd:4 101 sz:1 n:1 1 m:1 0 vm:4', numberMinMax(VfpOp.minnm)),
];
