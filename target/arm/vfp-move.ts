import type { Value } from '#tcg/builder.ts';
import { Op } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { Feature } from './features.ts';
import { slotD, slotS } from './state.ts';
import { numberD, numberS, type RowPair, requireRegister, vfp } from './vfp-registers.ts';

/** Transfers between core and extension registers (DDI 0406C A7.8, A7.9). */

/** VMOV<c> Sn, Rt; VMOV<c> Rt, Sn. */
function vmovSingle(c: ArmContext, f: { op: number; vn: number; rt: number; n: number }): void {
  if (f.rt === 15) {
    c.unpredictable();
    return;
  }
  const slot = slotS(numberS(f.vn, f.n));
  if (f.op) c.setReg(f.rt, c.b.get32(slot));
  else c.b.set32(slot, c.reg(f.rt));
}

/** VMOV<c> Sm, Sm1, Rt, Rt2 and back. */
function vmovTwoSingles(c: ArmContext, f: { op: number; rt2: number; rt: number; m: number; vm: number }): void {
  const s = numberS(f.vm, f.m);
  if (f.rt === 15 || f.rt2 === 15 || s === 31) {
    c.unpredictable();
    return;
  }
  const { b } = c;
  if (f.op) {
    const low = b.get32(slotS(s));
    const high = b.get32(slotS(s + 1));
    c.setReg(f.rt, low);
    c.setReg(f.rt2, high);
    return;
  }
  b.set32(slotS(s), c.reg(f.rt));
  b.set32(slotS(s + 1), c.reg(f.rt2));
}

/** VMOV<c> Dm, Rt, Rt2 and back. */
function vmovDouble(c: ArmContext, f: { op: number; rt2: number; rt: number; m: number; vm: number }): void {
  if (f.rt === 15 || f.rt2 === 15) {
    c.unpredictable();
    return;
  }
  const { b } = c;
  requireRegister(c, 'f64', numberD(f.vm, f.m));
  const slot = slotD(numberD(f.vm, f.m));
  if (f.op) {
    const value = b.get('i64', slot);
    c.setReg(f.rt, b.un(Op.wrap_i64, value));
    c.setReg(f.rt2, b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, value, b.i64(32, 0))));
    return;
  }
  const high = b.bin(Op.shl_i64, b.un(Op.extend_u_i64, c.reg(f.rt2)), b.i64(32, 0));
  b.set('i64', slot, b.bin(Op.or_i64, b.un(Op.extend_u_i64, c.reg(f.rt)), high));
}

interface Lane {
  /** Bytes of the element. */
  readonly size: 1 | 2 | 4;
  /** Byte of the D register it starts at. */
  readonly byte: number;
}

/** The element opc1:opc2 selects; undefined where the pair is unallocated. */
function laneOf(opc: number): Lane | undefined {
  if (opc & 8) return { size: 1, byte: opc & 7 };
  if (opc & 1) return { size: 2, byte: opc & 6 };
  return opc & 2 ? undefined : { size: 4, byte: opc & 4 };
}

const byteMask = (size: number): number => (size === 1 ? 0xff : 0xffff);

/** VMOV<c>.<size> Dd[x], Rt. */
function vmovToScalar(c: ArmContext, f: { opc: number; vd: number; rt: number; d: number }): void {
  const lane = laneOf(f.opc);
  if (!lane) {
    c.undefined();
    return;
  }
  if (f.rt === 15) {
    c.unpredictable();
    return;
  }
  if (lane.size !== 4) c.require(Feature.neon);
  const { b } = c;
  const slot = slotD(numberD(f.vd, f.d)) + (lane.byte & 4);
  const value = c.reg(f.rt);
  if (lane.size === 4) {
    b.set32(slot, value);
    return;
  }
  const shift = (lane.byte & 3) * 8;
  const mask = byteMask(lane.size);
  b.set32(slot, b.or(b.andImm(b.get32(slot), ~(mask << shift)), b.shlImm(b.andImm(value, mask), shift)));
}

/** VMOV<c>.<dt> Rt, Dn[x]; U: zero-extended. */
function vmovFromScalar(c: ArmContext, f: { u: number; opc: number; vn: number; rt: number; n: number }): void {
  const lane = laneOf(f.opc);
  if (!lane || (lane.size === 4 && f.u)) {
    c.undefined();
    return;
  }
  if (f.rt === 15) {
    c.unpredictable();
    return;
  }
  if (lane.size !== 4) c.require(Feature.neon);
  const { b } = c;
  const word = b.get32(slotD(numberD(f.vn, f.n)) + (lane.byte & 4));
  c.setReg(f.rt, lane.size === 4 ? word : extended(c, b.shrUImm(word, (lane.byte & 3) * 8), lane.size, f.u !== 0));
}

function extended(c: ArmContext, value: Value, size: 1 | 2, isUnsigned: boolean): Value {
  const { b } = c;
  if (isUnsigned) return b.andImm(value, byteMask(size));
  return b.un(size === 1 ? Op.extend8_s_i32 : Op.extend16_s_i32, value);
}

/** VDUP<c>.<size> <Qd|Dd>, Rt. */
function vdup(c: ArmContext, f: { b: number; q: number; vd: number; rt: number; d: number; e: number }): void {
  if ((f.b && f.e) || (f.q && f.vd & 1) || f.rt === 15) {
    c.undefined();
    return;
  }
  const { b } = c;
  const splat = f.b ? Op.splat_i8x16 : f.e ? Op.splat_i16x8 : Op.splat_i32x4;
  const vector = b.un(splat, c.reg(f.rt));
  const slot = slotD(numberD(f.vd, f.d));
  if (f.q) b.set('v128', slot, vector);
  else b.set('i64', slot, b.emit(Op.extract_lane_i64x2, vector));
}

export const moveRows: readonly RowPair[] = [
  vfp('VMOV (core and single)', '1110 000 op:1 vn:4 rt:4 1010 n:1 001 0000', vmovSingle),
  vfp('VMOV (core to scalar)', '1110 0 opc:2 0 vd:4 rt:4 1011 d:1 opc:2 1 0000', vmovToScalar),
  vfp('VMOV (scalar to core)', '1110 u:1 opc:2 1 vn:4 rt:4 1011 n:1 opc:2 1 0000', vmovFromScalar),
  vfp('VDUP (core)', '1110 1 b:1 q:1 0 vd:4 rt:4 1011 d:1 0 e:1 1 0000', vdup),
  vfp('VMOV (two cores and two singles)', '1100 010 op:1 rt2:4 rt:4 1010 00 m:1 1 vm:4', vmovTwoSingles),
  vfp('VMOV (two cores and double)', '1100 010 op:1 rt2:4 rt:4 1011 00 m:1 1 vm:4', vmovDouble),
];
