import { cpuHeader, ExitReason, leftRegion } from './cpu-page.ts';
import {
  engineMemory,
  fusedCompares,
  immediateOps,
  jumpCacheMask,
  plainOps,
  type T0Name,
  t0Names,
} from './interpreter-ops.ts';
import { type AddressTranslation, type MemoryModel, translateHelper, translationBias } from './memory-model.ts';
import { memoryAccess } from './memory-ops.ts';
import { Op, type OpName, opDefs, type ValueType } from './ops.ts';
import { checksumCode, matchesCode, relocateCode, rememberCode } from './stored-code.ts';
import { Code, emptyBlockType, W, type WasmType, wasmTypes } from './wasm/code.ts';
import { emitFpNan } from './wasm/fpnan.ts';
import { encodeModule, type FunctionType } from './wasm/module.ts';

/** Byte facts the generator needs about the space it runs in. */
export interface SpaceLayout {
  /** wasm address of the CPU page in memory 0. */
  readonly cpuBase: number;
  /** Pages of memory 0, the import's maximum. */
  readonly memoryPages: number;
}

/** Types every generated module shares: region (depth, pc) → pc; syscall () → pc; helper (id, a, b, c) → i32. */
export const sharedTypes: readonly FunctionType[] = [
  { params: [wasmTypes.i32, wasmTypes.i32], results: [wasmTypes.i32] },
  { params: [], results: [wasmTypes.i32] },
  { params: [wasmTypes.i32, wasmTypes.i32, wasmTypes.i32, wasmTypes.i32], results: [wasmTypes.i32] },
  { params: [wasmTypes.i32], results: [] },
];
export const typeIndex = { region: 0, syscall: 1, helper: 2, run: 3 } as const;

/** Imports every generated module shares, in this order. */
export const sharedImports = (layout: SpaceLayout) =>
  [
    { kind: 'memory', name: 'guest', maximum: layout.memoryPages, shared: true },
    { kind: 'memory', name: 'engine', maximum: engineMemory.pages, shared: true },
    { kind: 'table', name: 'regions' },
    { kind: 'function', name: 'syscall', type: typeIndex.syscall },
    { kind: 'function', name: 'helper', type: typeIndex.helper },
  ] as const;
export const importedFunction = { syscall: 0, helper: 1 } as const;
export const importedFunctionCount = 2;

/**
 * Wasm calls regions may nest before they unwind to the dispatcher: frames of up to 3 KiB then fit into V8's default
 * stack of 984 KiB, with room for a system call on top.
 */
export const regionCallDepth = 250;

/** The function of rare instructions comes last. */
const rareFunction = 6;

// Locals of the interpreter functions. Parameter 0 is the address of the instruction (memory 1).
const ip = 0;
const t0 = 1;
const t1 = 2;
const pc = 3;
const l0 = 4;
const l1 = 5;
const f0 = 6;
const f1 = 7;
const f2 = 8;
const d0 = 9;
const d1 = 10;
const d2 = 11;
const v0 = 12;
const localTypes: readonly WasmType[] = [
  wasmTypes.i32,
  wasmTypes.i32,
  wasmTypes.i32,
  wasmTypes.i64,
  wasmTypes.i64,
  wasmTypes.f32,
  wasmTypes.f32,
  wasmTypes.f32,
  wasmTypes.f64,
  wasmTypes.f64,
  wasmTypes.f64,
  wasmTypes.v128,
];

const loads: Record<ValueType, readonly number[]> = {
  i32: [W.i32_load],
  i64: [W.i64_load],
  f32: [W.f32_load],
  f64: [W.f64_load],
  v128: [0xfd, 0],
};
const stores: Record<ValueType, readonly number[]> = {
  i32: [W.i32_store],
  i64: [W.i64_store],
  f32: [W.f32_store],
  f64: [W.f64_store],
  v128: [0xfd, 11],
};

/**
 * Floating point and vectors, which most programs use rarely, have a function of their own: V8 compiles a function when it
 * is first called, in a time that grows with its size (all in one take it 1 ms more, and its optimizer 160 ms).
 */
