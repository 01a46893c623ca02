import { Errno } from '#util/errno.ts';
import { reap } from './child-notice.ts';
import { addCpuTime, type CpuTime } from './cpu-usage.ts';
import type { JobEvent, Process, Termination } from './process.ts';
import { Signal } from './signal/numbers.ts';
import type { Task } from './task.ts';

/** Options of wait4 and waitid (include/uapi/linux/wait.h). */
export const WaitOption = {
  WNOHANG: 1,
  WUNTRACED: 2,
  WEXITED: 4,
  WCONTINUED: 8,
  WNOWAIT: 0x1000000,
  __WNOTHREAD: 0x20000000,
  __WALL: 0x40000000,
  __WCLONE: 0x80000000,
} as const;

/** Which children: any, one, or those of a group. */
export type WaitTarget =
  | { readonly kind: 'any' }
  | { readonly kind: 'pid'; readonly pid: number }
  /** By a pidfd; one that must not block is EAGAIN where others wait. */
  | { readonly kind: 'process'; readonly process: Process; readonly nonBlocking: boolean }
  | { readonly kind: 'group'; readonly group: number };

/** A traced thread stands still: the signal of the stop, with the event above it. */
export interface TraceStop {
  readonly kind: 'trapped';
  readonly status: number;
}

/** What a wait has found. */
export interface ChildReport {
  readonly pid: number;
  readonly uid: number;
  readonly event: Termination | JobEvent | TraceStop;
  /** What the child and those it has waited for have used. */
  readonly usage: CpuTime;
}

function matches(child: Process, target: WaitTarget, options: number): boolean {
  if (target.kind === 'pid' && child.pid !== target.pid) return false;
  if (target.kind === 'process' && child !== target.process) return false;
  if (target.kind === 'group' && child.group !== target.group) return false;
  if ((options & WaitOption.__WALL) !== 0) return true;
  return (child.exitSignal !== Signal.SIGCHLD) === ((options & WaitOption.__WCLONE) !== 0);
}

/** Traced threads are waited for by their own numbers, whatever their exit signal. */
function wantsTraced(process: Process, tid: number, target: WaitTarget): boolean {
  switch (target.kind) {
    case 'any':
      return true;
    case 'pid':
      return tid === target.pid;
    case 'process':
      return process === target.process && tid === process.pid;
    case 'group':
      return process.group === target.group;
  }
}

/** What there is to tell of a child now, or null; without WNOWAIT it is told once. */
function reportOf(child: Process, parent: Process, options: number): ChildReport | null {
  const keep = (options & WaitOption.WNOWAIT) !== 0;
  const usage = addCpuTime(child.cpu.own, child.cpu.children);
  const common = { pid: child.pid, uid: child.credentials.uid, usage };
  if (child.zombie) {
    if (child.tracerMourns) return null;
    if ((options & WaitOption.WEXITED) === 0) return null;
    if (!keep) {
      parent.cpu.children = addCpuTime(parent.cpu.children, usage);
      reap(child);
    }
    return { ...common, event: child.termination! };
  }
  // A stop of one that it traces is told as such.
  if (child.tasks.get(child.pid)?.trace?.tracer === parent) return null;
  const event = child.jobEvent;
  const wanted = event?.kind === 'stopped' ? WaitOption.WUNTRACED : WaitOption.WCONTINUED;
  if (event === null || (options & wanted) === 0) return null;
  if (!keep) child.jobEvent = null;
  return { ...common, event };
}

/**
 * Looks for a child in a state that `options` (with WEXITED where ends count) ask for: its report; null if there is
 * none and WNOHANG is given; else a promise. ECHILD without a child that could ever match.
 */
export function waitForChild(
  task: Task,
  target: WaitTarget,
  options: number,
): ChildReport | null | Promise<ChildReport> {
  const found = look(task.process, target, options);
  if (found !== null || (options & WaitOption.WNOHANG) !== 0) return found;
  if (target.kind === 'process' && target.nonBlocking) throw new Errno('EAGAIN');
  return waitUntilFound(task, target, options);
}

function look(parent: Process, target: WaitTarget, options: number): ChildReport | null {
  let any = false;
  for (const child of parent.children) {
    if (!matches(child, target, options)) continue;
    any = true;
    const report = reportOf(child, parent, options);
    if (report !== null) return report;
  }
  const traced = parent.tracing?.look((process, tid) => wantsTraced(process, tid, target), options) ?? null;
  if (!any && traced === null) throw new Errno('ECHILD');
  return traced?.report ?? null;
}

async function waitUntilFound(task: Task, target: WaitTarget, options: number): Promise<ChildReport> {
  for (;;) {
    const interruption = await task
      .sleep<void>((wake) => task.process.childEvents.add(wake))
      .catch((error: unknown) => error);
    // What SIGCHLD tells of counts for more than the signal.
    const found = look(task.process, target, options);
    if (found !== null) return found;
    if (interruption !== undefined) throw interruption;
  }
}
