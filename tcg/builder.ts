import { cpuAreaBytes, type ExitReason } from './cpu-page.ts';
import { createBlock, type IrBlock, irError } from './ir.ts';
import { Action, actions, commutes, resultType, slotBytes, TypeCode } from './op-tables.ts';
import { Op, opDefs, type ValueType } from './ops.ts';

/** A value: the index of the op that made it. */
export type Value = number;

/** Ops a block may hold; the translation loop ends a block well before. */
const blockCapacity = 8192;
/** Ops after which `full` asks the translation loop to end the block. */
const blockSoftLimit = 4096;

/**
 * Builds one `IrBlock` at a time, reusing its arrays. Folds i32 constants and forwards state slots as it goes: a `get`
 * after a `set` or `get` of the same slot is the value already known.
 */
export class Builder {
  readonly block: IrBlock = createBlock(blockCapacity);
  /** Value known to be in each 4-byte state cell (its first cell for wider slots), -1 if unknown. */
  private readonly cellValue = new Int32Array(cpuAreaBytes / 16).fill(-1);
  /** Op index at which the association was made. */
  private readonly cellStamp = new Int32Array(cpuAreaBytes / 16);
  /** Bytes of the slot the cell's value belongs to; only the first cell has a value. */
  private readonly cellBytes = new Uint8Array(cpuAreaBytes / 16);
  private readonly touched: number[] = [];
  /** Op indices of the `if`s open now. */
  private readonly openIfs: number[] = [];

  /** Starts a block at guest `pc`. */
  begin(pc: number): void {
    const block = this.block;
    block.pc = pc;
    block.length = 0;
    block.instructions = 0;
    block.tables = [];
    this.openIfs.length = 0;
    for (const cell of this.touched) this.cellValue[cell] = -1;
    this.touched.length = 0;
  }

  get full(): boolean {
    return this.block.length > blockSoftLimit;
  }

  /** Appends an op as it is. */
  emit(op: number, a = -1, b = -1, c = -1, x = 0, y = 0, z = 0, w = 0): Value {
    const block = this.block;
    const i = block.length;
    if (i >= blockCapacity) throw new Error('IR block overflow: the translation loop must stop at Builder.full');
    block.op[i] = op;
    block.a[i] = a;
    block.b[i] = b;
    block.c[i] = c;
    block.x[i] = x;
    block.y[i] = y;
    block.z[i] = z;
    block.w[i] = w;
    block.length = i + 1;
    return i;
  }

  // ---- constants

  i32(value: number): Value {
    return this.emit(Op.const_i32, -1, -1, -1, value | 0);
  }

  /** Low and high 32 bits. */
  i64(low: number, high: number): Value {
    return this.emit(Op.const_i64, -1, -1, -1, low | 0, high | 0);
  }

  f32Bits(bits: number): Value {
    return this.emit(Op.const_f32, -1, -1, -1, bits | 0);
  }

  f64Bits(low: number, high: number): Value {
    return this.emit(Op.const_f64, -1, -1, -1, low | 0, high | 0);
  }

  /** Four 32-bit words, lowest first. */
  v128(word0: number, word1: number, word2: number, word3: number): Value {
    return this.emit(Op.const_v128, -1, -1, -1, word1 | 0, word2 | 0, word0 | 0, word3 | 0);
  }

  isConst(value: Value): boolean {
    return this.block.op[value] === Op.const_i32;
  }

  /** The constant of a `const_i32` value. */
  constOf(value: Value): number {
    return this.block.x[value]!;
  }

  // ---- generic pure ops, folded where all operands are i32 constants

  un(op: number, a: Value): Value {
    const fold = opDefs[op]!.fold;
    if (fold && this.isConst(a)) {
      const folded = fold(this.constOf(a), 0, 0);
      if (folded !== undefined) return this.i32(folded);
    }
    return this.emit(op, a);
  }

  bin(op: number, a: Value, b: Value): Value {
    const { op: ops, x } = this.block;
    if (ops[b] === Op.const_i32) {
      const folded = ops[a] === Op.const_i32 ? opDefs[op]!.fold?.(x[a]!, x[b]!, 0) : undefined;
      if (folded !== undefined) return this.i32(folded);
      const simpler = this.identity(op, a, x[b]!);
      return simpler >= 0 ? simpler : this.emit(op, a, b);
    }
    if (ops[a] === Op.const_i32 && commutes[op] === 1) return this.bin(op, b, a);
    return this.emit(op, a, b);
  }

  /** a where `a op constant` is a; a constant where it is one; -1 otherwise. i32 ops only. */
  private identity(op: number, a: Value, constant: number): Value {
    switch (op) {
      case Op.add_i32:
      case Op.sub_i32:
      case Op.or_i32:
      case Op.xor_i32:
      case Op.shl_i32:
      case Op.shr_s_i32:
      case Op.shr_u_i32:
      case Op.rotl_i32:
      case Op.rotr_i32:
        return constant === 0 ? a : -1;
      case Op.and_i32:
        if (constant === -1) return a;
        return constant === 0 ? this.i32(0) : -1;
      case Op.mul_i32:
        return constant === 1 ? a : -1;
      default:
        return -1;
    }
  }

