import { readFileSync } from 'node:fs';
import type { Process } from './process.ts';
import type { Task } from './task.ts';

/** pid_max of a host that does not tell: the largest Linux takes. */
const largestPidMax = 4194304;

/** The first number that no host process has. */
function firstFreePid(): number {
  try {
    return Number(readFileSync('/proc/sys/kernel/pid_max', 'latin1')) + 1;
  } catch {
    return largestPidMax + 1;
  }
}

/**
 * The guest's processes, zombies included. The first one has the pid of tsemu itself, by which the host knows it. The
 * others get numbers above all host pids, so that a guest pid never means a host process and the other way round.
 */
export class ProcessTable {
  private readonly byPid = new Map<number, Process>();
  private nextPid: number | null = null;

  [Symbol.iterator](): Iterator<Process> {
    return this.byPid.values();
  }

  /** A number for a new process or thread. */
  allocate(): number {
    this.nextPid ??= firstFreePid();
    return this.nextPid++;
  }

  add(process: Process): void {
    this.byPid.set(process.pid, process);
  }

  /** Forgets a process that has been waited for. */
  remove(process: Process): void {
    this.byPid.delete(process.pid);
  }

  get(pid: number): Process | undefined {
    return this.byPid.get(pid);
  }

  /** The thread with this number. */
  task(tid: number): Task | undefined {
    const leader = this.byPid.get(tid)?.tasks.get(tid);
    if (leader !== undefined) return leader;
    for (const { tasks } of this.byPid.values()) {
      const task = tasks.get(tid);
      if (task !== undefined) return task;
    }
    return undefined;
  }

  /** The process that a pid or the number of one of its threads names. */
  find(pid: number): Process | undefined {
    return this.byPid.get(pid) ?? this.task(pid)?.process;
  }

  /** The members of a process group. */
  group(pgid: number): Process[] {
    return [...this.byPid.values()].filter((process) => process.group === pgid);
  }

  /** Threads that have not ended, in all processes. */
  get taskCount(): number {
    let count = 0;
    for (const { tasks } of this.byPid.values()) count += tasks.size;
    return count;
  }

  /** Processes, zombies included. */
  get count(): number {
    return this.byPid.size;
  }

  /** True while a process is not over. */
  get anyAlive(): boolean {
    for (const process of this.byPid.values()) if (!process.zombie) return true;
    return false;
  }
}
