import { guestStateStart } from '#tcg/cpu-page.ts';
import { stateLayout } from '#util/state-layout.ts';

/**
 * The user-level state of an AArch32 CPU (DDI 0406C B1.3, A2.6).
 *
 * The condition flags are kept apart, each in the form that is cheapest to make:
 * N is bit 31 of `nf`; Z is set if `zf` is 0; C is `cf` (0 or 1); V is bit 31 of `vf`.
 * The PC is the engine's `cpuHeader.pc`: bit 0 is the Thumb state (T bit).
 */
export const armState = stateLayout(
  {
    /** R0…R14; R15 is only in the header's `pc`. */
    r: ['u32', 15],
    nf: 'u32',
    zf: 'u32',
    cf: 'u32',
    vf: 'u32',
    /** Q: cumulative saturation, 0 or 1. */
    qf: 'u32',
    /** GE[3:0] in bits 3:0. */
    ge: 'u32',
    /** ITSTATE[7:0] at a block that starts inside an IT block (after a signal return); otherwise 0. */
    itstate: 'u32',
    /** CPSR.E: 1 for big-endian data. */
    endian: 'u32',
    /** FPSCR but for N Z C V, which are in `fpNzcv`. */
    fpscr: 'u32',
    /** FPSCR[31:28] in place. */
    fpNzcv: 'u32',
    /**
     * Whether the cumulative flags of FPSCR are kept (see `vfp-fpscr.ts`): 0 no, 1 for good, 2 until FPSCR is written
     * with `fpOpened`, its value before.
     */
    fpTracked: 'u32',
    fpOpened: 'u32',
    /** TPIDRURO: the thread pointer read by CP15 c13 c0 3. */
    tpidruro: 'u32',
    /** TPIDRURW: the user read/write thread ID register, CP15 c13 c0 2. */
    tpidrurw: 'u32',
    /** Address of the open exclusive access, or -1; and the value read, low and high word. */
    exclusiveAddress: 'u32',
    exclusiveLow: 'u32',
    exclusiveHigh: 'u32',
    /** D0…D31; S and Q registers overlap them (S2n is the low word of Dn, Q(n/2) the pair). */
    d: ['v128', 16],
  },
  guestStateStart,
);

/** Byte offset of general register n (0…14). */
export const slotR = (n: number): number => armState.fields.r.offset + 4 * n;
/** Byte offset of S register n (0…31). */
export const slotS = (n: number): number => armState.fields.d.offset + 4 * n;
/** Byte offset of D register n (0…31). */
export const slotD = (n: number): number => armState.fields.d.offset + 8 * n;
/** Byte offset of Q register n (0…15). */
export const slotQ = (n: number): number => armState.fields.d.offset + 16 * n;
