import type { FaultCause } from '../abi/abi.ts';

/** Where a signal comes from (si_code, include/uapi/asm-generic/siginfo.h). */
export const SiCode = {
  SI_USER: 0,
  SI_KERNEL: 0x80,
  SI_QUEUE: -1,
  SI_TIMER: -2,
  SI_TKILL: -6,
  ILL_ILLOPC: 1,
  ILL_ILLOPN: 2,
  FPE_INTDIV: 1,
  FPE_FLTINV: 7,
  SEGV_MAPERR: 1,
  SEGV_ACCERR: 2,
  BUS_ADRALN: 1,
  BUS_ADRERR: 2,
  TRAP_BRKPT: 1,
  CLD_EXITED: 1,
  CLD_KILLED: 2,
  CLD_STOPPED: 5,
  CLD_CONTINUED: 6,
} as const;

interface Common {
  readonly signo: number;
  readonly code: number;
  /** si_errno; 0 when absent. */
  readonly errno?: number;
}

/** A signal with what is known about its cause: siginfo_t before it is laid out in guest memory. */
export type SigInfo =
  | (Common & { readonly kind: 'kernel' })
  | (Common & { readonly kind: 'kill'; readonly pid: number; readonly uid: number })
  | (Common & { readonly kind: 'queue'; readonly pid: number; readonly uid: number; readonly value: bigint })
  | (Common & { readonly kind: 'timer'; readonly timer: number; readonly overrun: number; readonly value: bigint })
  | (Common & {
      readonly kind: 'child';
      readonly pid: number;
      readonly uid: number;
      readonly status: number;
      /** Clock ticks. */
      readonly userTime: number;
      readonly systemTime: number;
    })
  | (Common & {
      readonly kind: 'fault';
      readonly address: number;
      readonly cause: FaultCause;
      /** The CPU's own words for signal frames (ARM: trap_no and error_code). */
      readonly trapNumber: number;
      readonly errorCode: number;
    })
  /** rt_sigqueueinfo's: the sender's bytes after si_code, as they are. */
  | (Common & { readonly kind: 'raw'; readonly bytes: Uint8Array });

export const sigInfoBytes = 128;

/** Lays a siginfo_t out: three ints, then the union, which begins at a pointer's alignment. */
export function encodeSigInfo(info: SigInfo, pointerBytes: 4 | 8): Uint8Array {
  const bytes = new Uint8Array(sigInfoBytes);
  const view = new DataView(bytes.buffer);
  const fields = pointerBytes === 8 ? 16 : 12;
  view.setInt32(0, info.signo, true);
  view.setInt32(4, info.errno ?? 0, true);
  view.setInt32(8, info.code, true);
  const setPointer = (offset: number, value: bigint): void => {
    if (pointerBytes === 8) view.setBigUint64(offset, BigInt.asUintN(64, value), true);
    else view.setUint32(offset, Number(BigInt.asUintN(32, value)), true);
  };
  switch (info.kind) {
    case 'kernel':
      break;
    case 'kill':
      view.setInt32(fields, info.pid, true);
      view.setUint32(fields + 4, info.uid, true);
      break;
    case 'queue':
      view.setInt32(fields, info.pid, true);
      view.setUint32(fields + 4, info.uid, true);
      setPointer(fields + 8, info.value);
      break;
    case 'timer':
      view.setInt32(fields, info.timer, true);
      view.setInt32(fields + 4, info.overrun, true);
      setPointer(fields + 8, info.value);
      break;
    case 'child':
      view.setInt32(fields, info.pid, true);
      view.setUint32(fields + 4, info.uid, true);
      view.setInt32(fields + 8, info.status, true);
      setPointer(fields + (pointerBytes === 8 ? 16 : 12), BigInt(info.userTime));
      setPointer(fields + (pointerBytes === 8 ? 24 : 16), BigInt(info.systemTime));
      break;
    case 'fault':
      setPointer(fields, BigInt(info.address));
      break;
    case 'raw':
      bytes.set(info.bytes.subarray(0, sigInfoBytes - 12), 12);
      break;
  }
  return bytes;
}
