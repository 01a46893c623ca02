import { Op, opDefs, type ValueType } from '#tcg/ops.ts';
import { emptyBlockType, W, type WasmType, wasmTypes } from '#tcg/wasm/code.ts';
import { emitFpNan, nanScratchType } from '#tcg/wasm/fpnan.ts';
import type { RegionFrame } from './frame.ts';
import { type NanCheck, nanSources, nativeInputs } from './nan-plan.ts';
import type { BlockEmission, ValueEmitter } from './value-emitter.ts';
import { lazy } from './values.ts';

type FloatType = 'f32' | 'f64';

/** How a value is computed exactly, in terms of locals. */
export type NanRecipe =
  | { readonly kind: 'local'; readonly type: FloatType; readonly local: number }
  | { readonly kind: 'constant'; readonly type: FloatType; readonly push: () => void }
  | {
      readonly kind: 'op';
      readonly type: FloatType;
      /** Pushed for `wasm`. */
      readonly inputs: readonly NanRecipe[];
      readonly wasm: readonly number[];
      /** What a NaN comes from; undefined: the bits are right as they are. */
      readonly sources: readonly NanRecipe[] | undefined;
      /** Ops in it, those shared counted as often as they are used. */
      readonly size: number;
    };

/** A variable whose local is inexact at the entry of a block. */
export interface InheritedNan {
  readonly variable: number;
  readonly recipe: NanRecipe;
  readonly size: number;
}

/** Emits the tests a `NanPlan` asks for, and the code that makes NaNs exact. */
export class NanEmitter {
  private readonly frame: RegionFrame;
  private readonly values: ValueEmitter;

  constructor(frame: RegionFrame, values: ValueEmitter) {
    this.frame = frame;
    this.values = values;
  }

  /** Makes the values of `check` exact, wherever they live. */
  emitCheck(emission: BlockEmission, check: NanCheck): void {
    const { code } = this.frame;
    const homes = check.values.map((value) => this.localOf(emission, value));
    this.pushAnyNan(
      check.tested.map((value) => ({ type: typeOf(emission, value), local: this.localOf(emission, value) })),
    );
    code.unlikely();
    code.op2(W.if, emptyBlockType);
    const done = new Map<NanRecipe, number>();
    const owned: [WasmType, number][] = [];
    const recipes = this.recipes(emission, check, (value) => this.leaf(emission, value));
    // Some are made of others: nothing is written before all are known.
    const results = check.values.map((value) => this.evaluate(recipes(value), done, owned));
    for (const [k, value] of check.values.entries()) {
      const targets = new Set([homes[k]!]);
      for (const [variable, held] of check.variables) if (held === value) targets.add(this.frame.localAt(variable));
      for (const target of targets) {
        code.get(results[k]!);
        code.set(target);
      }
    }
    code.u8(W.end);
    for (const [type, local] of owned) this.frame.release(type, local);
  }

  /**
   * What the block behind an edge needs to make the values of `check` exact itself. Calls `pass` with it; leaves that
   * the block could overwrite are copied before.
   */
  bequeath(emission: BlockEmission, check: NanCheck, pass: (inherited: readonly InheritedNan[]) => void): void {
    const owned: [WasmType, number][] = [];
    const recipes = this.recipes(emission, check, (value) => this.keptLeaf(emission, value, owned));
    const inherited = check.variables.map(([variable, value]) => {
      const recipe = recipes(value);
      return { variable, recipe, size: recipe.kind === 'op' ? recipe.size : 0 };
    });
    pass(inherited);
    for (const [type, local] of owned) this.frame.release(type, local);
  }

  /** Pushes whether one of these is a NaN. A sum may also be one if two are infinite, which only costs time. */
  private pushAnyNan(locals: readonly { type: FloatType; local: number }[]): void {
    const { code } = this.frame;
    let pushed = false;
    for (const type of ['f32', 'f64'] as const) {
      const own = locals.filter((entry) => entry.type === type).map(({ local }) => local);
      if (own.length === 0) continue;
      let tested = own[0]!;
      if (own.length > 1) {
        tested = this.frame.temporary(wasmTypes[type]);
        code.get(own[0]!);
        for (const local of own.slice(1)) {
          code.get(local);
          code.append(opDefs[type === 'f32' ? Op.add_f32 : Op.add_f64]!.wasm!);
        }
        code.set(tested);
      }
      code.get(tested);
      code.get(tested);
      // One jump in machine code, where x ≠ x takes two.
      code.u8(type === 'f32' ? W.f32_ge : W.f64_ge);
      code.u8(W.i32_eqz);
      if (own.length > 1) this.frame.release(wasmTypes[type], tested);
      if (pushed) code.u8(W.i32_or);
      pushed = true;
    }
  }

