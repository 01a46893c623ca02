import { Access } from '#accel/guest-memory.ts';
import { cpuHeader, ExitReason } from '#tcg/cpu-page.ts';
import type { FaultCause } from './abi/abi.ts';
import { Signal } from './signal/numbers.ts';
import { forceSignal } from './signal/send.ts';
import { SiCode, type SigInfo } from './signal/siginfo.ts';
import type { Task } from './task.ts';

const exitArg = cpuHeader.offset('exitArg') >> 2;
const faultAddress = cpuHeader.offset('faultAddress') >> 2;

/** Makes the signal of an exit that is the CPU's: a refused access, an undefined instruction… */
export function raiseException(task: Task, reason: ExitReason): void {
  const { abi, cpu } = task;
  const argument = cpu.i32[exitArg];
  const address = cpu.i32[faultAddress] >>> 0;
  const pc = abi.pc(cpu);
  switch (reason) {
    case ExitReason.fault:
      return segmentationFault(task, address, (argument & Access.write) !== 0 ? 'write' : 'read');
    case ExitReason.trap:
      return force(task, Signal.SIGSEGV, SiCode.SEGV_MAPERR, 0, {
        kind: 'trap',
        access: (argument & Access.write) !== 0 ? 'write' : 'read',
      });
    case ExitReason.fetchFault:
      return segmentationFault(task, address, 'fetch');
    case ExitReason.alignment:
      return force(task, Signal.SIGBUS, SiCode.BUS_ADRALN, address, {
        kind: 'alignment',
        write: (argument & Access.write) !== 0,
      });
    case ExitReason.undefined:
      if (abi.isBreakpoint(argument)) return force(task, Signal.SIGTRAP, SiCode.TRAP_BRKPT, pc, { kind: 'breakpoint' });
      return force(task, Signal.SIGILL, abi.undefinedCode, pc, { kind: 'undefined' });
    case ExitReason.breakpoint:
      return force(task, Signal.SIGTRAP, SiCode.TRAP_BRKPT, pc, { kind: 'breakpoint' });
    case ExitReason.exception: {
      const { signo, code, address: at, cause } = abi.exception(argument, pc);
      return force(task, signo, code, at, cause);
    }
    case ExitReason.none:
    case ExitReason.budget:
    case ExitReason.syscall:
    case ExitReason.mode:
    case ExitReason.flush:
    case ExitReason.miss:
    case ExitReason.hot:
    case ExitReason.yield:
    case ExitReason.halt:
      throw new Error(`the engine left with reason ${reason} (argument ${argument}) at pc 0x${pc.toString(16)}`);
  }
}

function segmentationFault(task: Task, address: number, access: 'read' | 'write' | 'fetch'): void {
  const mapped = task.mm.vmas.at(address) !== null;
  const code = mapped ? SiCode.SEGV_ACCERR : SiCode.SEGV_MAPERR;
  force(task, Signal.SIGSEGV, code, address, { kind: 'access', access, mapped });
}

function force(task: Task, signo: number, code: number, address: number, cause: FaultCause): void {
  const info: SigInfo = { kind: 'fault', signo, code, address, cause, ...task.abi.faultWords(cause) };
  forceSignal(task, info);
}
