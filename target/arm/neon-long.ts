import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { narrowed } from './neon-shift.ts';
import { multiplied, saturatedSum } from './neon-three.ts';
import {
  broadcast,
  everyLane,
  fieldD,
  fieldM,
  fieldN,
  getVector,
  laneOps,
  oddQuad,
  setVector,
  type ThreeFields,
} from './neon-vectors.ts';
import { neonData, type RowPair } from './vfp-registers.ts';

/** Integer Advanced SIMD on registers of different lengths and with scalars (DDI 0406C A7.4.2, A7.4.3). */

interface Long extends ThreeFields {
  readonly u: number;
  readonly size: number;
}

const widen = (c: ArmContext, value: Value, size: number, u: number): Value =>
  c.b.un((u ? laneOps.widenU : laneOps.widenS)[size]!, value);

const products = [
  [Op.extmul_low_s_i8x16, Op.extmul_low_s_i16x8, Op.extmul_low_s_i32x4],
  [Op.extmul_low_u_i8x16, Op.extmul_low_u_i16x8, Op.extmul_low_u_i32x4],
];
/** n · m of the low elements, twice as wide. */
const product = (c: ArmContext, n: Value, m: Value, size: number, u: number): Value =>
  c.b.bin(products[u]![size]!, n, m);

type Emit = (c: ArmContext, n: Value, m: Value, size: number, u: number, d: () => Value) => Value;

/** Qd from Dn and Dm, or Qn and Dm (`wideN`); operands come widened unless `emit` does that (`narrow`). */
const long =
  (wideN: boolean, emit: Emit, narrow = false) =>
  (c: ArmContext, f: Long): void => {
    const d = fieldD(f);
    const n = fieldN(f);
    if (f.size === 3 || d & 1 || (wideN && n & 1)) {
      c.undefined();
      return;
    }
    const wide = (value: Value): Value => (narrow ? value : widen(c, value, f.size, f.u));
    const left = wideN ? getVector(c, 1, n) : wide(getVector(c, 0, n));
    const right = wide(getVector(c, 0, fieldM(f)));
    setVector(
      c,
      1,
      d,
      emit(c, left, right, f.size, f.u, () => getVector(c, 1, d)),
    );
  };

const wideAdd: Emit = (c, n, m, size) => c.b.bin(laneOps.add[size + 1]!, n, m);
const wideSub: Emit = (c, n, m, size) => c.b.bin(laneOps.sub[size + 1]!, n, m);
const vmull: Emit = (c, n, m, size, u) => product(c, n, m, size, u);
const vmlal: Emit = (c, n, m, size, u, d) => c.b.bin(laneOps.add[size + 1]!, d(), product(c, n, m, size, u));
const vmlsl: Emit = (c, n, m, size, u, d) => c.b.bin(laneOps.sub[size + 1]!, d(), product(c, n, m, size, u));

/** 2 · n · m, which saturates where both are the smallest value. */
function doubledProduct(c: ArmContext, n: Value, m: Value, size: number): Value {
  const value = product(c, n, m, size, 0);
  return saturatedSum(c, 'add', value, value, size + 1, 0);
}
const vqdmull: Emit = (c, n, m, size) => doubledProduct(c, n, m, size);
const vqdmlal: Emit = (c, n, m, size, _u, d) => saturatedSum(c, 'add', d(), doubledProduct(c, n, m, size), size + 1, 0);
const vqdmlsl: Emit = (c, n, m, size, _u, d) => saturatedSum(c, 'sub', d(), doubledProduct(c, n, m, size), size + 1, 0);
/** Halfwords and words only. */
const doubling = (emit: Emit) => (c: ArmContext, f: Long) => {
  if (f.size === 0) c.undefined();
  else long(false, emit, true)(c, f);
};

/** VMULL.P8: products of polynomials over {0, 1}. */
function vmullPolynomial(c: ArmContext, f: Long): void {
  const d = fieldD(f);
  if (f.size !== 0 || d & 1) {
    c.undefined();
    return;
  }
  const { b } = c;
  const n = widen(c, getVector(c, 0, fieldN(f)), 0, 1);
  const m = widen(c, getVector(c, 0, fieldM(f)), 0, 1);
  let sum = b.v128(0, 0, 0, 0);
  for (let bit = 0; bit < 8; bit++) {
    // All ones in the halfwords of m that have the bit.
    const mask = b.bin(Op.shr_s_i16x8, b.bin(Op.shl_i16x8, m, b.i32(15 - bit)), b.i32(15));
    sum = b.bin(Op.xor_v128, sum, b.bin(Op.and_v128, b.bin(Op.shl_i16x8, n, b.i32(bit)), mask));
  }
  setVector(c, 1, d, sum);
}

/** |n − m|: the difference of widened elements fits, signed. */
function difference(c: ArmContext, n: Value, m: Value, size: number): Value {
  const { b } = c;
  const value = b.bin(laneOps.sub[size + 1]!, n, m);
  if (size < 2) return b.un(laneOps.abs[size + 1]!, value);
  return b.un(Op.abs_i64x2, value);
}
const vabdl: Emit = (c, n, m, size) => difference(c, n, m, size);
const vabal: Emit = (c, n, m, size, _u, d) => c.b.bin(laneOps.add[size + 1]!, d(), difference(c, n, m, size));

