import { Errno } from '#util/errno.ts';
import { timerDelay } from '../clock.ts';
import type { Task } from '../task.ts';
import { maskOf, Signal, signalCount, synchronousMask, unblockable } from './numbers.ts';
import { isIgnored, recalculatePending } from './send.ts';
import type { SigInfo } from './siginfo.ts';
import { type AltStack, noAltStack, SaFlags, SIG_DFL, SIG_IGN, type SigAction, SsFlags } from './signal-state.ts';

/** sa_flags that Linux keeps; others are cleared on the way in, so that programs can probe for them. SA_THIRTYTWO too. */
const knownFlags = Object.values(SaFlags).reduce((all, flag) => all | flag, 0x0200_0000) & ~SaFlags.SA_UNSUPPORTED;

const minimumAltStack = 2048;

/** rt_sigaction(2): sets the disposition if `action` is given; returns the old one. Throws EINVAL. */
export function sigaction(task: Task, signo: number, action: SigAction | null): SigAction {
  if (signo < 1 || signo > signalCount) throw new Errno('EINVAL');
  const { process } = task;
  const old = process.signals.actions[signo];
  if (action === null) return old;
  if ((unblockable & maskOf(signo)) !== 0n) throw new Errno('EINVAL');
  process.signals.actions[signo] = {
    handler: action.handler,
    flags: (action.flags & knownFlags) >>> 0,
    restorer: action.restorer,
    mask: action.mask & ~unblockable,
  };
  if (isIgnored(process, signo)) {
    process.signals.pending.discard(maskOf(signo));
    for (const each of process.tasks.values()) each.signals.pending.discard(maskOf(signo));
  }
  process.kernel.onSignalAction(process, signo);
  return old;
}

/** True if the guest has a handler function for the signal. */
export const isHandled = (action: SigAction): boolean => action.handler !== SIG_DFL && action.handler !== SIG_IGN;

export const SigHow = { SIG_BLOCK: 0, SIG_UNBLOCK: 1, SIG_SETMASK: 2 } as const;

/** rt_sigprocmask(2): changes the mask if `set` is given; returns the old one. Throws EINVAL. */
export function sigprocmask(task: Task, how: number, set: bigint | null): bigint {
  const old = task.signals.blocked;
  if (set === null) return old;
  if (how === SigHow.SIG_BLOCK) setBlocked(task, old | set);
  else if (how === SigHow.SIG_UNBLOCK) setBlocked(task, old & ~set);
  else if (how === SigHow.SIG_SETMASK) setBlocked(task, set);
  else throw new Errno('EINVAL');
  return old;
}

export function setBlocked(task: Task, mask: bigint): void {
  task.signals.blocked = mask & ~unblockable;
  recalculatePending(task);
}

/** rt_sigpending(2): blocked signals that wait. */
export function sigpending(task: Task): bigint {
  return (task.signals.pending.mask | task.process.signals.pending.mask) & task.signals.blocked;
}

/**
 * The mask of ppoll, pselect6, epoll_pwait and sigsuspend, for the time of the call. When the call ends by itself, call
 * `restoreMask`; when a signal interrupts it (it rejects), the scheduler restores the mask after the handler.
 */
export function setTemporaryMask(task: Task, mask: bigint): void {
  task.signals.savedMask = task.signals.blocked;
  setBlocked(task, mask);
}

export function restoreMask(task: Task): void {
  const { savedMask } = task.signals;
  if (savedMask === null) return;
  task.signals.savedMask = null;
  setBlocked(task, savedMask);
}

/** rt_sigsuspend(2): never resolves; a delivered signal ends it with EINTR. */
export function sigsuspend(task: Task, mask: bigint): Promise<number> {
  setTemporaryMask(task, mask);
  return task.sleep<number>(() => {}, 'ERESTARTNOHAND');
}

/** pause(2). */
export function pause(task: Task): Promise<number> {
  return task.sleep<number>(() => {}, 'ERESTARTNOHAND');
}

/** Takes the first signal of `wanted` that waits for the task; undefined if there is none. */
export function dequeue(task: Task, wanted: bigint): SigInfo | undefined {
  const info =
    task.signals.pending.take(wanted, synchronousMask) ?? task.process.signals.pending.take(wanted, synchronousMask);
  if (info !== undefined) recalculatePending(task);
  return info;
}

/**
 * rt_sigtimedwait(2): takes one of the signals of `set`, waiting for it at most `timeout` milliseconds (null: for
 * ever). Throws EAGAIN when the time is over, EINTR when another signal comes.
 */
export async function sigtimedwait(task: Task, set: bigint, timeout: number | null): Promise<SigInfo> {
  const wanted = set & ~unblockable;
  const at = dequeue(task, wanted);
  if (at !== undefined) return at;
  if (timeout === 0) throw new Errno('EAGAIN');

  const { signals } = task;
  const mask = signals.blocked;
  signals.realBlocked = mask;
  setBlocked(task, mask & ~wanted);
  let interrupted: unknown = null;
  try {
    await task.sleep<void>((wake) => {
      if (timeout === null) return;
      const timer = setTimeout(wake, timerDelay(timeout));
      return () => clearTimeout(timer);
    }, 'EINTR');
  } catch (error) {
    interrupted = error;
  }
  signals.realBlocked = 0n;
  setBlocked(task, mask);
  const info = dequeue(task, wanted);
  if (info !== undefined) return info;
  throw interrupted ?? new Errno('EAGAIN');
}

/** Is the stack pointer on the alternate signal stack? */
export function onAltStack(stack: AltStack, sp: number): boolean {
  if ((stack.flags & SsFlags.SS_AUTODISARM) !== 0) return false;
  return sp > stack.sp && sp - stack.sp <= stack.size;
}

/** sigaltstack(2): sets the stack if `stack` is given; returns the old one with the flags as the guest sees them. */
export function sigaltstack(task: Task, stack: AltStack | null): AltStack {
  const current = task.signals.altStack;
  const busy = onAltStack(current, task.abi.stackPointer(task.cpu));
  const state = current.size === 0 ? SsFlags.SS_DISABLE : busy ? SsFlags.SS_ONSTACK : 0;
  const old = { ...current, flags: (state | (current.flags & SsFlags.SS_AUTODISARM)) >>> 0 };
  if (stack === null) return old;
  if (busy) throw new Errno('EPERM');
  const mode = (stack.flags & ~SsFlags.SS_AUTODISARM) >>> 0;
  if (mode !== SsFlags.SS_DISABLE && mode !== SsFlags.SS_ONSTACK && mode !== 0) throw new Errno('EINVAL');
  if (mode === SsFlags.SS_DISABLE) {
    task.signals.altStack = { ...noAltStack, flags: stack.flags };
    return old;
  }
  if (stack.size < minimumAltStack) throw new Errno('ENOMEM');
  task.signals.altStack = stack;
  return old;
}

/** Does a handler of this signal make faults observable? */
export const observesFaults = (signo: number): boolean => signo === Signal.SIGSEGV || signo === Signal.SIGBUS;
