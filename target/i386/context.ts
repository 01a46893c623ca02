import type { Builder, Value } from '#tcg/builder.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import { Op } from '#tcg/ops.ts';
import type { CodeReader } from '#tcg/target.ts';
import type { CpuModel } from './cpu-models.ts';
import { Cond, Flags } from './flags.ts';
import type { Insn } from './insn.ts';
import { Mode } from './modes.ts';
import { Method, type Operand, sizeA, sizeP, sizeV } from './operand.ts';
import type { TableLoad } from './pic.ts';
import { i386State, Reg, Seg, slotBase, slotR, slotSegment, slotSt, slotXmm, Vector } from './state.ts';
import { accessBytes, checkAccess } from './strict.ts';

/**
 * What translate functions get: the builder, the instruction's operands as IR values, the flags, and the ways to go on
 * elsewhere.
 *
 * An instruction that faults has changed nothing: what may fault (loads, stores, `raiseIf`) comes before registers and
 * flags are written.
 */
export class X86Context {
  readonly model: CpuModel;
  readonly b: Builder;
  readonly code: CodeReader;
  readonly flags: Flags;
  /** The instruction being translated. */
  readonly insn: Insn;
  /** `Target.mode` of the block. */
  readonly mode: number;
  /** The block may run on past a branch that is not taken. */
  private readonly extended: boolean;
  private readonly isLeader: ((pc: number) => boolean) | undefined;
  /** The last load that may be one from a jump table. */
  table: TableLoad | undefined = undefined;
  /** The instruction ended the block. */
  ended = false;
  /** The memory operand's address without `addressOffset`, −1 while it has not been computed. */
  private addressValue: Value = -1;
  private addressOffset = 0;
  /** Bytes that the memory operand was moved by, −1 for none. */
  private movedBy: Value = -1;
  /** A value and its highest unsigned value from here on, known from a branch not taken. */
  private boundedValue: Value = -1;
  private bound = 0;

  constructor(
    model: CpuModel,
    insn: Insn,
    b: Builder,
    code: CodeReader,
    mode: number,
    extended: boolean,
    isLeader: ((pc: number) => boolean) | undefined,
  ) {
    this.model = model;
    this.insn = insn;
    this.b = b;
    this.code = code;
    this.mode = mode;
    this.extended = extended;
    this.isLeader = isLeader;
    this.flags = new Flags(b);
  }

  /** Starts the instruction that `insn` holds. */
  start(): void {
    this.ended = false;
    this.addressValue = -1;
    this.movedBy = -1;
  }

  /** Address of this and of the next instruction. */
  get pc(): number {
    return this.insn.pc | 0;
  }

  get nextPc(): number {
    return (this.insn.pc + this.insn.length) | 0;
  }

  /** Is EFLAGS.TF set? */
  get isStepping(): boolean {
    return (this.mode & Mode.step) !== 0;
  }

  /** Are segments and alignment to be checked? */
  get isStrict(): boolean {
    return (this.mode & Mode.strict) !== 0;
  }

  /** Begins an instruction under TF: raises the exception of the one before it. */
  step(): void {
    const { b } = this;
    b.if(b.get32(slotStepped));
    this.setStepped(0);
    b.exit(ExitReason.exception, this.pc, singleStep);
    b.endif();
    this.setStepped(1);
  }

  /** 0: this instruction is followed by no debug exception. */
  setStepped(stepped: number): void {
    this.b.set32(slotStepped, this.b.i32(stepped));
  }

  // ---- operands

  operand(n: number): Operand {
    return this.insn.bits.operands[n]!;
  }

  /** Bytes of operand n; 0 if the instruction alone knows. */
  size(n: number): number {
    const { size } = this.operand(n);
    if (size >= 0) return size;
    const { operandBytes } = this.insn;
    if (size === sizeV) return operandBytes;
    return size === sizeP ? operandBytes + 2 : size === sizeA ? 2 * operandBytes : size;
  }

  /** Number of the register operand n is (general, segment, control, XMM, MMX or x87 register), −1 if it is none. */
  register(n: number): number {
    const { insn } = this;
    const { method, number } = this.operand(n);
    switch (method) {
      case Method.Z:
        return insn.opcode & 7;
      case Method.G:
      case Method.S:
      case Method.C:
      case Method.D:
      case Method.V:
      case Method.P:
        return insn.reg;
      case Method.E:
      case Method.W:
      case Method.Q:
        return insn.isMemory ? -1 : insn.rm;
      case Method.B:
        return insn.vvvv & 7;
      case Method.R:
      case Method.U:
      case Method.N:
      case Method.sti:
        return insn.rm;
      case Method.reg:
      case Method.segment:
      case Method.st0:
        return number;
      default:
        return -1;
    }
  }