/** VADDHN VSUBHN and, rounded (u), VRADDHN VRSUBHN: the high halves of Qn ± Qm. */
const highNarrow = (ops: readonly number[]) => (c: ArmContext, f: Long) => {
  const n = fieldN(f);
  const m = fieldM(f);
  if (f.size === 3 || n & 1 || m & 1) {
    c.undefined();
    return;
  }
  const { b } = c;
  const wide = f.size + 1;
  const width = 8 << f.size;
  let value = b.bin(ops[wide]!, getVector(c, 1, n), getVector(c, 1, m));
  if (f.u) value = b.bin(laneOps.add[wide]!, value, roundingBit(c, wide, width - 1));
  setVector(c, 0, fieldD(f), narrowed(c, b.bin(laneOps.shrU[wide]!, value, b.i32(width)), f.size));
};

const roundingBit = (c: ArmContext, size: number, bit: number): Value =>
  size === 3 ? c.b.v128(1 << bit, 0, 1 << bit, 0) : everyLane(c, size, 2 ** bit);

/** The scalar of a by-scalar instruction in every element: Dm[x] with 16 or 32 bits. */
function scalar(c: ArmContext, f: Long): Value {
  const isHalf = f.size === 1;
  const register = isHalf ? f.vm & 7 : f.vm;
  const index = isHalf ? (f.m << 1) | (f.vm >> 3) : f.m;
  return broadcast(c, f.size, register, index);
}

/** VMUL VMLA VMLS (by scalar); u is Q. */
const byScalar = (op: readonly number[] | undefined) => (c: ArmContext, f: Long) => {
  const d = fieldD(f);
  if (f.size === 0 || f.size === 3) {
    c.undefined();
    return;
  }
  if (oddQuad(c, f.u, d, fieldN(f))) return;
  const value = multiplied(c, getVector(c, f.u, fieldN(f)), scalar(c, f), f.size);
  setVector(c, f.u, d, op ? c.b.bin(op[f.size]!, getVector(c, f.u, d), value) : value);
};

/** VMULL VMLAL VMLSL (by scalar). */
const longByScalar = (emit: Emit) => (c: ArmContext, f: Long) => {
  const d = fieldD(f);
  if (f.size === 0 || f.size === 3 || d & 1) {
    c.undefined();
    return;
  }
  setVector(
    c,
    1,
    d,
    emit(c, getVector(c, 0, fieldN(f)), scalar(c, f), f.size, f.u, () => getVector(c, 1, d)),
  );
};

const rest = <const P extends string>(opc: P) => `1 d:1 size:2 vn:4 vd:4 ${opc} 0 vm:4` as const;

/** Come after the rows with 11 in the place of size. */
export const longRows: readonly RowPair[] = [
  neonData('VADDL', 'u:1', rest('0000 n:1 0 m:1'), long(false, wideAdd)),
  neonData('VADDW', 'u:1', rest('0001 n:1 0 m:1'), long(true, wideAdd)),
  neonData('VSUBL', 'u:1', rest('0010 n:1 0 m:1'), long(false, wideSub)),
  neonData('VSUBW', 'u:1', rest('0011 n:1 0 m:1'), long(true, wideSub)),
  neonData('VADDHN', 'u:1', rest('0100 n:1 0 m:1'), highNarrow(laneOps.add)),
  neonData('VABAL', 'u:1', rest('0101 n:1 0 m:1'), long(false, vabal)),
  neonData('VSUBHN', 'u:1', rest('0110 n:1 0 m:1'), highNarrow(laneOps.sub)),
  neonData('VABDL', 'u:1', rest('0111 n:1 0 m:1'), long(false, vabdl)),
  neonData('VMLAL', 'u:1', rest('1000 n:1 0 m:1'), long(false, vmlal, true)),
  neonData('VMLSL', 'u:1', rest('1010 n:1 0 m:1'), long(false, vmlsl, true)),
  neonData('VMULL', 'u:1', rest('1100 n:1 0 m:1'), long(false, vmull, true)),
  neonData('VQDMLAL', '0', rest('1001 n:1 0 m:1'), (c, f) => doubling(vqdmlal)(c, { ...f, u: 0 })),
  neonData('VQDMLSL', '0', rest('1011 n:1 0 m:1'), (c, f) => doubling(vqdmlsl)(c, { ...f, u: 0 })),
  neonData('VQDMULL', '0', rest('1101 n:1 0 m:1'), (c, f) => doubling(vqdmull)(c, { ...f, u: 0 })),
  neonData('VMULL.P8', '0', rest('1110 n:1 0 m:1'), (c, f) => vmullPolynomial(c, { ...f, u: 0 })),
  neonData('VQDMLAL (by scalar)', '0', rest('0011 n:1 1 m:1'), (c, f) => longByScalar(vqdmlal)(c, { ...f, u: 0 })),
  neonData('VQDMLSL (by scalar)', '0', rest('0111 n:1 1 m:1'), (c, f) => longByScalar(vqdmlsl)(c, { ...f, u: 0 })),
  neonData('VQDMULL (by scalar)', '0', rest('1011 n:1 1 m:1'), (c, f) => longByScalar(vqdmull)(c, { ...f, u: 0 })),
  neonData('VMLA (by scalar)', 'u:1', rest('0000 n:1 1 m:1'), byScalar(laneOps.add)),
  neonData('VMLAL (by scalar)', 'u:1', rest('0010 n:1 1 m:1'), longByScalar(vmlal)),
  neonData('VMLS (by scalar)', 'u:1', rest('0100 n:1 1 m:1'), byScalar(laneOps.sub)),
  neonData('VMLSL (by scalar)', 'u:1', rest('0110 n:1 1 m:1'), longByScalar(vmlsl)),
  neonData('VMUL (by scalar)', 'u:1', rest('1000 n:1 1 m:1'), byScalar(undefined)),
  neonData('VMULL (by scalar)', 'u:1', rest('1010 n:1 1 m:1'), longByScalar(vmull)),
];
