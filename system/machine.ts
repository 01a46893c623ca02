import { type Engine, type EngineOptions, Engine as TranslationEngine } from '#accel/engine.ts';
import { Access } from '#accel/guest-memory.ts';
import { type PageWalk, type PageWalker, VirtualMemory } from '#accel/virtual-memory.ts';
import type { BlockBackend } from '#hw/block/backend.ts';
import type { SerialPort } from '#hw/char/pl011.ts';
import type { Timer } from '#hw/device.ts';
import { alignmentStore } from '#target/arm/alignment.ts';
import type { ControlRegisters } from '#target/arm/control-registers.ts';
import type { ArmCore } from '#target/arm/core.ts';
import type { CoreModel } from '#target/arm/core-identity.ts';
import { cpuModels } from '#target/arm/cpu-models.ts';
import { faultOfWrite } from '#target/arm/page-walk.ts';
import { armState } from '#target/arm/state.ts';
import { waitForEvent } from '#target/arm/system.ts';
import { Psr, systemState } from '#target/arm/system-state.ts';
import { createSystemTarget } from '#target/arm/system-target.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import type { Target } from '#tcg/target.ts';
import { HostTime, InstructionClock, type MachineClock, RealClock } from './clock.ts';
import { Cpu } from './cpu.ts';
import type { PlacedDevice } from './devices/table.ts';
import { map, VirtMachine, type VirtParts } from './machines/virt.ts';
import { MemoryMap } from './memory-map.ts';
import { psciCall } from './psci.ts';

export interface MachineConfig {
  readonly ramSize: number;
  /** Number of cores (default 1). */
  readonly cpus?: number;
  readonly cpuModel?: MachineCpu;
  readonly serial: SerialPort;
  /** What the guest's real-time clock starts with, in seconds since 1970 (`-rtc base`). */
  readonly startTime: number;
  /** The real-time clock goes by the host's time of day (`-rtc clock=host`), not by the machine's. */
  readonly hostTime?: boolean;
  /** 2^icount nanoseconds an instruction, or null for the host's time. */
  readonly icount: number | null;
  /** What `-device` asks for. */
  readonly devices?: readonly PlacedDevice[];
  /** The disk with the contents of each flash bank, if it has one. */
  readonly flashDrives?: readonly (BlockBackend | null)[];
  readonly engine: Pick<EngineOptions, 'interpreter' | 'tier' | 'trace' | 'count' | 'store' | 'storeName'>;
  readonly unimplemented: (text: string) => void;
  readonly onException?: (name: string, machine: Machine) => void;
}

/** Models that a machine may have. */
export type MachineCpu = CoreModel;

/** What watches a machine's turns (`-gdb`). */
export interface Debugger {
  /** A core's turn begins; true: it is one instruction. */
  beforeTurn(): boolean;
  /** It has ended; true: `reason` is dealt with. */
  afterTurn(reason: ExitReason): boolean;
  /** A turn of one instruction has ended, and what it led to is done. */
  afterStep(): void;
}

/** Why a machine stopped for good. */
export type MachineEnd = 'off' | 'reset' | 'quit';

const pcWord = cpuHeader.offset('pc') >> 2;
const argWord = cpuHeader.offset('exitArg') >> 2;
const faultWord = cpuHeader.offset('faultAddress') >> 2;
const budgetWord = cpuHeader.offset('budget') >> 2;
const linesWord = systemState.offset('lines') >> 2;
const maskWord = systemState.offset('mask') >> 2;
const rWord = armState.offset('r') >> 2;

/** Instructions or back-edges between looks at timers and interrupts: about half a millisecond. */
const sliceBudget = 50_000;
/** Slices before hot code is compiled: the compiler is cold itself then. */
const coldSlices = 50;
/** Nanoseconds a core waits for an event (WFE) at most. */
const longestEventWait = 1_000_000;
/** Milliseconds the machine runs before the host's events are looked at. */
const eventInterval = 4;

