import { ExitReason } from '#tcg/cpu-page.ts';
import { forEachSuccessor, type IrBlock } from '#tcg/ir.ts';
import { Op } from '#tcg/ops.ts';
import type { Target } from '#tcg/target.ts';
import type { BlockOutline } from './discovery.ts';
import { LazyCells, lazyUse, unknownUse } from './entry-liveness.ts';

// Filled for each outline, which gets copies of their exact size: there is one for each block.
const successors: number[] = [];
const calls: number[] = [];
const addSuccessor = (pc: number): void => {
  successors.push(pc);
};
const nothing: readonly number[] = [];
const exactly = (list: readonly number[]): readonly number[] => (list.length === 0 ? nothing : list.slice());

/** An outline of a block as translated, before it has run. With exact state nobody asks what lazy slots are used for. */
export function outlineOf(
  block: IrBlock,
  target: Pick<Target, 'lazySlots' | 'helpers'>,
  constants: BlockOutline['constants'],
  exactState = false,
): BlockOutline {
  successors.length = calls.length = 0;
  forEachSuccessor(block, addSuccessor);
  const { length, op, x, y } = block;
  for (let i = 0; i < length; i++) {
    if (op[i] === Op.call) calls.push(x[i]!);
    else if (op[i] === Op.exit && x[i] === ExitReason.syscall) successors.push(y[i]!);
  }
  const { pc, start, end, instructions } = block;
  const last = op[length - 1];
  const runsOn = last === Op.jump || last === Op.branch;
  const lazy = exactState ? unknownUse : lazyUse(block, new LazyCells(target.lazySlots), target.helpers);
  return {
    pc,
    start,
    end,
    instructions,
    successors: exactly(successors),
    calls: exactly(calls),
    runsOn,
    lazy,
    constants,
    executed: false,
    inRegion: false,
  };
}
