/**
 * The benchmark:
 *
 *     npm run bench [-- NAMES… | start-up | calls | files | neon | sse2 | x87] [--arch arm|i386] [--reps N] [--scale N]
 *         [--json FILE] [--timeout SECONDS]
 *
 * tsemu against qemu-user, native code and clang's WebAssembly, on the same C programs. Runners take turns within each
 * repetition, so that a noisy moment hits all of them; the least CPU time (user + system) of each counts. Ratios are
 * qemu / tsemu: above 1, tsemu is faster. tsemu runs twice: as it comes, with bad accesses refused by the host's
 * page tables where they can, and with a check before each access (--protection=checks).
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { qemuUser } from '#tests/support/oracle.ts';
import { nodeCommand, type Protection, tsemuCommand, tsemuIsBuilt } from '#tests/support/run.ts';
import { benchmarks, buildBenchmark, floatBenchmarks, type Machine } from './build.ts';
import { measureCalls } from './calls.ts';
import { measureFilePrograms } from './file-programs.ts';
import { kernelGroups, measureKernels } from './kernels.ts';
import { measure } from './measure.ts';
import { fixed, geometricMean, type Series, type Summary, summarise, table } from './report.ts';
import { measureShort } from './short.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    arch: { type: 'string', default: 'arm' },
    reps: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
    json: { type: 'string' },
    timeout: { type: 'string', default: '120' },
  },
});

/** A way to run a program, and what it must be compiled for. */
interface Runner {
  name: string;
  machine: Machine;
  command: (path: string) => string[];
}

const tsemu =
  (protection: Protection) =>
  (path: string): string[] => {
    const [command, args] = tsemuCommand([path], 'auto', protection, `tsemu-${arch}`);
    return [command, ...args];
  };

const isI386 = values.arch === 'i386' || positionals.includes('sse2') || positionals.includes('x87');
const arch = isI386 ? 'i386' : 'arm';
/** What the programs are compiled for; the first one starts up too. */
const isas: readonly Machine[] = arch === 'i386' ? ['i386'] : ['a32', 't32'];
const qemu = await qemuUser(arch);
const runners: Runner[] = [
  { name: 'native', machine: 'native', command: (path) => [path] },
  { name: 'wasm', machine: 'wasm', command: (path) => [nodeCommand, join(import.meta.dirname, 'wasm-host.ts'), path] },
  ...isas.map((isa) => ({ name: `qemu ${isa}`, machine: isa, command: (path: string) => [qemu, path] })),
];
if (tsemuIsBuilt()) {
  runners.push(
    ...isas.flatMap((isa) => [
      { name: `tsemu ${isa}`, machine: isa, command: tsemu('auto') },
      { name: `checks ${isa}`, machine: isa, command: tsemu('checks') },
    ]),
  );
} else process.stderr.write('tsemu is not built (npm run build): measuring the others alone\n');

const reps = Number(values.reps);
const timeout = Number(values.timeout) * 1000;
if (positionals.includes('start-up')) {
  await measureShort(reps, timeout, qemu, (...command) => tsemuCommand(command).flat());
  process.exit();
}
const groups = positionals.filter((name) => name in kernelGroups);
for (const group of groups) await measureKernels(group, reps, Number(values.scale), timeout, qemu, tsemu('auto'));
if (groups.length > 0) process.exit();
if (positionals.includes('calls')) {
  await measureCalls(reps, timeout, qemu, tsemu('auto'));
  process.exit();
}
if (positionals.includes('files')) {
  await measureFilePrograms(reps, timeout, qemu, (...command) => tsemuCommand(command).flat());
  process.exit();
}
const wanted = positionals.length > 0 ? positionals : [...benchmarks];
/** Programs with a table of their own, which the mean of the suite leaves out. */
const isFloat = (program: string): boolean => floatBenchmarks.some((name) => name === program);
const suite = wanted.filter((program) => !isFloat(program));
const series = new Map<string, Series>();
/** Runners that failed a program: they are left out of its later repetitions. */
const failed = new Set<string>();

async function measureOnce(
  program: string,
  runner: string,
  command: string[],
  expected: string | undefined,
): Promise<string> {
  const key = `${program}/${runner}`;
  if (failed.has(key)) return expected ?? '';
  const result = await measure(command, timeout);
  if (result.status !== 0 || (expected !== undefined && result.stdout !== expected)) {
    failed.add(key);
    process.stderr.write(
      `\n${program} under ${runner}: exit code ${result.status}, wrote ${JSON.stringify(result.stdout.slice(0, 80))}\n`,
    );
    return expected ?? result.stdout;
  }
  const known = series.get(key) ?? { program, runner, runs: [] };
  known.runs.push(result);
  series.set(key, known);
  process.stderr.write(` ${runner} ${result.cpu.toFixed(2)}`);
  return result.stdout;
}

