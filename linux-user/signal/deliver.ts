import { errnoNumbers } from '#util/errno.ts';
import { createLog } from '#util/log.ts';
import { isOrphaned, stopProcess } from '../job-control.ts';
import type { Process } from '../process.ts';
import { abortSequence } from '../rseq.ts';
import type { Task } from '../task.ts';
import { isHandled, restoreMask, setBlocked } from './actions.ts';
import { defaultAction, maskOf, Signal, synchronousMask } from './numbers.ts';
import { forceSegv, recalculatePending } from './send.ts';
import type { SigInfo } from './siginfo.ts';
import { defaultSigAction, SaFlags, SIG_IGN, type SigAction } from './signal-state.ts';

const log = createLog('signal');

const { EINTR, ERESTARTSYS, ERESTARTNOINTR, ERESTART_RESTARTBLOCK } = errnoNumbers;

/** True for the results of an interrupted call that only the kernel knows. */
export const isRestart = (result: number): boolean => result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK;

/** Stops the process, but for the terminal's stop signals in a group that nobody could continue. */
function stop(process: Process, signo: number): void {
  if (signo !== Signal.SIGSTOP && isOrphaned(process, process.group)) return;
  stopProcess(process, signo);
}

/** Does job control keep the thread from running? A tracer can let it run all the same. */
export const isHeld = ({ process, trace }: Task): boolean => process.stopped && trace?.passesStop !== true;

/** The next signal whose handler must run; carries out what has no handler. Null when nothing is left to do now. */
function nextHandled(task: Task): { info: SigInfo; action: SigAction } | null {
  const { process } = task;
  while (!task.mustEnd && !isHeld(task)) {
    if (task.trace?.mustStop === true) return null;
    const wanted = ~task.signals.blocked;
    const info =
      task.trace?.takeInjected() ??
      task.signals.pending.take(wanted, synchronousMask) ??
      process.signals.pending.take(wanted, synchronousMask);
    if (info === undefined) return null;
    // Its tracer is told of it, and says what comes of it.
    if (task.trace?.intercepts(info) === true) return null;
    process.kernel.syscalls.signal?.(task, info);
    const action = process.signals.actions[info.signo];
    if (isHandled(action)) return { info, action };
    if (action.handler === SIG_IGN) continue;
    const what = defaultAction(info.signo);
    if (what === 'stop') stop(process, info.signo);
    if (what === 'core' || what === 'terminate') {
      process.terminate({ kind: 'signal', signo: info.signo, core: what === 'core', info, task });
    }
  }
  return null;
}

/** How the interrupted call goes on, now that a handler with `action` runs. */
function settleCall(task: Task, result: number, action: SigAction): void {
  const again = result === -ERESTARTNOINTR || (result === -ERESTARTSYS && (action.flags & SaFlags.SA_RESTART) !== 0);
  if (again) task.abi.restartSyscall(task.cpu, task.syscallFirstArgument);
  else task.abi.setResult(task.cpu, -EINTR);
}

function enterHandler(task: Task, info: SigInfo, action: SigAction): void {
  const { signals } = task;
  if (task.rseq !== null) abortSequence(task);
  const saved = signals.savedMask ?? signals.blocked;
  signals.savedMask = null;
  if (!task.abi.pushSignalFrame(task, info, action, saved)) {
    forceSegv(task, info.signo);
    return;
  }
  if ((action.flags & SaFlags.SA_RESETHAND) !== 0) task.process.signals.actions[info.signo] = defaultSigAction;
  const own = (action.flags & SaFlags.SA_NODEFER) === 0 ? maskOf(info.signo) : 0n;
  setBlocked(task, signals.blocked | action.mask | own);
  log('task %d: signal %d to its handler', task.tid, info.signo);
  task.trace?.enteredHandler();
}

/**
 * Carries out the signals that wait, before the task goes on in user mode. `result` is that of the system call it comes
 * from (already in the result register), or 0: a call that ended with ERESTART* is made again or ends with EINTR,
 * once, here (signal(7)). Returns what to come back with if the process has been stopped or its tracer has to be told
 * (`Tracee.mustStop`): the call's end is settled when it goes on. Else 0.
 */
export function deliverSignals(task: Task, result: number): number {
  let open = isRestart(result) ? result : 0;
  for (;;) {
    const next = nextHandled(task);
    if (next === null) break;
    if (open !== 0) settleCall(task, open, next.action);
    open = 0;
    enterHandler(task, next.info, next.action);
  }
  if (isHeld(task) || task.trace?.mustStop === true) {
    recalculatePending(task);
    return open;
  }
  if (open !== 0 && !task.mustEnd) {
    const number = open === -ERESTART_RESTARTBLOCK ? task.abi.restartSyscallNumber : undefined;
    task.abi.restartSyscall(task.cpu, task.syscallFirstArgument, number);
  }
  restoreMask(task);
  recalculatePending(task);
  return 0;
}
