/**
 * Programs that are over in milliseconds: what tsemu's own start costs, and the translation of guest code the first time,
 * before it is kept.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianFile } from '#tests/support/debian.ts';
import { nodeCommand } from '#tests/support/run.ts';
import { buildBenchmark } from './build.ts';
import { measure } from './measure.ts';
import { fixed, geometricMean, type Summary, summarise, table } from './report.ts';

const text = Array.from({ length: 100 }, (_, i) => `line ${(i * 37) % 100} of a small file\n`).join('');

/** busybox applets by title; FILE is a small text file. None writes what depends on time or place. */
const applets: Readonly<Record<string, readonly string[]>> = {
  true: ['true'],
  echo: ['echo', 'hello'],
  ls: ['ls', '/etc/passwd'],
  cat: ['cat', 'FILE'],
  wc: ['wc', 'FILE'],
  head: ['head', '-n', '3', 'FILE'],
  sed: ['sed', 's/line/row/', 'FILE'],
  awk: ['awk', 'BEGIN{}'],
  expr: ['expr', '6', '*', '7'],
  date: ['date', '-u', '-d', '@0'],
  basename: ['basename', '/usr/lib/file.c', '.c'],
  sort: ['sort', 'FILE'],
  sh: ['sh', '-c', ':'],
};

/** Prints the table of `reps` interleaved runs of each program and returns what it was made from. */
export async function measureShort(
  reps: number,
  timeout: number,
  qemu: string,
  tsemu: (...command: string[]) => string[],
): Promise<Summary[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tsemu-bench-'));
  const file = join(folder, 'text');
  writeFileSync(file, text);
  process.env['TSEMU_CACHE_DIR'] = join(folder, 'cache');
  const busybox = await debianFile('busybox-static', 'armhf', 'bin/busybox');
  const hello = await buildBenchmark('hello', 'a32', 1);
  const programs = new Map(
    Object.entries(applets).map(([title, args]) => [
      `busybox ${title}`,
      [busybox, ...args.map((arg) => (arg === 'FILE' ? file : arg))],
    ]),
  );
  if (hello !== undefined) programs.set('hello', [hello]);
  const all = [...programs].flatMap(([program, command]) => [
    { program, runner: 'qemu', command: [qemu, ...command], runs: [] as Awaited<ReturnType<typeof measure>>[] },
    { program, runner: 'first', command: tsemu('--cache=off', ...command), runs: [] },
    { program, runner: 'tsemu', command: tsemu(...command), runs: [] },
  ]);
  all.unshift({ program: 'node -e 0', runner: 'node', command: [nodeCommand, '-e', '0'], runs: [] });
  try {
    for (let rep = 1; rep <= reps; rep++) {
      process.stderr.write(`start-up ${rep}/${reps}\n`);
      for (const { program, runner, command, runs } of all) {
        const result = await measure(command, timeout);
        if (result.status !== 0) throw new Error(`${program} under ${runner}: exit code ${result.status}`);
        runs.push(result);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  for (const program of programs.keys()) {
    const [theirs, first, ours] = all.filter((series) => series.program === program).map(({ runs }) => runs[0]!.stdout);
    if (theirs !== ours || theirs !== first)
      throw new Error(`${program}: tsemu wrote ${JSON.stringify(ours)}, not ${JSON.stringify(theirs)}`);
  }
  const summaries = all.map(summarise);
  print(summaries);
  return summaries;
}

function print(summaries: readonly Summary[]): void {
  const cpu = (program: string, runner: string): number =>
    summaries.find((summary) => summary.program === program && summary.runner === runner)!.cpu * 1000;
  const base = cpu('node -e 0', 'node');
  const programs = summaries.filter(({ runner }) => runner === 'tsemu').map(({ program }) => program);
  const rows = programs.map((program) => {
    const [theirs, first, ours] = [cpu(program, 'qemu'), cpu(program, 'first'), cpu(program, 'tsemu')];
    return [program, fixed(theirs, 1), fixed(first, 1), fixed(ours, 1), fixed(ours / theirs), fixed(ours / base)];
  });
  const mean = (runner: string): number => geometricMean(programs.map((program) => cpu(program, runner)));
  const means = [mean('qemu'), mean('first'), mean('tsemu')] as const;
  rows.push(['geometric mean', ...means.map((value) => fixed(value, 1)), fixed(means[2] / means[0]), '']);
  const head = [
    'short programs, CPU ms',
    'qemu',
    'first run',
    'tsemu',
    'tsemu / qemu',
    `× node -e 0 (${fixed(base, 1)})`,
  ];
  process.stdout.write(`${table(head, rows)}\n\n`);
}
