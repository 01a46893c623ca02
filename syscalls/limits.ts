import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { checkAccess } from '#linux-user/access-check.ts';
import { Capability, capable } from '#linux-user/credentials.ts';
import type { Process } from '#linux-user/process.ts';
import { type Limit, ResourceLimit, resourceLimitCount, unlimited } from '#linux-user/resource-limits.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { int, oneOf, structIn, structOut } from './arguments.ts';
import { ResourceName, UsageName } from './names.ts';
import { type Rows, row } from './row.ts';
import { printUsage, storeUsage } from './usage.ts';

const infinity32 = 0xffffffff;
const infinity64 = 0xffff_ffff_ffff_ffffn;
/** What RLIM_INFINITY was before ugetrlimit. */
const oldInfinity = 0x7fffffff;

const word = (value: number): number => (value >= infinity32 ? infinity32 : value);
const long = (value: number): bigint => (value === unlimited ? infinity64 : BigInt(value));
const fromWord = (value: number): number => (value === infinity32 ? unlimited : value);
const fromLong = (value: bigint): number => (value === infinity64 ? unlimited : Number(value));

function limitOf(owner: Process, resource: number): Limit {
  if (resource < 0 || resource >= resourceLimitCount) throw new Errno('EINVAL');
  return owner.limits.get(resource);
}

function change(task: Task, owner: Process, resource: number, limit: Limit): void {
  const old = limitOf(owner, resource);
  if (limit.soft > limit.hard) throw new Errno('EINVAL');
  if (limit.hard > old.hard && !capable(task.credentials, Capability.SYS_RESOURCE)) throw new Errno('EPERM');
  owner.limits.set(resource, limit);
  if (resource === ResourceLimit.NOFILE) for (const { files } of owner.tasks.values()) files.limit = limit.soft;
}

function getrlimit(task: Task, resource: number, at: number, top: number): number {
  const { soft, hard } = limitOf(task.process, resource);
  task.memory.require(at, 8, Access.write);
  task.memory.store32(at, Math.min(word(soft), top));
  task.memory.store32(at + 4, Math.min(word(hard), top));
  return 0;
}

function setrlimit(task: Task, resource: number, at: number): number {
  limitOf(task.process, resource);
  const limit = { soft: fromWord(task.memory.load32(at)), hard: fromWord(task.memory.load32(at + 4)) };
  change(task, task.process, resource, limit);
  return 0;
}

function prlimit64(task: Task, pid: number, resource: number, next: number, old: number): number {
  const { memory } = task;
  const owner = pid === 0 ? task.process : task.process.kernel.processes.find(pid);
  if (owner === undefined) throw new Errno('ESRCH');
  checkAccess(task.process, owner);
  const before = limitOf(owner, resource);
  if (old !== 0) memory.require(old, 16, Access.write);
  if (next !== 0)
    change(task, owner, resource, { soft: fromLong(memory.load64(next)), hard: fromLong(memory.load64(next + 8)) });
  if (old !== 0) {
    memory.store64(old, long(before.soft));
    memory.store64(old + 8, long(before.hard));
  }
  return 0;
}

function getrusage(task: Task, who: number, at: number): number {
  if (!Object.values<number>(UsageName).includes(who)) throw new Errno('EINVAL');
  const { cpu, kernel } = task.process;
  if (who === UsageName.RUSAGE_CHILDREN) {
    storeUsage(task.memory, at, cpu.children);
    return 0;
  }
  kernel.scheduler.meter.settle();
  const found = process.resourceUsage();
  storeUsage(task.memory, at, cpu.own, {
    maxrss: found.maxRSS,
    minflt: found.minorPageFault,
    majflt: found.majorPageFault,
    inblock: found.fsRead,
    oublock: found.fsWrite,
    nvcsw: found.voluntaryContextSwitches,
    nivcsw: found.involuntaryContextSwitches,
  });
  return 0;
}

/** As strace shortens a limit: whole KiB as a product. */
function amount(value: number): string {
  if (value === unlimited) return 'RLIM_INFINITY';
  return value > 0 && value % 1024 === 0 ? `${value / 1024}*1024` : String(value);
}
const printLimit = (soft: number, hard: number): string => `{rlim_cur=${amount(soft)}, rlim_max=${amount(hard)}}`;
const printNarrow = (memory: GuestMemory, at: number): string =>
  printLimit(fromWord(memory.load32(at)), fromWord(memory.load32(at + 4)));
const printWide = (memory: GuestMemory, at: number): string =>
  printLimit(fromLong(memory.load64(at)), fromLong(memory.load64(at + 8)));

const limitOut = structOut(printNarrow);

/** kernel/sys.c. */
export const limitCalls: Rows = {
  getrlimit: row({ resource: oneOf(ResourceName), limit: limitOut }, (task, { resource, limit }) =>
    getrlimit(task, resource, limit, oldInfinity),
  ),
  ugetrlimit: row({ resource: oneOf(ResourceName), limit: limitOut }, (task, { resource, limit }) =>
    getrlimit(task, resource, limit, infinity32),
  ),
  setrlimit: row({ resource: oneOf(ResourceName), limit: structIn(printNarrow) }, (task, { resource, limit }) =>
    setrlimit(task, resource, limit),
  ),
  prlimit64: row(
    { pid: int, resource: oneOf(ResourceName), next: structIn(printWide), old: structOut(printWide) },
    (task, { pid, resource, next, old }) => prlimit64(task, pid, resource, next, old),
  ),
  getrusage: row(
    {
      who: oneOf(UsageName),
      usage: structOut(printUsage),
    },
    (task, { who, usage: at }) => getrusage(task, who, at),
  ),
};
