import type { EngineMemory } from '#accel/engine-memory.ts';
import type { ControlHost } from '#target/arm/control-registers.ts';
import { ControlRegisters } from '#target/arm/control-registers.ts';
import { ArmCore } from '#target/arm/core.ts';
import { systemState } from '#target/arm/system-state.ts';
import { cpuHeader, guestStateStart } from '#tcg/cpu-page.ts';

const pcWord = cpuHeader.offset('pc') >> 2;
const linesWord = systemState.offset('lines') >> 2;
const eventWord = systemState.offset('event') >> 2;
const eventSentWord = systemState.offset('eventSent') >> 2;

/**
 * One of a machine's cores. All run in one CPU area by turns: while another does, the registers of this one are kept
 * here.
 */
export class Cpu {
  readonly index: number;
  readonly core: ArmCore;
  readonly control: ControlRegisters;
  /** PSCI has not switched it on, or it has switched itself off. */
  online = false;
  /** It waits for an interrupt (WFI). */
  halted = false;
  /** It waits for an event (WFE), or until the wait has been long enough. */
  awaitingEvent = false;
  /** Its registers are in the CPU area. */
  private running = false;
  private readonly kept = new Uint8Array(systemState.end - guestStateStart);
  private readonly keptWords = new Int32Array(this.kept.buffer);
  private pc = 0;
  private lines = 0;

  constructor(memory: EngineMemory, host: ControlHost, index: number) {
    this.index = index;
    this.core = new ArmCore(memory.cpu);
    this.control = new ControlRegisters(this.core, host, index);
  }

  /** Takes the CPU area from `other`; `select` puts this core's translation tables in force. */
  enter(other: Cpu | null, select: (index: number) => void): void {
    const { i32, u8 } = this.core.cpu;
    if (other) {
      other.kept.set(u8.subarray(guestStateStart, systemState.end));
      other.pc = i32[pcWord]!;
      other.lines = i32[linesWord]!;
      other.running = false;
    }
    this.running = true;
    u8.set(this.kept, guestStateStart);
    i32[pcWord] = this.pc;
    i32[linesWord] = this.lines;
    select(this.index);
  }

  /** An interrupt line (its bit of CPSR) goes up or down. */
  setLine(bit: number, level: boolean): void {
    const old = this.raised;
    const lines = level ? old | bit : old & ~bit;
    if (this.running) this.core.cpu.i32[linesWord] = lines;
    else this.lines = lines;
    if (!level) return;
    this.halted = false;
    this.awaitingEvent = false;
  }

  /** Another core has sent an event: a wait for one ends, else its event register is set. */
  signal(): void {
    if (!this.awaitingEvent) this.keptWords[eventWord - (guestStateStart >> 2)] = 1;
    this.awaitingEvent = false;
  }

  /** Whether it has executed SEV since the last call; it must have the CPU area. */
  takeSentEvent(): boolean {
    const { i32 } = this.core.cpu;
    const sent = i32[eventSentWord] !== 0;
    i32[eventSentWord] = 0;
    return sent;
  }

  /** The interrupt lines that are up. */
  get raised(): number {
    return this.running ? this.core.cpu.i32[linesWord]! : this.lines;
  }

  /** As after power on; it must have the CPU area. */
  reset(): void {
    const lines = this.raised;
    this.core.reset();
    this.control.reset();
    this.core.cpu.i32[linesWord] = lines;
    this.halted = false;
    this.awaitingEvent = false;
  }

  save() {
    const { core, control, online, halted } = this;
    const { i32, u8 } = core.cpu;
    const registers = this.running ? u8.slice(guestStateStart, systemState.end) : this.kept;
    const pc = this.running ? i32[pcWord]! : this.pc;
    return {
      online,
      halted,
      pc,
      lines: this.raised,
      registers: [...registers],
      core: core.save(),
      control: control.save(),
    };
  }

  /** It must have the CPU area. */
  load(state: ReturnType<Cpu['save']>): void {
    const { i32, u8 } = this.core.cpu;
    u8.set(state.registers, guestStateStart);
    i32[pcWord] = state.pc;
    i32[linesWord] = state.lines;
    this.online = state.online;
    this.halted = state.halted;
    this.awaitingEvent = false;
    this.core.load(state.core);
    this.control.load(state.control);
  }

  /** Puts the interrupt lines as they were; what waits for one goes on waiting. */
  restoreLines({ lines, halted }: Pick<ReturnType<Cpu['save']>, 'lines' | 'halted'>): void {
    if (this.running) this.core.cpu.i32[linesWord] = lines;
    else this.lines = lines;
    this.halted = halted;
  }
}
