/* Numbers of ptrace(2) (include/uapi/linux/ptrace.h). */

/** Requests that all CPUs have. */
export const Request = {
  PTRACE_TRACEME: 0,
  PTRACE_PEEKTEXT: 1,
  PTRACE_PEEKDATA: 2,
  PTRACE_PEEKUSER: 3,
  PTRACE_POKETEXT: 4,
  PTRACE_POKEDATA: 5,
  PTRACE_POKEUSER: 6,
  PTRACE_CONT: 7,
  PTRACE_KILL: 8,
  PTRACE_SINGLESTEP: 9,
  PTRACE_GETREGS: 12,
  PTRACE_SETREGS: 13,
  PTRACE_GETFPREGS: 14,
  PTRACE_SETFPREGS: 15,
  PTRACE_ATTACH: 16,
  PTRACE_DETACH: 17,
  PTRACE_SYSCALL: 24,
  PTRACE_SETOPTIONS: 0x4200,
  PTRACE_GETEVENTMSG: 0x4201,
  PTRACE_GETSIGINFO: 0x4202,
  PTRACE_SETSIGINFO: 0x4203,
  PTRACE_GETREGSET: 0x4204,
  PTRACE_SETREGSET: 0x4205,
  PTRACE_SEIZE: 0x4206,
  PTRACE_INTERRUPT: 0x4207,
  PTRACE_LISTEN: 0x4208,
  PTRACE_GETSIGMASK: 0x420a,
  PTRACE_SETSIGMASK: 0x420b,
  PTRACE_GET_SYSCALL_INFO: 0x420e,
} as const;

/** PTRACE_O_*. */
export const Option = {
  PTRACE_O_TRACESYSGOOD: 1,
  PTRACE_O_TRACEFORK: 2,
  PTRACE_O_TRACEVFORK: 4,
  PTRACE_O_TRACECLONE: 8,
  PTRACE_O_TRACEEXEC: 0x10,
  PTRACE_O_TRACEVFORKDONE: 0x20,
  PTRACE_O_TRACEEXIT: 0x40,
  PTRACE_O_TRACESECCOMP: 0x80,
  PTRACE_O_EXITKILL: 0x10_0000,
  PTRACE_O_SUSPEND_SECCOMP: 0x20_0000,
} as const;
export const allOptions: number = Object.values(Option).reduce((all, bit) => all | bit, 0);

/** PTRACE_EVENT_*: the option's bit is 1 << event. */
export const TraceEvent = {
  fork: 1,
  vfork: 2,
  clone: 3,
  exec: 4,
  vforkDone: 5,
  exit: 6,
  stop: 128,
} as const;
export type TraceEvent = (typeof TraceEvent)[keyof typeof TraceEvent];

/** What wait adds to SIGTRAP for a stop at a system call (PTRACE_O_TRACESYSGOOD). */
export const sysGood = 0x80;
