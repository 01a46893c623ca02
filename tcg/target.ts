import type { StateLayout } from '#util/state-layout.ts';
import type { Builder } from './builder.ts';

/** What a helper sees of the running CPU: typed views that start at the CPU page (byte offsets as in the layout). */
export interface CpuView {
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
}

/** A function generated code calls for what IR cannot say in a few ops. */
export interface Helper {
  readonly name: string;
  /** True: neither reads nor writes state or memory; the result depends on the operands only. */
  readonly pure?: true;
  /** Operands and result are i32 (signed); the result is ignored where there is none. */
  readonly call: (cpu: CpuView, a: number, b: number, c: number) => number;
}

/** Guest code as the translator reads it. */
export interface CodeReader {
  /** The byte at `address`, or -1 where fetching is refused. */
  fetch8(address: number): number;
  /** The little-endian halfword at `address`, or -1 where fetching is refused. */
  fetch16(address: number): number;
  /** The little-endian word at `address` as i32; check `fetchable` first. */
  fetch32(address: number): number;
  /** True if [address, address + bytes) may be executed. */
  fetchable(address: number, bytes: number): boolean;
  /**
   * True if [address, address + bytes) is readable and not writable: what is read there while translating
   * (jump tables, literal pools) stays true as long as the translation lives.
   */
  constant(address: number, bytes: number): boolean;
}

/** One block being translated. The loop in `translator.ts` owns it; the target's `insn` advances it. */
export interface DisasContext {
  readonly b: Builder;
  readonly code: CodeReader;
  /** Plain address of the instruction being translated. */
  pc: number;
  /** CPU bits that change translation (`Target.mode`), fixed for the block. */
  readonly mode: number;
  /**
   * Set by the target when it has ended the block with a terminal outside any `if`, or wants the loop to end it
   * (`stop`) with a jump to `pc`.
   */
  done: boolean;
  stop: boolean;
  /**
   * The block may run on past a conditional branch: the target then emits `if … jump … endif` and goes on, unless the
   * next instruction is a leader.
   */
  readonly extended: boolean;
  /** True if another block begins at this PC (target's encoding). */
  readonly isLeader: ((pc: number) => boolean) | undefined;
  /** The target's own state for this block. */
  readonly target: unknown;
}

/** What programs learn about a CPU, in the words of Linux. */
export interface CpuIdentity {
  /** AT_PLATFORM and uname's machine. */
  readonly platform: string;
  readonly machine: string;
  /** "model name" and "CPU architecture" of /proc/cpuinfo (x86: "vendor_id"). */
  readonly name: string;
  readonly architecture: string;
  /** The main ID register: implementer, variant, part number, revision (x86: EAX of CPUID.1). */
  readonly midr: number;
  /** The "Features" (x86: "flags") of /proc/cpuinfo. */
  readonly features: readonly string[];
  /** AT_HWCAP, where the CPU has a word for it. */
  readonly hwcap?: number;
}

/** A guest CPU: how to decode it and what its state is. Implemented in `target/<arch>/`. */
export interface Target<BlockState = unknown> {
  readonly name: string;
  readonly layout: StateLayout;
  /** Byte ranges [start, end) of slots whose value need not be exact at a fault nobody can observe (flags). */
  readonly lazySlots: readonly (readonly [number, number])[];
  readonly helpers: readonly Helper[];
  /** Which CPU this is, where there are several. */
  readonly identity?: CpuIdentity;
  /**
   * True: a store into code takes effect by itself. Otherwise the guest tells when it has changed code (system call,
   * exit `flush`).
   */
  readonly coherentCode?: true;
  /** Plain address of a PC in the target's encoding. */
  address(pc: number): number;
  /** The CPU bits that change translation and are not in the PC. 0 is the usual mode. */
  mode(cpu: CpuView): number;
  /** New per-block state for a block that starts at `pc` in `mode`, to be built with `b` from `code`. */
  begin(pc: number, mode: number, b: Builder, code: CodeReader): BlockState;
  /**
   * Translates the instruction at `context.pc` and advances `context.pc` past it. Begins with `b.insn(…)`. If the
   * instruction cannot be fetched, emits `exit(fetchFault)`.
   */
  insn(context: DisasContext & { readonly target: BlockState }): void;
  /** May a block end before the instruction at `context.pc`? (ARM: not inside an IT block.) */
  canStop(context: DisasContext & { readonly target: BlockState }): boolean;
  /** The PC in the target's encoding for `context.pc`. */
  encodePc(context: DisasContext & { readonly target: BlockState }): number;
  /** Puts the aux word of `b.insn` back into the state: the instruction faulted, and the guest may look. */
  restoreAux?(cpu: CpuView, aux: number): void;
  /** Resets the state as exec leaves it, with the entry PC (target's encoding) and stack pointer. */
  reset(cpu: CpuView, pc: number, stackPointer: number): void;
  /** Assembly text of the instruction at `address` for dumps, without a disassembler library. */
  describe(code: CodeReader, pc: number): { text: string; bytes: number };
  /** The registers as lines of text, for `-d cpu`; with the floating-point ones if `fpu`. */
  describeState?(cpu: CpuView, fpu: boolean): string;
}
