import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import {
  alternate,
  everyLane,
  fieldD,
  fieldM,
  fieldN,
  getVector,
  laneOps,
  oddQuad,
  setQcIfDifferent,
  setVector,
  type ThreeFields,
} from './neon-vectors.ts';
import { neonData, type RowPair } from './vfp-registers.ts';

/** Integer and bitwise Advanced SIMD on three registers of one length (DDI 0406C A7.4.1). */

interface Same extends ThreeFields {
  readonly u: number;
  readonly size: number;
  readonly q: number;
}

/** `emit` gets the operands and the element size; sizes above `maxSize` are undefined. */
type Emit = (c: ArmContext, n: Value, m: Value, size: number, u: number, d: () => Value) => Value;

const same =
  (maxSize: number, emit: Emit) =>
  (c: ArmContext, f: Same): void => {
    const d = fieldD(f);
    if (f.size > maxSize) {
      c.undefined();
      return;
    }
    if (oddQuad(c, f.q, d, fieldN(f), fieldM(f))) return;
    const n = getVector(c, f.q, fieldN(f));
    const m = getVector(c, f.q, fieldM(f));
    setVector(
      c,
      f.q,
      d,
      emit(c, n, m, f.size, f.u, () => getVector(c, f.q, d)),
    );
  };

const binary = (maxSize: number, ops: readonly number[]) => same(maxSize, (c, n, m, size) => c.b.bin(ops[size]!, n, m));
const bySign = (signed: readonly number[], unsigned: readonly number[]) =>
  same(2, (c, n, m, size, u) => c.b.bin((u ? unsigned : signed)[size]!, n, m));

const bitwise = [
  [Op.and_v128, Op.andnot_v128, Op.or_v128, -1],
  [Op.xor_v128, -1, -1, -1],
];

/** VAND VBIC VORR VORN VEOR VBSL VBIT VBIF. */
const logic = same(3, (c, n, m, size, u, d) => {
  const { b } = c;
  const op = bitwise[u]![size]!;
  if (op >= 0) return b.bin(op, n, m);
  if (!u) return b.bin(Op.or_v128, n, b.un(Op.not_v128, m));
  if (size === 1) return b.tri(Op.bitselect_v128, n, m, d());
  return size === 2 ? b.tri(Op.bitselect_v128, n, d(), m) : b.tri(Op.bitselect_v128, d(), n, m);
});

const shiftRight = (u: number): readonly number[] => (u ? laneOps.shrU : laneOps.shrS);
const halfXor = (c: ArmContext, n: Value, m: Value, size: number, u: number): Value =>
  c.b.bin(shiftRight(u)[size]!, c.b.bin(Op.xor_v128, n, m), c.b.i32(1));

/** VHADD: (n + m) >> 1 without the carry: n & m has the common bits, n ^ m the others. */
const vhadd = same(2, (c, n, m, size, u) =>
  c.b.bin(laneOps.add[size]!, c.b.bin(Op.and_v128, n, m), halfXor(c, n, m, size, u)),
);
const averages = [Op.avgr_u_i8x16, Op.avgr_u_i16x8];
/** VRHADD: (n + m + 1) >> 1. */
const vrhadd = same(2, (c, n, m, size, u) => {
  const average = u ? averages[size] : undefined;
  if (average !== undefined) return c.b.bin(average, n, m);
  return c.b.bin(laneOps.sub[size]!, c.b.bin(Op.or_v128, n, m), halfXor(c, n, m, size, u));
});
/** VHSUB: (n − m) >> 1 = ((n ^ m) >> 1) − (~n & m). */
const vhsub = same(2, (c, n, m, size, u) =>
  c.b.bin(laneOps.sub[size]!, halfXor(c, n, m, size, u), c.b.bin(Op.andnot_v128, m, n)),
);

const saturating = {
  add: [
    [Op.add_sat_s_i8x16, Op.add_sat_s_i16x8],
    [Op.add_sat_u_i8x16, Op.add_sat_u_i16x8],
  ],
  sub: [
    [Op.sub_sat_s_i8x16, Op.sub_sat_s_i16x8],
    [Op.sub_sat_u_i8x16, Op.sub_sat_u_i16x8],
  ],
} as const;