  isMemory(n: number): boolean {
    const { method } = this.operand(n);
    return method === Method.O || method === Method.M || (this.register(n) < 0 && !this.isImmediate(n));
  }

  isImmediate(n: number): boolean {
    const { method } = this.operand(n);
    return method === Method.I || method === Method.Is || method === Method.constant;
  }

  /** The value of immediate operand n, sign-extended. Of two immediates this is the last. */
  immediate(n: number): number {
    const { method, number } = this.operand(n);
    return method === Method.constant ? number : this.insn.immediate;
  }

  /** General operand n of 1, 2 or 4 bytes, sign-extended. */
  load(n: number): Value {
    const { b } = this;
    if (this.isImmediate(n)) return b.i32(this.immediate(n));
    const number = this.register(n);
    const bytes = this.size(n);
    if (number >= 0) return this.signed(this.getRegister(number, bytes), bytes);
    return this.loadMemory(signedLoads[bytes]!);
  }

  /** The same, zero-extended. */
  loadUnsigned(n: number): Value {
    const { b } = this;
    const bytes = this.size(n);
    if (this.isImmediate(n)) return b.i32(bytes === 1 ? this.immediate(n) & 0xff : this.immediate(n));
    const number = this.register(n);
    if (number >= 0) return this.unsigned(this.getRegister(number, bytes), bytes);
    return this.loadMemory(loads[bytes]!);
  }

  /** The same with anything in the bits above the operand's: for moves. */
  loadAny(n: number): Value {
    const number = this.register(n);
    return number >= 0 ? this.getRegister(number, this.size(n)) : this.loadUnsigned(n);
  }

  /** Stores the low bits of `value` in operand n of 1, 2 or 4 bytes. */
  store(n: number, value: Value): void {
    const number = this.register(n);
    const bytes = this.size(n);
    if (number >= 0) this.setRegister(number, bytes, value);
    else this.storeMemory(stores[bytes]!, value);
  }

  /**
   * Replaces operand n by the low bits of `change` of it (both 32 bits wide; the old value sign-extended), atomically if
   * the instruction is locked. `finish` then sets flags and registers from the old value and what `change` gave.
   */
  update(n: number, change: (old: Value) => Value, finish: (old: Value, changed: Value) => void): void {
    const bytes = this.size(n);
    const old = this.load(n);
    const changed = change(old);
    if (this.insn.lock) this.exchangeIf(bytes, this.unsigned(old, bytes), this.unsigned(changed, bytes));
    else this.store(n, changed);
    finish(old, changed);
  }

  /**
   * Stores `replacement` where the memory operand still is `expected` (both zero-extended), else starts the instruction
   * again. An access that crosses its size cannot be atomic here.
   */
  exchangeIf(bytes: number, expected: Value, replacement: Value): void {
    const { b } = this;
    this.checkMemory(bytes, true);
    const address = this.address();
    if (bytes > 1) b.if(b.eqz(b.andImm(address, bytes - 1)));
    const seen = b.cmpxchg(exchanges[bytes]!, address, expected, replacement);
    b.if(b.bin(bytes === 8 ? Op.ne_i64 : Op.ne_i32, seen, expected));
    b.jump(this.pc);
    b.endif();
    if (bytes === 1) return;
    b.else();
    this.storeMemory(stores[bytes]!, replacement);
    b.endif();
  }

  // ---- general registers

  /** General register `number` as the instruction encodes it for `bytes` (1: AL…BH), other bits above them. */
  getRegister(number: number, bytes: number): Value {
    const { b } = this;
    if (bytes === 1 && number >= 4) return b.shrUImm(b.get32(slotR(number - 4)), 8);
    return b.get32(slotR(number));
  }

  setRegister(number: number, bytes: number, value: Value): void {
    const { b } = this;
    if (bytes === 4) {
      b.set32(slotR(number), value);
      return;
    }
    const high = bytes === 1 && number >= 4;
    const slot = slotR(high ? number - 4 : number);
    const mask = bytes === 2 ? 0xffff : 0xff;
    const part = high ? b.shlImm(b.andImm(value, mask), 8) : b.andImm(value, mask);
    b.set32(slot, b.or(b.andImm(b.get32(slot), high ? ~0xff00 : ~mask), part));
  }

