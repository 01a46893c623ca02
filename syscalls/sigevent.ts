import type { GuestMemory } from '#accel/guest-memory.ts';
import { signalName } from '#linux-user/signal/numbers.ts';
import { hex, named } from './print.ts';

/** sigev_notify. */
export const Notify = { SIGEV_SIGNAL: 0, SIGEV_NONE: 1, SIGEV_THREAD: 2, SIGEV_THREAD_ID: 4 } as const;

/** struct sigevent (sigevent(3type)). */
export interface SigEvent {
  /** sigev_value: a pointer's bits. */
  readonly value: bigint;
  readonly signo: number;
  readonly notify: number;
  /** sigev_notify_thread_id. */
  readonly tid: number;
}

/** Reads a struct sigevent; EFAULT. */
export function loadSigEvent(memory: GuestMemory, at: number, pointerBytes: 4 | 8): SigEvent {
  const value = pointerBytes === 8 ? memory.load64(at) : BigInt(memory.load32(at));
  const [signo, notify, tid] = [0, 4, 8].map((offset) => memory.load32(at + pointerBytes + offset) | 0);
  return { value, signo, notify, tid };
}

/** As strace shows it. */
export function printSigEvent(memory: GuestMemory, at: number): string {
  const { value, signo, notify } = loadSigEvent(memory, at, 4);
  const shown = signo > 0 && signo <= 64 ? signalName(signo) : String(signo);
  return `{sigev_value={sival_ptr=${hex(Number(value))}}, sigev_signo=${shown}, sigev_notify=${named(notify, Notify)}}`;
}
