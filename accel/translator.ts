import { Builder } from '#tcg/builder.ts';
import { countingPoints } from '#tcg/counting.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import type { IrBlock } from '#tcg/ir.ts';
import { Op } from '#tcg/ops.ts';
import { Optimizer } from '#tcg/optimize.ts';
import { type CodeKeys, type PredecodedBlock, Predecoder } from '#tcg/predecode.ts';
import type { CodeReader, Target } from '#tcg/target.ts';
import { type TranslationLimits, translateBlock } from '#tcg/translator.ts';
import { cpuBase } from './guest-memory.ts';
import { type Optimization, passesWithout } from './optimizations.ts';
import type { BlockOutline } from './region/discovery.ts';
import { outlineOf } from './region/outline.ts';

/** Makes T0 code of guest code. A program whose code earlier runs have left does without, and does not load it. */
export class Translator {
  readonly builder = new Builder();
  readonly optimizer: Optimizer;
  private readonly target: Target;
  private readonly reader: CodeReader;
  private readonly passes: ReturnType<typeof passesWithout>;
  private readonly predecoder: Predecoder;

  /** `words`: memory 1, where the code goes. */
  constructor(target: Target, reader: CodeReader, words: Int32Array, without: ReadonlySet<Optimization>) {
    this.target = target;
    this.reader = reader;
    this.passes = passesWithout(without);
    this.optimizer = new Optimizer(target);
    this.predecoder = new Predecoder(cpuBase, words);
  }

  /** Translates the block at `pc`; the result is valid until the next call. */
  translate(pc: number, mode: number, limits: TranslationLimits): IrBlock {
    translateBlock(this.target, this.builder, this.reader, pc, mode, limits);
    return this.builder.block;
  }

  optimize(block: IrBlock, exactState: boolean): void {
    this.optimizer.run(block, { exactState, ...this.passes });
  }

  /** Writes T0 code at byte `address` of memory 1. `threshold`: the start of its profile counter. */
  encode(block: IrBlock, address: number, threshold: number, count: boolean, keys?: CodeKeys): PredecodedBlock {
    return this.predecoder.encode(block, address, threshold, count ? countingPoints(block) : undefined, keys);
  }

  outlineOf(block: IrBlock, constants: BlockOutline['constants'], exactState: boolean): BlockOutline {
    return outlineOf(block, this.target, constants, exactState);
  }

  /** True if the block ends where nothing could be fetched. */
  isCutShort(block: IrBlock): boolean {
    const last = block.length - 1;
    return block.op[last] === Op.exit && block.x[last] === ExitReason.fetchFault;
  }
}
