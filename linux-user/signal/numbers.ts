/** Signal numbers (include/uapi/asm-generic/signal.h; the same on ARM and x86). */
export const Signal = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;
export type SignalName = keyof typeof Signal;

/** Signals are 1…64; those from 32 on are real-time: queued in order, each with its siginfo. */
export const signalCount = 64;
export const firstRealTime = 32;

const names: readonly (SignalName | undefined)[] = (() => {
  const byNumber: (SignalName | undefined)[] = [];
  for (const name of Object.keys(Signal) as SignalName[]) byNumber[Signal[name]] = name;
  return byNumber;
})();

/** `SIGSEGV`, `SIGRT_3`; real-time signals are counted from the kernel's SIGRTMIN, as strace does. */
export function signalName(signo: number): string {
  return names[signo] ?? `SIGRT_${signo - firstRealTime}`;
}

/** The words of strsignal(3). */
export const signalTexts: Readonly<Partial<Record<number, string>>> = {
  [Signal.SIGHUP]: 'Hangup',
  [Signal.SIGINT]: 'Interrupt',
  [Signal.SIGQUIT]: 'Quit',
  [Signal.SIGILL]: 'Illegal instruction',
  [Signal.SIGTRAP]: 'Trace/breakpoint trap',
  [Signal.SIGABRT]: 'Aborted',
  [Signal.SIGBUS]: 'Bus error',
  [Signal.SIGFPE]: 'Floating point exception',
  [Signal.SIGKILL]: 'Killed',
  [Signal.SIGSEGV]: 'Segmentation fault',
  [Signal.SIGPIPE]: 'Broken pipe',
  [Signal.SIGALRM]: 'Alarm clock',
  [Signal.SIGTERM]: 'Terminated',
  [Signal.SIGXCPU]: 'CPU time limit exceeded',
  [Signal.SIGXFSZ]: 'File size limit exceeded',
  [Signal.SIGSYS]: 'Bad system call',
};

/** The bit of a signal in a mask (bit 0 is signal 1). */
export const maskOf = (signo: number): bigint => 1n << BigInt(signo - 1);

/** Signals that can be neither caught, ignored nor blocked. */
export const unblockable: bigint = maskOf(Signal.SIGKILL) | maskOf(Signal.SIGSTOP);

/** What happens by default (signal(7)). */
export type DefaultAction = 'terminate' | 'core' | 'ignore' | 'stop' | 'continue';

const { SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS } = Signal;
const coreSignals = new Set<number>([
  SIGQUIT,
  SIGILL,
  SIGTRAP,
  SIGABRT,
  SIGBUS,
  SIGFPE,
  SIGSEGV,
  SIGXCPU,
  SIGXFSZ,
  SIGSYS,
]);
const ignoredSignals = new Set<number>([Signal.SIGCHLD, Signal.SIGURG, Signal.SIGWINCH]);
const stopSignals = new Set<number>([Signal.SIGSTOP, Signal.SIGTSTP, Signal.SIGTTIN, Signal.SIGTTOU]);

export function defaultAction(signo: number): DefaultAction {
  if (coreSignals.has(signo)) return 'core';
  if (ignoredSignals.has(signo)) return 'ignore';
  if (stopSignals.has(signo)) return 'stop';
  return signo === Signal.SIGCONT ? 'continue' : 'terminate';
}

/** Sent by the kernel to the instruction that caused it, and delivered before all others. */
export const synchronousMask: bigint = [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS]
  .map(maskOf)
  .reduce((all, bit) => all | bit, 0n);
