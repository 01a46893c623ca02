import { taskSize } from '#accel/guest-memory.ts';
import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuIdentity, CpuView } from '#tcg/target.ts';
import type { StateLayout } from '#util/state-layout.ts';
import type { Mm } from '../mm/mm.ts';
import { Prot } from '../mm/vma.ts';
import { SiCode, type SigInfo } from '../signal/siginfo.ts';
import type { SigAction } from '../signal/signal-state.ts';
import type { Task } from '../task.ts';
import type { Abi, Backtrace, FaultCause, ImageFinder, OpenFlags, Stat64Field, StructLayout } from './abi.ts';
import { kuserSymbol, mapVectorPage } from './arm-kuser.ts';
import { ArmRegisters } from './arm-registers.ts';
import { ArmSignalFrames } from './arm-signal.ts';
import { armBacktrace } from './arm-unwind.ts';

/** AT_HWCAP bits by the names of /proc/cpuinfo (arch/arm/include/uapi/asm/hwcap.h). */
const hwcapBits: Readonly<Record<string, number>> = {
  swp: 1 << 0,
  half: 1 << 1,
  thumb: 1 << 2,
  fastmult: 1 << 4,
  vfp: 1 << 6,
  edsp: 1 << 7,
  neon: 1 << 12,
  vfpv3: 1 << 13,
  tls: 1 << 15,
  vfpv4: 1 << 16,
  idiva: 1 << 17,
  idivt: 1 << 18,
  vfpd32: 1 << 19,
  lpae: 1 << 20,
  fphp: 1 << 22,
  asimdhp: 1 << 23,
  asimddp: 1 << 24,
  asimdfhm: 1 << 25,
  asimdbf16: 1 << 26,
  i8mm: 1 << 27,
};
/** AT_HWCAP2 bits. */
const hwcap2Bits: Readonly<Record<string, number>> = {
  aes: 1 << 0,
  pmull: 1 << 1,
  sha1: 1 << 2,
  sha2: 1 << 3,
  crc32: 1 << 4,
  sb: 1 << 5,
};

const wordOf = (names: readonly string[], bits: Readonly<Record<string, number>>): number =>
  names.reduce((word, name) => word | (bits[name] ?? 0), 0);

/** A CPU that nothing is known about: ARMv4T. */
const unknownCpu: CpuIdentity = {
  platform: 'v4l',
  machine: 'armv4tl',
  name: 'ARM',
  architecture: '4T',
  midr: 0x41000000,
  features: ['swp', 'half', 'thumb', 'fastmult'],
};

/** The immediate of an OABI call (`svc #0x900000 | number`). */
const oabiBase = 0x90_0000;

const exitArgIndex = cpuHeader.offset('exitArg') >> 2;
const SP = 13;

/** AArch32 little-endian Linux, EABI (with OABI call numbers in the instruction understood too). */
export class ArmAbi implements Abi {
  readonly name = 'arm';
  readonly machine: string;
  readonly platform: string;
  readonly elf = { machine: 40, class: 1, data: 1 } as const;
  readonly pointerBytes = 4;
  readonly align64 = 8;
  readonly taskSize = taskSize;
  readonly pieBase = 0x40_0000;
  readonly attachAlignment = 0x4000;
  readonly hwcap: number;
  readonly hwcap2: number;
  readonly auxiliary = [];
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
  readonly undefinedCode = SiCode.ILL_ILLOPC;
  /** PT_ARM_EXIDX. */
  readonly unwindSegment = 0x7000_0001;

  private readonly registers_: ArmRegisters;
  private readonly frames: ArmSignalFrames;

  private readonly cpu: CpuIdentity;

  /** `layout` and `cpu` are the ARM target's (`Target.layout`, `Target.identity`). */
  constructor(layout: StateLayout, cpu: CpuIdentity = unknownCpu) {
    this.cpu = cpu;
    this.machine = cpu.machine;
    this.platform = cpu.platform;
    this.hwcap = wordOf(cpu.features, hwcapBits);
    this.hwcap2 = wordOf(cpu.features, hwcap2Bits);
    this.registers_ = new ArmRegisters(layout);
    this.frames = new ArmSignalFrames(this.registers_);
  }

  /** One processor, since guest threads take turns; the text's form is arch/arm/kernel/setup.c's (c_show). */
  cpuInfo(): string {
    const { name, features, architecture, midr, platform } = this.cpu;
    const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, '0')}`;
    return [
      'processor\t: 0',
      `model name\t: ${name} rev ${midr & 15} (${platform})`,
      'BogoMIPS\t: 100.00',
      `Features\t: ${features.join(' ')}`,
      `CPU implementer\t: ${hex(midr >>> 24, 2)}`,
      `CPU architecture: ${architecture}`,
      `CPU variant\t: ${hex((midr >>> 20) & 15, 1)}`,
      `CPU part\t: ${hex((midr >>> 4) & 0xfff, 3)}`,
      `CPU revision\t: ${midr & 15}`,
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

  resetState(): void {}

  readTls(_caller: Task, tls: number): (cpu: CpuView) => void {
    return (cpu) => this.registers_.setSlot(cpu, 'tpidruro', tls);
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

  /** All of ARM's exceptions are common ones. */
  exception(argument: number): never {
    throw new Error(`the ARM target raised exception ${argument}`);
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
      case 'exception':
        return { trapNumber: cause.vector, errorCode: cause.errorCode };
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
