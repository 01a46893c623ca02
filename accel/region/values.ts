import type { IrBlock } from '#tcg/ir.ts';
import { Op, opDefs, valueBytes } from '#tcg/ops.ts';
import type { Helper } from '#tcg/target.ts';
import type { NanPlan } from './nan-plan.ts';
import type { SunkSets } from './sinking.ts';
import { type RegionVariables, slotType } from './variables.ts';

/** `BlockValues.place`: computed where it is used (once, or as cheap as a local). */
export const lazy = -2;
/** `BlockValues.place`: computed at its definition; no local yet. */
export const pending = -1;

const never = 0x7fffffff;
const nowhere = -2;

/** Where the values of a block live while it is emitted. */
export interface BlockValues {
  /** `lazy`, `pending`, or the local that holds the value. */
  readonly place: Int32Array;
  /** Op at whose emission the value is needed last (lazy users count where they are emitted); -1: never. */
  readonly lastUse: Int32Array;
  /** For a get or set: the first later op that writes the slot. */
  readonly overwritten: Int32Array;
  /** 1: a lazy value with a load in its tree. */
  readonly hasLoad: Uint8Array;
}

/** Decides, in one backward scan, what is computed where it is used and what needs a local. */
export function analyseValues(
  block: IrBlock,
  variables: RegionVariables,
  helpers: readonly Helper[],
  sunk: SunkSets,
  nans: NanPlan,
): BlockValues {
  const n = block.length;
  const place = new Int32Array(n).fill(pending);
  const lastUse = new Int32Array(n).fill(-1);
  const overwritten = new Int32Array(n).fill(never);
  const hasLoad = new Uint8Array(n);
  const uses = new Uint16Array(n);
  /** The op at which a single-use value is emitted. */
  const emittedAt = new Int32Array(n);
  const writtenAt = new Map<number, number>();
  /** First op after the one looked at whose order matters to a load. */
  let anchor = never;
  for (let i = n - 1; i >= 0; i--) {
    const op = block.op[i]!;
    const def = opDefs[op]!;
    // Counted twice: computed where they are defined, into locals.
    for (const value of nans.pins.get(i) ?? []) {
      use(value, i, i);
      use(value, i, i);
    }
    let at = i;
    /** Where a load among the operands would be done. */
    let emitted = i;
    let isAnchor = false;
    switch (def.effect) {
      case 'pure':
        if (isConstant(op) || uses[i] === 1) {
          place[i] = lazy;
          at = lastUse[i]!;
          emitted = emittedAt[i]!;
        }
        break;
      case 'get':
        overwritten[i] = firstWrite(block, i, writtenAt);
        if (overwritten[i]! >= lastUse[i]! && (uses[i] === 1 || variables.variableAt(block.x[i]!))) place[i] = lazy;
        break;
      case 'set':
        overwritten[i] = firstWrite(block, i, writtenAt);
        for (let cell = block.x[i]! >> 2; cell < (block.x[i]! + valueBytes[slotType(op)]) >> 2; cell++)
          writtenAt.set(cell, i);
        isAnchor = true;
        if (sunk.has(i)) {
          const points = sunk.get(i)!;
          if (points.length === 0) continue;
          // A load is not put off: it may fault.
          at = points.at(-1)!;
          emitted = nowhere;
        }
        break;
      case 'load':
        if (uses[i] === 1 && emittedAt[i] === anchor) {
          place[i] = lazy;
          hasLoad[i] = 1;
          at = emittedAt[i]!;
          emitted = at;
        }
        isAnchor = true;
        break;
      case 'helper':
        if (!helpers[block.x[i]!]?.pure) {
          writtenAt.clear();
          writtenAt.set(-1, i);
          isAnchor = true;
        }
        break;
      case 'marker':
        // A load that faults must do so as part of its own instruction.
        isAnchor = true;
        break;
      case 'store':
      case 'probe':
      case 'fence':
      case 'structure':
      case 'terminal':
        isAnchor = true;
    }
    if (isAnchor) anchor = i;
    const { args } = def;
    // What a NaN is made from is needed only where it is made exact.
    if (isNanRule(op)) {
      use(block.a[i]!, at, emitted);
      continue;
    }
    if (args.length > 0) use(block.a[i]!, at, emitted);
    if (args.length > 1) use(block.b[i]!, at, emitted);
    if (args.length > 2) use(block.c[i]!, at, emitted);
  }
  for (let i = 0; i < n; i++) {
    if (place[i] !== lazy) continue;
    const { args } = opDefs[block.op[i]!]!;
    const operands = [block.a[i]!, block.b[i]!, block.c[i]!];
    for (let k = 0; k < args.length; k++) if (place[operands[k]!] === lazy && hasLoad[operands[k]!]) hasLoad[i] = 1;
  }
  return { place, lastUse, overwritten, hasLoad };

  function use(value: number, at: number, emitted: number): void {
    uses[value]!++;
    emittedAt[value] = emitted;
    if (lastUse[value]! < at) lastUse[value] = at;
  }
}

/** The first op after op i that writes any cell of the slot i accesses. */
function firstWrite(block: IrBlock, i: number, writtenAt: ReadonlyMap<number, number>): number {
  const op = block.op[i]!;
  let first = writtenAt.get(-1) ?? never;
  for (let cell = block.x[i]! >> 2; cell < (block.x[i]! + valueBytes[slotType(op)]) >> 2; cell++) {
    first = Math.min(first, writtenAt.get(cell) ?? never);
  }
  return first;
}

const isNanRule = (op: number): boolean => op >= Op.fpnan2_f32 && op <= Op.fpnan1_f64;
const isConstant = (op: number): boolean => op >= Op.const_i32 && op <= Op.const_v128;
