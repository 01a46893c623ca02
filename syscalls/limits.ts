import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { type Limit, ResourceLimit, resourceLimitCount, unlimited } from '#linux-user/resource-limits.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { int, oneOf, structIn, structOut } from './arguments.ts';
import { guestStruct } from './guest-struct.ts';
import { ResourceName, UsageName } from './names.ts';
import { type Rows, row } from './row.ts';

const infinity32 = 0xffffffff;
const infinity64 = 0xffff_ffff_ffff_ffffn;
/** What RLIM_INFINITY was before ugetrlimit. */
const oldInfinity = 0x7fffffff;

const word = (value: number): number => (value >= infinity32 ? infinity32 : value);
const long = (value: number): bigint => (value === unlimited ? infinity64 : BigInt(value));
const fromWord = (value: number): number => (value === infinity32 ? unlimited : value);
const fromLong = (value: bigint): number => (value === infinity64 ? unlimited : Number(value));

function limitOf(task: Task, resource: number): Limit {
  if (resource < 0 || resource >= resourceLimitCount) throw new Errno('EINVAL');
  return task.process.limits.get(resource);
}

function change(task: Task, resource: number, limit: Limit): void {
  const old = limitOf(task, resource);
  if (limit.soft > limit.hard) throw new Errno('EINVAL');
  if (limit.hard > old.hard && task.process.credentials.euid !== 0) throw new Errno('EPERM');
  task.process.limits.set(resource, limit);
  if (resource === ResourceLimit.NOFILE) task.process.files.limit = limit.soft;
}

function getrlimit(task: Task, resource: number, at: number, top: number): number {
  const { soft, hard } = limitOf(task, resource);
  task.memory.require(at, 8, Access.write);
  task.memory.store32(at, Math.min(word(soft), top));
  task.memory.store32(at + 4, Math.min(word(hard), top));
  return 0;
}

function setrlimit(task: Task, resource: number, at: number): number {
  limitOf(task, resource);
  const limit = { soft: fromWord(task.memory.load32(at)), hard: fromWord(task.memory.load32(at + 4)) };
  change(task, resource, limit);
  return 0;
}

function prlimit64(task: Task, pid: number, resource: number, next: number, old: number): number {
  const { memory } = task;
  if (pid !== 0 && pid !== task.process.pid) throw new Errno('ESRCH');
  const before = limitOf(task, resource);
  if (old !== 0) memory.require(old, 16, Access.write);
  if (next !== 0)
    change(task, resource, { soft: fromLong(memory.load64(next)), hard: fromLong(memory.load64(next + 8)) });
  if (old !== 0) {
    memory.store64(old, long(before.soft));
    memory.store64(old + 8, long(before.hard));
  }
  return 0;
}

const usage = guestStruct({
  utimeSec: 'i32',
  utimeUsec: 'i32',
  stimeSec: 'i32',
  stimeUsec: 'i32',
  maxrss: 'i32',
  ixrss: 'i32',
  idrss: 'i32',
  isrss: 'i32',
  minflt: 'i32',
  majflt: 'i32',
  nswap: 'i32',
  inblock: 'i32',
  oublock: 'i32',
  msgsnd: 'i32',
  msgrcv: 'i32',
  nsignals: 'i32',
  nvcsw: 'i32',
  nivcsw: 'i32',
});

function getrusage(task: Task, who: number, at: number): number {
  if (!Object.values<number>(UsageName).includes(who)) throw new Errno('EINVAL');
  if (who === UsageName.RUSAGE_CHILDREN) {
    usage.store(task.memory, at, {});
    return 0;
  }
  const found = process.resourceUsage();
  usage.store(task.memory, at, {
    utimeSec: Math.floor(found.userCPUTime / 1e6),
    utimeUsec: found.userCPUTime % 1e6,
    stimeSec: Math.floor(found.systemCPUTime / 1e6),
    stimeUsec: found.systemCPUTime % 1e6,
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
      usage: structOut((memory, at) => {
        const { utimeSec, utimeUsec, stimeSec, stimeUsec } = usage.load(memory, at);
        return `{ru_utime={tv_sec=${utimeSec}, tv_usec=${utimeUsec}}, ru_stime={tv_sec=${stimeSec}, tv_usec=${stimeUsec}}, ...}`;
      }),
    },
    (task, { who, usage: at }) => getrusage(task, who, at),
  ),
};
