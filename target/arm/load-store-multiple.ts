import type { Value } from '#tcg/builder.ts';
import { MemoryFlag } from '#tcg/ops.ts';
import { alignmentStore, checkMultiple } from './alignment.ts';
import type { ArmContext } from './context.ts';
import { dataKinds, loadData, storeData } from './guest-data.ts';

/*
 * LDM, STM, PUSH and POP (DDI 0406C A5.5, A8.8). The whole transfer is probed before the first register or memory byte
 * changes, so a fault leaves nothing half done.
 */

interface Multiple {
  /** p: before the address is stepped (IB, DB); u: upwards (IA, IB). */
  readonly p: number;
  readonly u: number;
  readonly w: number;
  readonly rn: number;
  readonly list: number;
}

function countRegisters(list: number): number {
  let count = 0;
  for (let rest = list; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Where a transfer of `count` registers goes: the address of its lowest word, and the base afterwards. */
function range(c: ArmContext, f: Multiple, base: Value, count: number): { address: Value; stepped: Value } {
  const { b } = c;
  const stepped = f.w || !f.u ? b.addImm(base, f.u ? 4 * count : -4 * count) : -1;
  const start = f.u ? base : stepped;
  // IB and DA begin a word above where IA and DB do.
  const address = f.p === f.u ? b.addImm(start, 4) : start;
  // Where unaligned words are rotated, these accesses ignore the lowest bits.
  return { address: c.model.rotatesUnaligned ? b.andImm(address, ~3) : address, stepped };
}

function loadRegisters(c: ArmContext, f: Multiple, count: number): void {
  const { b } = c;
  const { address, stepped } = range(c, f, c.reg(f.rn), count);
  checkMultiple(c, address);
  const flags = count > 1 ? MemoryFlag.probed : 0;
  if (count > 1) b.probe(address, 4 * count, 1);
  const values: Value[] = [];
  for (let i = 0; i < count; i++) values.push(loadData(c, dataKinds.word, address, 4 * i, flags));
  if (f.w) c.setReg(f.rn, stepped);
  for (let n = 0, i = 0; n < 15; n++) if (f.list & (1 << n)) c.setReg(n, values[i++]!);
  if ((f.list & 0x8000) === 0) return;
  // A list that restores SP (LDMDB FP, {…, SP, PC}) returns as well.
  c.loadWritePC(values[count - 1]!, f.rn === 13 || (f.list & 0x2000) !== 0 ? 'return' : 'jump');
}

function storeRegisters(c: ArmContext, f: Multiple, count: number): void {
  const { b } = c;
  const { address, stepped } = range(c, f, c.reg(f.rn), count);
  checkMultiple(c, address, alignmentStore);
  const flags = count > 1 ? MemoryFlag.probed : 0;
  if (count > 1) b.probe(address, 4 * count, 2);
  for (let n = 0, offset = 0; n < 16; n++) {
    if ((f.list & (1 << n)) === 0) continue;
    storeData(c, dataKinds.word, address, c.reg(n), offset, flags);
    offset += 4;
  }
  if (f.w) c.setReg(f.rn, stepped);
}

/** LDM{IA,IB,DA,DB} rn{!}, {list}. Fewer than `minimum` registers, and writeback to a loaded one, are UNPREDICTABLE. */
export const ldm =
  (minimum: number) =>
  (c: ArmContext, f: Multiple): void => {
    const count = countRegisters(f.list);
    if (count < minimum || f.rn === 15 || (f.w === 1 && (f.list & (1 << f.rn)) !== 0)) return c.unpredictable();
    loadRegisters(c, f, count);
  };

/** STM{IA,IB,DA,DB} rn{!}, {list}. A base in the list is stored with its old value. */
export const stm =
  (minimum: number) =>
  (c: ArmContext, f: Multiple): void => {
    const count = countRegisters(f.list);
    if (count < minimum || f.rn === 15) return c.unpredictable();
    storeRegisters(c, f, count);
  };

/** STM.W: a base in the list with writeback is UNPREDICTABLE. */
export function stmT32(c: ArmContext, f: Multiple): void {
  if (f.w === 1 && (f.list & (1 << f.rn)) !== 0) return c.unpredictable();
  stm(2)(c, f);
}

/** LDM rn{!}, {list}: 16-bit T32; writes back unless rn is in the list. */
export function ldmT16(c: ArmContext, f: { readonly rn: number; readonly list: number }): void {
  const { rn, list } = f;
  ldm(1)(c, { p: 0, u: 1, w: (list >> rn) & 1 ? 0 : 1, rn, list });
}

/** STM rn!, {list}: 16-bit T32 */
export function stmT16(c: ArmContext, f: { readonly rn: number; readonly list: number }): void {
  stm(1)(c, { p: 0, u: 1, w: 1, rn: f.rn, list: f.list });
}

/** PUSH {list, LR}: 16-bit T32 */
export function pushT16(c: ArmContext, f: { readonly lr: number; readonly list: number }): void {
  stm(1)(c, { p: 1, u: 0, w: 1, rn: 13, list: f.list | (f.lr << 14) });
}

/** POP {list, PC}: 16-bit T32 */
export function popT16(c: ArmContext, f: { readonly pc: number; readonly list: number }): void {
  ldm(1)(c, { p: 0, u: 1, w: 1, rn: 13, list: f.list | (f.pc << 15) });
}
