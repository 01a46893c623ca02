import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import { importedFunction, leftRegion, type SpaceLayout, typeIndex } from '#tcg/interpreter-module.ts';
import { engineMemory, jumpCacheMask } from '#tcg/interpreter-ops.ts';
import { type IrBlock, irError } from '#tcg/ir.ts';
import type { MemoryModel } from '#tcg/memory-model.ts';
import { memoryAccess } from '#tcg/memory-ops.ts';
import { MemoryFlag, Op, opDefs, opNames, type ValueType } from '#tcg/ops.ts';
import type { Helper } from '#tcg/target.ts';
import { Code, emptyBlockType, W, type WasmType, wasmTypes } from '#tcg/wasm/code.ts';
import { emitFpNan, nanScratchType } from '#tcg/wasm/fpnan.ts';
import type { RegionGraph } from './graph.ts';
import type { FaultSite } from './sites.ts';
import { analyseValues, type BlockValues, lazy, pending } from './values.ts';
import { type Edge, type RegionVariables, slotType, type Variable, type VariableSet } from './variables.ts';

/** A region ready to be emitted: optimized blocks (node 0 is the entry) and their control flow. */
export interface Region {
  readonly pc: number;
  readonly blocks: readonly IrBlock[];
  readonly graph: RegionGraph;
  readonly variables: RegionVariables;
  nodeOf(pc: number): number;
}

/** What the emitter asks of the engine. */
export interface EmitterHost {
  readonly memory: MemoryModel;
  readonly layout: SpaceLayout;
  readonly helpers: readonly Helper[];
  /** Table index for calls to guest `pc`, given out at first asking; -1 if it should be reached by the dispatcher. */
  slotOf(pc: number, call: boolean): number;
  /** Wasm function index if `pc` is a region of the module being built, else -1. */
  functionOf(pc: number): number;
  /** Registers a place that may fault; the number names it in `cpuHeader.exitArg`. */
  addSite(site: FaultSite): number;
}

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
/** Reinterpretation between types of one size. */
const reinterprets: Partial<Record<string, number>> = {
  'f32>i32': 0xbc,
  'f64>i64': 0xbd,
  'i32>f32': 0xbe,
  'i64>f64': 0xbf,
};

// Parameters of a region function.
const depthLocal = 0;
const pcLocal = 1;
const parameterCount = 2;

interface Label {
  readonly kind: 'loop' | 'merge';
  readonly position: number;
  readonly level: number;
}

/** Emits one region as a wasm function (depth, pc) → pc with structured control flow and registers in locals. */
export class RegionEmitter {
  readonly code = new Code(1 << 14);
  readonly locals: WasmType[] = [];
  private readonly region: Region;
  private readonly host: EmitterHost;
  private readonly variableLocal: Int32Array;
  private readonly freeTemporaries: Record<WasmType, number[]> = { 127: [], 126: [], 125: [], 124: [], 123: [] };
  private readonly labels: Label[] = [];
  private level = 0;
  /** Dirty sets of the fault exits, in the order of their labels outside the body. */
  private readonly faultExits: VariableSet[] = [];
  private readonly faultExitOf = new Map<string, number>();
  private readonly budgetLocal: number;
  private readonly addressLocal: number;
  private readonly siteLocal: number;

  constructor(region: Region, host: EmitterHost) {
    this.region = region;
    this.host = host;
    this.variableLocal = new Int32Array(region.variables.variables.length);
    for (const variable of region.variables.variables)
      this.variableLocal[variable.index] = this.newLocal(wasmTypes[variable.type]);
    const mayFault = region.variables.facts.some((facts) => facts.killedBeforeFault !== undefined);
    this.addressLocal = mayFault ? this.newLocal(wasmTypes.i32) : -1;
    this.siteLocal = mayFault ? this.newLocal(wasmTypes.i32) : -1;
    this.budgetLocal = region.graph.loopHeader.some((header) => header) ? this.newLocal(wasmTypes.i32) : -1;
  }

