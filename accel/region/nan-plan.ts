import type { IrBlock } from '#tcg/ir.ts';
import { Op, opDefs } from '#tcg/ops.ts';
import type { Helper } from '#tcg/target.ts';
import { maxNanRecipe } from '../tunables.ts';
import { isRule, isSignOp, isTolerant } from './nan-ops.ts';
import { type Edge, has, type RegionVariables, slotType, type VariableSet } from './variables.ts';

/**
 * Where NaNs are made exact.
 *
 * The bits of a NaN matter only where they can be seen, and a NaN stays one through arithmetic. So the result of
 * `fpnan*` may keep the bits the host gave it (it is *inexact*) until it escapes: to guest memory, into integers, into
 * the CPU state, or to code that does not know how it was made. There it is tested, once; if it is a NaN, it is computed
 * again, exactly, from the exact values it was made of (its leaves), which are kept until then.
 */

/** Values are op indices; a negative one is inherited: the value variable `inherited[~value]` has at block entry. */
export interface NanCheck {
  /** What is made exact. */
  readonly values: readonly number[];
  /** What is tested: the others are NaNs only if one of these is. */
  readonly tested: readonly number[];
  /** The inexact values they depend on, themselves included; what these use and is not among them is a leaf. */
  readonly inexact: ReadonlySet<number>;
  /** Variables that hold one of `values`. */
  readonly variables: readonly (readonly [variable: number, value: number])[];
}

/** What to do on the way along an edge. */
export interface EdgeNans {
  /** Made exact first. */
  readonly check: NanCheck | undefined;
  /** Made exact where the budget ends on a back-edge. */
  readonly interrupted: NanCheck | undefined;
  /** Left inexact to the block the edge leads to, which is reached in no other way. */
  readonly inherited: NanCheck | undefined;
}

export interface NanPlan {
  /** By op: 1 if it computes an inexact value. */
  readonly inexact: Uint8Array;
  /** By op: to be made exact before it. */
  readonly before: ReadonlyMap<number, NanCheck>;
  readonly edges: ReadonlyMap<Edge, EdgeNans>;
  /** By op: values that must be in locals when its checks are made. */
  readonly pins: ReadonlyMap<number, readonly number[]>;
}

/** Where an edge leads, as far as NaNs are concerned. */
export type EdgeKind = 'away' | 'back' | 'merge' | 'only';

interface State {
  /** By variable: the inexact value it holds. */
  readonly pending: Map<number, number>;
  /** Inexact values that have been made exact. */
  readonly exact: Set<number>;
}

const noPlan: NanPlan = { inexact: new Uint8Array(0), before: new Map(), edges: new Map(), pins: new Map() };

/** A block whose NaNs are planned. */
export interface NanContext {
  readonly block: IrBlock;
  readonly variables: RegionVariables;
  readonly node: number;
  readonly helpers: readonly Helper[];
  /** Variables that are inexact at the entry of the block, and the size of the recipe of each. */
  readonly inherited: readonly { readonly variable: number; readonly size: number }[];
  kindOf(edge: Edge): EdgeKind;
}

export function planNans(context: NanContext): NanPlan {
  const { block, inherited } = context;
  let needed = inherited.length > 0;
  for (let i = 0; i < block.length && !needed; i++) needed = isRule[block.op[i]!] === 1;
  return needed ? new Planner(context).plan() : noPlan;
}

class Planner {
  private readonly context: NanContext;
  private readonly block: IrBlock;
  private readonly variables: RegionVariables;
  private readonly inherited: NanContext['inherited'];
  private readonly inexact: Uint8Array;
  /** By value: the last op that uses it. */
  private readonly lastUse: Int32Array;
  private readonly before = new Map<number, NanCheck>();
  private readonly edges = new Map<Edge, EdgeNans>();
  private readonly pins = new Map<number, number[]>();
  private state: State = { pending: new Map(), exact: new Set() };

