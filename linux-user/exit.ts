import { Access } from '#accel/guest-memory.ts';
import { createLog } from '#util/log.ts';
import { notifyParent } from './child-notice.ts';
import { hangUpIfOrphaned } from './job-control.ts';
import type { Process } from './process.ts';
import { walkRobustList } from './robust-list.ts';
import { sendToProcess } from './signal/send.ts';
import { SiCode } from './signal/siginfo.ts';
import type { Task } from './task.ts';
import { pollInput } from './vfs/flags.ts';
import { Pty } from './vfs/ptys.ts';

const log = createLog('process');

/** A task that must end has reached the scheduler: it goes, and with the last one the process. */
export function endTask(task: Task): void {
  const { process } = task;
  leaveMemory(task);
  process.kernel.leaveIpc(task);
  process.tasks.delete(task.tid);
  if (task.tid === process.pid) process.leaderTrace = task.trace;
  else task.trace?.threadEnded();
  process.kernel.scheduler.remove();
  process.space.leave(task);
  if (process.tasks.size === 0) endProcess(process, task);
  else task.files.release();
  process.threadEnded.wake();
}

/** What a thread owes those that share its memory when it lets go of it: at its end, and at exec (mm_release). */
export function leaveMemory(task: Task): void {
  const { process } = task;
  const { futexes } = process.kernel;
  futexes.ownerEnded(task);
  walkRobustList(task);
  if (task.clearChildTid !== 0 && (process.space.shared || process.tasks.size > 1)) {
    const at = task.clearChildTid;
    if (task.memory.refused(at, 4, Access.write) < 0) {
      task.memory.store32(at, 0);
      futexes.wake(task.mm, at, 1);
    }
  }
  task.clearChildTid = 0;
  task.robustList = { head: 0, length: 0 };
}

/** `last`: its last thread. */
function endProcess(process: Process, last: Task): void {
  process.termination ??= { kind: 'exit', code: process.leaderStatus };
  const { kernel, termination } = process;
  log(
    'process %d ends: %s',
    process.pid,
    termination.kind === 'exit' ? termination.code : `signal ${termination.signo}`,
  );
  kernel.syscalls.ended?.(process);
  kernel.onProcessEnd(process);
  process.timers.stop();
  last.files.release();
  process.space.release();
  process.memoryReleased.wake();
  process.stopped = false;
  process.zombie = true;
  kernel.scheduler.meter.settle();
  leaveTerminal(process);
  for (const file of process.pidFiles) file.readiness.wake(pollInput);
  process.tracing?.end();
  giveChildrenAway(process);
  hangUpIfOrphaned(process, process.group);
  if (process.leaderTrace?.processEnded() !== true) notifyParent(process);
}

/** A session ends with its leader: its terminal is free for another one. */
function leaveTerminal(process: Process): void {
  if (process.pid !== process.session) return;
  const terminal = process.fs.terminals.controlling(process);
  if (terminal instanceof Pty) terminal.disconnect();
}

/** The children go to the nearest ancestor that wants orphans (PR_SET_CHILD_SUBREAPER), or to nobody. */
function giveChildrenAway(process: Process): void {
  let heir = process.parent;
  while (heir !== null && (!heir.subreaper || heir.zombie)) heir = heir.parent;
  for (const child of process.children) {
    child.parent = heir;
    heir?.children.add(child);
    if (child.parentDeathSignal !== 0 && !child.zombie) {
      const { pid, credentials } = process;
      sendToProcess(child, {
        kind: 'kill',
        signo: child.parentDeathSignal,
        code: SiCode.SI_USER,
        pid,
        uid: credentials.uid,
      });
    }
    if (child.zombie && !child.tracerMourns) notifyParent(child);
    else if (child.group !== process.group) hangUpIfOrphaned(child, child.group);
  }
  process.children.clear();
}
