import { ExitReason } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import { monotonic } from './clock.ts';
import { raiseException } from './exceptions.ts';
import type { GuestEngine } from './guest-engine.ts';
import type { Process } from './process.ts';
import { deliverSignals, isRestart } from './signal/deliver.ts';
import { keepRegisters, type SyscallTable } from './syscall-table.ts';
import type { Task } from './task.ts';
import { turnInterval } from './tunables.ts';

/** A task that can run, with the result of the call it slept in; null for a task that was in user mode. */
interface Ready {
  readonly task: Task;
  readonly result: number | null;
}

/** A CPU view over memory of its own, for the state of a task that does not run. */
function savedCpu(bytes: number): CpuView {
  const buffer = new ArrayBuffer((bytes + 15) & ~15);
  return {
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    f32: new Float32Array(buffer),
    f64: new Float64Array(buffer),
    i64: new BigInt64Array(buffer),
  };
}

/** The kernel's main loop: runs tasks in turn on one JS thread, serves what they ask for, and lets Node work between. */
export class Scheduler {
  private readonly table: SyscallTable;
  /** Bytes of CPU state from the start of the CPU page that a switch must keep. */
  private readonly stateBytes: number;
  private readonly ready: Ready[] = [];
  /** Whose state is in each engine's CPU page. */
  private readonly inCpuPage = new Map<GuestEngine, Task>();
  /** Ends the wait for something to become ready. */
  private endIdle: (() => void) | null = null;
  private lastTurn = monotonic();
  /** The call served last put its task to sleep. */
  private asleep = false;
  /** Our own bug in a call that slept: thrown out of `run`. */
  private failure: { readonly error: unknown } | null = null;

  constructor(table: SyscallTable, stateBytes: number) {
    this.table = table;
    this.stateBytes = stateBytes;
  }

  /** True if no other task could run while this one waits: a call may then hold the whole program. */
  get mayBlock(): boolean {
    return this.ready.length === 0;
  }

  /** Adds a task whose CPU state is in its engine's CPU page (the first of its address space). */
  adopt(task: Task): void {
    this.inCpuPage.set(task.process.engine, task);
    this.wake({ task, result: null });
  }

  /** Adds a task with a CPU state of its own: `task.cpu` is not the CPU page. */
  add(task: Task): void {
    this.wake({ task, result: null });
  }

  /** Runs until `process` has ended. */
  async run(process: Process): Promise<void> {
    while (process.termination === null) {
      const next = this.ready.shift();
      if (next === undefined) {
        await this.idle();
        if (this.failure !== null) throw this.failure.error;
        continue;
      }
      this.switchTo(next.task);
      if (next.result !== null) this.finishCall(next.task, next.result);
      else if (next.task.signalPending) deliverSignals(next.task, 0);
      if (this.runTask(next.task)) {
        this.ready.push({ task: next.task, result: null });
        await this.turn();
      }
    }
  }

  /** Runs one task until it sleeps or ends (false), or until Node's event loop must turn (true). */
  private runTask(task: Task): boolean {
    const { process } = task;
    const { engine } = process;
    engine.serveSyscall = () => this.serve(task);
    while (process.termination === null) {
      const reason = engine.run();
      if (reason === ExitReason.syscall) {
        if (!this.asleep) continue;
        this.asleep = false;
        return false;
      }
      if (reason === ExitReason.budget || reason === ExitReason.yield) {
        if (monotonic() - this.lastTurn >= turnInterval) return true;
        if (reason === ExitReason.yield && this.ready.length > 0) return true;
        if (task.signalPending) deliverSignals(task, 0);
        continue;
      }
      raiseException(task, reason);
      deliverSignals(task, 0);
    }
    return false;
  }

  /** Serves the call the task asks for; false if the task cannot go on at once. */
  private serve(task: Task): boolean {
    task.syscallFirstArgument = task.abi.argument(task.cpu, 0);
    const result = this.table.dispatch(task);
    if (typeof result !== 'number') {
      this.asleep = true;
      this.sleep(task, result);
      return false;
    }
    this.finishCall(task, result);
    return task.process.termination === null;
  }

  private finishCall(task: Task, result: number): void {
    if (result !== keepRegisters) task.abi.setResult(task.cpu, result);
    if (task.signalPending || isRestart(result)) deliverSignals(task, result);
  }

  private sleep(task: Task, result: Promise<number>): void {
    result.then(
      (value) => this.wake({ task, result: value }),
      (error: unknown) => {
        this.failure = { error };
        this.endIdle?.();
      },
    );
  }

  private wake(ready: Ready): void {
    this.ready.push(ready);
    this.endIdle?.();
  }

  private switchTo(task: Task): void {
    const { engine } = task.process;
    const current = this.inCpuPage.get(engine);
    if (current === task) return;
    if (current !== undefined) {
      const saved = savedCpu(this.stateBytes);
      saved.u8.set(engine.cpu.u8.subarray(0, this.stateBytes));
      current.cpu = saved;
    }
    engine.cpu.u8.set(task.cpu.u8.subarray(0, this.stateBytes));
    task.cpu = engine.cpu;
    this.inCpuPage.set(engine, task);
  }

  /** Lets Node's event loop turn once. */
  private async turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (const task of this.inCpuPage.values()) {
      if (task.process.timers.measuresCpu) task.process.timers.poll();
    }
    this.lastTurn = monotonic();
    if (this.failure !== null) throw this.failure.error;
  }

  /** Waits until a task is ready. Node ends when nothing is open, whatever is awaited: the interval keeps it. */
  private async idle(): Promise<void> {
    if (this.failure !== null) return;
    const keepAlive = setInterval(() => {}, 2 ** 30);
    await new Promise<void>((resolve) => {
      this.endIdle = resolve;
    });
    this.endIdle = null;
    clearInterval(keepAlive);
    this.lastTurn = monotonic();
  }
}
