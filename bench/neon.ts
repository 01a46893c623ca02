import { buildBenchmark } from './build.ts';
import { measure } from './measure.ts';
import { fixed, geometricMean, table } from './report.ts';

interface Kernel {
  readonly name: string;
  readonly program: 'neon' | 'crypto';
  readonly number: number;
}

const kernels: readonly Kernel[] = [
  ...['memcpy', 'saxpy', 'sha256', 'yuv-rgb', 'dct8x8', 'blend'].map(
    (name, number) => ({ name, program: 'neon', number }) as const,
  ),
  ...['aes', 'pmull', 'sha1 (insn)', 'sha256 (insn)'].map(
    (name, number) => ({ name, program: 'crypto', number }) as const,
  ),
];

/** Work of a kernel: long enough for start-up and compilation to weigh little. */
const repeats = 3;

/** Overrides the suite's choice of a CPU. */
const flags = ['-march=armv8-a+crypto', '-mfpu=crypto-neon-fp-armv8'];

/** Prints least CPU seconds of NEON kernels under qemu-arm and tsemu, and their ratios. */
export async function measureNeon(
  reps: number,
  scale: number,
  timeout: number,
  qemu: string,
  tsemu: (path: string) => string[],
): Promise<void> {
  const rows: string[][] = [];
  const ratios: number[] = [];
  for (const { name, program, number } of kernels) {
    const path = await buildBenchmark(program, 'a32', scale * repeats, [...flags, `-DKERNEL=${number}`]);
    if (path === undefined) throw new Error('no compiler for ARM');
    const least = [Infinity, Infinity];
    for (let rep = 0; rep < reps; rep++) {
      const outputs: string[] = [];
      for (const [i, command] of [[qemu, '-cpu', 'max', path], tsemu(path)].entries()) {
        const { cpu, stdout, status } = await measure(command, timeout);
        if (status !== 0) throw new Error(`${name}: exit code ${status}`);
        outputs.push(stdout);
        least[i] = Math.min(least[i]!, cpu);
      }
      if (outputs[0] !== outputs[1]) throw new Error(`${name}: ${outputs.join(' under qemu-arm, under tsemu ')}`);
    }
    process.stderr.write(`${name} ${least.map((value) => value.toFixed(2)).join(' ')}\n`);
    ratios.push(least[0]! / least[1]!);
    rows.push([name, fixed(least[0]), fixed(least[1]), fixed(ratios.at(-1))]);
  }
  rows.push(['geometric mean', '', '', fixed(geometricMean(ratios))]);
  process.stdout.write(`${table(['NEON, CPU s', 'qemu a32', 'tsemu a32', 'ratio'], rows)}\n`);
}
