import { basename } from 'node:path';
import { Errno } from '#util/errno.ts';
import { createLog } from '#util/log.ts';
import { leaveMemory } from './exit.ts';
import { LoadError } from './loader/load-error.ts';
import { resolveProgram } from './loader/load-program.ts';
import { makeImage, type ProgramImage } from './program-image.ts';
import { Signal } from './signal/numbers.ts';
import { defaultSigAction, noAltStack, ProcessSignals, SIG_IGN } from './signal/signal-state.ts';
import type { SyscallResult } from './syscall-table.ts';
import type { Task } from './task.ts';

const log = createLog('process');

/** Longest thread name (TASK_COMM_LEN), without its NUL. */
const longestName = 15;

export interface ExecRequest {
  /** The path as the guest gave it. */
  readonly path: Uint8Array;
  /** Where the host has it. */
  readonly hostPath: string;
  readonly argv: readonly Uint8Array[];
  readonly environment: readonly Uint8Array[];
}

/**
 * execve(2). The new program is loaded beside the old one, which goes on if that fails: ENOENT, EACCES, ENOEXEC, E2BIG…
 * Returns what becomes the new program's first register, 0.
 */
export function execute(task: Task, request: ExecRequest): SyscallResult {
  const image = load(task, request);
  if (task.process.tasks.size === 1) {
    become(task, request, image);
    return 0;
  }
  return endOthers(task).then(() => {
    become(task, request, image);
    return 0;
  });
}

function load(task: Task, { path, hostPath, argv, environment }: ExecRequest): ProgramImage {
  const { kernel, abi, credentials, limits } = task.process;
  try {
    const name = Buffer.from(path).toString();
    const resolved = resolveProgram(name, hostPath, argv, abi, kernel.options.prefix);
    return makeImage(kernel, { resolved, execPath: path, environment, credentials, limits });
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    log('exec: %s', error.message);
    throw new Errno(error.errno);
  }
}

/** The other threads end; the caller becomes the leader (de_thread). */
async function endOthers(task: Task): Promise<void> {
  const { process } = task;
  for (const other of process.tasks.values()) if (other !== task) other.leave();
  process.kernel.scheduler.unpark(process);
  while (process.tasks.size > 1) await task.sleep<void>((wake) => process.threadEnded.add(wake), 'killable');
}

/** The point of no return: the process is the new program. */
function become(task: Task, { path }: ExecRequest, image: ProgramImage): void {
  const { process } = task;
  leaveMemory(task);
  process.tasks.delete(task.tid);
  task.tid = process.pid;
  process.tasks.set(task.tid, task);

  const old = process.space;
  old.leave(task);
  process.space = image.space;
  image.space.seat(task);
  old.release();
  process.kernel.scheduler.enter(image.space);
  process.kernel.options.target.reset(task.cpu, image.entry, image.stackPointer);
  process.memoryReleased.wake();

  if (process.files.shared) {
    const own = process.files.fork();
    process.files.release();
    process.files = own;
  }
  process.files.exec();
  resetSignals(task);
  process.exePath = image.exePath;
  process.hasExeced = true;
  process.exitSignal = Signal.SIGCHLD;
  task.name = basename(Buffer.from(path).toString()).slice(0, longestName);
  log('process %d is %s', process.pid, image.exePath);
}

/** Handlers are gone with the program that had them; what is ignored or pending stays so. */
function resetSignals(task: Task): void {
  const { process, signals } = task;
  const { pending } = process.signals;
  const actions = process.signals.actions.map((action) =>
    action.handler === SIG_IGN ? { ...defaultSigAction, handler: SIG_IGN } : defaultSigAction,
  );
  process.signals = new ProcessSignals(actions, pending);
  signals.altStack = noAltStack;
  task.restartBlock = null;
}
