import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Target } from '#tcg/target.ts';
import { Errno } from '#util/errno.ts';
import type { Abi } from './abi/abi.ts';
import { abiOf } from './abi/architectures.ts';
import { AddressSpace, type Machine } from './address-space.ts';
import type { Entropy } from './entropy.ts';
import { FutexTable } from './futex.ts';
import type { Guest } from './guest.ts';
import type { EngineFactory } from './guest-engine.ts';
import { ImageDirectory } from './images.ts';
import { IpcSpace } from './ipc/ipc-space.ts';
import { continueProcess, stopProcess } from './job-control.ts';
import { ourRelease } from './kernel-name.ts';
import type { ProgramOpener } from './loader/program-opener.ts';
import { MachinePool } from './machine-pool.ts';
import { Mm } from './mm/mm.ts';
import type { Process } from './process.ts';
import { ProcessTable } from './process-table.ts';
import type { ResourceLimits } from './resource-limits.ts';
import { Scheduler } from './scheduler.ts';
import { isHandled, observesFaults } from './signal/actions.ts';
import { HostSignals } from './signal/host.ts';
import { Signal } from './signal/numbers.ts';
import type { SyscallTable } from './syscall-table.ts';
import type { Task } from './task.ts';

/** What does not change while the guest runs. */
export interface KernelOptions {
  /** Of the first program. */
  readonly target: Target;
  readonly abi: Abi;
  /** Architectures whose programs a guest may exec too; asked when one execs. */
  readonly otherTargets?: () => readonly Target[];
  /** How the programs that others need are found. */
  readonly programs: ProgramOpener;
  readonly entropy: Entropy;
  /** First address that the guest cannot map. */
  readonly taskSize: number;
  /** Stack of a program whose RLIMIT_STACK is unlimited. */
  readonly stackBytes: number;
  /** uname -r; null for ours. */
  readonly release?: string | null;
  /** Bytes that all guest memory together may have; left out for no limit. */
  readonly memoryLimit?: number;
  /** A memory for an address space. Throws LoadError. */
  readonly newMemory: () => GuestMemory;
}

const terminalStops = new Set<number>([Signal.SIGTSTP, Signal.SIGTTIN, Signal.SIGTTOU]);

/** pid of the process that orphans see as their parent. */
const initPid = 1;

/** The guest's kernel: what its processes have in common. */
export class Kernel {
  readonly options: KernelOptions;
  readonly processes: ProcessTable = new ProcessTable();
  readonly scheduler: Scheduler;
  readonly syscalls: SyscallTable;
  readonly futexes: FutexTable = new FutexTable();
  readonly hostSignals: HostSignals;
  /** The process that tsemu was started for; its end is tsemu's exit status. */
  first: Process | null = null;
  /** Called when a process ends, before its memory goes. */
  onProcessEnd: (process: Process) => void = () => {};
  private readonly engines: EngineFactory;
  private readonly firstGuest: Guest;
  /** Those of the other architectures; null before any was asked for. */
  private otherGuests: readonly Guest[] | null = null;
  private ipcSpace: IpcSpace | null = null;

  constructor(options: KernelOptions, table: SyscallTable, engines: EngineFactory) {
    this.options = options;
    this.syscalls = table;
    this.engines = engines;
    this.firstGuest = this.guestOf(options.target, options.abi);
    this.scheduler = new Scheduler(table);
    this.hostSignals = new HostSignals(this);
  }

  private guestOf(target: Target, abi: Abi): Guest {
    return { target, abi, machines: new MachinePool(this.options.newMemory, (memory) => this.engines(memory, target)) };
  }

  /** That of the first program comes first. */
  private get guests(): readonly Guest[] {
    this.otherGuests ??= (this.options.otherTargets?.() ?? []).map((target) =>
      this.guestOf(target, abiOf(target.name, target.layout, target.identity)),
    );
    return [this.firstGuest, ...this.otherGuests];
  }

  get ipc(): IpcSpace {
    this.ipcSpace ??= new IpcSpace(this.processes);
    return this.ipcSpace;
  }

  /** What a thread owes others of its semaphores when it ends (SEM_UNDO). */
  leaveIpc(task: Task): void {
    this.ipcSpace?.semaphores.leave(task);
  }

  /** May a read on the host hold the whole program? Not while anything else could want to run meanwhile. */
  readonly mayBlock = (): boolean =>
    this.scheduler.alone &&
    !this.hostSignals.active &&
    ![...this.processes].some(({ timers, network }) => timers.active || network.active);

