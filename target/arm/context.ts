import type { Builder, Value } from '#tcg/builder.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import { Op } from '#tcg/ops.ts';
import type { CodeReader } from '#tcg/target.ts';
import type { CpuModel } from './cpu-models.ts';
import { Cond, Flags } from './flags.ts';
import { ModeBits } from './mode-bits.ts';
import { armState, slotR } from './state.ts';
import type { SystemTranslation } from './system.ts';

/** How the instruction leaves the straight line; emitted when its translation is over. */
type Leave =
  | { readonly kind: 'none' }
  /** To a PC in the engine's encoding. `hint` return: to the caller, most likely. */
  | { readonly kind: 'jump'; readonly target: Value; readonly hint: 'jump' | 'return' }
  /** To `target` if `condition` is not 0, else to the next instruction, where then the ARM condition `otherwise` holds. */
  | { readonly kind: 'branch'; readonly condition: Value; readonly target: number; readonly otherwise: number }
  | { readonly kind: 'call'; readonly target: Value; readonly returnPc: number }
  | { readonly kind: 'switch'; readonly index: Value; readonly targets: readonly number[] }
  | { readonly kind: 'exit'; readonly reason: ExitReason; readonly pc: number; readonly argument: number };

const stay: Leave = { kind: 'none' };

/**
 * What translate functions get: the builder, the registers and flags as IR values, and the ways to write the PC.
 *
 * A PC in the engine's encoding is the address with the Thumb state in bit 0. PC writes and exits take effect when the
 * translate function has returned: the last one wins, except that `undefined()` always wins. Their values must be
 * defined outside any `if` the translate function opened. The instruction's condition is dealt with by the caller.
 */
export class ArmContext {
  readonly b: Builder;
  readonly code: CodeReader;
  readonly flags: Flags;
  readonly thumb: boolean;
  readonly model: CpuModel;
  /** CPSR.E: data accesses are big-endian. */
  readonly bigEndian: boolean;
  /** The block began inside an IT block: what it jumps to belongs to another mode. */
  private readonly leavesMode: boolean;
  /** FPSCR bits of the mode (`ModeBits.fpscr`), in place; 0 is the usual. */
  readonly fpscrMode: number;
  /** Machine mode. */
  readonly system: SystemTranslation | undefined;
  /** Address of the instruction being translated, its bytes (2 or 4) and encoding (T32: first halfword high). */
  pc = 0;
  size = 4;
  encoding = 0;
  /** Its condition, 14 for always. */
  cond: number = Cond.al;
  /** ITSTATE for it (0 outside IT blocks) and for the next one. */
  itstate = 0;
  nextItstate = 0;
  /** True where the instruction's condition is known to hold: inside an open `if` on it. */
  decided = false;
  /** The condition under which `setReg` must leave the register alone if 0; -1 none. */
  private selecting: Value = -1;
  private leave: Leave = stay;
  /** A value and its highest unsigned value from here on, known from a branch not taken. */
  private boundedValue: Value = -1;
  private bound = 0;
  /** Vectors of singles without denormals, made in this block. */
  private flushedVectors: Set<Value> | undefined;

  constructor(b: Builder, code: CodeReader, thumb: boolean, mode: number, model: CpuModel, system?: SystemTranslation) {
    this.model = model;
    this.b = b;
    this.code = code;
    this.flags = new Flags(b);
    this.thumb = thumb;
    this.system = system;
    this.bigEndian = (mode & ModeBits.bigEndian) !== 0;
    this.fpscrMode = mode & ModeBits.fpscr;
    this.nextItstate = mode & ModeBits.itstate;
    this.leavesMode = this.nextItstate !== 0;
  }

  // ---- registers

  /** Register n; R15 reads as the instruction's address + 8 (A32) or + 4 (T32). */
  reg(n: number): Value {
    return n === 15 ? this.b.i32(this.pcValue) : this.b.get32(slotR(n));
  }

  /** What R15 reads as. */
  get pcValue(): number {
    return (this.pc + (this.thumb ? 4 : 8)) | 0;
  }

  /** Align(PC, 4): the base of literal loads and ADR. */
  get pcAligned(): number {
    return this.pcValue & ~3;
  }

  /** As `reg`, but R15 reads as Align(PC, 4): the base register of loads and stores. */
  baseReg(n: number): Value {
    return n === 15 ? this.b.i32(this.pcAligned) : this.b.get32(slotR(n));
  }

  /** Writes register n. R15: `branchWritePC`. */
  setReg(n: number, value: Value): void {
    if (n === 15) {
      this.branchWritePC(value);
      return;
    }
    const { b, selecting } = this;
    b.set32(slotR(n), selecting >= 0 ? b.select(selecting, value, b.get32(slotR(n))) : value);
  }

  /** Inside an IT block: 16-bit data processing leaves the flags alone. */
  get inIt(): boolean {
    return this.itstate !== 0;
  }