  constructor(context: NanContext) {
    this.context = context;
    const { block, variables, inherited } = context;
    this.block = block;
    this.variables = variables;
    this.inherited = inherited;
    this.inexact = new Uint8Array(block.length);
    this.lastUse = new Int32Array(block.length);
    for (let i = 0; i < block.length; i++) {
      for (const value of [block.a[i]!, block.b[i]!, block.c[i]!]) if (value >= 0) this.lastUse[value] = i;
    }
  }

  plan(): NanPlan {
    const { block, variables, inexact } = this;
    const edges = variables.facts[this.context.node]!.edges;
    this.inherited.forEach(({ variable }, k) => this.state.pending.set(variable, ~k));
    /** State at each open `if`, and whether its arm has been left. */
    const open: State[] = [];
    let oversized = -1;
    for (let i = 0; i < block.length; i++) {
      const wanted: number[] = [];
      const op = block.op[i]!;
      const { effect, args } = opDefs[op]!;
      // Not before a set: its value may be in the variable already, over what it was made of.
      if (oversized >= 0 && effect !== 'set') {
        wanted.push(oversized);
        oversized = -1;
      }
      if (!isTolerant[op] && effect !== 'set') {
        const operands = [block.a[i]!, block.b[i]!, block.c[i]!].slice(0, args.length);
        for (const value of operands) if (this.isInexact(value)) wanted.push(value);
      }
      switch (effect) {
        case 'pure':
          if (!this.computesInexact(i)) break;
          inexact[i] = 1;
          if (this.recipeSize(i) > maxNanRecipe) oversized = i;
          break;
        case 'get':
          this.get(i, wanted);
          break;
        case 'set':
          if (!this.settable(i) && this.isInexact(block.a[i]!)) wanted.push(block.a[i]!);
          break;
        case 'load':
        case 'store':
        case 'probe':
          if (variables.exactState) wanted.push(...this.state.pending.values());
          break;
        case 'helper':
          if (this.context.helpers[block.x[i]!]?.pure) break;
          wanted.push(...this.state.pending.values());
          break;
        case 'structure':
          this.structure(i, op, open, wanted);
          break;
        case 'terminal':
          this.terminal(
            i,
            edges.filter((edge) => edge.op === i),
            wanted,
          );
          break;
        case 'marker':
        case 'fence':
          break;
      }
      if (effect === 'store' && wanted.length > 0) this.addStoredNext(i, wanted);
      const check = this.check(i, wanted);
      if (check) {
        this.before.set(i, check);
        this.settle(check.values);
      }
      if (effect === 'set') this.set(i);
      if (op === Op.if) open.push(this.copyState());
      else if (op === Op.else) this.state = copy(open.at(-1)!);
      else if (op === Op.endif) this.state = open.pop()!;
    }
    return { inexact, before: this.before, edges: this.edges, pins: this.pins };
  }

  private copyState(): State {
    return copy(this.state);
  }

  /** True if the bits of `value`, if it is a NaN, are not known to be right here. */
  private isInexact(value: number): boolean {
    return (value < 0 || this.inexact[value] === 1) && !this.state.exact.has(value);
  }

  private computesInexact(i: number): boolean {
    const op = this.block.op[i]!;
    return isRule[op] === 1 || (isSignOp[op] === 1 && this.isInexact(this.block.a[i]!));
  }

  /** What an inexact value is computed again from. */
  private operands(value: number): number[] {
    const { block } = this;
    if (value < 0) return [];
    const op = block.op[value]!;
    // A get of what the block inherited.
    if (opDefs[op]!.effect === 'get') return [];
    if (isSignOp[op]) return [block.a[value]!];
    return [...nanSources(block, value), ...nativeInputs(block, value)];
  }

  /** Adds the inexact values that `value` depends on, itself included; returns how many ops they stand for. */
  private collect(value: number, into: Set<number>, leaves: number[]): number {
    if (into.has(value)) return 0;
    into.add(value);
    let size = 1;
    const origin = this.inheritedBy(value);
    if (origin >= 0) size += this.inherited[origin]!.size;
    for (const operand of this.operands(value)) {
      if (this.isInexact(operand)) size += this.collect(operand, into, leaves);
      else leaves.push(operand);
    }
    // Its native result, where that is not computed again.
    if (value >= 0 && isRule[this.block.op[value]!] && nativeInputs(this.block, value).length === 0)
      leaves.push(this.block.a[value]!);
    return size;
  }

