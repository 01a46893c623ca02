import type { Process } from '#linux-user/process.ts';
import { signalName } from '#linux-user/signal/numbers.ts';
import type { SigInfo } from '#linux-user/signal/siginfo.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { type Row, rawArguments, type TracedCall } from './row.ts';
import { printArguments, printEnd, printResult, printSigInfo } from './trace-text.ts';

/** What -strace can be: lines as strace writes them, one JSON object a line, or a table at the end. */
export const traceForms = ['lines', 'json', 'count'] as const;
export type TraceForm = (typeof traceForms)[number];

/** Follows the system calls of all guest processes. */
export interface CallTracer {
  /** Runs `serve`, the call `name` of `task`, and tells of it; `row` is null for a call that is not there. */
  trace(task: Task, name: string, row: Row | null, serve: () => SyscallResult): SyscallResult;
  /** A signal is delivered. */
  signal(task: Task, info: SigInfo): void;
  /** A process has ended. */
  ended(process: Process): void;
  /** The run is over. */
  finish(): void;
}

/** Prints the calls a guest makes, as strace -f does, one line each: `TID name(arguments) = result`. */
export class LineTracer implements CallTracer {
  private readonly write: (text: string) => void;
  /** The task whose line is begun and not ended. */
  private open: Task | null = null;

  /** `write` takes pieces of lines, in order. */
  constructor(write: (text: string) => void) {
    this.write = write;
  }

  /** What the call reads is shown before, what it fills in after. */
  trace(task: Task, name: string, row: Row | null, serve: () => SyscallResult): SyscallResult {
    const raw = row === null ? {} : rawArguments(row, task);
    const call: TracedCall = { task, raw, result: undefined };
    const kinds = row?.arguments ?? [];
    const firstOut = kinds.findIndex(([, kind]) => kind.out);
    const before = firstOut < 0 ? kinds.length : firstOut;
    const begun = printArguments(call, kinds, 0, before).join(', ');
    this.begin(task, `${task.tid} ${name}(${begun}`);
    const finish = (result: number): number => {
      const rest = printArguments({ ...call, result }, kinds, before, kinds.length).join(', ');
      const separator = begun !== '' && rest !== '' ? ', ' : '';
      this.end(task, name, `${separator}${rest}) = ${printResult(result, row?.returns ?? 'number')}\n`);
      return result;
    };
    const result = serve();
    return typeof result === 'number' ? finish(result) : result.then(finish);
  }

  signal(task: Task, info: SigInfo): void {
    this.note(`${task.tid} --- ${signalName(info.signo)} ${printSigInfo(info)} ---`);
  }

  ended(process: Process): void {
    this.note(`${process.pid} +++ ${printEnd(process)} +++`);
  }

  finish(): void {}

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
      this.write(`${task.tid} <... ${name} resumed>${text}`);
    }
    this.open = null;
  }

  private note(text: string): void {
    if (this.open !== null) this.write(' <unfinished ...>\n');
    this.open = null;
    this.write(`${text}\n`);
  }
}
