import type { Process } from '#linux-user/process.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, int, structIn, uint } from './arguments.ts';
import { partial, type Rows, row } from './row.ts';

const normalPolicy = 0;
const policies = [0, 1, 2, 3, 5, 6];
const realTimePolicies = [1, 2];

function checkTask(task: Task, pid: number): void {
  if (pid < 0) throw new Errno('EINVAL');
  if (pid !== 0 && task.process.kernel.processes.find(pid) === undefined) throw new Errno('ESRCH');
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

/** The others that are ready go first. */
const yieldTurn = (): Promise<number> => Promise.resolve(0);

const noEffect = 'kept; all threads have the same share of time';

/** setpriority's `which`. */
const PriorityOf = { process: 0, group: 1, user: 2 } as const;

/** The processes that get- and setpriority are about; ESRCH. */
function niceTargets({ process }: Task, which: number, who: number): Process[] {
  const { processes } = process.kernel;
  const all = [...processes].filter(({ zombie }) => !zombie);
  let found: Process[];
  switch (which) {
    case PriorityOf.process:
      found = who === 0 ? [process] : all.filter((each) => each === processes.find(who));
      break;
    case PriorityOf.group:
      found = all.filter(({ group }) => group === (who === 0 ? process.group : who));
      break;
    case PriorityOf.user:
      found = all.filter(({ credentials }) => credentials.uid === (who === 0 ? process.credentials.uid : who >>> 0));
      break;
    default:
      throw new Errno('EINVAL');
  }
  if (found.length === 0) throw new Errno('ESRCH');
  return found;
}

/** Only root may ask for more than it has; the host is not asked. */
function setNice({ process }: Task, target: Process, nice: number, refused: 'EACCES' | 'EPERM'): void {
  const wanted = Math.max(-20, Math.min(19, nice));
  if (wanted < target.nice && process.credentials.euid !== 0) throw new Errno(refused);
  target.nice = wanted;
}

const parameters = structIn((memory, at) => `[${memory.load32(at) | 0}]`);

/** kernel/sched/. */
export const scheduleCalls: Rows = {
  sched_yield: row({}, (task) => (task.process.kernel.scheduler.alone ? 0 : yieldTurn())),
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
  getpriority: row({ which: int, who: int }, (task, { which, who }) => 20 - niceTargets(task, which, who)[0].nice),
  setpriority: partial(
    noEffect,
    row({ which: int, who: int, priority: int }, (task, { which, who, priority }) => {
      for (const target of niceTargets(task, which, who)) setNice(task, target, priority, 'EACCES');
      return 0;
    }),
  ),
  nice: partial(
    noEffect,
    row({ increment: int }, (task, { increment }) => {
      setNice(task, task.process, task.process.nice + increment, 'EPERM');
      return 0;
    }),
  ),
};