  /** Writes the function's body into `code` (without the closing `end`) and its locals into `locals`. */
  emit(): void {
    const { code, region } = this;
    const body = new Code(1 << 14);
    // The body is written first: how many fault exits lie around it is known only then.
    const outer = this.swapCode(body);
    this.emitEntry();
    this.emitTree(0);
    this.code.u8(W.unreachable);
    this.swapCode(outer);
    const exits = this.faultExits.length;
    if (exits > 0) code.op2(W.block, emptyBlockType);
    for (let i = 0; i < exits; i++) code.op2(W.block, emptyBlockType);
    code.appendCode(body);
    if (exits === 0) return;
    this.faultExits.forEach((dirty, i) => {
      code.u8(W.end);
      this.storeVariables(dirty);
      if (i < exits - 1) code.br(exits - 1 - i);
    });
    code.u8(W.end);
    this.storeHeader('faultAddress', () => code.get(this.addressLocal));
    this.storeHeader('exitArg', () => code.get(this.siteLocal));
    this.storeHeader('exitReason', () => code.i32(ExitReason.fault));
    this.storeHeader('pc', () => code.i32(region.pc));
    this.storeBudget();
    code.i32(leftRegion);
  }

  private swapCode(code: Code): Code {
    const old = this.code;
    (this as { code: Code }).code = code;
    return old;
  }

  private newLocal(type: WasmType): number {
    this.locals.push(type);
    return parameterCount + this.locals.length - 1;
  }

  private temporary(type: WasmType): number {
    return this.freeTemporaries[type].pop() ?? this.newLocal(type);
  }

  // ---- state

  private storeHeader(field: keyof typeof cpuHeader.fields, push: () => void): void {
    this.code.i32(this.host.layout.cpuBase);
    push();
    this.code.mem(W.i32_store, 2, cpuHeader.fields[field].offset);
  }

  private loadHeader(field: keyof typeof cpuHeader.fields): void {
    this.code.i32(this.host.layout.cpuBase);
    this.code.mem(W.i32_load, 2, cpuHeader.fields[field].offset);
  }

  private loadSlot(type: ValueType, offset: number): void {
    this.code.i32(this.host.layout.cpuBase);
    this.code.append(loadOps[type]);
    this.code.uleb(offset);
  }

  private storeSlot(type: ValueType, offset: number, push: () => void): void {
    this.code.i32(this.host.layout.cpuBase);
    push();
    this.code.append(storeOps[type]);
    this.code.uleb(offset);
  }

  private forEach(set: VariableSet, visit: (variable: Variable, local: number) => void): void {
    const { variables } = this.region.variables;
    for (let w = 0; w < set.length; w++) {
      for (let bits = set[w]!; bits !== 0; bits &= bits - 1) {
        const variable = variables[w * 32 + 31 - Math.clz32(bits & -bits)];
        if (variable) visit(variable, this.variableLocal[variable.index]!);
      }
    }
  }

  private storeVariables(set: VariableSet): void {
    this.forEach(set, (variable, local) => this.storeSlot(variable.type, variable.offset, () => this.code.get(local)));
  }

  private loadVariables(set: VariableSet): void {
    this.forEach(set, (variable, local) => {
      this.loadSlot(variable.type, variable.offset);
      this.code.set(local);
    });
  }

  private storeBudget(): void {
    if (this.budgetLocal >= 0) this.storeHeader('budget', () => this.code.get(this.budgetLocal));
  }

  private loadBudget(): void {
    if (this.budgetLocal < 0) return;
    this.loadHeader('budget');
    this.code.set(this.budgetLocal);
  }

  /** State to memory before leaving or calling. */
  private flush(dirty: VariableSet): void {
    this.storeVariables(dirty);
    this.storeBudget();
  }

  private exitTo(reason: number, pushPc: () => void): void {
    this.storeHeader('exitReason', () => this.code.i32(reason));
    this.storeHeader('pc', pushPc);
    this.code.i32(leftRegion);
    this.code.u8(W.return);
  }

  private emitEntry(): void {
    const { code, region } = this;
    const calls = region.blocks.some((block) => {
      for (let i = 0; i < block.length; i++)
        if (block.op[i] === Op.call || block.op[i] === Op.call_indirect || block.op[i] === Op.jump_indirect)
          return true;
      return false;
    });
    // Recursion and tail jumps make loops without back-edges: whoever calls spends budget at entry.
    if (calls) {
      const budget = this.temporary(wasmTypes.i32);
      this.storeHeader('budget', () => {
        this.loadHeader('budget');
        code.i32(1);
        code.u8(W.i32_sub);
        code.tee(budget);
      });
      code.get(budget);
      code.i32(0);
      code.u8(W.i32_lt_s);
      code.op2(W.if, emptyBlockType);
      this.exitTo(ExitReason.budget, () => code.i32(region.pc));
      code.u8(W.end);
      this.freeTemporaries[wasmTypes.i32].push(budget);
    }
    this.loadBudget();
    this.loadVariables(region.variables.liveIn[0]!);
  }

