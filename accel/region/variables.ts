import type { IrBlock } from '#tcg/ir.ts';
import type { AccessBits, MemoryModel } from '#tcg/memory-model.ts';
import { memoryAccess } from '#tcg/memory-ops.ts';
import { Op, opDefs, opNames, type ValueType, valueBytes } from '#tcg/ops.ts';
import { privateSlots } from '#tcg/passes/dead-code.ts';
import type { Helper, Target } from '#tcg/target.ts';
import { LazyCells } from './entry-liveness.ts';
import { edgesOf, type FlowEdge, type RegionFlow } from './flow.ts';
import { restores } from './forwarding.ts';
import type { CellLiveness } from './liveness.ts';

/** A state slot a region keeps in a wasm local. */
export interface Variable {
  readonly index: number;
  readonly offset: number;
  /** Type of the local; an access of the other type of the same size reinterprets. */
  readonly type: ValueType;
}

/** A set of variables: one bit each. */
export type VariableSet = Int32Array;

/** A way out of a block, or a helper that reads and writes all state, in op order. */
export interface Edge extends FlowEdge {
  /** Variables certainly set in the block before it. */
  readonly killed: VariableSet;
  /** Variables possibly set since the block began (or since the last flush, if `cleared`). */
  readonly written: VariableSet;
  /** Variables whose place in memory certainly holds their value in the end, though they may have been set. */
  readonly restored: VariableSet;
  /** A helper before it wrote everything back: what was dirty at block entry is no longer. */
  readonly cleared: boolean;
}

interface BlockFacts {
  readonly edges: readonly Edge[];
  /** Variables read before they are certainly set. */
  readonly used: VariableSet;
  /** The same without what an op that stores the state where it faults reads. */
  readonly read: VariableSet;
  /** Variables certainly set before the first op that stores the state where it faults; undefined if none does. */
  readonly killedBeforeFault: VariableSet | undefined;
}

/** Where a region stops besides its exits, and who sees its state then. */
export interface Stops {
  /** The guest can see the state at a fault, and whoever stops a loop sees all of it. */
  readonly exactState: boolean;
  readonly memory: Pick<MemoryModel, 'needsCheck'>;
  /** Registers that are set anew before they are read are not stored where a loop is interrupted. */
  readonly dropsDead: boolean;
  isBackEdge(from: number, to: number): boolean;
}

/** What a load, store or probe does: 1 reads, 2 writes, 3 both. */
function accessOf(block: IrBlock, i: number): AccessBits {
  const op = block.op[i]!;
  if (opDefs[op]!.effect === 'probe') return block.y[i]!;
  const { write } = memoryAccess[opNames[op]!]!;
  if (!write) return 1;
  return opDefs[op]!.result ? 3 : 2;
}

/** Type of the slot a get or set accesses. */
export function slotType(op: number): ValueType {
  const def = opDefs[op]!;
  return def.result ?? def.args[0]!;
}

/**
 * Which state slots of a region live in locals, and where each is dirty and live.
 *
 * Slots of one offset and size share a variable. Slots that overlap otherwise stay in memory (variable undefined).
 */
export class RegionVariables {
  readonly variables: readonly Variable[];
  /** Words of a set. */
  readonly words: number;
  /** By node: variables possibly newer in their local than in memory at block entry. */
  readonly dirtyIn: VariableSet[] = [];
  /** By node: variables whose local must hold the current value at block entry. */
  readonly liveIn: VariableSet[] = [];
  /** By node: those among them that are more than stored at a fatal fault: NaNs in them must be exact. */
  readonly exactIn: VariableSet[] = [];
  /** The guest can see the state at a fault. */
  readonly exactState: boolean;
  /** Variables that need not be exact at a fault nobody can observe. */
  readonly lazy: VariableSet;
  /** By node. */
  readonly facts: BlockFacts[] = [];
  private readonly lazyCells: LazyCells;
  private readonly firstPrivate: number;
  private readonly liveness: CellLiveness;
  private readonly stops: Stops;
  private readonly byOffset: ReadonlyMap<number, Variable>;

