import type { IrBlock } from '#tcg/ir.ts';
import { slotBytes } from '#tcg/op-tables.ts';
import { Op, opDefs } from '#tcg/ops.ts';
import type { Helper } from '#tcg/target.ts';
import { edgesByTerminal, type RegionFlow } from './flow.ts';

/** What a slot holds: a constant, or nobody knows what. */
type Held = number | 'unknown';

/**
 * The nodes of inlined functions whose returns all go where their caller expects them: the return address is the constant
 * the call set, since nothing on the way changes the link register. Leaf functions are like that; they leave no way out
 * for which flags would have to be computed.
 */
export function sureReturns(blocks: readonly IrBlock[], flow: RegionFlow, helpers: readonly Helper[]): number[] {
  const slots = blocks.map((block, node) => (flow.returnOf(node) ? returnSlot(block, helpers) : undefined));
  const sure = new Set<number>();
  for (const slot of new Set(slots)) {
    if (slot === undefined) continue;
    const held = heldAtEntry(blocks, flow, helpers, slot);
    for (const [node, own] of slots.entries())
      if (own === slot && held[node] === flow.returnOf(node)!.pc) sure.add(node);
  }
  return [...sure];
}

/** The slot whose value at block entry all returns of a block go to; undefined if there is none. */
function returnSlot(block: IrBlock, helpers: readonly Helper[]): number | undefined {
  let slot: number | undefined;
  for (let i = 0; i < block.length; i++) {
    if (block.op[i] !== Op.return) continue;
    const value = block.a[i]!;
    if (block.op[value] !== Op.get_i32 || (slot !== undefined && block.x[value] !== slot)) return undefined;
    slot = block.x[value]!;
  }
  if (slot === undefined) return undefined;
  for (let i = 0; i < block.length; i++) {
    const { effect } = opDefs[block.op[i]!]!;
    if (effect === 'set' && writes(block, i, slot)) return undefined;
    if (effect === 'helper' && !helpers[block.x[i]!]?.pure) return undefined;
  }
  return slot;
}

const writes = (block: IrBlock, i: number, slot: number): boolean =>
  block.x[i]! < slot + 4 && block.x[i]! + slotBytes[block.op[i]!]! > slot;

/** By node: what the slot holds where the node begins; undefined where no way leads. */
function heldAtEntry(
  blocks: readonly IrBlock[],
  flow: RegionFlow,
  helpers: readonly Helper[],
  slot: number,
): (Held | undefined)[] {
  const held: (Held | undefined)[] = ['unknown'];
  const work = [0];
  const reach = (node: number, value: Held): void => {
    const merged = held[node] === undefined || held[node] === value ? value : 'unknown';
    if (merged === held[node]) return;
    held[node] = merged;
    work.push(node);
  };
  for (let node = work.pop(); node !== undefined; node = work.pop()) {
    const block = blocks[node]!;
    const edges = edgesByTerminal(block, node, flow);
    let now = held[node]!;
    const open: Held[] = [];
    for (let i = 0; i < block.length; i++) {
      const op = block.op[i]!;
      switch (opDefs[op]!.effect) {
        case 'set': {
          if (!writes(block, i, slot)) break;
          const value = block.a[i]!;
          const isConstant = op === Op.set_i32 && block.op[value] === Op.const_i32;
          now = isConstant ? block.x[value]! : 'unknown';
          break;
        }
        case 'helper':
          if (!helpers[block.x[i]!]?.pure) now = 'unknown';
          break;
        case 'structure':
          if (op === Op.if) open.push(now);
          else if (op === Op.else) [now, open[open.length - 1]] = [open.at(-1)!, now];
          else if (open.pop() !== now) now = 'unknown';
          break;
        case 'terminal':
          for (const edge of edges.get(i)!) if (edge.node >= 0) reach(edge.node, edge.reload ? 'unknown' : now);
          break;
        case 'pure':
        case 'get':
        case 'load':
        case 'store':
        case 'probe':
        case 'marker':
        case 'fence':
          break;
      }
    }
  }
  return held;
}