  // ---- control flow (Ramsey, "Beyond Relooper": the dominator tree gives the nesting)

  private emitTree(position: number): void {
    const { code } = this;
    const { graph } = this.region;
    const merges = graph.children[position]!.filter((child) => graph.merge[child]).sort((a, b) => b - a);
    if (!graph.loopHeader[position]) {
      this.emitWithin(position, merges, 0);
      return;
    }
    code.op2(W.loop, emptyBlockType);
    this.labels.push({ kind: 'loop', position, level: this.level++ });
    this.emitWithin(position, merges, 0);
    this.labels.pop();
    this.level--;
    code.u8(W.end);
    code.u8(W.unreachable);
  }

  private emitWithin(position: number, merges: readonly number[], at: number): void {
    const { code } = this;
    if (at === merges.length) {
      this.emitBlock(this.region.graph.order[position]!);
      return;
    }
    code.op2(W.block, emptyBlockType);
    this.labels.push({ kind: 'merge', position: merges[at]!, level: this.level++ });
    this.emitWithin(position, merges, at + 1);
    this.labels.pop();
    this.level--;
    code.u8(W.end);
    this.emitTree(merges[at]!);
  }

  private labelDepth(kind: Label['kind'], position: number): number {
    for (let i = this.labels.length - 1; i >= 0; i--) {
      const label = this.labels[i]!;
      if (label.kind === kind && label.position === position) return this.level - 1 - label.level;
    }
    throw new Error(`region ${hex(this.region.pc)}: no ${kind} label for node ${position}`);
  }

  /** Goes from `node` along `edge` to `pc`. What must be in memory already is, if the edge flushes. */
  private goTo(node: number, edge: Edge, pc: number): void {
    const { code, region } = this;
    const { graph } = region;
    if (edge.node < 0) {
      this.leaveTo(pc);
      return;
    }
    const from = graph.position[node]!;
    const to = graph.position[edge.node]!;
    if (graph.irreducible(from, to)) {
      if (!edge.reload) this.flush(region.variables.dirtyAt(node, edge));
      this.returnPc(pc);
      return;
    }
    if (edge.reload) {
      this.loadVariables(region.variables.liveIn[edge.node]!);
      this.loadBudget();
    }
    if (to <= from) {
      this.spendBudget(pc, edge.reload ? undefined : region.variables.dirtyAtInterrupt(node, edge));
      code.br(this.labelDepth('loop', to));
      return;
    }
    if (graph.merge[to]) {
      code.br(this.labelDepth('merge', to));
      return;
    }
    this.emitTree(to);
  }

  private spendBudget(pc: number, dirty: VariableSet | undefined): void {
    const { code } = this;
    code.get(this.budgetLocal);
    code.i32(1);
    code.u8(W.i32_sub);
    code.tee(this.budgetLocal);
    code.i32(0);
    code.u8(W.i32_lt_s);
    code.op2(W.if, emptyBlockType);
    if (dirty) this.storeVariables(dirty);
    this.storeBudget();
    this.exitTo(ExitReason.budget, () => code.i32(pc));
    code.u8(W.end);
  }

  /** Leaves the region for guest `pc`; the state is in memory. */
  private leaveTo(pc: number): void {
    const { code } = this;
    const slot = this.host.slotOf(pc, false);
    if (slot < 0) {
      this.returnPc(pc);
      return;
    }
    code.get(depthLocal);
    code.i32(pc);
    this.callRegion(pc, slot, true);
  }

  private returnPc(pc: number): void {
    this.code.i32(pc);
    this.code.u8(W.return);
  }

  /** Calls (or tail-calls) guest `pc` with (depth, pc) on the stack. */
  private callRegion(pc: number, slot: number, tail: boolean): void {
    const { code } = this;
    const index = this.host.functionOf(pc);
    if (index >= 0) {
      code.u8(tail ? W.return_call : W.call);
      code.uleb(index);
      return;
    }
    code.i32(slot);
    code.u8(tail ? W.return_call_indirect : W.call_indirect);
    code.uleb(typeIndex.region);
    code.u8(0);
  }

