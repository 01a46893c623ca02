import { registerRseq } from '#linux-user/rseq.ts';
import { keepRegisters } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, hexWord, int, uint } from './arguments.ts';
import { partial, type Rows, row } from './row.ts';

function exitGroup(task: Task, status: number): number {
  task.process.terminate({ kind: 'exit', code: status & 0xff });
  return keepRegisters;
}

/** The end of one thread; the process's with the last. */
function exit(task: Task, status: number): number {
  task.exitCode = status & 0xff;
  if (task.tid === task.process.pid) task.process.leaderStatus = status & 0xff;
  task.leave();
  return keepRegisters;
}

const queryPersonality = 0xffffffff;

/** kernel/sys.c, kernel/exit.c, kernel/sched/. */
export const processCalls: Rows = {
  exit: row({ status: int }, (task, { status }) => exit(task, status), 'nothing'),
  exit_group: row({ status: int }, (task, { status }) => exitGroup(task, status), 'nothing'),
  getpid: row({}, (task) => task.process.pid),
  gettid: row({}, (task) => task.tid),
  getppid: row({}, (task) => task.process.ppid),
  set_tid_address: row({ address }, (task, { address: at }) => {
    task.clearChildTid = at;
    return task.tid;
  }),
  personality: partial(
    'kept; addresses are where they are, and uname says the same',
    row({ persona: hexWord }, ({ process }, { persona }) => {
      const old = process.personality;
      if (persona !== queryPersonality) process.personality = persona;
      return old;
    }),
  ),
  rseq: row(
    { area: address, length: uint, flags: hexWord, signature: hexWord },
    (task, { area, length, flags, signature }) => {
      if (task.abi.setPc === undefined) throw new Errno('ENOSYS');
      return registerRseq(task, area, length, flags, signature);
    },
  ),
  restart_syscall: row({}, (task) => {
    const again = task.restartBlock;
    task.restartBlock = null;
    if (again === null) throw new Errno('EINTR');
    return again();
  }),
};
