/** Programs that mostly make system calls on files, pipes and processes: CPU and elapsed time against qemu-arm. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianFile } from '#tests/support/debian.ts';
import { type Measurement, measure } from './measure.ts';
import { fixed, table } from './report.ts';

const forks = 100;

/** By title: the arguments of busybox. BUSYBOX is how the runner starts it, DIR a folder with 10,000 small files. */
const programs: Readonly<Record<string, readonly string[]>> = {
  'dd bs=1, 1 M': ['dd', 'if=/dev/zero', 'of=/dev/null', 'bs=1', 'count=1000000'],
  'find, 10,000 files': ['find', 'DIR', '-type', 'f'],
  'tar, 10,000 files': ['tar', 'cf', 'DIR/../out.tar', 'DIR'],
  'pipe, 1 GB': ['sh', '-c', 'BUSYBOX dd if=/dev/zero bs=64k count=16000 2>/dev/null | BUSYBOX cat >/dev/null'],
  [`sh, ${4 * forks} forks`]: [
    'sh',
    '-c',
    `i=0; while [ $i -lt ${forks} ]; do i=$((i+1)); BUSYBOX test -f /etc/passwd; BUSYBOX expr $i + 1 >/dev/null
     x=$(BUSYBOX echo hi | BUSYBOX sed s/h/j/); done; echo $x`,
  ],
};

/** Prints the table of `reps` interleaved runs of each program. */
export async function measureFilePrograms(
  reps: number,
  timeout: number,
  qemu: string,
  tsemu: (...command: string[]) => string[],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tsemu-bench-'));
  process.env['TSEMU_CACHE_DIR'] = join(folder, 'cache');
  for (let i = 0; i < 100; i++) {
    mkdirSync(join(folder, `tree/${i}`), { recursive: true });
    for (let k = 0; k < 100; k++) writeFileSync(join(folder, `tree/${i}/${k}`), `file ${k} of ${i}\n`.repeat(20));
  }
  const busybox = await debianFile('busybox-static', 'armhf', 'bin/busybox');
  const rows: string[][] = [];
  try {
    for (const [title, args] of Object.entries(programs)) {
      // A guest's exec is served by tsemu itself, while qemu-arm has to be named.
      const series = [
        { command: [qemu, busybox], inner: `${qemu} ${busybox}`, runs: [] as Measurement[] },
        { command: tsemu(busybox), inner: busybox, runs: [] as Measurement[] },
      ];
      for (let rep = 0; rep < reps; rep++) {
        process.stderr.write(`${title} ${rep + 1}/${reps}\n`);
        for (const { command, inner, runs } of series) {
          const words = args.map((arg) => arg.replaceAll('BUSYBOX', inner).replaceAll('DIR', join(folder, 'tree')));
          const result = await measure([...command, ...words], timeout);
          if (result.status !== 0) throw new Error(`${title} under ${command[0]}: exit code ${result.status}`);
          runs.push(result);
        }
      }
      const least = (field: 'cpu' | 'wall'): [number, number] =>
        series.map(({ runs }) => Math.min(...runs.map((run) => run[field]))) as [number, number];
      const [cpu, wall] = [least('cpu'), least('wall')];
      rows.push([
        title,
        ...cpu.map((s) => fixed(s)),
        fixed(cpu[1] / cpu[0]),
        ...wall.map((s) => fixed(s)),
        fixed(wall[1] / wall[0]),
      ]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  const head = [
    'files, pipes, processes',
    'qemu CPU s',
    'tsemu CPU s',
    'ratio',
    'qemu wall s',
    'tsemu wall s',
    'ratio',
  ];
  process.stdout.write(`${table(head, rows)}\n\n`);
}
