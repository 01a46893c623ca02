import { Request } from '#linux-user/ptrace/constants.ts';
import { address, int, oneOf } from './arguments.ts';
import { loadPtrace } from './lazy.ts';
import { partial, type Rows, row } from './row.ts';

/** kernel/ptrace.c. What serves it is loaded by the first call. */
export const ptraceCalls: Rows = {
  ptrace: partial(
    'hardware breakpoints and watchpoints; PTRACE_O_TRACESECCOMP tells of nothing; the threads of a tracer are not told apart',
    row({ request: oneOf(Request), pid: int, address, data: address }, (task, { request, pid, address: at, data }) =>
      loadPtrace().ptrace(task, pid, { request, address: at, data }),
    ),
  ),
};
