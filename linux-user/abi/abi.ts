import type { CpuView } from '#tcg/target.ts';
import type { Mm } from '../mm/mm.ts';
import type { SigInfo } from '../signal/siginfo.ts';
import type { SigAction } from '../signal/signal-state.ts';
import type { Task } from '../task.ts';
import type { SegmentBytes } from './mxcsr-readers.ts';

/** Offsets of the fields of a struct in guest memory, and its size in bytes. */
export interface StructLayout<Fields extends string> {
  readonly bytes: number;
  readonly at: Readonly<Record<Fields, number>>;
}

export type Stat64Field =
  | 'dev'
  | 'ino32'
  | 'mode'
  | 'nlink'
  | 'uid'
  | 'gid'
  | 'rdev'
  | 'size'
  | 'blksize'
  | 'blocks'
  | 'atime'
  | 'atimeNsec'
  | 'mtime'
  | 'mtimeNsec'
  | 'ctime'
  | 'ctimeNsec'
  | 'ino';

/** open(2) flags whose values differ between architectures. */
export interface OpenFlags {
  readonly O_DIRECTORY: number;
  readonly O_NOFOLLOW: number;
  readonly O_DIRECT: number;
  readonly O_LARGEFILE: number;
}

/**
 * What the kernel layer must know of one guest architecture: registers of a system call, layouts that differ between
 * architectures, signal frames, and the words of the ELF auxiliary vector. `cpu` is a view of a task's CPU state
 * (`Task.cpu`), running or not.
 */
export interface Abi {
  /** As in `tsemu-<name>`. */
  readonly name: string;
  /** uname -m. */
  readonly machine: string;
  /** AT_PLATFORM. */
  readonly platform: string;
  /** e_machine, ELF class (1: 32-bit, 2: 64-bit) and data encoding (1: little-endian). */
  readonly elf: { readonly machine: number; readonly class: 1 | 2; readonly data: 1 | 2 };
  /** Bytes of a pointer and of a C long. */
  readonly pointerBytes: 4 | 8;
  /** Alignment of 64-bit integers in structs. */
  readonly align64: 4 | 8;
  /** First address that user mode cannot map. */
  readonly taskSize: number;
  /** Load address of a position-independent program without an interpreter's say. */
  readonly pieBase: number;
  /** SHMLBA, where shmat takes no other addresses: bytes. Without it any page will do. */
  readonly attachAlignment?: number;
  readonly hwcap: number;
  readonly hwcap2: number;
  /** Further words of the auxiliary vector. */
  readonly auxiliary: readonly (readonly [type: number, value: number])[];
  /** The text of /proc/cpuinfo; without it the guest sees the host's. */
  cpuInfo?(): string;
  readonly openFlags: OpenFlags;
  readonly stat64: StructLayout<Stat64Field>;

  // ---- system calls

  /** The number asked for; -1 for a supervisor call that is none. */
  syscallNumber(cpu: CpuView): number;
  /** Register argument `n` (0…) as u32. */
  argument(cpu: CpuView, n: number): number;
  /** True: a 64-bit argument starts at an even register index. */
  readonly alignPairs: boolean;
  setResult(cpu: CpuView, value: number): void;
  /**
   * Makes the CPU run the system call again that ended last: PC back onto the instruction, the first argument (which
   * the result has overwritten) as it was, and, if given, another call number.
   */
  restartSyscall(cpu: CpuView, firstArgument: number, number?: number): void;
  /** Number of restart_syscall. */
  readonly restartSyscallNumber: number;

  // ---- registers

  /** Plain address of the PC. */
  pc(cpu: CpuView): number;
  /** Sets the PC to a plain address, in the same instruction set. Without it there are no restartable sequences. */
  setPc?(cpu: CpuView, address: number): void;
  stackPointer(cpu: CpuView): number;
  /**
   * What CLONE_SETTLS asks of a new thread: `tls` is its thread pointer or what describes it in the caller's memory.
   * Returns what sets it. Throws Errno.
   */
  readTls(caller: Task, tls: number): (cpu: CpuView) => void;
  threadPointer(cpu: CpuView): number;
  setStackPointer(cpu: CpuView, value: number): void;
  /**
   * Adds what the kernel decides to the state that `Target.reset` has made for a new program, of which `segments` gives
   * what is mapped of its file.
   */
  resetState(cpu: CpuView, segments: () => Iterable<SegmentBytes>): void;
  /** Another thread is about to run: an open exclusive access (load-linked) has failed. */
  clearExclusive(cpu: CpuView): void;
  /** Register names and values (u32) in the order a report prints them. */
  registers(cpu: CpuView): readonly (readonly [name: string, value: number])[];

  // ---- memory

  /** The permission bits the hardware gives for PROT_* bits (ARM: writable and executable pages are readable). */
  effectiveAccess(prot: number): number;
  /** Maps what the kernel puts into every address space at fixed addresses (ARM: the vector page). */
  mapKernelPages(mm: Mm): void;
  /** The name of the kernel-provided code at `address`, or null. */
  kernelSymbol(address: number): string | null;

  // ---- signals

  /** Is this undefined encoding the one that debuggers put for a breakpoint? Then it raises SIGTRAP. */
  isBreakpoint(encoding: number): boolean;
  /** si_code of the SIGILL of an undefined instruction. */
  readonly undefinedCode: number;
  /** The signal of an exception at `pc` that is the guest CPU's own; `argument` is that of ExitReason.exception. */
  exception(argument: number, pc: number): CpuException;
  /** What the CPU tells a handler about a fault. */
  faultWords(cause: FaultCause): { readonly trapNumber: number; readonly errorCode: number };

  /**
   * Builds the frame for a handler on the stack and sets the registers that enter it. Returns false if the frame
   * cannot be written: the caller then forces SIGSEGV.
   */
  pushSignalFrame(task: Task, info: SigInfo, action: SigAction, savedMask: bigint): boolean;
  /** Restores what pushSignalFrame saved. Returns false for a bad frame: the caller then forces SIGSEGV. */
  popSignalFrame(task: Task, realTime: boolean): boolean;

  /** p_type of the segment with the tables that `backtrace` unwinds by; 0 for none. */
  readonly unwindSegment: number;
  /** The chain of callers of a stopped task, innermost first, for a report. */
  backtrace(task: Task, images: ImageFinder): Backtrace;
}

/** The signal of an exception. */
export interface CpuException {
  readonly signo: number;
  readonly code: number;
  /** si_addr. */
  readonly address: number;
  readonly cause: FaultCause;
}

/** Why an instruction could not be carried out. */
export type FaultCause =
  | { readonly kind: 'access'; readonly access: 'read' | 'write' | 'fetch'; readonly mapped: boolean }
  /** An access that nobody can handle: its address is not known (ExitReason.trap). */
  | { readonly kind: 'trap'; readonly access: 'read' | 'write' }
  | { readonly kind: 'alignment'; readonly write: boolean }
  | { readonly kind: 'undefined' }
  /** Of `Abi.exception`; `name` is the manual's. */
  | { readonly kind: 'exception'; readonly name: string; readonly vector: number; readonly errorCode: number }
  | { readonly kind: 'breakpoint' };

/** Return addresses, plain, and in words how they were found and so how sure they are. */
export interface Backtrace {
  readonly how: string;
  readonly addresses: readonly number[];
}

/** The ELF file mapped at a code address, as unwinding needs it, or null. */
export type ImageFinder = (address: number) => {
  /** The segment of type `Abi.unwindSegment` in memory. */
  readonly unwindTable: { readonly start: number; readonly end: number } | null;
} | null;
