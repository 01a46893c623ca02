import { Access, type GuestMemory, pageSize } from '#accel/guest-memory.ts';
import { Capability, capable } from '#linux-user/credentials.ts';
import type { Process } from '#linux-user/process.ts';
import { ResourceLimit } from '#linux-user/resource-limits.ts';
import type { Task } from '#linux-user/task.ts';
import { turnInterval } from '#linux-user/tunables.ts';
import { Errno } from '#util/errno.ts';
import { address, hexWord, int, oneOf, structIn, structOut, uint } from './arguments.ts';
import { partial, type Rows, row } from './row.ts';
import { storeMilliseconds, timespecOut, wideTimespecOut } from './time-values.ts';

/** SCHED_* (include/uapi/linux/sched.h). */
const Policy = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
} as const;
const SCHED_RESET_ON_FORK = 0x4000_0000;
const policies: readonly number[] = Object.values(Policy);
const realTimePolicies: readonly number[] = [Policy.SCHED_FIFO, Policy.SCHED_RR];

/** The thread that a number names; 0 is the caller. EINVAL, ESRCH. */
function targetOf(task: Task, pid: number): Task {
  if (pid < 0) throw new Errno('EINVAL');
  const target = pid === 0 ? task : task.process.kernel.processes.task(pid);
  if (target === undefined) throw new Errno('ESRCH');
  return target;
}

/** May the caller change how another thread is scheduled? */
function checkOwner(task: Task, target: Task): void {
  const { euid } = task.credentials;
  const same = euid === target.credentials.euid || euid === target.credentials.uid;
  if (!same && !capable(task.credentials, Capability.SYS_NICE)) throw new Errno('EPERM');
}

/** Real-time policies need a privilege, and would have no effect: they are refused to all. */
function changePolicy(task: Task, target: Task, policy: number, priority: number, resetOnFork: boolean): void {
  if (!policies.includes(policy)) throw new Errno('EINVAL');
  const realTime = realTimePolicies.includes(policy);
  if (realTime ? priority < 1 || priority > 99 : priority !== 0) throw new Errno('EINVAL');
  if (realTime || policy === Policy.SCHED_DEADLINE) throw new Errno('EPERM');
  checkOwner(task, target);
  target.scheduling = { policy, resetOnFork };
}

function setScheduler(task: Task, pid: number, policy: number, parameters: number): number {
  if (policy < 0 || parameters === 0) throw new Errno('EINVAL');
  const target = targetOf(task, pid);
  const priority = task.memory.load32(parameters) | 0;
  changePolicy(task, target, policy & ~SCHED_RESET_ON_FORK, priority, (policy & SCHED_RESET_ON_FORK) !== 0);
  return 0;
}

function getScheduler(task: Task, pid: number): number {
  const { policy, resetOnFork } = targetOf(task, pid).scheduling;
  return policy | (resetOnFork ? SCHED_RESET_ON_FORK : 0);
}

/** struct sched_attr, first version, and with the two clamps of utilization. */
const firstAttrBytes = 48;
const attrBytes = 56;
const Attr = { size: 0, policy: 4, flags: 8, nice: 16, priority: 20 } as const;
const resetOnForkFlag = 1;

function getAttributes(task: Task, pid: number, at: number, size: number, how: number): number {
  if (at === 0 || size > pageSize || size < firstAttrBytes || how !== 0) throw new Errno('EINVAL');
  const target = targetOf(task, pid);
  const { memory } = task;
  const bytes = Math.min(size, attrBytes);
  memory.view(at, bytes, Access.write).fill(0);
  memory.store32(at + Attr.size, bytes);
  memory.store32(at + Attr.policy, target.scheduling.policy);
  memory.store32(at + Attr.flags, target.scheduling.resetOnFork ? resetOnForkFlag : 0);
  memory.store32(at + Attr.nice, target.process.nice);
  return 0;
}

