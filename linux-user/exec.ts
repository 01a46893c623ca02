import { basename } from 'node:path';
import { Errno } from '#util/errno.ts';
import { createLog } from '#util/log.ts';
import { credentialsOfExec } from './credentials.ts';
import { leaveMemory } from './exit.ts';
import { HostProgram, type HostProgramRequest, isHostProgram } from './host-program.ts';
import { elfMachine } from './loader/elf.ts';
import { LoadError } from './loader/load-error.ts';
import { resolveProgram } from './loader/load-program.ts';
import type { ProgramFile } from './loader/program-file.ts';
import type { ProgramOpener } from './loader/program-opener.ts';
import { scriptLine } from './loader/script.ts';
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
  /** The open file; it is taken over. */
  readonly file: ProgramFile;
  readonly argv: readonly Uint8Array[];
  readonly environment: readonly Uint8Array[];
}

/**
 * execve(2). The new program is loaded beside the old one, which goes on if that fails: ENOENT, EACCES, ENOEXEC, E2BIG…
 * Returns what becomes the new program's first register, 0.
 */
export function execute(task: Task, request: ExecRequest): SyscallResult {
  const programs = task.fs.programs(task.process);
  const native = hostRequest(task, request, programs);
  if (native !== null) {
    request.file.release();
    return runOnHost(task, native);
  }
  const image = load(task, request, programs);
  if (task.process.tasks.size === 1) return becomeTold(task, request, image);
  return endOthers(task).then(() => becomeTold(task, request, image));
}

/**
 * What to run if the file is a program for the host, or a script for one; null for anything else. A guest that must not
 * reach the host has none.
 */
function hostRequest(task: Task, request: ExecRequest, programs: ProgramOpener): HostProgramRequest | null {
  const { kernel } = task.process;
  const { fs } = task;
  if (fs.confined) return null;
  const isGuest = (program: Uint8Array): boolean => kernel.abis.some(({ elf }) => elf.machine === elfMachine(program));
  const { argv, environment, file } = request;
  const start = file.read(0, 256);
  if (isGuest(start)) return null;
  if (isHostProgram(start)) return { hostPath: file.path, argv, environment };
  const line = scriptLine(start);
  if (line === null || line.interpreter === '') return null;
  const hostPath = hostInterpreter(line.interpreter, programs, isGuest);
  if (hostPath === null) return null;
  const words = [line.interpreter, ...(line.argument === null ? [] : [line.argument])].map((text) => Buffer.from(text));
  return { hostPath, argv: [...words, request.path, ...argv.slice(1)], environment };
}

/** The host path of a script's interpreter that is a program for the host, or null. */
function hostInterpreter(
  name: string,
  programs: ProgramOpener,
  isGuest: (program: Uint8Array) => boolean,
): string | null {
  try {
    const file = programs.open(name);
    const start = file.read(0, 256);
    file.release();
    return isHostProgram(start) && !isGuest(start) ? file.path : null;
  } catch (error) {
    if (error instanceof LoadError) return null;
    throw error;
  }
}

/** The process lasts as long as the host's program, and no thread of it runs guest code any more. */
async function runOnHost(task: Task, request: HostProgramRequest): Promise<number> {
  const { process } = task;
  if (process.tasks.size > 1) await endOthers(task);
  leaveMemory(task);
  takeFiles(task);
  const program = new HostProgram(process, request);
  process.hostProgram = program;
  process.exePath = request.hostPath;
  process.hasExeced = true;
  process.memoryReleased.wake();
  task.files.exec();
  const end = await program.end;
  process.hostProgram = null;
  process.terminate(end);
  return 0;
}

/** The process's files are those of the thread that lives on, and nobody else's. */
function takeFiles(task: Task): void {
  const { process } = task;
  task.unshareFiles();
  process.files = task.files;
  process.fs = task.fs;
}

function load(task: Task, request: ExecRequest, programs: ProgramOpener): ProgramImage {
  const { path, file, argv, environment } = request;
  const { kernel, limits } = task.process;
  const credentials = credentialsOfExec(task.credentials);
  try {
    const resolved = resolveProgram(file, argv, kernel.abis, programs);
    return makeImage(kernel, { resolved, execPath: path, environment, credentials, limits, programs });
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

/** The same, and the tracer is told. */
function becomeTold(task: Task, request: ExecRequest, image: ProgramImage): SyscallResult {
  const was = task.tid;
  become(task, request, image);
  return task.trace?.executed(was)?.then(() => 0) ?? 0;
}

/** The point of no return: the process is the new program. */
function become(task: Task, { path }: ExecRequest, image: ProgramImage): void {
  const { process } = task;
  leaveMemory(task);
  process.tasks.delete(task.tid);
  process.leaderTrace?.forget();
  process.leaderTrace = null;
  task.tid = process.pid;
  process.tasks.set(task.tid, task);

  const old = process.space;
  old.leave(task);
  process.space = image.space;
  image.space.seat(task);
  old.release();
  process.kernel.scheduler.enter(image.space);
  const { target, abi } = image.space.guest;
  process.abi = abi;
  task.abi = abi;
  target.reset(task.cpu, image.entry, image.stackPointer);
  abi.resetState(task.cpu, () => image.space.images.programSegments());
  process.memoryReleased.wake();

  takeFiles(task);
  task.files.exec();
  resetSignals(task);
  task.rseq = null;
  process.timers.posix.deleteAll();
  process.credentials = task.credentials = credentialsOfExec(task.credentials);
  process.dumpable = true;
  process.exePath = image.exePath;
  process.hasExeced = true;
  process.exitSignal = Signal.SIGCHLD;
  if (task.trace !== null) process.kernel.onObserver(process);
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