  /** 32-bit register n. */
  reg(n: number): Value {
    return this.b.get32(slotR(n));
  }

  setReg(n: number, value: Value): void {
    this.b.set32(slotR(n), value);
  }

  /** The low `bytes` of a value, sign-extended. */
  signed(value: Value, bytes: number): Value {
    if (bytes === 4) return value;
    return this.b.un(bytes === 1 ? Op.extend8_s_i32 : Op.extend16_s_i32, value);
  }

  /** The same, zero-extended. */
  unsigned(value: Value, bytes: number): Value {
    return bytes === 4 ? value : this.b.andImm(value, bytes === 1 ? 0xff : 0xffff);
  }

  // ---- memory

  /** The memory operand's address. */
  address(): Value {
    this.computeAddress();
    return this.b.addImm(this.addressValue, this.addressOffset);
  }

  /** What LEA gives: the address without the segment's base. */
  effectiveAddress(): Value {
    const { b, insn } = this;
    const { base, index, scale, displacement, addressBytes } = insn;
    let sum = base < 0 ? -1 : this.reg(base);
    if (index >= 0) {
      const scaled = b.shlImm(this.reg(index), scale);
      sum = sum < 0 ? scaled : b.add(sum, scaled);
    }
    const address = sum < 0 ? b.i32(displacement) : b.addImm(sum, displacement);
    return addressBytes === 2 ? b.andImm(address, 0xffff) : address;
  }

  private computeAddress(): void {
    if (this.addressValue >= 0) return;
    const { insn } = this;
    const { displacement, addressBytes } = insn;
    const near =
      addressBytes === 4 && displacement > 0 && displacement <= maxOffset && (insn.base >= 0 || insn.index >= 0);
    if (near) insn.displacement = 0;
    this.addressOffset = near ? displacement : 0;
    this.addressValue = this.withBase(this.effectiveAddress());
    if (near) insn.displacement = displacement;
  }

  /** The segment of the memory operand: that of the prefix, or SS with a base of ESP or EBP, or DS. */
  private get operandSegment(): number {
    const { segment, base, isMemory } = this.insn;
    if (segment >= 0) return segment;
    return isMemory && (base === Reg.esp || base === Reg.ebp) ? Seg.ss : Seg.ds;
  }

  /** A linear address from an offset in the segment of the memory operand; only FS and GS are not flat, mostly. */
  withBase(offset: Value, segment = this.operandSegment): Value {
    const { b } = this;
    // It is empty in all programs but few, whose accesses are few.
    if (segment === Seg.fs && !this.isStrict) {
      this.raiseIf(b.eqz(b.andImm(b.get32(slotSegment(segment)), 0xfffc)), Vector.protection);
    }
    const based = segment === Seg.fs || segment === Seg.gs || this.isStrict;
    return based ? b.add(b.get32(slotBase(segment)), offset) : offset;
  }

  /** A linear address for an access of `bytes` at an offset in a segment, whose limit is checked. */
  linear(segment: number, offset: Value, bytes: number, write: boolean): Value {
    if (this.isStrict) checkAccess(this, segment, offset, bytes, write);
    return this.withBase(offset, segment);
  }

  /** Checks an access of `bytes`, `plus` after the memory operand's start, against its segment. */
  private checkMemory(bytes: number, write: boolean, plus = 0): void {
    if (this.isStrict) {
      const start = this.effectiveAddress();
      const offset = this.b.addImm(this.movedBy < 0 ? start : this.b.add(start, this.movedBy), plus);
      checkAccess(this, this.operandSegment, offset, bytes, write);
    } else if (write && this.insn.segment === Seg.cs) this.raiseIf(this.b.i32(1), Vector.protection);
  }

  /** Moves the memory operand by `bytes`. */
  addToAddress(bytes: Value): void {
    const { b, insn } = this;
    const offset = b.add(this.effectiveAddress(), bytes);
    this.addressValue = this.withBase(insn.addressBytes === 2 ? b.andImm(offset, 0xffff) : offset);
    this.addressOffset = 0;
    this.movedBy = bytes;
  }

  /** Loads the memory operand, or what is `plus` bytes after its start, with a load op. */
  loadMemory(op: number, plus = 0): Value {
    this.checkMemory(accessBytes(op), false, plus);
    this.computeAddress();
    return this.b.load(op, this.addressValue, this.addressOffset + plus);
  }

  /** Stores into the memory operand, or `plus` bytes after its start, with a store op. */
  storeMemory(op: number, value: Value, plus = 0): void {
    this.checkMemory(accessBytes(op), true, plus);
    this.computeAddress();
    this.b.store(op, this.addressValue, value, this.addressOffset + plus);
  }