async function measureProgram(program: string): Promise<void> {
  const built = new Map<Machine, string | undefined>();
  for (const { machine } of runners) {
    if (!built.has(machine)) built.set(machine, await buildBenchmark(program, machine, Number(values.scale)));
  }
  let expected: string | undefined;
  // The oracle first: the others must print the same.
  const order = [...runners].sort((a, b) => Number(b.name.startsWith('qemu')) - Number(a.name.startsWith('qemu')));
  for (const runner of order) {
    const path = built.get(runner.machine);
    if (path !== undefined) expected = await measureOnce(program, runner.name, runner.command(path), expected);
  }
}

for (let rep = 1; rep <= reps; rep++) {
  for (const program of wanted) {
    process.stderr.write(`${rep}/${reps} ${program}:`);
    await measureProgram(program);
    process.stderr.write('\n');
  }
  process.stderr.write(`${rep}/${reps} start-up:`);
  for (let i = 0; i < 3; i++) {
    await measureProgram('hello');
    await measureOnce('hello', 'node -e 0', [nodeCommand, '-e', '0'], undefined);
  }
  process.stderr.write('\n');
}

const summaries = new Map([...series].map(([key, value]) => [key, summarise(value)]));
const get = (program: string, runner: string): Summary | undefined => summaries.get(`${program}/${runner}`);
const cpu = (program: string, runner: string): number => get(program, runner)?.cpu ?? Number.NaN;
const ours = ['tsemu', 'checks'] as const;
type Ours = (typeof ours)[number];
const ratio = (program: string, isa: string, runner: Ours): number =>
  cpu(program, `qemu ${isa}`) / cpu(program, `${runner} ${isa}`);

/** Geometric mean of what is known of the ratios, over all programs. */
const mean = (runner: Ours, over: readonly string[] = isas, programs = suite): number =>
  geometricMean(
    programs
      .flatMap((program) => over.map((isa) => ratio(program, isa, runner)))
      .filter((value) => !Number.isNaN(value)),
  );
/** By instruction set, and over all. */
const means = (runner: Ours): Record<string, number> => ({
  ...Object.fromEntries(isas.map((isa) => [isa, mean(runner, [isa])])),
  all: mean(runner),
});

function printRatios(title: string, programs: string[]): void {
  if (programs.length === 0) return;
  const rows = programs.map((program) => [
    program,
    fixed(cpu(program, 'native')),
    fixed(cpu(program, 'wasm')),
    ...isas.flatMap((isa) => [
      fixed(cpu(program, `qemu ${isa}`)),
      ...ours.flatMap((runner) => [fixed(cpu(program, `${runner} ${isa}`)), fixed(ratio(program, isa, runner))]),
      fixed(get(program, `tsemu ${isa}`)?.rss, 0),
    ]),
  ]);
  rows.push([
    'geometric mean',
    '',
    '',
    ...isas.flatMap((isa) => ['', ...ours.flatMap((runner) => ['', fixed(mean(runner, [isa], programs))]), '']),
  ]);
  const head = [
    title,
    'native',
    'wasm',
    ...isas.flatMap((isa) => [`qemu ${isa}`, `tsemu ${isa}`, 'ratio', 'checks', 'ratio', 'MB']),
  ];
  process.stdout.write(`${table(head, rows)}\n\n`);
}

printRatios('CPU s', suite);
printRatios('floating point', wanted.filter(isFloat));

const starters = ['native', `qemu ${isas[0]}`, 'node -e 0', ...isas.map((isa) => `tsemu ${isa}`)];
const base = cpu('hello', 'node -e 0');
const startRows = starters.map((runner) => {
  const summary = get('hello', runner);
  const ms = (value: number | undefined): string => fixed(value === undefined ? undefined : value * 1000, 1);
  return [
    runner,
    ms(summary?.cpu),
    ms(summary?.cpuMedian),
    ms(summary?.wall),
    fixed(summary?.rss, 0),
    fixed(cpu('hello', runner) / base),
  ];
});
process.stdout.write(
  `${table(['start-up (hello)', 'CPU ms', 'median', 'wall ms', 'RSS MB', '× node -e 0'], startRows)}\n\n`,
);
process.stdout.write(
  `qemu-${arch} / tsemu, geometric mean over all programs and instruction sets: ${fixed(mean('tsemu'))}, with checks ${fixed(mean('checks'))}\n`,
);

if (positionals.length === 0 && arch === 'arm' && tsemuIsBuilt())
  await measureCalls(reps, timeout, qemu, tsemu('auto'));

if (values.json !== undefined) {
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    node: process.version,
    platform: process.platform,
    arch: process.arch,
  };
  const result = {
    machine,
    scale: Number(values.scale),
    reps,
    geometricMean: means('tsemu'),
    geometricMeanWithChecks: means('checks'),
    results: [...summaries.values()],
  };
  writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
}
if (failed.size > 0) process.exitCode = 1;
