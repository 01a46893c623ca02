import { constants } from 'node:os';
import { Errno } from '#util/errno.ts';
import { Capability, capable } from '../credentials.ts';
import { hostJob } from '../host-job.ts';
import type { Process } from '../process.ts';
import { ResourceLimit } from '../resource-limits.ts';
import type { Task } from '../task.ts';
import { defaultAction, maskOf, Signal, signalCount, signalName } from './numbers.ts';
import { SiCode, type SigInfo, type TimerSource } from './siginfo.ts';
import { defaultSigAction, SIG_DFL, SIG_IGN } from './signal-state.ts';

const stopMask = maskOf(Signal.SIGSTOP) | maskOf(Signal.SIGTSTP) | maskOf(Signal.SIGTTIN) | maskOf(Signal.SIGTTOU);

/** Sets `signalPending` from the masks: after every change of a mask or a queue. */
export function recalculatePending(task: Task): void {
  const waiting = task.signals.pending.mask | task.process.signals.pending.mask;
  task.signalPending = (waiting & ~task.signals.blocked) !== 0n || task.mustEnd || task.trace?.hasNews === true;
}

/** Would the signal have no effect if it were delivered now? */
export function isIgnored(process: Process, signo: number): boolean {
  const { handler } = process.signals.actions[signo];
  return handler === SIG_IGN || (handler === SIG_DFL && defaultAction(signo) === 'ignore');
}

