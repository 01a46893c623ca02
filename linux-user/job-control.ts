import { Errno } from '#util/errno.ts';
import { notifyJobChange } from './child-notice.ts';
import type { Process } from './process.ts';
import { maskOf, Signal } from './signal/numbers.ts';
import { sendToProcess } from './signal/send.ts';
import { SiCode } from './signal/siginfo.ts';
import { SIG_IGN } from './signal/signal-state.ts';
import type { Task } from './task.ts';
import type { Terminal } from './vfs/open-file.ts';

/** Stops a process: its threads wait until SIGCONT. `signo` is the signal that did it. */
export function stopProcess(process: Process, signo: number): void {
  process.stopped = true;
  process.stops++;
  process.jobEvent = { kind: 'stopped', signo };
  for (const task of process.tasks.values()) task.interrupt();
  notifyJobChange(process);
  process.kernel.onStop(process, signo);
}

/** SIGCONT has been sent: a stopped process goes on, whatever it does with the signal. */
export function continueProcess(process: Process): void {
  if (!process.stopped) return;
  process.stopped = false;
  process.jobEvent = { kind: 'continued', signo: Signal.SIGCONT };
  notifyJobChange(process);
  for (const { trace } of process.tasks.values()) trace?.processContinued();
  process.kernel.scheduler.unpark(process);
}

/**
 * Is nobody there who could continue the group's members: no member with a parent in another group of the session
 * (credentials(7))? The first process's parent is the host's shell.
 */
export function isOrphaned(process: Process, group: number, without: Process | null = null): boolean {
  for (const member of process.kernel.processes.group(group)) {
    if (member === without || member.zombie) continue;
    const { parent } = member;
    if (parent === null) {
      if (member === process.kernel.first) return false;
      continue;
    }
    if (parent.group !== group && parent.session === member.session) return false;
  }
  return true;
}

/** A group that has lost its last tie to the session and holds stopped members is told so (kill_orphaned_pgrp). */
export function hangUpIfOrphaned(process: Process, group: number): void {
  const members = process.kernel.processes.group(group).filter((member) => !member.zombie);
  if (!members.some(({ stopped }) => stopped) || !isOrphaned(process, group)) return;
  for (const member of members) {
    for (const signo of [Signal.SIGHUP, Signal.SIGCONT]) {
      sendToProcess(member, { kind: 'kernel', signo, code: SiCode.SI_KERNEL });
    }
  }
}

/**
 * What a process must be to read its terminal or to change it: of the foreground group. Others are sent `signo` and make
 * the call again when they go on; those that block or ignore it may change the terminal, but not read: EIO.
 */
export function checkForeground(task: Task, terminal: Terminal, signo: number): void {
  const { process } = task;
  if (terminal.session !== process.session || terminal.foregroundGroup === process.group) return;
  // A group that is none of the guest's is the host's affair.
  if (process.kernel.processes.group(terminal.foregroundGroup).length === 0) return;
  const deaf = process.signals.actions[signo].handler === SIG_IGN || (task.signals.blocked & maskOf(signo)) !== 0n;
  if (deaf && signo === Signal.SIGTTOU) return;
  if (deaf || isOrphaned(process, process.group)) throw new Errno('EIO');
  for (const member of process.kernel.processes.group(process.group)) {
    sendToProcess(member, { kind: 'kernel', signo, code: SiCode.SI_KERNEL });
  }
  throw new Errno('ERESTARTSYS');
}

/** setpgid(2). */
export function setProcessGroup(caller: Process, pid: number, pgid: number): void {
  if (pgid < 0) throw new Errno('EINVAL');
  const target = pid === 0 ? caller : caller.kernel.processes.get(pid);
  if (target === undefined || (target !== caller && target.parent !== caller)) throw new Errno('ESRCH');
  if (target !== caller && target.session !== caller.session) throw new Errno('EPERM');
  if (target !== caller && target.hasExeced) throw new Errno('EACCES');
  if (target.session === target.pid) throw new Errno('EPERM');
  const group = pgid === 0 ? target.pid : pgid;
  const exists = group === target.pid || group === target.group || sessionHasGroup(caller, group);
  if (!exists) throw new Errno('EPERM');
  const before = target.group;
  target.group = group;
  if (before !== group) hangUpIfOrphaned(target, before);
}

/** Is there such a group in the caller's session? */
export const sessionHasGroup = (caller: Process, group: number): boolean =>
  caller.kernel.processes.group(group).some(({ session }) => session === caller.session);

/** setsid(2). */
export function newSession(process: Process): number {
  if (process.group === process.pid || process.kernel.processes.group(process.pid).length > 0) throw new Errno('EPERM');
  process.group = process.pid;
  process.session = process.pid;
  return process.pid;
}
