import type { Abi } from './abi/abi.ts';
import type { AddressSpace } from './address-space.ts';
import { monotonic } from './clock.ts';
import { type CpuAccount, type CpuTime, newCpuAccount } from './cpu-usage.ts';
import type { Credentials } from './credentials.ts';
import type { GuestEngine } from './guest-engine.ts';
import type { HostProgram } from './host-program.ts';
import type { Kernel } from './kernel.ts';
import type { Mm } from './mm/mm.ts';
import type { Network } from './net/network.ts';
import type { PidFile } from './pid-file.ts';
import type { Tracee } from './ptrace/tracee.ts';
import type { Tracing } from './ptrace/tracing.ts';
import { ResourceLimit, type ResourceLimits, unlimited } from './resource-limits.ts';
import { Signal } from './signal/numbers.ts';
import { sendToProcess } from './signal/send.ts';
import { SiCode, type SigInfo } from './signal/siginfo.ts';
import type { SignalFile } from './signal/signal-file.ts';
import { ProcessSignals, type SigAction } from './signal/signal-state.ts';
import { IntervalTimers, type TimerOwner } from './signal/timers.ts';
import type { Task } from './task.ts';
import type { FileSystem } from './vfs/file-system.ts';
import type { FileTable } from './vfs/file-table.ts';
import { WaitQueue } from './wait-queue.ts';

/** How a process ended. */
export type Termination =
  | { readonly kind: 'exit'; readonly code: number }
  | {
      readonly kind: 'signal';
      readonly signo: number;
      readonly core: boolean;
      readonly info: SigInfo;
      /** The thread that took the signal, its registers as they were; null for SIGKILL, which none takes. */
      readonly task: Task | null;
    };

/** What a process starts with. */
export interface ProcessOptions {
  readonly pid: number;
  readonly kernel: Kernel;
  /** null for one whose parent is no guest process. */
  readonly parent: Process | null;
  readonly abi: Abi;
  readonly space: AddressSpace;
  readonly files: FileTable;
  /** Working directory, umask and how paths are looked up. */
  readonly fs: FileSystem;
  readonly network: Network;
  readonly credentials: Credentials;
  readonly limits: ResourceLimits;
  /** Absolute host path of the program. */
  readonly exePath: string;
  /** Process group and session. */
  readonly group: number;
  readonly session: number;
  /** Dispositions of signals; shared with another process under CLONE_SIGHAND. */
  readonly actions?: SigAction[];
}

/** A change of state that a parent can wait for, besides the end. */
export interface JobEvent {
  readonly kind: 'stopped' | 'continued';
  readonly signo: number;
}

/** A guest process: a thread group and what its threads share. */
export class Process implements TimerOwner {
  readonly pid: number;
  readonly kernel: Kernel;
  /** exec may change it. */
  abi: Abi;
  space: AddressSpace;
  /** The leader's. */
  files: FileTable;
  /** The leader's. */
  fs: FileSystem;
  readonly network: Network;
  /** The leader's. */
  credentials: Credentials;
  readonly limits: ResourceLimits;
  readonly timers: IntervalTimers = new IntervalTimers(this);
  /** Open pidfds that mean it. */
  readonly pidFiles: Set<PidFile> = new Set();
  /** Open signalfds that signals of this process concern. */
  readonly signalFiles: Set<SignalFile> = new Set();
  exePath: string;
  signals: ProcessSignals;
  /** Live threads by tid. */
  readonly tasks: Map<number, Task> = new Map();
  /** Woken when a thread ends: exec waits for the others to. */
  readonly threadEnded: WaitQueue = new WaitQueue();
  /** monotonic() at the start. */
  readonly startTime: number = monotonic();
  readonly cpu: CpuAccount = newCpuAccount();

  // ---- family
  parent: Process | null;
  readonly children: Set<Process> = new Set();
  /** What the parent is sent at the end; 0 for nothing. A child with another than SIGCHLD needs __WCLONE or __WALL. */
  exitSignal: number = Signal.SIGCHLD;
  /** PR_SET_CHILD_SUBREAPER. */
  subreaper = false;
  /** PR_SET_PDEATHSIG: sent when the parent ends; 0 for none. */
  parentDeathSignal = 0;
  group: number;
  session: number;
  /** It has called execve: setpgid is closed to its parent. */
  hasExeced = false;
  /** Woken when a child ends, stops or continues. */
  readonly childEvents: WaitQueue = new WaitQueue();

