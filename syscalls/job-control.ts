import { newSession, setProcessGroup } from '#linux-user/job-control.ts';
import type { Process } from '#linux-user/process.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { int } from './arguments.ts';
import { type Rows, row } from './row.ts';

function processOf({ process }: Task, pid: number): Process {
  const found = pid === 0 ? process : process.kernel.processes.find(pid);
  if (found === undefined) throw new Errno('ESRCH');
  return found;
}

/** Process groups and sessions (kernel/sys.c). */
export const jobControlCalls: Rows = {
  getpgrp: row({}, (task) => task.process.group),
  getpgid: row({ pid: int }, (task, { pid }) => processOf(task, pid).group),
  getsid: row({ pid: int }, (task, { pid }) => processOf(task, pid).session),
  setpgid: row({ pid: int, pgid: int }, (task, { pid, pgid }) => {
    setProcessGroup(task.process, pid, pgid);
    return 0;
  }),
  setsid: row({}, (task) => newSession(task.process)),
};
