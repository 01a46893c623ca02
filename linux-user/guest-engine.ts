import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Text } from '#accel/stored/stored-code.ts';
import type { ExitReason } from '#tcg/cpu-page.ts';
import type { CpuView, Target } from '#tcg/target.ts';

/** What the kernel layer asks of the engine that runs one address space (`accel/engine.ts` is one). */
export interface GuestEngine {
  /** The running CPU's state in the CPU page. */
  readonly cpu: CpuView;
  /** Runs guest code from `cpuHeader.pc` until something must be served. Never returns an engine-internal reason. */
  run(): ExitReason;
  /** Runs one guest instruction: `ExitReason.budget` after it, or why it could not be carried out. */
  runOne(): ExitReason;
  /**
   * Serves a system call in the midst of generated code, with the state in memory and `cpuHeader.pc` after the call.
   * True: execution goes on at `cpuHeader.pc`. False: run() returns `ExitReason.syscall`.
   */
  serveSyscall: () => boolean;
  /** Translated code of the guest range [start, end) is stale. */
  invalidate(start: number, end: number): void;
  /** Whether the guest can observe a fault: state must be exact at every access then. */
  setExactState(on: boolean): void;
  /** Where mapped files are whose translations may be kept for other runs. */
  textAt: (address: number) => Text | null;
  /** Keeps what was translated for other runs. */
  keepCode(): void;
}

/** Makes the engine that runs code for `target` in a memory. */
export type EngineFactory = (memory: GuestMemory, target: Target) => GuestEngine;
