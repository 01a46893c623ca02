import type { Builder } from './builder.ts';
import type { CodeReader, DisasContext, Target } from './target.ts';

/** Where the translation loop must stop. */
export interface TranslationLimits {
  /** Guest instructions at most (at least 1). */
  readonly maxInstructions: number;
  /** Plain guest address of the end of the code that may be read: the block does not run past it. */
  readonly pageEnd?: number;
  /** True if another block begins at this PC (target's encoding): end the block before it with a jump. */
  readonly isLeader?: (pc: number) => boolean;
  /** Go on past conditional branches (`DisasContext.extended`). */
  readonly extended?: boolean;
}

/**
 * Translates one block at `pc` (target's encoding) into `b.block`. The block ends at the first unconditional
 * terminal, where the target asks, before a leader, or at a limit. Conditional branches: the target ends the block
 * with `branch` (it may instead emit `if … jump … endif` and go on).
 */
export function translateBlock<S>(
  target: Target<S>,
  b: Builder,
  code: CodeReader,
  pc: number,
  mode: number,
  limits: TranslationLimits,
): void {
  const start = target.address(pc);
  const context: DisasContext & { readonly target: S } = {
    b,
    code,
    pc: start,
    mode,
    done: false,
    stop: false,
    extended: limits.extended === true,
    isLeader: limits.isLeader,
    target: target.begin(pc, mode, b, code),
  };
  b.begin(pc);
  b.block.start = start;
  for (let count = 0; ; ) {
    target.insn(context);
    count++;
    if (context.done) break;
    const next = target.encodePc(context);
    const stop =
      context.stop ||
      (target.canStop(context) &&
        (count >= limits.maxInstructions ||
          b.full ||
          (limits.pageEnd !== undefined && context.pc >= limits.pageEnd) ||
          limits.isLeader?.(next) === true));
    if (!stop) continue;
    b.jump(next);
    break;
  }
  b.block.end = context.pc;
}
