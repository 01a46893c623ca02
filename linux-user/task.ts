import type { GuestMemory } from '#accel/guest-memory.ts';
import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import { Errno, type ErrnoName } from '#util/errno.ts';
import type { Abi } from './abi/abi.ts';
import type { Credentials } from './credentials.ts';
import type { SemUndo } from './ipc/semaphores.ts';
import type { Mm } from './mm/mm.ts';
import type { Process } from './process.ts';
import type { Tracee } from './ptrace/tracee.ts';
import type { RseqArea } from './rseq.ts';
import type { Seccomp } from './seccomp.ts';
import { TaskSignals } from './signal/signal-state.ts';
import type { SyscallResult } from './syscall-table.ts';
import type { FileSystem } from './vfs/file-system.ts';
import type { FileTable } from './vfs/file-table.ts';

/**
 * How an interrupted call goes on: errno names that only the kernel knows (see `Task.sleep`). A killable sleep ends
 * only with the thread.
 */
export type Interruption =
  | Extract<ErrnoName, 'EINTR' | 'ERESTARTSYS' | 'ERESTARTNOINTR' | 'ERESTARTNOHAND' | 'ERESTART_RESTARTBLOCK'>
  | 'killable';

/** Starts waiting; returns what stops it early (a timer to clear, a queue to leave), if anything does. */
export type StartWaiting<T> = (wake: (value: T) => void, fail: (error: unknown) => void) => (() => void) | void;

const pcIndex = cpuHeader.offset('pc') >> 2;

/** A guest thread. */
export class Task {
  /** exec makes the calling thread the leader. */
  tid: number;
  readonly process: Process;
  /** exec may change it. */
  abi: Abi;
  /** CPU state: the CPU page while the task runs, a saved copy while another one does. */
  cpu: CpuView;
  readonly signals: TaskSignals = new TaskSignals();
  /** True if a signal may have to be delivered before the task goes on in user mode (Linux's TIF_SIGPENDING). */
  signalPending = false;
  /** The first argument of the system call being served, for a restart. */
  syscallFirstArgument = 0;
  /** What restart_syscall does: set by a call that ends with ERESTART_RESTARTBLOCK (nanosleep, poll). */
  restartBlock: (() => SyscallResult) | null = null;
  /** set_tid_address: zeroed and woken as a futex when the thread ends; 0 for none. */
  clearChildTid = 0;
  /** set_robust_list: head and length. */
  robustList: { readonly head: number; readonly length: number } = { head: 0, length: 0 };
  /** What semop with SEM_UNDO has done, to be taken back at the end; null for nothing yet. */
  semUndo: SemUndo | null = null;
  /** Linux has them per thread; the C library keeps those of a process alike. The leader's are the process's. */
  credentials: Credentials;
  /** Descriptors; shared with others under CLONE_FILES. The leader's are the process's. */
  files: FileTable;
  /** Working directory, root and umask; shared with others under CLONE_FS. The leader's are the process's. */
  fs: FileSystem;
  /** Filters of its system calls (seccomp(2)); null for none. */
  seccomp: Seccomp | null = null;
  /** PR_SET_TIMERSLACK, nanoseconds: kept for those who ask. */
  timerSlack = 50_000;
  /** rseq(2): where its restartable sequences are noted; null for none. */
  rseq: RseqArea | null = null;
  /** sched_setscheduler(2): kept for those who ask. */
  scheduling: { readonly policy: number; readonly resetOnFork: boolean } = { policy: 0, resetOnFork: false };
  /** Thread name: prctl(PR_SET_NAME), /proc/self/comm; at most 15 bytes. */
  name: string;

  /** ptrace(2): who traces it, and how; null for nobody. */
  trace: Tracee | null = null;
  /** What exit(2) has given this thread. */
  exitCode = 0;
  /** This thread ends, whatever the process does: exit, or an exec of another thread. */
  leaving = false;

  /** Ends the sleep under way with an interruption; null while the task does not sleep. */
  private interruptSleep: (() => void) | null = null;

  constructor(tid: number, process: Process, abi: Abi, cpu: CpuView, name: string) {
    this.tid = tid;
    this.process = process;
    this.credentials = process.credentials;
    this.files = process.files;
    this.fs = process.fs;
    this.abi = abi;
    this.cpu = cpu;
    this.name = name;
  }

  /** The PC in the target's own encoding. */
  get rawPc(): number {
    return this.cpu.i32[pcIndex] >>> 0;
  }

  /** True if the thread must not run in user mode any more. */
  get mustEnd(): boolean {
    return this.leaving || this.process.termination !== null;
  }

  /** True while a call of it waits. */
  get sleeping(): boolean {
    return this.interruptSleep !== null;
  }

  get mm(): Mm {
    return this.process.mm;
  }

  get memory(): GuestMemory {
    return this.process.mm.memory;
  }

  /**
   * Waits as Linux sleeps: `start` begins (and hands over `wake`), the promise ends with its value. A signal that must
   * be delivered ends the wait: what `start` returned is called, and the promise is rejected with `Errno(how)`.
   * - ERESTARTSYS: again if the handler has SA_RESTART or there is none, else EINTR (read, write, wait4, flock…)
   * - ERESTARTNOHAND: again only if no handler ran (pause, sigsuspend, pselect, ppoll)
   * - ERESTART_RESTARTBLOCK: like that, through `restartBlock` (nanosleep, poll)
   * - EINTR: never again (epoll_wait, msgrcv, sockets with a timeout)
   * - killable: signals wait until the sleep is over (the parent of vfork)
   */
  sleep<T>(start: StartWaiting<T>, how: Interruption = 'ERESTARTSYS'): Promise<T> {
    const killable = how === 'killable';
    const interruption = killable ? 'EINTR' : how;
    if (killable ? this.mustEnd : this.signalPending) return Promise.reject(new Errno(interruption));
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const waiting: { stop?: () => void } = {};
      const finish = (): boolean => {
        if (over) return false;
        over = true;
        this.interruptSleep = null;
        waiting.stop?.();
        return true;
      };
      this.interruptSleep = () => {
        if (killable && !this.mustEnd) return;
        if (finish()) reject(new Errno(interruption));
      };
      const begun = start(
        (value) => {
          if (finish()) resolve(value);
        },
        (error: unknown) => {
          if (finish()) reject(error as Error);
        },
      );
      if (!begun) return;
      waiting.stop = begun;
      if (over) begun();
    });
  }

  /** unshare_files: others that had the table keep it. */
  unshareFiles(): void {
    const { files, process } = this;
    if (!files.shared) return;
    this.files = files.fork();
    files.release();
    if (this.tid === process.pid) process.files = this.files;
  }

  /** Ends the thread, now or when it would go on in user mode. */
  leave(): void {
    this.leaving = true;
    this.interrupt();
    this.trace?.taskMustEnd();
  }

  /** A signal has come that this task must see: ends its sleep, if it sleeps. */
  interrupt(): void {
    this.signalPending = true;
    this.interruptSleep?.();
  }
}
