import { Errno } from '#util/errno.ts';
import { address, hexWord } from './arguments.ts';
import { type Rows, row } from './row.ts';

/** ARM's own calls (arch/arm/kernel/traps.c, arm_syscall). */
export const armCalls: Rows = {
  cacheflush: row({ start: address, end: address, flags: hexWord }, (task, { start, end, flags }) => {
    if (flags !== 0 || end < start) throw new Errno('EINVAL');
    if (task.mm.vmas.at(start) === null) throw new Errno('EFAULT');
    task.mm.onCodeChange(start, end);
    return 0;
  }),
  set_tls: row({ pointer: address }, (task, { pointer }) => {
    task.abi.setThreadPointer(task.cpu, pointer);
    return 0;
  }),
  get_tls: row({}, (task) => task.abi.threadPointer(task.cpu), 'address'),
  usr26: row({}, () => {
    throw new Errno('EINVAL');
  }),
  usr32: row({}, () => 0),
};