  private localOf(emission: BlockEmission, value: number): number {
    const { variables } = this.frame.variables;
    if (value < 0) return this.frame.localOf(variables[emission.inherited[~value]!.variable]!);
    const place = emission.values.place[value]!;
    if (place >= 0) return place;
    const variable = this.frame.variables.variableAt(emission.block.x[value]!);
    if (place !== lazy || opDefs[emission.block.op[value]!]!.effect !== 'get' || !variable)
      throw new Error(`value ${value} of block ${emission.block.pc.toString(16)} has no local to check`);
    return this.frame.localOf(variable);
  }

  /** A function that gives the recipe of a value; values that share others share their recipes. */
  private recipes(
    emission: BlockEmission,
    check: NanCheck,
    leaf: (value: number) => NanRecipe,
  ): (value: number) => NanRecipe {
    const { block } = emission;
    const known = new Map<number, NanRecipe>();
    const make = (value: number): NanRecipe => {
      if (value < 0) return emission.inherited[~value]!.recipe;
      if (!check.inexact.has(value)) return leaf(value);
      const op = block.op[value]!;
      const { effect, wasm } = opDefs[op]!;
      const type = typeOf(emission, value);
      if (effect === 'get') {
        const { index } = this.frame.variables.variableAt(block.x[value]!)!;
        return emission.inherited.find(({ variable }) => variable === index)!.recipe;
      }
      if (wasm) {
        const input = of(block.a[value]!);
        return { kind: 'op', type, inputs: [input], wasm, sources: undefined, size: 1 + sizeOf([input]) };
      }
      const sources = nanSources(block, value).map(of);
      const size = 1 + sizeOf(sources);
      const inputs = nativeInputs(block, value).map(of);
      if (inputs.length === 0) return { kind: 'op', type, inputs: [of(block.a[value]!)], wasm: [], sources, size };
      return { kind: 'op', type, inputs, wasm: opDefs[block.op[block.a[value]!]!]!.wasm!, sources, size };
    };
    const of = (value: number): NanRecipe => {
      let recipe = known.get(value);
      if (!recipe) known.set(value, (recipe = make(value)));
      return recipe;
    };
    return of;
  }

  private leaf(emission: BlockEmission, value: number): NanRecipe {
    const type = typeOf(emission, value);
    const { place } = emission.values;
    if (place[value]! >= 0) return { kind: 'local', type, local: place[value]! };
    return { kind: 'constant', type, push: () => this.values.push(emission, value) };
  }

  /** A leaf that stays what it is when variables are set: constants, and locals that belong to the block alone. */
  private keptLeaf(emission: BlockEmission, value: number, owned: [WasmType, number][]): NanRecipe {
    const type = typeOf(emission, value);
    const place = emission.values.place[value]!;
    const op = emission.block.op[value]!;
    if (place === lazy && opDefs[op]!.effect === 'pure' && opDefs[op]!.args.length === 0)
      return this.leaf(emission, value);
    if (place >= 0 && !this.frame.isVariable(place)) return { kind: 'local', type, local: place };
    const local = this.frame.temporary(wasmTypes[type]);
    this.values.push(emission, value);
    this.frame.code.set(local);
    owned.push([wasmTypes[type], local]);
    return { kind: 'local', type, local };
  }

  /** Computes a recipe; returns the local it is in. */
  private evaluate(recipe: NanRecipe, done: Map<NanRecipe, number>, owned: [WasmType, number][]): number {
    const { code } = this.frame;
    if (recipe.kind === 'local') return recipe.local;
    const known = done.get(recipe);
    if (known !== undefined) return known;
    const type = wasmTypes[recipe.type];
    const operands = recipe.kind === 'op' ? recipe.inputs.map((input) => this.evaluate(input, done, owned)) : [];
    const sources =
      recipe.kind === 'op' ? recipe.sources?.map((input) => this.evaluate(input, done, owned)) : undefined;
    const local = this.frame.temporary(type);
    owned.push([type, local]);
    done.set(recipe, local);
    if (recipe.kind === 'constant') recipe.push();
    else {
      for (const operand of operands) code.get(operand);
      code.append(recipe.wasm);
    }
    code.set(local);
    if (!sources) return local;
    const bits = this.frame.temporary(nanScratchType[recipe.type]);
    emitFpNan(code, recipe.type, local, sources, { bits });
    this.frame.release(nanScratchType[recipe.type], bits);
    return local;
  }
}

function typeOf(emission: BlockEmission, value: number): FloatType {
  if (value < 0) return emission.inherited[~value]!.recipe.type;
  return opDefs[emission.block.op[value]!]!.result as Extract<ValueType, FloatType>;
}

const sizeOf = (recipes: readonly NanRecipe[]): number =>
  recipes.reduce((sum, recipe) => sum + (recipe.kind === 'op' ? recipe.size : 0), 0);
