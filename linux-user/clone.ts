import { totalmem } from 'node:os';
import { Access } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import { createLog } from '#util/log.ts';
import type { AddressSpace } from './address-space.ts';
import { LoadError } from './loader/load-error.ts';
import { PidFile } from './pid-file.ts';
import { Process } from './process.ts';
import { TraceEvent } from './ptrace/constants.ts';
import type { Tracee } from './ptrace/tracee.ts';
import { ResourceLimit, ResourceLimits } from './resource-limits.ts';
import { isHandled, observesFaults } from './signal/actions.ts';
import { Signal } from './signal/numbers.ts';
import { defaultSigAction, noAltStack, type SigAction } from './signal/signal-state.ts';
import type { SyscallResult } from './syscall-table.ts';
import { Task } from './task.ts';
import { bytesPerProcess, leastProcesses } from './tunables.ts';
import type { FileSystem } from './vfs/file-system.ts';
import type { FileTable } from './vfs/file-table.ts';

const log = createLog('process');

/** CLONE_* (include/uapi/linux/sched.h). */
export const CloneFlag = {
  CLONE_NEWTIME: 0x80,
  CLONE_VM: 0x100,
  CLONE_FS: 0x200,
  CLONE_FILES: 0x400,
  CLONE_SIGHAND: 0x800,
  CLONE_PIDFD: 0x1000,
  CLONE_PTRACE: 0x2000,
  CLONE_VFORK: 0x4000,
  CLONE_PARENT: 0x8000,
  CLONE_THREAD: 0x10000,
  CLONE_NEWNS: 0x20000,
  CLONE_SYSVSEM: 0x40000,
  CLONE_SETTLS: 0x80000,
  CLONE_PARENT_SETTID: 0x100000,
  CLONE_CHILD_CLEARTID: 0x200000,
  CLONE_DETACHED: 0x400000,
  CLONE_UNTRACED: 0x800000,
  CLONE_CHILD_SETTID: 0x1000000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
  CLONE_IO: 0x80000000,
} as const;

const F = CloneFlag;
export const namespaceFlags =
  F.CLONE_NEWTIME |
  F.CLONE_NEWNS |
  F.CLONE_NEWCGROUP |
  F.CLONE_NEWUTS |
  F.CLONE_NEWIPC |
  F.CLONE_NEWUSER |
  F.CLONE_NEWPID |
  F.CLONE_NEWNET;

/** What clone and clone3 ask for. Addresses are 0 for "none". */
export interface CloneRequest {
  /** CLONE_*, without the exit signal. */
  readonly flags: number;
  readonly exitSignal: number;
  /** Stack pointer of the child; 0: the parent's. */
  readonly stackPointer: number;
  readonly tls: number;
  readonly parentTid: number;
  readonly childTid: number;
  /** Where CLONE_PIDFD puts the descriptor. */
  readonly pidfd: number;
  /** CLONE_CLEAR_SIGHAND: handled signals go back to their default. */
  readonly clearHandlers: boolean;
}

/** The rules of copy_process. */
function check({ flags, clearHandlers, pidfd, parentTid }: CloneRequest): void {
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const wrong =
    (has(F.CLONE_FS) && has(F.CLONE_NEWNS | F.CLONE_NEWUSER)) ||
    (has(F.CLONE_THREAD) && !has(F.CLONE_SIGHAND)) ||
    (has(F.CLONE_SIGHAND) && !has(F.CLONE_VM)) ||
    (has(F.CLONE_THREAD) && has(F.CLONE_NEWUSER | F.CLONE_NEWPID)) ||
    (has(F.CLONE_SIGHAND) && clearHandlers) ||
    (has(F.CLONE_PIDFD) && has(F.CLONE_DETACHED | F.CLONE_THREAD)) ||
    (has(F.CLONE_PIDFD) && has(F.CLONE_PARENT_SETTID) && pidfd === parentTid);
  if (wrong) throw new Errno('EINVAL');
  // What a process without privileges is told.
  if (has(namespaceFlags)) throw new Errno('EPERM');
}

