import { Access } from '#accel/guest-memory.ts';
import { pidFileOf } from '#linux-user/pid-file.ts';
import { Signal, signalName } from '#linux-user/signal/numbers.ts';
import { encodeSigInfo, SiCode } from '#linux-user/signal/siginfo.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { type ChildReport, WaitOption, type WaitTarget, waitForChild } from '#linux-user/wait.ts';
import { Errno } from '#util/errno.ts';
import { flags, int, oneOf, structOut } from './arguments.ts';
import { type Rows, row } from './row.ts';
import { printSigInfo } from './trace-text.ts';
import { printUsage, storeUsage } from './usage.ts';

const { WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT, __WNOTHREAD, __WALL, __WCLONE } = WaitOption;
const cloneOptions = __WNOTHREAD | __WALL | __WCLONE;

/** waitid's idtype_t. */
const WaitId = { P_ALL: 0, P_PID: 1, P_PGID: 2, P_PIDFD: 3 } as const;

/** The status word of wait(2). */
function statusWord({ event }: ChildReport): number {
  switch (event.kind) {
    case 'exit':
      return event.code << 8;
    case 'signal':
      return event.signo;
    case 'stopped':
      return (event.signo << 8) | 0x7f;
    case 'continued':
      return 0xffff;
    case 'trapped':
      return (event.status << 8) | 0x7f;
  }
}

/** si_code and si_status of waitid. */
function codeAndStatus({ event }: ChildReport): readonly [code: number, status: number] {
  switch (event.kind) {
    case 'exit':
      return [SiCode.CLD_EXITED, event.code];
    case 'signal':
      return [SiCode.CLD_KILLED, event.signo];
    case 'stopped':
      return [SiCode.CLD_STOPPED, event.signo];
    case 'continued':
      return [SiCode.CLD_CONTINUED, event.signo];
    case 'trapped':
      return [SiCode.CLD_TRAPPED, event.status];
  }
}

/** Runs `finish` with what a wait finds, now or later. */
function whenFound(
  found: ReturnType<typeof waitForChild>,
  finish: (report: ChildReport | null) => number,
): SyscallResult {
  return found instanceof Promise ? found.then(finish) : finish(found);
}

function wait4(task: Task, pid: number, statusAt: number, options: number, usageAt: number): SyscallResult {
  const known = WNOHANG | WUNTRACED | WCONTINUED | cloneOptions;
  if ((options & ~known) !== 0) throw new Errno('EINVAL');
  if (pid === -0x80000000) throw new Errno('ESRCH');
  const { memory, process } = task;
  let target: WaitTarget = { kind: 'pid', pid };
  if (pid === -1) target = { kind: 'any' };
  else if (pid <= 0) target = { kind: 'group', group: pid === 0 ? process.group : -pid };
  return whenFound(waitForChild(task, target, options | WEXITED), (report) => {
    if (report === null) return 0;
    // The child is gone whether these can be written or not.
    if (usageAt !== 0) storeUsage(memory, usageAt, report.usage);
    if (statusAt !== 0) memory.store32(statusAt, statusWord(report));
    return report.pid;
  });
}

function waitTarget(task: Task, type: number, id: number): WaitTarget {
  switch (type) {
    case WaitId.P_ALL:
      return { kind: 'any' };
    case WaitId.P_PID:
      if (id <= 0) throw new Errno('EINVAL');
      return { kind: 'pid', pid: id };
    case WaitId.P_PGID:
      if (id < 0) throw new Errno('EINVAL');
      return { kind: 'group', group: id === 0 ? task.process.group : id };
    case WaitId.P_PIDFD: {
      if (id < 0) throw new Errno('EINVAL');
      const file = pidFileOf(task.files.get(id));
      return { kind: 'process', process: file.process, nonBlocking: file.nonBlocking };
    }
    default:
      throw new Errno('EINVAL');
  }
}

function waitid(task: Task, type: number, id: number, infoAt: number, options: number, usageAt: number): SyscallResult {
  const states = WEXITED | WUNTRACED | WCONTINUED;
  if ((options & ~(states | WNOHANG | WNOWAIT | cloneOptions)) !== 0 || (options & states) === 0) {
    throw new Errno('EINVAL');
  }
  const { memory } = task;
  return whenFound(waitForChild(task, waitTarget(task, type, id), options), (report) => {
    if (report !== null && usageAt !== 0) storeUsage(memory, usageAt, report.usage);
    if (infoAt !== 0) storeInfo(task, infoAt, report);
    return 0;
  });
}

/** Bytes of siginfo_t that waitid writes: those of the SIGCHLD form up to si_status. */
const infoBytes = 24;

function storeInfo(task: Task, at: number, report: ChildReport | null): void {
  const { memory, abi } = task;
  if (report === null) {
    memory.view(at, infoBytes, Access.write).fill(0);
    return;
  }
  const [code, status] = codeAndStatus(report);
  const { pid, uid } = report;
  const info = { kind: 'child', signo: Signal.SIGCHLD, code, pid, uid, status, userTime: 0, systemTime: 0 } as const;
  memory.write(at, encodeSigInfo(info, abi.pointerBytes).subarray(0, infoBytes));
}

/** `[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]` */
function printStatus(word: number): string {
  const low = word & 0x7f;
  if (word === 0xffff) return '[{WIFCONTINUED(s)}]';
  if (low === 0x7f) return `[{WIFSTOPPED(s) && WSTOPSIG(s) == ${signalName(word >> 8)}}]`;
  if (low === 0) return `[{WIFEXITED(s) && WEXITSTATUS(s) == ${word >> 8}}]`;
  return `[{WIFSIGNALED(s) && WTERMSIG(s) == ${signalName(low)}}]`;
}

const status = structOut((memory, at, { result }) => (result === 0 ? 'NULL' : printStatus(memory.load32(at))));
const usage = structOut(printUsage);

/** What waitid tells of a child; all zero where there was none. */
const info = structOut((memory, at, { task }) => {
  const word = (index: number): number => memory.load32(at + 4 * index) | 0;
  if (word(0) === 0) return '{}';
  const fields = task.abi.pointerBytes === 8 ? 4 : 3;
  const [pid, uid, state] = [fields, fields + 1, fields + 2].map(word);
  const child = { kind: 'child', signo: word(0), code: word(2), pid, uid, status: state } as const;
  return printSigInfo({ ...child, userTime: 0, systemTime: 0 });
});
const options = flags(WaitOption);

/** kernel/exit.c. */
export const waitCalls: Rows = {
  wait4: row({ pid: int, status, options, usage }, (task, args) =>
    wait4(task, args.pid, args.status, args.options, args.usage),
  ),
  waitid: row({ type: oneOf(WaitId), id: int, info, options, usage }, (task, args) =>
    waitid(task, args.type, args.id, args.info, args.options, args.usage),
  ),
};