function setAttributes(task: Task, pid: number, at: number, how: number): number {
  if (at === 0 || how !== 0) throw new Errno('EINVAL');
  const { memory } = task;
  const size = memory.load32(at) || firstAttrBytes;
  const tooLong =
    size > attrBytes &&
    memory
      .copy(at, Math.min(size, pageSize))
      .subarray(attrBytes)
      .some((byte) => byte !== 0);
  if (size < firstAttrBytes || size > pageSize || tooLong) {
    memory.store32(at, attrBytes);
    throw new Errno('E2BIG');
  }
  const target = targetOf(task, pid);
  const [policy, flags, nice, priority] = [Attr.policy, Attr.flags, Attr.nice, Attr.priority].map((offset) =>
    memory.load32(at + offset),
  );
  if ((flags & ~0x7f) !== 0) throw new Errno('EINVAL');
  changePolicy(task, target, policy, priority, (flags & resetOnForkFlag) !== 0);
  setNice(task, target.process, nice | 0, 'EPERM');
  return 0;
}

/** How long a thread runs until others have their turn. */
function roundRobinInterval(task: Task, pid: number, at: number, wide: boolean): number {
  targetOf(task, pid);
  storeMilliseconds(task.memory, at, turnInterval, wide);
  return 0;
}

/** One CPU, whichever it is: guest threads take turns. */
function getAffinity(task: Task, pid: number, size: number, mask: number): number {
  targetOf(task, pid);
  const bytes = 4;
  if (size < bytes || size % 4 !== 0) throw new Errno('EINVAL');
  task.memory.store32(mask, 1);
  return bytes;
}

function setAffinity(task: Task, pid: number, size: number, mask: number): number {
  checkOwner(task, targetOf(task, pid));
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
function niceTargets({ process, credentials: { uid: own } }: Task, which: number, who: number): Process[] {
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
      found = all.filter(({ credentials }) => credentials.uid === (who === 0 ? own : who >>> 0));
      break;
    default:
      throw new Errno('EINVAL');
  }
  if (found.length === 0) throw new Errno('ESRCH');
  return found;
}

/** Only the privileged may ask for more than they have, beyond RLIMIT_NICE; the host is not asked. */
function setNice(task: Task, target: Process, nice: number, refused: 'EACCES' | 'EPERM'): void {
  const { credentials } = task;
  const wanted = Math.max(-20, Math.min(19, nice));
  const privileged = capable(credentials, Capability.SYS_NICE);
  const { uid, euid } = target.credentials;
  if (!privileged && credentials.euid !== uid && credentials.euid !== euid) throw new Errno('EPERM');
  const { soft } = target.limits.get(ResourceLimit.NICE);
  if (wanted < target.nice && 20 - wanted > soft && !privileged) throw new Errno(refused);
  target.nice = wanted;
}

/** ioprio_get's `which`, and the classes above 13 bits of level. */
const IoPriorityOf = { IOPRIO_WHO_PROCESS: 1, IOPRIO_WHO_PGRP: 2, IOPRIO_WHO_USER: 3 } as const;
const ioClassShift = 13;
const IoClass = { none: 0, realTime: 1, bestEffort: 2, idle: 3 } as const;
/** What nice 0 comes to, for those that have set nothing. */
const defaultIoPriority = 4;

function ioTargets(task: Task, which: number, who: number): Process[] {
  return niceTargets(task, which - 1, who);
}

function setIoPriority(task: Task, which: number, who: number, priority: number): number {
  const level = priority & ((1 << ioClassShift) - 1);
  switch (priority >> ioClassShift) {
    case IoClass.none:
      if (level !== 0) throw new Errno('EINVAL');
      break;
    case IoClass.realTime:
      if (!capable(task.credentials, Capability.SYS_NICE)) throw new Errno('EPERM');
      if (level > 7) throw new Errno('EINVAL');
      break;
    case IoClass.bestEffort:
      if (level > 7) throw new Errno('EINVAL');
      break;
    case IoClass.idle:
      break;
    default:
      throw new Errno('EINVAL');
  }
  for (const target of ioTargets(task, which, who)) target.ioPriority = priority;
  return 0;
}