const isRare = (name: T0Name): boolean => {
  const base = name.split('#')[0] as OpName;
  if (/^(insert|shuffle|const128|mov128|fpnan)/.test(base)) return true;
  const def = base in Op ? opDefs[Op[base]]! : undefined;
  const types: readonly (ValueType | null | undefined)[] =
    base in memoryAccess ? [memoryAccess[base]!.type] : [def?.result, ...(def?.args ?? [])];
  return types.some((type) => type === 'f32' || type === 'f64' || type === 'v128');
};

/** Generates T0: a `br_table` loop over predecoded IR, and another one for what is rare. */
class InterpreterGenerator {
  private code = new Code(1 << 16);
  /** Branch depth of the dispatch label and of the loop, in the handler being written. */
  private dispatchDepth = 0;
  private nextDepth = 0;
  /** Branch depth of the fault exit. */
  private faultDepth = 0;
  private readonly memory: MemoryModel;
  private readonly layout: SpaceLayout;

  constructor(memory: MemoryModel, layout: SpaceLayout) {
    this.memory = memory;
    this.layout = layout;
  }

  generate(): Uint8Array<ArrayBuffer> {
    const code = this.common();
    const rare = this.rare();
    return encodeModule({
      types: [
        ...sharedTypes,
        { params: [wasmTypes.i32, wasmTypes.i32, wasmTypes.i32], results: [wasmTypes.i32] },
        { params: [wasmTypes.i32], results: [wasmTypes.i32] },
      ],
      imports: sharedImports(this.layout),
      functions: [
        { type: typeIndex.run, locals: localTypes.slice(0, pc), code, exportName: 'run', debugName: 'interpreter' },
        { type: typeIndex.region, locals: [], code: missStub(), exportName: 'miss', debugName: 'miss' },
        { type: typeIndex.region, locals: [wasmTypes.i32], code: checksumCode(), exportName: 'checksum' },
        {
          type: sharedTypes.length,
          locals: [wasmTypes.i32, wasmTypes.i32],
          code: matchesCode(),
          exportName: 'matches',
        },
        { type: sharedTypes.length, locals: [], code: relocateCode(), exportName: 'relocate' },
        { type: sharedTypes.length, locals: [wasmTypes.i32], code: rememberCode(), exportName: 'remember' },
        { type: sharedTypes.length + 1, locals: localTypes, code: rare, debugName: 'rare' },
      ],
    });
  }

  /** (ip): runs until there is a reason to leave. */
  private common(): Code {
    const { code } = this;
    code.op2(W.loop, emptyBlockType);
    code.op2(W.block, emptyBlockType); // fault
    code.op2(W.block, emptyBlockType); // dispatch
    this.handlers(t0Names.filter((name) => !isRare(name)));
    code.get(ip);
    code.u8(W.call);
    code.uleb(importedFunctionCount + rareFunction);
    code.tee(ip);
    code.brIf(2); // dispatch, fault → loop
    code.u8(W.return);
    code.u8(W.end); // dispatch: local `pc` is where to go
    this.dispatch();
    code.u8(W.end);
    this.fault();
    code.u8(W.return);
    code.u8(W.end);
    code.u8(W.unreachable);
    return code;
  }

  /** (ip) → ip of the first instruction that is not rare; 0 after a fault. */
  private rare(): Code {
    this.code = new Code(1 << 16);
    const { code } = this;
    code.op2(W.loop, emptyBlockType);
    code.op2(W.block, emptyBlockType); // fault
    code.op2(W.block, emptyBlockType); // where the other function has a label
    this.handlers(t0Names.filter(isRare));
    code.get(ip);
    code.u8(W.return);
    code.u8(W.end);
    code.u8(W.end);
    this.fault();
    code.i32(0);
    code.u8(W.return);
    code.u8(W.end);
    code.u8(W.unreachable);
    return code;
  }