  private inheritedBy(value: number): number {
    if (value < 0) return ~value;
    if (opDefs[this.block.op[value]!]!.effect !== 'get') return -1;
    const variable = this.variables.variableAt(this.block.x[value]!)!.index;
    return this.inherited.findIndex((origin) => origin.variable === variable);
  }

  private recipeSize(value: number): number {
    return this.collect(value, new Set(), []);
  }

  /** The check of these values (those that need none left out) at op i; undefined if nothing is left. */
  private check(i: number, wanted: readonly number[]): NanCheck | undefined {
    const needed = [...new Set(wanted)].filter((value) => this.isInexact(value));
    if (needed.length === 0) return undefined;
    const sources = this.sources(needed);
    const tested = needed.filter((value) => !sources.has(value));
    // None of the sources is a NaN if the test finds none. Those that are used again are made exact with the rest.
    const held = new Set(this.state.pending.values());
    const free = [...sources].filter((value) => held.has(value) || (value >= 0 && this.lastUse[value]! > i));
    const values = [...new Set([...needed, ...free])];
    const inexact = new Set<number>();
    const leaves: number[] = [];
    for (const value of values) this.collect(value, inexact, leaves);
    let pins = this.pins.get(i);
    if (!pins) this.pins.set(i, (pins = []));
    for (const value of [...values, ...leaves]) if (value >= 0) pins.push(value);
    const variables = [...this.state.pending].filter(([, value]) => values.includes(value));
    return { values, tested, inexact, variables };
  }

  /** The inexact values that make one of `values` a NaN if they are. */
  private sources(values: readonly number[]): Set<number> {
    const sources = new Set<number>();
    const work = [...values];
    for (let value = work.pop(); value !== undefined; value = work.pop()) {
      // Whatever makes the native result a NaN; not what a sign op makes of it for the rule alone.
      const inputs =
        value >= 0 && isRule[this.block.op[value]!] ? nativeInputs(this.block, value) : this.operands(value);
      for (const operand of inputs) {
        if (sources.has(operand) || !this.isInexact(operand)) continue;
        sources.add(operand);
        work.push(operand);
      }
    }
    return sources;
  }

  /** Adds what the stores after op i store of the values known by then: one test for all. */
  private addStoredNext(i: number, wanted: number[]): void {
    const { block } = this;
    for (let at = i + 1; at < block.length; at++) {
      const { effect } = opDefs[block.op[at]!]!;
      if (effect === 'structure' || effect === 'terminal' || effect === 'helper') return;
      const value = block.b[at]!;
      if (effect === 'store' && value < i && this.isInexact(value)) wanted.push(value);
    }
  }

  /** From here on `values` are exact. */
  private settle(values: readonly number[]): void {
    const { pending, exact } = this.state;
    for (const value of values) exact.add(value);
    for (const [variable, value] of pending) if (exact.has(value)) pending.delete(variable);
  }

  private get(i: number, wanted: number[]): void {
    const variable = this.variables.variableAt(this.block.x[i]!);
    if (!variable) return;
    const value = this.state.pending.get(variable.index);
    if (value === undefined) return;
    if (value >= 0 || slotType(this.block.op[i]!) !== variable.type) {
      wanted.push(value);
      return;
    }
    this.inexact[i] = 1;
    this.state.pending.set(variable.index, i);
  }

  /** True if the variable op i sets may hold an inexact value. */
  private settable(i: number): boolean {
    const variable = this.variables.variableAt(this.block.x[i]!);
    return variable !== undefined && variable.type === slotType(this.block.op[i]!);
  }

