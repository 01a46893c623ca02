import type { IrBlock } from '#tcg/ir.ts';
import { memoryAccess } from '#tcg/memory-ops.ts';
import { slotBytes } from '#tcg/op-tables.ts';
import { Op, opDefs, opNames } from '#tcg/ops.ts';
import { privateCells, privateSlots } from '#tcg/passes/dead-code.ts';
import type { Helper, Target } from '#tcg/target.ts';
import { edgesByTerminal, type FlowEdge, type RegionFlow } from './flow.ts';
import { reversePostorder } from './graph.ts';
import { constantSymbol, type Known, KnownState, type MemoryFact, type Origin, SlotNumbers } from './known-values.ts';
import { Rebuild } from './rebuild.ts';

/** Mark of a `set` (its y): the slot's place in the CPU page holds the value already. */
export const restores = 1;

/** What a load finds, if that is known. */
interface Found {
  readonly node: number;
  readonly op: number;
  readonly origins: readonly Origin[];
}

/**
 * Replaces loads of what the region itself has stored or loaded before, with nothing in between that could have
 * changed it: registers that a function saves and gives back, arguments and return addresses on the stack, variables of
 * code that was not optimized. Only for memory that is memory: not where a device may answer.
 *
 * Nobody but the region runs in the region, so what it has stored is still there; what it could store to must not fault
 * where it is loaded again. A slot that gets back the value it was entered with is marked (`restores`): it need not be
 * stored where the region is left.
 *
 * Answers with the nodes of inlined functions whose returns are now known to go where their caller expects them.
 */
export function forwardMemory(blocks: readonly IrBlock[], flow: RegionFlow, target: Target): number[] {
  return new Forwarding(blocks, flow, target).run();
}

class Forwarding {
  private readonly blocks: readonly IrBlock[];
  private readonly flow: RegionFlow;
  private readonly helpers: readonly Helper[];
  private readonly firstKept: number;
  private readonly slots: SlotNumbers;
  private readonly edges: ReadonlyMap<number, readonly FlowEdge[]>[];
  private symbols = constantSymbol;
  private readonly fresh = (): number => ++this.symbols;
  /** By node: what is known on the ways to it. */
  private readonly arrivals: (KnownState | undefined)[][];
  private readonly found: Found[] = [];
  private readonly sure: number[] = [];

  constructor(blocks: readonly IrBlock[], flow: RegionFlow, target: Target) {
    this.blocks = blocks;
    this.flow = flow;
    this.helpers = target.helpers;
    this.firstKept = privateSlots(target.layout);
    this.slots = new SlotNumbers(blocks);
    this.edges = blocks.map((block, node) => edgesByTerminal(block, node, flow));
    this.arrivals = blocks.map(() => []);
  }

  run(): number[] {
    const order = reversePostorder(
      this.edges.map((edges) => [...edges.values()].flat().flatMap(({ node }) => (node >= 0 ? [node] : []))),
    );
    const position = new Int32Array(this.blocks.length).fill(-1);
    for (const [at, node] of order.entries()) position[node] = at;
    this.arrivals[0]!.push(KnownState.loaded(this.slots, this.fresh));
    for (const node of order)
      for (const edges of this.edges[node]!.values())
        for (const { node: to } of edges)
          if (to >= 0 && position[to]! <= position[node]!) this.arrivals[to]!.push(undefined);
    for (const node of order) {
      this.visit(node, KnownState.merged(this.slots, this.arrivals[node]!, this.fresh));
      this.arrivals[node]!.length = 0;
    }
    this.keepValues();
    return this.sure;
  }

