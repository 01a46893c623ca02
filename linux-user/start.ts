import { GuestMemory } from '#accel/guest-memory.ts';
import type { Target } from '#tcg/target.ts';
import { abiOf, architectureOf } from './abi/architectures.ts';
import { limitCpuTime } from './cpu-limit.ts';
import type { Credentials } from './credentials.ts';
import { createEntropy, type Entropy } from './entropy.ts';
import type { EngineFactory } from './guest-engine.ts';
import { endCopy } from './host-fork.ts';
import { hostJob } from './host-job.ts';
import type { ImageDirectory } from './images.ts';
import { Kernel } from './kernel.ts';
import { elfMachine } from './loader/elf.ts';
import { LoadError } from './loader/load-error.ts';
import { resolveProgram } from './loader/load-program.ts';
import { ProgramFile } from './loader/program-file.ts';
import type { ProgramOpener } from './loader/program-opener.ts';
import { scriptLine } from './loader/script.ts';
import { hostPages } from './mm/host-pages.ts';
import type { NetworkGate } from './net/gate.ts';
import { Network } from './net/network.ts';
import { moveOrphans } from './orphans.ts';
import { Process, type Termination } from './process.ts';
import { makeImage } from './program-image.ts';
import { printReport } from './report.ts';
import { ResourceLimit, ResourceLimits } from './resource-limits.ts';
import { endBySignal } from './signal/host.ts';
import type { SyscallTable } from './syscall-table.ts';
import { Task } from './task.ts';
import type { FileSystem } from './vfs/file-system.ts';
import { inheritedFiles } from './vfs/inherited-files.ts';

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
  /** How the guest sees files. */
  readonly fs: FileSystem;
  /** Who the guest is. */
  readonly credentials: Credentials;
  /** What its processes may reach of the network; everything, if it is not given. */
  readonly networkGate?: NetworkGate;
  readonly release?: string | null;
  /** Bytes that all guest memory together may have. */
  readonly memoryLimit?: number;
  /** Seconds of CPU time after which all of them are killed. */
  readonly cpuLimit?: number;
  /** Of the descriptors that tsemu was started with the guest gets 0, 1 and 2 only. */
  readonly streamsOnly?: boolean;
  readonly stackBytes: number;
  /** The run is over with the first process, though others go on. */
  readonly releasesOrphans?: boolean;
  /** -R: first address that the guest cannot map, or null for the architecture's own. */
  readonly addressSpaceEnd: number | null;
  /** -seed, or null for the host's randomness. */
  readonly seed: bigint | null;
  /** The source of randomness that the system calls use too, if it is shared; else one is made from `seed`. */
  readonly entropy?: Entropy;
  readonly target: Target;
  /** Architectures whose programs the guest may exec too. */
  readonly otherTargets?: () => readonly Target[];
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
  /** Called when no guest runs any more, before a fatal signal of its ends tsemu too. */
  readonly settle?: () => void;
}

/**
 * The name of the architecture that a program is for (`arm`), from its ELF header or, for a script, that of its
 * interpreter. Throws LoadError.
 */
