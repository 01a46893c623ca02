import { notifyParent, reap } from '../child-notice.ts';
import { addCpuTime } from '../cpu-usage.ts';
import type { Process, Termination } from '../process.ts';
import { Signal } from '../signal/numbers.ts';
import { sendToProcess } from '../signal/send.ts';
import { SiCode } from '../signal/siginfo.ts';
import { SaFlags, SIG_IGN } from '../signal/signal-state.ts';
import { type ChildReport, WaitOption } from '../wait.ts';
import { Option } from './constants.ts';
import type { Tracee } from './tracee.ts';

/** A traced thread or process that has ended, until its tracer has waited for it. */
interface Dead {
  readonly tid: number;
  readonly process: Process;
  readonly event: Termination;
}

/** Does a wait ask for this one? `tid`: of the thread. */
export type Wanted = (process: Process, tid: number) => boolean;

/** What a process traces. */
export class Tracing {
  private readonly tracer: Process;
  private readonly tracees = new Set<Tracee>();
  private dead: Dead[] = [];

  constructor(tracer: Process) {
    this.tracer = tracer;
  }

  add(tracee: Tracee): void {
    this.tracees.add(tracee);
  }

  remove(tracee: Tracee): void {
    this.tracees.delete(tracee);
  }

  /** A tracee has stopped: the tracer gets SIGCHLD, and its wait ends. */
  stopped({ task }: Tracee, status: number): void {
    this.notify(task.process, task.tid, SiCode.CLD_TRAPPED, status);
  }

  private notify({ credentials }: Process, pid: number, code: number, status: number): void {
    const { tracer } = this;
    const { handler, flags } = tracer.signals.actions[Signal.SIGCHLD];
    const quiet = handler === SIG_IGN || (code === SiCode.CLD_TRAPPED && (flags & SaFlags.SA_NOCLDSTOP) !== 0);
    if (!quiet) {
      const { uid } = credentials;
      sendToProcess(tracer, {
        kind: 'child',
        signo: Signal.SIGCHLD,
        code,
        pid,
        uid,
        status,
        userTime: 0,
        systemTime: 0,
      });
    }
    tracer.childEvents.wake();
  }

  /** A thread that is not its process's first has ended. */
  threadEnded(tracee: Tracee): void {
    const { task } = tracee;
    const { process } = task;
    const event: Termination = process.termination ?? { kind: 'exit', code: task.exitCode };
    this.remove(tracee);
    this.mourn(process, task.tid, event);
  }

  /** A process has ended: true if its tracer is another than its parent, who is told when the tracer has waited. */
  processEnded(tracee: Tracee): boolean {
    const { process } = tracee.task;
    this.remove(tracee);
    if (process.parent === this.tracer) return false;
    process.tracerMourns = true;
    this.mourn(process, process.pid, process.termination!);
    return true;
  }

  private mourn(process: Process, tid: number, event: Termination): void {
    this.dead.push({ tid, process, event });
    const exited = event.kind === 'exit';
    const code = exited ? SiCode.CLD_EXITED : SiCode.CLD_KILLED;
    this.notify(process, tid, code, exited ? event.code : event.signo);
  }

  /** What there is to tell a wait; null where there is nothing to wait for, `report` null where there may be later. */
  look(wanted: Wanted, options: number): { readonly report: ChildReport | null } | null {
    const keep = (options & WaitOption.WNOWAIT) !== 0;
    let any = false;
    for (const { task, stop } of this.tracees) {
      if (!wanted(task.process, task.tid)) continue;
      any = true;
      if (stop === null || stop.told) continue;
      stop.told = !keep;
      return { report: reportOf(task.process, task.tid, { kind: 'trapped', status: stop.status }) };
    }
    for (const gone of this.dead) {
      if (!wanted(gone.process, gone.tid)) continue;
      any = true;
      if ((options & WaitOption.WEXITED) === 0) continue;
      if (!keep) this.bury(gone);
      return { report: reportOf(gone.process, gone.tid, gone.event) };
    }
    return any ? { report: null } : null;
  }

  private bury(gone: Dead): void {
    this.dead = this.dead.filter((other) => other !== gone);
    const { process, tid } = gone;
    if (tid !== process.pid || !process.tracerMourns) return;
    process.tracerMourns = false;
    if (process.parent === null) reap(process);
    else notifyParent(process);
  }

  /** The tracer ends: its tracees go on, or with PTRACE_O_EXITKILL end too. */
  end(): void {
    for (const tracee of [...this.tracees]) {
      const { process } = tracee.task;
      tracee.detach(0);
      if (!tracee.has(Option.PTRACE_O_EXITKILL)) continue;
      sendToProcess(process, { kind: 'kernel', signo: Signal.SIGKILL, code: SiCode.SI_KERNEL });
    }
    for (const gone of [...this.dead]) this.bury(gone);
  }
}

function reportOf(process: Process, pid: number, event: ChildReport['event']): ChildReport {
  const usage = addCpuTime(process.cpu.own, process.cpu.children);
  return { pid, uid: process.credentials.uid, event, usage };
}