  tri(op: number, a: Value, b: Value, c: Value): Value {
    return this.emit(op, a, b, c);
  }

  add(a: Value, b: Value): Value {
    return this.bin(Op.add_i32, a, b);
  }
  sub(a: Value, b: Value): Value {
    return this.bin(Op.sub_i32, a, b);
  }
  mul(a: Value, b: Value): Value {
    return this.bin(Op.mul_i32, a, b);
  }
  and(a: Value, b: Value): Value {
    return this.bin(Op.and_i32, a, b);
  }
  or(a: Value, b: Value): Value {
    return this.bin(Op.or_i32, a, b);
  }
  xor(a: Value, b: Value): Value {
    return this.bin(Op.xor_i32, a, b);
  }
  not(a: Value): Value {
    return this.bin(Op.xor_i32, a, this.i32(-1));
  }
  shl(a: Value, b: Value): Value {
    return this.bin(Op.shl_i32, a, b);
  }
  shrU(a: Value, b: Value): Value {
    return this.bin(Op.shr_u_i32, a, b);
  }
  shrS(a: Value, b: Value): Value {
    return this.bin(Op.shr_s_i32, a, b);
  }
  rotr(a: Value, b: Value): Value {
    return this.bin(Op.rotr_i32, a, b);
  }
  addImm(a: Value, constant: number): Value {
    return this.bin(Op.add_i32, a, this.i32(constant));
  }
  andImm(a: Value, constant: number): Value {
    return this.bin(Op.and_i32, a, this.i32(constant));
  }
  shlImm(a: Value, amount: number): Value {
    return this.bin(Op.shl_i32, a, this.i32(amount));
  }
  shrUImm(a: Value, amount: number): Value {
    return this.bin(Op.shr_u_i32, a, this.i32(amount));
  }
  shrSImm(a: Value, amount: number): Value {
    return this.bin(Op.shr_s_i32, a, this.i32(amount));
  }
  rotrImm(a: Value, amount: number): Value {
    return this.bin(Op.rotr_i32, a, this.i32(amount));
  }
  eqz(a: Value): Value {
    return this.un(Op.eqz_i32, a);
  }
  /** condition ≠ 0 ? a : b, i32. */
  select(condition: Value, a: Value, b: Value): Value {
    if (this.isConst(condition)) return this.constOf(condition) ? a : b;
    if (a === b) return a;
    return this.emit(Op.select_i32, a, b, condition);
  }

  // ---- state slots

  /** Reads the slot of `type` at byte `offset` of the CPU page. */
  get(type: ValueType, offset: number): Value {
    return this.getSlot(getOps[type], offset);
  }

  set(type: ValueType, offset: number, value: Value): void {
    this.setSlot(setOps[type], offset, value);
  }

  get32(offset: number): Value {
    return this.getSlot(Op.get_i32, offset);
  }

  set32(offset: number, value: Value): void {
    this.setSlot(Op.set_i32, offset, value);
  }

  private getSlot(op: number, offset: number): Value {
    const cell = offset >> 2;
    const bytes = slotBytes[op]!;
    const known = this.cellValue[cell]!;
    if (known >= 0 && this.cellBytes[cell] === bytes && resultType[this.block.op[known]!] === resultType[op])
      return known;
    const value = this.emit(op, -1, -1, -1, offset);
    // A cell inside a wider known slot keeps its owner: forgetting it here would lose nothing but the forwarding.
    this.forget(offset, bytes);
    this.know(cell, value, bytes);
    return value;
  }

  private setSlot(op: number, offset: number, value: Value): void {
    const bytes = slotBytes[op]!;
    this.emit(op, value, -1, -1, offset);
    this.forget(offset, bytes);
    this.know(offset >> 2, value, bytes);
  }

  /** The value the i32 slot at `offset` is known to hold here, or -1. */
  known32(offset: number): Value {
    const cell = offset >> 2;
    const known = this.cellValue[cell]!;
    if (known < 0 || this.cellBytes[cell] !== 4) return -1;
    return resultType[this.block.op[known]!] === TypeCode.i32 ? known : -1;
  }

  private know(cell: number, value: Value, bytes: number): void {
    this.cellValue[cell] = value;
    this.cellBytes[cell] = bytes;
    this.cellStamp[cell] = this.block.length;
    this.touched.push(cell);
  }

  /** Forgets every known slot that overlaps [offset, offset + bytes). */
  private forget(offset: number, bytes: number): void {
    const first = offset >> 2;
    const last = (offset + bytes - 1) >> 2;
    for (let cell = Math.max(0, first - 3); cell <= last; cell++) {
      if (this.cellValue[cell]! < 0) continue;
      const end = cell * 4 + this.cellBytes[cell]!;
      if (end > offset) this.cellValue[cell] = -1;
    }
  }

