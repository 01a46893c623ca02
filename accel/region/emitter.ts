import { countingPoints } from '#tcg/counting.ts';
import { ExitReason, leftRegion } from '#tcg/cpu-page.ts';
import { importedFunction, type SpaceLayout, typeIndex } from '#tcg/interpreter-module.ts';
import { engineMemory, jumpCacheMask } from '#tcg/interpreter-ops.ts';
import { type IrBlock, irError } from '#tcg/ir.ts';
import { slotBytes } from '#tcg/op-tables.ts';
import { Op, opDefs } from '#tcg/ops.ts';
import type { Helper } from '#tcg/target.ts';
import { Code, emptyBlockType, RelocationKind, W, type WasmType, wasmTypes } from '#tcg/wasm/code.ts';
import { noCheckPlan, planChecks } from './check-plan.ts';
import { depthLocal, RegionFrame } from './frame.ts';
import type { RegionGraph } from './graph.ts';
import type { CellLiveness } from './liveness.ts';
import { type InheritedNan, NanEmitter } from './nan-emitter.ts';
import { type EdgeKind, type EdgeNans, planNans } from './nan-plan.ts';
import { noneSunk, planSinking } from './sinking.ts';
import type { TrapSite } from './sites.ts';
import { type AccessHost, type BlockEmission, ValueEmitter } from './value-emitter.ts';
import { analyseValues, lazy } from './values.ts';
import type { Edge, RegionVariables, VariableSet } from './variables.ts';

/** A region ready to be emitted: optimized blocks (node 0 is the entry) and their control flow. */
export interface Region {
  readonly pc: number;
  readonly blocks: readonly IrBlock[];
  readonly graph: RegionGraph;
  readonly variables: RegionVariables;
  readonly liveness: CellLiveness;
}

/** What the emitter asks of the engine. */
export interface EmitterHost extends AccessHost {
  readonly layout: SpaceLayout;
  readonly helpers: readonly Helper[];
  /** Sets may be put off (`planSinking`). */
  readonly sinks: boolean;
  /** Accesses may be tested together (`planChecks`). */
  readonly groupsChecks: boolean;
  /** Count the guest instructions run, in `engineMemory.regionCounter`. */
  readonly countInstructions: boolean;
  /** Table index for calls to guest `pc`, given out at first asking; -1 if it should be reached by the dispatcher. */
  slotOf(pc: number, call: boolean): number;
  /** Machine mode: key of the code page of `pc` (`AddressTranslation.emitCodeKey`). */
  codeKey?(pc: number): number;
  /** Wasm function index if `pc` is a region of the module being built, else -1. */
  functionOf(pc: number): number;
}

interface Label {
  readonly kind: 'outer' | 'loop' | 'merge';
  readonly position: number;
  readonly level: number;
}

/** Emits one region as a wasm function (depth, pc) → pc with structured control flow and registers in locals. */
export class RegionEmitter {
  readonly frame: RegionFrame;
  private readonly region: Region;
  private readonly host: EmitterHost;
  private readonly values: ValueEmitter;
  private readonly nans: NanEmitter;
  /** What the block emitted next inherits. */
  private inherited: readonly InheritedNan[] = [];
  private readonly labels: Label[] = [];
  private level = 0;
  /** Dirty sets of the fault exits, in the order of their labels outside the body. */
  private readonly faultExits: VariableSet[] = [];
  private readonly faultExitOf = new Map<string, number>();

  constructor(region: Region, host: EmitterHost) {
    this.region = region;
    this.host = host;
    const hasLoops = region.graph.loopHeader.some((header) => header !== 0);
    this.frame = new RegionFrame(region.variables, hasLoops);
    this.values = new ValueEmitter(this.frame, host, (dirty) => this.faultDepth(dirty));
    this.nans = new NanEmitter(this.frame, this.values);
  }

  /** The unchecked accesses of what was emitted. */
  get trapSites(): readonly TrapSite[] {
    return this.values.trapSites;
  }

