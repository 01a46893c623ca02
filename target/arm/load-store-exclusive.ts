import type { Value } from '#tcg/builder.ts';
import type { FieldRecord } from '#tcg/decode.ts';
import { Op } from '#tcg/ops.ts';
import { alignmentStore, checkAlignment } from './alignment.ts';
import type { ArmContext } from './context.ts';
import { type DataKind, loadData, reorder, storeData } from './guest-data.ts';
import { armState } from './state.ts';

/*
 * Exclusive accesses (DDI 0406C A3.4), load-acquire and store-release (DDI 0487 F5.1), SWP. The monitor is the address
 * and the raw value of the last LDREX: STREX succeeds if memory still holds that value. A misaligned STREX fails like
 * one to another address, as in qemu.
 */

const slotAddress = armState.offset('exclusiveAddress');
const slotLow = armState.offset('exclusiveLow');
const slotHigh = armState.offset('exclusiveHigh');

interface Access {
  readonly rn: number;
  readonly rt: number;
  /** Offset in words. */
  readonly imm: number;
}
interface DualAccess extends Access {
  readonly rt2: number;
}
/** 1: load-acquire or store-release. */
interface Ordered {
  readonly ordered: number;
}

/** R15 as an operand, and a status register that is also base or source, are UNPREDICTABLE: undefined as in qemu. */
export const goodLoad = (f: FieldRecord): boolean =>
  f['rn'] !== 15 && f['rt'] !== 15 && f['rt2'] !== 15 && f['rt'] !== f['rt2'];
export const goodStore = (f: FieldRecord): boolean =>
  f['rn'] !== 15 &&
  f['rt'] !== 15 &&
  f['rt2'] !== 15 &&
  f['rd'] !== 15 &&
  f['rd'] !== f['rn'] &&
  f['rd'] !== f['rt'] &&
  f['rd'] !== f['rt2'];

const cmpxchgOps = { 1: Op.cmpxchg8, 2: Op.cmpxchg16, 4: Op.cmpxchg_i32 } as const;

/** LDREX{B,H} rt, [rn{, #imm·4}]; LDAEX{B,H} */
export const ldrex =
  (kind: DataKind) =>
  (c: ArmContext, f: Access & Ordered): void => {
    const { b } = c;
    const address = f.imm === 0 ? c.reg(f.rn) : b.addImm(c.reg(f.rn), f.imm * 4);
    checkAlignment(c, address, kind.bytes);
    const raw = b.load(kind.loadUnsigned, address);
    if (f.ordered) b.emit(Op.fence);
    b.set32(slotAddress, address);
    b.set32(slotLow, raw);
    c.setReg(f.rt, reorder(c, kind.bytes, raw));
  };

/** LDREXD rt, rt2, [rn]; LDAEXD */
export function ldrexd(c: ArmContext, f: DualAccess & Ordered): void {
  const { b } = c;
  const address = c.reg(f.rn);
  checkAlignment(c, address, 8);
  const raw = b.load(Op.load_i64, address);
  if (f.ordered) b.emit(Op.fence);
  const low = b.un(Op.wrap_i64, raw);
  const high = b.un(Op.wrap_i64, b.bin(Op.shr_u_i64, raw, b.i64(32, 0)));
  b.set32(slotAddress, address);
  b.set32(slotLow, low);
  b.set32(slotHigh, high);
  c.setReg(f.rt, reorder(c, 4, low));
  c.setReg(f.rt2, reorder(c, 4, high));
}

/** Sets rd to 0 if `address` is the remembered one and `exchange` (1: it failed) succeeds there; else 1. */
function storeExclusive(c: ArmContext, rd: number, address: Value, bytes: number, exchange: () => Value): void {
  const { b } = c;
  const elsewhere = b.xor(address, b.get32(slotAddress));
  b.if(b.eqz(bytes === 1 ? elsewhere : b.or(elsewhere, b.andImm(address, bytes - 1))));
  c.setReg(rd, exchange());
  b.else();
  c.setReg(rd, b.i32(1));
  b.endif();
  b.set32(slotAddress, b.i32(-1));
}