  /** The handlers of `names`; all other instructions go to what comes after. */
  private handlers(names: readonly T0Name[]): void {
    const { code } = this;
    const count = names.length;
    for (let i = 0; i <= count; i++) code.op2(W.block, emptyBlockType);
    this.word(0);
    code.u8(W.br_table);
    code.uleb(t0Names.length);
    for (const name of t0Names) {
      const at = names.indexOf(name);
      code.uleb(at < 0 ? count : at);
    }
    code.uleb(count);
    for (let i = 0; i < count; i++) {
      code.u8(W.end);
      this.dispatchDepth = count - i;
      this.faultDepth = this.dispatchDepth + 1;
      this.nextDepth = this.dispatchDepth + 2;
      this.handler(names[i]!);
    }
    code.u8(W.end);
  }

  /** ip is the instruction, t0 the guest address. */
  private fault(): void {
    const { code } = this;
    this.storeHeader('faultAddress', () => code.get(t0));
    this.storeHeader('exitArg', () => code.get(ip));
    this.storeHeader('exitReason', () => code.i32(ExitReason.fault));
  }

  // ---- pieces

  /** Pushes operand word n (0 is the opcode). */
  private word(n: number): void {
    this.code.get(ip);
    this.code.mem1(W.i32_load, 2, 4 * n);
  }

  private loadCell(type: ValueType, n: number): void {
    this.word(n);
    this.code.append(loads[type]);
    this.code.op2(0, 0);
  }

  /** Stores what is on the stack; the cell address must have been pushed before it with `word(n)`. */
  private storeCell(type: ValueType): void {
    this.code.append(stores[type]);
    this.code.op2(0, 0);
  }

  private next(words: number): void {
    const { code } = this;
    code.get(ip);
    code.i32(4 * words);
    code.u8(W.i32_add);
    code.set(ip);
    code.br(this.nextDepth);
  }

  private storeHeader(field: keyof typeof cpuHeader.fields, push: () => void): void {
    this.code.i32(this.layout.cpuBase);
    push();
    this.code.mem(W.i32_store, 2, cpuHeader.fields[field].offset);
  }

  private exitWith(reason: number, pushPc: () => void): void {
    this.storeHeader('pc', pushPc);
    this.storeHeader('exitReason', () => this.code.i32(reason));
    this.code.u8(W.return);
  }

  /** Goes on at guest PC `pc`: through the jump cache, or out to be translated. */
  private dispatch(): void {
    const { code } = this;
    code.get(pc);
    code.i32(2);
    code.u8(W.i32_shl);
    code.i32(jumpCacheMask);
    code.u8(W.i32_and);
    code.tee(t0);
    code.mem1(W.i32_load, 2, engineMemory.jumpCache);
    code.get(pc);
    code.u8(W.i32_eq);
    code.op2(W.if, emptyBlockType);
    code.get(t0);
    code.mem1(W.i32_load, 2, engineMemory.jumpCache + 4);
    code.set(ip);
    code.br(2); // if, fault → loop
    code.u8(W.end);
    this.exitWith(ExitReason.miss, () => code.get(pc));
  }

  /** Follows a link word, or dispatches to the PC in the word after it. `labels` lie between here and the handler. */
  private follow(linkWord: number, labels: number): void {
    const { code } = this;
    this.word(linkWord + 1);
    code.set(pc);
    this.word(linkWord);
    code.tee(t0);
    code.u8(W.i32_eqz);
    code.brIf(this.dispatchDepth + labels);
    code.get(t0);
    code.set(ip);
    code.br(this.nextDepth + labels);
  }

  // ---- handlers

  private handler(name: T0Name): void {
    const control = this.controlHandlers[name];
    if (control) {
      control();
      return;
    }
    const [base, variant, form] = name.split('#') as [string, string | undefined, string | undefined];
    if (base === 'branch') return this.fusedBranch(variant as OpName, form === 'imm');
    if (/^(load|store)/.test(base)) return this.memoryOp(base as OpName, variant === 'probed');
    if (base.startsWith('cmpxchg')) return this.cmpxchg(base as OpName);
    if (base.startsWith('fpnan')) return this.fpnan(base);
    this.plain(base as OpName, variant === 'imm');
  }

