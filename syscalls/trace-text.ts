import type { Process } from '#linux-user/process.ts';
import { Signal, signalName } from '#linux-user/signal/numbers.ts';
import { SiCode, type SigInfo } from '#linux-user/signal/siginfo.ts';
import { keepRegisters } from '#linux-user/syscall-table.ts';
import { type ErrnoName, errnoNumbers } from '#util/errno.ts';
import { errnoTexts } from './errno-text.ts';
import { hex } from './print.ts';
import type { Returns, Row, TracedCall } from './row.ts';

const namesByNumber = new Map<number, ErrnoName>(
  (Object.keys(errnoNumbers) as ErrnoName[]).map((name) => [errnoNumbers[name], name]),
);

/** Numbers from here on are the kernel's own: the call will go on or end with EINTR. */
const firstRestart = errnoNumbers.ERESTARTSYS;
const lastErrno = 4095;

/** The name of a negative result that is an error; null for a result that is none. */
export function errorName(result: number): string | null {
  if (result >= 0 || result < -lastErrno) return null;
  return namesByNumber.get(-result) ?? `errno ${-result}`;
}

/** `3`, `0xb6f00000`, `-1 ENOENT (No such file or directory)`. */
export function printResult(result: number, returns: Returns): string {
  if (result === keepRegisters) return '?';
  const error = errorName(result);
  if (error !== null) {
    const name = namesByNumber.get(-result);
    const text = name === undefined ? error : `${name} (${errnoTexts[name]})`;
    return -result >= firstRestart ? `? ${text}` : `-1 ${text}`;
  }
  if (returns === 'address') return hex(result);
  return returns === 'octal' ? `0${result.toString(8)}` : String(result);
}

/** The arguments [from, to) as strace shows them, without those it leaves out. */
export function printArguments(call: TracedCall, kinds: Row['arguments'], from: number, to: number): string[] {
  return kinds
    .slice(from, to)
    .map(([name, kind]) => kind.print(call.raw[name], call))
    .filter((text) => text !== '');
}

/** The names of si_code for signals of any kind, and for those that have codes of their own. */
const generalCodes = new Map(
  (['SI_USER', 'SI_KERNEL', 'SI_QUEUE', 'SI_TIMER', 'SI_MESGQ', 'SI_TKILL'] as const).map((name) => [
    SiCode[name] as number,
    name as string,
  ]),
);
const ownCodes: Readonly<Partial<Record<number, string>>> = {
  [Signal.SIGILL]: 'ILL_',
  [Signal.SIGSEGV]: 'SEGV_',
  [Signal.SIGBUS]: 'BUS_',
  [Signal.SIGTRAP]: 'TRAP_',
  [Signal.SIGCHLD]: 'CLD_',
  [Signal.SIGSYS]: 'SYS_',
};

function codeName({ signo, code }: SigInfo): string {
  const prefix = ownCodes[signo];
  const own = Object.entries(SiCode).find(
    ([name, value]) => prefix !== undefined && name.startsWith(prefix) && value === code,
  );
  return own?.[0] ?? generalCodes.get(code) ?? String(code);
}

/** `{si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=7, …}` */
export function printSigInfo(info: SigInfo): string {
  const fields = [`si_signo=${signalName(info.signo)}`, `si_code=${codeName(info)}`];
  if (info.errno) fields.push(`si_errno=${info.errno}`);
  switch (info.kind) {
    case 'kernel':
    case 'raw':
      break;
    case 'kill':
      fields.push(`si_pid=${info.pid}`, `si_uid=${info.uid}`);
      break;
    case 'queue':
      fields.push(`si_pid=${info.pid}`, `si_uid=${info.uid}`, `si_value=${hex(Number(info.value))}`);
      break;
    case 'timer':
      fields.push(`si_timerid=${info.timer}`, `si_overrun=${info.overrun}`, `si_value=${hex(Number(info.value))}`);
      break;
    case 'child':
      fields.push(`si_pid=${info.pid}`, `si_uid=${info.uid}`, `si_status=${childStatus(info.code, info.status)}`);
      break;
    case 'fault':
      fields.push(`si_addr=${hex(info.address)}`);
      break;
    case 'call':
      fields.push(`si_call_addr=${hex(info.address)}`, `si_syscall=${info.number}`);
      break;
  }
  return `{${fields.join(', ')}}`;
}

const childStatus = (code: number, status: number): string =>
  code === SiCode.CLD_EXITED ? String(status) : signalName(status);

/** `exited with 0`, `killed by SIGSEGV`. */
export function printEnd({ termination }: Process): string {
  if (termination === null) return 'gone';
  return termination.kind === 'exit' ? `exited with ${termination.code}` : `killed by ${signalName(termination.signo)}`;
}
