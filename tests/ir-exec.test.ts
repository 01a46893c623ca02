import { describe, expect, it } from 'vitest';
import { ExitReason } from '#tcg/cpu-page.ts';
import { copyBlock, type IrBlock } from '#tcg/ir.ts';
import { opNames } from '#tcg/ops.ts';
import { type OptimizeOptions, Optimizer } from '#tcg/optimize.ts';
import { parseBlock, printBlock } from '#tcg/text.ts';
import { verifyBlock } from '#tcg/verify.ts';
import { type IrExecutor, type IrMachine, type IrOutcome, irHelpers } from './support/ir-exec.ts';
import { compiled, interpreted } from './support/ir-executors.ts';
import { Random, randomBlock, randomMachine } from './support/ir-random.ts';
import { reference } from './support/ir-reference.ts';
import { irLayout, irLazySlots } from './support/ir-state.ts';

/** Every way to execute IR must agree with the first. */
const executors: readonly IrExecutor[] = [reference, interpreted, compiled];

const blocks = Number(process.env.IR_BLOCKS ?? 400);
const optimizer = new Optimizer({ layout: irLayout, lazySlots: irLazySlots, helpers: irHelpers });
const facts = { layout: irLayout, helpers: irHelpers.length };

/** What of an outcome can be observed: at a fault without exact state, not the lazy slots. */
function observable(outcome: IrOutcome, exactState: boolean) {
  const state = outcome.state.slice();
  if (outcome.reason === ExitReason.fault && !exactState) {
    for (const [start, end] of irLazySlots) state.fill(0, start - irLayout.start, end - irLayout.start);
  }
  const { reason, pc, argument, memory } = outcome;
  return { reason, pc, argument, state: Buffer.from(state), memory: Buffer.from(memory) };
}

function sameOutcome(a: IrOutcome, b: IrOutcome, exactState: boolean): boolean {
  const x = observable(a, exactState);
  const y = observable(b, exactState);
  const left = x.reason === y.reason && x.pc === y.pc && x.argument === y.argument;
  return left && x.state.equals(y.state) && x.memory.equals(y.memory);
}

function forRandom(visit: (block: IrBlock, machine: IrMachine, seed: number) => void): void {
  for (let seed = 1; seed <= blocks; seed++) {
    const random = new Random(seed);
    visit(randomBlock(random, 10 + random.below(60)), randomMachine(random), seed);
  }
}

describe('random blocks', () => {
  it('are valid, survive text, use every op and do not fault too often', () => {
    const used = new Set<number>();
    let faults = 0;
    forRandom((block, machine) => {
      verifyBlock(block, facts);
      expect(parseBlock(printBlock(block, irLayout), irLayout)).toEqual(block);
      for (const op of block.op) used.add(op);
      if (reference.run(block, machine).reason === ExitReason.fault) faults++;
    });
    expect(opNames.filter((_, op) => !used.has(op))).toEqual([]);
    expect(faults).toBeGreaterThan(blocks / 50);
    expect(faults).toBeLessThan((blocks * 2) / 3);
  });

  const variants: Record<string, OptimizeOptions> = {
    'all passes': { exactState: false },
    'exact state': { exactState: true },
    'dead code only': { exactState: false, simplify: false },
    'simplification only': { exactState: false, deadCode: false },
    'no compaction': { exactState: false, compact: false },
  };
  it.each(Object.entries(variants))('mean the same after optimizing: %s', (_, options) => {
    forRandom((block, machine, seed) => {
      const optimized = copyBlock(block);
      optimizer.run(optimized, options);
      verifyBlock(optimized, facts);
      const before = reference.run(block, machine);
      for (const executor of executors) {
        const after = executor.run(optimized, machine);
        if (sameOutcome(before, after, options.exactState)) continue;
        const texts = `${executor.name}, seed ${seed}\n${printBlock(block, irLayout)}optimized\n${printBlock(optimized, irLayout)}`;
        expect.soft(texts).toBe('');
        expect(observable(after, options.exactState)).toEqual(observable(before, options.exactState));
      }
    });
  });

  it.each(executors.slice(1))('do the same under $name', (executor) => {
    forRandom((block, machine, seed) => {
      const same = sameOutcome(reference.run(block, machine), executor.run(block, machine), true);
      if (!same) expect(`seed ${seed}\n${printBlock(block, irLayout)}`).toBe('');
    });
  });
});
