import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import { bytesOf } from '#tcg/sequences/vector.ts';
import type { ArmContext } from './context.ts';
import { Feature } from './features.ts';
import { saturatedNarrow } from './neon-shift.ts';
import {
  everyLane,
  everyWord,
  fieldD,
  fieldM,
  fieldN,
  getVector,
  laneOps,
  oddQuad,
  setQcIfDifferent,
  setVector,
  shuffle,
  type ThreeFields,
} from './neon-vectors.ts';
import { slotD } from './state.ts';
import { neonData, numberD, type RowPair } from './vfp-registers.ts';

/** Advanced SIMD on two registers, permutations and table lookups (DDI 0406C A7.4.5, A7.4.6). */

interface Two {
  readonly d: number;
  readonly size: number;
  readonly vd: number;
  readonly q: number;
  readonly m: number;
  readonly vm: number;
}

/** An operation on each element up to `maxSize`. */
const each =
  (maxSize: number, emit: (c: ArmContext, m: Value, size: number, d: () => Value) => Value) =>
  (c: ArmContext, f: Two): void => {
    const d = fieldD(f);
    if (f.size > maxSize) {
      c.undefined();
      return;
    }
    if (oddQuad(c, f.q, d, fieldM(f))) return;
    const value = getVector(c, f.q, fieldM(f));
    setVector(
      c,
      f.q,
      d,
      emit(c, value, f.size, () => getVector(c, f.q, d)),
    );
  };

/** VREV: elements of `size` the other way round within groups of `group` (log2 bytes). */
const vrev = (group: number) =>
  each(group - 1, (c, m, size) => {
    const flip = ((1 << group) - 1) & ~((1 << size) - 1);
    return shuffle(
      c,
      m,
      m,
      bytesOf((i) => i ^ flip),
    );
  });

/** Leading zeros: all bits below the highest 1 set, then the zeros left are counted. */
function leadingZeros(c: ArmContext, value: Value, size: number): Value {
  const { b } = c;
  const width = 8 << size;
  let filled = value;
  for (let by = 1; by < width; by *= 2) {
    filled = b.bin(Op.or_v128, filled, b.bin(laneOps.shrU[size]!, filled, b.i32(by)));
  }
  let count = b.un(Op.popcnt_i8x16, b.un(Op.not_v128, filled));
  for (let part = 0; part < size; part++) {
    const by = 8 << part;
    const low = b.bin(Op.and_v128, count, everyLane(c, part + 1, 2 ** by - 1));
    count = b.bin(laneOps.add[part + 1]!, low, b.bin(laneOps.shrU[part + 1]!, count, b.i32(by)));
  }
  return count;
}

const vclz = each(2, leadingZeros);
/** VCLS: sign bits beyond the first. */
const vcls = each(2, (c, m, size) => {
  const { b } = c;
  const differing = b.bin(Op.xor_v128, m, b.bin(laneOps.shrS[size]!, m, b.i32(1)));
  return b.bin(laneOps.sub[size]!, leadingZeros(c, differing, size), everyLane(c, size, 1));
});
const vcnt = each(0, (c, m) => c.b.un(Op.popcnt_i8x16, m));
const vmvn = each(0, (c, m) => c.b.un(Op.not_v128, m));

const zeroVector = (c: ArmContext): Value => c.b.v128(0, 0, 0, 0);
/** VCGT VCGE VCEQ VCLE VCLT with zero. */
const againstZero = (ops: readonly number[], swapped: boolean) =>
  each(2, (c, m, size) => (swapped ? c.b.bin(ops[size]!, zeroVector(c), m) : c.b.bin(ops[size]!, m, zeroVector(c))));

const vabs = each(2, (c, m, size) => c.b.un(laneOps.abs[size]!, m));
/** VABS.F32, VNEG.F32 and of halves: the sign bits. */
const floatSign = (negates: boolean) => (c: ArmContext, f: Two) => {
  if (f.size !== 2 && f.size !== 1) {
    c.undefined();
    return;
  }
  if (f.size === 1) c.require(Feature.fp16);
  const sign = everyLane(c, f.size, f.size === 1 ? 0x8000 : 1 << 31);
  each(2, (_c, m) => c.b.bin(negates ? Op.xor_v128 : Op.andnot_v128, m, sign))(c, f);
};
const vneg = each(2, (c, m, size) => c.b.un(laneOps.neg[size]!, m));
/** VQABS, VQNEG: only the smallest value has no counterpart; it stays as it is and becomes the largest. */
const saturatedSign = (ops: readonly number[]) =>
  each(2, (c, m, size) => {
    const { b } = c;
    const smallest = everyLane(c, size, 2 ** ((8 << size) - 1));
    const value = b.un(ops[size]!, m);
    const result = b.bin(Op.xor_v128, value, b.bin(laneOps.eq[size]!, m, smallest));
    setQcIfDifferent(c, result, value);
    return result;
  });