  /** Pushes the table index for the guest PC in `target`: the region cache's, or 0, the miss stub. */
  private pushSlot(target: number): void {
    const { code } = this;
    const entry = this.temporary(wasmTypes.i32);
    code.get(target);
    code.i32(2);
    code.u8(W.i32_shl);
    code.i32(jumpCacheMask);
    code.u8(W.i32_and);
    code.tee(entry);
    code.mem1(W.i32_load, 2, engineMemory.regionCache + 4);
    code.i32(0);
    code.get(entry);
    code.mem1(W.i32_load, 2, engineMemory.regionCache);
    code.get(target);
    code.u8(W.i32_eq);
    code.u8(W.select);
    this.freeTemporaries[wasmTypes.i32].push(entry);
  }

  // ---- a block

  private emitBlock(node: number): void {
    const block = this.region.blocks[node]!;
    const values = analyseValues(block, this.region.variables, this.host.helpers);
    const edges = this.region.variables.facts[node]!.edges;
    let nextEdge = 0;
    const live: { local: number; type: WasmType; until: number }[] = [];
    const { variables } = this.region;
    const emission: BlockEmission = {
      node,
      block,
      values,
      live,
      written: variables.emptySet(),
      cleared: false,
      lazyLive: variables.lazyLiveness(block),
      op: 0,
      pc: block.pc,
      aux: 0,
      ifs: 0,
    };
    for (let i = 0; i < block.length; i++) {
      const op = block.op[i]!;
      const def = opDefs[op]!;
      emission.op = i;
      switch (def.effect) {
        case 'marker':
          emission.pc = block.x[i]!;
          emission.aux = block.y[i]!;
          break;
        case 'pure':
        case 'get':
          if (values.place[i] !== lazy && values.lastUse[i]! >= 0) this.materialise(emission, i);
          break;
        case 'set':
          this.emitSet(emission, i);
          break;
        case 'load':
          if (values.place[i] !== lazy) this.materialise(emission, i);
          break;
        case 'store':
          if (def.result) this.materialise(emission, i);
          else this.emitStore(emission, i);
          break;
        case 'probe':
          this.emitProbe(emission, i);
          break;
        case 'fence':
          this.code.append(def.wasm!);
          break;
        case 'helper':
          if (this.host.helpers[block.x[i]!]?.pure) {
            this.materialise(emission, i);
            break;
          }
          this.emitHelper(emission, i, edges[nextEdge++]!);
          break;
        case 'structure':
          this.emitStructure(emission, i);
          break;
        case 'terminal': {
          const count = terminalEdges(block, i);
          this.emitTerminal(emission, i, edges.slice(nextEdge, nextEdge + count));
          nextEdge += count;
          break;
        }
      }
      for (let k = live.length - 1; k >= 0; k--) {
        if (live[k]!.until > i) continue;
        this.freeTemporaries[live[k]!.type].push(live[k]!.local);
        live.splice(k, 1);
      }
    }
    // What the block's temporaries were is over now, in whatever order its ops went.
    for (const { local, type } of live) this.freeTemporaries[type].push(local);
  }

  private emitStructure(emission: BlockEmission, i: number): void {
    const { code } = this;
    const op = emission.block.op[i]!;
    if (op === Op.if) {
      this.push(emission, emission.block.a[i]!);
      code.op2(W.if, emptyBlockType);
      this.level++;
      emission.ifs++;
      return;
    }
    if (op === Op.else) {
      code.u8(W.else);
      return;
    }
    code.u8(W.end);
    this.level--;
    emission.ifs--;
  }

  /** Pushes value i. */
  private push(emission: BlockEmission, i: number): void {
    const { values } = emission;
    const place = values.place[i]!;
    if (place >= 0) {
      this.code.get(place);
      return;
    }
    if (place !== lazy) irError(emission.block, i, 'value used before it was made');
    this.emitValue(emission, i);
  }