  private set(i: number): void {
    const { block, state } = this;
    const variable = this.variables.variableAt(block.x[i]!);
    if (!variable) return;
    if (this.isInexact(block.a[i]!)) state.pending.set(variable.index, block.a[i]!);
    else state.pending.delete(variable.index);
  }

  /** What an `if` may set is exact where its arms meet. */
  private structure(i: number, op: number, open: readonly State[], wanted: number[]): void {
    const { block, state } = this;
    if (op === Op.if) {
      for (const variable of this.setWithin(i)) {
        const value = state.pending.get(variable);
        if (value !== undefined) wanted.push(value);
      }
      return;
    }
    if (opDefs[block.op[i - 1]!]!.effect === 'terminal') return;
    const before = open.at(-1)!;
    for (const [variable, value] of state.pending) if (before.pending.get(variable) !== value) wanted.push(value);
  }

  /** Inexact variables that arms of the `if` at op i may set and come to its end. A helper may set any. */
  private setWithin(i: number): Set<number> {
    const { block } = this;
    const all = new Set<number>();
    let arm = new Set<number>();
    let depth = 0;
    for (let at = i + 1; ; at++) {
      const op = block.op[at]!;
      if (op === Op.if) depth++;
      if (depth === 0 && (op === Op.else || op === Op.endif)) {
        if (opDefs[block.op[at - 1]!]!.effect !== 'terminal') for (const variable of arm) all.add(variable);
        if (op === Op.endif) return all;
        arm = new Set();
      }
      if (op === Op.endif) depth--;
      const { effect } = opDefs[op]!;
      if (effect === 'helper' && !this.context.helpers[block.x[at]!]?.pure) arm = new Set(this.state.pending.keys());
      if (effect !== 'set') continue;
      const variable = this.variables.variableAt(block.x[at]!);
      if (variable) arm.add(variable.index);
    }
  }

  private terminal(i: number, edges: readonly Edge[], wanted: number[]): void {
    const { variables, state } = this;
    const op = this.block.op[i]!;
    const within = (set: VariableSet): number[] =>
      [...state.pending].filter(([variable]) => has(set, variable)).map(([, value]) => value);
    for (const edge of edges) {
      const kind = edge.flush ? 'away' : this.context.kindOf(edge);
      const needed = kind === 'away' ? [...state.pending.values()] : within(variables.exactIn[edge.node]!);
      const stored = kind === 'back' ? within(variables.dirtyAtInterrupt(this.context.node, edge)) : [];
      if (op !== Op.jump && op !== Op.branch) {
        wanted.push(...needed, ...stored);
        continue;
      }
      if (kind === 'only') {
        this.edges.set(edge, { check: undefined, interrupted: undefined, inherited: this.check(i, needed) });
        continue;
      }
      const cold = stored.filter((value) => !needed.includes(value));
      this.edges.set(edge, { check: this.check(i, needed), interrupted: this.check(i, cold), inherited: undefined });
    }
  }
}

/** The operands of rule `i` among which a NaN result has its origin. */
export function nanSources(block: IrBlock, i: number): number[] {
  return [block.b[i]!, block.c[i]!].slice(0, opDefs[block.op[i]!]!.args.length - 1);
}

/**
 * The operands of the op whose result rule `i` corrects, if they are those of the rule but for their sign: then it is
 * computed again rather than kept. Empty otherwise.
 */
export function nativeInputs(block: IrBlock, i: number): number[] {
  const native = block.a[i]!;
  const { args, wasm } = opDefs[block.op[native]!]!;
  const sources = nanSources(block, i);
  if (!wasm || args.length !== sources.length || !isTolerant[block.op[native]!]) return [];
  const inputs = [block.a[native]!, block.b[native]!].slice(0, args.length);
  const unsigned = (value: number): number => (isSignOp[block.op[value]!] ? block.a[value]! : value);
  return inputs.every((input, k) => unsigned(input) === unsigned(sources[k]!)) ? inputs : [];
}

const copy = ({ pending, exact }: State): State => ({ pending: new Map(pending), exact: new Set(exact) });
