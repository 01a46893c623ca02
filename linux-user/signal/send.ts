import { constants } from 'node:os';
import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import type { Task } from '../task.ts';
import { defaultAction, maskOf, Signal, signalCount, signalName } from './numbers.ts';
import type { SigInfo } from './siginfo.ts';
import { SiCode } from './siginfo.ts';
import { defaultSigAction, SIG_DFL, SIG_IGN } from './signal-state.ts';

const stopMask = maskOf(Signal.SIGSTOP) | maskOf(Signal.SIGTSTP) | maskOf(Signal.SIGTTIN) | maskOf(Signal.SIGTTOU);

/** Sets `signalPending` from the masks: after every change of a mask or a queue. */
export function recalculatePending(task: Task): void {
  const waiting = task.signals.pending.mask | task.process.signals.pending.mask;
  task.signalPending = (waiting & ~task.signals.blocked) !== 0n || task.process.termination !== null;
}

/** Would the signal have no effect if it were delivered now? */
export function isIgnored(process: Process, signo: number): boolean {
  const { handler } = process.signals.actions[signo];
  return handler === SIG_IGN || (handler === SIG_DFL && defaultAction(signo) === 'ignore');
}

function prepare(process: Process, signo: number): void {
  const dropped = (stopMask & maskOf(signo)) !== 0n ? maskOf(Signal.SIGCONT) : signo === Signal.SIGCONT ? stopMask : 0n;
  if (dropped === 0n) return;
  process.signals.pending.discard(dropped);
  for (const task of process.tasks.values()) task.signals.pending.discard(dropped);
}

const blocks = (task: Task, signo: number): boolean =>
  ((task.signals.blocked | task.signals.realBlocked) & maskOf(signo)) !== 0n;

function wakeFor(task: Task, signo: number): boolean {
  if ((task.signals.blocked & maskOf(signo)) !== 0n) return false;
  task.interrupt();
  return true;
}

/** Sends a signal to one thread. */
export function sendToTask(task: Task, info: SigInfo): void {
  const { process } = task;
  prepare(process, info.signo);
  if (isIgnored(process, info.signo) && !blocks(task, info.signo)) return;
  task.signals.pending.add(info);
  wakeFor(task, info.signo);
}

/** Sends a signal to a process: the first thread that does not block it takes it. */
export function sendToProcess(process: Process, info: SigInfo): void {
  const { signo } = info;
  prepare(process, signo);
  const tasks = [...process.tasks.values()];
  if (isIgnored(process, signo) && !tasks.some((task) => blocks(task, signo))) return;
  process.signals.pending.add(info);
  tasks.some((task) => wakeFor(task, signo));
}

/** A fault's signal, which cannot be held back: blocked or ignored, its default action is taken (force_sig_info). */
export function forceSignal(task: Task, info: SigInfo): void {
  const { actions } = task.process.signals;
  const bit = maskOf(info.signo);
  if ((task.signals.blocked & bit) !== 0n || actions[info.signo].handler === SIG_IGN) {
    actions[info.signo] = defaultSigAction;
    task.signals.blocked &= ~bit;
  }
  task.signals.pending.add(info);
  task.interrupt();
}

/** What a frame that cannot be written or read back leads to. */
export function forceSegv(task: Task, whileDelivering: number): void {
  if (whileDelivering === Signal.SIGSEGV) task.process.signals.actions[Signal.SIGSEGV] = defaultSigAction;
  forceSignal(task, { kind: 'kernel', signo: Signal.SIGSEGV, code: SiCode.SI_KERNEL });
}

/** The host's number for a guest signal. Throws EINVAL where the host has no such signal. */
export function hostSignalNumber(signo: number): number {
  if (signo === 0 || process.platform === 'linux') return signo;
  const number = (constants.signals as Partial<Record<string, number>>)[signalName(signo)];
  if (number === undefined) throw new Errno('EINVAL');
  return number;
}

function checkSignal(signo: number): void {
  if (signo < 0 || signo > signalCount) throw new Errno('EINVAL');
}

/** kill(2). Signals for other processes go to the host. */
export function kill(task: Task, pid: number, signo: number): void {
  checkSignal(signo);
  const own = task.process;
  if (pid !== own.pid) {
    process.kill(pid, hostSignalNumber(signo));
    return;
  }
  if (signo === 0) return;
  sendToProcess(own, { kind: 'kill', signo, code: SiCode.SI_USER, pid: own.pid, uid: own.credentials.uid });
}

/** tgkill(2), and tkill(2) with tgid -1 for "any". */
export function tgkill(task: Task, tgid: number, tid: number, signo: number): void {
  if (tid <= 0 || tgid === 0 || tgid < -1) throw new Errno('EINVAL');
  const own = task.process;
  const target = own.tasks.get(tid);
  if (target === undefined && tgid === -1 && tid !== own.pid) {
    checkSignal(signo);
    process.kill(tid, hostSignalNumber(signo));
    return;
  }
  if (target === undefined || (tgid !== -1 && tgid !== own.pid)) throw new Errno('ESRCH');
  checkSignal(signo);
  if (signo === 0) return;
  sendToTask(target, { kind: 'kill', signo, code: SiCode.SI_TKILL, pid: own.pid, uid: own.credentials.uid });
}

/** rt_sigqueueinfo(2) and, with a tid, rt_tgsigqueueinfo(2). `bytes` is what follows si_code in the guest's siginfo_t. */
export function queueInfo(
  task: Task,
  tgid: number,
  tid: number | null,
  signo: number,
  code: number,
  errno: number,
  bytes: Uint8Array,
): void {
  const own = task.process;
  checkSignal(signo);
  if (tid !== null && (tid <= 0 || tgid <= 0)) throw new Errno('EINVAL');
  const target = tid === null ? null : own.tasks.get(tid);
  if (tgid !== own.pid) {
    // The host's Node cannot send a siginfo: only the existence can be told.
    process.kill(tgid, 0);
    throw new Errno('EPERM');
  }
  if (target === undefined) throw new Errno('ESRCH');
  if (signo === 0) return;
  const info: SigInfo = { kind: 'raw', signo, code, errno, bytes };
  if (target === null) sendToProcess(own, info);
  else sendToTask(target, info);
}
