import { Signal } from '../signal/numbers.ts';
import { forceSignal } from '../signal/send.ts';
import { SiCode } from '../signal/siginfo.ts';
import { keepRegisters } from '../syscall-table.ts';
import type { Task } from '../task.ts';

/** ARM's own call breakpoint, 0x0f0001: a SIGTRAP at the call (arch/arm/kernel/traps.c, arm_syscall). */
export function armBreakpoint(task: Task): number {
  const address = task.abi.pc(task.cpu) - 4;
  const cause = { kind: 'breakpoint' } as const;
  const words = task.abi.faultWords(cause);
  forceSignal(task, { kind: 'fault', signo: Signal.SIGTRAP, code: SiCode.TRAP_BRKPT, address, cause, ...words });
  return keepRegisters;
}

/** A call that only CPUs with 26-bit modes had: SIGILL at the call, as bad_syscall sends it. */
export function armBadCall(task: Task): number {
  const address = task.abi.pc(task.cpu) - 4;
  const cause = { kind: 'undefined' } as const;
  const words = task.abi.faultWords(cause);
  forceSignal(task, { kind: 'fault', signo: Signal.SIGILL, code: SiCode.ILL_ILLTRP, address, cause, ...words });
  return keepRegisters;
}
