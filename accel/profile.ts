import { t0Opcodes } from '#tcg/interpreter-ops.ts';
import type { PredecodedBlock } from '#tcg/predecode.ts';
import { type CodeSpace, codeAt, outlineAt } from './code-space.ts';
import { batchFraction, inlineFraction, maxBatch } from './tunables.ts';

/** Counter value that is never used up. */
export const neverHot = 0x7fffffff;

/** What the interpreter has seen of the program: the counters and call targets in its code, and what follows from them. */
export class Profile {
  /** Entries after which a block is hot; 1: everything is compiled at once, without a profile. */
  threshold = neverHot;
  /** Memory 1. */
  private readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  /** From now on what has been entered `threshold` times is hot; what `blocks` have run so far counts. */
  beginAt(threshold: number, blocks: readonly Pick<PredecodedBlock, 'address'>[]): void {
    this.threshold = threshold;
    for (const { address } of blocks) {
      if (this.words[address >> 2] !== t0Opcodes.enter) continue;
      const entered = neverHot - this.words[(address >> 2) + 1]!;
      this.set(address, Math.max(1, threshold - entered));
    }
  }

  /** From now on it takes more entries to be hot; `blocks` are those that have counters. */
  raiseTo(threshold: number, blocks: readonly Pick<PredecodedBlock, 'address'>[]): void {
    const more = threshold - this.threshold;
    this.threshold = threshold;
    for (const { address } of blocks) {
      const counter = (address >> 2) + 1;
      if (this.words[counter - 1] === t0Opcodes.enter)
        this.words[counter] = Math.min(neverHot, this.words[counter]! + more);
    }
  }

  /** Sets the counter of the block at T0 code `address`: it is hot after so many entries. */
  set(address: number, entries: number): void {
    this.words[(address >> 2) + 1] = entries;
  }

  /** The block at T0 code `address` is hot after no more than so many entries. */
  lower(address: number, entries: number): void {
    const at = (address >> 2) + 1;
    if (this.words[address >> 2] === t0Opcodes.enter) this.words[at] = Math.min(this.words[at]!, entries);
  }

  /** How often the block at `pc`, which is not compiled, has been entered, as far as its counter tells. */
  entered(space: CodeSpace, pc: number): number {
    const address = codeAt(space, pc);
    return address === undefined ? 0 : Math.max(0, this.threshold - this.words[(address >> 2) + 1]!);
  }

  /** True if calls of the function at `pc` should be inlined; without a profile, all. */
  isHot(space: CodeSpace, pc: number): boolean {
    if (this.threshold <= 1 || space.compiled.has(pc)) return true;
    return this.entered(space, pc) >= this.threshold * inlineFraction;
  }

  /** Where the indirect call that comes back to `returnPc` went: two targets at most, the last one first. */
  lastTargets({ indirectCalls }: CodeSpace, returnPc: number): number[] {
    const word = (indirectCalls.get(returnPc) ?? -1) >> 2;
    if (word < 0) return [];
    return [this.words[word]!, this.words[word + 1]!].filter((pc) => pc !== 0);
  }

  /** The known function whose executed code leads to `pc`: the nearest before it; `pc` itself if there is none. */
  functionOf(space: CodeSpace, pc: number): number {
    const { functions } = space;
    let nearest: number | undefined;
    for (const entry of functions) {
      if (entry >>> 0 > pc >>> 0) continue;
      if (nearest === undefined || entry >>> 0 > nearest >>> 0) nearest = entry;
    }
    if (nearest === undefined) return pc;
    const reached = new Set([nearest]);
    for (const at of reached) {
      if (at === pc) return nearest;
      for (const successor of outlineAt(space, at)?.successors ?? [])
        if (!functions.has(successor)) reached.add(successor);
    }
    return pc;
  }

  /** `entry` and the functions it calls, directly or not, that are on their way to being hot themselves. */
  batch(space: CodeSpace, entry: number): number[] {
    const { functions, compiled } = space;
    const entries = [entry];
    const seen = new Set(entries);
    if (this.threshold <= 1) return entries;
    for (let at = 0; at < entries.length && entries.length < maxBatch; at++) {
      const reached = new Set<number>([entries[at]!]);
      for (const pc of reached) {
        const outline = outlineAt(space, pc);
        if (!outline || reached.size > 200) continue;
        for (const successor of outline.successors) if (!functions.has(successor)) reached.add(successor);
        for (const callee of outline.calls) {
          if (seen.has(callee) || compiled.has(callee)) continue;
          if (this.entered(space, callee) < this.threshold * batchFraction) continue;
          if (entries.length >= maxBatch) break;
          seen.add(callee);
          entries.push(callee);
        }
      }
    }
    return entries;
  }
}
