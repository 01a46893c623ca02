import type { Value } from '#tcg/builder.ts';
import { MemoryFlag, Op } from '#tcg/ops.ts';
import { alignmentStore, checkMultiple } from './alignment.ts';
import type { ArmContext } from './context.ts';
import { Feature } from './features.ts';
import { type DataKind, dataKinds, loadData, storeData } from './guest-data.ts';
import { Shift, shiftImmediate } from './shift.ts';

/*
 * Loads and stores of one register or of two (LDRD, STRD). Unaligned addresses are allowed for programs: Linux
 * repairs those accesses that the architecture does not. Where base and transfer register coincide with writeback
 * (UNPREDICTABLE), the loaded value wins and the old value is stored, as in qemu.
 */

/** Indexing bits: p pre-indexed or offset, u add, w write back (p = 0: always). */
interface Indexing {
  readonly p: number;
  readonly u: number;
  readonly w: number;
  readonly rn: number;
}
interface ImmediateForm extends Indexing {
  readonly imm: number;
}
interface RegisterForm extends Indexing {
  readonly rm: number;
  readonly type: number;
  readonly imm: number;
}
interface OneRegister {
  readonly rt: number;
}
interface TwoRegisters extends OneRegister {
  readonly rt2: number;
}

/** Where an access goes: address + offset (0…4095), and the base register's new value (-1 if it stays). */
interface Place {
  readonly address: Value;
  readonly offset: number;
  readonly updated: Value;
}

const writesBack = (f: Indexing): boolean => f.p === 0 || f.w === 1;

/** A base plus a constant, small positive ones kept apart. */
function constantPlace(c: ArmContext, base: Value, offset: number): Place {
  const { b } = c;
  if (offset >= 0 && offset < 4096 && !b.isConst(base)) return { address: base, offset, updated: -1 };
  return { address: b.addImm(base, offset), offset: 0, updated: -1 };
}

function immediatePlace(c: ArmContext, f: ImmediateForm): Place {
  const { b } = c;
  const base = c.baseReg(f.rn);
  const offset = f.u ? f.imm : -f.imm;
  if (!writesBack(f)) return constantPlace(c, base, offset);
  const updated = b.addImm(base, offset);
  return { address: f.p ? updated : base, offset: 0, updated };
}

function registerPlace(c: ArmContext, f: RegisterForm): Place {
  const { b } = c;
  const base = c.baseReg(f.rn);
  const index = shiftImmediate(c, c.reg(f.rm), f.type, f.imm, false).value;
  const sum = f.u ? b.add(base, index) : b.sub(base, index);
  if (!writesBack(f)) return { address: sum, offset: 0, updated: -1 };
  return { address: f.p ? sum : base, offset: 0, updated: sum };
}

/** Writing back to R15 is UNPREDICTABLE; so is loading less than a word into it. */
const badBase = (f: Indexing): boolean => f.rn === 15 && writesBack(f);

/** Loaded words that are known because neither the address nor what is there can change. */
function literals(c: ArmContext, address: Value, count: number): Value[] | undefined {
  const { b } = c;
  if (c.bigEndian || !b.isConst(address)) return undefined;
  return c.readTable(b.constOf(address), count, 4)?.map((word) => b.i32(word));
}

/** The place with an address aligned to the access, for CPUs that ignore the lowest bits. */
function alignedPlace(c: ArmContext, kind: DataKind, place: Place): Place {
  if (!c.model.rotatesUnaligned || kind.bytes === 1) return place;
  return { ...place, address: c.b.andImm(wholeAddress(c, place), -kind.bytes), offset: 0 };
}

/** A load; old CPUs rotate words so that the byte addressed comes lowest (DDI 0406C D15.3, appendix O). */
function loadPlace(c: ArmContext, kind: DataKind, place: Place): Value {
  const aligned = alignedPlace(c, kind, place);
  const value = loadData(c, kind, aligned.address, aligned.offset);
  if (aligned === place || kind.bytes !== 4) return value;
  return c.b.bin(Op.rotr_i32, value, c.b.shlImm(wholeAddress(c, place), 3));
}