  private visit(node: number, entered: KnownState): void {
    const block = this.blocks[node]!;
    const { op, a, b, c, x } = block;
    const { slots, fresh } = this;
    const symbol = new Int32Array(block.length);
    const addend = new Int32Array(block.length);
    const alias = new Int32Array(block.length).fill(-1);
    const known = (value: number): Known => ({ symbol: symbol[value]!, addend: addend[value]! });
    const resolve = (value: number): number => (value >= 0 && alias[value]! >= 0 ? alias[value]! : value);
    let state = entered;
    /** By open `if`: what was known before it, or at the end of the body before `else`. */
    const open: { before: KnownState | undefined; start: number }[] = [];
    let terminated = false;
    let returns = 0;
    let sureReturns = 0;
    for (let i = 0; i < block.length; i++) {
      a[i] = resolve(a[i]!);
      b[i] = resolve(b[i]!);
      c[i] = resolve(c[i]!);
      const { effect, args } = opDefs[op[i]!]!;
      switch (effect) {
        case 'pure':
          if (op[i] === Op.const_i32) addend[i] = x[i]!;
          else if (op[i] === Op.add_i32 && op[b[i]!] === Op.const_i32) {
            symbol[i] = symbol[a[i]!]!;
            addend[i] = (addend[a[i]!]! + x[b[i]!]!) | 0;
          } else if (op[i] === Op.sub_i32 && op[b[i]!] === Op.const_i32) {
            symbol[i] = symbol[a[i]!]!;
            addend[i] = (addend[a[i]!]! - x[b[i]!]!) | 0;
          } else symbol[i] = fresh();
          break;
        case 'get': {
          const held = state.slot(slots.numberOf(x[i]!, slotBytes[op[i]!]!));
          symbol[i] = held.symbol;
          addend[i] = held.addend;
          break;
        }
        case 'set': {
          const slot = slots.numberOf(x[i]!, slotBytes[op[i]!]!);
          const value = known(a[i]!);
          block.y[i] = state.isStored(slot, value) ? restores : 0;
          state.setSlot(slots, slot, value, fresh);
          break;
        }
        case 'load': {
          symbol[i] = fresh();
          const { type, bytes } = memoryAccess[opNames[op[i]!]!]!;
          const address = { symbol: symbol[a[i]!]!, addend: (addend[a[i]!]! + x[i]!) | 0 };
          const fact = bytes < 4 ? undefined : state.find(address, bytes, type);
          if (fact) {
            alias[i] = this.replace(node, i, fact, state);
            symbol[i] = fact.value.symbol;
            addend[i] = fact.value.addend;
          } else if (bytes >= 4)
            state.learn({ address, bytes, type, value: known(i), origins: [{ node, op: i, value: i }] });
          break;
        }
        case 'store': {
          const { type, bytes } = memoryAccess[opNames[op[i]!]!]!;
          const address = { symbol: symbol[a[i]!]!, addend: (addend[a[i]!]! + x[i]!) | 0 };
          symbol[i] = fresh();
          state.forget(address, bytes);
          if (args.length > 2) state.facts = [];
          else if (bytes >= 4) {
            const value = b[i]!;
            state.learn({ address, bytes, type, value: known(value), origins: [{ node, op: i, value }] });
          }
          break;
        }
        case 'helper':
          symbol[i] = fresh();
          if (!this.helpers[x[i]!]?.pure) state = KnownState.loaded(slots, fresh);
          break;
        case 'fence':
          state.facts = [];
          break;
        case 'structure':
          if (op[i] === Op.if) open.push({ before: state.copy(), start: i });
          else {
            const { before, start } = open.pop()!;
            const body = this.leaving(state, start, node, terminated);
            if (op[i] === Op.else) {
              open.push({ before: body, start: i });
              state = before!;
            } else if (body && before) state = KnownState.merged(slots, [before, body], fresh);
            else state = body ?? before ?? KnownState.loaded(slots, fresh);
          }
          terminated = false;
          continue;
        case 'terminal':
          terminated = true;
          if (op[i] === Op.return) {
            returns++;
            if (this.isSure(node, known(a[i]!))) sureReturns++;
          }
          for (const { node: to, reload } of this.edges[node]!.get(i)!)
            if (to >= 0) this.arrivals[to]!.push(reload ? KnownState.loaded(slots, fresh) : state.copy());
          continue;
        case 'probe':
        case 'marker':
          break;
      }
      terminated = false;
    }
    if (returns > 0 && sureReturns === returns) this.sure.push(node);
  }