/** n + m or n − m saturated, which sets QC. */
export function saturatedSum(c: ArmContext, kind: 'add' | 'sub', n: Value, m: Value, size: number, u: number): Value {
  const { b } = c;
  const wrapped = b.bin(laneOps[kind][size]!, n, m);
  const narrow = saturating[kind][u]![size];
  const result = narrow === undefined ? saturatedWide(c, kind, n, m, size, u, wrapped) : b.bin(narrow, n, m);
  setQcIfDifferent(c, result, wrapped);
  return result;
}

/** VQADD, VQSUB. */
const saturated = (kind: 'add' | 'sub') => same(3, (c, n, m, size, u) => saturatedSum(c, kind, n, m, size, u));

/** 32- and 64-bit elements: the sign bit of `over`, `carry` or `borrow` tells the saturated ones. */

function saturatedWide(
  c: ArmContext,
  kind: 'add' | 'sub',
  n: Value,
  m: Value,
  size: number,
  u: number,
  wrapped: Value,
): Value {
  const { b } = c;
  const top = b.i32(8 * (1 << size) - 1);
  const xor = (x: Value, y: Value): Value => b.bin(Op.xor_v128, x, y);
  const and = (x: Value, y: Value): Value => b.bin(Op.and_v128, x, y);
  const or = (x: Value, y: Value): Value => b.bin(Op.or_v128, x, y);
  if (!u) {
    const over = and(xor(n, wrapped), kind === 'add' ? xor(m, wrapped) : xor(n, m));
    // The largest value, or the smallest where n is negative.
    const limit = xor(b.bin(laneOps.shrS[size]!, n, top), b.bin(laneOps.shrU[size]!, everyLane(c, size, -1), b.i32(1)));
    return b.tri(Op.bitselect_v128, limit, wrapped, b.bin(laneOps.shrS[size]!, over, top));
  }
  if (kind === 'add') {
    const carry = or(and(n, m), b.bin(Op.andnot_v128, or(n, m), wrapped));
    return or(wrapped, b.bin(laneOps.shrS[size]!, carry, top));
  }
  const borrow = or(b.bin(Op.andnot_v128, m, n), b.bin(Op.andnot_v128, wrapped, xor(n, m)));
  return b.bin(Op.andnot_v128, wrapped, b.bin(laneOps.shrS[size]!, borrow, top));
}

const absoluteDifference = (c: ArmContext, n: Value, m: Value, size: number, u: number): Value => {
  const max = u ? laneOps.maxU : laneOps.maxS;
  const min = u ? laneOps.minU : laneOps.minS;
  return c.b.bin(laneOps.sub[size]!, c.b.bin(max[size]!, n, m), c.b.bin(min[size]!, n, m));
};
const vabd = same(2, absoluteDifference);
const vaba = same(2, (c, n, m, size, u, d) => c.b.bin(laneOps.add[size]!, d(), absoluteDifference(c, n, m, size, u)));

/** VTST: all ones where n & m is not 0. */
const vtst = same(2, (c, n, m, size) =>
  c.b.un(Op.not_v128, c.b.bin(laneOps.eq[size]!, c.b.bin(Op.and_v128, n, m), c.b.v128(0, 0, 0, 0))),
);

/** n · m per element. Bytes are multiplied in halfwords. */
export function multiplied(c: ArmContext, n: Value, m: Value, size: number): Value {
  const { b } = c;
  if (size === 1) return b.bin(Op.mul_i16x8, n, m);
  if (size === 2) return b.bin(Op.mul_i32x4, n, m);
  const low = everyLane(c, 1, 0xff);
  const even = b.bin(Op.and_v128, b.bin(Op.mul_i16x8, n, m), low);
  const eight = b.i32(8);
  const odd = b.bin(Op.mul_i16x8, b.bin(Op.shr_u_i16x8, n, eight), b.bin(Op.shr_u_i16x8, m, eight));
  return b.bin(Op.or_v128, even, b.bin(Op.shl_i16x8, odd, eight));
}

/** Product of polynomials over {0, 1}, bytes, truncated. */
function multipliedPolynomial(c: ArmContext, n: Value, m: Value): Value {
  const { b } = c;
  let sum = b.v128(0, 0, 0, 0);
  for (let bit = 0; bit < 8; bit++) {
    // All ones in the bytes of m that have the bit.
    const moved = b.bin(Op.shl_i8x16, m, b.i32(7 - bit));
    const mask = b.bin(Op.shr_s_i8x16, moved, b.i32(7));
    sum = b.bin(Op.xor_v128, sum, b.bin(Op.and_v128, b.bin(Op.shl_i8x16, n, b.i32(bit)), mask));
  }
  return sum;
}