  /** Faults now if the memory operand's first `bytes` refuse `access` (1 read, 2 write, 3 both). */
  probeMemory(bytes: number, access: number): void {
    this.checkMemory(bytes, (access & 2) !== 0);
    this.b.probe(this.address(), bytes, access);
  }

  // ---- vector and x87 registers

  getXmm(n: number): Value {
    return this.b.get('v128', slotXmm(n));
  }

  setXmm(n: number, value: Value): void {
    this.b.set('v128', slotXmm(n), value);
  }

  /**
   * Lane `lane` of XMM register n. XMM registers are never accessed in parts: a slot with accesses of several sizes
   * could not live in a local. What was put into the lane in this block is taken from there.
   */
  getLane(type: LaneType, n: number, lane: number): Value {
    const { b } = this;
    const { block } = b;
    const { bytes, extract, other } = lanesOf[type];
    let from = this.getXmm(n);
    for (;;) {
      const inserted = laneOfReplace[block.op[from]!];
      if (inserted === undefined) break;
      if (inserted === type || inserted === other) {
        if (block.x[from] === lane) return this.reinterpreted(block.b[from]!, inserted, type);
      } else if (overlap(lanesOf[inserted].bytes, block.x[from]!, bytes, lane)) break;
      from = block.a[from]!;
    }
    return b.emit(extract, from, -1, -1, lane);
  }

  /** Writes it, and leaves the others. */
  setLane(type: LaneType, n: number, lane: number, value: Value): void {
    const { b } = this;
    const { replace, other } = lanesOf[type];
    const old = this.getXmm(n);
    const inserted = laneOfReplace[b.block.op[old]!];
    const covered = (inserted === type || inserted === other) && b.block.x[old] === lane;
    this.setXmm(n, b.emit(replace, covered ? b.block.a[old]! : old, value, -1, lane));
  }

  private reinterpreted(value: Value, from: LaneType, to: LaneType): Value {
    return from === to ? value : this.b.un(lanesOf[to].reinterpret, value);
  }

  /** MMX register n, as i64. */
  getMmx(n: number): Value {
    return this.b.get('i64', slotSt(n));
  }

  setMmx(n: number, value: Value): void {
    this.b.set('i64', slotSt(n), value);
  }

  // ---- stack

  /** Pushes the low `bytes` (2 or 4) of a value. */
  push(value: Value, bytes = 4): void {
    const { b } = this;
    const top = b.addImm(this.reg(Reg.esp), -bytes);
    b.store(stores[bytes]!, this.linear(Seg.ss, top, bytes, true), value);
    this.setReg(Reg.esp, top);
  }

  /** What is on top of the stack, sign-extended; ESP stays. */
  peek(bytes = 4): Value {
    return this.b.load(signedLoads[bytes]!, this.linear(Seg.ss, this.reg(Reg.esp), bytes, false));
  }

  /** Adds to ESP. */
  adjustStack(bytes: number): void {
    this.setReg(Reg.esp, this.b.addImm(this.reg(Reg.esp), bytes));
  }

  // ---- leaving the straight line

  /** Goes on at a constant address. */
  jump(target: number): void {
    this.ended = true;
    this.b.jump(target);
  }

  jumpIndirect(target: Value): void {
    this.ended = true;
    this.b.jumpIndirect(target);
  }

  /** Goes on at `target` if `condition` is not 0, else at the next instruction; `otherwise` is the condition code there. */
  branch(condition: Value, target: number, otherwise = -1): void {
    const { b } = this;
    if (!this.extended || b.isConst(condition) || this.isLeader?.(this.nextPc) === true) {
      this.ended = true;
      b.branch(condition, target, this.nextPc);
      return;
    }
    b.if(condition);
    b.jump(target);
    b.endif();
    if (otherwise >= 0) this.assume(otherwise);
  }

  /** Notes what a branch not taken says about the comparison before it. */
  private assume(cond: number): void {
    const value = this.flags.compared;
    const bound = this.flags.boundUnder(cond, value);
    if (bound < 0) return;
    this.boundedValue = value;
    this.bound = bound;
  }

  /** The highest unsigned value 32-bit register n can have here, known from a branch not taken before; −1 if unknown. */
  boundOf(n: number): number {
    const value = this.b.known32(slotR(n));
    if (value < 0 || this.boundedValue < 0) return -1;
    return value === this.boundedValue || this.isByteOf(value, this.boundedValue) ? this.bound : -1;
  }