/** A machine that runs: its cores, memory and devices, and the loop that drives them. */
export class Machine {
  readonly clock: MachineClock;
  readonly bus: MemoryMap;
  readonly cpus: readonly Cpu[];
  readonly cpuModel: MachineCpu;
  /** The core whose turn it is. */
  current: Cpu;
  readonly memory: VirtualMemory;
  readonly board: VirtMachine;
  readonly engine: Engine;
  readonly target: Target;
  /** Set to end the loop. */
  end: MachineEnd | null = null;
  private readonly config: MachineConfig;
  /** The guest stands still, and its time too (`stop`). */
  stopped = false;
  /** By core: ends its wait for an event. */
  private readonly eventWaits: readonly Timer[];
  private wake: (() => void) | null = null;
  debugger: Debugger | null = null;
  private slices = 0;
  private readonly walked: PageWalk = { physical: 0, allowed: 0, global: false, large: false };

  constructor(config: MachineConfig) {
    this.config = config;
    this.clock = config.icount === null ? new RealClock() : new InstructionClock(config.icount);
    this.bus = new MemoryMap(config.unimplemented);
    // The page tables' registers come last: they need the core, which lies in this memory.
    const walker: PageWalker = {
      walk: (address, access, into, peek) => this.control.walker.walk(address, access, into, peek),
    };
    this.cpuModel = config.cpuModel ?? 'cortex-a15';
    const count = config.cpus ?? 1;
    this.memory = new VirtualMemory(map.ram, map.ram + config.ramSize, this.bus, walker, count);
    const numbers = Array.from({ length: count }, (_, index) => index);
    this.board = new VirtMachine({
      bus: this.bus,
      clock: this.clock,
      irqLines: numbers.map((index) => (level) => this.setLine(index, Psr.i, level)),
      currentCpu: () => this.current.index,
      serial: config.serial,
      rtc: rtcParts(config, this.clock),
      ram: this.memory,
      devices: config.devices ?? [],
      readOnlyMemory: (start, size) => this.memory.addReadOnly(start, size),
      flashDrives: config.flashDrives ?? [],
    });
    this.cpus = numbers.map((index) => {
      const host = {
        translations: this.memory,
        timer: this.board.timers[index]!,
        cpuCount: count,
        model: this.cpuModel,
        word: (physical: number) => this.memory.physicalWord(physical),
        unimplemented: config.unimplemented,
      };
      return new Cpu(this.memory, host, index);
    });
    this.eventWaits = this.cpus.map((cpu) =>
      this.clock.timer(() => {
        cpu.awaitingEvent = false;
      }),
    );
    this.current = this.cpus[0]!;
    this.current.enter(null, (cpu) => this.memory.select(cpu));
    this.target = createSystemTarget(() => this.current, cpuModels[this.cpuModel]) as Target;
    this.engine = new TranslationEngine(this.target, this.memory, { ...config.engine, budget: sliceBudget });
    this.engine.setExactState(true);
  }

  get core(): ArmCore {
    return this.current.core;
  }

  get control(): ControlRegisters {
    return this.current.control;
  }

  private setLine(cpu: number, bit: number, level: boolean): void {
    this.cpus[cpu]!.setLine(bit, level);
    if (level) this.wake?.();
  }

  /** Gives a core the CPU area. */
  switchTo(cpu: Cpu): void {
    if (cpu === this.current) return;
    const from = this.current;
    this.current = cpu;
    cpu.enter(from, (index) => this.memory.select(index));
  }

  /** Everything as after power on. */
  reset(): void {
    for (const cpu of this.cpus.toReversed()) {
      this.switchTo(cpu);
      cpu.reset();
      cpu.online = cpu.index === 0;
    }
    this.board.reset();
    this.memory.flush();
  }

  /** Switches a core on, which begins at `entry` (bit 0: in Thumb state) with `r0`. False if it is on. */
  powerOn(cpu: Cpu, entry: number, r0: number): boolean {
    if (cpu.online) return false;
    const caller = this.current;
    this.switchTo(cpu);
    cpu.reset();
    this.start(entry, r0, 0, 0);
    cpu.online = true;
    this.switchTo(caller);
    return true;
  }

