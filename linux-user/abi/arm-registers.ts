import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import type { StateLayout } from '#util/state-layout.ts';

/** CPSR bits (DDI 0406C B1.3.3). */
export const Cpsr = {
  userMode: 0x10,
  modeMask: 0x1f,
  thumb: 0x20,
  fiqOff: 0x40,
  irqOff: 0x80,
  abortOff: 0x100,
  endian: 0x200,
  itMask: 0x0600_fc00,
  flags: 0xff00_0000,
} as const;

const pcIndex = cpuHeader.offset('pc') >> 2;

/** The ARM registers of a CPU view by name, as the kernel layer uses them. Values are u32. */
export class ArmRegisters {
  private readonly general: number;
  private readonly index: Readonly<Record<string, number>>;
  /** Word index of S0. */
  readonly vfp: number;

  constructor(layout: StateLayout) {
    const word = (name: string): number => layout.offset(name) >> 2;
    const names = [
      'nf',
      'zf',
      'cf',
      'vf',
      'qf',
      'ge',
      'itstate',
      'endian',
      'fpscr',
      'fpNzcv',
      'tpidruro',
      'exclusiveAddress',
    ];
    this.general = word('r');
    this.index = Object.fromEntries(names.map((name) => [name, word(name)]));
    this.vfp = word('d');
  }

  get(cpu: CpuView, n: number): number {
    return cpu.i32[this.general + n] >>> 0;
  }

  set(cpu: CpuView, n: number, value: number): void {
    cpu.i32[this.general + n] = value;
  }

  slot(cpu: CpuView, name: string): number {
    return cpu.i32[this.index[name]] >>> 0;
  }

  setSlot(cpu: CpuView, name: string, value: number): void {
    cpu.i32[this.index[name]] = value;
  }

  /** The PC in the target's encoding: bit 0 is the Thumb state. */
  pc(cpu: CpuView): number {
    return cpu.i32[pcIndex] >>> 0;
  }

  setPc(cpu: CpuView, pc: number): void {
    cpu.i32[pcIndex] = pc;
  }

  cpsr(cpu: CpuView): number {
    const it = this.slot(cpu, 'itstate');
    return (
      ((this.slot(cpu, 'nf') & 0x8000_0000) |
        (this.slot(cpu, 'zf') === 0 ? 0x4000_0000 : 0) |
        (this.slot(cpu, 'cf') << 29) |
        ((this.slot(cpu, 'vf') >>> 31) << 28) |
        (this.slot(cpu, 'qf') << 27) |
        ((it & 3) << 25) |
        (this.slot(cpu, 'ge') << 16) |
        ((it >> 2) << 10) |
        (this.slot(cpu, 'endian') ? Cpsr.endian : 0) |
        (this.pc(cpu) & 1 ? Cpsr.thumb : 0) |
        Cpsr.userMode) >>>
      0
    );
  }

  /** Sets everything that the CPSR holds but the Thumb state, which goes with the PC. */
  setCpsr(cpu: CpuView, cpsr: number): void {
    this.setSlot(cpu, 'nf', cpsr);
    this.setSlot(cpu, 'zf', cpsr & 0x4000_0000 ? 0 : 1);
    this.setSlot(cpu, 'cf', (cpsr >>> 29) & 1);
    this.setSlot(cpu, 'vf', cpsr << 3);
    this.setSlot(cpu, 'qf', (cpsr >>> 27) & 1);
    this.setSlot(cpu, 'ge', (cpsr >>> 16) & 15);
    this.setSlot(cpu, 'itstate', ((cpsr >>> 25) & 3) | (((cpsr >>> 10) & 0x3f) << 2));
    this.setSlot(cpu, 'endian', cpsr & Cpsr.endian ? 1 : 0);
  }
}
