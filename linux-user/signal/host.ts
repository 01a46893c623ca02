import { constants } from 'node:os';
import { continueProcess } from '../job-control.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../process.ts';
import { isHandled } from './actions.ts';
import { Signal, type SignalName, signalName } from './numbers.ts';
import { sendToProcess } from './send.ts';
import { SiCode } from './siginfo.ts';
import { SIG_IGN } from './signal-state.ts';

const { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG } =
  Signal;
const { SIGPIPE, SIGVTALRM, SIGWINCH, SIGIO, SIGXCPU, SIGXFSZ, SIGSYS, SIGTRAP } = Signal;

/**
 * Host signals that the guest may take over. Left alone: SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT, which would be
 * our own faults (a listener for SIGSEGV breaks V8); SIGPROF, which V8's profiler uses; SIGCHLD, whose children are
 * the guest kernel's.
 */
const shareable = new Set<number>([
  SIGHUP,
  SIGINT,
  SIGQUIT,
  SIGUSR1,
  SIGUSR2,
  SIGALRM,
  SIGTERM,
  SIGCONT,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SIGURG,
  SIGPIPE,
  SIGVTALRM,
  SIGWINCH,
  SIGIO,
  SIGXCPU,
  SIGXFSZ,
  SIGSYS,
  SIGTRAP,
]);

/** Signals that a terminal sends to its foreground group. */
const terminalSignals = new Set<number>([SIGINT, SIGQUIT, SIGTSTP, SIGHUP, SIGWINCH, SIGCONT]);
/** What a terminal or another process ends a program by. */
const endings = new Set<number>([SIGHUP, SIGINT, SIGQUIT, SIGTERM]);

/**
 * Passes the host's signals to the guest where one of its processes handles or ignores them. A signal that all have
 * left alone has no listener, so that the host's default action ends or stops tsemu at once, even inside guest code.
 * With `endsGuest` those that end a program do so to the guest.
 */
export class HostSignals {
  private readonly kernel: Kernel;
  private endsGuest = false;
  private readonly listeners = new Map<number, () => void>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  start(endsGuest: boolean): void {
    this.endsGuest = endsGuest;
    if (endsGuest) for (const signo of endings) this.update(signo);
    // Node opens its inspector at SIGUSR1 unless somebody listens.
    this.update(SIGUSR1);
  }

  /** Brings the host's disposition in line after a change of a process's. */
  update(signo: number): void {
    if (!shareable.has(signo)) return;
    const name = signalName(signo) as SignalName;
    if (!hostHas(name)) return;
    const ends = this.endsGuest && endings.has(signo);
    const wanted = signo === SIGUSR1 || ends || this.matters(signo);
    const listener = this.listeners.get(signo);
    if (wanted === (listener !== undefined)) return;
    if (listener !== undefined) {
      process.removeListener(name as NodeJS.Signals, listener);
      this.listeners.delete(signo);
      return;
    }
    const listen = (): void => this.pass(signo);
    this.listeners.set(signo, listen);
    process.on(name as NodeJS.Signals, listen);
  }

  private matters(signo: number): boolean {
    for (const { signals, zombie } of this.kernel.processes) {
      const action = signals.actions[signo];
      if (!zombie && (isHandled(action) || action.handler === SIG_IGN)) return true;
    }
    return false;
  }

  /** What a terminal sends is for the whole foreground group; anything else is meant for the first process. */
  private pass(signo: number): void {
    const { first, processes } = this.kernel;
    let targets = first === null || first.zombie ? [...processes] : [first];
    if (first !== null && terminalSignals.has(signo)) {
      const job = processes.group(first.fs.terminals.foregroundGroup ?? first.group);
      if (job.length > 0) targets = job;
    }
    for (const target of targets) sendToProcess(target, { kind: 'kill', signo, code: SiCode.SI_USER, pid: 0, uid: 0 });
  }

  /** Stops tsemu as a job of its shell; `stopped` go on when the host continues it. */
  stopHost(stopped: readonly Process[]): void {
    process.kill(process.pid, 'SIGSTOP');
    for (const each of stopped) continueProcess(each);
  }

  /** True if a host signal must reach the guest, which it can only while Node's event loop turns. */
  get active(): boolean {
    return this.listeners.size > (this.listeners.has(SIGUSR1) ? 1 : 0) || this.matters(SIGUSR1);
  }

  /** Gives all signals back to the host. */
  stop(): void {
    for (const [signo, listener] of this.listeners) {
      process.removeListener(signalName(signo) as NodeJS.Signals, listener);
    }
    this.listeners.clear();
  }
}

/** Does Node know the signal? Linux has all that have a name; asking would load node:os at each start. */
const hostHas = (name: string): boolean => (process.platform === 'linux' ? name in Signal : name in constants.signals);

/**
 * Ends tsemu as the guest ended: by the same signal, default action restored. Returns only where the host has no such
 * signal or does not end by it; the caller then exits with 128 + signo.
 */
export function endBySignal(signo: number): void {
  const name = signalName(signo);
  if (!hostHas(name)) {
    if (process.platform === 'linux') process.kill(process.pid, signo);
    return;
  }
  process.removeAllListeners(name);
  process.kill(process.pid, name as NodeJS.Signals);
}
