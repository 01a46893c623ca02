import { Access } from '#accel/guest-memory.ts';
import { armBadCall, armBreakpoint } from '#linux-user/abi/arm-calls.ts';
import { keepRegisters } from '#linux-user/syscall-table.ts';
import { Errno } from '#util/errno.ts';
import { address, hexWord } from './arguments.ts';
import { type Rows, row } from './row.ts';

/** ARM's own calls (arch/arm/kernel/traps.c, arm_syscall). */
export const armCalls: Rows = {
  breakpoint: row({}, armBreakpoint),
  usr26: row({}, armBadCall),
  usr32: row({}, armBadCall),
  cacheflush: row({ start: address, end: address, flags: hexWord }, (task, { start, end, flags }) => {
    if (end < start || flags !== 0) throw new Errno('EINVAL');
    if (task.memory.refused(start, end - start, Access.read) >= 0) throw new Errno('EFAULT');
    task.process.engine.invalidate(start, end);
    return 0;
  }),
  set_tls: row({ pointer: address }, (task, { pointer }) => {
    task.abi.readTls(task, pointer)(task.cpu);
    return 0;
  }),
  // The value may look like an error, so it goes to the register directly.
  get_tls: row({}, (task) => {
    task.abi.setResult(task.cpu, task.abi.threadPointer(task.cpu));
    return keepRegisters;
  }),
};
