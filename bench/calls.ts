/** System calls one at a time: CPU time of one, from two lengths of a loop, so that start and compilation cancel out. */
import { buildBenchmark } from './build.ts';
import { type Measurement, measure } from './measure.ts';
import { fixed, table } from './report.ts';

/** Calls of `programs/calls.c`, with thousands of them in the longer loop: some tenths of a second for each runner. */
const calls: Readonly<Record<string, number>> = {
  getpid: 2000,
  clock_gettime: 2000,
  write_null: 1000,
  read_zero: 300,
  EBADF: 500,
  EAGAIN: 500,
  ENOENT: 100,
};
const shorter = 5;

/** The least CPU seconds of a series of runs. */
const least = (runs: readonly Measurement[]): number => Math.min(...runs.map(({ cpu }) => cpu));

/** Prints the table of `reps` interleaved runs of each call. `tsemu` makes the command that runs a program. */
export async function measureCalls(
  reps: number,
  timeout: number,
  qemu: string,
  tsemu: (path: string) => string[],
): Promise<void> {
  const runners = [
    { machine: 'native', command: (path: string) => [path] },
    { machine: 'a32', command: (path: string) => [qemu, path] },
    { machine: 'a32', command: tsemu },
  ] as const;
  const rows: string[][] = [];
  for (const [call, thousands] of Object.entries(calls)) {
    process.stderr.write(`${call}\n`);
    const lengths = [thousands / shorter, thousands];
    const series = await Promise.all(
      runners.flatMap(({ machine, command }) =>
        lengths.map(async (scale) => {
          const path = await buildBenchmark('calls', machine, scale, [`-DCALL=${call}`]);
          return { command: path === undefined ? null : command(path), runs: [] as Measurement[] };
        }),
      ),
    );
    for (let rep = 0; rep < reps; rep++) {
      for (const { command, runs } of series) if (command !== null) runs.push(await measure(command, timeout));
    }
    const said = new Set(series.flatMap(({ runs }) => runs.map(({ status, stdout }) => `${status}: ${stdout}`)));
    if (said.size > 1) throw new Error(`${call}: the runners disagree: ${JSON.stringify([...said])}`);
    const microseconds = runners.map((_, i) => {
      const [short, long] = [series[2 * i]!, series[2 * i + 1]!];
      return ((least(long.runs) - least(short.runs)) * 1000) / (lengths[1]! - lengths[0]!);
    });
    const [native, theirs, ours] = microseconds as [number, number, number];
    rows.push([call, fixed(native), fixed(theirs), fixed(ours), fixed(theirs / ours)]);
  }
  process.stdout.write(`${table(['system calls, CPU µs', 'native', 'qemu', 'tsemu', 'ratio'], rows)}\n\n`);
}
