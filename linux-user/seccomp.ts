import { errnoNumbers } from '#util/errno.ts';
import { type BpfInstruction, runProgram } from './classic-bpf.ts';
import { Signal } from './signal/numbers.ts';
import { forceSignal } from './signal/send.ts';
import { SiCode } from './signal/siginfo.ts';
import { keepRegisters } from './syscall-table.ts';
import type { Task } from './task.ts';

/** What a thread's system calls are checked by: a chain of filters, the newest first, or strict mode. */
export type Seccomp =
  | { readonly kind: 'strict' }
  | { readonly kind: 'filter'; readonly program: readonly BpfInstruction[]; readonly older: Seccomp | null };

/** What a filter returns: an action above 16 bits of data (include/uapi/linux/seccomp.h). */
export const SeccompAction = {
  KILL_PROCESS: 0x8000_0000,
  KILL_THREAD: 0,
  TRAP: 0x0003_0000,
  ERRNO: 0x0005_0000,
  USER_NOTIF: 0x7fc0_0000,
  TRACE: 0x7ff0_0000,
  LOG: 0x7ffc_0000,
  ALLOW: 0x7fff_0000,
} as const;

/** Bytes of struct seccomp_data: number, architecture, instruction pointer, six arguments. */
export const seccompDataBytes = 64;
const data = new Uint32Array(seccompDataBytes / 4);

const littleEndian = 0x4000_0000;
const is64Bit = 0x8000_0000;

/** AUDIT_ARCH_*. */
const auditArch = ({ abi }: Task): number =>
  (abi.elf.machine | littleEndian | (abi.elf.class === 2 ? is64Bit : 0)) >>> 0;

const mostErrno = 4095;

/** What strict mode leaves. */
const strictCalls = new Set(['read', 'write', 'exit', 'sigreturn', 'rt_sigreturn']);

/**
 * Asks a thread's filters about a call: null if it may be made, else the result it has instead. The filter that is
 * most severe decides; actions compare as signed numbers.
 */
export function filterCall(task: Task, number: number, name: string | undefined): number | null {
  fillData(task, number);
  let verdict: number = SeccompAction.ALLOW;
  for (let filter = task.seccomp; filter !== null; ) {
    if (filter.kind === 'strict')
      return name !== undefined && strictCalls.has(name) ? null : kill(task, Signal.SIGKILL);
    const returned = runProgram(filter.program, data);
    if ((returned & 0xffff_0000) < (verdict & 0xffff_0000)) verdict = returned;
    filter = filter.older;
  }
  return carryOut(task, number, verdict);
}

function fillData(task: Task, number: number): void {
  const { abi, cpu } = task;
  data.fill(0);
  data[0] = number;
  data[1] = auditArch(task);
  data[2] = abi.pc(cpu);
  for (let n = 0; n < 6; n++) data[4 + 2 * n] = abi.argument(cpu, n);
}

function carryOut(task: Task, number: number, verdict: number): number | null {
  const value = verdict & 0xffff;
  switch ((verdict & 0xffff_0000) >>> 0) {
    case SeccompAction.ALLOW:
    case SeccompAction.LOG:
      return null;
    case SeccompAction.ERRNO:
      return -Math.min(value, mostErrno);
    case SeccompAction.TRACE:
    case SeccompAction.USER_NOTIF:
      // Nobody is there to ask.
      return -errnoNumbers.ENOSYS;
    case SeccompAction.TRAP: {
      const address = task.abi.pc(task.cpu);
      const code = SiCode.SYS_SECCOMP;
      forceSignal(task, { kind: 'call', signo: Signal.SIGSYS, code, errno: value, address, number, arch: data[1] });
      return keepRegisters;
    }
    case SeccompAction.KILL_THREAD:
      if (task.process.tasks.size > 1) {
        task.leave();
        return keepRegisters;
      }
      return kill(task, Signal.SIGSYS);
    default:
      return kill(task, Signal.SIGSYS);
  }
}

function kill(task: Task, signo: number): number {
  const info = { kind: 'kernel', signo, code: SiCode.SI_KERNEL } as const;
  task.process.terminate({ kind: 'signal', signo, core: signo === Signal.SIGSYS, info, task });
  return keepRegisters;
}
