import { constants } from 'node:os';
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

/** What a terminal or another process ends a program by. */
const endings = new Set<number>([SIGHUP, SIGINT, SIGQUIT, SIGTERM]);

/**
 * Passes the host's signals to the guest where it handles or ignores them. A signal that the guest has left alone has
 * no listener, so that the host's default action ends or stops tsemu at once, even inside guest code. With `endsGuest`
 * those that end a program do so to the guest.
 */
export class HostSignals {
  private readonly guest: Process;
  private readonly endsGuest: boolean;
  private readonly listeners = new Map<number, () => void>();

  constructor(guest: Process, endsGuest: boolean) {
    this.guest = guest;
    this.endsGuest = endsGuest;
    if (endsGuest) for (const signo of endings) this.update(signo);
    // Node opens its inspector at SIGUSR1 unless somebody listens.
    this.update(SIGUSR1);
  }

  /** Brings the host's disposition in line after a change of the guest's. */
  update(signo: number): void {
    if (!shareable.has(signo)) return;
    const name = signalName(signo) as SignalName;
    if (!(name in constants.signals)) return;
    const action = this.guest.signals.actions[signo];
    const ends = this.endsGuest && endings.has(signo);
    const wanted = isHandled(action) || action.handler === SIG_IGN || signo === SIGUSR1 || ends;
    const listener = this.listeners.get(signo);
    if (wanted === (listener !== undefined)) return;
    if (listener !== undefined) {
      process.removeListener(name as NodeJS.Signals, listener);
      this.listeners.delete(signo);
      return;
    }
    const listen = (): void => sendToProcess(this.guest, { kind: 'kill', signo, code: SiCode.SI_USER, pid: 0, uid: 0 });
    this.listeners.set(signo, listen);
    process.on(name as NodeJS.Signals, listen);
  }

  /** True if a host signal must reach the guest, which it can only while Node's event loop turns. */
  get active(): boolean {
    return this.listeners.size > (this.listeners.has(SIGUSR1) ? 1 : 0) || this.handles(SIGUSR1);
  }

  private handles(signo: number): boolean {
    return isHandled(this.guest.signals.actions[signo]);
  }

  /** Gives all signals back to the host. */
  stop(): void {
    for (const [signo, listener] of this.listeners) {
      process.removeListener(signalName(signo) as NodeJS.Signals, listener);
    }
    this.listeners.clear();
  }
}

/**
 * Ends tsemu as the guest ended: by the same signal, default action restored. Returns only where the host has no such
 * signal or does not end by it; the caller then exits with 128 + signo.
 */
export function endBySignal(signo: number): void {
  const name = signalName(signo);
  if (!(name in constants.signals)) {
    if (process.platform === 'linux') process.kill(process.pid, signo);
    return;
  }
  process.removeAllListeners(name);
  process.kill(process.pid, name as NodeJS.Signals);
}