  /** Computes value i onto the stack. */
  private emitValue(emission: BlockEmission, i: number): void {
    const { code } = this;
    const { block } = emission;
    const op = block.op[i]!;
    const def = opDefs[op]!;
    if (def.wasm) {
      for (const operand of [block.a[i]!, block.b[i]!, block.c[i]!].slice(0, def.args.length))
        this.push(emission, operand);
      code.append(def.wasm);
      if (def.immediates?.[0] === 'lane') code.u8(block.x[i]!);
      return;
    }
    switch (op) {
      case Op.const_i32:
        code.i32(block.x[i]!);
        return;
      case Op.const_i64:
        code.u8(W.i64_const);
        code.sleb64(block.x[i]!, block.y[i]!);
        return;
      case Op.const_f32:
        // Through the integer: a signalling NaN constant keeps its bits.
        code.u8(W.f32_const);
        code.u32(block.x[i]!);
        return;
      case Op.const_f64:
        code.u8(W.f64_const);
        code.u32(block.x[i]!);
        code.u32(block.y[i]!);
        return;
      case Op.const_v128:
        code.append([0xfd, 12]);
        this.bytes16(block, i);
        return;
      case Op.shuffle_i8x16:
        this.push(emission, block.a[i]!);
        this.push(emission, block.b[i]!);
        code.append([0xfd, 13]);
        this.bytes16(block, i);
        return;
      case Op.helper0:
      case Op.helper1:
      case Op.helper2:
      case Op.helper3:
        this.callHelper(emission, i);
        return;
      default:
        break;
    }
    if (def.effect === 'get') return this.emitGet(block, i);
    if (def.effect === 'load' || def.effect === 'store') return this.emitAccess(emission, i);
    if (opNames[op]!.startsWith('fpnan')) return this.emitNan(emission, i);
    irError(block, i, 'the region emitter has no case for it');
  }

  private bytes16(block: IrBlock, i: number): void {
    for (const word of [block.z[i]!, block.x[i]!, block.y[i]!, block.w[i]!]) this.code.u32(word);
  }

  private emitGet(block: IrBlock, i: number): void {
    const type = slotType(block.op[i]!);
    const variable = this.region.variables.variableAt(block.x[i]!);
    if (!variable) {
      this.loadSlot(type, block.x[i]!);
      return;
    }
    this.code.get(this.variableLocal[variable.index]!);
    this.reinterpret(variable.type, type);
  }

  private reinterpret(from: ValueType, to: ValueType): void {
    if (from === to) return;
    const opcode = reinterprets[`${from}>${to}`];
    if (opcode === undefined) throw new Error(`no reinterpretation from ${from} to ${to}`);
    this.code.u8(opcode);
  }

  /** Computes value i into a local that holds it until its last use. */
  private materialise(emission: BlockEmission, i: number): void {
    const { values, block } = emission;
    if (values.place[i]! >= 0) return;
    const type = wasmTypes[opDefs[block.op[i]!]!.result!];
    this.emitValue(emission, i);
    if (values.lastUse[i]! < 0) {
      this.code.u8(W.drop);
      return;
    }
    const home = this.homeOf(emission, i);
    if (home >= 0) {
      this.code.set(home);
      values.place[i] = home;
      return;
    }
    const local = this.temporary(type);
    this.code.set(local);
    values.place[i] = local;
    emission.live.push({ local, type, until: values.lastUse[i]! });
  }

  /** The local of the variable that the next op sets to value i, if the value can live there; else -1. */
  private homeOf(emission: BlockEmission, i: number): number {
    const { values, block } = emission;
    const next = i + 1;
    if (next >= block.length || opDefs[block.op[next]!]!.effect !== 'set' || block.a[next] !== i) return -1;
    const variable = this.region.variables.variableAt(block.x[next]!);
    if (!variable || variable.type !== slotType(block.op[next]!)) return -1;
    return values.overwritten[next]! >= values.lastUse[i]! ? this.variableLocal[variable.index]! : -1;
  }

  private emitSet(emission: BlockEmission, i: number): void {
    const { block } = emission;
    const type = slotType(block.op[i]!);
    const value = block.a[i]!;
    const variable = this.region.variables.variableAt(block.x[i]!);
    if (!variable) {
      this.storeSlot(type, block.x[i]!, () => this.push(emission, value));
      return;
    }
    const local = this.variableLocal[variable.index]!;
    if (emission.values.place[value] !== local) {
      this.push(emission, value);
      this.reinterpret(type, variable.type);
      this.code.set(local);
    }
    emission.written[variable.index >> 5]! |= 1 << (variable.index & 31);
  }

