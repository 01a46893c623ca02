import { hostJob } from '#linux-user/host-job.ts';
import { keepRegisters } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, hexWord, int, oneOf, structIn, uint } from './arguments.ts';
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
  const { memory } = task;
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
    case Prctl.PR_GET_CHILD_SUBREAPER:
      memory.store32(argument, 0);
      return 0;
    case Prctl.PR_SET_PDEATHSIG:
      if (argument !== 0) throw new Errno('EINVAL');
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

/** The end of one thread is the process's while there is only one. */
function exit(task: Task, status: number): number {
  const { process } = task;
  if (process.tasks.size > 1) throw new Errno('ENOSYS');
  return exitGroup(task, status);
}

/** Job control is the host's: the group and session are those that tsemu itself has. */
function own(task: Task, pid: number): void {
  if (pid < 0) throw new Errno('EINVAL');
  if (pid !== 0 && pid !== task.process.pid) throw new Errno('ESRCH');
}

function waitForChild(pid: number, how: number): never {
  if ((how & ~0xe000000b) !== 0) throw new Errno('EINVAL');
  void pid;
  throw new Errno('ECHILD');
}

// ---- scheduling

const normalPolicy = 0;
const policies = [0, 1, 2, 3, 5, 6];
const realTimePolicies = [1, 2];

function checkTask(task: Task, pid: number): void {
  if (pid < 0) throw new Errno('EINVAL');
  if (pid !== 0 && !task.process.tasks.has(pid) && pid !== task.process.pid) throw new Errno('ESRCH');
}

function setScheduler(task: Task, pid: number, policy: number, parameters: number): number {
  checkTask(task, pid);
  const priority = task.memory.load32(parameters) | 0;
  if (!policies.includes(policy)) throw new Errno('EINVAL');
  if (realTimePolicies.includes(policy)) {
    if (priority < 1 || priority > 99) throw new Errno('EINVAL');
    throw new Errno('EPERM');
  }
  if (priority !== 0) throw new Errno('EINVAL');
  return 0;
}

/** One CPU, whichever it is: guest threads take turns. */
function getAffinity(task: Task, pid: number, size: number, mask: number): number {
  checkTask(task, pid);
  const bytes = 4;
  if (size < bytes || size % 4 !== 0) throw new Errno('EINVAL');
  task.memory.store32(mask, 1);
  return bytes;
}

function setAffinity(task: Task, pid: number, size: number, mask: number): number {
  checkTask(task, pid);
  const wanted = size === 0 ? 0 : task.memory.load8(mask);
  if ((wanted & 1) === 0) throw new Errno('EINVAL');
  return 0;
}

function getcpu(task: Task, cpu: number, node: number): number {
  if (cpu !== 0) task.memory.store32(cpu, 0);
  if (node !== 0) task.memory.store32(node, 0);
  return 0;
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

const parameters = structIn((memory, at) => `[${memory.load32(at) | 0}]`);

/** kernel/sys.c, kernel/exit.c, kernel/sched/. */
export const processCalls: Rows = {
  exit: row({ status: int }, (task, { status }) => exit(task, status), 'nothing'),
  exit_group: row({ status: int }, (task, { status }) => exitGroup(task, status), 'nothing'),
  getpid: row({}, (task) => task.process.pid),
  gettid: row({}, (task) => task.tid),
  getppid: row({}, (task) => task.process.ppid),
  getpgrp: row({}, () => hostJob().group),
  getpgid: row({ pid: int }, (task, { pid }) => {
    own(task, pid);
    return hostJob().group;
  }),
  getsid: row({ pid: int }, (task, { pid }) => {
    own(task, pid);
    return hostJob().session;
  }),
  setpgid: partial(
    'only to what it is',
    row({ pid: int, pgid: int }, (task, { pid, pgid }) => {
      if (pgid < 0) throw new Errno('EINVAL');
      own(task, pid);
      if ((pgid === 0 ? task.process.pid : pgid) !== hostJob().group) throw new Errno('EPERM');
      return 0;
    }),
  ),
  setsid: partial(
    "the session is the host's: EPERM",
    row({}, () => {
      throw new Errno('EPERM');
    }),
  ),
  wait4: partial(
    'there are no children yet',
    row({ pid: int, status: address, options: hexWord, usage: address }, (_task, { pid, options }) =>
      waitForChild(pid, options),
    ),
  ),
  waitid: partial(
    'there are no children yet',
    row({ type: int, id: int, info: address, options: hexWord, usage: address }, (_task, { type }) => {
      if (type < 0 || type > 3) throw new Errno('EINVAL');
      throw new Errno('ECHILD');
    }),
  ),
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
  sched_yield: row({}, () => 0),
  sched_getscheduler: row({ pid: int }, (task, { pid }) => {
    checkTask(task, pid);
    return normalPolicy;
  }),
  sched_setscheduler: partial(
    'policies that are not real-time',
    row({ pid: int, policy: int, parameters }, (task, { pid, policy, parameters: at }) =>
      setScheduler(task, pid, policy, at),
    ),
  ),
  sched_getparam: row({ pid: int, parameters: address }, (task, { pid, parameters: at }) => {
    checkTask(task, pid);
    task.memory.store32(at, 0);
    return 0;
  }),
  sched_setparam: partial(
    'priority 0',
    row({ pid: int, parameters }, (task, { pid, parameters: at }) => setScheduler(task, pid, normalPolicy, at)),
  ),
  sched_get_priority_max: row({ policy: int }, (_task, { policy }) => {
    if (!policies.includes(policy)) throw new Errno('EINVAL');
    return realTimePolicies.includes(policy) ? 99 : 0;
  }),
  sched_get_priority_min: row({ policy: int }, (_task, { policy }) => {
    if (!policies.includes(policy)) throw new Errno('EINVAL');
    return realTimePolicies.includes(policy) ? 1 : 0;
  }),
  sched_getaffinity: row({ pid: int, size: uint, mask: address }, (task, { pid, size, mask }) =>
    getAffinity(task, pid, size, mask),
  ),
  sched_setaffinity: row({ pid: int, size: uint, mask: address }, (task, { pid, size, mask }) =>
    setAffinity(task, pid, size, mask),
  ),
  getcpu: row({ cpu: address, node: address, unused: address }, (task, { cpu, node }) => getcpu(task, cpu, node)),
  getpriority: row({ which: int, who: int }, (_task, { which }) => {
    if (which < 0 || which > 2) throw new Errno('EINVAL');
    return 20;
  }),
  setpriority: partial(
    'to 0 only',
    row({ which: int, who: int, priority: int }, (_task, { which, priority }) => {
      if (which < 0 || which > 2) throw new Errno('EINVAL');
      if (priority < 0) throw new Errno('EACCES');
      if (priority > 0) throw new Errno('EPERM');
      return 0;
    }),
  ),
  nice: partial(
    'by 0 only',
    row({ increment: int }, (_task, { increment }) => {
      if (increment !== 0) throw new Errno('EPERM');
      return 0;
    }),
  ),
  restart_syscall: row({}, (task) => {
    const again = task.restartBlock;
    task.restartBlock = null;
    if (again === null) throw new Errno('EINTR');
    return again();
  }),
};
