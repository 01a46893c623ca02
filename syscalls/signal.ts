import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import {
  pause,
  sigaction,
  sigaltstack,
  sigpending,
  sigprocmask,
  sigsuspend,
  sigtimedwait,
} from '#linux-user/signal/actions.ts';
import { signalName } from '#linux-user/signal/numbers.ts';
import { forceSegv, kill, queueInfo, tgkill } from '#linux-user/signal/send.ts';
import { encodeSigInfo, sigInfoBytes } from '#linux-user/signal/siginfo.ts';
import { SignalFile } from '#linux-user/signal/signal-file.ts';
import { SIG_DFL, SIG_IGN, type SigAction } from '#linux-user/signal/signal-state.ts';
import { keepRegisters } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { Errno } from '#util/errno.ts';
import { address, descriptorFlags, fd, int, oneOf, signal, structIn, structOut, uint } from './arguments.ts';
import { SaName, SigHowName } from './names.ts';
import { bits, hex } from './print.ts';
import { partial, type Rows, row } from './row.ts';
import { loadDuration, timespecIn, wideTimespecIn } from './time-values.ts';

/** Bytes of the kernel's sigset_t: the only size the rt_ calls take. */
const setBytes = 8;

function checkSetSize(size: number): void {
  if (size !== setBytes) throw new Errno('EINVAL');
}

/** struct sigaction of the kernel: handler, flags, restorer, mask. */
const actionBytes = 20;

function loadAction(memory: GuestMemory, at: number): SigAction {
  memory.require(at, actionBytes, Access.read);
  return {
    handler: memory.load32(at),
    flags: memory.load32(at + 4),
    restorer: memory.load32(at + 8),
    mask: memory.load64(at + 12),
  };
}

function rtSigaction(task: Task, signo: number, next: number, old: number, size: number): number {
  checkSetSize(size);
  const { memory } = task;
  const action = next === 0 ? null : loadAction(memory, next);
  if (old !== 0) memory.require(old, actionBytes, Access.write);
  const before = sigaction(task, signo, action);
  if (old === 0) return 0;
  memory.store32(old, before.handler);
  memory.store32(old + 4, before.flags);
  memory.store32(old + 8, before.restorer);
  memory.store64(old + 12, before.mask);
  return 0;
}

/** struct old_sigaction: handler, mask (a word), flags, restorer. */
function oldSigaction(task: Task, signo: number, next: number, old: number): number {
  const { memory } = task;
  let action: SigAction | null = null;
  if (next !== 0) {
    memory.require(next, 16, Access.read);
    const [handler, mask, flags, restorer] = [0, 4, 8, 12].map((offset) => memory.load32(next + offset));
    action = { handler, flags, restorer, mask: BigInt(mask) };
  }
  if (old !== 0) memory.require(old, 16, Access.write);
  const before = sigaction(task, signo, action);
  if (old === 0) return 0;
  const words = [before.handler, Number(before.mask & 0xffffffffn), before.flags, before.restorer];
  words.forEach((word, index) => memory.store32(old + 4 * index, word));
  return 0;
}

function rtSigprocmask(task: Task, how: number, next: number, old: number, size: number): number {
  checkSetSize(size);
  const { memory } = task;
  const set = next === 0 ? null : memory.load64(next);
  if (old !== 0) memory.require(old, setBytes, Access.write);
  const before = sigprocmask(task, how, set);
  if (old !== 0) memory.store64(old, before);
  return 0;
}

/** The old call knows the first 32 signals and leaves the others as they are. */
function oldSigprocmask(task: Task, how: number, next: number, old: number): number {
  const { memory } = task;
  const high = task.signals.blocked & ~0xffffffffn;
  const low = next === 0 ? null : BigInt(memory.load32(next));
  const set = low === null ? null : how === SigHowName.SIG_SETMASK ? low | high : low;
  if (old !== 0) memory.require(old, 4, Access.write);
  const before = sigprocmask(task, how, set);
  if (old !== 0) memory.store32(old, Number(before & 0xffffffffn));
  return 0;
}

