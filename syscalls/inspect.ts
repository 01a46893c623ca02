import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { checkAccess } from '#linux-user/access-check.ts';
import { pidFileOf } from '#linux-user/pid-file.ts';
import type { Process } from '#linux-user/process.ts';
import type { Task } from '#linux-user/task.ts';
import { Epoll } from '#linux-user/vfs/epoll.ts';
import type { OpenFile } from '#linux-user/vfs/open-file.ts';
import { Errno } from '#util/errno.ts';
import { address, fd, hexWord, int, oneOf, structIn, uint } from './arguments.ts';
import { loadVectors, type Vector } from './io.ts';
import { Advice } from './names.ts';
import { pointer } from './print.ts';
import { type Rows, row } from './row.ts';

/** The process that a pid names, if the caller may look into it. ESRCH, EPERM. */
function targetOf(task: Task, pid: number): Process {
  const target = task.process.kernel.processes.find(pid);
  if (target === undefined || target.zombie) throw new Errno('ESRCH');
  checkAccess(task.process, target);
  return target;
}

/** Moves bytes between vectors of two memories, up to the first that cannot be used; EFAULT if that is the first byte. */
function move(from: GuestMemory, sources: readonly Vector[], to: GuestMemory, targets: readonly Vector[]): number {
  let done = 0;
  let [s, t, sourceDone, targetDone] = [0, 0, 0, 0];
  while (s < sources.length && t < targets.length) {
    const source = sources[s];
    const target = targets[t];
    const wanted = Math.min(source.length - sourceDone, target.length - targetDone);
    const [readAt, writeAt] = [source.base + sourceDone, target.base + targetDone];
    const badRead = from.refused(readAt, wanted, Access.read);
    const badWrite = to.refused(writeAt, wanted, Access.write);
    const usable = Math.min(badRead < 0 ? wanted : badRead - readAt, badWrite < 0 ? wanted : badWrite - writeAt);
    to.write(writeAt, from.copy(readAt, usable));
    done += usable;
    if (usable < wanted) {
      if (done === 0) throw new Errno('EFAULT');
      return done;
    }
    sourceDone += usable;
    targetDone += usable;
    if (sourceDone === source.length) [s, sourceDone] = [s + 1, 0];
    if (targetDone === target.length) [t, targetDone] = [t + 1, 0];
  }
  return done;
}

interface VectorCall {
  readonly pid: number;
  readonly local: number;
  readonly localCount: number;
  readonly remote: number;
  readonly remoteCount: number;
  readonly flags: number;
}

function transfer(task: Task, call: VectorCall, write: boolean): number {
  if (call.flags !== 0) throw new Errno('EINVAL');
  const { memory } = task;
  const local = loadVectors(memory, call.local, call.localCount);
  const remote = loadVectors(memory, call.remote, call.remoteCount);
  const other = targetOf(task, call.pid).mm.memory;
  return write ? move(memory, local, other, remote) : move(other, remote, memory, local);
}

/** What kcmp compares (include/uapi/linux/kcmp.h). */
const Compare = {
  KCMP_FILE: 0,
  KCMP_VM: 1,
  KCMP_FILES: 2,
  KCMP_FS: 3,
  KCMP_SIGHAND: 4,
  KCMP_IO: 5,
  KCMP_SYSVSEM: 6,
  KCMP_EPOLL_TFD: 7,
} as const;

/** Kernel objects in the order they were first compared: an order is all that kcmp promises. */
const ranks = new WeakMap<object, number>();
let nextRank = 1;

function rankOf(object: object | null): number {
  if (object === null) return 0;
  let rank = ranks.get(object);
  if (rank === undefined) ranks.set(object, (rank = nextRank++));
  return rank;
}

function objectOf(task: Task, type: number, index: number): object | null {
  const { process } = task;
  switch (type) {
    case Compare.KCMP_FILE:
      return task.files.get(index);
    case Compare.KCMP_VM:
      return process.space;
    case Compare.KCMP_FILES:
      return task.files;
    case Compare.KCMP_FS:
      return task.fs;
    case Compare.KCMP_SIGHAND:
      return process.signals.actions;
    case Compare.KCMP_IO:
      return null;
    case Compare.KCMP_SYSVSEM:
      return task.semUndo;
    default:
      throw new Errno('EINVAL');
  }
}

