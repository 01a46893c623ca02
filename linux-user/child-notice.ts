import { addCpuTime } from './cpu-usage.ts';
import type { Process } from './process.ts';
import { Signal, signalCount } from './signal/numbers.ts';
import { sendToProcess } from './signal/send.ts';
import { SiCode, type SigInfo } from './signal/siginfo.ts';
import { SaFlags, SIG_IGN } from './signal/signal-state.ts';

/** USER_HZ: clock ticks a second. */
const ticksPerSecond = 100;

/** The siginfo of a child's change of state. */
function childInfo(child: Process, signo: number, code: number, status: number): SigInfo {
  const { own, children } = child.cpu;
  const ticks = (micros: number): number => Math.floor((micros * ticksPerSecond) / 1e6);
  const all = addCpuTime(own, children);
  const { pid, credentials } = child;
  const [userTime, systemTime] = [ticks(all.user), ticks(all.system)];
  return { kind: 'child', signo, code, pid, uid: credentials.uid, status, userTime, systemTime };
}

/** Tells the parent that a child is over. One that does not want to know has it forgotten at once. */
export function notifyParent(process: Process): void {
  const { parent, termination } = process;
  if (parent === null || termination === null) {
    reap(process);
    return;
  }
  const { handler, flags } = parent.signals.actions[Signal.SIGCHLD];
  const automatic =
    process.exitSignal === Signal.SIGCHLD && (handler === SIG_IGN || (flags & SaFlags.SA_NOCLDWAIT) !== 0);
  if (process.exitSignal !== 0 && process.exitSignal <= signalCount && !(automatic && handler === SIG_IGN)) {
    const exited = termination.kind === 'exit';
    const code = exited ? SiCode.CLD_EXITED : SiCode.CLD_KILLED;
    sendToProcess(parent, childInfo(process, process.exitSignal, code, exited ? termination.code : termination.signo));
  }
  if (automatic) reap(process);
  parent.childEvents.wake();
}

/** Forgets a process that has been waited for. */
export function reap(process: Process): void {
  process.parent?.children.delete(process);
  process.kernel.processes.remove(process);
}

/** Tells the parent that a child has stopped or goes on (do_notify_parent_cldstop). */
export function notifyJobChange(process: Process): void {
  const { parent, jobEvent } = process;
  if (parent === null || jobEvent === null) return;
  const { handler, flags } = parent.signals.actions[Signal.SIGCHLD];
  if (handler !== SIG_IGN && (flags & SaFlags.SA_NOCLDSTOP) === 0) {
    const code = jobEvent.kind === 'stopped' ? SiCode.CLD_STOPPED : SiCode.CLD_CONTINUED;
    sendToProcess(parent, childInfo(process, Signal.SIGCHLD, code, jobEvent.signo));
  }
  parent.childEvents.wake();
}
