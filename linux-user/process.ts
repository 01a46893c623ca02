import type { Abi } from './abi/abi.ts';
import { monotonic } from './clock.ts';
import type { Credentials } from './credentials.ts';
import type { GuestEngine } from './guest-engine.ts';
import type { Mm } from './mm/mm.ts';
import type { Network } from './net/network.ts';
import type { ResourceLimits } from './resource-limits.ts';
import type { SigInfo } from './signal/siginfo.ts';
import { ProcessSignals } from './signal/signal-state.ts';
import type { IntervalTimers } from './signal/timers.ts';
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
      /** The thread that took the signal, its registers as they were. */
      readonly task: Task;
    };

/** What a process starts with. */
export interface ProcessOptions {
  readonly pid: number;
  readonly abi: Abi;
  readonly mm: Mm;
  /** What runs the address space. */
  readonly engine: GuestEngine;
  readonly files: FileTable;
  readonly fs: FileSystem;
  /** Shared with the processes it forks. */
  readonly network: Network;
  readonly credentials: Credentials;
  readonly limits: ResourceLimits;
  readonly timers: IntervalTimers;
  /** Absolute host path of the program. */
  readonly exePath: string;
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  /** ppid(): asked each time, since a parent may end. */
  readonly parentPid: () => number;
}

/** A guest process: a thread group and what its threads share. */
export class Process {
  readonly pid: number;
  readonly abi: Abi;
  readonly mm: Mm;
  readonly engine: GuestEngine;
  readonly files: FileTable;
  /** Working directory, umask and how paths are looked up. */
  readonly fs: FileSystem;
  readonly network: Network;
  readonly credentials: Credentials;
  readonly limits: ResourceLimits;
  readonly timers: IntervalTimers;
  readonly exePath: string;
  readonly argv: readonly string[];
  readonly environment: readonly string[];
  readonly signals: ProcessSignals = new ProcessSignals();
  /** Live threads by tid. */
  readonly tasks: Map<number, Task> = new Map();
  /** monotonic() at the start. */
  readonly startTime: number = monotonic();
  /** Set once the process must end; no thread runs in user mode any more. */
  termination: Termination | null = null;
  /** Woken when the process ends. */
  readonly ended: WaitQueue = new WaitQueue();
  /** Called when the disposition of a signal has changed: host listeners and exact state follow it. */
  onSignalAction: (signo: number) => void = () => {};
  private readonly parentPid: () => number;

  constructor(options: ProcessOptions) {
    this.pid = options.pid;
    this.abi = options.abi;
    this.mm = options.mm;
    this.engine = options.engine;
    this.files = options.files;
    this.fs = options.fs;
    this.network = options.network;
    this.credentials = options.credentials;
    this.limits = options.limits;
    this.timers = options.timers;
    this.exePath = options.exePath;
    this.argv = options.argv;
    this.environment = options.environment;
    this.parentPid = options.parentPid;
  }

  get ppid(): number {
    return this.parentPid();
  }

  /** exit_group: the first reason to end counts. The threads end as soon as they would run again. */
  terminate(termination: Termination): void {
    if (this.termination !== null) return;
    this.termination = termination;
    for (const task of this.tasks.values()) task.interrupt();
    this.ended.wake();
  }
}
