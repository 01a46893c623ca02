import { signalCount } from '#linux-user/signal/numbers.ts';
import { keepRegisters } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, hexWord, int, oneOf } from './arguments.ts';
import { Prctl } from './names.ts';
import { cstring } from './print.ts';
import { type Argument, partial, type Rows, row } from './row.ts';

/** Longest thread name (TASK_COMM_LEN), its NUL included. */
const nameBytes = 16;

function setName(task: Task, at: number): number {
  const { memory } = task;
  let length = 0;
  while (length < nameBytes - 1 && memory.load8(at + length) !== 0) length++;
  task.name = Buffer.from(memory.copy(at, length)).toString('utf8');
  return 0;
}

function getName(task: Task, at: number): number {
  const name = new Uint8Array(nameBytes);
  name.set(Buffer.from(task.name).subarray(0, nameBytes - 1));
  task.memory.write(at, name);
  return 0;
}

function prctl(task: Task, option: number, argument: number): number {
  const { memory, process } = task;
  switch (option) {
    case Prctl.PR_SET_NAME:
      return setName(task, argument);
    case Prctl.PR_GET_NAME:
      return getName(task, argument);
    case Prctl.PR_GET_DUMPABLE:
      return 1;
    case Prctl.PR_SET_DUMPABLE:
      if (argument > 1) throw new Errno('EINVAL');
      return 0;
    case Prctl.PR_GET_KEEPCAPS:
    case Prctl.PR_GET_SECCOMP:
    case Prctl.PR_GET_SECUREBITS:
    case Prctl.PR_GET_NO_NEW_PRIVS:
    case Prctl.PR_GET_THP_DISABLE:
      return 0;
    case Prctl.PR_SET_NO_NEW_PRIVS:
      // The guest never gains privileges here: the promise holds.
      if (argument !== 1) throw new Errno('EINVAL');
      return 0;
    case Prctl.PR_GET_PDEATHSIG:
      memory.store32(argument, process.parentDeathSignal);
      return 0;
    case Prctl.PR_SET_PDEATHSIG:
      if (argument > signalCount) throw new Errno('EINVAL');
      process.parentDeathSignal = argument;
      return 0;
    case Prctl.PR_GET_CHILD_SUBREAPER:
      memory.store32(argument, process.subreaper ? 1 : 0);
      return 0;
    case Prctl.PR_SET_CHILD_SUBREAPER:
      process.subreaper = argument !== 0;
      return 0;
    case Prctl.PR_GET_TIMERSLACK:
      return 50_000;
    case Prctl.PR_SET_TIMERSLACK:
      return 0;
    case Prctl.PR_CAPBSET_READ:
      if (argument > 40) throw new Errno('EINVAL');
      return 1;
    default:
      throw new Errno('EINVAL');
  }
}

function exitGroup(task: Task, status: number): number {
  task.process.terminate({ kind: 'exit', code: status & 0xff });
  return keepRegisters;
}

/** The end of one thread; the process's with the last. */
function exit(task: Task, status: number): number {
  if (task.tid === task.process.pid) task.process.leaderStatus = status & 0xff;
  task.leave();
  return keepRegisters;
}

const PER_LINUX = 0;
const queryPersonality = 0xffffffff;

const prctlArgument: Argument<number> = {
  ...hexWord,
  print: (raw, { task, raw: all }) =>
    all.option === Prctl.PR_SET_NAME
      ? cstring(task.memory, raw)
      : hexWord.print(raw, { task, raw: all, result: undefined }),
};

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
  prctl: partial(
    'names, and options whose answer is fixed',
    row({ option: oneOf(Prctl), argument: prctlArgument }, (task, { option, argument }) =>
      prctl(task, option, argument),
    ),
  ),
  personality: row({ persona: hexWord }, (_task, { persona }) => {
    if (persona !== queryPersonality && persona !== PER_LINUX) throw new Errno('EINVAL');
    return PER_LINUX;
  }),
  restart_syscall: row({}, (task) => {
    const again = task.restartBlock;
    task.restartBlock = null;
    if (again === null) throw new Errno('EINTR');
    return again();
  }),
};
