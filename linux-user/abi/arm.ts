import { taskSize } from '#accel/guest-memory.ts';
import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView } from '#tcg/target.ts';
import type { StateLayout } from '#util/state-layout.ts';
import type { Mm } from '../mm/mm.ts';
import { Prot } from '../mm/vma.ts';
import type { SigInfo } from '../signal/siginfo.ts';
import type { SigAction } from '../signal/signal-state.ts';
import type { Task } from '../task.ts';
import type { Abi, Backtrace, FaultCause, ImageFinder, OpenFlags, Stat64Field, StructLayout } from './abi.ts';
import { kuserSymbol, mapVectorPage } from './arm-kuser.ts';
import { ArmRegisters } from './arm-registers.ts';
import { ArmSignalFrames } from './arm-signal.ts';
import { armBacktrace } from './arm-unwind.ts';

/** AT_HWCAP bits (arch/arm/include/uapi/asm/hwcap.h). */
const Hwcap = {
  SWP: 1 << 0,
  HALF: 1 << 1,
  THUMB: 1 << 2,
  FAST_MULT: 1 << 4,
  VFP: 1 << 6,
  EDSP: 1 << 7,
  NEON: 1 << 12,
  VFPv3: 1 << 13,
  TLS: 1 << 15,
  VFPv4: 1 << 16,
  IDIVA: 1 << 17,
  IDIVT: 1 << 18,
  VFPD32: 1 << 19,
  LPAE: 1 << 20,
} as const;
const Hwcap2 = { CRC32: 1 << 4 } as const;

/** The immediate of an OABI call (`svc #0x900000 | number`). */
const oabiBase = 0x90_0000;

const exitArgIndex = cpuHeader.offset('exitArg') >> 2;
const SP = 13;

/** AArch32 little-endian Linux, EABI (with OABI call numbers in the instruction understood too). */
export class ArmAbi implements Abi {
  readonly name = 'arm';
  readonly machine = 'armv7l';
  readonly platform = 'v7l';
  readonly elf = { machine: 40, class: 1, data: 1 } as const;
  readonly pointerBytes = 4;
  readonly align64 = 8;
  readonly taskSize = taskSize;
  readonly pieBase = 0x40_0000;
  readonly attachAlignment = 0x4000;
  readonly hwcap: number = Object.values(Hwcap).reduce((all, bit) => all | bit, 0);
  readonly hwcap2: number = Hwcap2.CRC32;
  readonly openFlags: OpenFlags = {
    O_DIRECTORY: 0o40000,
    O_NOFOLLOW: 0o100000,
    O_DIRECT: 0o200000,
    O_LARGEFILE: 0o400000,
  };
  readonly stat64: StructLayout<Stat64Field> = {
    bytes: 104,
    at: {
      dev: 0,
      ino32: 12,
      mode: 16,
      nlink: 20,
      uid: 24,
      gid: 28,
      rdev: 32,
      size: 48,
      blksize: 56,
      blocks: 64,
      atime: 72,
      atimeNsec: 76,
      mtime: 80,
      mtimeNsec: 84,
      ctime: 88,
      ctimeNsec: 92,
      ino: 96,
    },
  };
  readonly alignPairs = true;
  readonly restartSyscallNumber = 0;
  /** PT_ARM_EXIDX. */
  readonly unwindSegment = 0x7000_0001;

  private readonly registers_: ArmRegisters;
  private readonly frames: ArmSignalFrames;

  /** `layout` is the ARM target's (`Target.layout`). */
  constructor(layout: StateLayout) {
    this.registers_ = new ArmRegisters(layout);
    this.frames = new ArmSignalFrames(this.registers_);
  }

  /** One processor, since guest threads take turns; the text's form is arch/arm/kernel/setup.c's (c_show). */
  cpuInfo(): string {
    return [
      'processor\t: 0',
      'model name\t: ARMv7 Processor rev 0 (v7l)',
      'BogoMIPS\t: 100.00',
      'Features\t: swp half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae crc32',
      'CPU implementer\t: 0x41',
      'CPU architecture: 7',
      'CPU variant\t: 0x0',
      'CPU part\t: 0xc0f',
      'CPU revision\t: 0',
      '',
      'Hardware\t: tsemu',
      'Revision\t: 0000',
      'Serial\t\t: 0000000000000000',
      '',
    ].join('\n');
  }