async function rtSigtimedwait(
  task: Task,
  set: number,
  infoAt: number,
  timeout: number,
  size: number,
  wide: boolean,
): Promise<number> {
  checkSetSize(size);
  const { memory } = task;
  const wanted = memory.load64(set);
  const ms = timeout === 0 ? null : loadDuration(memory, timeout, wide);
  if (infoAt !== 0) memory.require(infoAt, sigInfoBytes, Access.write);
  const info = await sigtimedwait(task, wanted, ms);
  if (infoAt !== 0) memory.write(infoAt, encodeSigInfo(info, task.abi.pointerBytes));
  return info.signo;
}

function queue(task: Task, tgid: number, tid: number | null, signo: number, at: number): number {
  const { memory } = task;
  const bytes = memory.copy(at, sigInfoBytes);
  const code = memory.load32(at + 8) | 0;
  // Only the kernel's own codes are positive: to others a process must not claim one.
  if (code >= 0 && tgid !== task.process.pid) throw new Errno('EPERM');
  queueInfo(task, tgid, tid, signo, code, memory.load32(at + 4) | 0, bytes.subarray(12));
  return 0;
}

function altStack(task: Task, next: number, old: number): number {
  const { memory } = task;
  if (next !== 0) memory.require(next, 12, Access.read);
  const stack =
    next === 0 ? null : { sp: memory.load32(next), flags: memory.load32(next + 4), size: memory.load32(next + 8) };
  if (old !== 0) memory.require(old, 12, Access.write);
  const before = sigaltstack(task, stack);
  if (old === 0) return 0;
  memory.store32(old, before.sp);
  memory.store32(old + 4, before.flags);
  memory.store32(old + 8, before.size);
  return 0;
}

function sigreturn(task: Task, realTime: boolean): number {
  if (!task.abi.popSignalFrame(task, realTime)) forceSegv(task, 0);
  return keepRegisters;
}

/** `[INT QUIT]`, or `~[…]` for nearly all, as strace writes a set. */
export function printSet(set: bigint): string {
  const names = (mask: bigint): string[] => {
    const found: string[] = [];
    for (let signo = 1; signo <= 64; signo++)
      if ((mask >> BigInt(signo - 1)) & 1n) found.push(signalName(signo).replace(/^SIG/, ''));
    return found;
  };
  const inside = names(set);
  return inside.length > 32 ? `~[${names(~set).join(' ')}]` : `[${inside.join(' ')}]`;
}

const handlerName = (handler: number): string =>
  handler === SIG_DFL ? 'SIG_DFL' : handler === SIG_IGN ? 'SIG_IGN' : hex(handler);

const printAction = (memory: GuestMemory, at: number): string => {
  const { handler, flags, restorer, mask } = loadAction(memory, at);
  const shown = `{sa_handler=${handlerName(handler)}, sa_mask=${printSet(mask)}, sa_flags=${bits(flags, SaName)}`;
  return (flags & SaName.SA_RESTORER) !== 0 ? `${shown}, sa_restorer=${hex(restorer)}}` : `${shown}}`;
};

const printOldAction = (memory: GuestMemory, at: number): string => {
  const [handler, mask, flags] = [0, 4, 8].map((offset) => memory.load32(at + offset));
  const shown = bits(flags, SaName);
  return `{sa_handler=${handlerName(handler)}, sa_mask=${printSet(BigInt(mask))}, sa_flags=${shown}}`;
};

const setIn = structIn((memory, at) => printSet(memory.load64(at)));
const setOut = structOut((memory, at) => printSet(memory.load64(at)));
const stackPrinter = (memory: GuestMemory, at: number): string => {
  const flags = bits(memory.load32(at + 4), { SS_ONSTACK: 1, SS_DISABLE: 2, SS_AUTODISARM: 0x80000000 });
  return `{ss_sp=${hex(memory.load32(at))}, ss_flags=${flags}, ss_size=${memory.load32(at + 8)}}`;
};

/** signalfd(2): -1 makes a descriptor, another one gets the new mask. */
function signalfd(task: Task, descriptor: number, at: number, size: number, how: number): number {
  if ((how & ~(Open.nonBlock | Open.closeOnExec)) !== 0) throw new Errno('EINVAL');
  checkSetSize(size);
  const mask = task.memory.load64(at);
  const { files } = task;
  if (descriptor === -1) {
    return files.add(new SignalFile(task, mask, how & Open.nonBlock), (how & Open.closeOnExec) !== 0);
  }
  const file = files.get(descriptor);
  if (!(file instanceof SignalFile)) throw new Errno('EINVAL');
  file.setMask(mask);
  return descriptor;
}

