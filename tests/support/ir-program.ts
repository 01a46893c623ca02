import { ExactCheckedMemory } from '#accel/checked-memory.ts';
import { Engine, type Tier } from '#accel/engine.ts';
import { cpuBase, memoryPages } from '#accel/guest-memory.ts';
import type { Optimization } from '#accel/optimizations.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import { generateInterpreter } from '#tcg/interpreter-module.ts';
import type { IrBlock } from '#tcg/ir.ts';
import type { Target } from '#tcg/target.ts';
import { type IrMachine, type IrOutcome, irHelpers, memoryBytes, memoryStart } from './ir-exec.ts';
import { IrGuest } from './ir-executors.ts';
import { frameStart, type Random, randomBlock, randomMachine } from './ir-random.ts';
import { evaluate } from './ir-reference.ts';
import { irLayout, irLazySlots } from './ir-state.ts';

/** Blocks of IR by PC: a program of the made-up guest. Its entry is `programStart`; other PCs are undefined. */
export type IrProgram = ReadonlyMap<number, IrBlock>;

export const programStart = 0x100000;
/** Distance of blocks: further than any of their `insn` PCs reach. */
const blockSpacing = 0x20000;
const undefinedPc = 0x90000000 | 0;
/** What a system call of the made-up guest does to the state: r5 += 1. */
const servedSlot = irLayout.offset('r', 5);

const word = (field: keyof typeof cpuHeader.fields): number => cpuHeader.fields[field].offset >> 2;

/** A random control-flow graph of random blocks. */
export function randomProgram(random: Random): IrProgram {
  const count = 1 + random.below(10);
  const pcOf = (n: number): number => programStart + n * blockSpacing;
  const frames = random.below(2) === 0;
  const size = (frames ? 10 : 1) + random.below(12);
  const program = new Map<number, IrBlock>();
  for (let n = 0; n < count; n++) {
    const target = (source: Random): number => {
      if (source.below(30) === 0) return undefinedPc;
      // Most graphs are nearly structured: close targets, backwards and forwards.
      if (source.below(2)) return pcOf((n + 1 + source.below(3)) % count);
      return pcOf(source.below(count));
    };
    program.set(pcOf(n), randomBlock(random, 1 + random.below(size), { pc: pcOf(n), target, program: true, frames }));
  }
  return program;
}

export function programMachine(random: Random, fuel: number): IrMachine {
  const machine = randomMachine(random);
  const words = new Int32Array(machine.state.buffer);
  words[(irLayout.offset('fuel') - irLayout.start) >> 2] = fuel;
  words[(irLayout.offset('sp') - irLayout.start) >> 2] = frameStart;
  return machine;
}

/** Follows the jumps with the evaluator. */
export function evaluateProgram(program: IrProgram, initial: IrMachine): IrOutcome {
  const memory = initial.memory.slice();
  let { state } = initial;
  for (let pc = programStart; ; ) {
    const block = program.get(pc);
    if (!block) return { reason: ExitReason.undefined, pc, argument: 0, state, memory };
    const outcome = evaluate(block, { state, memory }, access);
    state = outcome.state.slice();
    if (outcome.reason === ExitReason.syscall) new DataView(state.buffer).setInt32(...served(state));
    else if (outcome.reason !== ExitReason.none) return { ...outcome, state };
    pc = outcome.pc;
  }
}

function served(state: Uint8Array): [number, number, boolean] {
  const at = servedSlot - irLayout.start;
  return [at, new DataView(state.buffer).getInt32(at, true) + 1, true];
}

const interpreter = generateInterpreter(new ExactCheckedMemory(), { cpuBase, memoryPages });
/** All of it readable and writable: no access inside is in doubt, however it is aligned. */
const access = (address: number): number => (address >= memoryStart && address < memoryStart + memoryBytes ? 3 : 0);
const guest = new IrGuest(memoryBytes, access);

/** Runs the program in a fresh engine. System calls cut the budget to `budget`. */
export function runProgram(
  program: IrProgram,
  initial: IrMachine,
  options: {
    readonly tier: Tier;
    readonly exactState: boolean;
    readonly budget: number;
    readonly without?: ReadonlySet<Optimization>;
  },
): IrOutcome {
  const { memory } = guest;
  const engine = new Engine(irTarget(program), memory, {
    interpreter,
    tier: options.tier,
    ...(options.without && { without: options.without }),
  });
  engine.setExactState(options.exactState);
  guest.put(initial);
  const { i32 } = memory.cpu;
  engine.serveSyscall = () => {
    i32[servedSlot >> 2]!++;
    i32[word('budget')] = options.budget;
    return true;
  };
  i32[word('pc')] = programStart;
  for (;;) {
    const reason = engine.run();
    if (reason === ExitReason.budget) continue;
    const argument = i32[word(reason === ExitReason.fault ? 'faultAddress' : 'exitArg')]!;
    return { ...guest.take(), reason, pc: i32[word('pc')]!, argument };
  }
}

function irTarget(program: IrProgram): Target<IrBlock | undefined> {
  return {
    name: 'ir',
    layout: irLayout,
    lazySlots: irLazySlots,
    helpers: irHelpers,
    address: (pc) => pc >>> 0,
    mode: () => 0,
    begin: (pc) => program.get(pc),
    insn(context) {
      const { b, target: block, pc } = context;
      if (block) {
        for (let i = 0; i < block.length; i++) {
          const { op, a, b: second, c, x, y, z, w } = block;
          b.emit(op[i]!, a[i]!, second[i]!, c[i]!, x[i]!, y[i]!, z[i]!, w[i]!);
        }
        b.block.tables = [...block.tables];
        b.block.instructions = block.instructions;
      } else {
        b.insn(pc);
        b.exit(ExitReason.undefined, pc | 0);
      }
      context.pc += 4;
      context.done = true;
    },
    canStop: () => true,
    encodePc: (context) => context.pc | 0,
    reset: () => {},
    describe: () => ({ text: 'ir', bytes: 4 }),
  };
}
