import type { Value } from '#tcg/builder.ts';
import { MemoryFlag, Op } from '#tcg/ops.ts';
import { bytesOf } from '#tcg/sequences/vector.ts';
import type { ArmContext } from './context.ts';
import { dataKinds, loadData, storeData } from './guest-data.ts';
import { fieldD, getPair, laneOps, setPair, shuffle } from './neon-vectors.ts';
import { slotD } from './state.ts';
import { neonMemory, type RowPair } from './vfp-registers.ts';

/**
 * Element and structure loads and stores (DDI 0406C A7.7). A whole transfer is probed before anything changes.
 * Alignment hints are not checked.
 */

interface Transfer {
  readonly d: number;
  readonly vd: number;
  readonly l: number;
  readonly rn: number;
  readonly rm: number;
}

/** Rm 15: no write-back; 13: past the bytes moved; others: an index. */
function writeBack(c: ArmContext, f: Transfer, address: Value, bytes: number): void {
  if (f.rm === 15) return;
  c.setReg(f.rn, f.rm === 13 ? c.b.addImm(address, bytes) : c.b.add(address, c.reg(f.rm)));
}

function refused(c: ArmContext, f: Transfer, lastRegister: number, isUndefined: boolean): boolean {
  if (!isUndefined && lastRegister < 32 && f.rn !== 15) return false;
  if (isUndefined) c.undefined();
  else c.unpredictable();
  return true;
}

/** Per type field: elements per structure, structures' register groups, register increment; `align` values refused. */
const shapes: Readonly<Record<number, { n: number; groups: number; step: number; align: (align: number) => boolean }>> =
  {
    0b0111: { n: 1, groups: 1, step: 1, align: (a) => a > 1 },
    0b1010: { n: 1, groups: 2, step: 1, align: (a) => a === 3 },
    0b0110: { n: 1, groups: 3, step: 1, align: (a) => a > 1 },
    0b0010: { n: 1, groups: 4, step: 1, align: () => false },
    0b1000: { n: 2, groups: 1, step: 1, align: (a) => a === 3 },
    0b1001: { n: 2, groups: 1, step: 2, align: (a) => a === 3 },
    0b0011: { n: 2, groups: 2, step: 2, align: () => false },
    0b0100: { n: 3, groups: 1, step: 1, align: (a) => a > 1 },
    0b0101: { n: 3, groups: 1, step: 2, align: (a) => a > 1 },
    0b0000: { n: 4, groups: 1, step: 1, align: () => false },
    0b0001: { n: 4, groups: 1, step: 2, align: () => false },
  };

/** VLD1…VLD4, VST1…VST4 (multiple structures). */
function multiple(c: ArmContext, f: Transfer & { type: number; size: number; align: number }): void {
  const shape = shapes[f.type];
  if (!shape) {
    c.undefined();
    return;
  }
  const { n, groups, step } = shape;
  const first = fieldD(f);
  const last = first + groups - 1 + (n - 1) * step;
  if (refused(c, f, last, shape.align(f.align) || (n > 1 && f.size === 3))) return;
  const { b } = c;
  const address = c.reg(f.rn);
  const count = n * groups;
  b.probe(address, 8 * count, f.l ? 1 : 2);
  /** Registers in memory order where elements are not interleaved. */
  const registers = Array.from({ length: count }, (_, i) => first + Math.floor(i / n) + (i % n) * step);
  if (n === 1 && c.bigEndian && f.size > 0) moveReversed(c, f.l !== 0, address, registers, f.size);
  else if (n === 1) moveWhole(c, f.l !== 0, address, registers);
  else if (f.l) loadInterleaved(c, address, registers, n, f.size);
  else storeInterleaved(c, address, registers, n, f.size);
  writeBack(c, f, address, 8 * count);
}