/** A file that an epoll file of `owner` watches: `at` leads to a struct kcmp_epoll_slot {efd, tfd, toff} of the caller. */
function watchedFile(task: Task, owner: Task, at: number): OpenFile {
  const [epollFd, descriptor, skip] = [0, 4, 8].map((offset) => task.memory.load32(at + offset));
  const epoll = owner.files.get(epollFd);
  if (!(epoll instanceof Epoll)) throw new Errno('EINVAL');
  return epoll.watched(descriptor, skip);
}

function kcmp(task: Task, pid1: number, pid2: number, type: number, index1: number, index2: number): number {
  const { processes } = task.process.kernel;
  const [first, second] = [pid1, pid2].map((pid) => {
    const found = processes.task(pid);
    if (found === undefined) throw new Errno('ESRCH');
    checkAccess(task.process, found.process);
    return found;
  });
  const isEpoll = type === Compare.KCMP_EPOLL_TFD;
  const a = rankOf(objectOf(first, isEpoll ? Compare.KCMP_FILE : type, index1));
  const b = rankOf(isEpoll ? watchedFile(task, second, index2) : objectOf(second, type, index2));
  if (a === b) return 0;
  return a < b ? 1 : 2;
}

/** Advice that one process may give another. */
const remoteAdvice = new Set<number>([
  Advice.MADV_WILLNEED,
  Advice.MADV_COLD,
  Advice.MADV_PAGEOUT,
  Advice.MADV_COLLAPSE,
]);

function processMadvise(
  task: Task,
  descriptor: number,
  at: number,
  count: number,
  advice: number,
  how: number,
): number {
  if (how !== 0) throw new Errno('EINVAL');
  const vectors = loadVectors(task.memory, at, count);
  const { process, reaped } = pidFileOf(task.files.get(descriptor));
  if (reaped || process.zombie) throw new Errno('ESRCH');
  if (!remoteAdvice.has(advice)) throw new Errno('EINVAL');
  checkAccess(task.process, process);
  let done = 0;
  for (const { base, length } of vectors) {
    try {
      process.mm.madvise(base, length, advice);
    } catch (error) {
      if (done === 0) throw error;
      return done;
    }
    done += length;
  }
  return done;
}

/** process_mrelease(2): the memory of a process that is about to end goes with it, soon enough. */
function mrelease(task: Task, descriptor: number, how: number): number {
  if (how !== 0) throw new Errno('EINVAL');
  const { process, reaped } = pidFileOf(task.files.get(descriptor));
  if (reaped || process.zombie) throw new Errno('ESRCH');
  if (process.termination === null) throw new Errno('EINVAL');
  return 0;
}

const printVectors = structIn((memory, at, { raw }) => {
  const count = raw.localCount ?? raw.count ?? 0;
  const shown = loadVectors(memory, at, count).map(
    ({ base, length }) => `{iov_base=${pointer(base)}, iov_len=${length}}`,
  );
  return `[${shown.join(', ')}]`;
});
const vectorCall = {
  pid: int,
  local: printVectors,
  localCount: uint,
  remote: address,
  remoteCount: uint,
  flags: hexWord,
} as const;

/** mm/process_vm_access.c, kernel/kcmp.c, mm/madvise.c, mm/oom_kill.c. */
export const inspectCalls: Rows = {
  process_vm_readv: row(vectorCall, (task, call) => transfer(task, call, false)),
  process_vm_writev: row(vectorCall, (task, call) => transfer(task, call, true)),
  kcmp: row(
    { pid1: int, pid2: int, type: oneOf(Compare), index1: uint, index2: uint },
    (task, { pid1, pid2, type, index1, index2 }) => kcmp(task, pid1, pid2, type, index1, index2),
  ),
  process_madvise: row(
    { fd, vectors: printVectors, count: uint, advice: oneOf(Advice), flags: hexWord },
    (task, { fd: descriptor, vectors, count, advice, flags }) =>
      processMadvise(task, descriptor, vectors, count, advice, flags),
  ),
  process_mrelease: row({ fd, flags: hexWord }, (task, { fd: descriptor, flags }) => mrelease(task, descriptor, flags)),
};