  constructor(
    blocks: readonly IrBlock[],
    target: Pick<Target, 'helpers' | 'layout' | 'lazySlots'>,
    stops: Stops,
    liveness: CellLiveness,
    flow: RegionFlow,
  ) {
    const { helpers } = target;
    const { exactState } = stops;
    this.liveness = liveness;
    this.stops = stops;
    this.exactState = exactState;
    this.firstPrivate = privateSlots(target.layout);
    this.lazyCells = new LazyCells(target.lazySlots);
    const { variables, byOffset } = collectVariables(blocks);
    this.variables = variables;
    this.byOffset = byOffset;
    this.words = (variables.length + 31) >> 5;
    this.lazy = this.emptySet();
    for (const { index, offset } of exactState ? [] : variables) {
      if (target.lazySlots.some(([start, end]) => offset >= start && offset < end)) add(this.lazy, index);
    }
    for (const [node, block] of blocks.entries()) {
      this.facts.push(this.scan(block, node, helpers, flow));
      this.dirtyIn.push(this.emptySet());
      this.liveIn.push(this.emptySet());
      this.exactIn.push(this.emptySet());
    }
    this.solveDirty();
    this.solveLive(this.liveIn, true);
    this.solveLive(this.exactIn, exactState);
  }

  emptySet(): VariableSet {
    return new Int32Array(this.words);
  }

  /** The variable of the slot at `offset`, or undefined if it stays in memory. */
  variableAt(offset: number): Variable | undefined {
    return this.byOffset.get(offset);
  }

  /** True if the variable is no state, but a value of the region alone. */
  isPrivate({ offset }: Variable): boolean {
    return offset >= this.firstPrivate;
  }

  /** Variables that must be stored at `edge` of node n. */
  dirtyAt(node: number, edge: Edge): VariableSet {
    const set = edge.written.slice();
    if (!edge.cleared) addAll(set, this.dirtyIn[node]!);
    for (let w = 0; w < this.words; w++) set[w]! &= ~edge.restored[w]!;
    if (edge.dead !== 0) {
      for (const { index, offset, type } of this.variables) {
        if (this.lazyCells.isDead(offset, valueBytes[type], edge.dead)) set[index >> 5]! &= ~(1 << (index & 31));
      }
    }
    return set;
  }

  /**
   * What must be stored where a back-edge is interrupted: execution goes on at the loop's header, which needs only what
   * is live there. A signal's handler or a tracer may look at the rest, but learns nothing by it: it is garbage to the
   * guest too.
   */
  dirtyAtInterrupt(node: number, edge: Edge): VariableSet {
    const set = this.dirtyAt(node, edge);
    if (this.dropsDead) {
      const live = this.liveIn[edge.node]!;
      for (let w = 0; w < this.words; w++) set[w]! &= live[w]!;
      return set;
    }
    for (const { index, offset } of this.variables) {
      if (has(this.lazy, index) && !this.liveness.isLive(edge.node, offset)) set[index >> 5]! &= ~(1 << (index & 31));
    }
    return set;
  }

  /** What is stored at interrupts is live at the header anyway. */
  private get dropsDead(): boolean {
    return this.stops.dropsDead && !this.exactState;
  }

  private scan(block: IrBlock, node: number, helpers: readonly Helper[], flow: RegionFlow): BlockFacts {
    const edges: Edge[] = [];
    const used = this.emptySet();
    const read = this.emptySet();
    let killed = this.emptySet();
    let written = this.emptySet();
    let cleared = false;
    let killedBeforeFault: VariableSet | undefined;
    let restored = this.emptySet();
    /** What was restored before each open `if`. */
    const restoredBefore: VariableSet[] = [];
    let ifs = 0;
    const edge = (to: FlowEdge): void => {
      edges.push({ ...to, killed: killed.slice(), written: written.slice(), restored: restored.slice(), cleared });
    };
    for (let i = 0; i < block.length; i++) {
      const op = block.op[i]!;
      switch (opDefs[op]!.effect) {
        case 'get': {
          const variable = this.variableAt(block.x[i]!);
          if (!variable || has(killed, variable.index)) break;
          add(used, variable.index);
          add(read, variable.index);
          break;
        }
        case 'set': {
          const variable = this.variableAt(block.x[i]!);
          if (!variable) break;
          if (!this.isPrivate(variable)) add(written, variable.index);
          if (ifs === 0) add(killed, variable.index);
          if (block.y[i] === restores) add(restored, variable.index);
          else remove(restored, variable.index);
          break;
        }
        case 'load':
        case 'store':
        case 'probe':
          if (!this.stops.memory.needsCheck(accessOf(block, i))) break;
          killedBeforeFault ??= killed.slice();
          for (let w = 0; w < this.words; w++) used[w]! |= written[w]! & ~killed[w]! & ~this.lazy[w]!;
          break;
        case 'helper':
          if (helpers[block.x[i]!]?.pure) break;
          edge({ op: i, pc: 0, node: -1, flush: true, dead: 0, reload: true });
          if (ifs > 0) break;
          killed = this.emptySet().fill(-1);
          written = this.emptySet();
          restored = this.emptySet();
          cleared = true;
          break;
        case 'structure':
          if (op === Op.if) {
            ifs++;
            restoredBefore.push(restored.slice());
            break;
          }
          // After a body only what was restored before it and has not been set in it, unless the body does not end.
          if (opDefs[block.op[i - 1]!]!.effect !== 'terminal')
            for (let w = 0; w < this.words; w++) restoredBefore.at(-1)![w]! &= restored[w]!;
          restored = restoredBefore.at(-1)!.slice();
          if (op !== Op.endif) break;
          ifs--;
          restoredBefore.pop();
          break;
        case 'terminal':
          edgesOf(block, i, node, flow).forEach(edge);
          break;
        case 'pure':
        case 'marker':
        case 'fence':
          break;
      }
    }
    return { edges, used, read, killedBeforeFault };
  }

