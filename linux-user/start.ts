import { GuestMemory } from '#accel/guest-memory.ts';
import type { Target } from '#tcg/target.ts';
import { abiOf, architectureOf } from './abi/architectures.ts';
import { type Credentials, hostCredentials } from './credentials.ts';
import { createEntropy, type Entropy } from './entropy.ts';
import type { EngineFactory } from './guest-engine.ts';
import { ImageDirectory } from './images.ts';
import { elfMachine } from './loader/elf.ts';
import { hostPathOf } from './loader/guest-path.ts';
import { fillStack, mapStack } from './loader/initial-stack.ts';
import { LoadError } from './loader/load-error.ts';
import { type LoadedProgram, loadProgram, resolveProgram } from './loader/load-program.ts';
import { ProgramFile } from './loader/program-file.ts';
import { scriptLine } from './loader/script.ts';
import { hostPages } from './mm/host-pages.ts';
import { Mm } from './mm/mm.ts';
import { Network } from './net/network.ts';
import { Process, type Termination } from './process.ts';
import { printReport } from './report.ts';
import { ResourceLimit, ResourceLimits } from './resource-limits.ts';
import { Scheduler } from './scheduler.ts';
import { isHandled, observesFaults } from './signal/actions.ts';
import { endBySignal, HostSignals } from './signal/host.ts';
import { sendToProcess } from './signal/send.ts';
import { SiCode } from './signal/siginfo.ts';
import { IntervalTimers } from './signal/timers.ts';
import type { SyscallTable } from './syscall-table.ts';
import { Task } from './task.ts';
import { FileSystem } from './vfs/file-system.ts';
import { standardStreams } from './vfs/standard-streams.ts';

export { LoadError } from './loader/load-error.ts';

/** `pages`: by the host's page tables; `checks`: by code before each access; `auto`: pages where possible. */
export type Protection = 'auto' | 'pages' | 'checks';

/** One run of a guest program. */
export interface StartOptions {
  /** Path of the program: never searched for. */
  readonly program: string;
  /** argv, argv[0] included. */
  readonly argv: readonly string[];
  /** `NAME=value` lines. */
  readonly environment: readonly string[];
  /** -L, or null. */
  readonly prefix: string | null;
  readonly stackBytes: number;
  /** -R: first address that the guest cannot map, or null for the architecture's own. */
  readonly addressSpaceEnd: number | null;
  /** -seed, or null for the host's randomness. */
  readonly seed: bigint | null;
  /** The source of randomness that the system calls use too, if it is shared; else one is made from `seed`. */
  readonly entropy?: Entropy;
  readonly target: Target;
  /** Where the host's page tables may refuse the guest's accesses: always, where possible, or never. */
  readonly protection: Protection;
  /** Takes a report of a fatal signal; null prints it on stderr. */
  readonly report: ((text: string) => void) | null;
  /** Sees the process before it runs: for `-d page` and profiles. */
  readonly watch?: (process: Process, images: ImageDirectory) => void;
  /**
   * Called when the guest has ended, before a fatal signal of its ends tsemu too. With it, a host signal that would end
   * tsemu at once ends the guest.
   */
  readonly ended?: () => void;
}

/**
 * The name of the architecture that a program is for (`arm`), from its ELF header or, for a script, that of its
 * interpreter below `prefix`. Throws LoadError.
 */
export function detectArchitecture(program: string, prefix: string | null): string {
  let name = program;
  for (let i = 0; i < 5; i++) {
    const file = new ProgramFile(name, i === 0 ? name : hostPathOf(name, prefix));
    const start = file.read(0, 256);
    file.release();
    const line = scriptLine(start);
    if (line !== null && line.interpreter !== '') {
      name = line.interpreter;
      continue;
    }
    const machine = elfMachine(start);
    if (machine === null) throw new LoadError(`${name}: not an ELF program`, 126);
    const architecture = architectureOf(machine);
    if (architecture === null) throw new LoadError(`${name}: a program for a machine that tsemu does not run`, 126);
    return architecture;
  }
  throw new LoadError(`${program}: too many scripts interpret one another`, 126);
}

/**
 * Loads a program and runs it to its end. Returns its exit code; a fatal signal is reported and ends this process by
 * the same signal (where the host cannot, 128 + its number is returned). Throws LoadError.
 */