/**
 * RLIMIT_NPROC counts the guest's threads. It holds for a guest that looks like root too: nothing here has the
 * privilege to exceed it, and a fork bomb should end.
 */
function checkLimit({ process }: Task): void {
  const { soft } = process.limits.get(ResourceLimit.NPROC);
  if (process.kernel.processes.taskCount >= soft) throw new Errno('EAGAIN');
}

/** Address spaces cost the host real memory: how many there may be goes by what it has (like threads-max on Linux). */
function checkProcesses({ process: { kernel } }: Task): void {
  if (kernel.processes.count >= Math.max(leastProcesses, Math.floor(totalmem() / bytesPerProcess))) {
    throw new Errno('EAGAIN');
  }
}

/** clone(2), and so fork(2), vfork(2) and clone3(2): returns the child's tid. */
export function clone(parent: Task, request: CloneRequest): SyscallResult {
  check(request);
  checkLimit(parent);
  if ((request.flags & F.CLONE_VM) === 0) checkProcesses(parent);
  const { flags, parentTid, pidfd } = request;
  if ((flags & F.CLONE_PARENT_SETTID) !== 0) parent.memory.require(parentTid, 4, Access.write);
  if ((flags & F.CLONE_PIDFD) !== 0) parent.memory.require(pidfd, 4, Access.write);
  const setTls = (flags & F.CLONE_SETTLS) !== 0 ? parent.abi.readTls(parent, request.tls) : null;
  const tid = parent.process.kernel.processes.allocate();
  const child = (flags & F.CLONE_THREAD) !== 0 ? newThread(parent, tid, request) : newProcess(parent, tid, request);
  if ((flags & F.CLONE_PIDFD) !== 0) givePidFile(parent, child.process, pidfd);
  setTls?.(child.cpu);
  start(parent, child, request);
  if (parent.trace !== null) return tracedClone(parent, parent.trace, child, request);
  if ((flags & F.CLONE_VFORK) === 0) return tid;
  return waitForRelease(parent, child.process);
}

/** A tracer may trace the child too, and be told of it; then, of the end of a vfork. */
function tracedClone(parent: Task, trace: Tracee, child: Task, { flags, exitSignal }: CloneRequest): SyscallResult {
  const { tid } = child;
  const isVfork = (flags & F.CLONE_VFORK) !== 0;
  const event = isVfork ? TraceEvent.vfork : exitSignal === Signal.SIGCHLD ? TraceEvent.fork : TraceEvent.clone;
  const told = (flags & F.CLONE_UNTRACED) === 0 ? event : null;
  if (told !== null) trace.adopts(child, told, (flags & F.CLONE_PTRACE) !== 0);
  const made = told === null ? null : trace.event(told, tid);
  const wait = async (): Promise<number> => {
    await made;
    if (!isVfork) return tid;
    await waitForRelease(parent, child.process);
    await parent.trace?.event(TraceEvent.vforkDone, tid);
    return tid;
  };
  return made === null && !isVfork ? tid : wait();
}

/** The child has its copy of the table by now: the descriptor is the parent's alone. */
function givePidFile({ files, memory }: Task, child: Process, at: number): void {
  memory.store32(at, files.add(new PidFile(child, 0), true));
}

/** vfork: the parent goes on when the child has execed or ended; only its own end wakes it before. */
async function waitForRelease(parent: Task, child: Process): Promise<number> {
  const { pid, space } = child;
  if (!child.zombie && child.space === space) {
    await parent.sleep<void>((wake) => child.memoryReleased.add(wake), 'killable');
  }
  return pid;
}

const childFiles = ({ files }: Task, flags: number): FileTable =>
  (flags & F.CLONE_FILES) !== 0 ? files.share() : files.fork();

const childFs = ({ fs }: Task, flags: number): FileSystem => ((flags & F.CLONE_FS) !== 0 ? fs : fs.fork());

function newThread(parent: Task, tid: number, { flags }: CloneRequest): Task {
  const { process } = parent;
  const task = new Task(tid, process, process.abi, process.kernel.scheduler.copyState(parent), parent.name);
  task.credentials = { ...parent.credentials };
  task.files = childFiles(parent, flags);
  task.fs = childFs(parent, flags);
  return task;
}