function load(c: ArmContext, kind: DataKind, f: Indexing & OneRegister, place: Place): void {
  const known = kind === dataKinds.word && !c.model.rotatesUnaligned ? literals(c, place.address, 1) : undefined;
  const value = known ? known[0]! : loadPlace(c, kind, place);
  if (place.updated >= 0) c.setReg(f.rn, place.updated);
  if (f.rt === 15) c.loadWritePC(value, f.rn === 13 ? 'return' : 'jump');
  else c.setReg(f.rt, value);
}

function store(c: ArmContext, kind: DataKind, f: Indexing & OneRegister, place: Place): void {
  const { address, offset } = alignedPlace(c, kind, place);
  storeData(c, kind, address, c.reg(f.rt), offset);
  if (place.updated >= 0) c.setReg(f.rn, place.updated);
}

/** LDR<kind> rt, [rn, #±imm], [rn, #±imm]! or [rn], #±imm; LDR<kind>T; LDR<kind> rt, label */
export const loadImmediate =
  (kind: DataKind) =>
  (c: ArmContext, f: ImmediateForm & OneRegister): void => {
    if (badBase(f) || (f.rt === 15 && kind !== dataKinds.word)) return c.unpredictable();
    load(c, kind, f, immediatePlace(c, f));
  };

/** LDR<kind> rt, [rn, ±rm{, shift}], pre- or post-indexed; LDR<kind>T */
export const loadRegister =
  (kind: DataKind) =>
  (c: ArmContext, f: RegisterForm & OneRegister): void => {
    if (badBase(f) || (f.rt === 15 && kind !== dataKinds.word)) return c.unpredictable();
    if (f.rt === 15 && jumpTable(c, f)) return;
    load(c, kind, f, registerPlace(c, f));
  };

/** STR<kind> rt, [rn, #±imm], pre- or post-indexed; STR<kind>T */
export const storeImmediate =
  (kind: DataKind) =>
  (c: ArmContext, f: ImmediateForm & OneRegister): void => {
    if (badBase(f)) return c.unpredictable();
    store(c, kind, f, immediatePlace(c, f));
  };

/** STR<kind> rt, [rn, ±rm{, shift}], pre- or post-indexed; STR<kind>T */
export const storeRegister =
  (kind: DataKind) =>
  (c: ArmContext, f: RegisterForm & OneRegister): void => {
    if (badBase(f)) return c.unpredictable();
    store(c, kind, f, registerPlace(c, f));
  };

/** The same with an unsigned offset in units of 1 << scale bytes: 16-bit T32. */
export const loadScaled =
  (kind: DataKind, scale: number) =>
  (c: ArmContext, f: { readonly rn: number; readonly rt: number; readonly imm: number }): void => {
    const { rn, rt } = f;
    load(c, kind, { p: 1, u: 1, w: 0, rn, rt }, constantPlace(c, c.baseReg(rn), f.imm << scale));
  };

/** STR<kind> rt, [rn, #imm]: 16-bit T32. */
export const storeScaled =
  (kind: DataKind, scale: number) =>
  (c: ArmContext, f: { readonly rn: number; readonly rt: number; readonly imm: number }): void => {
    const { rn, rt } = f;
    store(c, kind, { p: 1, u: 1, w: 0, rn, rt }, constantPlace(c, c.baseReg(rn), f.imm << scale));
  };

/** LDRLS PC, [PC, rm, LSL #2] after CMP rm, #n, with a table that cannot change: a switch. */
function jumpTable(c: ArmContext, f: RegisterForm): boolean {
  const { b } = c;
  if (c.bigEndian || writesBack(f) || !f.u || f.type !== Shift.lsl || f.imm !== 2) return false;
  const base = c.baseReg(f.rn);
  const bound = c.boundOf(f.rm);
  if (!b.isConst(base) || bound < 0) return false;
  const targets = c.readTable(b.constOf(base), bound + 1, 4);
  if (targets === undefined || targets.some((pc) => (pc & 3) === 2)) return false;
  c.switch(c.reg(f.rm), targets);
  return true;
}

