import { ExitReason } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import type { AddressSpace } from './address-space.ts';
import { monotonic } from './clock.ts';
import { CpuMeter } from './cpu-usage.ts';
import { raiseException } from './exceptions.ts';
import { endTask } from './exit.ts';
import type { GuestEngine } from './guest-engine.ts';
import type { Process } from './process.ts';
import { abortSequence } from './rseq.ts';
import { deliverSignals, isHeld, isRestart } from './signal/deliver.ts';
import { keepRegisters, type SyscallTable } from './syscall-table.ts';
import type { Task } from './task.ts';
import { callsPerLook, turnInterval } from './tunables.ts';

/** A task that can run, with the result of the call it slept in; null for a task that was in user mode. */
interface Ready {
  readonly task: Task;
  readonly result: number | null;
  /** Where a thread goes on that its tracer has held; null for any other. */
  readonly resume: (() => void) | null;
}

const ready = (task: Task, result: number | null = null, resume: (() => void) | null = null): Ready => ({
  task,
  result,
  resume,
});

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

/** Bytes from the start of the CPU page that a switch to another task must keep. */
const stateBytes = (task: Task): number => task.process.space.guest.target.layout.end;

/** The kernel's main loop: runs tasks in turn on one JS thread, serves what they ask for, and lets Node work between. */
export class Scheduler {
  readonly meter: CpuMeter = new CpuMeter();
  private readonly table: SyscallTable;
  private ready: Ready[] = [];
  /** Tasks of stopped processes that would be ready. */
  private parked: Ready[] = [];
  /** Live tasks, ready or asleep. */
  private tasks = 0;
  /** Ends the wait for something to become ready. */
  private endIdle: (() => void) | null = null;
  /** Node ends when nothing is open, whatever is awaited: this keeps it while all tasks sleep. */
  private keepAlive: NodeJS.Timeout | null = null;
  private lastTurn = monotonic();
  /** System calls served since the clock was looked at. */
  private calls = 0;
  /** The address space whose task ran last. */
  private current: AddressSpace | null = null;
  /** The task that runs has left user mode: it sleeps, or waits in `ready` to be ended or parked. */
  private left = false;
  /** Our own bug in a call that slept: thrown out of `run`. */
  private failure: { readonly error: unknown } | null = null;

  constructor(table: SyscallTable) {
    this.table = table;
  }

  /** True if there is but one task: a call may then hold the whole program. */
  get alone(): boolean {
    return this.tasks === 1;
  }

  /** Adds a task whose CPU state is in its engine's CPU page, or in memory of its own (`copyState`). */
  add(task: Task): void {
    this.tasks++;
    this.wake(ready(task));
  }

  /** Counts a task out that has ended. */
  remove(): void {
    this.tasks--;
  }

  /** A copy of a task's CPU state, in memory of its own. */
  copyState(task: Task): CpuView {
    const bytes = stateBytes(task);
    const copy = savedCpu(bytes);
    copy.u8.set(task.cpu.u8.subarray(0, bytes));
    return copy;
  }

  /** Runs until `finished`, which is asked between tasks. */
  async run(finished: () => boolean): Promise<void> {
    while (!finished()) {
      const next = this.ready.shift();
      if (next === undefined) {
        await this.idle();
        if (this.failure !== null) throw this.failure.error;
        continue;
      }
      this.step(next);
      if (this.ready.length > 0 && this.turnIsDue()) await this.turn();
    }
    if (this.keepAlive !== null) clearInterval(this.keepAlive);
    this.keepAlive = null;
  }

  /** `run`, but for no longer than about `ms` milliseconds. */
  async runFor(ms: number, finished: () => boolean): Promise<void> {
    let over = false;
    const timer = setTimeout(() => {
      over = true;
      this.endIdle?.();
    }, ms);
    await this.run(() => over || finished());
    clearTimeout(timer);
  }

  /** Lets the tasks of a process that is stopped no longer go on. */
  unpark(process: Process): void {
    const freed = this.parked.filter(({ task }) => task.process === process);
    if (freed.length === 0) return;
    this.parked = this.parked.filter(({ task }) => task.process !== process);
    for (const each of freed) this.wake(each);
  }

  private step(next: Ready): void {
    const { task, result, resume } = next;
    const { process } = task;
    this.meter.switchTo(process.cpu);
    this.enter(process.space);
    if (task.mustEnd) {
      if (task.trace?.stopsAtExit(() => this.wake(next)) !== true) endTask(task);
      return;
    }
    if (isHeld(task)) {
      if (task.trace?.stopsWithProcess(() => this.wake(next)) !== true) this.parked.push(next);
      return;
    }
    this.switchTo(task);
    this.left = false;
    if (result === null && task.rseq !== null) abortSequence(task);
    if (resume !== null) resume();
    else if (result !== null) this.finishCall(task, result);
    else if (task.signalPending) this.deliver(task, 0);
    if (!this.left) this.runTask(task);
  }

