import { CloneFlag, namespaceFlags } from '#linux-user/clone.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { fd, flags } from './arguments.ts';
import { partial, type Rows, row } from './row.ts';

const { CLONE_THREAD, CLONE_VM, CLONE_SIGHAND, CLONE_FS, CLONE_FILES, CLONE_SYSVSEM } = CloneFlag;
/** What only a process of one thread can be said to have of its own already. */
const alone = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND;
const known = alone | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | namespaceFlags;

function unshare(task: Task, how: number): number {
  const { process } = task;
  const single = process.tasks.size === 1;
  if ((how & ~known) !== 0) throw new Errno('EINVAL');
  if ((how & alone) !== 0 && (!single || process.space.shared)) throw new Errno('EINVAL');
  if ((how & namespaceFlags) !== 0) throw new Errno('EPERM');
  if (!single && (how & (CLONE_FS | CLONE_FILES)) !== 0) throw new Errno('EINVAL');
  if ((how & CLONE_FS) !== 0) process.fs = process.fs.fork();
  if ((how & CLONE_FILES) !== 0 && process.files.shared) {
    const own = process.files.fork();
    process.files.release();
    process.files = own;
  }
  if ((how & CLONE_SYSVSEM) !== 0) process.kernel.ipc.semaphores.leave(task);
  return 0;
}

/** kernel/fork.c, kernel/nsproxy.c. */
export const unshareCalls: Rows = {
  unshare: partial(
    'files and working directory of one thread among several (EINVAL); namespaces are EPERM',
    row({ flags: flags(CloneFlag) }, (task, { flags: how }) => unshare(task, how)),
  ),
  setns: partial(
    'there are no namespaces to enter',
    row({ fd, type: flags(CloneFlag) }, (task, { fd: descriptor }) => {
      task.process.files.get(descriptor);
      throw new Errno('EINVAL');
    }),
  ),
};