const neighbourSums = [
  [Op.extadd_pairwise_s_i8x16, Op.extadd_pairwise_s_i16x8],
  [Op.extadd_pairwise_u_i8x16, Op.extadd_pairwise_u_i16x8],
];

/** Sums of neighbouring elements, twice as wide. */
function pairSums(c: ArmContext, m: Value, size: number, u: boolean): Value {
  const { b } = c;
  const op = neighbourSums[u ? 1 : 0]![size];
  if (op !== undefined) return b.un(op, m);
  const by = b.i32(8 << size);
  const shr = (u ? laneOps.shrU : laneOps.shrS)[size + 1]!;
  return b.bin(laneOps.add[size + 1]!, b.bin(shr, m, by), b.bin(shr, b.bin(laneOps.shl[size + 1]!, m, by), by));
}
const vpaddl = (u: boolean) => each(2, (c, m, size) => pairSums(c, m, size, u));
const vpadal = (u: boolean) =>
  each(2, (c, m, size, d) => c.b.bin(laneOps.add[size + 1]!, d(), pairSums(c, m, size, u)));

/** VSWP VTRN VUZP VZIP: both registers change. */
const exchange =
  (
    maxSize: (q: number) => number,
    emit: (c: ArmContext, d: Value, m: Value, size: number, q: number) => [Value, Value],
    swaps = -1,
  ) =>
  (c: ArmContext, f: Two): void => {
    const d = fieldD(f);
    const m = fieldM(f);
    if (f.size > maxSize(f.q)) {
      c.undefined();
      return;
    }
    if (oddQuad(c, f.q, d, m)) return;
    // UNPREDICTABLE where the registers are the same: as qemu-arm, which swaps neighbours of size `swaps`.
    if (d === m && f.size === swaps) {
      const value = getVector(c, f.q, d);
      setVector(
        c,
        f.q,
        d,
        shuffle(
          c,
          value,
          value,
          bytesOf((i) => i ^ 4),
        ),
      );
      return;
    }
    const [newD, newM] = emit(c, getVector(c, f.q, d), getVector(c, f.q, m), f.size, f.q);
    setVector(c, f.q, m, newM);
    setVector(c, f.q, d, newD);
  };

const vswp = exchange(
  () => 0,
  (_c, d, m) => [m, d],
);
/** VTRN: odd elements of d with even ones of m. Byte 16 + i of a pick is byte i of m. */
const vtrn = exchange(
  () => 2,
  (c, d, m, size) => {
    const element = 1 << size;
    const isOdd = (i: number): boolean => (i & element) !== 0;
    return [
      shuffle(
        c,
        d,
        m,
        bytesOf((i) => (isOdd(i) ? 16 + i - element : i)),
      ),
      shuffle(
        c,
        d,
        m,
        bytesOf((i) => (isOdd(i) ? 16 + i : i + element)),
      ),
    ];
  },
  2,
);

/** The two registers' bytes in one row: D registers are the low halves of d and m. */
const rowByte = (q: number, i: number): number => (q || i < 8 ? i : 8 + i);
const registerBytes = (q: number): number => (q ? 16 : 8);

const unzipped = (size: number, q: number, odd: number): number[] =>
  bytesOf((i) =>
    rowByte(q, ((2 * (i >> size) + odd) * (1 << size) + (i & ((1 << size) - 1))) % (2 * registerBytes(q))),
  );
const zipped = (size: number, q: number, from: number): number[] =>
  bytesOf((i) => {
    const at = (from + i) % (2 * registerBytes(q));
    const element = at >> size;
    const within = at & ((1 << size) - 1);
    return rowByte(q, (element & 1 ? registerBytes(q) : 0) + ((element >> 1) << size) + within);
  });

const vuzp = exchange(
  (q) => (q ? 2 : 1),
  (c, d, m, size, q) => [shuffle(c, d, m, unzipped(size, q, 0)), shuffle(c, d, m, unzipped(size, q, 1))],
);
const vzip = exchange(
  (q) => (q ? 2 : 1),
  (c, d, m, size, q) => [shuffle(c, d, m, zipped(size, q, 0)), shuffle(c, d, m, zipped(size, q, registerBytes(q)))],
);

/** VMOVN (op 0), VQMOVUN (1), VQMOVN signed (2) and unsigned (3) of Qm. */
function vmovn(c: ArmContext, f: Omit<Two, 'q'> & { op: number }): void {
  const m = fieldM(f);
  if (f.size === 3 || m & 1) {
    c.undefined();
    return;
  }
  const kinds = ['none', 'signedToUnsigned', 'signed', 'unsigned'] as const;
  setVector(c, 0, fieldD(f), saturatedNarrow(c, getVector(c, 1, m), f.size, kinds[f.op]!));
}