  /** What is known at the end of an `if` or `else` body that began at op `start`; undefined if it does not come there. */
  private leaving(state: KnownState, start: number, node: number, terminated: boolean): KnownState | undefined {
    if (terminated) return undefined;
    // Values of the body cannot be used after it.
    state.facts = state.facts.filter(({ origins }) =>
      origins.every((origin) => origin.node !== node || origin.op < start),
    );
    return state;
  }

  private isSure(node: number, to: Known): boolean {
    const caller = this.flow.returnOf(node);
    return caller !== undefined && to.symbol === constantSymbol && to.addend === caller.pc;
  }

  /** Replaces the load at op i. Answers with the value in its place; -1: the op still has the result. */
  private replace(node: number, i: number, fact: MemoryFact, state: KnownState): number {
    const block = this.blocks[node]!;
    const [origin, ...others] = fact.origins;
    if (others.length === 0 && origin!.node === node) {
      become(block, i, Op.const_i32, 0);
      return origin!.value;
    }
    if (fact.type !== 'i32') return -1;
    const slot = state.slotWith(fact.value);
    if (fact.value.symbol === constantSymbol) become(block, i, Op.const_i32, fact.value.addend);
    else if (slot >= 0 && this.slots.bytesOf(slot) === 4) become(block, i, Op.get_i32, this.slots.offsetOf(slot));
    else this.found.push({ node, op: i, origins: fact.origins });
    return -1;
  }

  /** Has the values that loads of other blocks want kept in cells of the region's own. */
  private keepValues(): void {
    // Accesses that one load may find the value of share a cell.
    const groups = new Groups();
    for (const { origins } of this.found) for (const origin of origins) groups.join(keyOf(origins[0]!), keyOf(origin));
    const offsets = new Map<string, number>();
    const sets = this.blocks.map((): KeptValue[] => []);
    const kept = new Set<string>();
    for (const { node, op, origins } of this.found) {
      const group = groups.of(keyOf(origins[0]!));
      if (!offsets.has(group) && offsets.size === privateCells) continue;
      const offset = offsets.get(group) ?? this.firstKept + 4 * offsets.size;
      offsets.set(group, offset);
      become(this.blocks[node]!, op, Op.get_i32, offset);
      for (const origin of origins) {
        if (kept.has(keyOf(origin))) continue;
        kept.add(keyOf(origin));
        sets[origin.node]!.push({ after: origin.op, value: origin.value, offset });
      }
    }
    for (const [node, own] of sets.entries()) if (own.length > 0) insertSets(this.blocks[node]!, own);
  }
}

const keyOf = ({ node, op }: Origin): string => `${node}.${op}`;

/** Disjoint sets. */
class Groups {
  private readonly parents = new Map<string, string>();

  of(member: string): string {
    let root = member;
    for (let parent = this.parents.get(root); parent !== undefined; parent = this.parents.get(root)) root = parent;
    return root;
  }

  join(one: string, other: string): void {
    const root = this.of(one);
    if (this.of(other) !== root) this.parents.set(this.of(other), root);
  }
}

/** A value to be kept, once the op `after` has been done. */
interface KeptValue {
  readonly after: number;
  readonly value: number;
  readonly offset: number;
}

/** Makes op i one without operands. */
function become(block: IrBlock, i: number, op: number, x: number): void {
  block.op[i] = op;
  block.a[i] = block.b[i] = block.c[i] = -1;
  block.x[i] = x;
  block.y[i] = 0;
}

/** Inserts `set`s. */
function insertSets(block: IrBlock, sets: KeptValue[]): void {
  sets.sort((one, other) => one.after - other.after);
  const rebuild = new Rebuild(block, sets.length);
  let next = 0;
  for (let i = 0; i < block.length; i++) {
    rebuild.copy(i);
    for (let set = sets[next]; set?.after === i; set = sets[++next])
      rebuild.emit(Op.set_i32, rebuild.valueOf(set.value), -1, -1, set.offset);
  }
  rebuild.finish();
}