  /** Writes the function's body into `code` (without the closing `end`) and its locals into `locals`. */
  emit(): void {
    const { region } = this;
    const { code } = this.frame;
    const body = new Code(1 << 14);
    // The body is written first: how many fault exits lie around it is known only then.
    const outer = this.frame.divert(body);
    this.emitEntry();
    this.emitTree(0);
    this.frame.code.u8(W.unreachable);
    this.frame.divert(outer);
    const exits = this.faultExits.length;
    if (exits > 0) code.op2(W.block, emptyBlockType);
    for (let i = 0; i < exits; i++) code.op2(W.block, emptyBlockType);
    for (const site of this.trapSites) site.at += code.length;
    code.appendCode(body);
    if (exits === 0) return;
    this.faultExits.forEach((dirty, i) => {
      code.u8(W.end);
      this.frame.storeVariables(dirty);
      if (i < exits - 1) code.br(exits - 1 - i);
    });
    code.u8(W.end);
    this.frame.storeHeader('faultAddress', () => code.get(this.frame.service.address));
    this.frame.storeHeader('exitArg', () => code.get(this.frame.service.site));
    this.frame.storeHeader('exitReason', () => code.i32(ExitReason.fault));
    this.frame.storeHeader('pc', () => code.i32(region.pc));
    this.frame.storeBudget();
    code.i32(leftRegion);
  }

  /** True if the region calls, or jumps to other code than its caller's. */
  private goesOnElsewhere(): boolean {
    const { blocks, variables } = this.region;
    return blocks.some((block, node) =>
      variables.facts[node]!.edges.some(({ op, node: to }) => {
        switch (block.op[op]) {
          case Op.call:
          case Op.call_indirect:
          case Op.jump_indirect:
            return true;
          case Op.jump:
          case Op.branch:
          case Op.switch:
            return to < 0;
          default:
            return false;
        }
      }),
    );
  }

  private emitEntry(): void {
    const { region } = this;
    const { code } = this.frame;
    const { translation } = this.host.memory;
    this.frame.setCpuBase(region.pc, this.host.layout.cpuBase);
    if (translation) {
      translation.emitCodeKey(code, () => code.i32(region.pc));
      code.i32Relocated(this.host.codeKey!(region.pc), RelocationKind.key, region.pc);
      code.u8(W.i32_ne);
      code.op2(W.if, emptyBlockType);
      this.frame.exitTo(ExitReason.miss, () => code.i32(region.pc));
      code.u8(W.end);
    }
    // Recursion and jumps from region to region make loops without back-edges: what may be part of one spends at entry.
    if (this.goesOnElsewhere()) {
      const budget = this.frame.temporary(wasmTypes.i32);
      this.frame.storeHeader('budget', () => {
        this.frame.loadHeader('budget');
        code.i32(1);
        code.u8(W.i32_sub);
        code.tee(budget);
      });
      code.get(budget);
      code.i32(0);
      code.u8(W.i32_lt_s);
      code.unlikely();
      code.op2(W.if, emptyBlockType);
      this.frame.exitTo(ExitReason.budget, () => code.i32(region.pc));
      code.u8(W.end);
      this.frame.release(wasmTypes.i32, budget);
    }
    this.frame.loadBudget();
    this.frame.loadVariables(region.variables.liveIn[0]!);
  }

  // ---- control flow (Ramsey, "Beyond Relooper": the dominator tree gives the nesting)

  private emitTree(position: number): void {
    const { code } = this.frame;
    const { graph } = this.region;
    const merges = graph.children[position]!.filter((child) => graph.merge[child]).sort((a, b) => b - a);
    if (!graph.loopHeader[position]) {
      this.emitWithin(position, merges, 0);
      return;
    }
    const kinds: Label['kind'][] = graph.nested[position] ? ['outer', 'loop'] : ['loop'];
    for (const kind of kinds) {
      code.op2(W.loop, emptyBlockType);
      this.labels.push({ kind, position, level: this.level++ });
    }
    this.emitWithin(position, merges, 0);
    for (const _ of kinds) {
      this.labels.pop();
      this.level--;
      code.u8(W.end);
      code.u8(W.unreachable);
    }
  }

