import { taskSize } from '#accel/guest-memory.ts';
import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuIdentity, CpuView } from '#tcg/target.ts';
import type { StateLayout } from '#util/state-layout.ts';
import type { Mm } from '../mm/mm.ts';
import { Prot } from '../mm/vma.ts';
import { SiCode, type SigInfo } from '../signal/siginfo.ts';
import type { SigAction } from '../signal/signal-state.ts';
import type { Task } from '../task.ts';
import type { Abi, Backtrace, CpuException, FaultCause, OpenFlags, Stat64Field, StructLayout } from './abi.ts';
import { exceptionOf, pageFaultWords } from './i386-exceptions.ts';
import { I386Fpu } from './i386-fpu.ts';
import { I386Registers, Reg, Seg } from './i386-registers.ts';
import { I386SignalFrames } from './i386-signal.ts';
import { I386Tls } from './i386-tls.ts';
import { i386Backtrace } from './i386-unwind.ts';
import { mapVdso, sysenterAddress, vdsoAddress, vdsoSymbol, vsyscallAddress } from './i386-vdso.ts';
import { readsMxcsr, type SegmentBytes } from './mxcsr-readers.ts';

/** Auxiliary vector entries of x86. */
const AT_SYSINFO = 32;
const AT_SYSINFO_EHDR = 33;

/** The interrupt of a system call. */
const syscallVector = 0x80;

const exitArgIndex = cpuHeader.offset('exitArg') >> 2;

/** A CPU that nothing is known about. */
const unknownCpu: CpuIdentity = {
  platform: 'i386',
  machine: 'i386',
  name: '386',
  architecture: 'unknown',
  midr: 0x300,
  features: [],
};

/** IA-32 Linux. */
export class I386Abi implements Abi {
  readonly name = 'i386';
  readonly machine: string;
  readonly platform: string;
  readonly elf = { machine: 3, class: 1, data: 1 } as const;
  readonly pointerBytes = 4;
  readonly align64 = 4;
  readonly taskSize = taskSize;
  readonly pieBase = 0x5655_5000;
  readonly hwcap: number;
  readonly hwcap2 = 0;
  readonly auxiliary = [
    [AT_SYSINFO, vsyscallAddress],
    [AT_SYSINFO_EHDR, vdsoAddress],
  ] as const;
  readonly openFlags: OpenFlags = {
    O_DIRECTORY: 0o200000,
    O_NOFOLLOW: 0o400000,
    O_DIRECT: 0o40000,
    O_LARGEFILE: 0o100000,
  };
  readonly stat64: StructLayout<Stat64Field> = {
    bytes: 96,
    at: {
      dev: 0,
      ino32: 12,
      mode: 16,
      nlink: 20,
      uid: 24,
      gid: 28,
      rdev: 32,
      size: 44,
      blksize: 52,
      blocks: 56,
      atime: 64,
      atimeNsec: 68,
      mtime: 72,
      mtimeNsec: 76,
      ctime: 80,
      ctimeNsec: 84,
      ino: 88,
    },
  };
  readonly alignPairs = false;
  readonly restartSyscallNumber = 0;
  readonly undefinedCode = SiCode.ILL_ILLOPN;
  readonly unwindSegment = 0;
  readonly tls: I386Tls;

  private readonly registers_: I386Registers;
  private readonly frames: I386SignalFrames;
  private readonly cpu: CpuIdentity;

  /** `layout` and `cpu` are the i386 target's (`Target.layout`, `Target.identity`). */
  constructor(layout: StateLayout, cpu: CpuIdentity = unknownCpu) {
    this.cpu = cpu;
    this.machine = cpu.machine;
    this.platform = cpu.platform;
    this.hwcap = cpu.hwcap ?? 0;
    this.registers_ = new I386Registers(layout);
    this.tls = new I386Tls(this.registers_);
    this.frames = new I386SignalFrames(this.registers_, new I386Fpu(this.registers_), this.tls);
  }

