import { ExitReason } from '#tcg/cpu-page.ts';
import type { IrBlock } from '#tcg/ir.ts';
import { Op, opDefs } from '#tcg/ops.ts';

/** A place inside the region: a guest PC and the node that begins there. */
export interface Place {
  readonly pc: number;
  readonly node: number;
}

/** Where an inlined function returns. */
export interface ReturnPlace extends Place {
  /** No return of the node goes elsewhere. */
  readonly sure: boolean;
}

/**
 * How the blocks (nodes) of a region hang together. A function may be in a region more than once: each copy but the
 * region's own belongs to a call it was inlined at, and its PCs name nodes of that copy.
 */
export interface RegionFlow {
  /** Node that begins at `pc` in the copy node `from` belongs to, or -1. */
  nodeOf(from: number, pc: number): number;
  /** Entries of the functions inlined where node `from` calls and expects to come back to `returnPc`. */
  inlined(from: number, returnPc: number): readonly Place[];
  /** Where the copy node `from` belongs to returns; undefined for the region's own function. */
  returnOf(from: number): ReturnPlace | undefined;
  /** True if `pc` is known to be called: a jump there from an inlined function is a call in the name of its caller. */
  isFunction(pc: number): boolean;
  /** The lazy cells (mask of `LazyCells`) whose values nobody reads when execution goes on at `pc`, outside. */
  deadAt(pc: number): number;
}

/** The flow of a single block nothing is known about. */
export const isolatedBlock: RegionFlow = {
  nodeOf: () => -1,
  inlined: () => [],
  returnOf: () => undefined,
  isFunction: () => false,
  deadAt: () => 0,
};

/** A way out of a block. */
export interface FlowEdge {
  /** Op index of the terminal. */
  readonly op: number;
  /** Where it goes if that is known, else 0. */
  readonly pc: number;
  /** Node it leads to (after a call: comes back to) inside the region, or -1. */
  readonly node: number;
  /** The state in memory must be right here: exits, calls, syscalls, helpers. */
  readonly flush: boolean;
  /** Lazy cells (mask of `LazyCells`) that need not be right in spite of that. */
  readonly dead: number;
  /** Registers are loaded anew on the way to `node`: the locals are not live across it. */
  readonly reload: boolean;
  /** A jump to a function that is called in the name of the caller: it returns to `node`, which begins at this PC. */
  readonly tailReturnPc?: number;
}

/** The edges of a block, by the op index of their terminal. */
export function edgesByTerminal(block: IrBlock, node: number, flow: RegionFlow): Map<number, readonly FlowEdge[]> {
  const edges = new Map<number, readonly FlowEdge[]>();
  for (let i = 0; i < block.length; i++) {
    if (opDefs[block.op[i]!]!.effect === 'terminal') edges.set(i, edgesOf(block, i, node, flow));
  }
  return edges;
}

/** The edges of the terminal at op i, in the order in which it tests for them. */
export function edgesOf(block: IrBlock, i: number, node: number, flow: RegionFlow): FlowEdge[] {
  const jump = (pc: number): FlowEdge => {
    const to = flow.nodeOf(node, pc);
    if (to >= 0) return { op: i, pc, node: to, flush: false, dead: 0, reload: false };
    const dead = flow.deadAt(pc);
    const caller = flow.isFunction(pc) ? flow.returnOf(node) : undefined;
    if (!caller) return { op: i, pc, node: -1, flush: true, dead, reload: false };
    return { op: i, pc, node: caller.node, flush: true, dead, reload: true, tailReturnPc: caller.pc };
  };
  const callee = (pc: number, returnPc: number, dead: number): FlowEdge => {
    return { op: i, pc, node: flow.nodeOf(node, returnPc), flush: true, dead, reload: true };
  };
  const inside = ({ pc, node: to }: Place): FlowEdge => ({ op: i, pc, node: to, flush: false, dead: 0, reload: false });
  const out: FlowEdge = { op: i, pc: 0, node: -1, flush: true, dead: 0, reload: true };
  switch (block.op[i]) {
    case Op.jump:
      return [jump(block.x[i]!)];
    case Op.branch:
      return [jump(block.x[i]!), jump(block.y[i]!)];
    case Op.switch:
      return Array.from(block.tables[block.x[i]!]!, jump);
    case Op.call: {
      // An indirect call whose target the passes found out may have been guessed wrong.
      const inlined = flow.inlined(node, block.y[i]!).find(({ pc }) => pc === block.x[i]);
      return [inlined ? inside(inlined) : callee(block.x[i]!, block.y[i]!, flow.deadAt(block.x[i]!))];
    }
    case Op.call_indirect:
      return [...flow.inlined(node, block.x[i]!).map(inside), callee(0, block.x[i]!, 0)];
    case Op.return: {
      const caller = flow.returnOf(node);
      if (caller?.sure) return [inside(caller)];
      return caller ? [inside(caller), out] : [out];
    }
    case Op.exit:
      if (block.x[i] !== ExitReason.syscall) return [out];
      return [{ ...out, pc: block.y[i]!, node: flow.nodeOf(node, block.y[i]!) }];
    default:
      return [out];
  }
}
