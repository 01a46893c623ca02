import { getThreadArea, setThreadArea } from '#linux-user/abi/i386-calls.ts';
import { address } from './arguments.ts';
import { type Rows, row } from './row.ts';

/** Calls of i386 alone (arch/x86/kernel). */
export const i386Calls: Rows = {
  set_thread_area: row({ descriptor: address }, (task, { descriptor }) => setThreadArea(task, descriptor)),
  get_thread_area: row({ descriptor: address }, (task, { descriptor }) => getThreadArea(task, descriptor)),
};