export function detectArchitecture(program: string, programs: ProgramOpener): string {
  let name = program;
  for (let i = 0; i < 5; i++) {
    const file = i === 0 && !programs.confined ? new ProgramFile(name) : programs.open(name);
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
 * Loads a program and runs it, and the processes it makes, to their end. Returns its exit code; a fatal signal is
 * reported and ends this process by the same signal (where the host cannot, 128 + its number is returned). Throws
 * LoadError.
 */
export async function startProcess(
  options: StartOptions,
  table: SyscallTable,
  engineFactory: EngineFactory,
): Promise<number> {
  const { process: first, task } = createProcess(options, table, engineFactory);
  const { kernel } = first;
  kernel.onProcessEnd = (ended) => {
    if (ended === first) reportCore(first, options);
  };
  kernel.scheduler.add(task);
  const stopWatching = options.cpuLimit === undefined ? () => {} : limitCpuTime(kernel, options.cpuLimit);
  const over = (): boolean => !kernel.processes.anyAlive;
  let place: Awaited<ReturnType<typeof moveOrphans>> = null;
  try {
    await kernel.scheduler.run(() => first.zombie || over());
    if (options.releasesOrphans === true && !over()) place = await moveOrphans(kernel, first);
    // Processes that outlive the first one go on: this is where they run.
    if (place !== 'original') await kernel.scheduler.run(over);
  } finally {
    stopWatching();
    kernel.hostSignals.stop();
    // What a copy has in memory is no longer this process's to write back.
    if (place !== 'original') kernel.shutDown();
    table.finish?.();
    options.ended?.();
    options.settle?.();
  }
  if (place !== 'original') await first.network.flushed();
  if (place === 'copy') endCopy();
  return finish(first.termination!);
}

/** A process with its first task, about to execute its first instruction. */
export interface StartedProcess {
  readonly process: Process;
  readonly task: Task;
}

/** Loads a program into the first process of a new kernel. Throws LoadError. */
export function createProcess(
  options: StartOptions,
  table: SyscallTable,
  engineFactory: EngineFactory,
): StartedProcess {
  const { target, fs, program, stackBytes, credentials } = options;
  const abi = abiOf(target.name, target.layout, target.identity);
  const bytes = (texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));
  const programs = fs.programs(null);
  const file = fs.confined ? programs.open(program) : new ProgramFile(program);
  const resolved = resolveProgram(file, bytes(options.argv), [abi], programs);
  const taskSize = Math.min(options.addressSpaceEnd ?? abi.taskSize, abi.taskSize);
  const entropy = options.entropy ?? createEntropy(options.seed);
  const newMemory = (): GuestMemory => createMemory(options.protection);
  const { release = null, memoryLimit, otherTargets } = options;
  const more = { ...(memoryLimit !== undefined && { memoryLimit }), ...(otherTargets && { otherTargets }) };
  const kernel = new Kernel(
    { target, abi, programs, entropy, taskSize, stackBytes, newMemory, release, ...more },
    table,
    engineFactory,
  );
  const limits = new ResourceLimits(stackBytes);
  limitResources(limits, options);
  const environment = bytes(options.environment);
  const request = { resolved, execPath: Buffer.from(program), environment, credentials, limits, programs };
  const { space, entry, stackPointer, exePath } = makeImage(kernel, request);
  fs.mayBlock = kernel.mayBlock;
  const files = inheritedFiles(fs, limits.get(ResourceLimit.NOFILE).soft, options.streamsOnly === true);
  const { group, session } = hostJob();
  const first = new Process({
    pid: process.pid,
    kernel,
    parent: null,
    abi,
    space,
    files,
    fs,
    network: new Network(options.networkGate),
    credentials,
    limits,
    exePath,
    group,
    session,
  });
  kernel.first = first;
  const name = program.slice(program.lastIndexOf('/') + 1).slice(0, 15);
  const task = new Task(first.pid, first, abi, space.engine.cpu, name);
  space.seat(task);
  target.reset(task.cpu, entry, stackPointer);
  abi.resetState(task.cpu, () => space.images.programSegments());
  first.tasks.set(task.tid, task);
  kernel.hostSignals.start(options.ended !== undefined);
  options.watch?.(first, space.images);
  return { process: first, task };
}

/** What the command line allows, which no guest can raise. */
function limitResources(limits: ResourceLimits, { memoryLimit, cpuLimit }: StartOptions): void {
  if (memoryLimit !== undefined) limits.set(ResourceLimit.AS, { soft: memoryLimit, hard: memoryLimit });
  if (cpuLimit === undefined) return;
  const seconds = Math.ceil(cpuLimit);
  limits.set(ResourceLimit.CPU, { soft: seconds, hard: seconds });
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

/** Explains the signal that ended the first process, while its memory is still there. */
function reportCore({ termination, space }: Process, options: StartOptions): void {
  if (termination?.kind !== 'signal' || !termination.core || termination.task === null) return;
  const { target } = space.guest;
  printReport({ ...termination, task: termination.task }, { target, report: options.report }, space.images);
}

function finish(termination: Termination): number {
  if (termination.kind === 'exit') return termination.code;
  endBySignal(termination.signo);
  return 128 + termination.signo;
}
