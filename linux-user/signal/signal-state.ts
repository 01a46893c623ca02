import { signalCount } from './numbers.ts';
import type { SigInfo, TimerSource } from './siginfo.ts';

/** sa_handler's two special values. */
export const SIG_DFL = 0;
export const SIG_IGN = 1;

/** sa_flags (include/uapi/asm-generic/signal-defs.h). */
export const SaFlags = {
  SA_NOCLDSTOP: 1,
  SA_NOCLDWAIT: 2,
  SA_SIGINFO: 4,
  SA_UNSUPPORTED: 0x400,
  SA_EXPOSE_TAGBITS: 0x800,
  SA_RESTORER: 0x0400_0000,
  SA_ONSTACK: 0x0800_0000,
  SA_RESTART: 0x1000_0000,
  SA_NODEFER: 0x4000_0000,
  SA_RESETHAND: 0x8000_0000,
} as const;

/** One disposition: struct sigaction in the kernel's words. All numbers are u32. */
export interface SigAction {
  readonly handler: number;
  readonly flags: number;
  readonly restorer: number;
  readonly mask: bigint;
}

export const defaultSigAction: SigAction = { handler: SIG_DFL, flags: 0, restorer: 0, mask: 0n };

/** sigaltstack's ss_flags. */
export const SsFlags = { SS_ONSTACK: 1, SS_DISABLE: 2, SS_AUTODISARM: 0x8000_0000 } as const;

/** stack_t. */
export interface AltStack {
  readonly sp: number;
  readonly size: number;
  readonly flags: number;
}

export const noAltStack: AltStack = { sp: 0, size: 0, flags: SsFlags.SS_DISABLE };

/** Signals that wait: one of each standard signal, any number of each real-time signal, lowest number first. */
export class PendingSignals {
  private readonly queue: SigInfo[] = [];
  /** Bit mask of the signals that wait. */
  mask = 0n;

  /** How many wait. */
  get length(): number {
    return this.queue.length;
  }

  /** Queues a signal. A standard signal that waits already is not queued twice, but for those of timers. */
  add(info: SigInfo): void {
    const bit = 1n << BigInt(info.signo - 1);
    if (info.signo < 32 && (this.mask & bit) !== 0n && info.kind !== 'timer') return;
    this.mask |= bit;
    this.queue.push(info);
  }

  /** Takes out the first signal of `wanted` (a mask), synchronous ones before others; undefined if there is none. */
  take(wanted: bigint, first = 0n): SigInfo | undefined {
    const candidates = this.mask & wanted;
    if (candidates === 0n) return undefined;
    const preferred = (candidates & first) !== 0n ? candidates & first : candidates;
    const lowest = preferred & -preferred;
    const signo = lowest.toString(2).length;
    const index = this.queue.findIndex((info) => info.signo === signo);
    const [info] = this.queue.splice(index, 1);
    if (!this.queue.some((other) => other.signo === signo)) this.mask &= ~lowest;
    return info.kind === 'timer' ? { ...info, overrun: info.source.taken() } : info;
  }

  /** Takes back the signals of a timer. */
  dropTimer(source: TimerSource): void {
    const index = this.queue.findIndex((info) => info.kind === 'timer' && info.source === source);
    if (index < 0) return;
    const [{ signo }] = this.queue.splice(index, 1);
    if (!this.queue.some((other) => other.signo === signo)) this.mask &= ~(1n << BigInt(signo - 1));
  }

  /** Drops all signals of `mask`. */
  discard(mask: bigint): void {
    if ((this.mask & mask) === 0n) return;
    this.mask &= ~mask;
    for (let i = this.queue.length - 1; i >= 0; i--) {
      const info = this.queue[i];
      if (((mask >> BigInt(info.signo - 1)) & 1n) === 0n) continue;
      this.queue.splice(i, 1);
      if (info.kind === 'timer') info.source.taken();
    }
  }
}

/** Signal state of one thread. */
export class TaskSignals {
  blocked = 0n;
  /** The mask before sigtimedwait took its signals out of `blocked`: they count as blocked for being ignored. */
  realBlocked = 0n;
  readonly pending: PendingSignals = new PendingSignals();
  altStack: AltStack = noAltStack;
  /** The mask to go back to when the call that replaced it for its own time (sigsuspend, ppoll) ends; else null. */
  savedMask: bigint | null = null;
}

/** Signal state that the threads of a process share. */
export class ProcessSignals {
  /** Index 1…64. */
  readonly actions: SigAction[];
  readonly pending: PendingSignals;

  constructor(
    actions: SigAction[] = new Array<SigAction>(signalCount + 1).fill(defaultSigAction),
    pending: PendingSignals = new PendingSignals(),
  ) {
    this.actions = actions;
    this.pending = pending;
  }
}