  /** One processor, since guest threads take turns; the text's form is arch/x86/kernel/cpu/proc.c's. */
  cpuInfo(): string {
    const { name, architecture, features, midr } = this.cpu;
    const family = (midr >>> 8) & 15;
    const model = ((midr >>> 4) & 15) | ((midr >>> 12) & 0xf0);
    return [
      'processor\t: 0',
      `vendor_id\t: ${architecture}`,
      `cpu family\t: ${family}`,
      `model\t\t: ${model}`,
      `model name\t: ${name}`,
      `stepping\t: ${midr & 15}`,
      'cpu MHz\t\t: 1000.000',
      'fdiv_bug\t: no',
      'f00f_bug\t: no',
      'coma_bug\t: no',
      'fpu\t\t: yes',
      'fpu_exception\t: yes',
      'wp\t\t: yes',
      `flags\t\t: ${features.join(' ')}`,
      'bugs\t\t:',
      'bogomips\t: 2000.00',
      'clflush size\t: 64',
      'cache_alignment\t: 64',
      'address sizes\t: 32 bits physical, 32 bits virtual',
      'power management:',
      '',
      '',
    ].join('\n');
  }

  syscallNumber(cpu: CpuView): number {
    if (cpu.i32[exitArgIndex] !== syscallVector) return -1;
    // A restart needs it when the result has overwritten it.
    const number = this.registers_.get(cpu, Reg.eax);
    this.registers_.setSlot(cpu, 'syscall', number);
    return number | 0;
  }

  argument(cpu: CpuView, n: number): number {
    return this.registers_.get(cpu, argumentRegisters[n]);
  }

  setResult(cpu: CpuView, value: number): void {
    this.registers_.set(cpu, Reg.eax, value);
  }

  restartSyscall(cpu: CpuView, _firstArgument: number, number?: number): void {
    const { registers_: registers } = this;
    registers.setPc(cpu, registers.pc(cpu) - 2);
    registers.set(cpu, Reg.eax, number ?? registers.slot(cpu, 'syscall'));
  }

  pc(cpu: CpuView): number {
    return this.registers_.pc(cpu);
  }

  setPc(cpu: CpuView, address: number): void {
    this.registers_.setPc(cpu, address);
  }

  stackPointer(cpu: CpuView): number {
    return this.registers_.get(cpu, Reg.esp);
  }

  setStackPointer(cpu: CpuView, value: number): void {
    this.registers_.set(cpu, Reg.esp, value);
  }

  clearExclusive(): void {}

  readTls(caller: Task, tls: number): (cpu: CpuView) => void {
    return this.tls.read(caller, tls);
  }

  /** Where the programs of today have it: the base of GS. */
  threadPointer(cpu: CpuView): number {
    return this.registers_.base(cpu, Seg.gs);
  }

  resetState(cpu: CpuView, segments: () => Iterable<SegmentBytes>): void {
    this.registers_.setSlot(cpu, 'sysenter', sysenterAddress);
    if (readsMxcsr(segments())) this.registers_.setSlot(cpu, 'sseTracked', 1);
  }

  /** modify_ldt has made a table. */
  setLdt(cpu: CpuView, address: number, bytes: number): void {
    this.registers_.setSlot(cpu, 'ldt', address);
    this.registers_.setSlot(cpu, 'ldtLimit', bytes);
  }

  registers(cpu: CpuView): readonly (readonly [string, number])[] {
    const { registers_: registers } = this;
    const rows: [string, number][] = generalNames.map((name, n) => [name, registers.get(cpu, n)]);
    rows.push(['eip', registers.pc(cpu)], ['efl', registers.eflags(cpu)]);
    segmentNames.forEach((name, n) => rows.push([name, registers.selector(cpu, n)]));
    return rows;
  }

  effectiveAccess(prot: number): number {
    return (prot & (Prot.WRITE | Prot.EXEC)) !== 0 ? prot | Prot.READ : prot;
  }

  mapKernelPages(mm: Mm): void {
    mapVdso(mm, this.cpu.features.includes('sep'));
  }

  kernelSymbol(address: number): string | null {
    return vdsoSymbol(address);
  }

  /** INT3 raises an exception of its own. */
  isBreakpoint(): boolean {
    return false;
  }

  exception(argument: number, pc: number): CpuException {
    return exceptionOf(argument, pc);
  }

  faultWords(cause: FaultCause): { readonly trapNumber: number; readonly errorCode: number } {
    switch (cause.kind) {
      case 'access':
        return pageFaultWords(cause.access, cause.mapped);
      case 'trap':
        return pageFaultWords(cause.access, false);
      case 'alignment':
        return { trapNumber: 17, errorCode: 0 };
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

  backtrace(task: Task): Backtrace {
    return i386Backtrace(this.registers_, task);
  }
}

const argumentRegisters = [Reg.ebx, Reg.ecx, Reg.edx, Reg.esi, Reg.edi, Reg.ebp];
const generalNames = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
const segmentNames = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