  // ---- guest memory

  /** Branch depth of the fault exit for the variables dirty here. */
  private faultExit(emission: BlockEmission): number {
    const dirty = emission.written.slice();
    if (!emission.cleared) {
      const dirtyIn = this.region.variables.dirtyIn[emission.node]!;
      for (let w = 0; w < dirty.length; w++) dirty[w]! |= dirtyIn[w]!;
    }
    // Execution may go on after all (`PlaneCheckedMemory`): what is live must be right, seen or not.
    this.region.variables.removeDead(dirty, emission.lazyLive[emission.op]!);
    const key = dirty.join();
    let index = this.faultExitOf.get(key);
    if (index === undefined) {
      index = this.faultExits.length;
      this.faultExits.push(dirty);
      this.faultExitOf.set(key, index);
    }
    return this.level + index;
  }

  private emitCheck(emission: BlockEmission, offset: number, bytes: number, access: number): void {
    const site = this.host.addSite({ pc: emission.pc, aux: emission.aux, offset, bytes, access });
    this.code.i32(site);
    this.code.set(this.siteLocal);
    this.host.memory.emitCheck(this.code, this.addressLocal, offset, bytes, access, this.faultExit(emission));
  }

  /** A load (value on the stack) or cmpxchg. */
  private emitAccess(emission: BlockEmission, i: number): void {
    const { code } = this;
    const { block } = emission;
    const access = memoryAccess[opNames[block.op[i]!]!]!;
    const offset = block.x[i]!;
    const isCmpxchg = access.write;
    if (isCmpxchg) {
      this.settleLoads(emission, block.b[i]!);
      this.settleLoads(emission, block.c[i]!);
    }
    this.push(emission, block.a[i]!);
    code.set(this.addressLocal);
    if (!(block.y[i]! & MemoryFlag.probed)) this.emitCheck(emission, offset, access.bytes, isCmpxchg ? 3 : 1);
    const immediate = this.host.memory.emitAddress(code, this.addressLocal, offset);
    if (isCmpxchg) {
      this.push(emission, block.b[i]!);
      this.push(emission, block.c[i]!);
    }
    code.append(access.wasm);
    code.u8(isCmpxchg ? Math.log2(access.bytes) : 0);
    code.uleb(immediate);
  }

  private emitStore(emission: BlockEmission, i: number): void {
    const { code } = this;
    const { block } = emission;
    const access = memoryAccess[opNames[block.op[i]!]!]!;
    const offset = block.x[i]!;
    const value = block.b[i]!;
    this.settleLoads(emission, value);
    this.push(emission, block.a[i]!);
    code.set(this.addressLocal);
    if (!(block.y[i]! & MemoryFlag.probed)) this.emitCheck(emission, offset, access.bytes, 2);
    const immediate = this.host.memory.emitAddress(code, this.addressLocal, offset);
    this.push(emission, value);
    code.append(access.wasm);
    code.u8(0);
    code.uleb(immediate);
  }

  /** Computes a value now if there is a load in it: that would use the address local of the access it belongs to. */
  private settleLoads(emission: BlockEmission, value: number): void {
    const { values } = emission;
    if (values.place[value] !== lazy || !values.hasLoad[value]) return;
    values.place[value] = pending;
    this.materialise(emission, value);
  }

  private emitProbe(emission: BlockEmission, i: number): void {
    const { block } = emission;
    this.push(emission, block.a[i]!);
    this.code.set(this.addressLocal);
    this.emitCheck(emission, 0, block.x[i]!, block.y[i]!);
  }

  private emitNan(emission: BlockEmission, i: number): void {
    const { code } = this;
    const { block, values } = emission;
    const op = block.op[i]!;
    const type = opDefs[op]!.result === 'f32' ? 'f32' : 'f64';
    const wasmType = wasmTypes[type];
    const own: number[] = [];
    const inLocal = (value: number, fresh: boolean): number => {
      if (!fresh && values.place[value]! >= 0) return values.place[value]!;
      const local = this.temporary(wasmType);
      this.push(emission, value);
      code.set(local);
      own.push(local);
      return local;
    };
    const operands = [block.b[i]!, block.c[i]!]
      .slice(0, opDefs[op]!.args.length - 1)
      .map((value) => inLocal(value, false));
    const result = inLocal(block.a[i]!, true);
    const bits = this.temporary(nanScratchType[type]);
    emitFpNan(code, type, result, operands, { bits });
    code.get(result);
    this.freeTemporaries[nanScratchType[type]].push(bits);
    this.freeTemporaries[wasmType].push(...own);
  }