  private emitWithin(position: number, merges: readonly number[], at: number): void {
    const { code } = this.frame;
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

  /** Branch depth of the fault exit that stores `dirty`. */
  private faultDepth(dirty: VariableSet): number {
    const key = dirty.join();
    let index = this.faultExitOf.get(key);
    if (index === undefined) {
      index = this.faultExits.length;
      this.faultExits.push(dirty);
      this.faultExitOf.set(key, index);
    }
    return this.level + index;
  }

  /** Goes from `node` along `edge` to `pc`. What must be in memory already is, if the edge flushes. */
  private goTo(node: number, edge: Edge, pc: number, atInterrupt?: () => void): void {
    const { region } = this;
    const { code } = this.frame;
    const { graph } = region;
    if (edge.node < 0) {
      this.leaveTo(pc);
      return;
    }
    const from = graph.position[node]!;
    const to = graph.position[edge.node]!;
    if (graph.irreducible(from, to)) {
      if (!edge.reload) this.frame.flush(region.variables.dirtyAt(node, edge));
      this.returnPc(pc);
      return;
    }
    if (edge.reload) {
      this.frame.loadVariables(region.variables.liveIn[edge.node]!);
      this.frame.loadBudget();
    }
    if (to <= from) {
      this.spendBudget(pc, edge.reload ? undefined : region.variables.dirtyAtInterrupt(node, edge), atInterrupt);
      code.br(this.labelDepth(graph.isOuter(from, to) ? 'outer' : 'loop', to));
      return;
    }
    if (graph.merge[to]) {
      code.br(this.labelDepth('merge', to));
      return;
    }
    this.emitTree(to);
  }

  private spendBudget(pc: number, dirty: VariableSet | undefined, atInterrupt?: () => void): void {
    const { code } = this.frame;
    code.get(this.frame.service.budget);
    code.i32(1);
    code.u8(W.i32_sub);
    code.tee(this.frame.service.budget);
    code.i32(0);
    code.u8(W.i32_lt_s);
    code.unlikely();
    code.op2(W.if, emptyBlockType);
    atInterrupt?.();
    if (dirty) this.frame.storeVariables(dirty);
    this.frame.storeBudget();
    this.frame.exitTo(ExitReason.budget, () => code.i32(pc));
    code.u8(W.end);
  }

  /** Leaves the region for guest `pc`; the state is in memory. */
  private leaveTo(pc: number): void {
    const { code } = this.frame;
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
    this.frame.code.i32(pc);
    this.frame.code.u8(W.return);
  }

  /** Calls (or tail-calls) guest `pc` with (depth, pc) on the stack. */
  private callRegion(pc: number, slot: number, tail: boolean): void {
    const { code } = this.frame;
    const index = this.host.functionOf(pc);
    if (index >= 0) {
      code.u8(tail ? W.return_call : W.call);
      code.uleb(index);
      return;
    }
    code.i32Relocated(slot, RelocationKind.slot, pc);
    code.u8(tail ? W.return_call_indirect : W.call_indirect);
    code.uleb(typeIndex.region);
    code.u8(0);
  }

  /** Pushes the table index for the guest PC in `target`: the region cache's, or 0, the miss stub. */
  private pushSlot(target: number): void {
    const { code } = this.frame;
    const entry = this.frame.temporary(wasmTypes.i32);
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
    this.frame.release(wasmTypes.i32, entry);
  }

  // ---- a block

  private emitBlock(node: number): void {
    const block = this.region.blocks[node]!;
    const { inherited } = this;
    this.inherited = [];
    const { host } = this;
    const { variables } = this.region;
    const edges = variables.facts[node]!.edges;
    const { helpers } = host;
    const kindOf = (edge: Edge): EdgeKind => this.edgeKind(node, edge);
    const plan = planNans({ block, variables, node, helpers, inherited, kindOf });
    const sunk = host.sinks ? planSinking(block, variables, edges, this.region.liveness, helpers) : noneSunk;
    const values = analyseValues(block, variables, helpers, sunk, plan);
    const edgesAt = (i: number): Edge[] => edges.filter(({ op }) => op === i);
    const live: { local: number; type: WasmType; until: number }[] = [];
    const emission: BlockEmission = {
      node,
      block,
      values,
      sunk,
      checks: host.groupsChecks && host.memory.pushRefused ? planChecks(block, host.memory, helpers) : noCheckPlan,
      inherited,
      live,
      written: variables.emptySet(),
      cleared: false,
      pc: block.pc,
      aux: 0,
      ifs: 0,
    };
    const counts = this.host.countInstructions ? countingPoints(block) : undefined;
    for (let i = 0; i < block.length; i++) {
      const op = block.op[i]!;
      const def = opDefs[op]!;
      const count = counts?.get(i);
      if (count !== undefined) this.emitCount(count);
      if (def.effect !== 'terminal' || op === Op.switch) this.settle(emission, i);
      const check = plan.before.get(i);
      if (check) this.nans.emitCheck(emission, check);
      switch (def.effect) {
        case 'marker':
          emission.pc = block.x[i]!;
          emission.aux = block.y[i]!;
          break;
        case 'pure':
        case 'get':
          if (values.place[i] !== lazy && values.lastUse[i]! >= 0) this.values.materialise(emission, i);
          break;
        case 'set':
          if (!sunk.has(i)) this.values.emitSet(emission, i);
          break;
        case 'load':
          if (values.place[i] !== lazy) this.values.materialise(emission, i);
          break;
        case 'store':
          if (def.result) this.values.materialise(emission, i);
          else this.values.emitStore(emission, i);
          break;
        case 'probe':
          this.values.emitProbe(emission, i);
          break;
        case 'fence':
          this.frame.code.append(def.wasm!);
          break;
        case 'helper':
          if (this.host.helpers[block.x[i]!]?.pure) {
            this.values.materialise(emission, i);
            break;
          }
          this.emitHelper(emission, i, edgesAt(i)[0]!);
          break;
        case 'structure':
          this.emitStructure(emission, i);
          break;
        case 'terminal':
          this.emitTerminal(emission, i, edgesAt(i), plan.edges);
          break;
      }
      for (let k = live.length - 1; k >= 0; k--) {
        if (live[k]!.until > i) continue;
        this.frame.release(live[k]!.type, live[k]!.local);
        live.splice(k, 1);
      }
    }
    // What the block's temporaries were is over now, in whatever order its ops went.
    for (const { local, type } of live) this.frame.release(type, local);
  }

  private emitCount(instructions: number): void {
    const { code } = this.frame;
    code.i32(engineMemory.regionCounter);
    code.i32(engineMemory.regionCounter);
    code.mem1(W.i64_load, 3, 0);
    code.i32(instructions);
    code.u8(W.i64_extend_i32_u);
    code.u8(W.i64_add);
    code.mem1(W.i64_store, 3, 0);
  }

  /** Does the sets that were put off to op `at`; with `edge`: those of them that are needed along that edge of it. */
  private settle(emission: BlockEmission, at: number, edge?: Edge): void {
    for (const [set, points] of emission.sunk) {
      if (!points.includes(at)) continue;
      const { op, x } = emission.block;
      if (edge && !this.region.liveness.isLiveAlong(edge, x[set]!, slotBytes[op[set]!]!)) continue;
      this.values.emitSet(emission, set);
    }
  }

  /** Writes the state back where `edge` asks for it, sets that were put off done. */
  private flushFor(emission: BlockEmission, edge: Edge): void {
    this.settle(emission, edge.op, edge);
    if (edge.flush) this.frame.flush(this.frame.variables.dirtyAt(emission.node, edge));
  }

  private emitStructure(emission: BlockEmission, i: number): void {
    const { code } = this.frame;
    const op = emission.block.op[i]!;
    if (op === Op.if) {
      this.values.push(emission, emission.block.a[i]!);
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

  // ---- helpers and terminals

  private emitHelper(emission: BlockEmission, i: number, edge: Edge): void {
    this.frame.flush(this.frame.variables.dirtyAt(emission.node, edge));
    this.values.materialise(emission, i);
    const all = this.frame.variables.emptySet().fill(-1);
    this.frame.loadVariables(all);
    this.frame.loadBudget();
    if (emission.ifs > 0) return;
    emission.written.fill(0);
    emission.cleared = true;
  }

  private emitTerminal(
    emission: BlockEmission,
    i: number,
    edges: readonly Edge[],
    nans: ReadonlyMap<Edge, EdgeNans>,
  ): void {
    const { code } = this.frame;
    const { block, node } = emission;
    const op = block.op[i]!;
    const edge = edges[0]!;
    switch (op) {
      case Op.jump:
        this.followExact(emission, edge, nans.get(edge));
        return;
      case Op.branch:
        this.emitBranch(emission, i, edges, nans);
        return;
      case Op.switch:
        this.emitSwitch(emission, i, edges);
        return;
      case Op.call:
        this.flushFor(emission, edge);
        if (edge.flush) this.callDirectly(node, edge, edge.pc, block.y[i]!);
        else this.goTo(node, edge, edge.pc);
        return;
      case Op.call_indirect:
        this.emitIndirectCall(emission, i, edges);
        return;
      case Op.return:
        this.emitReturn(emission, i, edges);
        return;
      case Op.jump_indirect: {
        this.pushFlushed(emission, i, edge);
        const target = this.frame.temporary(wasmTypes.i32);
        code.set(target);
        code.get(depthLocal);
        code.get(target);
        this.pushSlot(target);
        code.u8(W.return_call_indirect);
        code.uleb(typeIndex.region);
        code.u8(0);
        this.frame.release(wasmTypes.i32, target);
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
    this.values.push(emission, emission.block.a[i]!);
    this.flushFor(emission, edge);
  }

  private emitBranch(
    emission: BlockEmission,
    i: number,
    edges: readonly Edge[],
    nans: ReadonlyMap<Edge, EdgeNans>,
  ): void {
    const { code } = this.frame;
    const { block } = emission;
    this.values.push(emission, block.a[i]!);
    code.op2(W.if, emptyBlockType);
    this.level++;
    this.followExact(emission, edges[0]!, nans.get(edges[0]!));
    this.level--;
    code.u8(W.end);
    this.followExact(emission, edges[1]!, nans.get(edges[1]!));
  }

  /** Takes the edge of a jump or branch, with the NaNs it needs made exact. */
  private followExact(emission: BlockEmission, edge: Edge, nans: EdgeNans | undefined): void {
    if (nans?.check) this.nans.emitCheck(emission, nans.check);
    const cold = nans?.interrupted;
    const follow = (): void => this.follow(emission, edge, cold && (() => this.nans.emitCheck(emission, cold)));
    if (!nans?.inherited) {
      follow();
      return;
    }
    this.nans.bequeath(emission, nans.inherited, (inherited) => {
      this.inherited = inherited;
      follow();
    });
  }

  private edgeKind(node: number, edge: Edge): EdgeKind {
    const { graph } = this.region;
    if (edge.node < 0) return 'away';
    const from = graph.position[node]!;
    const to = graph.position[edge.node]!;
    if (graph.irreducible(from, to)) return 'away';
    if (to <= from) return 'back';
    return graph.merge[to] || graph.loopHeader[to] ? 'merge' : 'only';
  }

  /** Takes a jump's edge. */
  private follow(emission: BlockEmission, edge: Edge, atInterrupt?: () => void): void {
    const { node } = emission;
    if (emission.block.op[edge.op] !== Op.switch) this.flushFor(emission, edge);
    else if (edge.flush) this.frame.flush(this.frame.variables.dirtyAt(node, edge));
    if (edge.tailReturnPc === undefined) this.goTo(node, edge, edge.pc, atInterrupt);
    else this.callDirectly(node, edge, edge.pc, edge.tailReturnPc);
  }

  private emitSwitch(emission: BlockEmission, i: number, edges: readonly Edge[]): void {
    const { code } = this.frame;
    const { graph } = this.region;
    const { block, node } = emission;
    const table = block.tables[block.x[i]!]!;
    const from = graph.position[node]!;
    // Targets without a label to branch to (outside, backward) get a block around the br_table.
    const direct = (edge: Edge): boolean => edge.node >= 0 && !edge.flush && graph.position[edge.node]! > from;
    const detours: number[] = [];
    for (let k = 0; k < table.length; k++)
      if (!direct(edges[k]!) && !detours.includes(table[k]!)) detours.push(table[k]!);
    this.values.push(emission, block.a[i]!);
    const index = this.frame.temporary(wasmTypes.i32);
    code.set(index);
    for (let k = 0; k < detours.length; k++) code.op2(W.block, emptyBlockType);
    code.get(index);
    this.frame.release(wasmTypes.i32, index);
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
      this.follow(emission, edges[table.indexOf(detours[d]!)]!);
      this.level -= d;
    }
  }

  /** Takes `edge` if `target` holds its PC. */
  private guess(emission: BlockEmission, edge: Edge, target: number): void {
    const { code } = this.frame;
    code.get(target);
    code.i32(edge.pc);
    code.u8(W.i32_eq);
    code.op2(W.if, emptyBlockType);
    this.level++;
    this.settle(emission, edge.op, edge);
    this.goTo(emission.node, edge, edge.pc);
    this.level--;
    code.u8(W.end);
  }

  private emitReturn(emission: BlockEmission, i: number, edges: readonly Edge[]): void {
    const { code } = this.frame;
    const out = edges.at(-1)!;
    if (edges.length === 1 && !out.flush) {
      this.follow(emission, out);
      return;
    }
    if (edges.length === 1) {
      this.pushFlushed(emission, i, out);
      code.u8(W.return);
      return;
    }
    const target = this.frame.temporary(wasmTypes.i32);
    this.values.push(emission, emission.block.a[i]!);
    code.set(target);
    this.guess(emission, edges[0]!, target);
    this.flushFor(emission, out);
    code.get(target);
    code.u8(W.return);
    this.frame.release(wasmTypes.i32, target);
  }

  private emitIndirectCall(emission: BlockEmission, i: number, edges: readonly Edge[]): void {
    const { code } = this.frame;
    const { block, node } = emission;
    const edge = edges.at(-1)!;
    const target = this.frame.temporary(wasmTypes.i32);
    this.values.push(emission, block.a[i]!);
    code.set(target);
    for (const guess of edges.slice(0, -1)) this.guess(emission, guess, target);
    this.flushFor(emission, edge);
    this.callTarget(
      node,
      edge,
      block.x[i]!,
      target,
      () => code.get(target),
      () => {
        this.pushSlot(target);
        code.u8(W.call_indirect);
        code.uleb(typeIndex.region);
        code.u8(0);
      },
    );
    this.frame.release(wasmTypes.i32, target);
  }

  /** Calls `pc` with the state in memory, and goes on along `edge` if it comes back to `returnPc`. */
  private callDirectly(node: number, edge: Edge, pc: number, returnPc: number): void {
    const { code } = this.frame;
    const slot = this.host.slotOf(pc, true);
    const scratch = this.frame.temporary(wasmTypes.i32);
    this.callTarget(
      node,
      edge,
      returnPc,
      scratch,
      () => code.i32(pc),
      () => this.callRegion(pc, slot, false),
    );
    this.frame.release(wasmTypes.i32, scratch);
  }

  private callTarget(
    node: number,
    edge: Edge,
    returnPc: number,
    scratch: number,
    pushTarget: () => void,
    call: () => void,
  ): void {
    const { code } = this.frame;
    // Too deep: unwind to the dispatcher, which goes on at the callee.
    code.get(depthLocal);
    code.u8(W.i32_eqz);
    code.unlikely();
    code.op2(W.if, emptyBlockType);
    pushTarget();
    code.u8(W.return);
    code.u8(W.end);
    code.get(depthLocal);
    code.i32(1);
    code.u8(W.i32_sub);
    pushTarget();
    call();
    this.continueAt(node, edge, returnPc, scratch);
  }

  /** With the PC where the guest went on the stack: goes on at `pc` if that is it, else returns it. */
  private continueAt(node: number, edge: Edge, pc: number, scratch: number): void {
    const { code } = this.frame;
    if (edge.node < 0) {
      code.u8(W.return);
      return;
    }
    code.tee(scratch);
    code.i32(pc);
    code.u8(W.i32_ne);
    code.unlikely();
    code.op2(W.if, emptyBlockType);
    code.get(scratch);
    code.u8(W.return);
    code.u8(W.end);
    this.goTo(node, edge, pc);
  }

  private emitExit(emission: BlockEmission, i: number, edge: Edge): void {
    const { code } = this.frame;
    const { block, node } = emission;
    this.frame.storeHeader('exitArg', () => this.values.push(emission, block.a[i]!));
    this.flushFor(emission, edge);
    if (block.x[i] !== ExitReason.syscall) {
      this.frame.exitTo(block.x[i]!, () => code.i32(block.y[i]!));
      return;
    }
    this.frame.storeHeader('pc', () => code.i32(block.y[i]!));
    code.u8(W.call);
    code.uleb(importedFunction.syscall);
    const scratch = this.frame.temporary(wasmTypes.i32);
    this.continueAt(node, edge, block.y[i]!, scratch);
    this.frame.release(wasmTypes.i32, scratch);
  }
}

const hex = (value: number): string => (value >>> 0).toString(16);