  /** Is `value` a byte with zeros above it, and `compared` the same byte sign-extended? */
  private isByteOf(value: Value, compared: Value): boolean {
    const { op, a, b: right } = this.b.block;
    if (op[compared] !== Op.extend8_s_i32 || a[compared] !== value) return false;
    if (op[value] === Op.load8_u) return true;
    return op[value] === Op.and_i32 && this.b.isConst(right[value]!) && this.b.constOf(right[value]!) === 0xff;
  }

  /** Leaves generated code with `pc` as the PC. */
  exit(reason: ExitReason, pc: number, argument = 0): void {
    this.ended = true;
    this.b.exit(reason, pc, argument);
  }

  /** Raises an exception at this instruction. `errorCode` is what the CPU pushes for the vectors that have one. */
  raise(vector: number, errorCode = 0): void {
    this.exit(ExitReason.exception, this.pc, vector | (errorCode << 8));
  }

  /** Raises an exception if `condition` is not 0. */
  raiseIf(condition: Value, vector: number): void {
    const { b } = this;
    b.if(condition);
    b.exit(ExitReason.exception, this.pc, vector);
    b.endif();
  }

  /** Raises the exception in `value` (vector, error code from bit 8 on) if it is not 0. */
  raiseValue(value: Value): void {
    const { b } = this;
    b.if(value);
    b.exitWith(ExitReason.exception, this.pc, value);
    b.endif();
  }

  /** #UD. */
  undefined(): void {
    this.exit(ExitReason.undefined, this.pc, this.insn.opcode);
  }

  /** #GP(0): what user mode may not do. */
  protectionFault(): void {
    this.raise(Vector.protection);
  }

  /** A byte of the instruction at `address` cannot be fetched. */
  fetchFault(address: number): void {
    this.b.set32(cpuHeader.offset('faultAddress'), this.b.i32(address));
    this.exit(ExitReason.fetchFault, this.pc);
  }
}

export type LaneType = 'i32' | 'i64' | 'f32' | 'f64';

/** By type: `other` is the type of the same size, `reinterpret` makes this one of it. */
const lanesOf: Readonly<
  Record<LaneType, { bytes: number; extract: number; replace: number; other: LaneType; reinterpret: number }>
> = {
  i32: {
    bytes: 4,
    extract: Op.extract_lane_i32x4,
    replace: Op.replace_lane_i32x4,
    other: 'f32',
    reinterpret: Op.bits_f32,
  },
  i64: {
    bytes: 8,
    extract: Op.extract_lane_i64x2,
    replace: Op.replace_lane_i64x2,
    other: 'f64',
    reinterpret: Op.bits_f64,
  },
  f32: {
    bytes: 4,
    extract: Op.extract_lane_f32x4,
    replace: Op.replace_lane_f32x4,
    other: 'i32',
    reinterpret: Op.from_bits_f32,
  },
  f64: {
    bytes: 8,
    extract: Op.extract_lane_f64x2,
    replace: Op.replace_lane_f64x2,
    other: 'i64',
    reinterpret: Op.from_bits_f64,
  },
};

const laneOfReplace: Readonly<Record<number, LaneType | undefined>> = {
  [Op.replace_lane_i32x4]: 'i32',
  [Op.replace_lane_i64x2]: 'i64',
  [Op.replace_lane_f32x4]: 'f32',
  [Op.replace_lane_f64x2]: 'f64',
};

/** Do lane m of `size` bytes and lane n of `bytes` have bytes in common? */
const overlap = (size: number, m: number, bytes: number, n: number): boolean =>
  size * m < bytes * (n + 1) && bytes * n < size * (m + 1);

const slotStepped = i386State.offset('stepped');
/** DR6.BS as the error code of a debug exception. */
export const singleStep: number = Vector.debug | (0x4000 << 8);

/** By size in bytes. */
const exchanges = [-1, Op.cmpxchg8, Op.cmpxchg16, -1, Op.cmpxchg_i32, -1, -1, -1, Op.cmpxchg_i64];
const stores = [-1, Op.store8, Op.store16, -1, Op.store_i32, -1, -1, -1, Op.store_i64];
const loads = [-1, Op.load8_u, Op.load16_u, -1, Op.load_i32];
const signedLoads = [-1, Op.load8_s, Op.load16_s, -1, Op.load_i32];

/** The highest displacement that goes into a load's own offset, so that all parts of an operand fit in. */
const maxOffset = 4095 - 512;

export { Cond, Op, Reg };