function vmul(c: ArmContext, f: Same): void {
  if (f.u && f.size !== 0) c.undefined();
  else same(2, (_c, n, m, size, u) => (u ? multipliedPolynomial(c, n, m) : multiplied(c, n, m, size)))(c, f);
}
const vmla = same(2, (c, n, m, size, u, d) => {
  const op = u ? laneOps.sub : laneOps.add;
  return c.b.bin(op[size]!, d(), multiplied(c, n, m, size));
});

/** VPADD VPMAX VPMIN on D registers: even elements of n:m with the odd ones. */
const pairwise = (ops: (u: number) => readonly number[]) => (c: ArmContext, f: Same) => {
  if (f.q) c.undefined();
  else same(2, (_c, n, m, size, u) => pairs(c, n, m, size, ops(u)[size]!))(c, f);
};

function pairs(c: ArmContext, n: Value, m: Value, size: number, op: number): Value {
  const { b } = c;
  // n:m as one vector.
  const both = b.emit(Op.replace_lane_i64x2, n, b.emit(Op.extract_lane_i64x2, m), -1, 1);
  return b.bin(op, alternate(c, size, both, both, 0), alternate(c, size, both, both, 1));
}

const rest = <const P extends string>(opc: P) => `0 d:1 size:2 vn:4 vd:4 ${opc} vm:4` as const;

export const sameLengthRows: readonly RowPair[] = [
  neonData('VHADD', 'u:1', rest('0000 n:1 q:1 m:1 0'), vhadd),
  neonData('VQADD', 'u:1', rest('0000 n:1 q:1 m:1 1'), saturated('add')),
  neonData('VRHADD', 'u:1', rest('0001 n:1 q:1 m:1 0'), vrhadd),
  neonData('VAND…VBIF', 'u:1', rest('0001 n:1 q:1 m:1 1'), logic),
  neonData('VHSUB', 'u:1', rest('0010 n:1 q:1 m:1 0'), vhsub),
  neonData('VQSUB', 'u:1', rest('0010 n:1 q:1 m:1 1'), saturated('sub')),
  neonData('VCGT', 'u:1', rest('0011 n:1 q:1 m:1 0'), bySign(laneOps.gtS, laneOps.gtU)),
  neonData('VCGE', 'u:1', rest('0011 n:1 q:1 m:1 1'), bySign(laneOps.geS, laneOps.geU)),
  neonData('VMAX', 'u:1', rest('0110 n:1 q:1 m:1 0'), bySign(laneOps.maxS, laneOps.maxU)),
  neonData('VMIN', 'u:1', rest('0110 n:1 q:1 m:1 1'), bySign(laneOps.minS, laneOps.minU)),
  neonData('VABD', 'u:1', rest('0111 n:1 q:1 m:1 0'), vabd),
  neonData('VABA', 'u:1', rest('0111 n:1 q:1 m:1 1'), vaba),
  neonData('VADD (integer)', '0', rest('1000 n:1 q:1 m:1 0'), (c, f) => binary(3, laneOps.add)(c, { ...f, u: 0 })),
  neonData('VSUB (integer)', '1', rest('1000 n:1 q:1 m:1 0'), (c, f) => binary(3, laneOps.sub)(c, { ...f, u: 1 })),
  neonData('VTST', '0', rest('1000 n:1 q:1 m:1 1'), (c, f) => vtst(c, { ...f, u: 0 })),
  neonData('VCEQ', '1', rest('1000 n:1 q:1 m:1 1'), (c, f) => binary(2, laneOps.eq)(c, { ...f, u: 1 })),
  neonData('VMLA/VMLS (integer)', 'u:1', rest('1001 n:1 q:1 m:1 0'), vmla),
  neonData('VMUL', 'u:1', rest('1001 n:1 q:1 m:1 1'), vmul),
  neonData(
    'VPMAX',
    'u:1',
    rest('1010 n:1 q:1 m:1 0'),
    pairwise((u) => (u ? laneOps.maxU : laneOps.maxS)),
  ),
  neonData(
    'VPMIN',
    'u:1',
    rest('1010 n:1 q:1 m:1 1'),
    pairwise((u) => (u ? laneOps.minU : laneOps.minS)),
  ),
  neonData('VPADD (integer)', '0', rest('1011 n:1 q:1 m:1 1'), (c, f) =>
    pairwise(() => laneOps.add)(c, { ...f, u: 0 }),
  ),
];