  private plain(name: OpName, immediate: boolean): void {
    const def = opDefs[Op[name]]!;
    this.word(1);
    def.args.forEach((type, n) => {
      if (immediate && n === 1) this.word(3);
      else this.loadCell(type, 2 + n);
    });
    this.code.append(def.wasm!);
    this.storeCell(def.result!);
    this.next(2 + def.args.length);
  }

  private fusedBranch(compare: OpName, immediate: boolean): void {
    const { code } = this;
    this.loadCell('i32', 1);
    if (immediate) this.word(2);
    else this.loadCell('i32', 2);
    code.append(opDefs[Op[compare]]!.wasm!);
    code.op2(W.if, emptyBlockType);
    this.follow(3, 1);
    code.u8(W.end);
    this.follow(5, 0);
  }

  /** Sets t1 to the wasm address of the access at guest address t0; a fault leaves. */
  private translate(translation: AddressTranslation, bytes: number, access: number): void {
    const { code } = this;
    code.op2(W.block, emptyBlockType); // done
    code.op2(W.block, emptyBlockType); // slow
    translation.emitLookup(code, t0, bytes, access, t1, 0);
    code.br(1);
    code.u8(W.end);
    code.i32(translateHelper);
    code.get(t0);
    code.get(ip);
    code.i32(0);
    code.u8(W.call);
    code.uleb(importedFunction.helper);
    code.tee(t1);
    code.u8(W.i32_eqz);
    code.brIf(this.faultDepth + 1);
    code.u8(W.end);
  }

  private translatedMemoryOp(name: OpName, translation: AddressTranslation): void {
    const { code } = this;
    const access = memoryAccess[name]!;
    this.loadCell('i32', 2);
    this.word(3);
    code.u8(W.i32_add);
    code.set(t0);
    this.translate(translation, access.bytes, access.write ? 2 : 1);
    if (!access.write) this.word(1);
    code.get(t1);
    if (access.write) this.loadCell(access.type, 1);
    code.append(access.wasm);
    code.op2(0, translationBias);
    if (!access.write) this.storeCell(access.type);
    this.next(4);
  }

  private memoryOp(name: OpName, probed: boolean): void {
    const { code } = this;
    const access = memoryAccess[name]!;
    if (this.memory.translation) {
      this.translatedMemoryOp(name, this.memory.translation);
      return;
    }
    code.get(ip);
    code.set(t1);
    this.loadCell('i32', 2);
    this.word(3);
    code.u8(W.i32_add);
    code.set(t0);
    if (!probed) this.memory.emitCheck(code, t0, 0, access.bytes, access.write ? 2 : 1, this.faultDepth);
    if (access.write) {
      const offset = this.memory.emitAddress(code, t0, 0);
      this.loadCell(access.type, 1);
      code.append(access.wasm);
      code.u8(0);
      code.uleb(offset);
    } else {
      this.word(1);
      const offset = this.memory.emitAddress(code, t0, 0);
      code.append(access.wasm);
      code.u8(0);
      code.uleb(offset);
      this.storeCell(access.type);
    }
    this.next(4);
  }

  private cmpxchg(name: OpName): void {
    const { code } = this;
    const access = memoryAccess[name]!;
    this.loadCell('i32', 2);
    this.word(5);
    code.u8(W.i32_add);
    code.set(t0);
    const { translation } = this.memory;
    if (translation) this.translate(translation, access.bytes, 3);
    else this.memory.emitCheck(code, t0, 0, access.bytes, 3, this.faultDepth);
    this.word(1);
    if (translation) code.get(t1);
    const offset = translation ? translationBias : this.memory.emitAddress(code, t0, 0);
    this.loadCell(access.type, 3);
    this.loadCell(access.type, 4);
    code.append(access.wasm);
    code.u8(Math.log2(access.bytes));
    code.uleb(offset);
    this.storeCell(access.type);
    this.next(6);
  }

