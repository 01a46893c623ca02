/** Bits of `Target.mode` for ARM: ITSTATE, CPSR.E, and the FPSCR bits under which floating point is not the plain one. */
export const ModeBits = {
  itstate: 0xff,
  bigEndian: 0x100,
  /** FPSCR DN, FZ, RMode, Stride and Len, where FPSCR has them; bit 9: cumulative flags are kept. See `fpMode`. */
  fpscr: 0x03f70200,
  /** Machine mode: the code runs at PL1. */
  privileged: 0x400,
  /** Machine mode: what User mode may read of the counters (CNTKCTL.PL0PCTEN, PL0VCTEN). */
  userCounters: 0x3000,
  /** Machine mode: CPACR lets floating-point system registers be accessed. */
  fpAccess: 0x4000,
} as const;