  /** PR_SET_DUMPABLE: others of the same user may look into it. */
  dumpable = true;
  /** PR_SET_NO_NEW_PRIVS; nothing gives any here. */
  noNewPrivileges = false;
  /** PR_SET_THP_DISABLE: kept for those who ask. */
  hugePagesOff = false;
  /** personality(2): kept for those who ask. */
  personality = 0;
  /** ioprio_set(2): kept for those who ask; class and level. */
  ioPriority = 0;
  /** nice(2): kept for those who ask. */
  nice = 0;

  // ---- ptrace(2)
  /** The threads it traces; null while it never has. */
  tracing: Tracing | null = null;
  /** Of the first thread, once that has ended. */
  leaderTrace: Tracee | null = null;
  /** Its end is its tracer's to see first, and not yet its parent's. */
  tracerMourns = false;

  // ---- states
  /** What runs instead of guest code after an exec of a host program. */
  hostProgram: HostProgram | null = null;
  /** Set once the process must end; no thread runs in user mode any more. */
  termination: Termination | null = null;
  /** What exit gave the leader: the status if no exit_group comes. */
  leaderStatus = 0;
  /** All threads have ended; the parent has not waited yet. */
  zombie = false;
  /** No thread runs until SIGCONT. */
  stopped = false;
  /** How often it has been stopped: a traced thread that goes on all the same does so for one stop. */
  stops = 0;
  /** What a parent has not been told yet. */
  jobEvent: JobEvent | null = null;
  /** Woken when the child of vfork lets go of the parent's memory, in that child. */
  readonly memoryReleased: WaitQueue = new WaitQueue();

  constructor(options: ProcessOptions) {
    this.pid = options.pid;
    this.kernel = options.kernel;
    this.parent = options.parent;
    this.abi = options.abi;
    this.space = options.space;
    this.files = options.files;
    this.fs = options.fs;
    this.network = options.network;
    this.credentials = options.credentials;
    this.limits = options.limits;
    this.exePath = options.exePath;
    this.group = options.group;
    this.session = options.session;
    this.signals = new ProcessSignals(options.actions);
    this.kernel.processes.add(this);
    this.parent?.children.add(this);
  }

  get mm(): Mm {
    return this.space.mm;
  }

  get engine(): GuestEngine {
    return this.space.engine;
  }

  /** getppid(2). */
  get ppid(): number {
    return this.parent === null ? this.kernel.parentPid(this) : this.parent.pid;
  }

  // ---- what its timers want of it

  cpuTime(): CpuTime {
    this.kernel.scheduler.meter.settle();
    return this.cpu.own;
  }

  expire(signo: number): void {
    sendToProcess(this, { kind: 'kernel', signo, code: SiCode.SI_KERNEL });
  }

  get cpuLimited(): boolean {
    const { soft, hard } = this.limits.get(ResourceLimit.CPU);
    return soft !== unlimited || hard !== unlimited;
  }

  /** RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one. */
  checkCpuLimit({ user, system }: CpuTime): void {
    const seconds = (user + system) / 1e6;
    const { soft, hard } = this.limits.get(ResourceLimit.CPU);
    if (seconds >= hard) this.expire(Signal.SIGKILL);
    else if (seconds >= soft) {
      this.limits.set(ResourceLimit.CPU, { soft: soft + 1, hard });
      this.expire(Signal.SIGXCPU);
    }
  }

  /** exit_group: the first reason to end counts. The threads end as soon as they would run again. */
  terminate(termination: Termination): void {
    if (this.termination !== null || this.zombie) return;
    this.termination = termination;
    for (const task of this.tasks.values()) {
      task.interrupt();
      task.trace?.taskMustEnd();
    }
    this.kernel.scheduler.unpark(this);
  }
}