  private fpnan(name: string): void {
    const { code } = this;
    const type = name.endsWith('f32') ? 'f32' : 'f64';
    const operands = name.startsWith('fpnan2') ? 2 : 1;
    const locals = type === 'f32' ? [f0, f1, f2] : [d0, d1, d2];
    for (let n = 0; n <= operands; n++) {
      this.loadCell(type, 2 + n);
      code.set(locals[n]!);
    }
    emitFpNan(code, type, locals[0]!, locals.slice(1, 1 + operands), { bits: type === 'f32' ? t0 : l0 });
    this.word(1);
    code.get(locals[0]!);
    this.storeCell(type);
    this.next(3 + operands);
  }

  private move(load: readonly number[], store: readonly number[]): void {
    const { code } = this;
    this.word(1);
    this.word(2);
    code.append(load);
    code.op2(0, 0);
    code.append(store);
    code.op2(0, 0);
    this.next(3);
  }

  /** dst = vector with `type` value stored at byte offset (word 4). */
  private insert(type: ValueType, store: readonly number[]): void {
    const { code } = this;
    this.loadCell('v128', 2);
    code.set(v0);
    if (type === 'i64') {
      this.loadCell('i64', 3);
      code.set(l1);
    } else {
      this.loadCell('i32', 3);
      code.set(t1);
    }
    this.word(1);
    code.get(v0);
    this.storeCell('v128');
    this.word(1);
    this.word(4);
    code.u8(W.i32_add);
    code.get(type === 'i64' ? l1 : t1);
    code.append(store);
    code.op2(0, 0);
    this.next(5);
  }