  /** The PC of the next instruction in the engine's encoding. */
  get nextPc(): number {
    return (this.pc + this.size) | (this.thumb ? 1 : 0) | 0;
  }

  /** The PC of this instruction in the engine's encoding. */
  get currentPc(): number {
    return this.pc | (this.thumb ? 1 : 0) | 0;
  }

  // ---- conditions

  /** A value that is not 0 if and only if the condition holds. */
  condition(cond: number): Value {
    return cond >= Cond.al ? this.b.i32(1) : this.flags.condition(cond);
  }

  /** Sets Q where `saturated` is not 0; `saturated` must be 0 or 1. */
  setQ(saturated: Value): void {
    const { b } = this;
    const slot = armState.offset('qf');
    b.set32(slot, b.or(b.get32(slot), saturated));
  }

  // ---- PC writes (DDI 0406C A2.3.1)

  /** BranchWritePC: stays in this instruction set. */
  branchWritePC(value: Value, hint: 'jump' | 'return' = 'jump'): void {
    const { b } = this;
    this.setLeave({ kind: 'jump', target: this.thumb ? b.or(value, b.i32(1)) : b.andImm(value, ~3), hint });
  }

  /** BXWritePC: bit 0 selects the instruction set. */
  bxWritePC(value: Value, hint: 'jump' | 'return' = 'jump'): void {
    this.setLeave({ kind: 'jump', target: value, hint });
  }

  /** LoadWritePC. `hint` return: for loads from the stack. */
  loadWritePC(value: Value, hint: 'jump' | 'return' = 'jump'): void {
    this.bxWritePC(value, hint);
  }

  /** ALUWritePC: interworks in A32 only. */
  aluWritePC(value: Value, hint: 'jump' | 'return' = 'jump'): void {
    if (this.thumb) this.branchWritePC(value, hint);
    else this.bxWritePC(value, hint);
  }

  /** Jumps to a PC in the engine's encoding. */
  jump(pc: number): void {
    this.setLeave({ kind: 'jump', target: this.b.i32(pc), hint: 'jump' });
  }

  /** Branches to a PC in the engine's encoding under condition `cond`. For `own` rows. */
  branchIf(cond: number, target: number): void {
    if (cond >= Cond.al || this.decided) this.jump(target);
    else this.setLeave({ kind: 'branch', condition: this.condition(cond), target, otherwise: cond ^ 1 });
  }

  /** Branches to a PC in the engine's encoding if `condition` is not 0. For `own` rows. */
  branchOn(condition: Value, target: number): void {
    this.setLeave({ kind: 'branch', condition, target, otherwise: -1 });
  }

  /** Sets LR to the next instruction and calls a PC in the engine's encoding. */
  call(target: Value): void {
    const { b } = this;
    b.set32(slotR(14), b.i32(this.nextPc));
    this.setLeave({ kind: 'call', target, returnPc: this.nextPc });
  }

  /** Goes to `targets[index]` (engine's encoding); `index` must be bounded by `boundOf`. */
  switch(index: Value, targets: readonly number[]): void {
    this.setLeave({ kind: 'switch', index, targets });
  }

  /** Leaves generated code with `pc` (engine's encoding) as the place to go on. */
  exit(reason: ExitReason, pc: number, argument = 0): void {
    this.setLeave({ kind: 'exit', reason, pc, argument });
  }

  /** Undefined or unimplemented instruction: SIGILL. */
  undefined(): void {
    this.exit(ExitReason.undefined, this.currentPc, this.encoding);
  }

  /** UNPREDICTABLE by the manual, and here undefined, though other CPUs may do something. */
  unpredictable(): void {
    this.undefined();
  }

  /** Undefined on a CPU without a feature. */
  require(feature: number): void {
    if ((this.model.features & feature) === 0) this.undefined();
  }

  /** Ends the block here, within an IT block. */
  leaveInIt(): void {
    this.b.set32(armState.offset('itstate'), this.b.i32(this.nextItstate));
    this.b.exit(ExitReason.mode, this.nextPc);
  }

  private setLeave(leave: Leave): void {
    if (this.leave.kind === 'exit' && this.leave.reason === ExitReason.undefined) return;
    this.leave = leave;
  }

  // ---- jump tables

  /**
   * The highest unsigned value register n can have here, known from a comparison with a constant under this
   * instruction's condition or from the branch not taken before; -1 if nothing is known.
   */
  boundOf(n: number): number {
    const value = this.b.known32(slotR(n));
    if (value < 0) return -1;
    const bound = this.flags.boundUnder(this.cond, value);
    if (bound >= 0) return bound;
    return value === this.boundedValue ? this.bound : -1;
  }