function moveWhole(c: ArmContext, isLoad: boolean, address: Value, registers: readonly number[]): void {
  const { b } = c;
  const { probed } = MemoryFlag;
  for (let i = 0; i < registers.length; i++) {
    const d = registers[i]!;
    if ((d & 1) === 0 && registers[i + 1] === d + 1) {
      if (isLoad) b.set('v128', slotD(d), b.load(Op.load_v128, address, 8 * i, probed));
      else b.store(Op.store_v128, address, b.get('v128', slotD(d)), 8 * i, probed);
      i++;
    } else if (isLoad) b.set('i64', slotD(d), b.load(Op.load_i64, address, 8 * i, probed));
    else b.store(Op.store_i64, address, b.get('i64', slotD(d)), 8 * i, probed);
  }
}

/** The same for big-endian elements of 2^size bytes. */
function moveReversed(
  c: ArmContext,
  isLoad: boolean,
  address: Value,
  registers: readonly number[],
  size: number,
): void {
  const { b } = c;
  const flip = (1 << size) - 1;
  const reversed = (value: Value): Value => {
    const vector = b.un(Op.splat_i64x2, value);
    return b.emit(
      Op.extract_lane_i64x2,
      shuffle(
        c,
        vector,
        vector,
        bytesOf((i) => i ^ flip),
      ),
    );
  };
  registers.forEach((d, i) => {
    if (isLoad) b.set('i64', slotD(d), reversed(b.load(Op.load_i64, address, 8 * i, MemoryFlag.probed)));
    else b.store(Op.store_i64, address, reversed(b.get('i64', slotD(d))), 8 * i, MemoryFlag.probed);
  });
}

/** Where byte `i` of register `k` (in `registers` order) is in memory. */
function memoryByte(c: ArmContext, n: number, size: number, k: number, i: number): number {
  const group = Math.floor(k / n);
  const element = i >> size;
  const last = (1 << size) - 1;
  const within = (c.bigEndian ? ~i : i) & last;
  return group * 8 * n + ((element * n + (k % n)) << size) + within;
}

function loadInterleaved(c: ArmContext, address: Value, registers: readonly number[], n: number, size: number): void {
  const { b } = c;
  const { probed } = MemoryFlag;
  const low = b.load(Op.load_v128, address, 0, probed);
  let high = low;
  if (registers.length === 3) high = b.un(Op.splat_i64x2, b.load(Op.load_i64, address, 16, probed));
  if (registers.length === 4) high = b.load(Op.load_v128, address, 16, probed);
  for (let k = 0; k < registers.length; k += 2) {
    const pick: number[] = [];
    for (let i = 0; i < 8; i++) pick.push(memoryByte(c, n, size, k, i));
    const second = k + 1 < registers.length ? k + 1 : k;
    for (let i = 0; i < 8; i++) pick.push(memoryByte(c, n, size, second, i));
    const value = shuffle(c, low, high, pick);
    if (second === k) b.set('i64', slotD(registers[k]!), b.emit(Op.extract_lane_i64x2, value));
    else setPair(c, registers[k]!, registers[second]!, value);
  }
}

function storeInterleaved(c: ArmContext, address: Value, registers: readonly number[], n: number, size: number): void {
  const { b } = c;
  const { probed } = MemoryFlag;
  const count = registers.length;
  const low = getPair(c, registers[0]!, registers[1]!);
  let high = low;
  if (count === 3) high = b.un(Op.splat_i64x2, b.get('i64', slotD(registers[2]!)));
  if (count === 4) high = getPair(c, registers[2]!, registers[3]!);
  const source = new Array<number>(32).fill(0);
  for (let k = 0; k < count; k++) for (let i = 0; i < 8; i++) source[memoryByte(c, n, size, k, i)] = 8 * k + i;
  b.store(Op.store_v128, address, shuffle(c, low, high, source.slice(0, 16)), 0, probed);
  if (count === 2) return;
  const rest = shuffle(c, low, high, source.slice(16));
  if (count === 4) b.store(Op.store_v128, address, rest, 16, probed);
  else b.store(Op.store_i64, address, b.emit(Op.extract_lane_i64x2, rest), 16, probed);
}

const kinds = [dataKinds.byte, dataKinds.half, dataKinds.word];

