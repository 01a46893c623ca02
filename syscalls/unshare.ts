import { CloneFlag, namespaceFlags } from '#linux-user/clone.ts';
import type { Process } from '#linux-user/process.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { fd, flags } from './arguments.ts';
import { partial, type Rows, row } from './row.ts';

const { CLONE_THREAD, CLONE_VM, CLONE_SIGHAND, CLONE_FS, CLONE_FILES, CLONE_SYSVSEM } = CloneFlag;
/** What only a process of one thread can be said to have of its own already. */
const alone = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND;
const known = alone | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | namespaceFlags;

/** CLONE_SIGHAND without CLONE_THREAD has made another process with the same dispositions. */
function sharesHandlers({ kernel, signals, pid }: Process): boolean {
  for (const other of kernel.processes) {
    if (other.pid !== pid && !other.zombie && other.signals.actions === signals.actions) return true;
  }
  return false;
}

function unshare(task: Task, how: number): number {
  const { process } = task;
  const single = process.tasks.size === 1;
  if ((how & ~known) !== 0) throw new Errno('EINVAL');
  if ((how & alone) !== 0 && !single) throw new Errno('EINVAL');
  if ((how & (CLONE_VM | CLONE_SIGHAND)) !== 0 && sharesHandlers(process)) throw new Errno('EINVAL');
  if ((how & CLONE_VM) !== 0 && process.space.shared) throw new Errno('EINVAL');
  if ((how & namespaceFlags) !== 0) throw new Errno('EPERM');
  if ((how & CLONE_FS) !== 0) {
    task.fs = task.fs.fork();
    if (task.tid === process.pid) process.fs = task.fs;
  }
  if ((how & CLONE_FILES) !== 0) task.unshareFiles();
  if ((how & CLONE_SYSVSEM) !== 0) process.kernel.ipc.semaphores.leave(task);
  return 0;
}

/** kernel/fork.c, kernel/nsproxy.c. */
export const unshareCalls: Rows = {
  unshare: partial(
    'namespaces are EPERM',
    row({ flags: flags(CloneFlag) }, (task, { flags: how }) => unshare(task, how)),
  ),
  setns: partial(
    'there are no namespaces to enter',
    row({ fd, type: flags(CloneFlag) }, (task, { fd: descriptor }) => {
      task.files.get(descriptor);
      throw new Errno('EINVAL');
    }),
  ),
};
