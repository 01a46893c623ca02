import { describe, expect, it } from 'vitest';
import type { Tier } from '#accel/engine.ts';
import type { Optimization } from '#accel/optimizations.ts';
import { ExitReason } from '#tcg/cpu-page.ts';
import { parseBlock, printBlock } from '#tcg/text.ts';
import type { IrOutcome } from './support/ir-exec.ts';
import { evaluateProgram, programMachine, programStart, randomProgram, runProgram } from './support/ir-program.ts';
import { Random } from './support/ir-random.ts';
import { irLayout, irLazySlots } from './support/ir-state.ts';

const programs = Number(process.env.IR_PROGRAMS ?? 80);
const firstSeed = Number(process.env.IR_SEED ?? 1);

/** Faults are compared by PC: the engine's address is the first byte refused, the evaluator's the access's. */
function observable({ reason, pc, argument, state, memory }: IrOutcome, exactState: boolean) {
  const seen = state.slice();
  const fault = reason === ExitReason.fault;
  if (fault && !exactState) {
    for (const [start, end] of irLazySlots) seen.fill(0, start - irLayout.start, end - irLayout.start);
  }
  return { reason, pc, argument: fault ? 0 : argument, state: Buffer.from(seen), memory: Buffer.from(memory) };
}

/** Programs of random blocks with random control flow, through the whole engine. */
describe.each<[Tier, number]>([
  ['interp', 60],
  ['region', 60],
  // Enough rounds for blocks to become hot.
  ['auto', 1500],
])('random programs, tier %s', (tier, fuel) => {
  it.each([false, true])('end as the evaluator says, exact state %s', (exactState) => {
    const count = tier === 'auto' ? programs / 4 : programs;
    for (let seed = firstSeed; seed < firstSeed + count; seed++) {
      const random = new Random(seed);
      const program = randomProgram(random);
      const machine = programMachine(random, fuel);
      const wanted = observable(evaluateProgram(program, machine), exactState);
      const outcome = observable(runProgram(program, machine, { tier, exactState, budget: seed % 7 }), exactState);
      const { memory, ...rest } = outcome;
      const { memory: wantedMemory, ...wantedRest } = wanted;
      const text = [`seed ${seed}`, ...[...program.values()].map((block) => printBlock(block, irLayout))].join('\n');
      expect(rest, text).toEqual(wantedRest);
      expect(memory.equals(wantedMemory), text).toBe(true);
    }
  });
});

describe.each<Optimization>([
  'simplify',
  'deadCode',
  'inline',
  'split',
  'sink',
  'entry',
  'group',
  'forward',
  'return',
  'vector',
  'interrupt',
  'nest',
])('without %s', (optimization) => {
  it('random programs end the same', () => {
    for (let seed = firstSeed; seed < firstSeed + programs; seed++) {
      const random = new Random(seed);
      const program = randomProgram(random);
      const machine = programMachine(random, 60);
      const options = { tier: 'region', exactState: false, budget: seed % 7 } as const;
      const wanted = observable(evaluateProgram(program, machine), false);
      const outcome = runProgram(program, machine, { ...options, without: new Set([optimization]) });
      expect(observable(outcome, false), `seed ${seed}`).toEqual(wanted);
    }
  });
});

/** Blocks as text; the first stands at `programStart`. */
function programOf(...texts: string[]) {
  const blocks = texts.map((text) => parseBlock(text, irLayout));
  expect(blocks[0].pc).toBe(programStart);
  return new Map(blocks.map((block) => [block.pc, block]));
}

describe.each<Tier>(['interp', 'region'])('small programs, tier %s', (tier) => {
  it('keep flags exact at a fault in a later block that overwrites them afterwards', () => {
    const program = programOf(
      `block 00100000
         insn 0x100000
         v1 = const_i32 5
         set_i32 nf, v1
         jump 0x110000`,
      `block 00110000
         insn 0x110000
         v1 = const_i32 16
         v2 = load_i32 [v1]
         set_i32 nf, v2
         jump 0x100000`,
    );
    const machine = programMachine(new Random(1), 10);
    const outcome = runProgram(program, machine, { tier, exactState: true, budget: 9 });
    expect(outcome).toEqual({ ...evaluateProgram(program, machine), argument: 16 });
  });
});