export async function startProcess(
  options: StartOptions,
  table: SyscallTable,
  engineFactory: EngineFactory,
): Promise<number> {
  const guest = createProcess(options, engineFactory);
  const { process: guestProcess, task, images } = guest;
  const scheduler = new Scheduler(table, options.target.layout.end);
  const hostSignals = new HostSignals(guestProcess, options.ended !== undefined);
  guestProcess.fs.mayBlock = () =>
    scheduler.mayBlock && !hostSignals.active && !guestProcess.timers.active && !guestProcess.network.active;
  guestProcess.timers.onExpiry = (signo) =>
    sendToProcess(guestProcess, { kind: 'kernel', signo, code: SiCode.SI_KERNEL });
  guestProcess.onSignalAction = (signo) => {
    hostSignals.update(signo);
    if (!observesFaults(signo)) return;
    const { actions } = guestProcess.signals;
    guestProcess.engine.setExactState(actions.some((action, n) => observesFaults(n) && isHandled(action)));
  };
  scheduler.adopt(task);
  try {
    await scheduler.run(guestProcess);
  } finally {
    guestProcess.timers.stop();
    hostSignals.stop();
    guestProcess.mm.writeBackAll();
    guestProcess.files.closeAll();
    options.ended?.();
  }
  await guestProcess.network.flushed();
  return finish(guestProcess.termination!, options, images);
}

/** A process with its first task, about to execute its first instruction. */
export interface StartedProcess {
  readonly process: Process;
  readonly task: Task;
  readonly images: ImageDirectory;
}

/** Loads a program into a new address space. Throws LoadError. */
export function createProcess(options: StartOptions, engineFactory: EngineFactory): StartedProcess {
  const { target, prefix, argv, environment, stackBytes } = options;
  const abi = abiOf(target.name, target.layout);
  const resolved = resolveProgram(options.program, argv, abi, prefix);
  const limits = new ResourceLimits(stackBytes);
  const memory = createMemory(options.protection);
  const taskSize = Math.min(options.addressSpaceEnd ?? abi.taskSize, abi.taskSize);
  const mm = new Mm(memory, {
    taskSize,
    stackBytes,
    limits,
    effectiveAccess: (prot) => abi.effectiveAccess(prot),
  });
  mapStack(mm, stackBytes, resolved.image.executableStack);
  const loaded = loadProgram(mm, abi, resolved, prefix);
  abi.mapKernelPages(mm);
  const credentials = hostCredentials();
  const entropy = options.entropy ?? createEntropy(options.seed);
  const random = new Uint8Array(16);
  entropy(random, 0, random.length);
  const stackPointer = fillStack(mm, {
    abi,
    program: loaded.program,
    interpreter: loaded.interpreter,
    execPath: options.program,
    argv: resolved.argv,
    environment,
    credentials,
    random,
    stackBytes,
  });

  const engine = engineFactory(memory);
  mm.onCodeChange = (start, end) => engine.invalidate(start, end);
  target.reset(engine.cpu, (loaded.interpreter ?? loaded.program).entry, stackPointer);
  const fs = new FileSystem({ cwd: process.cwd(), umask: process.umask(), prefix, entropy });
  const files = standardStreams(fs, limits.get(ResourceLimit.NOFILE).soft);
  return assemble(options, loaded, { abi, mm, engine, files, fs, credentials, limits, argv: resolved.argv });
}

/** Throws LoadError. */
function createMemory(protection: Protection): GuestMemory {
  if (protection === 'checks') return new GuestMemory();
  const memory = new GuestMemory(hostPages);
  // Else the engine does it, if the program runs long enough to earn it back.
  if (protection === 'pages' && !memory.protectPages()) {
    throw new LoadError(`no page protection: ${memory.whyUnprotected}`, 1);
  }
  return memory;
}

type Parts = Pick<
  ConstructorParameters<typeof Process>[0],
  'abi' | 'mm' | 'engine' | 'files' | 'fs' | 'limits' | 'argv'
> & { readonly credentials: Credentials };

function assemble(options: StartOptions, loaded: LoadedProgram, parts: Parts): StartedProcess {
  const guest = new Process({
    ...parts,
    network: new Network(),
    pid: process.pid,
    parentPid: () => process.ppid,
    timers: new IntervalTimers(),
    exePath: loaded.program.path,
    environment: options.environment,
  });
  const name = options.program.slice(options.program.lastIndexOf('/') + 1).slice(0, 15);
  const task = new Task(guest.pid, guest, parts.abi, parts.engine.cpu, name);
  guest.tasks.set(task.tid, task);
  const images = new ImageDirectory(parts.mm, parts.abi, options.prefix);
  images.add(loaded.program);
  if (loaded.interpreter !== null) images.add(loaded.interpreter);
  options.watch?.(guest, images);
  return { process: guest, task, images };
}

function finish(termination: Termination, options: StartOptions, images: ImageDirectory): number {
  if (termination.kind === 'exit') {
    return termination.code;
  }
  if (termination.core) printReport(termination, options, images);
  endBySignal(termination.signo);
  return 128 + termination.signo;
}
