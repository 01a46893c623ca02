import { type StateLayout, stateLayout } from '#util/state-layout.ts';
import { armState } from './state.ts';

/** What machine mode has besides the user-level state (DDI 0406C B1.3): all of it the running mode's. */
export const systemState = stateLayout(
  {
    /** CPSR.M. */
    mode: 'u32',
    /** CPSR.A, I and F in place (bits 8 to 6): 1 masks. */
    mask: 'u32',
    /** Interrupt lines that are up, in place of their mask bits: 0x80 IRQ, 0x40 FIQ. */
    lines: 'u32',
    /** SPSR of the mode. */
    spsr: 'u32',
    /** SP and LR of User and System mode while another mode runs. */
    userSp: 'u32',
    userLr: 'u32',
    /** 1 if floating-point instructions may run at this privilege (CPACR, FPEXC.EN). */
    fpEnabled: 'u32',
    tpidrprw: 'u32',
    dacr: 'u32',
    /** The event register (B1.8.13), which WFE waits for: 0 or 1. */
    event: 'u32',
    /** SEV was executed: the other cores are to be told. */
    eventSent: 'u32',
  },
  armState.end,
);

/** Both layouts as one. */
export const systemLayout: StateLayout = {
  fields: { ...armState.fields, ...systemState.fields },
  start: armState.start,
  end: systemState.end,
  offset: (name, index) =>
    name in armState.fields
      ? armState.offset(name as keyof typeof armState.fields, index)
      : systemState.offset(name as keyof typeof systemState.fields, index),
  describe: (offset) => (offset < armState.end ? armState.describe(offset) : systemState.describe(offset)),
};

/** CPSR.M values (B1.3.1). */
export const Mode = {
  user: 0x10,
  fiq: 0x11,
  irq: 0x12,
  supervisor: 0x13,
  abort: 0x17,
  undefined: 0x1b,
  system: 0x1f,
} as const;

/** CPSR bits. */
export const Psr = {
  n: 1 << 31,
  z: 1 << 30,
  c: 1 << 29,
  v: 1 << 28,
  q: 1 << 27,
  e: 1 << 9,
  a: 1 << 8,
  i: 1 << 7,
  f: 1 << 6,
  t: 1 << 5,
  modeMask: 0x1f,
  masks: 0x1c0,
} as const;
