import { Access } from '#accel/guest-memory.ts';
import { type BpfInstruction, checkProgram } from '#linux-user/classic-bpf.ts';
import { Capability, capable } from '#linux-user/credentials.ts';
import { type Seccomp, SeccompAction, seccompDataBytes } from '#linux-user/seccomp.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, flags, oneOf } from './arguments.ts';
import { partial, type Rows, row } from './row.ts';

const Operation = {
  SECCOMP_SET_MODE_STRICT: 0,
  SECCOMP_SET_MODE_FILTER: 1,
  SECCOMP_GET_ACTION_AVAIL: 2,
  SECCOMP_GET_NOTIF_SIZES: 3,
} as const;

const FilterFlag = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_NEW_LISTENER: 8,
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH: 16,
} as const;
const silentFlags = FilterFlag.SECCOMP_FILTER_FLAG_LOG | FilterFlag.SECCOMP_FILTER_FLAG_SPEC_ALLOW;
const syncFlags = FilterFlag.SECCOMP_FILTER_FLAG_TSYNC | FilterFlag.SECCOMP_FILTER_FLAG_TSYNC_ESRCH;

/** Longest chain of filters, in instructions with some for each filter (MAX_INSNS_PER_PATH). */
const longestChain = 32768;
const overhead = 4;

export function setStrict(task: Task): number {
  if (task.seccomp?.kind === 'filter') throw new Errno('EINVAL');
  task.seccomp = { kind: 'strict' };
  return 0;
}

/** struct sock_fprog: the number of instructions, and where they are. */
function loadProgram({ memory, abi }: Task, at: number): BpfInstruction[] {
  const length = memory.load16(at);
  const first = memory.load32(at + abi.pointerBytes);
  if (length === 0 || length > 4096) throw new Errno('EINVAL');
  memory.require(first, 8 * length, Access.read);
  return Array.from({ length }, (_, n) => ({
    code: memory.load16(first + 8 * n),
    jumpTrue: memory.load8(first + 8 * n + 2),
    jumpFalse: memory.load8(first + 8 * n + 3),
    k: memory.load32(first + 8 * n + 4),
  }));
}

function chainLength(chain: Seccomp | null): number {
  let total = 0;
  for (let each = chain; each?.kind === 'filter'; each = each.older) total += each.program.length + overhead;
  return total;
}

/** Is `older` part of the chain? */
function descends(chain: Seccomp | null, older: Seccomp | null): boolean {
  for (let each = chain; ; each = each.older) {
    if (each === older) return true;
    if (each?.kind !== 'filter') return false;
  }
}

export function setFilter(task: Task, how: number, at: number): number {
  const { process } = task;
  if ((how & ~(silentFlags | syncFlags)) !== 0) throw new Errno('EINVAL');
  if (task.seccomp?.kind === 'strict') throw new Errno('EINVAL');
  const program = loadProgram(task, at);
  if (!process.noNewPrivileges && !capable(task.credentials, Capability.SYS_ADMIN)) throw new Errno('EACCES');
  checkProgram(program, seccompDataBytes);
  const filter: Seccomp = { kind: 'filter', program, older: task.seccomp };
  if (chainLength(filter) > longestChain) throw new Errno('ENOMEM');
  if ((how & syncFlags) !== 0) {
    for (const other of process.tasks.values()) {
      if (descends(task.seccomp, other.seccomp)) continue;
      if ((how & FilterFlag.SECCOMP_FILTER_FLAG_TSYNC_ESRCH) !== 0) throw new Errno('ESRCH');
      return other.tid;
    }
    for (const other of process.tasks.values()) other.seccomp = filter;
  }
  task.seccomp = filter;
  return 0;
}

function seccomp(task: Task, operation: number, how: number, at: number): number {
  switch (operation) {
    case Operation.SECCOMP_SET_MODE_STRICT:
      if (how !== 0 || at !== 0) throw new Errno('EINVAL');
      return setStrict(task);
    case Operation.SECCOMP_SET_MODE_FILTER:
      return setFilter(task, how, at);
    case Operation.SECCOMP_GET_ACTION_AVAIL: {
      if (how !== 0) throw new Errno('EINVAL');
      const action = task.memory.load32(at);
      const missing = action === SeccompAction.USER_NOTIF || !Object.values<number>(SeccompAction).includes(action);
      if (missing) throw new Errno('EOPNOTSUPP');
      return 0;
    }
    default:
      throw new Errno('EINVAL');
  }
}

/** kernel/seccomp.c. */
export const seccompCalls: Rows = {
  seccomp: partial(
    'SECCOMP_FILTER_FLAG_NEW_LISTENER',
    row({ operation: oneOf(Operation), flags: flags(FilterFlag), argument: address }, (task, call) =>
      seccomp(task, call.operation, call.flags, call.argument),
    ),
  ),
};