  /** Runs one task until it sleeps or ends, or until another one should run. */
  private runTask(task: Task): void {
    for (;;) {
      const { engine } = task.process;
      engine.serveSyscall = () => this.serve(task, engine);
      task.trace?.entersUserMode();
      const stepping = task.trace?.stepping === true;
      const reason = stepping ? engine.runOne() : engine.run();
      if (this.left) return;
      // A call that did not make the task leave was exec: the new program runs in another engine.
      if (reason === ExitReason.syscall) continue;
      if (stepping && reason === ExitReason.budget) {
        task.trace!.stepped();
        this.deliver(task, 0);
      } else if (reason === ExitReason.budget || reason === ExitReason.yield) {
        if (this.sliceOver(reason)) {
          this.ready.push(ready(task));
          return;
        }
        if (task.signalPending) this.deliver(task, 0);
      } else {
        raiseException(task, reason);
        this.deliver(task, 0);
        if (!this.left && this.turnIsDue()) this.requeue(task, null);
      }
      if (this.left) return;
    }
  }

  private turnIsDue(): boolean {
    return monotonic() - this.lastTurn >= turnInterval;
  }

  private sliceOver(reason: ExitReason): boolean {
    return this.turnIsDue() || (reason === ExitReason.yield && this.ready.length > 0);
  }

  /** Serves the call the task asks for; false if the task cannot go on at once in this engine. */
  private serve(task: Task, engine: GuestEngine): boolean {
    task.syscallFirstArgument = task.abi.argument(task.cpu, 0);
    if (task.trace?.stopsAtEntry(() => this.wakeFor(task, () => this.call(task))) === true) this.left = true;
    else this.call(task);
    // Calls may be slow and lie close together: the engine's budget alone would take seconds to end.
    this.calls = (this.calls + 1) & callsPerLook;
    if (!this.left && this.calls === 0 && this.turnIsDue()) this.requeue(task, null);
    return !this.left && task.process.engine === engine;
  }

  private call(task: Task): void {
    const result = task.trace === null ? this.table.dispatch(task) : task.trace.call(() => this.table.dispatch(task));
    if (typeof result === 'number') {
      this.finishCall(task, result);
      return;
    }
    this.left = true;
    this.sleep(task, result);
  }

  private finishCall(task: Task, result: number): void {
    if (result !== keepRegisters) task.abi.setResult(task.cpu, result);
    if (task.trace?.stopsAfterCall(() => this.wakeFor(task, () => this.afterCall(task, result))) === true) {
      this.left = true;
    } else this.afterCall(task, result);
  }

  private afterCall(task: Task, result: number): void {
    if (task.signalPending || isRestart(result)) this.deliver(task, result);
    else if (task.mustEnd) this.requeue(task, null);
  }

  private deliver(task: Task, result: number): void {
    const open = deliverSignals(task, result);
    if (task.mustEnd) this.requeue(task, null);
    else if (task.trace?.mustStop === true) {
      this.left = true;
      task.trace.stopNow((restarts) => this.wakeFor(task, () => this.deliver(task, restarts ? open : 0)));
    } else if (isHeld(task)) this.requeue(task, open === 0 ? null : open);
  }

  /** The task goes on by way of the queue: to be ended, or parked. */
  private requeue(task: Task, result: number | null): void {
    this.left = true;
    this.ready.push(ready(task, result));
  }

  /** The task can go on with `resume`. */
  private wakeFor(task: Task, resume: () => void): void {
    this.wake(ready(task, null, resume));
  }

  private sleep(task: Task, result: Promise<number>): void {
    result.then(
      (value) => this.wake(ready(task, value)),
      (error: unknown) => {
        this.failure = { error };
        this.endIdle?.();
      },
    );
  }

  private wake(next: Ready): void {
    this.ready.push(next);
    this.endIdle?.();
  }

  /** Shared memory follows the address space whose turn it is. */
  enter(space: AddressSpace): void {
    const { current } = this;
    if (current === space) return;
    current?.mm.publishShared();
    space.mm.fetchShared();
    this.current = space;
  }

  private switchTo(task: Task): void {
    const { space } = task.process;
    const current = space.running;
    if (current === task) return;
    if (current !== null) {
      current.cpu = this.copyState(current);
      current.abi.clearExclusive(current.cpu);
    }
    space.engine.cpu.u8.set(task.cpu.u8.subarray(0, stateBytes(task)));
    space.seat(task);
  }

  /** Lets Node's event loop turn once. */
  private async turn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    const seen = new Set<Process>();
    for (const { task } of this.ready) seen.add(task.process);
    for (const { timers } of seen) if (timers.measuresCpu) timers.poll();
    this.lastTurn = monotonic();
    if (this.failure !== null) throw this.failure.error;
  }

  /** Waits until a task is ready. */
  private async idle(): Promise<void> {
    if (this.failure !== null) return;
    if (this.keepAlive === null) this.keepAlive = setInterval(() => {}, 2 ** 30);
    else this.keepAlive.ref();
    await new Promise<void>((resolve) => {
      this.endIdle = resolve;
    });
    this.endIdle = null;
    this.keepAlive.unref();
    this.lastTurn = monotonic();
  }
}
