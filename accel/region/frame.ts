import { accessScratch, cpuHeader, leftRegion } from '#tcg/cpu-page.ts';
import type { ValueType } from '#tcg/ops.ts';
import { Code, W, type WasmType, wasmTypes } from '#tcg/wasm/code.ts';
import type { RegionVariables, Variable, VariableSet } from './variables.ts';

const loadOps: Record<ValueType, readonly number[]> = {
  i32: [W.i32_load, 2],
  i64: [W.i64_load, 3],
  f32: [W.f32_load, 2],
  f64: [W.f64_load, 3],
  v128: [0xfd, 0, 4],
};
const storeOps: Record<ValueType, readonly number[]> = {
  i32: [W.i32_store, 2],
  i64: [W.i64_store, 3],
  f32: [W.f32_store, 2],
  f64: [W.f64_store, 3],
  v128: [0xfd, 11, 4],
};
/** Locals of a region function that hold no guest state; -1 where the region needs none. */
export interface ServiceLocals {
  /** Back-edges left: only where there are loops. */
  readonly budget: number;
  /** Guest address and site of the access under way. */
  readonly address: number;
  readonly site: number;
}

// Parameters of a region function.
export const depthLocal = 0;
const pcLocal = 1;
const parameterCount = 2;

/** The wasm function of one region while it is written: its code, its locals, and where the guest's state is. */
export class RegionFrame {
  /** Where instructions go; `divert` changes it. */
  code = new Code(1 << 14);
  /** Types of the locals after the parameters. */
  readonly locals: WasmType[] = [];
  readonly variables: RegionVariables;
  readonly service: ServiceLocals;
  /** Holds the address of the CPU area. */
  private readonly cpu: number;
  private readonly variableLocal: Int32Array;
  private readonly freeTemporaries: Record<WasmType, number[]> = { 127: [], 126: [], 125: [], 124: [], 123: [] };

  constructor(variables: RegionVariables, hasLoops: boolean) {
    this.variables = variables;
    this.variableLocal = new Int32Array(variables.variables.length);
    for (const { index, type } of variables.variables) this.variableLocal[index] = this.newLocal(wasmTypes[type]);
    const mayFault = variables.facts.some((facts) => facts.killedBeforeFault !== undefined);
    const service = (needed: boolean): number => (needed ? this.newLocal(wasmTypes.i32) : -1);
    this.cpu = this.newLocal(wasmTypes.i32);
    this.service = { budget: service(hasLoops), address: service(mayFault), site: service(mayFault) };
  }

  /** Sends what follows to `code`; returns where it went before. */
  divert(code: Code): Code {
    const old = this.code;
    this.code = code;
    return old;
  }

  private newLocal(type: WasmType): number {
    this.locals.push(type);
    return parameterCount + this.locals.length - 1;
  }

  temporary(type: WasmType): number {
    return this.freeTemporaries[type].pop() ?? this.newLocal(type);
  }

  release(type: WasmType, ...locals: number[]): void {
    this.freeTemporaries[type].push(...locals);
  }

  /**
   * Sets the address of the CPU area, for what follows. It is made of the parameter that holds `pc`, so that V8 does not
   * know it: addresses that are constants and do not fit an x86 displacement get a register each, for all of the function.
   */
  setCpuBase(pc: number, cpuBase: number): void {
    this.code.get(pcLocal);
    this.code.i32(cpuBase - pc);
    this.code.u8(W.i32_add);
    this.code.set(this.cpu);
  }

  /** Pushes the wasm address of `accessScratch`, but for the constant offset it returns. */
  pushScratch(): number {
    this.code.get(this.cpu);
    return accessScratch;
  }

  /** The local of variable `index`. */
  localAt(index: number): number {
    return this.variableLocal[index]!;
  }

  /** True if a variable lives in `local`. */
  isVariable(local: number): boolean {
    return local >= parameterCount && local < parameterCount + this.variableLocal.length;
  }

  /** The local a variable lives in. */
  localOf(variable: Variable): number {
    return this.variableLocal[variable.index]!;
  }

  storeHeader(field: keyof typeof cpuHeader.fields, push: () => void): void {
    this.code.get(this.cpu);
    push();
    this.code.mem(W.i32_store, 2, cpuHeader.fields[field].offset);
  }

  loadHeader(field: keyof typeof cpuHeader.fields): void {
    this.code.get(this.cpu);
    this.code.mem(W.i32_load, 2, cpuHeader.fields[field].offset);
  }

  loadSlot(type: ValueType, offset: number): void {
    this.code.get(this.cpu);
    this.code.append(loadOps[type]);
    this.code.uleb(offset);
  }

  storeSlot(type: ValueType, offset: number, push: () => void): void {
    this.code.get(this.cpu);
    push();
    this.code.append(storeOps[type]);
    this.code.uleb(offset);
  }

  forEach(set: VariableSet, visit: (variable: Variable, local: number) => void): void {
    const { variables } = this.variables;
    for (let w = 0; w < set.length; w++) {
      for (let bits = set[w]!; bits !== 0; bits &= bits - 1) {
        const variable = variables[w * 32 + 31 - Math.clz32(bits & -bits)];
        if (variable) visit(variable, this.variableLocal[variable.index]!);
      }
    }
  }

  storeVariables(set: VariableSet): void {
    this.forEach(set, (variable, local) => this.storeSlot(variable.type, variable.offset, () => this.code.get(local)));
  }

  loadVariables(set: VariableSet): void {
    this.forEach(set, (variable, local) => {
      this.loadSlot(variable.type, variable.offset);
      this.code.set(local);
    });
  }

  storeBudget(): void {
    if (this.service.budget >= 0) this.storeHeader('budget', () => this.code.get(this.service.budget));
  }

  loadBudget(): void {
    if (this.service.budget < 0) return;
    this.loadHeader('budget');
    this.code.set(this.service.budget);
  }

  /** State to memory before leaving or calling. */
  flush(dirty: VariableSet): void {
    this.storeVariables(dirty);
    this.storeBudget();
  }

  exitTo(reason: number, pushPc: () => void): void {
    this.storeHeader('exitReason', () => this.code.i32(reason));
    this.storeHeader('pc', pushPc);
    this.code.i32(leftRegion);
    this.code.u8(W.return);
  }
}
