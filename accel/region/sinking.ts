import type { IrBlock } from '#tcg/ir.ts';
import { slotBytes } from '#tcg/op-tables.ts';
import { Op, opDefs } from '#tcg/ops.ts';
import type { Helper } from '#tcg/target.ts';
import type { CellLiveness } from './liveness.ts';
import { type Edge, has, type RegionVariables } from './variables.ts';

/** By op index of a `set` that is put off: the ops before (terminals: on the edges of) which it is done. */
export type SunkSets = ReadonlyMap<number, readonly number[]>;

export const noneSunk: SunkSets = new Map();

/**
 * Finds the `set`s that some way out of the block does without, and puts them off to where they are needed: flags cost
 * nothing in a loop that leaves them to whoever comes after it. Only slots that need not be right at a fault can wait.
 */
export function planSinking(
  block: IrBlock,
  variables: RegionVariables,
  edges: readonly Edge[],
  liveness: CellLiveness,
  helpers: readonly Helper[],
): SunkSets {
  const sunk = new Map<number, readonly number[]>();
  let ifs = 0;
  for (let i = 0; i < block.length; i++) {
    if (block.op[i] === Op.if) ifs++;
    else if (block.op[i] === Op.endif) ifs--;
    if (ifs > 0 || opDefs[block.op[i]!]!.effect !== 'set') continue;
    const variable = variables.variableAt(block.x[i]!);
    if (!variable || !has(variables.lazy, variable.index)) continue;
    const points = pointsOf(block, i, edges, liveness, helpers);
    if (points) sunk.set(i, points);
  }
  return sunk;
}

/** Where the set at op i must be done if it waits as long as it can; undefined if nothing comes before that without it. */
function pointsOf(
  block: IrBlock,
  i: number,
  edges: readonly Edge[],
  liveness: CellLiveness,
  helpers: readonly Helper[],
): readonly number[] | undefined {
  const offset = block.x[i]!;
  const points: number[] = [];
  let saved = false;
  let ifs = 0;
  /** The outermost `if` we are in. */
  let outermost = -1;
  for (let at = i + 1; at < block.length; at++) {
    const op = block.op[at]!;
    switch (opDefs[op]!.effect) {
      case 'get':
      case 'set':
        if (block.x[at] !== offset) break;
        if (ifs > 0) return saved ? [...points, outermost] : undefined;
        if (opDefs[op]!.effect === 'get') points.push(at);
        return saved ? points : undefined;
      case 'helper':
        if (helpers[block.x[at]!]?.pure) break;
        return saved ? [...points, ifs > 0 ? outermost : at] : undefined;
      case 'structure':
        if (op === Op.if && ifs++ === 0) outermost = at;
        else if (op === Op.endif) ifs--;
        break;
      case 'terminal': {
        const live = edges.filter(
          (edge) => edge.op === at && liveness.isLiveAlong(edge, offset, slotBytes[block.op[i]!]!),
        ).length;
        if (live > 0) points.push(at);
        if (live < edges.filter((edge) => edge.op === at).length) saved = true;
        break;
      }
      case 'pure':
      case 'load':
      case 'store':
      case 'probe':
      case 'marker':
      case 'fence':
        break;
    }
  }
  return saved ? points : undefined;
}
