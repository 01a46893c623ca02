import { pageSize } from '#accel/guest-memory.ts';
import { CloneFlag, type CloneRequest, clone } from '#linux-user/clone.ts';
import { Signal, signalCount, signalName } from '#linux-user/signal/numbers.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, structIn, uint } from './arguments.ts';
import { bits, braces, hex, pointer } from './print.ts';
import { type Argument, partial, type Rows, row } from './row.ts';

/** The low byte of clone's flags: the exit signal. */
const CSIGNAL = 0xff;

const fork: CloneRequest = {
  flags: 0,
  exitSignal: Signal.SIGCHLD,
  stackPointer: 0,
  tls: 0,
  parentTid: 0,
  childTid: 0,
  pidfd: 0,
  clearHandlers: false,
};
const vfork: CloneRequest = { ...fork, flags: CloneFlag.CLONE_VM | CloneFlag.CLONE_VFORK };

/** struct clone_args: u64 fields at multiples of 8. */
const CloneArgs = {
  flags: 0,
  pidfd: 8,
  childTid: 16,
  parentTid: 24,
  exitSignal: 32,
  stack: 40,
  stackSize: 48,
  tls: 56,
  setTid: 64,
  setTidSize: 72,
  cgroup: 80,
} as const;
/** CLONE_ARGS_SIZE_VER0, and that of the last version. */
const firstSize = 64;
const lastSize = 88;
/** MAX_PID_NS_LEVEL. */
const mostPidNamespaces = 32n;
/** Flags that only clone3 has, beyond 32 bits: CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP. */
const clearSigHand = 1n << 32n;
const intoCgroup = 1n << 33n;

function loadArgs(task: Task, at: number, size: number): CloneRequest {
  if (size > pageSize) throw new Errno('E2BIG');
  if (size < firstSize) throw new Errno('EINVAL');
  const { memory } = task;
  const bytes = memory.copy(at, size);
  if (bytes.subarray(lastSize).some((byte) => byte !== 0)) throw new Errno('E2BIG');
  const field = (offset: number): bigint => (offset < size ? memory.load64(at + offset) : 0n);
  const word = (offset: number): number => Number(field(offset) & 0xffffffffn);

  const all = field(CloneArgs.flags);
  const known = 0xffffffffn | clearSigHand | intoCgroup;
  const refused = BigInt(CSIGNAL & ~CloneFlag.CLONE_NEWTIME) | BigInt(CloneFlag.CLONE_DETACHED);
  if ((all & ~known) !== 0n || (all & refused) !== 0n) throw new Errno('EINVAL');
  if ((all & intoCgroup) !== 0n) throw new Errno(size < lastSize ? 'EINVAL' : 'EBADF');
  const exitSignal = field(CloneArgs.exitSignal);
  if (exitSignal > BigInt(signalCount)) throw new Errno('EINVAL');
  const [stack, stackSize] = [field(CloneArgs.stack), field(CloneArgs.stackSize)];
  if ((stack === 0n) !== (stackSize === 0n)) throw new Errno('EINVAL');
  const silent = BigInt(CloneFlag.CLONE_THREAD | CloneFlag.CLONE_PARENT);
  if ((all & silent) !== 0n && exitSignal !== 0n) throw new Errno('EINVAL');
  const [setTid, setTidSize] = [field(CloneArgs.setTid), field(CloneArgs.setTidSize)];
  if (setTidSize > mostPidNamespaces || (setTid === 0n) !== (setTidSize === 0n)) throw new Errno('EINVAL');
  // Choosing pids needs privileges.
  if (setTid !== 0n) throw new Errno('EPERM');
  return {
    flags: Number(all & 0xffffffffn),
    exitSignal: Number(exitSignal),
    stackPointer: Number((stack + stackSize) & 0xffffffffn),
    tls: word(CloneArgs.tls),
    parentTid: word(CloneArgs.parentTid),
    childTid: word(CloneArgs.childTid),
    pidfd: word(CloneArgs.pidfd),
    clearHandlers: (all & clearSigHand) !== 0n,
  };
}

const cloneFlags: Argument<number> = {
  ...uint,
  print(raw) {
    const names = bits(raw & ~CSIGNAL, CloneFlag);
    const signo = raw & CSIGNAL;
    if (signo === 0) return names;
    const name = signo === Signal.SIGCHLD ? 'SIGCHLD' : String(signo);
    return (raw & ~CSIGNAL) === 0 ? name : `${names}|${name}`;
  },
};

const cloneArgs = structIn((memory, at) => {
  const word = (offset: number): number => memory.load32(at + offset);
  const flags = bits(word(CloneArgs.flags), CloneFlag);
  const signo = word(CloneArgs.exitSignal);
  const high = memory.load64(at) & clearSigHand ? '|CLONE_CLEAR_SIGHAND' : '';
  return braces({
    flags: `${flags}${high}`,
    ...(word(CloneArgs.pidfd) !== 0 && { pidfd: hex(word(CloneArgs.pidfd)) }),
    ...(word(CloneArgs.childTid) !== 0 && { child_tid: hex(word(CloneArgs.childTid)) }),
    ...(word(CloneArgs.parentTid) !== 0 && { parent_tid: hex(word(CloneArgs.parentTid)) }),
    exit_signal: signo === 0 ? 0 : signalName(signo),
    stack: pointer(word(CloneArgs.stack)),
    stack_size: hex(word(CloneArgs.stackSize)),
    ...((word(CloneArgs.flags) & CloneFlag.CLONE_SETTLS) !== 0 && { tls: hex(word(CloneArgs.tls)) }),
  });
});

const missing = 'namespaces are EPERM';

/** kernel/fork.c. */
export const cloneCalls: Rows = {
  fork: row({}, (task) => clone(task, fork)),
  vfork: row({}, (task) => clone(task, vfork)),
  clone: partial(
    missing,
    row(
      { flags: cloneFlags, stack: address, parentTid: address, tls: address, childTid: address },
      (task, { flags, stack, parentTid, tls, childTid }): SyscallResult =>
        clone(task, {
          flags: (flags & ~CSIGNAL) >>> 0,
          exitSignal: flags & CSIGNAL,
          stackPointer: stack,
          tls,
          parentTid,
          childTid,
          pidfd: parentTid,
          clearHandlers: false,
        }),
    ),
  ),
  clone3: partial(
    missing,
    row({ arguments: cloneArgs, size: uint }, (task, { arguments: at, size }) => clone(task, loadArgs(task, at, size))),
  ),
};
