import { buildBenchmark, type Machine } from './build.ts';
import { measure } from './measure.ts';
import { fixed, geometricMean, table } from './report.ts';

interface Kernel {
  readonly name: string;
  /** Source file. */
  readonly program: string;
  /** Beyond those of the suite. */
  readonly flags: readonly string[];
}

/** Kernels that make a table together. */
interface KernelGroup {
  readonly machine: Machine;
  /** Options of qemu. */
  readonly qemu: readonly string[];
  /** Work of a kernel: long enough for start-up and compilation to weigh little. */
  readonly repeats: number;
  readonly kernels: readonly Kernel[];
}

/** Kernels of one source file, which takes them by number. */
const numbered = (program: string, flags: readonly string[], ...names: readonly string[]): Kernel[] =>
  names.map((name, number) => ({ name, program, flags: [...flags, `-DKERNEL=${number}`] }));

const named = (flags: readonly string[], ...names: readonly string[]): Kernel[] =>
  names.map((name) => ({ name, program: name, flags }));

/** Overrides the suite's choice of a CPU. */
const crypto = ['-march=armv8-a+crypto', '-mfpu=crypto-neon-fp-armv8'];
const sse2 = ['-march=pentium4', '-mfpmath=sse'];

export const kernelGroups: Readonly<Record<string, KernelGroup>> = {
  neon: {
    machine: 'a32',
    qemu: ['-cpu', 'max'],
    repeats: 3,
    kernels: [
      ...numbered('neon', crypto, 'memcpy', 'saxpy', 'sha256', 'yuv-rgb', 'dct8x8', 'blend'),
      ...numbered('crypto', crypto, 'aes', 'pmull', 'sha1 (insn)', 'sha256 (insn)'),
    ],
  },
  sse2: {
    machine: 'i386',
    qemu: ['-cpu', 'max'],
    repeats: 1,
    kernels: [
      ...numbered('sse2', sse2, 'memcpy', 'sad', 'absdiff', 'blend'),
      ...named(sse2, 'sha', 'nbody', 'matmul', 'mandelbrot'),
    ],
  },
  x87: { machine: 'i386', qemu: [], repeats: 1, kernels: named([], 'nbody', 'matmul', 'mandelbrot') },
};

/** Prints least CPU seconds of a group's kernels under qemu and tsemu, and their ratios. */
export async function measureKernels(
  group: string,
  reps: number,
  scale: number,
  timeout: number,
  qemu: string,
  tsemu: (path: string) => string[],
): Promise<void> {
  const { machine, qemu: options, repeats, kernels } = kernelGroups[group]!;
  const rows: string[][] = [];
  const ratios: number[] = [];
  for (const { name, program, flags } of kernels) {
    const path = await buildBenchmark(program, machine, scale * repeats, flags);
    if (path === undefined) throw new Error(`no compiler for ${machine}`);
    const least = [Infinity, Infinity];
    for (let rep = 0; rep < reps; rep++) {
      const outputs: string[] = [];
      for (const [i, command] of [[qemu, ...options, path], tsemu(path)].entries()) {
        const { cpu, stdout, status } = await measure(command, timeout);
        if (status !== 0) throw new Error(`${name}: exit code ${status}`);
        outputs.push(stdout);
        least[i] = Math.min(least[i]!, cpu);
      }
      if (outputs[0] !== outputs[1]) throw new Error(`${name}: ${outputs.join(' under qemu, under tsemu ')}`);
    }
    process.stderr.write(`${name} ${least.map((value) => value.toFixed(2)).join(' ')}\n`);
    ratios.push(least[0]! / least[1]!);
    rows.push([name, fixed(least[0]), fixed(least[1]), fixed(ratios.at(-1))]);
  }
  rows.push(['geometric mean', '', '', fixed(geometricMean(ratios))]);
  process.stdout.write(`${table([`${group}, CPU s`, `qemu ${machine}`, `tsemu ${machine}`, 'ratio'], rows)}\n`);
}