  /**
   * The entries of a jump table in constant memory, or undefined if it cannot be read while translating. `bytes` per
   * entry: 1, 2 (unsigned) or 4.
   */
  readTable(address: number, entries: number, bytes: 1 | 2 | 4): number[] | undefined {
    const { code } = this;
    if (entries > maxTableEntries || !code.constant(address >>> 0, entries * bytes)) return undefined;
    // Halfwords are fetched as code.
    const first = (address & ~1) >>> 0;
    if (!code.fetchable(first, ((address >>> 0) + entries * bytes + 1 - first) & ~1)) return undefined;
    const table: number[] = [];
    for (let i = 0; i < entries; i++) {
      const at = (address + i * bytes) >>> 0;
      if (bytes === 4) table.push(code.fetch16(at) | (code.fetch16(at + 2) << 16));
      else if (bytes === 2) table.push(code.fetch16(at));
      else table.push((code.fetch16((at & ~1) >>> 0) >> (8 * (at & 1))) & 0xff);
    }
    return table;
  }

  // ---- vectors

  /** Notes that no single-precision lane of a value is a denormal. */
  noteFlushed(value: Value): void {
    (this.flushedVectors ??= new Set()).add(value);
  }

  isFlushed(value: Value): boolean {
    return this.flushedVectors !== undefined && this.flushedVectors.has(value);
  }

  // ---- the framework's side

  /** Starts an instruction. */
  start(pc: number, size: number, encoding: number): void {
    this.pc = pc;
    this.size = size;
    this.encoding = encoding;
    this.decided = false;
    this.selecting = -1;
    this.leave = stay;
  }

  /** Executes what follows always, but lets `setReg` keep the old value where `condition` is 0. */
  select(condition: Value): void {
    this.selecting = condition;
  }

  /** Notes what a branch not taken says about the comparison before it: condition `cond` holds from here on. */
  assume(cond: number): void {
    const value = this.flags.compared;
    const bound = this.flags.boundUnder(cond, value);
    if (bound < 0) return;
    this.boundedValue = value;
    this.bound = bound;
  }

  /** True if the instruction leaves the straight line. */
  get leaves(): boolean {
    return this.leave.kind !== 'none';
  }

  /**
   * Emits how the instruction leaves; true if it always does. `goOn`: a branch not taken goes on in this block.
   */
  finish(goOn: boolean): boolean {
    const { b, leave } = this;
    switch (leave.kind) {
      case 'none':
        return false;
      case 'branch':
        if (!this.leavesMode && (!goOn || b.isConst(leave.condition))) {
          b.branch(leave.condition, leave.target, this.nextPc);
          return true;
        }
        b.if(leave.condition);
        this.goTo(leave.target);
        b.endif();
        if (leave.otherwise >= 0) this.assume(leave.otherwise);
        return false;
      case 'jump':
        this.finishJump(leave.target, leave.hint);
        return true;
      case 'call':
        if (!b.isConst(leave.target)) b.callIndirect(leave.target, leave.returnPc);
        else if (this.leavesMode || b.constOf(leave.target) === leave.returnPc) this.goTo(b.constOf(leave.target));
        else b.call(b.constOf(leave.target), leave.returnPc);
        return true;
      case 'switch':
        b.switch(leave.index, leave.targets, leave.targets[0]!);
        return true;
      case 'exit':
        // Only an exit to the next instruction goes on inside the IT block; the others repeat this one or end it.
        if (this.itstate !== 0) {
          const itstate = leave.pc === this.nextPc ? this.nextItstate : this.itstate;
          if (itstate !== 0) b.set32(armState.offset('itstate'), b.i32(itstate));
        }
        b.exit(leave.reason, leave.pc, leave.argument);
        return true;
    }
  }

  private goTo(pc: number): void {
    if (this.leavesMode) this.b.exit(ExitReason.mode, pc);
    else this.b.jump(pc);
  }

  private finishJump(target: Value, hint: 'jump' | 'return'): void {
    const { b } = this;
    const link = b.known32(slotR(14));
    const linked = link >= 0 && b.isConst(link) && b.constOf(link) === this.nextPc;
    if (b.isConst(target)) {
      const pc = b.constOf(target);
      if (linked && pc !== this.nextPc && !this.leavesMode) b.call(pc, this.nextPc);
      else this.goTo(pc);
      return;
    }
    // MOV LR, PC before a jump: the call of cores without BLX.
    if (linked) b.callIndirect(target, this.nextPc);
    else if (hint === 'return') b.return(target);
    else b.jumpIndirect(target);
  }

  /** The address as the faulting one, then the exit: fetches that are refused or misaligned. */
  fetchExit(reason: typeof ExitReason.fetchFault | typeof ExitReason.alignment, address: number): void {
    const { b } = this;
    b.set32(cpuHeader.offset('faultAddress'), b.i32(address));
    b.exit(reason, this.currentPc);
  }
}

const maxTableEntries = 1024;

export { Cond, Op, slotR };