  /** uname -r. */
  get release(): string {
    return this.options.release ?? ourRelease;
  }

  /** Bytes mapped by all processes. */
  get memoryInUse(): number {
    let bytes = 0;
    const seen = new Set<AddressSpace>();
    for (const { space, zombie } of this.processes) {
      if (zombie || seen.has(space)) continue;
      seen.add(space);
      bytes += space.mm.vmas.bytes;
    }
    return bytes;
  }

  /** May the guests together map so many bytes more? */
  private readonly mayGrow = (bytes: number): boolean => {
    const { memoryLimit } = this.options;
    return memoryLimit === undefined || this.memoryInUse + bytes <= memoryLimit;
  };

  /** getppid of a process without a guest parent. */
  parentPid(process: Process): number {
    return process === this.first ? globalThis.process.ppid : initPid;
  }

  /** The ABIs of the programs that can be started, that of the first program first. */
  get abis(): readonly Abi[] {
    return this.guests.map(({ abi }) => abi);
  }

  /** An empty address space, for the program at host path `program`. */
  newSpace(limits: ResourceLimits, program: string, abi: Abi = this.options.abi): AddressSpace {
    const guest = abi === this.options.abi ? this.firstGuest : this.guests.find((each) => each.abi === abi)!;
    const machine = guest.machines.take(program);
    const { taskSize, stackBytes } = this.options;
    const effectiveAccess = (prot: number): number => abi.effectiveAccess(prot);
    const mm = new Mm(
      machine.memory,
      { taskSize, stackBytes, limits, effectiveAccess, mayGrow: this.mayGrow },
      machine.residue,
    );
    mm.onCodeChange = (start, end) => machine.engine.invalidate(start, end);
    return this.wrap(mm, machine, program, guest);
  }

  /** A copy of an address space in which `program` runs: fork. */
  copySpace(space: AddressSpace, limits: ResourceLimits, program: string): AddressSpace {
    if (!this.mayGrow(space.mm.vmas.bytes)) throw new Errno('ENOMEM');
    const machine = space.guest.machines.take(program);
    const { memory, engine, residue } = machine;
    const mm = space.mm.fork(memory, residue, limits, (start, end) => engine.invalidate(start, end));
    mm.settle();
    const copy = this.wrap(mm, machine, program, space.guest);
    copy.images.copyFrom(space.images);
    return copy;
  }

  /** A disposition has changed: what the host listens for must follow it. */
  onSignalAction(process: Process, signo: number): void {
    this.hostSignals.update(signo);
    if (observesFaults(signo)) this.onObserver(process);
  }

  /** Handlers of faults or tracers have come or gone: whether the state must be exact at any access follows them. */
  onObserver(process: Process): void {
    const { actions } = process.signals;
    const isTraced = [...process.tasks.values()].some(({ trace }) => trace !== null);
    process.engine.setExactState(isTraced || actions.some((action, n) => observesFaults(n) && isHandled(action)));
  }

  /** Whatever ended the run: nothing is left that would act later. */
  shutDown(): void {
    for (const process of this.processes) {
      if (process.zombie) continue;
      process.timers.stop();
      process.mm.writeBackAll();
    }
  }

  private wrap(mm: Mm, machine: Machine, program: string, guest: Guest): AddressSpace {
    const images = new ImageDirectory(mm, guest.abi, this.options.programs);
    machine.engine.textAt = (address) => mm.textAt(address);
    const space = new AddressSpace(mm, machine, guest, images, () => {
      machine.engine.keepCode();
      // Making it all zero for the next one takes a millisecond, and there will be none after the last.
      if ([...this.processes].every((process) => process.zombie || process.space === space)) {
        mm.writeBackAll();
        return;
      }
      mm.retire();
      guest.machines.give(machine, program);
    });
    return space;
  }

  /** A process that runs no guest code has been stopped. */
  stopProcess(process: Process, signo: number): void {
    stopProcess(process, signo);
  }

  /** SIGCONT has been sent to a process. */
  continueProcess(process: Process): void {
    continueProcess(process);
  }

  /**
   * A process has stopped. A job that its terminal has stopped, or that has nobody left to run, is stopped on the host
   * too, where the shell waits for that; what the host continues goes on here.
   */
  onStop(process: Process, signo: number): void {
    const all = [...this.processes].filter(({ zombie }) => !zombie);
    const jobStop = process === this.first && terminalStops.has(signo);
    if (!jobStop && all.some(({ stopped }) => !stopped)) return;
    this.hostSignals.stopHost(all.filter(({ stopped }) => stopped));
  }
}