  private readonly controlHandlers: Record<string, () => void> = {
    enter: () => {
      const { code } = this;
      const { translation } = this.memory;
      if (translation) {
        translation.emitCodeKey(code, () => this.word(2));
        this.word(4);
        code.u8(W.i32_ne);
        code.op2(W.if, emptyBlockType);
        this.exitWith(ExitReason.miss, () => this.word(2));
        code.u8(W.end);
      }
      // Profile counter (word 1): counts down to the hot threshold.
      code.get(ip);
      this.word(1);
      code.i32(1);
      code.u8(W.i32_sub);
      code.tee(t0);
      code.mem1(W.i32_store, 2, 4);
      code.get(t0);
      code.u8(W.i32_eqz);
      code.op2(W.if, emptyBlockType);
      this.exitWith(ExitReason.hot, () => this.word(2));
      code.u8(W.end);
      this.spendBudget(
        () => this.word(3),
        () => this.word(2),
      );
      this.next(translation ? 5 : 4);
    },
    guard: () => {
      const { code } = this;
      const { translation } = this.memory;
      if (!translation) {
        code.u8(W.unreachable);
        return;
      }
      translation.emitCodeKey(code, () => this.word(1));
      this.word(2);
      code.u8(W.i32_ne);
      code.op2(W.if, emptyBlockType);
      this.exitWith(ExitReason.miss, () => this.word(3));
      code.u8(W.end);
      this.next(4);
    },
    region: () => {
      const { code } = this;
      // Regions that lead to one another through here may be a loop without a back-edge.
      this.spendBudget(
        () => code.i32(1),
        () => this.word(2),
      );
      // Coming here means that some region's jump did not find this one in the region cache: another has its entry.
      this.word(2);
      code.i32(2);
      code.u8(W.i32_shl);
      code.i32(jumpCacheMask);
      code.u8(W.i32_and);
      code.tee(t0);
      this.word(2);
      code.mem1(W.i32_store, 2, engineMemory.regionCache);
      code.get(t0);
      this.word(1);
      code.mem1(W.i32_store, 2, engineMemory.regionCache + 4);
      code.i32(regionCallDepth);
      this.word(2);
      this.word(1);
      code.u8(W.call_indirect);
      code.uleb(typeIndex.region);
      code.u8(0);
      code.tee(pc);
      code.i32(leftRegion);
      code.u8(W.i32_ne);
      code.brIf(this.dispatchDepth);
      code.u8(W.return);
    },
    count: () => {
      const { code } = this;
      code.get(ip);
      code.get(ip);
      code.mem1(W.i64_load, 2, 8);
      this.word(1);
      code.u8(W.i64_extend_i32_u);
      code.u8(W.i64_add);
      code.mem1(W.i64_store, 2, 8);
      this.next(4);
    },
    jump: () => this.follow(1, 0),
    branch: () => {
      const { code } = this;
      this.loadCell('i32', 1);
      code.op2(W.if, emptyBlockType);
      this.follow(2, 1);
      code.u8(W.end);
      this.follow(4, 0);
    },
    indirect: () => {
      this.loadCell('i32', 1);
      this.code.set(pc);
      this.code.br(this.dispatchDepth);
    },
    call_indirect: () => {
      const { code } = this;
      this.loadCell('i32', 1);
      code.tee(pc);
      this.word(2);
      code.u8(W.i32_ne);
      code.op2(W.if, emptyBlockType);
      // The last two targets are remembered for the region compiler.
      code.get(ip);
      this.word(2);
      code.mem1(W.i32_store, 2, 12);
      code.get(ip);
      code.get(pc);
      code.mem1(W.i32_store, 2, 8);
      code.u8(W.end);
      code.br(this.dispatchDepth);
    },
    switch: () => {
      const { code } = this;
      // t0 = min(index, entries − 1), unsigned
      this.loadCell('i32', 1);
      code.tee(t0);
      this.word(2);
      code.i32(1);
      code.u8(W.i32_sub);
      code.tee(t1);
      code.get(t0);
      code.get(t1);
      code.u8(W.i32_lt_u);
      code.u8(W.select);
      code.i32(2);
      code.u8(W.i32_shl);
      code.get(ip);
      code.u8(W.i32_add);
      code.mem1(W.i32_load, 2, 12);
      code.set(pc);
      code.br(this.dispatchDepth);
    },
    exit: () => {
      const { code } = this;
      this.storeHeader('exitArg', () => this.loadCell('i32', 1));
      this.storeHeader('exitReason', () => this.word(2));
      this.storeHeader('pc', () => this.word(3));
      code.u8(W.return);
    },
    syscall: () => {
      const { code } = this;
      this.storeHeader('exitArg', () => this.loadCell('i32', 1));
      this.storeHeader('pc', () => this.word(2));
      code.u8(W.call);
      code.uleb(importedFunction.syscall);
      code.tee(pc);
      code.i32(leftRegion);
      code.u8(W.i32_ne);
      code.brIf(this.dispatchDepth);
      code.u8(W.return);
    },
    skip: () => {
      this.word(1);
      this.code.set(ip);
      this.code.br(this.nextDepth);
    },
    if: () => {
      const { code } = this;
      this.loadCell('i32', 1);
      code.u8(W.i32_eqz);
      code.op2(W.if, emptyBlockType);
      this.word(2);
      code.set(ip);
      code.br(this.nextDepth + 1);
      code.u8(W.end);
      this.next(3);
    },
    const32: () => {
      this.word(1);
      this.word(2);
      this.storeCell('i32');
      this.next(3);
    },
    const64: () => {
      this.word(1);
      this.code.get(ip);
      this.code.mem1(W.i64_load, 2, 8);
      this.storeCell('i64');
      this.next(4);
    },
    const128: () => {
      this.word(1);
      this.code.get(ip);
      this.simd1Load(8);
      this.storeCell('v128');
      this.next(6);
    },
    mov32: () => this.move([W.i32_load], [W.i32_store]),
    mov64: () => this.move([W.i64_load], [W.i64_store]),
    mov128: () => this.move([0xfd, 0], [0xfd, 11]),
    mov8_u: () => this.move([W.i32_load8_u], [W.i32_store]),
    mov8_s: () => this.move([W.i32_load8_s], [W.i32_store]),
    mov16_u: () => this.move([W.i32_load16_u], [W.i32_store]),
    mov16_s: () => this.move([W.i32_load16_s], [W.i32_store]),
    insert8: () => this.insert('i32', [W.i32_store8]),
    insert16: () => this.insert('i32', [W.i32_store16]),
    insert32: () => this.insert('i32', [W.i32_store]),
    insert64: () => this.insert('i64', [W.i64_store]),
    shuffle: () => {
      const { code } = this;
      // A swizzle gives 0 for indices past 15: one for each operand, the second with indices less 16.
      code.get(ip);
      this.simd1Load(16);
      code.set(v0);
      this.word(1);
      this.loadCell('v128', 2);
      code.get(v0);
      code.append([0xfd, 0x0e]);
      this.loadCell('v128', 3);
      code.get(v0);
      code.i32(16);
      code.append([0xfd, 0x0f, 0xfd, 0x71]);
      code.append([0xfd, 0x0e, 0xfd, 0x50]);
      this.storeCell('v128');
      this.next(8);
    },
    probe: () => {
      const { code } = this;
      if (this.memory.translation) {
        this.next(4);
        return;
      }
      this.loadCell('i32', 1);
      code.set(t0);
      // The two pages an access of unknown length touches: as one byte at each end.
      code.get(t0);
      this.word(2);
      code.u8(W.i32_add);
      code.i32(1);
      code.u8(W.i32_sub);
      code.set(t1);
      this.word(3);
      code.i32(1);
      code.u8(W.i32_and);
      code.op2(W.if, emptyBlockType);
      this.memory.emitCheck(code, t0, 0, 1, 1, this.faultDepth + 1);
      this.memory.emitCheck(code, t1, 0, 1, 1, this.faultDepth + 1);
      code.u8(W.end);
      this.word(3);
      code.i32(2);
      code.u8(W.i32_and);
      code.op2(W.if, emptyBlockType);
      this.memory.emitCheck(code, t0, 0, 1, 2, this.faultDepth + 1);
      this.memory.emitCheck(code, t1, 0, 1, 2, this.faultDepth + 1);
      code.u8(W.end);
      this.next(4);
    },
    fence: () => {
      this.code.append(opDefs[Op.fence]!.wasm!);
      this.next(1);
    },
    helper: () => {
      const { code } = this;
      this.word(1);
      this.word(2);
      for (let n = 0; n < 3; n++) this.loadCell('i32', 3 + n);
      code.u8(W.call);
      code.uleb(importedFunction.helper);
      this.storeCell('i32');
      this.next(6);
    },
  };

