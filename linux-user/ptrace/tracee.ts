import type { Process } from '../process.ts';
import { maskOf, Signal } from '../signal/numbers.ts';
import { forceSignal } from '../signal/send.ts';
import { SiCode, type SigInfo } from '../signal/siginfo.ts';
import type { Task } from '../task.ts';
import { Option, sysGood, TraceEvent } from './constants.ts';
import { type CallRegisters, callRegisters } from './registers.ts';
import { Tracing } from './tracing.ts';

/** Why a traced thread stands still. A group stop is that of the whole process. */
export type StopKind = 'signal' | 'entry' | 'exit' | 'event' | 'group';

/** A ptrace-stop. */
interface Stop {
  readonly kind: StopKind;
  /** What waitpid tells, above the byte 0x7f: the signal, or SIGTRAP and the event. */
  readonly status: number;
  /** What PTRACE_GETSIGINFO tells; null for a group stop. */
  info: SigInfo | null;
  /** Lets the thread go on. */
  readonly go: () => void;
  /** waitpid has told of it. */
  told: boolean;
}

/** How a thread goes on: to the next signal, to the next system call too, or for one instruction. */
export type ResumeMode = 'run' | 'calls' | 'step';

/** A thread that another process traces (ptrace(2)), and the stop it is in. */
export class Tracee {
  readonly task: Task;
  tracer: Process;
  /** PTRACE_O_*. */
  options: number;
  /** By PTRACE_SEIZE. */
  readonly seized: boolean;
  stop: Stop | null = null;
  /** PTRACE_GETEVENTMSG. */
  message = 0;
  /** The system call whose entry the tracer has been told of, and what it has made of it; null outside of one. */
  callRegisters: CallRegisters | null = null;
  /** PTRACE_LISTEN: stopped with its process, and waiting for that to go on. */
  listening = false;
  private mode: ResumeMode = 'run';
  /** A signal to be told of. */
  private found: SigInfo | null = null;
  /** A stop without a signal is due: PTRACE_INTERRUPT, or the first of a child that is traced from its start. */
  private trapDue = false;
  /** The signal that the tracer lets through. */
  private injected: SigInfo | null = null;
  /** The stop of its process (`Process.stops`) that its tracer has let it go on from. */
  private passed = 0;
  private toldExit = false;
  private letThrough: SigInfo | null = null;
  /** False once the tracer has moved the thread away from the call that a signal has interrupted. */
  restarts = true;

  constructor(task: Task, tracer: Process, options: number, seized: boolean) {
    this.task = task;
    this.tracer = tracer;
    this.options = options;
    this.seized = seized;
    task.trace = this;
    tracer.tracing ??= new Tracing(tracer);
    tracer.tracing.add(this);
    task.process.kernel.onObserver(task.process);
  }

  has(option: number): boolean {
    return (this.options & option) !== 0;
  }

  // ---- what the kernel asks on the thread's way

  /** One instruction at a time. */
  get stepping(): boolean {
    return this.mode === 'step';
  }

  /** True once the tracer has let it go on although its process is stopped. */
  get passesStop(): boolean {
    return this.passed === this.task.process.stops;
  }

  /** The next thing the thread does is to stop. */
  get mustStop(): boolean {
    return this.found !== null || this.trapDue;
  }

  /** Something must be looked at before the thread goes on. */
  get hasNews(): boolean {
    return this.mustStop || this.injected !== null;
  }

  /** The signal that the tracer lets through now; undefined for none. One that is blocked meanwhile waits. */
  takeInjected(): SigInfo | undefined {
    const { injected, task } = this;
    this.injected = null;
    if (injected === null) return undefined;
    if ((task.signals.blocked & maskOf(injected.signo)) === 0n) {
      this.letThrough = injected;
      return injected;
    }
    task.signals.pending.add(injected);
    return undefined;
  }

  /** True if a signal that is about to act is to be told to the tracer first. */
  intercepts(info: SigInfo): boolean {
    const known = this.letThrough === info;
    this.letThrough = null;
    if (known || info.signo === Signal.SIGKILL) return false;
    this.found = info;
    return true;
  }

  /** Stops for what `mustStop` tells of. `go` is told whether an interrupted call is still to be made again. */
  stopNow(resume: (restarts: boolean) => void): void {
    const { task, found: info } = this;
    const pc = task.rawPc;
    this.restarts = true;
    const go = (): void => resume(this.restarts && task.rawPc === pc);
    this.found = null;
    if (info !== null) this.halt('signal', info.signo, info, go);
    else {
      this.trapDue = false;
      this.haltEvent(TraceEvent.stop, Signal.SIGTRAP, go);
    }
  }