/** VSHLL by the element width. */
function vshllFull(c: ArmContext, f: Omit<Two, 'q'>): void {
  const d = fieldD(f);
  if (f.size === 3 || d & 1) {
    c.undefined();
    return;
  }
  const wide = c.b.un(laneOps.widenU[f.size]!, getVector(c, 0, fieldM(f)));
  setVector(c, 1, d, c.b.bin(laneOps.shl[f.size + 1]!, wide, c.b.i32(8 << f.size)));
}

/** VEXT.8: bytes imm… of n:m. */
function vext(c: ArmContext, f: ThreeFields & { imm: number; q: number }): void {
  const d = fieldD(f);
  if (!f.q && f.imm > 7) {
    c.undefined();
    return;
  }
  if (oddQuad(c, f.q, d, fieldN(f), fieldM(f))) return;
  const pick = bytesOf((i) => rowByte(f.q, (f.imm + i) % (2 * registerBytes(f.q))));
  setVector(c, f.q, d, shuffle(c, getVector(c, f.q, fieldN(f)), getVector(c, f.q, fieldM(f)), pick));
}

/** VTBL (op 0), VTBX (1): a table of len + 1 registers. */
function vtbl(c: ArmContext, f: ThreeFields & { len: number; op: number }): void {
  const { b } = c;
  const first = fieldN(f);
  const count = f.len + 1;
  const d = fieldD(f);
  if (first + count > 32) {
    c.unpredictable();
    return;
  }
  const index = getVector(c, 0, fieldM(f));
  let result = b.bin(Op.swizzle_i8x16, tablePart(c, first, count), index);
  if (count > 2) {
    // Indices below 16 wrap to far beyond the table.
    const rest = b.bin(Op.sub_i8x16, index, everyLane(c, 0, 16));
    result = b.bin(Op.or_v128, result, b.bin(Op.swizzle_i8x16, tablePart(c, first + 2, count - 2), rest));
  }
  if (f.op) {
    const outside = b.bin(Op.ge_u_i8x16, index, everyLane(c, 0, 8 * count));
    result = b.tri(Op.bitselect_v128, getVector(c, 0, d), result, outside);
  }
  setVector(c, 0, d, result);
}

/** Up to two table registers; zeros after a single one. */
function tablePart(c: ArmContext, first: number, count: number): Value {
  const { b } = c;
  const low = b.un(Op.splat_i64x2, b.get('i64', slotD(first)));
  const high = count > 1 ? b.get('i64', slotD(first + 1)) : b.i64(0, 0);
  return b.emit(Op.replace_lane_i64x2, low, high, -1, 1);
}

/** VDUP.<size> <Qd|Dd>, Dm[x]: the lowest 1 of imm4 is the size. */
function vdupScalar(c: ArmContext, f: { d: number; imm: number; vd: number; q: number; m: number; vm: number }): void {
  const d = fieldD(f);
  if ((f.imm & 7) === 0) {
    c.undefined();
    return;
  }
  if (oddQuad(c, f.q, d)) return;
  const size = 31 - Math.clz32(f.imm & -f.imm);
  const at = (f.imm >> (size + 1)) << size;
  const m = getVector(c, 0, fieldM(f));
  setVector(
    c,
    f.q,
    d,
    shuffle(
      c,
      m,
      m,
      bytesOf((i) => at + (i & ((1 << size) - 1))),
    ),
  );
}

interface Immediate {
  readonly u: number;
  readonly d: number;
  readonly imm: number;
  readonly vd: number;
  readonly cmode: number;
  readonly q: number;
  readonly op: number;
}

/** AdvSIMDExpandImm (A7.4.6) as a vector; undefined where unallocated. */
function expandImmediate(c: ArmContext, f: Immediate): Value | undefined {
  const imm = (f.u << 7) | f.imm;
  const { cmode } = f;
  if (cmode < 8) return everyWord(c, imm << (8 * (cmode >> 1)));
  if (cmode < 12) return everyLane(c, 1, imm << (cmode & 2 ? 8 : 0));
  if (cmode < 14) return everyWord(c, cmode & 1 ? (imm << 16) | 0xffff : (imm << 8) | 0xff);
  if (cmode === 14 && !f.op) return everyLane(c, 0, imm);
  if (cmode === 14) {
    const word = (bits: number): number =>
      [1, 2, 4, 8].reduce((sum, bit, i) => (bits & bit ? sum | (0xff << (8 * i)) : sum), 0);
    return c.b.v128(word(imm), word(imm >> 4), word(imm), word(imm >> 4));
  }
  if (f.op) return undefined;
  return everyWord(c, ((imm & 0x80) << 24) | (imm & 0x40 ? 0x3e000000 : 0x40000000) | ((imm & 0x3f) << 19));
}