// ---- two registers

/** The address of a place as one value: what a probe takes. */
const wholeAddress = (c: ArmContext, { address, offset }: Place): Value =>
  offset === 0 ? address : c.b.addImm(address, offset);

function loadPair(c: ArmContext, address: Value): Value[] {
  checkMultiple(c, address);
  c.b.probe(address, 8, 1);
  return [0, 4].map((offset) => loadData(c, dataKinds.word, address, offset, MemoryFlag.probed));
}

function loadDual(c: ArmContext, f: Indexing & TwoRegisters, place: Place): void {
  const address = wholeAddress(c, place);
  const [first, second] = literals(c, address, 2) ?? loadPair(c, address);
  if (place.updated >= 0) c.setReg(f.rn, place.updated);
  c.setReg(f.rt, first!);
  c.setReg(f.rt2, second!);
}

function storeDual(c: ArmContext, f: Indexing & TwoRegisters, place: Place): void {
  const { b } = c;
  const address = wholeAddress(c, place);
  checkMultiple(c, address, alignmentStore);
  b.probe(address, 8, 2);
  storeData(c, dataKinds.word, address, c.reg(f.rt), 0, MemoryFlag.probed);
  storeData(c, dataKinds.word, address, c.reg(f.rt2), 4, MemoryFlag.probed);
  if (place.updated >= 0) c.setReg(f.rn, place.updated);
}

const badDual = (f: Indexing & TwoRegisters): boolean => badBase(f) || f.rt === 15 || f.rt2 === 15;

/** LDRD rt, rt2, [rn, #±imm·4], pre- or post-indexed: T32. */
export function loadDualT32(c: ArmContext, f: ImmediateForm & TwoRegisters): void {
  if (badDual(f)) return c.unpredictable();
  loadDual(c, f, immediatePlace(c, { ...f, imm: f.imm * 4 }));
}

/** STRD rt, rt2, [rn, #±imm·4], pre- or post-indexed: T32. */
export function storeDualT32(c: ArmContext, f: ImmediateForm & TwoRegisters): void {
  if (badDual(f)) return c.unpredictable();
  storeDual(c, f, immediatePlace(c, { ...f, imm: f.imm * 4 }));
}

type Dual = (c: ArmContext, f: Indexing & TwoRegisters, place: Place) => void;

/** The A32 form names rt only, which is even and not R14; post-indexed with w is UNPREDICTABLE. */
function dualA32<F extends Indexing & OneRegister>(act: Dual, place: (c: ArmContext, f: F) => Place) {
  return (c: ArmContext, f: F): void => {
    if (badBase(f) || (f.rt & 1) !== 0 || f.rt === 14 || (f.p === 0 && f.w === 1)) return c.unpredictable();
    act(c, { p: f.p, u: f.u, w: f.w, rn: f.rn, rt: f.rt, rt2: f.rt + 1 }, place(c, f));
  };
}

/** LDRD rt, [rn, #±imm], pre- or post-indexed */
export const loadDualImmediate = dualA32<ImmediateForm & OneRegister>(loadDual, immediatePlace);
/** LDRD rt, [rn, ±rm], pre- or post-indexed */
export const loadDualRegister = dualA32<RegisterForm & OneRegister>(loadDual, registerPlace);
/** STRD rt, [rn, #±imm], pre- or post-indexed */
export const storeDualImmediate = dualA32<ImmediateForm & OneRegister>(storeDual, immediatePlace);
/** STRD rt, [rn, ±rm], pre- or post-indexed */
export const storeDualRegister = dualA32<RegisterForm & OneRegister>(storeDual, registerPlace);

/** PLD, PLDW, PLI and the unallocated memory hints */
export function preload(): void {}

/** PLD, PLDW (r 0): the latter came with the multiprocessing extensions. */
export function preloadA32(c: ArmContext, f: { readonly r: number }): void {
  if (!f.r) c.require(Feature.mp);
}
