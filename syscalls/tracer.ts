import { keepRegisters, type SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { type ErrnoName, errnoNumbers } from '#util/errno.ts';
import { errnoTexts } from './errno-text.ts';
import { hex } from './print.ts';
import { type Returns, type Row, rawArguments, type TracedCall } from './row.ts';

const namesByNumber = new Map<number, ErrnoName>(
  (Object.keys(errnoNumbers) as ErrnoName[]).map((name) => [errnoNumbers[name], name]),
);

/** Numbers from here on are the kernel's own: the call will go on or end with EINTR. */
const firstRestart = errnoNumbers.ERESTARTSYS;
const lastErrno = 4095;

/** `3`, `0xb6f00000`, `-1 ENOENT (No such file or directory)`. */
export function printResult(result: number, returns: Returns): string {
  if (result === keepRegisters) return '?';
  if (result < 0 && result >= -lastErrno) {
    const name = namesByNumber.get(-result);
    const text = name === undefined ? `errno ${-result}` : `${name} (${errnoTexts[name]})`;
    return -result >= firstRestart ? `? ${text}` : `-1 ${text}`;
  }
  if (returns === 'address') return hex(result);
  return returns === 'octal' ? `0${result.toString(8)}` : String(result);
}

/** Prints the calls a guest makes, as strace does, one line each: `PID name(arguments) = result`. */
export class SyscallTracer {
  private readonly write: (text: string) => void;
  /** The task whose line is begun and not ended. */
  private open: Task | null = null;

  /** `write` takes pieces of lines, in order. */
  constructor(write: (text: string) => void) {
    this.write = write;
  }

  /** Runs `serve`, printing the call around it. What it reads is shown before, what it fills in after. */
  trace(task: Task, name: string, row: Row | null, serve: () => SyscallResult): SyscallResult {
    const raw = row === null ? {} : rawArguments(row, task);
    const call: TracedCall = { task, raw, result: undefined };
    const kinds = row?.arguments ?? [];
    const firstOut = kinds.findIndex(([, kind]) => kind.out);
    const before = firstOut < 0 ? kinds.length : firstOut;
    const begun = this.list(call, kinds, 0, before);
    this.begin(task, `${task.process.pid} ${name}(${begun}`);
    const finish = (result: number): number => {
      const rest = this.list({ ...call, result }, kinds, before, kinds.length);
      const separator = begun !== '' && rest !== '' ? ', ' : '';
      this.end(task, name, `${separator}${rest}) = ${printResult(result, row?.returns ?? 'number')}\n`);
      return result;
    };
    const result = serve();
    return typeof result === 'number' ? finish(result) : result.then(finish);
  }

  private list(call: TracedCall, kinds: Row['arguments'], from: number, to: number): string {
    return kinds
      .slice(from, to)
      .map(([name, kind]) => kind.print(call.raw[name], call))
      .filter((text) => text !== '')
      .join(', ');
  }

  /** Another task's call, or a signal, cuts a line in two. */
  private begin(task: Task, text: string): void {
    if (this.open !== null) this.write(' <unfinished ...>\n');
    this.open = task;
    this.write(text);
  }

  private end(task: Task, name: string, text: string): void {
    if (this.open === task) this.write(text);
    else {
      if (this.open !== null) this.write(' <unfinished ...>\n');
      this.write(`${task.process.pid} <... ${name} resumed>${text}`);
    }
    this.open = null;
  }

  /** `--- SIGINT {si_signo=…} ---` and other lines of their own. */
  note(text: string): void {
    if (this.open !== null) this.write(' <unfinished ...>\n');
    this.open = null;
    this.write(`${text}\n`);
  }
}
