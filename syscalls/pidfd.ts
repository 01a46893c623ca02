import { checkAccess } from '#linux-user/access-check.ts';
import { PidFile, pidFileOf } from '#linux-user/pid-file.ts';
import type { Process } from '#linux-user/process.ts';
import { queueInfo, sendSignal } from '#linux-user/signal/send.ts';
import { SiCode, sigInfoBytes } from '#linux-user/signal/siginfo.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { processOfDirectory } from '#linux-user/vfs/proc/process-directory.ts';
import { Errno } from '#util/errno.ts';
import { address, fd, flags, hexWord, int, signal } from './arguments.ts';
import { type Rows, row } from './row.ts';

/** pidfd_open's flags share their bits with those of open. */
const PidFlag = { PIDFD_NONBLOCK: Open.nonBlock, PIDFD_THREAD: Open.exclusive } as const;

function pidfdOpen(task: Task, pid: number, how: number): number {
  if ((how & ~PidFlag.PIDFD_NONBLOCK) !== 0 || pid <= 0) throw new Errno('EINVAL');
  const { processes } = task.process.kernel;
  const target = processes.get(pid);
  if (target === undefined) throw new Errno(processes.task(pid) === undefined ? 'ESRCH' : 'EINVAL');
  return task.files.add(new PidFile(target, how), true);
}

/** The process of a descriptor; EBADF, and ESRCH once it has been waited for. */
function living(task: Task, descriptor: number): Process {
  const file = pidFileOf(task.files.get(descriptor));
  if (file.reaped) throw new Errno('ESRCH');
  return file.process;
}

/** The same, where /proc/PID opened may stand for a process too. */
function addressee(task: Task, descriptor: number): Process {
  const file = task.files.get(descriptor);
  const process = (file.flags & Open.path) === 0 ? processOfDirectory(file) : undefined;
  if (process === undefined) return living(task, descriptor);
  if (task.process.kernel.processes.get(process.pid) !== process) throw new Errno('ESRCH');
  return process;
}

function sendTo(task: Task, descriptor: number, signo: number, infoAt: number, how: number): number {
  if (how !== 0) throw new Errno('EINVAL');
  const target = addressee(task, descriptor);
  if (infoAt === 0) {
    sendSignal(task, target, signo);
    return 0;
  }
  const { memory, process } = task;
  const bytes = memory.copy(infoAt, sigInfoBytes);
  const [own, errno, code] = [0, 4, 8].map((offset) => memory.load32(infoAt + offset) | 0);
  if (own !== signo) throw new Errno('EINVAL');
  if ((code >= 0 || code === SiCode.SI_TKILL) && target !== process) throw new Errno('EPERM');
  queueInfo(task, target.pid, null, signo, code, errno, bytes.subarray(12));
  return 0;
}

function getfd(task: Task, descriptor: number, wanted: number, how: number): number {
  if (how !== 0) throw new Errno('EINVAL');
  const { process } = task;
  const target = living(task, descriptor);
  checkAccess(process, target);
  if (target.zombie) throw new Errno('ESRCH');
  return task.files.add(target.files.get(wanted), true);
}

/** kernel/pid.c. */
export const pidfdCalls: Rows = {
  pidfd_open: row({ pid: int, flags: flags(PidFlag) }, (task, { pid, flags: how }) => pidfdOpen(task, pid, how)),
  pidfd_send_signal: row(
    { fd, signal, info: address, flags: hexWord },
    (task, { fd: descriptor, signal: signo, info, flags: how }) => sendTo(task, descriptor, signo, info, how),
  ),
  pidfd_getfd: row({ fd, target: fd, flags: hexWord }, (task, { fd: descriptor, target, flags: how }) =>
    getfd(task, descriptor, target, how),
  ),
};