  // ---- helpers and terminals

  private callHelper(emission: BlockEmission, i: number): void {
    const { block } = emission;
    this.code.i32(block.x[i]!);
    for (const value of [block.a[i]!, block.b[i]!, block.c[i]!]) {
      if (value >= 0) this.push(emission, value);
      else this.code.i32(0);
    }
    this.code.u8(W.call);
    this.code.uleb(importedFunction.helper);
  }

  private emitHelper(emission: BlockEmission, i: number, edge: Edge): void {
    this.flush(this.region.variables.dirtyAt(emission.node, edge));
    this.materialise(emission, i);
    const all = this.region.variables.emptySet().fill(-1);
    this.loadVariables(all);
    this.loadBudget();
    if (emission.ifs > 0) return;
    emission.written.fill(0);
    emission.cleared = true;
  }

  private emitTerminal(emission: BlockEmission, i: number, edges: readonly Edge[]): void {
    const { code } = this;
    const { block, node } = emission;
    const op = block.op[i]!;
    const edge = edges[0]!;
    switch (op) {
      case Op.jump:
        if (edge.flush) this.flush(this.region.variables.dirtyAt(node, edge));
        this.goTo(node, edge, block.x[i]!);
        return;
      case Op.branch:
        this.emitBranch(emission, i, edges);
        return;
      case Op.switch:
        this.emitSwitch(emission, i, edges);
        return;
      case Op.call:
      case Op.call_indirect:
        this.emitCall(emission, i, edge);
        return;
      case Op.return:
        this.pushFlushed(emission, i, edge);
        code.u8(W.return);
        return;
      case Op.jump_indirect: {
        this.pushFlushed(emission, i, edge);
        const target = this.temporary(wasmTypes.i32);
        code.set(target);
        code.get(depthLocal);
        code.get(target);
        this.pushSlot(target);
        code.u8(W.return_call_indirect);
        code.uleb(typeIndex.region);
        code.u8(0);
        this.freeTemporaries[wasmTypes.i32].push(target);
        return;
      }
      case Op.exit:
        this.emitExit(emission, i, edge);
        return;
      default:
        irError(block, i, 'the region emitter has no case for this terminal');
    }
  }

  /** Pushes operand a, then writes the state back. */
  private pushFlushed(emission: BlockEmission, i: number, edge: Edge): void {
    this.push(emission, emission.block.a[i]!);
    this.flush(this.region.variables.dirtyAt(emission.node, edge));
  }

  private emitBranch(emission: BlockEmission, i: number, edges: readonly Edge[]): void {
    const { code } = this;
    const { block, node } = emission;
    this.push(emission, block.a[i]!);
    code.op2(W.if, emptyBlockType);
    this.level++;
    this.flushAndGo(node, edges[0]!, block.x[i]!);
    this.level--;
    code.u8(W.end);
    this.flushAndGo(node, edges[1]!, block.y[i]!);
  }

  private flushAndGo(node: number, edge: Edge, pc: number): void {
    if (edge.flush) this.flush(this.region.variables.dirtyAt(node, edge));
    this.goTo(node, edge, pc);
  }

  private emitSwitch(emission: BlockEmission, i: number, edges: readonly Edge[]): void {
    const { code } = this;
    const { graph } = this.region;
    const { block, node } = emission;
    const table = block.tables[block.x[i]!]!;
    const from = graph.position[node]!;
    // Targets without a label to branch to (outside, backward) get a block around the br_table.
    const direct = (edge: Edge): boolean => edge.node >= 0 && graph.position[edge.node]! > from;
    const detours: number[] = [];
    for (let k = 0; k < table.length; k++)
      if (!direct(edges[k]!) && !detours.includes(table[k]!)) detours.push(table[k]!);
    this.push(emission, block.a[i]!);
    const index = this.temporary(wasmTypes.i32);
    code.set(index);
    for (let k = 0; k < detours.length; k++) code.op2(W.block, emptyBlockType);
    code.get(index);
    this.freeTemporaries[wasmTypes.i32].push(index);
    code.u8(W.br_table);
    code.uleb(table.length - 1);
    for (let k = 0; k < table.length; k++) {
      const edge = edges[k]!;
      if (direct(edge)) code.uleb(this.labelDepth('merge', graph.position[edge.node]!) + detours.length);
      else code.uleb(detours.length - 1 - detours.indexOf(table[k]!));
    }
    for (let d = detours.length - 1; d >= 0; d--) {
      code.u8(W.end);
      this.level += d;
      this.flushAndGo(node, edges[table.indexOf(detours[d]!)]!, detours[d]!);
      this.level -= d;
    }
  }