/** What a signal does by being sent (prepare_signal): SIGCONT continues, and the two kinds cancel each other. */
function prepare(process: Process, signo: number): void {
  if (signo === Signal.SIGCONT) process.kernel.continueProcess(process);
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

/** A host program in the place of the process gets its signals; the guest's job control knows of its stops. */
function passedOn(process: Process, { signo }: SigInfo): boolean {
  const { hostProgram } = process;
  if (hostProgram === null) return false;
  hostProgram.signal(signo);
  if (signo === Signal.SIGSTOP) process.kernel.stopProcess(process, signo);
  if (signo === Signal.SIGCONT) process.kernel.continueProcess(process);
  return true;
}

/** SIGKILL needs no thread to take it: the process is over. */
function killed(process: Process, info: SigInfo): boolean {
  if (info.signo !== Signal.SIGKILL) return false;
  process.terminate({ kind: 'signal', signo: info.signo, core: false, info, task: null });
  return true;
}

/** Sends a signal to one thread; returns whether it waits to be taken now. */
export function sendToTask(task: Task, info: SigInfo): boolean {
  const { process } = task;
  if (process.zombie || passedOn(process, info) || killed(process, info)) return false;
  prepare(process, info.signo);
  if (isIgnored(process, info.signo) && !blocks(task, info.signo) && task.trace === null) return false;
  task.signals.pending.add(info);
  wakeFor(task, info.signo);
  for (const file of process.signalFiles) file.signalCame(info.signo);
  return true;
}

/** Sends a signal to a process: the first thread that does not block it takes it. Returns whether it waits now. */
export function sendToProcess(process: Process, info: SigInfo): boolean {
  const { signo } = info;
  if (process.zombie || passedOn(process, info) || killed(process, info)) return false;
  prepare(process, signo);
  const tasks = [...process.tasks.values()];
  if (isIgnored(process, signo) && !tasks.some((task) => blocks(task, signo) || task.trace !== null)) return false;
  process.signals.pending.add(info);
  tasks.some((task) => wakeFor(task, signo));
  for (const file of process.signalFiles) file.signalCame(signo);
  return true;
}

/** Takes back what a timer has sent and nobody has taken. */
export function dropTimerSignals(process: Process, source: TimerSource): void {
  process.signals.pending.dropTimer(source);
  for (const { signals } of process.tasks.values()) signals.pending.dropTimer(source);
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

/** May a process send this signal to that one (kill(2))? */
function maySend(task: Task, target: Process, signo: number): boolean {
  const { credentials, process } = task;
  if (target === process || capable(credentials, Capability.KILL)) return true;
  if (signo === Signal.SIGCONT && target.session === process.session) return true;
  const { uid, suid } = target.credentials;
  return [credentials.uid, credentials.euid].some((own) => own === uid || own === suid);
}

/** Sends a signal as kill(2) does, to a process that is known. EINVAL, EPERM. */
export function sendSignal(task: Task, target: Process, signo: number): void {
  checkSignal(signo);
  if (!maySend(task, target, signo)) throw new Errno('EPERM');
  if (signo === 0) return;
  const { pid } = task.process;
  sendToProcess(target, { kind: 'kill', signo, code: SiCode.SI_USER, pid, uid: task.credentials.uid });
}

/** Sends a signal to all that it may be sent to; EPERM if that is none of them. */
function sendAll(task: Task, targets: readonly Process[], signo: number): void {
  const allowed = targets.filter((target) => maySend(task, target, signo));
  if (allowed.length === 0) throw new Errno('EPERM');
  for (const target of allowed) sendSignal(task, target, signo);
}

/** kill(2). A pid or group that is none of the guest's is the host's. */
export function kill(task: Task, pid: number, signo: number): void {
  checkSignal(signo);
  const own = task.process;
  const { processes } = own.kernel;
  const target = pid > 0 ? processes.find(pid) : undefined;
  if (target !== undefined) return sendSignal(task, target, signo);
  if (pid === -0x80000000) throw new Errno('ESRCH');
  if (pid === -1) {
    const others = [...processes].filter((process) => process !== own);
    if (others.length === 0) throw new Errno('ESRCH');
    return sendAll(task, others, signo);
  }
  if (pid <= 0) {
    const members = processes.group(pid === 0 ? own.group : -pid);
    if (members.length > 0) return sendAll(task, members, signo);
  }
  killOnHost(own, pid, signo);
}

/** kill(2) on the host; tsemu itself is no process the guest could mean, and a confined guest sees no others. */
function killOnHost(own: Process, pid: number, signo: number): void {
  if (own.fs.confined || pid === process.pid || pid === 0 || pid === -hostJob().group) throw new Errno('ESRCH');
  process.kill(pid, hostSignalNumber(signo));
}

/** tgkill(2), and tkill(2) with tgid -1 for "any". */
export function tgkill(task: Task, tgid: number, tid: number, signo: number): void {
  if (tid <= 0 || tgid === 0 || tgid < -1) throw new Errno('EINVAL');
  const own = task.process;
  const target = own.kernel.processes.task(tid);
  if (target === undefined && tgid === -1) {
    checkSignal(signo);
    killOnHost(own, tid, signo);
    return;
  }
  if (target === undefined || (tgid !== -1 && tgid !== target.process.pid)) throw new Errno('ESRCH');
  checkSignal(signo);
  if (!maySend(task, target.process, signo)) throw new Errno('EPERM');
  if (signo === 0) return;
  sendToTask(target, { kind: 'kill', signo, code: SiCode.SI_TKILL, pid: own.pid, uid: task.credentials.uid });
}

/** Signals that wait, in all processes: what RLIMIT_SIGPENDING counts. */
function queuedSignals(processes: Iterable<Process>): number {
  let count = 0;
  for (const { signals, tasks } of processes) {
    count += signals.pending.length;
    for (const task of tasks.values()) count += task.signals.pending.length;
  }
  return count;
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
  checkSignal(signo);
  if (tid !== null && (tid <= 0 || tgid <= 0)) throw new Errno('EINVAL');
  const { processes } = task.process.kernel;
  const owner = processes.find(tgid);
  if (owner === undefined) {
    // Node cannot send a siginfo to a host process: only that it exists can be told.
    killOnHost(task.process, tgid, 0);
    throw new Errno('EPERM');
  }
  const target = tid === null ? null : owner.tasks.get(tid);
  if (target === undefined) throw new Errno('ESRCH');
  if (!maySend(task, owner, signo)) throw new Errno('EPERM');
  if (signo === 0) return;
  if (queuedSignals(processes) >= owner.limits.get(ResourceLimit.SIGPENDING).soft) throw new Errno('EAGAIN');
  const info: SigInfo = { kind: 'raw', signo, code, errno, bytes };
  if (target === null) sendToProcess(owner, info);
  else sendToTask(target, info);
}
