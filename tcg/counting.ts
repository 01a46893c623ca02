import type { IrBlock } from './ir.ts';
import { Op, opDefs } from './ops.ts';

/**
 * Where to count a block's guest instructions, for `--stats`: the number to add before op i, by i. One addition at the
 * start, and one after each `if … terminal endif` for what comes after it. An instruction whose condition fails counts.
 */
export function countingPoints(block: IrBlock): Map<number, number> {
  const points = new Map<number, number>();
  let start = 0;
  let count = 0;
  let ifs = 0;
  let left = false;
  for (let i = 0; i < block.length; i++) {
    const op = block.op[i]!;
    if (op === Op.insn) count++;
    else if (op === Op.if) ifs++;
    else if (ifs > 0 && opDefs[op]!.effect === 'terminal') left = true;
    else if (op === Op.endif && --ifs === 0 && left) {
      points.set(start, count);
      start = i + 1;
      count = 0;
      left = false;
    }
  }
  if (count > 0) points.set(start, count);
  return points;
}