const signalfdPartial = 'poll and epoll tell of the signals of the process that made it';

/** kernel/signal.c, fs/signalfd.c. */
export const signalCalls: Rows = {
  rt_sigaction: row(
    { signal, action: structIn(printAction), old: structOut(printAction), size: uint },
    (task, { signal: signo, action, old, size }) => rtSigaction(task, signo, action, old, size),
  ),
  sigaction: row(
    { signal, action: structIn(printOldAction), old: structOut(printOldAction) },
    (task, { signal: signo, action, old }) => oldSigaction(task, signo, action, old),
  ),
  rt_sigprocmask: row(
    { how: oneOf(SigHowName), set: setIn, old: setOut, size: uint },
    (task, { how, set, old, size }) => rtSigprocmask(task, how, set, old, size),
  ),
  sigprocmask: row({ how: oneOf(SigHowName), set: address, old: address }, (task, { how, set, old }) =>
    oldSigprocmask(task, how, set, old),
  ),
  rt_sigpending: row({ set: setOut, size: uint }, (task, { set, size }) => {
    if (size > setBytes) throw new Errno('EINVAL');
    const pending = new Uint8Array(BigUint64Array.of(sigpending(task)).buffer);
    task.memory.write(set, pending.subarray(0, size));
    return 0;
  }),
  sigpending: row({ set: address }, (task, { set }) => {
    task.memory.store32(set, Number(sigpending(task) & 0xffffffffn));
    return 0;
  }),
  rt_sigsuspend: row({ set: setIn, size: uint }, (task, { set, size }) => {
    checkSetSize(size);
    return sigsuspend(task, task.memory.load64(set));
  }),
  sigsuspend: row({ unused1: int, unused2: int, mask: uint }, (task, { mask }) => sigsuspend(task, BigInt(mask))),
  pause: row({}, (task) => pause(task)),
  rt_sigtimedwait: row(
    { set: setIn, info: address, timeout: timespecIn, size: uint },
    (task, { set, info, timeout, size }) => rtSigtimedwait(task, set, info, timeout, size, false),
  ),
  rt_sigtimedwait_time64: row(
    { set: setIn, info: address, timeout: wideTimespecIn, size: uint },
    (task, { set, info, timeout, size }) => rtSigtimedwait(task, set, info, timeout, size, true),
  ),
  rt_sigqueueinfo: partial(
    'to guest processes only',
    row({ tgid: int, signal, info: address }, (task, { tgid, signal: signo, info }) =>
      queue(task, tgid, null, signo, info),
    ),
  ),
  rt_tgsigqueueinfo: partial(
    'to guest processes only',
    row({ tgid: int, tid: int, signal, info: address }, (task, { tgid, tid, signal: signo, info }) =>
      queue(task, tgid, tid, signo, info),
    ),
  ),
  rt_sigreturn: row({}, (task) => sigreturn(task, true)),
  sigreturn: row({}, (task) => sigreturn(task, false)),
  sigaltstack: row({ stack: structIn(stackPrinter), old: structOut(stackPrinter) }, (task, { stack, old }) =>
    altStack(task, stack, old),
  ),
  signalfd: partial(
    signalfdPartial,
    row({ fd, mask: setIn, size: uint }, (task, { fd: descriptor, mask, size }) =>
      signalfd(task, descriptor, mask, size, 0),
    ),
  ),
  signalfd4: partial(
    signalfdPartial,
    row({ fd, mask: setIn, size: uint, flags: descriptorFlags }, (task, { fd: descriptor, mask, size, flags }) =>
      signalfd(task, descriptor, mask, size, flags),
    ),
  ),
  kill: row({ pid: int, signal }, (task, { pid, signal: signo }) => {
    kill(task, pid, signo);
    return 0;
  }),
  tkill: row({ tid: int, signal }, (task, { tid, signal: signo }) => {
    tgkill(task, -1, tid, signo);
    return 0;
  }),
  tgkill: row({ tgid: int, tid: int, signal }, (task, { tgid, tid, signal: signo }) => {
    tgkill(task, tgid, tid, signo);
    return 0;
  }),
};
