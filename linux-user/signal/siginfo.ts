import type { FaultCause } from '../abi/abi.ts';

/** Where a signal comes from (si_code, include/uapi/asm-generic/siginfo.h). */
export const SiCode = {
  SI_USER: 0,
  SI_KERNEL: 0x80,
  SI_QUEUE: -1,
  SI_TIMER: -2,
  SI_MESGQ: -3,
  SI_TKILL: -6,
  ILL_ILLOPC: 1,
  ILL_ILLOPN: 2,
  ILL_ILLTRP: 4,
  FPE_INTDIV: 1,
  FPE_FLTINV: 7,
  SEGV_MAPERR: 1,
  SEGV_ACCERR: 2,
  BUS_ADRALN: 1,
  BUS_ADRERR: 2,
  TRAP_BRKPT: 1,
  TRAP_TRACE: 2,
  SYS_SECCOMP: 1,
  CLD_EXITED: 1,
  CLD_KILLED: 2,
  CLD_TRAPPED: 4,
  CLD_STOPPED: 5,
  CLD_CONTINUED: 6,
} as const;

interface Common {
  readonly signo: number;
  readonly code: number;
  /** si_errno; 0 when absent. */
  readonly errno?: number;
}

/** The timer whose signal waits. */
export interface TimerSource {
  /** The signal has been taken: returns how often the timer came round meanwhile, and lets it go on. */
  taken(): number;
}

/** A signal with what is known about its cause: siginfo_t before it is laid out in guest memory. */
export type SigInfo =
  | (Common & { readonly kind: 'kernel' })
  | (Common & { readonly kind: 'kill'; readonly pid: number; readonly uid: number })
  | (Common & { readonly kind: 'queue'; readonly pid: number; readonly uid: number; readonly value: bigint })
  | (Common & {
      readonly kind: 'timer';
      readonly timer: number;
      readonly overrun: number;
      readonly value: bigint;
      readonly source: TimerSource;
    })
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
  /** A system call that a filter has trapped. */
  | (Common & {
      readonly kind: 'call';
      readonly address: number;
      readonly number: number;
      /** AUDIT_ARCH_*. */
      readonly arch: number;
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
    case 'call':
      setPointer(fields, BigInt(info.address));
      view.setInt32(fields + pointerBytes, info.number, true);
      view.setUint32(fields + pointerBytes + 4, info.arch, true);
      break;
    case 'raw':
      bytes.set(info.bytes.subarray(0, sigInfoBytes - 12), 12);
      break;
  }
  return bytes;
}

export const signalFdBytes = 128;

/** struct signalfd_siginfo: the same facts in words of their own. */
export function encodeSignalFd(info: SigInfo): Uint8Array {
  const bytes = new Uint8Array(signalFdBytes);
  const view = new DataView(bytes.buffer);
  const word = (offset: number, value: number): void => view.setInt32(offset, value, true);
  const value = (bits: bigint): void => {
    word(44, Number(BigInt.asIntN(32, bits)));
    view.setBigUint64(48, bits, true);
  };
  word(0, info.signo);
  word(4, info.errno ?? 0);
  word(8, info.code);
  switch (info.kind) {
    case 'kernel':
      break;
    case 'kill':
    case 'queue':
    case 'child':
      word(12, info.pid);
      word(16, info.uid);
      break;
    case 'timer':
      word(24, info.timer);
      word(32, info.overrun);
      value(info.value);
      break;
    case 'fault':
      view.setBigUint64(72, BigInt(info.address), true);
      break;
    case 'call':
      word(84, info.number);
      view.setBigUint64(88, BigInt(info.address), true);
      word(96, info.arch);
      break;
    case 'raw': {
      const sent = new DataView(info.bytes.buffer, info.bytes.byteOffset);
      word(12, sent.getInt32(0, true));
      word(16, sent.getInt32(4, true));
      value(BigInt(sent.getUint32(8, true)));
      break;
    }
  }
  if (info.kind === 'queue') value(info.value);
  if (info.kind === 'child') {
    word(40, info.status);
    view.setBigUint64(56, BigInt(info.userTime), true);
    view.setBigUint64(64, BigInt(info.systemTime), true);
  }
  return bytes;
}
