import { Access } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import { Signal } from '../signal/numbers.ts';
import { forceSignal } from '../signal/send.ts';
import { SiCode } from '../signal/siginfo.ts';
import { keepRegisters } from '../syscall-table.ts';
import type { Task } from '../task.ts';

/* ARM's own calls, from number 0x0f0000 on (arch/arm/kernel/traps.c, arm_syscall). */

/** set_tls, 0x0f0005. */
export function armSetTls(task: Task, value: number): number {
  task.abi.setThreadPointer(task.cpu, value);
  return 0;
}

/** get_tls, 0x0f0006. Its value may look like an error, so it goes to the register directly. */
export function armGetTls(task: Task): number {
  task.abi.setResult(task.cpu, task.abi.threadPointer(task.cpu));
  return keepRegisters;
}

/** cacheflush, 0x0f0002: [start, end) holds new code. */
export function armCacheflush(task: Task, start: number, end: number, flags: number): number {
  if (end < start || flags !== 0) throw new Errno('EINVAL');
  if (end > start && task.memory.refused(start, end - start, Access.read) >= 0) throw new Errno('EFAULT');
  task.process.engine.invalidate(start, end);
  return 0;
}

/** breakpoint, 0x0f0001: a SIGTRAP at the call. */
export function armBreakpoint(task: Task): number {
  const address = task.abi.pc(task.cpu) - 4;
  const cause = { kind: 'breakpoint' } as const;
  const words = task.abi.faultWords(cause);
  forceSignal(task, { kind: 'fault', signo: Signal.SIGTRAP, code: SiCode.TRAP_BRKPT, address, cause, ...words });
  return keepRegisters;
}