  private emitCall(emission: BlockEmission, i: number, edge: Edge): void {
    const { code } = this;
    const { block, node } = emission;
    const direct = block.op[i] === Op.call;
    const returnPc = direct ? block.y[i]! : block.x[i]!;
    const target = this.temporary(wasmTypes.i32);
    if (!direct) {
      this.push(emission, block.a[i]!);
      code.set(target);
    }
    this.flush(this.region.variables.dirtyAt(node, edge));
    const pushTarget = (): void => (direct ? code.i32(block.x[i]!) : code.get(target));
    // Too deep: unwind to the dispatcher, which goes on at the callee.
    code.get(depthLocal);
    code.u8(W.i32_eqz);
    code.op2(W.if, emptyBlockType);
    pushTarget();
    code.u8(W.return);
    code.u8(W.end);
    code.get(depthLocal);
    code.i32(1);
    code.u8(W.i32_sub);
    pushTarget();
    if (direct) this.callRegion(block.x[i]!, this.host.slotOf(block.x[i]!, true), false);
    else {
      this.pushSlot(target);
      code.u8(W.call_indirect);
      code.uleb(typeIndex.region);
      code.u8(0);
    }
    this.continueAt(node, edge, returnPc, target);
    this.freeTemporaries[wasmTypes.i32].push(target);
  }

  /** With the PC where the guest went on the stack: goes on at `pc` if that is it, else returns it. */
  private continueAt(node: number, edge: Edge, pc: number, scratch: number): void {
    const { code } = this;
    if (edge.node < 0) {
      code.u8(W.return);
      return;
    }
    code.tee(scratch);
    code.i32(pc);
    code.u8(W.i32_ne);
    code.op2(W.if, emptyBlockType);
    code.get(scratch);
    code.u8(W.return);
    code.u8(W.end);
    this.goTo(node, edge, pc);
  }

  private emitExit(emission: BlockEmission, i: number, edge: Edge): void {
    const { code } = this;
    const { block, node } = emission;
    this.storeHeader('exitArg', () => this.push(emission, block.a[i]!));
    this.flush(this.region.variables.dirtyAt(node, edge));
    if (block.x[i] !== ExitReason.syscall) {
      this.exitTo(block.x[i]!, () => code.i32(block.y[i]!));
      return;
    }
    this.storeHeader('pc', () => code.i32(block.y[i]!));
    code.u8(W.call);
    code.uleb(importedFunction.syscall);
    const scratch = this.temporary(wasmTypes.i32);
    this.continueAt(node, edge, block.y[i]!, scratch);
    this.freeTemporaries[wasmTypes.i32].push(scratch);
  }
}

interface BlockEmission {
  readonly node: number;
  readonly block: IrBlock;
  readonly values: BlockValues;
  /** Temporaries in use and the op after which they are free. */
  readonly live: { local: number; type: WasmType; until: number }[];
  /** Variables set so far (since the last helper). */
  readonly written: VariableSet;
  cleared: boolean;
  /** `RegionVariables.lazyLiveness` of the block. */
  readonly lazyLive: Int32Array;
  /** Op being emitted. */
  op: number;
  /** Guest instruction being emitted. */
  pc: number;
  aux: number;
  ifs: number;
}

/** How many edges `RegionVariables` has recorded for a terminal. */
function terminalEdges(block: IrBlock, i: number): number {
  if (block.op[i] === Op.branch) return 2;
  return block.op[i] === Op.switch ? block.tables[block.x[i]!]!.length : 1;
}

const hex = (value: number): string => (value >>> 0).toString(16);

export { pcLocal };