/** True if index_align is unallocated for n elements of `size`. */
function badIndexAlign(n: number, size: number, ia: number): boolean {
  switch (n) {
    case 1:
      return size === 2 ? (ia & 4) !== 0 || ((ia & 3) !== 0 && (ia & 3) !== 3) : (ia & (size === 0 ? 1 : 2)) !== 0;
    case 2:
      return size === 2 && (ia & 2) !== 0;
    case 3:
      return size === 2 ? (ia & 3) !== 0 : (ia & 1) !== 0;
    default:
      return size === 2 && (ia & 3) === 3;
  }
}

/** VLD1…VLD4, VST1…VST4 (single structure to or from one lane). */
function oneLane(c: ArmContext, f: Transfer & { size: number; n: number; ia: number }): void {
  const n = f.n + 1;
  const { size } = f;
  const step = size > 0 && f.ia & (1 << size) ? 2 : 1;
  const first = fieldD(f);
  if (refused(c, f, first + (n - 1) * step, badIndexAlign(n, size, f.ia))) return;
  const { b } = c;
  const address = c.reg(f.rn);
  const bytes = n << size;
  const flags = n > 1 ? MemoryFlag.probed : 0;
  if (n > 1) b.probe(address, bytes, f.l ? 1 : 2);
  const byte = (f.ia >> (size + 1)) << size;
  for (let i = 0; i < n; i++) {
    const slot = slotD(first + i * step) + (byte & 4);
    const shift = (byte & 3) * 8;
    if (!f.l) {
      storeData(c, kinds[size]!, address, b.shrUImm(b.get32(slot), shift), i << size, flags);
      continue;
    }
    const value = loadData(c, kinds[size]!, address, i << size, flags);
    const mask = size === 2 ? -1 : (1 << (8 << size)) - 1;
    const kept = size === 2 ? b.i32(0) : b.andImm(b.get32(slot), ~(mask << shift));
    b.set32(slot, b.or(b.shlImm(value, shift), kept));
  }
  writeBack(c, f, address, bytes);
}

/** VLD1…VLD4 (single structure to all lanes). */
function allLanes(c: ArmContext, f: Omit<Transfer, 'l'> & { n: number; size: number; t: number; a: number }): void {
  const n = f.n + 1;
  const isUndefined =
    n === 4 ? f.size === 3 && !f.a : f.size === 3 || (n === 1 && f.size === 0 && f.a !== 0) || (n === 3 && f.a !== 0);
  const size = Math.min(f.size, 2);
  // VLD1 writes one or two registers; the others may skip every second one.
  const count = n === 1 ? f.t + 1 : n;
  const step = n > 1 && f.t ? 2 : 1;
  const first = fieldD(f);
  if (refused(c, { ...f, l: 1 }, first + (count - 1) * step, isUndefined)) return;
  const { b } = c;
  const address = c.reg(f.rn);
  const bytes = n << size;
  if (n > 1) b.probe(address, bytes, 1);
  for (let i = 0; i < count; i++) {
    const value = loadData(c, kinds[size]!, address, n === 1 ? 0 : i << size, n > 1 || i > 0 ? MemoryFlag.probed : 0);
    const all = b.emit(Op.extract_lane_i64x2, b.un(laneOps.splat[size]!, value));
    b.set('i64', slotD(first + i * step), all);
  }
  writeBack(c, { ...f, l: 1 }, address, bytes);
}

export const elementRows: readonly RowPair[] = [
  neonMemory('VLD/VST (multiple structures)', '0 d:1 l:1 0 rn:4 vd:4 type:4 size:2 align:2 rm:4', multiple),
  neonMemory('VLD (one structure to all lanes)', '1 d:1 10 rn:4 vd:4 11 n:2 size:2 t:1 a:1 rm:4', allLanes),
  neonMemory('VST (unallocated)', '1 d:1 00 rn:4 vd:4 11 n:2 xxxx rm:4', (c) => c.undefined()),
  neonMemory('VLD/VST (one structure, one lane)', '1 d:1 l:1 0 rn:4 vd:4 size:2 n:2 ia:4 rm:4', oneLane),
];
