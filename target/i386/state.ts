import { guestStateStart } from '#tcg/cpu-page.ts';
import { stateLayout } from '#util/state-layout.ts';

/**
 * The user-level state of an IA-32 CPU (SDM vol. 1, 3.4).
 *
 * The status flags are kept apart, each in the form that is cheapest to make:
 * ZF is set if `zf` is 0; SF is bit 31 of `sf`, and PF is set if the low byte of `sf` has an even number of bits; CF is
 * `cf` (0 or 1); OF is bit 31 of `of`; AF is bit 4 of `af` XOR `sf`. An addition thus stores its result twice, and for
 * AF the XOR of its operands, which OF needs too.
 */
export const i386State = stateLayout(
  {
    /** EAX ECX EDX EBX ESP EBP ESI EDI. */
    r: ['u32', 8],
    zf: 'u32',
    sf: 'u32',
    cf: 'u32',
    of: 'u32',
    af: 'u32',
    /** What a string instruction adds to its pointers, in elements: 1, or −1 while DF is set. */
    df: 'u32',
    /** EFLAGS bits that nothing but POPF changes: TF, NT, AC, ID, in place. */
    eflags: 'u32',
    /** ES CS SS DS FS GS: selectors. */
    segment: ['u32', 6],
    /** Bases of the same. */
    base: ['u32', 6],
    /** Their descriptors as they were when the registers were loaded (SDM vol. 3, 3.4.3: the hidden part). */
    descriptor: ['u64', 6],
    /** What `modes.ts` found out about them, 0 after each change. */
    segments: 'u32',
    /** EFLAGS.TF has let an instruction run: the next one is to be preceded by a debug exception. */
    stepped: 'u32',
    /** The thread's three TLS descriptors of the GDT, as the CPU has them; 0 for an empty one. */
    tls: ['u64', 3],
    /** Guest address and bytes of the local descriptor table. */
    ldt: 'u32',
    ldtLimit: 'u32',
    /** Address of the `int 0x80` in the vDSO that SYSENTER comes to; 0 without a vDSO. */
    sysenter: 'u32',
    /** EAX of the last system call, which its result overwrites. */
    syscall: 'u32',
    /** x87: control word; status word without TOP; TOP (0…7); tag word with a bit per *physical* register, 1 if empty. */
    fctrl: 'u32',
    fstat: 'u32',
    ftop: 'u32',
    ftag: 'u32',
    /** Last x87 instruction: opcode (11 bits), its address, its operand's address. */
    fop: 'u32',
    fip: 'u32',
    fdp: 'u32',
    mxcsr: 'u32',
    /** 1 once a program has used the exception flags of MXCSR: they are kept from then on. */
    sseTracked: 'u32',
    /**
     * x87 registers, each in 16 bytes: the 64-bit significand (which is the MMX register), then sign and exponent in
     * 16 bits.
     */
    st: ['v128', 8],
    /** A memory operand of an x87 or SSE instruction, on its way to or from the helper that works on it. */
    operand: 'v128',
    xmm: ['v128', 8],
  },
  guestStateStart,
);

/** General registers by number. */
export const Reg = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 } as const;
/** Segment registers by number. */
export const Seg = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5 } as const;

/** Byte offset of general register n. */
export const slotR = (n: number): number => i386State.fields.r.offset + 4 * n;
/** Byte offset of the selector and of the base of segment register n. */
export const slotSegment = (n: number): number => i386State.fields.segment.offset + 4 * n;
export const slotBase = (n: number): number => i386State.fields.base.offset + 4 * n;
/** Byte offset of the descriptor in segment register n. */
export const slotDescriptor = (n: number): number => i386State.fields.descriptor.offset + 8 * n;
/** Byte offset of XMM register n. */
export const slotXmm = (n: number): number => i386State.fields.xmm.offset + 16 * n;
/** Byte offset of x87 register slot n; the MMX register is its first 8 bytes. */
export const slotSt = (n: number): number => i386State.fields.st.offset + 16 * n;

/** EFLAGS bits (SDM vol. 1, 3.4.3). */
export const Eflags = {
  cf: 1,
  /** Bit 1 is always set. */
  fixed: 2,
  pf: 4,
  af: 0x10,
  zf: 0x40,
  sf: 0x80,
  tf: 0x100,
  if: 0x200,
  df: 0x400,
  of: 0x800,
  nt: 0x4000,
  rf: 0x1_0000,
  ac: 0x4_0000,
  id: 0x20_0000,
} as const;

/** What Linux gives a program: SDM user selectors as its i386 GDT has them (arch/x86/include/asm/segment.h). */
export const Selector = { userCode: 0x73, userData: 0x7b, firstTls: 6 } as const;

/** Fields of a descriptor (SDM vol. 3, 3.4.5), of its high word. */
export const Descriptor = {
  present: 0x8000,
  user: 0x6000,
  nonSystem: 0x1000,
  /** Code or data; expand-down or conforming; writable or readable. */
  kind: 0xe00,
  code: 0x800,
  expandDown: 0x400,
  writable: 0x200,
  readable: 0x200,
  /** Bits 19:16 of the limit. */
  limit: 0xf_0000,
  big: 0x40_0000,
  granular: 0x80_0000,
} as const;
/** The flat segments of user mode. */
export const flatLow = 0xffff;
export const flatDataHigh = 0x00cf_f300;
export const flatCodeHigh = 0x00cf_fb00;

/** Exception vectors (SDM vol. 3, 6.3.1) that user mode can raise. */
export const Vector = {
  /** #DE: division. */
  divide: 0,
  /** #DB: single step, INT1. */
  debug: 1,
  /** #BP: INT3. */
  breakpoint: 3,
  /** #OF: INTO. */
  overflow: 4,
  /** #BR: BOUND. */
  bound: 5,
  /** #NP: segment not present. */
  notPresent: 11,
  /** #SS. */
  stack: 12,
  /** #GP. */
  protection: 13,
  /** #AC. */
  alignment: 17,
  /** #MF: x87. */
  x87: 16,
  /** #XM: SSE. */
  simd: 19,
} as const;