  syscallNumber(cpu: CpuView): number {
    const immediate = cpu.i32[exitArgIndex];
    // Thumb's immediates are 8 bits wide: always EABI.
    if (immediate < oabiBase) return this.registers_.get(cpu, 7) | 0;
    return immediate ^ oabiBase;
  }

  argument(cpu: CpuView, n: number): number {
    return this.registers_.get(cpu, n);
  }

  setResult(cpu: CpuView, value: number): void {
    this.registers_.set(cpu, 0, value);
  }

  restartSyscall(cpu: CpuView, firstArgument: number, number?: number): void {
    const { registers_: registers } = this;
    const pc = registers.pc(cpu);
    registers.setPc(cpu, pc - ((pc & 1) !== 0 ? 2 : 4));
    registers.set(cpu, 0, firstArgument);
    if (number !== undefined) registers.set(cpu, 7, number);
  }

  pc(cpu: CpuView): number {
    return (this.registers_.pc(cpu) & ~1) >>> 0;
  }

  setPc(cpu: CpuView, address: number): void {
    const thumb = this.registers_.pc(cpu) & 1;
    this.registers_.setPc(cpu, thumb === 1 ? address | 1 : address & ~3);
  }

  stackPointer(cpu: CpuView): number {
    return this.registers_.get(cpu, SP);
  }

  setStackPointer(cpu: CpuView, value: number): void {
    this.registers_.set(cpu, SP, value);
  }

  clearExclusive(cpu: CpuView): void {
    this.registers_.setSlot(cpu, 'exclusiveAddress', -1);
  }

  setThreadPointer(cpu: CpuView, value: number): void {
    this.registers_.setSlot(cpu, 'tpidruro', value);
  }

  threadPointer(cpu: CpuView): number {
    return this.registers_.slot(cpu, 'tpidruro');
  }

  registers(cpu: CpuView): readonly (readonly [string, number])[] {
    const names = ['fp', 'ip', 'sp', 'lr'];
    const rows: [string, number][] = [];
    for (let n = 0; n < 15; n++) rows.push([n < 11 ? `r${n}` : names[n - 11], this.registers_.get(cpu, n)]);
    rows.push(['pc', this.pc(cpu)], ['cpsr', this.registers_.cpsr(cpu)]);
    return rows;
  }

  effectiveAccess(prot: number): number {
    return (prot & (Prot.WRITE | Prot.EXEC)) !== 0 ? prot | Prot.READ : prot;
  }

  mapKernelPages(mm: Mm): void {
    mapVectorPage(mm);
  }

  kernelSymbol(address: number): string | null {
    return kuserSymbol(address);
  }

  /** A32 0x?7f001f0, T16 0xde01, T32 0xf7f0a000 (arch/arm/kernel/ptrace.c). */
  isBreakpoint(encoding: number): boolean {
    return (encoding & 0x0fff_ffff) === 0x07f0_01f0 || encoding === 0xde01 || encoding >>> 0 === 0xf7f0_a000;
  }

  faultWords(cause: FaultCause): { readonly trapNumber: number; readonly errorCode: number } {
    switch (cause.kind) {
      // Fault status as DFSR and IFSR have it (DDI 0406C B3.13.3): page fault in the user domain, bit 11 for writes.
      case 'access':
        return { trapNumber: 14, errorCode: (cause.mapped ? 0x1f : 0x17) | (cause.access === 'write' ? 0x800 : 0) };
      case 'trap':
        return { trapNumber: 14, errorCode: 0x17 | (cause.access === 'write' ? 0x800 : 0) };
      case 'alignment':
        return { trapNumber: 14, errorCode: 1 | (cause.write ? 0x800 : 0) };
      case 'undefined':
        return { trapNumber: 6, errorCode: 0 };
      case 'breakpoint':
        return { trapNumber: 3, errorCode: 0 };
    }
  }

  pushSignalFrame(task: Task, info: SigInfo, action: SigAction, savedMask: bigint): boolean {
    return this.frames.push(task, info, action, savedMask);
  }

  popSignalFrame(task: Task, realTime: boolean): boolean {
    return this.frames.pop(task, realTime);
  }

  backtrace(task: Task, images: ImageFinder): Backtrace {
    return armBacktrace(this.registers_, task, images);
  }
}