  private solveDirty(): void {
    for (let changed = true; changed; ) {
      changed = false;
      this.facts.forEach((facts, node) => {
        for (const edge of facts.edges) {
          if (edge.node < 0 || edge.reload) continue;
          if (addAll(this.dirtyIn[edge.node]!, this.dirtyAt(node, edge))) changed = true;
        }
      });
    }
  }

  private solveLive(liveIn: VariableSet[], faults: boolean): void {
    const { words, dropsDead } = this;
    for (let changed = true; changed; ) {
      changed = false;
      for (let node = this.facts.length - 1; node >= 0; node--) {
        const facts = this.facts[node]!;
        const dirtyIn = this.dirtyIn[node]!;
        const live = (faults ? facts.used : facts.read).slice();
        if (faults && facts.killedBeforeFault)
          for (let w = 0; w < words; w++) live[w]! |= dirtyIn[w]! & ~this.lazy[w]! & ~facts.killedBeforeFault[w]!;
        for (const edge of facts.edges) {
          const interrupted = !dropsDead && edge.node >= 0 && !edge.reload && this.stops.isBackEdge(node, edge.node);
          const stored = edge.flush
            ? this.dirtyAt(node, edge)
            : interrupted
              ? this.dirtyAtInterrupt(node, edge)
              : undefined;
          for (let w = 0; w < words; w++) {
            let needed = stored ? stored[w]! : 0;
            if (edge.node >= 0 && !edge.reload) needed |= liveIn[edge.node]![w]!;
            live[w]! |= needed & ~edge.killed[w]!;
          }
        }
        if (addAll(liveIn[node]!, live)) changed = true;
      }
    }
  }
}

export function has(set: VariableSet, index: number): boolean {
  return (set[index >> 5]! & (1 << (index & 31))) !== 0;
}

export function add(set: VariableSet, index: number): void {
  set[index >> 5]! |= 1 << (index & 31);
}

function remove(set: VariableSet, index: number): void {
  set[index >> 5]! &= ~(1 << (index & 31));
}

/** to ∪= from; true if it grew. */
export function addAll(to: VariableSet, from: VariableSet): boolean {
  let grew = false;
  for (let w = 0; w < to.length; w++) {
    const union = to[w]! | from[w]!;
    if (union === to[w]) continue;
    to[w] = union;
    grew = true;
  }
  return grew;
}

function collectVariables(blocks: readonly IrBlock[]): { variables: Variable[]; byOffset: Map<number, Variable> } {
  /** By offset: accesses of each type. */
  const slots = new Map<number, Map<ValueType, number>>();
  for (const block of blocks) {
    for (let i = 0; i < block.length; i++) {
      const { effect } = opDefs[block.op[i]!]!;
      if (effect !== 'get' && effect !== 'set') continue;
      const type = slotType(block.op[i]!);
      let types = slots.get(block.x[i]!);
      if (!types) slots.set(block.x[i]!, (types = new Map()));
      types.set(type, (types.get(type) ?? 0) + 1);
    }
  }
  const ranges = [...slots].map(([offset, types]) => {
    const sizes = new Set([...types.keys()].map((type) => valueBytes[type]));
    const [type] = [...types].reduce((best, entry) => (entry[1] > best[1] ? entry : best));
    return { offset, type, end: offset + Math.max(...sizes), mixed: sizes.size > 1 };
  });
  ranges.sort((a, b) => a.offset - b.offset);
  const variables: Variable[] = [];
  const byOffset = new Map<number, Variable>();
  let coveredTo = 0;
  ranges.forEach((range, i) => {
    const overlaps = range.offset < coveredTo || (ranges[i + 1]?.offset ?? Infinity) < range.end;
    coveredTo = Math.max(coveredTo, range.end);
    if (overlaps || range.mixed) return;
    const variable = { index: variables.length, offset: range.offset, type: range.type };
    variables.push(variable);
    byOffset.set(range.offset, variable);
  });
  return { variables, byOffset };
}
