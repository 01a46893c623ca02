import type { Process } from './process.ts';
import type { SigInfo } from './signal/siginfo.ts';
import type { Task } from './task.ts';

/**
 * What a system call gives back: the value for the return register (a negative errno for failure), or a promise of it
 * exactly where Linux may sleep.
 */
export type SyscallResult = number | Promise<number>;

/** Result of a call that has set the registers itself (sigreturn, execve): the return register is left alone. */
export const keepRegisters = 2 ** 40;

/** The system calls as the kernel layer uses them; `syscalls/` implements it and `src/` injects it. */
export interface SyscallTable {
  /**
   * Serves the call the task's registers ask for (number and arguments are read through the task's ABI), printing it
   * under -strace. Never throws for anything the guest did: an `Errno` becomes its negative number.
   */
  dispatch(task: Task): SyscallResult;
  /** A signal is delivered to a task: -strace shows it. */
  signal?(task: Task, info: SigInfo): void;
  /** A process has ended. */
  ended?(process: Process): void;
  /** The run is over. */
  finish?(): void;
}