  /** The thread is about to run guest code. */
  entersUserMode(): void {
    this.callRegisters = null;
  }

  /** A system call begins: true if the thread stops here, and `go` is what it goes on with. */
  stopsAtEntry(go: () => void): boolean {
    this.callRegisters = callRegisters(this.task);
    if (this.mode !== 'calls') return false;
    this.haltAtCall('entry', go);
    return true;
  }

  /** Makes the call as the tracer has left it: another one, or none, which leaves the result as it is. */
  call<T>(dispatch: () => T): T | number {
    return this.callRegisters === null ? dispatch() : this.callRegisters.call(dispatch);
  }

  /** A system call has ended: true if the thread stops here. */
  stopsAfterCall(go: () => void): boolean {
    if (this.task.mustEnd) return false;
    this.callRegisters?.ended();
    if (this.mode === 'calls') this.haltAtCall('exit', go);
    else if (this.mode === 'step') this.stepped();
    return this.mode === 'calls';
  }

  private haltAtCall(kind: 'entry' | 'exit', go: () => void): void {
    const code = Signal.SIGTRAP | (this.has(Option.PTRACE_O_TRACESYSGOOD) ? sysGood : 0);
    this.message = kind === 'entry' ? 1 : 2;
    this.halt(kind, code, this.trapInfo(code), go);
  }

  /** An instruction has been carried out, of those that run one by one. */
  stepped(): void {
    const { task } = this;
    this.callRegisters = null;
    const address = task.abi.pc(task.cpu);
    const cause = { kind: 'breakpoint' } as const;
    const words = task.abi.faultWords(cause);
    forceSignal(task, { kind: 'fault', signo: Signal.SIGTRAP, code: SiCode.TRAP_TRACE, address, cause, ...words });
  }

  /** A handler is about to run: a thread that is stepped stops at its first instruction. */
  enteredHandler(): void {
    this.callRegisters = null;
    if (this.stepping) this.stepped();
  }

  /** Its process has been stopped: true if the thread stops as one that is traced. */
  stopsWithProcess(go: () => void): boolean {
    const { process } = this.task;
    const signo = process.jobEvent?.kind === 'stopped' ? process.jobEvent.signo : Signal.SIGSTOP;
    if (this.seized) this.haltEvent(TraceEvent.stop, signo, go);
    else this.halt('group', signo, null, go);
    return true;
  }

  /** SIGCONT has ended the stop of its process. */
  processContinued(): void {
    if (!this.listening || this.stop === null) return;
    const { go } = this.stop;
    this.listening = false;
    this.haltEvent(TraceEvent.stop, Signal.SIGTRAP, go);
  }

  /** The thread is about to end: true if the tracer wants to see it before. */
  stopsAtExit(go: () => void): boolean {
    const { task } = this;
    const end = task.process.termination;
    const killed = end?.kind === 'signal' && end.signo === Signal.SIGKILL;
    if (this.toldExit || killed || !this.has(Option.PTRACE_O_TRACEEXIT)) return false;
    this.toldExit = true;
    this.message = end === null ? task.exitCode << 8 : end.kind === 'exit' ? end.code << 8 : end.signo;
    this.haltEvent(TraceEvent.exit, Signal.SIGTRAP, go);
    return true;
  }

  /** The thread must end, whatever its tracer wants. */
  taskMustEnd(): void {
    if (this.stop !== null) this.release();
  }

  // ---- events within a system call

  /** Stops for an event that the tracer has asked for; then, or at once, it is over. */
  event(event: TraceEvent, message: number): Promise<void> | null {
    if (!this.has(1 << event)) return null;
    this.message = message;
    return new Promise((resolve) => this.haltEvent(event, Signal.SIGTRAP, resolve));
  }

  /** The thread runs a new program; `was`: its number before. */
  executed(was: number): Promise<void> | null {
    if (this.has(Option.PTRACE_O_TRACEEXEC)) return this.event(TraceEvent.exec, was);
    if (this.seized) return null;
    const { task } = this;
    const { pid, credentials } = task.process;
    task.signals.pending.add({ kind: 'kill', signo: Signal.SIGTRAP, code: SiCode.SI_USER, pid, uid: credentials.uid });
    task.interrupt();
    return null;
  }

