import type { IrBlock } from './ir.ts';
import { compact } from './passes/compact.ts';
import { countUses, DeadCode, type LiveOut } from './passes/dead-code.ts';
import { Simplifier } from './passes/simplify.ts';
import type { Target } from './target.ts';

export type { LiveOut };

export interface OptimizeOptions {
  /** The whole state must be right at every op that may fault, lazy slots included. */
  readonly exactState: boolean;
  /** What is live after each terminal; without it everything. */
  readonly liveOut?: LiveOut;
  /** False switches the pass off. */
  readonly deadCode?: boolean;
  readonly simplify?: boolean;
  /** Without it what the others found dead stays in the block, where it does no harm. */
  readonly compact?: boolean;
}

/** The passes over one block. Scratch arrays are kept between blocks: one optimizer serves a whole translator. */
export class Optimizer {
  private readonly dead: DeadCode;
  private readonly simplifier: Simplifier;
  /** By op: number of uses, or `removed`. */
  private uses = new Int32Array(1024);
  /** By op: what replaces it; later its index in the compacted block. */
  private map = new Int32Array(1024);

  constructor(target: Pick<Target, 'layout' | 'lazySlots' | 'helpers'>) {
    this.dead = new DeadCode(target.layout, target.lazySlots, target.helpers);
    this.simplifier = new Simplifier(target.helpers);
  }

  /** Optimizes a valid block in place. */
  run(block: IrBlock, options: OptimizeOptions): void {
    if (block.length > this.uses.length) {
      this.uses = new Int32Array(block.length * 2);
      this.map = new Int32Array(block.length * 2);
    }
    const { uses, map } = this;
    if (options.deadCode === false) countUses(block, uses);
    else this.dead.run(block, uses, options.exactState, options.liveOut);
    if (options.simplify !== false) this.simplifier.run(block, uses, map);
    if (options.compact !== false) compact(block, uses, map);
  }
}
