import { armBreakpoint, armCacheflush, armGetTls, armSetTls } from '#linux-user/abi/arm-calls.ts';
import { address, hexWord } from './arguments.ts';
import { row, type Rows } from './row.ts';

/** ARM's own calls (arch/arm/kernel/traps.c, arm_syscall). */
export const armCalls: Rows = {
  breakpoint: row({}, armBreakpoint),
  cacheflush: row({ start: address, end: address, flags: hexWord }, (task, { start, end, flags }) =>
    armCacheflush(task, start, end, flags),
  ),
  set_tls: row({ pointer: address }, (task, { pointer }) => armSetTls(task, pointer)),
  get_tls: row({}, armGetTls),
};
