import { monotonic } from '#linux-user/clock.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import type { Row } from './row.ts';
import { errorName } from './trace-text.ts';
import type { CallTracer } from './tracer.ts';

interface Count {
  calls: number;
  errors: number;
  /** Milliseconds in the call, without its sleep. */
  time: number;
}

/** Counts the calls of all processes and prints a table at the end, as strace -c -f does. */
export class CountTracer implements CallTracer {
  private readonly write: (text: string) => void;
  private readonly counts = new Map<string, Count>();

  constructor(write: (text: string) => void) {
    this.write = write;
  }

  trace(_task: Task, name: string, _row: Row | null, serve: () => SyscallResult): SyscallResult {
    let count = this.counts.get(name);
    if (count === undefined) this.counts.set(name, (count = { calls: 0, errors: 0, time: 0 }));
    const found = count;
    found.calls++;
    const start = monotonic();
    const result = serve();
    found.time += monotonic() - start;
    const judge = (value: number): number => {
      if (errorName(value) !== null) found.errors++;
      return value;
    };
    return typeof result === 'number' ? judge(result) : result.then(judge);
  }

  signal(): void {}

  ended(): void {}

  finish(): void {
    const rows = [...this.counts].sort(([, a], [, b]) => b.time - a.time || b.calls - a.calls);
    const total = { calls: 0, errors: 0, time: 0 };
    for (const [, { calls, errors, time }] of rows) {
      total.calls += calls;
      total.errors += errors;
      total.time += time;
    }
    const line = (name: string, { calls, errors, time }: Count): string => {
      const share = total.time === 0 ? 0 : (100 * time) / total.time;
      const columns = [
        share.toFixed(2).padStart(6),
        (time / 1000).toFixed(6).padStart(11),
        String(Math.round((1000 * time) / Math.max(1, calls))).padStart(11),
        String(calls).padStart(9),
        (errors === 0 ? '' : String(errors)).padStart(9),
      ];
      return `${columns.join(' ')} ${name}\n`;
    };
    const rule = '------ ----------- ----------- --------- --------- ----------------\n';
    this.write(`% time     seconds  usecs/call     calls    errors syscall\n${rule}`);
    for (const [name, count] of rows) this.write(line(name, count));
    this.write(`${rule}${line('total', total)}`);
  }
}
