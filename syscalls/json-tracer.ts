import { monotonic } from '#linux-user/clock.ts';
import { realTime } from '#linux-user/clocks.ts';
import type { Process } from '#linux-user/process.ts';
import { signalName } from '#linux-user/signal/numbers.ts';
import type { SigInfo } from '#linux-user/signal/siginfo.ts';
import { keepRegisters, type SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { type Row, rawArguments, type TracedCall } from './row.ts';
import { errorName, printArguments, printResult, printSigInfo } from './trace-text.ts';
import type { CallTracer } from './tracer.ts';

const microseconds = (ms: number): number => Math.round(ms * 1000) / 1e6;

/**
 * Writes one JSON object a line for each call, signal and end of a process. Times are seconds: `time` since the epoch,
 * at the start of a call, `duration` with the sleep. `args` are as strace shows them.
 */
export class JsonTracer implements CallTracer {
  private readonly write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.write = write;
  }

  private line(fields: object): void {
    this.write(`${JSON.stringify(fields)}\n`);
  }

  private head({ process, tid }: Task): object {
    return { time: microseconds(realTime()), pid: process.pid, tid };
  }

  trace(task: Task, name: string, row: Row | null, serve: () => SyscallResult): SyscallResult {
    const head = this.head(task);
    const start = monotonic();
    const raw = row === null ? {} : rawArguments(row, task);
    const kinds = row?.arguments ?? [];
    const call: TracedCall = { task, raw, result: undefined };
    // What a call reads may be gone once it is over.
    const before = kinds.map(([argument, kind]) => (kind.out ? null : kind.print(raw[argument], call)));
    const finish = (result: number): number => {
      const after = { ...call, result };
      const args = before.flatMap((text, index) => {
        const shown = text === null ? printArguments(after, kinds, index, index + 1) : [text];
        return shown.filter((each) => each !== '');
      });
      const error = errorName(result);
      const shown = printResult(result, row?.returns ?? 'number');
      const outcome = error === null ? { result: result === keepRegisters ? null : result } : { result: -1, error };
      this.line({ ...head, call: name, args, ...outcome, shown, duration: microseconds(monotonic() - start) });
      return result;
    };
    const result = serve();
    return typeof result === 'number' ? finish(result) : result.then(finish);
  }

  signal(task: Task, info: SigInfo): void {
    this.line({ ...this.head(task), signal: signalName(info.signo), info: printSigInfo(info) });
  }

  ended({ pid, termination }: Process): void {
    if (termination === null) return;
    const end = termination.kind === 'exit' ? { exited: termination.code } : { killed: signalName(termination.signo) };
    this.line({ time: microseconds(realTime()), pid, ...end });
  }

  finish(): void {}
}