  /** The thread has made `child`, which begins to be traced too if the tracer has asked for that. */
  adopts(child: Task, event: TraceEvent, always: boolean): void {
    if (!always && !this.has(1 << event)) return;
    const trace = new Tracee(child, this.tracer, this.options, this.seized);
    if (this.seized) trace.trapDue = true;
    else child.signals.pending.add({ kind: 'kill', signo: Signal.SIGSTOP, code: SiCode.SI_USER, pid: 0, uid: 0 });
    child.signalPending = true;
  }

  // ---- what the tracer asks

  /** PTRACE_INTERRUPT. */
  interrupt(): void {
    if (this.stop !== null && !this.listening) return;
    if (this.listening && this.stop !== null) {
      this.listening = false;
      this.haltEvent(TraceEvent.stop, Signal.SIGTRAP, this.stop.go);
      return;
    }
    this.trapDue = true;
    this.task.interrupt();
  }

  /** Its process is stopped, and that is why it stands still. */
  get inGroupStop(): boolean {
    return this.stop !== null && this.stop.kind === 'event' && this.stop.status >> 8 === TraceEvent.stop;
  }

  /** PTRACE_LISTEN: it stays where it is; what its process does next is told. */
  listen(): void {
    this.listening = true;
    if (!this.task.process.stopped) this.processContinued();
  }

  /** Lets the thread go on, with a signal or 0 for none. */
  resume(mode: ResumeMode, signo: number): void {
    const { stop, task } = this;
    if (stop === null) return;
    this.mode = mode;
    if (task.process.stopped) this.passed = task.process.stops;
    // Other stops than that for a signal take a signal as if it had been sent.
    if (signo !== 0) this.inject(stop, signo);
    this.release();
  }

  private inject({ kind, info }: Stop, signo: number): void {
    if (kind !== 'signal' && kind !== 'entry' && kind !== 'exit') return;
    const { pid, credentials } = this.tracer;
    const own: SigInfo = { kind: 'kill', signo, code: SiCode.SI_USER, pid, uid: credentials.uid };
    const same = kind === 'signal' && info !== null && info.signo === signo ? info : own;
    if (kind === 'signal') this.injected = same;
    else this.task.signals.pending.add(same);
    this.task.signalPending = true;
  }

  /** PTRACE_DETACH, or the end of the tracer. */
  detach(signo: number): void {
    const { task, stop } = this;
    this.tracer.tracing?.remove(this);
    task.trace = null;
    task.process.kernel.onObserver(task.process);
    if (stop === null) {
      // What the tracer was to be told of takes its course.
      if (this.found !== null) task.signals.pending.add(this.found);
      return;
    }
    const { kind, info } = stop;
    if (signo !== 0 && kind !== 'event' && kind !== 'group') {
      const { pid, credentials } = this.tracer;
      const own: SigInfo = { kind: 'kill', signo, code: SiCode.SI_USER, pid, uid: credentials.uid };
      task.signals.pending.add(info !== null && info.signo === signo ? info : own);
      task.signalPending = true;
    }
    this.release();
  }

  /** The thread is gone, and nobody is told of its end: another one of its process takes its place by an exec. */
  forget(): void {
    this.tracer.tracing?.remove(this);
  }

  /** A thread that is not its process's first has ended. */
  threadEnded(): void {
    this.tracer.tracing?.threadEnded(this);
  }

  /** The process has ended whose first thread this was: true if its parent is to wait for the tracer. */
  processEnded(): boolean {
    return this.tracer.tracing?.processEnded(this) === true;
  }

  private release(): void {
    const { stop } = this;
    this.stop = null;
    this.listening = false;
    stop?.go();
  }

  // ---- stops

  private trapInfo(code: number): SigInfo {
    const { tid, process } = this.task;
    return { kind: 'kill', signo: Signal.SIGTRAP, code, pid: tid, uid: process.credentials.uid };
  }

  private haltEvent(event: TraceEvent, signo: number, go: () => void): void {
    const status = signo | (event << 8);
    this.halt('event', status, { ...this.trapInfo(status), signo }, go);
  }

  private halt(kind: StopKind, status: number, info: SigInfo | null, go: () => void): void {
    this.stop = { kind, status, info, go, told: false };
    this.tracer.tracing!.stopped(this, status & 0x7f);
  }
}
