import { onAltStack } from '../signal/actions.ts';
import { noAltStack, SaFlags, type SigAction, SsFlags } from '../signal/signal-state.ts';
import type { Task } from '../task.ts';

/** Smallest stack that a signal frame can set (MINSIGSTKSZ of 32-bit ABIs). */
const minimumAltStack = 2048;

/** Where the frame of a handler goes: below the stack pointer, or at the end of the alternate stack. */
export function frameTop(task: Task, action: SigAction, stackPointer: number): number {
  const { altStack } = task.signals;
  if ((action.flags & SaFlags.SA_ONSTACK) === 0 || altStack.size === 0) return stackPointer;
  return onAltStack(altStack, stackPointer) ? stackPointer : altStack.sp + altStack.size;
}

/** Writes uc_stack (ss_sp, ss_flags, ss_size) of a 32-bit ucontext. */
export function saveAltStack(task: Task, at: number, stackPointer: number): void {
  const { altStack } = task.signals;
  const busy = onAltStack(altStack, stackPointer);
  const state = altStack.size === 0 ? SsFlags.SS_DISABLE : busy ? SsFlags.SS_ONSTACK : 0;
  task.memory.store32(at, altStack.sp);
  task.memory.store32(at + 4, state | (altStack.flags & SsFlags.SS_AUTODISARM));
  task.memory.store32(at + 8, altStack.size);
}

/** As sigaltstack(2) would set it; what that call would refuse is ignored. `stackPointer` is the one restored. */
export function restoreAltStack(task: Task, at: number, stackPointer: number): void {
  const { memory, signals } = task;
  const sp = memory.load32(at);
  const flags = memory.load32(at + 4);
  const size = memory.load32(at + 8);
  if (onAltStack(signals.altStack, stackPointer)) return;
  if ((flags & SsFlags.SS_DISABLE) !== 0) signals.altStack = noAltStack;
  else if (size >= minimumAltStack) signals.altStack = { sp, size, flags: (flags & SsFlags.SS_AUTODISARM) >>> 0 };
}
