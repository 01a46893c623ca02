import type { ExitReason } from '#tcg/cpu-page.ts';
import type { IrBlock } from '#tcg/ir.ts';
import type { Helper } from '#tcg/target.ts';
import { irLayout } from './ir-state.ts';

/** Guest memory of the IR tests is [memoryStart, memoryStart + memoryBytes); everything else faults. */
export const memoryStart = 0x10000;
export const memoryBytes = 0x10000;

/** What the page at `address` allows: 1 read, 2 write. Most can do both, the second is read-only, the fifth has none. */
export function pageAccess(address: number): number {
  const offset = address - memoryStart;
  if (offset < 0 || offset >= memoryBytes) return 0;
  return [3, 1, 3, 3, 0][offset >> 12] ?? 3;
}

/** A machine before or after a block: the guest's state (`irLayout`, from its start) and its memory. */
export interface IrMachine {
  readonly state: Uint8Array;
  readonly memory: Uint8Array;
}

/** How the block was left. `reason` is `ExitReason.none` where it goes on at another PC. */
export interface IrOutcome extends IrMachine {
  readonly reason: ExitReason;
  /** Where to go on; at a fault the faulting instruction's `insn` PC. */
  readonly pc: number;
  /** Argument of an exit; at a fault the first address of the access. */
  readonly argument: number;
}

/** One way to execute a block. It must leave `initial` alone. */
export interface IrExecutor {
  readonly name: string;
  run(block: IrBlock, initial: IrMachine): IrOutcome;
}

const stateAt = (name: 'r' | 'nf', index: number) => irLayout.offset(name, name === 'r' ? index : 0) >> 2;

/** Helpers of the made-up guest: pure, with a state effect, and reading state. */
export const irHelpers: readonly Helper[] = [
  { name: 'mix', pure: true, call: (_cpu, a, b, c) => Math.imul(a ^ 0x5bd1e995, b | 1) ^ c },
  {
    name: 'count',
    call: (cpu, a) => {
      cpu.i32[stateAt('r', 7)] = (cpu.i32[stateAt('r', 7)]! + a) | 0;
      return cpu.i32[stateAt('nf', 0)]!;
    },
  },
];