  /** Forgets everything learnt since op `since`, where control paths meet. */
  private forgetSince(since: number): void {
    for (const cell of this.touched) if (this.cellStamp[cell]! > since) this.cellValue[cell] = -1;
  }

  /** Forgets all slots: after a helper that may write any of them. */
  forgetAll(): void {
    for (const cell of this.touched) this.cellValue[cell] = -1;
    if (this.openIfs.length === 0) this.touched.length = 0;
  }

  // ---- structure

  /**
   * Opens a body that runs if `condition` ≠ 0. Values defined in it must not be used after `endif`; what it computes
   * goes through state slots, read again afterwards.
   */
  if(condition: Value): void {
    this.openIfs.push(this.emit(Op.if, condition));
  }

  else(): void {
    const since = this.openIfs.at(-1);
    if (since === undefined) irError(this.block, this.block.length, 'else without if');
    this.emit(Op.else);
    this.forgetSince(since);
  }

  endif(): void {
    const since = this.openIfs.pop();
    if (since === undefined) irError(this.block, this.block.length, 'endif without if');
    this.emit(Op.endif);
    this.forgetSince(since);
  }

  // ---- guest memory

  /** `op` is one of the load ops; the address is a + offset (0…4095). */
  load(op: number, address: Value, offset = 0, flags = 0): Value {
    return this.emit(op, address, -1, -1, offset, flags);
  }

  store(op: number, address: Value, value: Value, offset = 0, flags = 0): void {
    this.emit(op, address, value, -1, offset, flags);
  }

  /** Faults now if any byte of [address, address + bytes) refuses `access` (1 read, 2 write, 3 both). */
  probe(address: Value, bytes: number, access: number): void {
    this.emit(Op.probe, address, -1, -1, bytes, access);
  }

  /** `op`: a cmpxchg op. Returns what memory held. */
  cmpxchg(op: number, address: Value, expected: Value, replacement: Value): Value {
    return this.emit(op, address, expected, replacement);
  }

  // ---- helpers and terminals

  /** Calls helper `index` of `Target.helpers`; all known slots are forgotten unless it is pure. */
  helper(index: number, pure: boolean, ...args: Value[]): Value {
    const op = helperOps[args.length];
    if (op === undefined) throw new Error('a helper takes at most three operands');
    const value = this.emit(op, args[0] ?? -1, args[1] ?? -1, args[2] ?? -1, index);
    if (!pure) this.forgetAll();
    return value;
  }

  insn(pc: number, aux = 0): void {
    this.emit(Op.insn, -1, -1, -1, pc | 0, aux);
    this.block.instructions++;
  }

  jump(pc: number): void {
    this.emit(Op.jump, -1, -1, -1, pc | 0);
  }

  branch(condition: Value, taken: number, otherwise: number): void {
    if (this.isConst(condition)) {
      this.jump(this.constOf(condition) ? taken : otherwise);
      return;
    }
    this.emit(Op.branch, condition, -1, -1, taken | 0, otherwise | 0);
  }

  call(target: number, returnPc: number): void {
    this.emit(Op.call, -1, -1, -1, target | 0, returnPc | 0);
  }

  callIndirect(target: Value, returnPc: number): void {
    this.emit(Op.call_indirect, target, -1, -1, returnPc | 0);
  }

  return(target: Value): void {
    this.emit(Op.return, target);
  }

  jumpIndirect(target: Value): void {
    this.emit(Op.jump_indirect, target);
  }

  /** `targets`: guest PCs by index, `otherwise` for every index out of range. */
  switch(index: Value, targets: readonly number[], otherwise: number): void {
    this.block.tables.push(Int32Array.from([...targets, otherwise]));
    this.emit(Op.switch, index, -1, -1, this.block.tables.length - 1);
  }

  exit(reason: ExitReason, pc: number, argument = 0): void {
    this.exitWith(reason, pc, this.i32(argument));
  }

  /** The same with a value for its argument. */
  exitWith(reason: ExitReason, pc: number, argument: Value): void {
    this.emit(Op.exit, argument, -1, -1, reason, pc | 0);
  }

  /** True if the op emitted last ends the block (or the open `if` body). */
  get terminated(): boolean {
    const { block } = this;
    return block.length > 0 && actions[block.op[block.length - 1]!] === Action.terminal;
  }
}

const getOps: Record<ValueType, number> = {
  i32: Op.get_i32,
  i64: Op.get_i64,
  f32: Op.get_f32,
  f64: Op.get_f64,
  v128: Op.get_v128,
};
const setOps: Record<ValueType, number> = {
  i32: Op.set_i32,
  i64: Op.set_i64,
  f32: Op.set_f32,
  f64: Op.set_f64,
  v128: Op.set_v128,
};
const helperOps = [Op.helper0, Op.helper1, Op.helper2, Op.helper3];