  /** Where it goes on, in the engine's encoding. */
  get pc(): number {
    return this.core.cpu.i32[pcWord]!;
  }

  /** Starts at `pc` with r0 to r2. */
  start(pc: number, r0: number, r1: number, r2: number): void {
    const { i32 } = this.core.cpu;
    i32[rWord] = r0;
    i32[rWord + 1] = r1;
    i32[rWord + 2] = r2;
    i32[pcWord] = pc;
  }

  /** Ends whatever sleep the machine is in: the host has news. */
  notify(): void {
    this.wake?.();
  }

  /** No instruction runs and no timer fires until `cont`. Called between two turns of the loop. */
  stop(): void {
    this.stopped = true;
    this.clock.stop();
    this.wake?.();
  }

  /** Goes on after `stop`. */
  cont(): void {
    this.stopped = false;
    this.clock.go();
    this.wake?.();
  }

  /** Ends `run`. */
  finish(end: MachineEnd): void {
    this.end = end;
    this.wake?.();
  }

  /** Runs until the machine is switched off, reset or told to quit. */
  async run(): Promise<MachineEnd> {
    let yielded = performance.now();
    while (this.end === null) {
      if (this.stopped) {
        await this.sleep(Infinity);
        yielded = performance.now();
        continue;
      }
      this.clock.runDue();
      if (this.current.takeSentEvent()) this.sendEvent();
      const next = this.nextCpu();
      if (next === null) {
        await this.idle();
        yielded = performance.now();
        continue;
      }
      this.switchTo(next);
      const { i32 } = next.core.cpu;
      const single = this.debugger?.beforeTurn() === true;
      // Whoever goes through a program does not want to land in its interrupt handlers.
      if (!single && (i32[linesWord]! & ~i32[maskWord]!) !== 0) this.interrupt();
      if (++this.slices === coldSlices) this.engine.warmUp();
      const reason = single ? this.engine.runOne() : this.engine.run();
      if (this.clock instanceof InstructionClock) this.clock.advance(single ? 1 : sliceBudget - i32[budgetWord]!);
      if (reason === ExitReason.halt) next.halted = i32[linesWord] === 0;
      else if (this.debugger?.afterTurn(reason) !== true) this.handle(reason);
      if (single) this.debugger?.afterStep();
      const now = performance.now();
      if (now - yielded < eventInterval) continue;
      await nextTurn();
      yielded = now;
    }
    return this.end;
  }

  /** SEV: all cores but the one that has executed it get an event. */
  private sendEvent(): void {
    for (const cpu of this.cpus) if (cpu !== this.current) cpu.signal();
  }

  /**
   * WFE without an event. What would set the event register cannot all be seen (another core's store to what was loaded
   * exclusively), but a wait may always end early (DDI 0406C B1.8.13).
   */
  private awaitEvent(): void {
    const { current, clock, control } = this;
    if (current.raised !== 0) return;
    current.awaitingEvent = true;
    this.eventWaits[current.index]!.set(clock.now() + Math.min(longestEventWait, control.eventStreamPeriod));
  }

  private interrupt(): void {
    const { i32 } = this.core.cpu;
    this.config.onException?.('irq', this);
    this.core.enter('irq', ((i32[pcWord]! & ~1) + 4) | 0);
  }

  /** The core whose turn it is after the one that ran, or null if all wait. */
  private nextCpu(): Cpu | null {
    const { cpus, current } = this;
    for (let i = 1; i <= cpus.length; i++) {
      const cpu = cpus[(current.index + i) % cpus.length]!;
      if (cpu.online && !cpu.halted && !cpu.awaitingEvent) return cpu;
    }
    return null;
  }

  /** All cores wait (WFI): sleeps until a timer is due or there is news. */
  private async idle(): Promise<void> {
    if (this.clock instanceof InstructionClock && this.clock.skip()) return;
    await this.sleep((this.clock.deadline - this.clock.now()) / 1e6);
  }

