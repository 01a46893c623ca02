import type { Task } from '../task.ts';
import type { I386Abi } from './i386.ts';

/** The calls only an i386 task can make, which its own ABI serves. */
const own = (task: Task): I386Abi => task.abi as I386Abi;

/** set_thread_area(2). Throws EFAULT, EINVAL, ESRCH. */
export function setThreadArea(task: Task, at: number): number {
  own(task).tls.set(task, at);
  return 0;
}

/** get_thread_area(2). Throws EFAULT, EINVAL. */
export function getThreadArea(task: Task, at: number): number {
  own(task).tls.get(task, at);
  return 0;
}