function getIoPriority(task: Task, which: number, who: number): number {
  const found = ioTargets(task, which, who).map(({ ioPriority }) => ioPriority || defaultIoPriority);
  // The best of several is the lowest number of those that have set one.
  const chosen = found.filter((priority) => priority >> ioClassShift !== IoClass.none);
  return chosen.length > 0 ? Math.min(...chosen) : defaultIoPriority;
}

const parameters = structIn((memory, at) => `[${memory.load32(at) | 0}]`);

/** `[0 1]`: the CPUs of the first word. */
const printMask = (memory: GuestMemory, at: number): string => {
  const word = memory.load32(at);
  const cpus = Array.from({ length: 32 }, (_, cpu) => cpu).filter((cpu) => (word >>> cpu) & 1);
  return `[${cpus.join(' ')}]`;
};
const maskIn = structIn(printMask);
const maskOut = structOut(printMask);
const policyName = oneOf(Policy);
const noRealTime = 'real-time policies: EPERM; others are kept without effect';

/** kernel/sched/, block/ioprio.c. */
export const scheduleCalls: Rows = {
  sched_yield: row({}, (task) => (task.process.kernel.scheduler.alone ? 0 : yieldTurn())),
  sched_getscheduler: row({ pid: int }, (task, { pid }) => getScheduler(task, pid)),
  sched_setscheduler: partial(
    noRealTime,
    row({ pid: int, policy: policyName, parameters }, (task, { pid, policy, parameters: at }) =>
      setScheduler(task, pid, policy, at),
    ),
  ),
  sched_getparam: row({ pid: int, parameters: address }, (task, { pid, parameters: at }) => {
    if (at === 0) throw new Errno('EINVAL');
    targetOf(task, pid);
    task.memory.store32(at, 0);
    return 0;
  }),
  sched_setparam: partial(
    'priority 0',
    row({ pid: int, parameters }, (task, { pid, parameters: at }) => {
      const { policy } = targetOf(task, pid).scheduling;
      return setScheduler(task, pid, policy, at);
    }),
  ),
  sched_getattr: row(
    { pid: int, attributes: address, size: uint, flags: hexWord },
    (task, { pid, attributes, size, flags }) => getAttributes(task, pid, attributes, size, flags),
  ),
  sched_setattr: partial(
    noRealTime,
    row({ pid: int, attributes: address, flags: hexWord }, (task, { pid, attributes, flags }) =>
      setAttributes(task, pid, attributes, flags),
    ),
  ),
  sched_rr_get_interval: row({ pid: int, interval: timespecOut }, (task, { pid, interval }) =>
    roundRobinInterval(task, pid, interval, false),
  ),
  sched_rr_get_interval_time64: row({ pid: int, interval: wideTimespecOut }, (task, { pid, interval }) =>
    roundRobinInterval(task, pid, interval, true),
  ),
  ioprio_get: row({ which: oneOf(IoPriorityOf), who: int }, (task, { which, who }) => getIoPriority(task, which, who)),
  ioprio_set: partial(
    'kept; the host orders the transfers',
    row({ which: oneOf(IoPriorityOf), who: int, priority: hexWord }, (task, { which, who, priority }) =>
      setIoPriority(task, which, who, priority),
    ),
  ),
  sched_get_priority_max: row({ policy: int }, (_task, { policy }) => {
    if (!policies.includes(policy)) throw new Errno('EINVAL');
    return realTimePolicies.includes(policy) ? 99 : 0;
  }),
  sched_get_priority_min: row({ policy: int }, (_task, { policy }) => {
    if (!policies.includes(policy)) throw new Errno('EINVAL');
    return realTimePolicies.includes(policy) ? 1 : 0;
  }),
  sched_getaffinity: row({ pid: int, size: uint, mask: maskOut }, (task, { pid, size, mask }) =>
    getAffinity(task, pid, size, mask),
  ),
  sched_setaffinity: row({ pid: int, size: uint, mask: maskIn }, (task, { pid, size, mask }) =>
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