  /** v128.load from memory 1 at the address on the stack. */
  private simd1Load(offset: number): void {
    this.code.append([0xfd, 0, 0x40, 1]);
    this.code.uleb(offset);
  }

  /** budget −= `pushCost`; below 0: exit at `pushPc`. */
  private spendBudget(pushCost: () => void, pushPc: () => void): void {
    const { code } = this;
    const { offset } = cpuHeader.fields.budget;
    code.i32(this.layout.cpuBase);
    code.i32(this.layout.cpuBase);
    code.mem(W.i32_load, 2, offset);
    pushCost();
    code.u8(W.i32_sub);
    code.tee(t0);
    code.mem(W.i32_store, 2, offset);
    code.get(t0);
    code.i32(0);
    code.u8(W.i32_lt_s);
    code.op2(W.if, emptyBlockType);
    this.exitWith(ExitReason.budget, pushPc);
    code.u8(W.end);
  }
}

/** The region table's filler: a call to untranslated code comes back at once with the PC to go on at. */
function missStub(): Code {
  const code = new Code(16);
  code.get(1);
  return code;
}

/** The bytes of the interpreter module. Exports `run(code address)`, `miss`, and those of `stored-code.ts`. */
export function generateInterpreter(memory: MemoryModel, layout: SpaceLayout): Uint8Array<ArrayBuffer> {
  const unknown = [...immediateOps, ...fusedCompares].filter((name) => !plainOps.includes(name));
  if (unknown.length > 0) throw new Error(`interpreter: no plain handler for ${unknown.join(', ')}`);
  return new InterpreterGenerator(memory, layout).generate();
}