  private sleep(milliseconds: number): Promise<void> {
    if (milliseconds < 0.5) return nextTurn();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.wake = null;
        resolve();
      };
      const timer = setTimeout(done, Math.min(milliseconds, 2 ** 31 - 1));
      this.wake = done;
    });
  }

  private handle(reason: ExitReason): void {
    const { core, control, memory } = this;
    const { i32 } = core.cpu;
    const pc = i32[pcWord]!;
    switch (reason) {
      case ExitReason.yield:
        if (i32[argWord] === waitForEvent) this.awaitEvent();
        return;
      case ExitReason.budget:
      case ExitReason.flush:
        return;
      case ExitReason.syscall:
        this.config.onException?.('svc', this);
        core.enter('supervisorCall', pc & ~1);
        return;
      case ExitReason.undefined:
        this.undefined(pc, i32[argWord]!);
        return;
      case ExitReason.breakpoint:
        control.prefetchAbort(pc & ~1, control.statusOf('debug'));
        return;
      case ExitReason.fault: {
        this.config.onException?.('data abort', this);
        const { faultAddress, faultAccess, misaligned } = memory;
        const status = misaligned
          ? alignmentStatus(control, faultAccess === Access.write)
          : control.walker.status(faultAccess);
        control.dataAbort(faultAddress, status);
        return;
      }
      case ExitReason.alignment:
        if (this.misfetched(pc)) control.prefetchAbort(pc & ~1, control.statusOf('alignment'));
        else control.dataAbort(i32[faultWord]!, alignmentStatus(control, i32[argWord] === alignmentStore));
        return;
      case ExitReason.fetchFault:
        this.fetchFault(pc);
        return;
      // The engine's own, or dealt with by the loop.
      case ExitReason.none:
      case ExitReason.mode:
      case ExitReason.miss:
      case ExitReason.hot:
      case ExitReason.trap:
      case ExitReason.halt:
      case ExitReason.exception:
        throw new Error(`machine: exit ${reason} at ${(pc >>> 0).toString(16)}`);
    }
  }

  /** An A32 instruction at an odd halfword: its fetch is what is misaligned, not an access of it. */
  private misfetched(pc: number): boolean {
    return (pc & 3) === 2;
  }

  private fetchFault(pc: number): void {
    const { control } = this;
    // Code made while a page was not there: it may be there now.
    const address = pc & ~1;
    const last = address + (pc & 1 ? 2 : 0);
    for (const at of [address, last]) {
      if (this.memory.codePage(at >>> 0) !== 0) continue;
      this.config.onException?.('prefetch abort', this);
      // Where the walk succeeds, what it leads to is no RAM.
      const mapped = control.walker.walk(at >>> 0, Access.execute, this.walked, true);
      control.prefetchAbort(at, mapped ? control.statusOf('externalAbort') : control.walker.status(Access.execute));
      return;
    }
  }

  private undefined(pc: number, encoding: number): void {
    const { core } = this;
    const thumb = (pc & 1) !== 0;
    if (isHypercall(thumb, encoding >>> 0) && core.privileged) {
      core.cpu.i32[pcWord] = pc + 4;
      psciCall(this);
      return;
    }
    this.config.onException?.('undefined', this);
    core.enter('undefined', ((pc & ~1) + (thumb ? 2 : 4)) | 0);
  }
}

/** Fault status of a misaligned access. */
const alignmentStatus = (control: ControlRegisters, store: boolean): number =>
  control.statusOf('alignment') | (store ? faultOfWrite : 0);

function rtcParts({ startTime, hostTime = false }: MachineConfig, clock: MachineClock): VirtParts['rtc'] {
  if (!hostTime) return { clock, start: startTime };
  const host = new HostTime(clock);
  return { clock: host, start: startTime - Math.floor(host.now() / 1e9) };
}

/** HVC and SMC. */
function isHypercall(thumb: boolean, encoding: number): boolean {
  if (thumb) return (encoding & 0xfff0f000) >>> 0 === 0xf7e08000 || (encoding & 0xfff0f000) >>> 0 === 0xf7f08000;
  return (encoding & 0x0ff000f0) === 0x01400070 || (encoding & 0x0ff000f0) === 0x01600070;
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
