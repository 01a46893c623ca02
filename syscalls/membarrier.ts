import type { Mm } from '#linux-user/mm/mm.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { hexWord, int, oneOf } from './arguments.ts';
import { type Rows, row } from './row.ts';

/** include/uapi/linux/membarrier.h. */
const Command = {
  QUERY: 0,
  GLOBAL: 1,
  GLOBAL_EXPEDITED: 2,
  REGISTER_GLOBAL_EXPEDITED: 4,
  PRIVATE_EXPEDITED: 8,
  REGISTER_PRIVATE_EXPEDITED: 16,
} as const;
const supported = 31;

/** Address spaces that may use PRIVATE_EXPEDITED. */
const registered = new WeakSet<Mm>();

/** Guest threads take turns on one thread of the host: what one has done all others see, so the barrier is there. */
function membarrier({ mm }: Task, command: number, flags: number): number {
  if (flags !== 0) throw new Errno('EINVAL');
  switch (command) {
    case Command.QUERY:
      return supported;
    case Command.REGISTER_PRIVATE_EXPEDITED:
      registered.add(mm);
      return 0;
    case Command.PRIVATE_EXPEDITED:
      if (!registered.has(mm)) throw new Errno('EPERM');
      return 0;
    case Command.GLOBAL:
    case Command.GLOBAL_EXPEDITED:
    case Command.REGISTER_GLOBAL_EXPEDITED:
      return 0;
    default:
      throw new Errno('EINVAL');
  }
}

/** kernel/sched/membarrier.c. */
export const membarrierCalls: Rows = {
  membarrier: row({ command: oneOf(Command), flags: hexWord, cpu: int }, (task, { command, flags }) =>
    membarrier(task, command, flags),
  ),
};
