import { Signal } from '../signal/numbers.ts';
import { SiCode } from '../signal/siginfo.ts';
import type { CpuException } from './abi.ts';

interface Exception {
  readonly name: string;
  readonly signo: number;
  readonly code: number;
  /** si_addr is the instruction. */
  readonly addressed?: true;
}

/** The signals of exceptions by vector (arch/x86/kernel/traps.c). */
const exceptions: Readonly<Record<number, Exception>> = {
  0: { name: 'divide error', signo: Signal.SIGFPE, code: SiCode.FPE_INTDIV, addressed: true },
  1: { name: 'debug', signo: Signal.SIGTRAP, code: SiCode.TRAP_BRKPT, addressed: true },
  3: { name: 'breakpoint', signo: Signal.SIGTRAP, code: SiCode.SI_KERNEL },
  4: { name: 'overflow', signo: Signal.SIGSEGV, code: SiCode.SI_KERNEL },
  5: { name: 'bound range', signo: Signal.SIGSEGV, code: SiCode.SI_KERNEL },
  11: { name: 'segment not present', signo: Signal.SIGBUS, code: SiCode.SI_KERNEL },
  12: { name: 'stack segment', signo: Signal.SIGBUS, code: SiCode.SI_KERNEL },
  13: { name: 'general protection', signo: Signal.SIGSEGV, code: SiCode.SI_KERNEL },
  17: { name: 'alignment check', signo: Signal.SIGBUS, code: SiCode.BUS_ADRALN },
  16: { name: 'x87', signo: Signal.SIGFPE, code: SiCode.FPE_FLTINV, addressed: true },
  19: { name: 'SIMD', signo: Signal.SIGFPE, code: SiCode.FPE_FLTINV, addressed: true },
};

/** The signal of the exception whose vector is in bits 7:0 of `argument`, and its error code in those above. */
export function exceptionOf(argument: number, pc: number): CpuException {
  const vector = argument & 0xff;
  if (argument === singleStep) return { ...exceptionOf(vector, pc), code: SiCode.TRAP_TRACE };
  const exception = exceptions[vector];
  if (exception === undefined) throw new Error(`exception ${vector} at pc 0x${pc.toString(16)}`);
  const { name, signo, code, addressed } = exception;
  const cause = { kind: 'exception', name, vector, errorCode: argument >>> 8 } as const;
  return { signo, code, address: addressed ? pc : 0, cause };
}

/** #DB with DR6.BS for its error code, which it has none of: the step of EFLAGS.TF. */
const singleStep = 1 | (0x4000 << 8);

/** Bits of a page fault's error code (SDM vol. 3, 4.7). */
const PageFault = { present: 1, write: 2, user: 4, fetch: 0x10 } as const;

/** What the CPU pushes for a refused access. */
export function pageFaultWords(access: 'read' | 'write' | 'fetch', mapped: boolean) {
  const kind = access === 'write' ? PageFault.write : access === 'fetch' ? PageFault.fetch : 0;
  return { trapNumber: 14, errorCode: PageFault.user | (mapped ? PageFault.present : 0) | kind };
}