/** STREX{B,H} rd, rt, [rn{, #imm·4}]; STLEX{B,H} */
export const strex =
  (kind: DataKind) =>
  (c: ArmContext, f: Access & { readonly rd: number }): void => {
    const { b } = c;
    const address = f.imm === 0 ? c.reg(f.rn) : b.addImm(c.reg(f.rn), f.imm * 4);
    const low = kind.bytes === 4 ? c.reg(f.rt) : b.andImm(c.reg(f.rt), kind.bytes === 1 ? 0xff : 0xffff);
    const value = reorder(c, kind.bytes, low);
    storeExclusive(c, f.rd, address, kind.bytes, () => {
      const expected = b.get32(slotLow);
      return b.bin(Op.ne_i32, b.cmpxchg(cmpxchgOps[kind.bytes], address, expected, value), expected);
    });
  };

/** STREXD rd, rt, rt2, [rn]; STLEXD */
export function strexd(c: ArmContext, f: DualAccess & { readonly rd: number }): void {
  const { b } = c;
  const address = c.reg(f.rn);
  const join = (low: Value, high: Value): Value => {
    const top = b.bin(Op.shl_i64, b.un(Op.extend_u_i64, high), b.i64(32, 0));
    return b.bin(Op.or_i64, b.un(Op.extend_u_i64, low), top);
  };
  const value = join(reorder(c, 4, c.reg(f.rt)), reorder(c, 4, c.reg(f.rt2)));
  storeExclusive(c, f.rd, address, 8, () => {
    const expected = join(b.get32(slotLow), b.get32(slotHigh));
    return b.bin(Op.ne_i64, b.cmpxchg(Op.cmpxchg_i64, address, expected, value), expected);
  });
}

const evenPair = (f: { readonly rt: number }): boolean => (f.rt & 1) === 0 && f.rt !== 14;

/** LDREXD rt, rt+1, [rn]: A32 */
export function ldrexdA32(c: ArmContext, f: Access & Ordered): void {
  if (!evenPair(f)) return c.unpredictable();
  ldrexd(c, { rn: f.rn, rt: f.rt, rt2: f.rt + 1, imm: 0, ordered: f.ordered });
}

/** STREXD rd, rt, rt+1, [rn]: A32 */
export function strexdA32(c: ArmContext, f: Access & { readonly rd: number }): void {
  if (!evenPair(f) || f.rd === f.rt + 1) return c.unpredictable();
  strexd(c, { rn: f.rn, rt: f.rt, rt2: f.rt + 1, rd: f.rd, imm: 0 });
}

/** LDA{B,H} rt, [rn] */
export const lda =
  (kind: DataKind) =>
  (c: ArmContext, f: { readonly rn: number; readonly rt: number }): void => {
    const address = c.reg(f.rn);
    checkAlignment(c, address, kind.bytes);
    const value = loadData(c, kind, address);
    c.b.emit(Op.fence);
    c.setReg(f.rt, value);
  };

/** STL{B,H} rt, [rn] */
export const stl =
  (kind: DataKind) =>
  (c: ArmContext, f: { readonly rn: number; readonly rt: number }): void => {
    const address = c.reg(f.rn);
    checkAlignment(c, address, kind.bytes, alignmentStore);
    c.b.emit(Op.fence);
    storeData(c, kind, address, c.reg(f.rt));
  };

/** CLREX */
export function clrex(c: ArmContext): void {
  c.b.set32(slotAddress, c.b.i32(-1));
}

/** SWP{B} rt, rt2, [rn]: tried again from the start where another CPU wrote in between. */
export const swp =
  (kind: DataKind) =>
  (c: ArmContext, f: { readonly rn: number; readonly rt: number; readonly rt2: number }): void => {
    const { b } = c;
    const address = c.reg(f.rn);
    checkAlignment(c, address, kind.bytes);
    const old = b.load(kind.load, address);
    const value = kind.bytes === 1 ? b.andImm(c.reg(f.rt2), 0xff) : reorder(c, 4, c.reg(f.rt2));
    b.if(b.bin(Op.ne_i32, b.cmpxchg(cmpxchgOps[kind.bytes], address, old, value), old));
    b.jump(c.currentPc);
    b.endif();
    c.setReg(f.rt, reorder(c, kind.bytes, old));
  };
