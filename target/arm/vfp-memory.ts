import type { Value } from '#tcg/builder.ts';
import { MemoryFlag } from '#tcg/ops.ts';
import type { ArmContext } from './context.ts';
import { dataKinds, loadData, storeData } from './guest-data.ts';
import { type FloatType, floatOps, floatType, getF, numberF, type RowPair, setF, slotF, vfp } from './vfp-registers.ts';

/** Extension register loads and stores (DDI 0406C A7.6). Accesses are not checked for alignment. */

/** Loads an S or D register. Big-endian doubles have their high word first. */
function loadF(c: ArmContext, type: FloatType, n: number, address: Value, offset: number, flags: number): void {
  const { b } = c;
  if (!c.bigEndian) {
    setF(c, type, n, b.load(floatOps[type].load, address, offset, flags));
    return;
  }
  const first = loadData(c, dataKinds.word, address, offset, flags);
  if (type === 'f32') {
    b.set32(slotF('f32', n), first);
    return;
  }
  const second = loadData(c, dataKinds.word, address, offset + 4, flags);
  b.set32(slotF('f64', n) + 4, first);
  b.set32(slotF('f64', n), second);
}

function storeF(c: ArmContext, type: FloatType, n: number, address: Value, offset: number, flags: number): void {
  const { b } = c;
  if (!c.bigEndian) {
    b.store(floatOps[type].store, address, getF(c, type, n), offset, flags);
    return;
  }
  const slot = slotF(type, n);
  if (type === 'f32') {
    storeData(c, dataKinds.word, address, b.get32(slot), offset, flags);
    return;
  }
  storeData(c, dataKinds.word, address, b.get32(slot + 4), offset, flags);
  storeData(c, dataKinds.word, address, b.get32(slot), offset + 4, flags);
}

interface Single {
  readonly u: number;
  readonly d: number;
  readonly rn: number;
  readonly vd: number;
  readonly sz: number;
  readonly imm: number;
}

/** Address and constant offset of [Rn, #±imm]. */
function place(c: ArmContext, f: Single): { address: Value; offset: number } {
  const base = c.baseReg(f.rn);
  const offset = f.imm * 4;
  return f.u ? { address: base, offset } : { address: c.b.addImm(base, -offset), offset: 0 };
}

/** One 8-byte access in two halves must not stop half-way. */
function probeHalves(c: ArmContext, type: FloatType, address: Value, access: number): number {
  if (!c.bigEndian || type === 'f32') return 0;
  c.b.probe(address, 8, access);
  return MemoryFlag.probed;
}

/** VLDR<c> Fd, [Rn{, #±imm}]; literal form with Align(PC, 4). */
function vldr(c: ArmContext, f: Single): void {
  const type = floatType(f.sz);
  let { address, offset } = place(c, f);
  if (c.bigEndian) [address, offset] = [c.b.addImm(address, offset), 0];
  loadF(c, type, numberF(type, f.vd, f.d), address, offset, probeHalves(c, type, address, 1));
}

/** VSTR<c> Fd, [Rn{, #±imm}]. */
function vstr(c: ArmContext, f: Single): void {
  if (f.rn === 15 && c.thumb) {
    c.unpredictable();
    return;
  }
  const type = floatType(f.sz);
  let { address, offset } = place(c, f);
  if (c.bigEndian) [address, offset] = [c.b.addImm(address, offset), 0];
  storeF(c, type, numberF(type, f.vd, f.d), address, offset, probeHalves(c, type, address, 2));
}

interface Multiple extends Single {
  readonly p: number;
  readonly w: number;
  readonly l: number;
}

/** VLDM, VSTM, VPUSH, VPOP, FLDMX, FSTMX: IA or DB; an odd imm with doubles is the X form, whose last word is left out. */
function vldmVstm(c: ArmContext, f: Multiple): void {
  const type = floatType(f.sz);
  const first = numberF(type, f.vd, f.d);
  const count = type === 'f32' ? f.imm : f.imm >> 1;
  const isAddressed = (f.p === 0 && f.u === 1) || (f.p === 1 && f.u === 0 && f.w === 1);
  const limit = type === 'f32' ? 32 : 16;
  if (!isAddressed) {
    c.undefined();
    return;
  }
  if (count === 0 || count > limit || first + count > 32 || (f.rn === 15 && (f.w || c.thumb))) {
    c.unpredictable();
    return;
  }
  const { b } = c;
  const base = c.baseReg(f.rn);
  const address = f.u ? base : b.addImm(base, -4 * f.imm);
  const bytes = type === 'f32' ? 4 : 8;
  const isPlain = count === 1 && !(c.bigEndian && bytes === 8);
  if (!isPlain) b.probe(address, count * bytes, f.l ? 1 : 2);
  const flags = isPlain ? 0 : MemoryFlag.probed;
  for (let i = 0; i < count; i++) {
    if (f.l) loadF(c, type, first + i, address, i * bytes, flags);
    else storeF(c, type, first + i, address, i * bytes, flags);
  }
  if (f.w) c.setReg(f.rn, f.u ? b.addImm(base, 4 * f.imm) : address);
}

/** The two-register transfers share opcode space with VLDM and precede it. */
export const memoryRows: readonly RowPair[] = [
  vfp('VSTR', '1101 u:1 d:1 00 rn:4 vd:4 101 sz:1 imm:8', vstr),
  vfp('VLDR', '1101 u:1 d:1 01 rn:4 vd:4 101 sz:1 imm:8', vldr),
  vfp('VLDM/VSTM', '110 p:1 u:1 d:1 w:1 l:1 rn:4 vd:4 101 sz:1 imm:8', vldmVstm),
];