/** VMOV VMVN VORR VBIC (immediate). */
function immediate(c: ArmContext, f: Immediate): void {
  const { b } = c;
  const value = expandImmediate(c, f);
  const d = numberD(f.vd, f.d);
  if (value === undefined) {
    c.undefined();
    return;
  }
  if (oddQuad(c, f.q, d)) return;
  const combines = f.cmode < 12 && (f.cmode & 1) !== 0;
  if (combines) setVector(c, f.q, d, b.bin(f.op ? Op.andnot_v128 : Op.or_v128, getVector(c, f.q, d), value));
  else setVector(c, f.q, d, f.op && f.cmode !== 14 ? b.un(Op.not_v128, value) : value);
}

const rest = <const P extends string>(opc: P) => `1 d:1 11 size:2 ${opc} m:1 0 vm:4` as const;

export const miscRows: readonly RowPair[] = [
  neonData('VMOV/VMVN/VORR/VBIC (immediate)', 'u:1', '1 d:1 000 imm:3 vd:4 cmode:4 0 q:1 op:1 1 imm:4', immediate),
  neonData('VEXT', '0', '1 d:1 11 vn:4 vd:4 imm:4 n:1 q:1 m:1 0 vm:4', vext),
  neonData('VTBL, VTBX', '1', '1 d:1 11 vn:4 vd:4 10 len:2 n:1 op:1 m:1 0 vm:4', vtbl),
  neonData('VDUP (scalar)', '1', '1 d:1 11 imm:4 vd:4 1100 0 q:1 m:1 0 vm:4', vdupScalar),
  neonData('VREV64', '1', rest('00 vd:4 0 0000 q:1'), vrev(3)),
  neonData('VREV32', '1', rest('00 vd:4 0 0001 q:1'), vrev(2)),
  neonData('VREV16', '1', rest('00 vd:4 0 0010 q:1'), vrev(1)),
  neonData('VPADDL.S', '1', rest('00 vd:4 0 0100 q:1'), vpaddl(false)),
  neonData('VPADDL.U', '1', rest('00 vd:4 0 0101 q:1'), vpaddl(true)),
  neonData('VCLS', '1', rest('00 vd:4 0 1000 q:1'), vcls),
  neonData('VCLZ', '1', rest('00 vd:4 0 1001 q:1'), vclz),
  neonData('VCNT', '1', rest('00 vd:4 0 1010 q:1'), vcnt),
  neonData('VMVN', '1', rest('00 vd:4 0 1011 q:1'), vmvn),
  neonData('VPADAL.S', '1', rest('00 vd:4 0 1100 q:1'), vpadal(false)),
  neonData('VPADAL.U', '1', rest('00 vd:4 0 1101 q:1'), vpadal(true)),
  neonData('VQABS', '1', rest('00 vd:4 0 1110 q:1'), saturatedSign(laneOps.abs)),
  neonData('VQNEG', '1', rest('00 vd:4 0 1111 q:1'), saturatedSign(laneOps.neg)),
  neonData('VCGT (zero)', '1', rest('01 vd:4 0 0000 q:1'), againstZero(laneOps.gtS, false)),
  neonData('VCGE (zero)', '1', rest('01 vd:4 0 0001 q:1'), againstZero(laneOps.geS, false)),
  neonData('VCEQ (zero)', '1', rest('01 vd:4 0 0010 q:1'), againstZero(laneOps.eq, false)),
  neonData('VCLE (zero)', '1', rest('01 vd:4 0 0011 q:1'), againstZero(laneOps.geS, true)),
  neonData('VCLT (zero)', '1', rest('01 vd:4 0 0100 q:1'), againstZero(laneOps.gtS, true)),
  neonData('VABS (integer)', '1', rest('01 vd:4 0 0110 q:1'), vabs),
  neonData('VNEG (integer)', '1', rest('01 vd:4 0 0111 q:1'), vneg),
  neonData('VABS.F32', '1', rest('01 vd:4 0 1110 q:1'), floatSign(false)),
  neonData('VNEG.F32', '1', rest('01 vd:4 0 1111 q:1'), floatSign(true)),
  neonData('VSWP', '1', rest('10 vd:4 0 0000 q:1'), vswp),
  neonData('VTRN', '1', rest('10 vd:4 0 0001 q:1'), vtrn),
  neonData('VUZP', '1', rest('10 vd:4 0 0010 q:1'), vuzp),
  neonData('VZIP', '1', rest('10 vd:4 0 0011 q:1'), vzip),
  neonData('VMOVN, VQMOVN', '1', rest('10 vd:4 0 010 op:2'), vmovn),
  neonData('VSHLL (full width)', '1', rest('10 vd:4 0 0110 0'), vshllFull),
];
