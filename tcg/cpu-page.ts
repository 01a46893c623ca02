import { stateLayout } from '#util/state-layout.ts';

/**
 * The CPU page: the running CPU's hot state, in memory 0 above the guest's address range (V8 caches only memory 0's
 * base). It starts with this header, which belongs to the engine; the guest's own state (`Target.layout`) follows at
 * `guestStateStart`, and the interpreter's temporaries take the rest.
 */
export const cpuHeader = stateLayout(
  {
    /** Why generated code returned: an `ExitReason`. 0 while it runs. */
    exitReason: 'u32',
    /** Argument of the exit: SVC immediate, undefined encoding, fault site… */
    exitArg: 'u32',
    /** First guest address of the access that faulted (start of the access, not the faulting byte). */
    faultAddress: 'u32',
    /** Back-edges and calls left before generated code must return with `ExitReason.budget`; signed. */
    budget: 'u32',
    /** Where execution goes on: guest PC in the target's own encoding (ARM: bit 0 is the Thumb state). */
    pc: 'u32',
    /** Scratch of the engine: the T0 block to enter. */
    entry: 'u32',
    /** Machine mode: wasm address of the table that translates addresses now (`AddressTranslation`). */
    translation: 'u32',
    /** Machine mode: what the CPU mode adds to the keys of code pages (`AddressTranslation.emitCodeKey`). */
    modeKey: 'u32',
  },
  0,
);

export const guestStateStart = 64;
/** 32 bytes in the CPU area for accesses that are not served in place (`AddressTranslation`). */
export const accessScratch = 2048;
/** Interpreter temporaries: 16-byte cells, from here to the end of the CPU area. */
export const temporariesStart = 4096;
export const cpuAreaBytes = 65536;

/** Reasons for leaving generated code. Shared by both tiers, targets and both shells. */
export const ExitReason = {
  none: 0,
  /** Budget used up at a back-edge or call. */
  budget: 1,
  /** Supervisor call; exitArg = immediate; pc = the next instruction. */
  syscall: 2,
  /** Undefined or unimplemented instruction; exitArg = its encoding; pc = the instruction. */
  undefined: 3,
  /** Breakpoint instruction (BKPT); exitArg = immediate; pc = the instruction. */
  breakpoint: 4,
  /** A load or store the memory model refuses; faultAddress and exitArg (fault site) tell where. */
  fault: 5,
  /** Misaligned access that must be aligned (exclusives); faultAddress set; pc = the instruction. */
  alignment: 6,
  /** Instruction fetch refused; faultAddress = the address; pc = the instruction. */
  fetchFault: 7,
  /** CPU bits that change translation were written: the engine must look the mode up again. pc = next. */
  mode: 8,
  /** Code memory was changed by the instruction (cache maintenance); pc = next. */
  flush: 9,
  /** The next block is not translated; pc = its address. Engine-internal. */
  miss: 10,
  /** The block at pc reached the hot threshold. Engine-internal. */
  hot: 11,
  /** WFE/YIELD hint: the scheduler may run someone else; pc = next. */
  yield: 12,
  /**
   * A load or store that trapped in code whose faults nobody can observe: exitArg = access, pc = the instruction. Its
   * address is not known, and the registers are those of the last time the code was left.
   */
  trap: 13,
  /** WFI: nothing to do until an interrupt; pc = next. */
  halt: 14,
  /**
   * An exception of the CPU that none of the others is; exitArg is the target's own number for it, which the `Abi` of
   * the guest understands; pc as the CPU reports it.
   */
  exception: 15,
} as const;
export type ExitReason = (typeof ExitReason)[keyof typeof ExitReason];

/** What a region returns when it has left for the host: `cpuHeader.exitReason` tells why. No guest PC. */
export const leftRegion = -1;