function newProcess(parent: Task, pid: number, request: CloneRequest): Task {
  const { process } = parent;
  const { kernel, abi } = process;
  const { flags, exitSignal } = request;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const limits = ResourceLimits.copyOf(process.limits);
  const space = has(F.CLONE_VM) ? process.space.retain() : forkedSpace(process, limits);
  const sibling = has(F.CLONE_PARENT);
  const child = new Process({
    pid,
    kernel,
    parent: sibling ? process.parent : process,
    abi,
    space,
    files: childFiles(parent, flags),
    fs: childFs(parent, flags),
    network: process.network,
    credentials: { ...parent.credentials },
    limits,
    exePath: process.exePath,
    group: process.group,
    session: process.session,
    actions: childActions(process.signals.actions, request),
  });
  child.nice = process.nice;
  child.personality = process.personality;
  child.ioPriority = process.ioPriority;
  child.dumpable = process.dumpable;
  child.noNewPrivileges = process.noNewPrivileges;
  child.exitSignal = sibling ? process.exitSignal : exitSignal;
  const task = new Task(pid, child, abi, kernel.scheduler.copyState(parent), parent.name);
  // A forked space has its CPU page to itself.
  if (!has(F.CLONE_VM)) {
    space.engine.cpu.u8.set(task.cpu.u8);
    space.seat(task);
  }
  return task;
}

/** ENOMEM if the host has no room for another address space. */
function copySpace({ kernel, space, exePath }: Process, limits: ResourceLimits): AddressSpace {
  try {
    return kernel.copySpace(space, limits, exePath);
  } catch (error) {
    throw error instanceof LoadError ? new Errno(error.errno) : error;
  }
}

function forkedSpace(process: Process, limits: ResourceLimits): AddressSpace {
  const space = copySpace(process, limits);
  const { actions } = process.signals;
  if ([Signal.SIGSEGV, Signal.SIGBUS].some((signo) => observesFaults(signo) && isHandled(actions[signo]))) {
    space.engine.setExactState(true);
  }
  return space;
}

function childActions(actions: SigAction[], { flags, clearHandlers }: CloneRequest): SigAction[] {
  if ((flags & F.CLONE_SIGHAND) !== 0) return actions;
  return actions.map((action) => (clearHandlers && isHandled(action) ? defaultSigAction : action));
}

function start(parent: Task, child: Task, request: CloneRequest): void {
  const { flags, stackPointer, parentTid, childTid } = request;
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const { abi, cpu } = child;
  abi.setResult(cpu, 0);
  if (stackPointer !== 0) abi.setStackPointer(cpu, stackPointer);
  abi.clearExclusive(cpu);
  child.signals.blocked = parent.signals.blocked;
  child.seccomp = parent.seccomp;
  if (!parent.scheduling.resetOnFork) child.scheduling = parent.scheduling;
  child.timerSlack = parent.timerSlack;
  if (!has(F.CLONE_VM)) child.rseq = parent.rseq;
  // A thread, or a child that runs in the parent's memory while the parent does, must not share its signal stack.
  const ownStack = !has(F.CLONE_VM) || has(F.CLONE_VFORK);
  child.signals.altStack = ownStack ? parent.signals.altStack : noAltStack;
  if (has(F.CLONE_CHILD_CLEARTID)) child.clearChildTid = childTid;
  if (has(F.CLONE_SYSVSEM)) child.semUndo = parent.process.kernel.ipc.semaphores.share(parent);
  const { memory } = child;
  if (has(F.CLONE_CHILD_SETTID) && memory.refused(childTid, 4, Access.write) < 0) memory.store32(childTid, child.tid);
  if (has(F.CLONE_PARENT_SETTID)) parent.memory.store32(parentTid, child.tid);
  const { process } = child;
  process.tasks.set(child.tid, child);
  process.kernel.scheduler.add(child);
  log('task %d makes task %d of process %d', parent.tid, child.tid, process.pid);
}
