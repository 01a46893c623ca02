import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath, contentKey, makeOnce } from '#tests/support/cache.ts';
import { onPath } from '#tests/support/debian.ts';
import { run } from '#tests/support/run.ts';
import { toolchain } from '#tests/support/toolchain.ts';

/** The programs of the suite, in the order of the table. */
export const benchmarks = ['core', 'sort', 'fib', 'fp', 'vm', 'sha', 'bytes'] as const;

/** Floating-point programs: a table of their own. */
export const floatBenchmarks = ['nbody', 'matmul', 'mandelbrot'] as const;

/** What a program is compiled for. */
export type Machine = 'a32' | 't32' | 'i386' | 'native' | 'wasm';

const folder = join(import.meta.dirname, 'programs');

// No library calls made up by the compiler, and the same operations everywhere.
const common = '-O2 -ffreestanding -fno-builtin -nostdlib -fno-math-errno -ffp-contract=off'.split(' ');
const gcc = '-static -fno-tree-loop-distribute-patterns -fno-tree-vectorize -fno-stack-protector'.split(' ');
const arm = '-march=armv7-a -mfpu=vfpv3-d16 -mfloat-abi=hard -Wl,--build-id=none'.split(' ');
const i386 = '-march=i686 -fno-pie -no-pie -fcf-protection=none -Wl,--build-id=none'.split(' ');
const wasm = '--target=wasm32 -fno-vectorize -fno-slp-vectorize -Wl,--no-entry -Wl,-z,stack-size=65536'.split(' ');

interface Compiler {
  command: string;
  flags: string[];
  env?: Record<string, string>;
  /** Linked after the source. */
  libraries?: string[];
}

/** The compiler for a machine, or undefined where there is none. */
async function compilerFor(machine: Machine): Promise<Compiler | undefined> {
  if (machine === 'wasm') {
    const found = onPath('clang') !== undefined && onPath('wasm-ld') !== undefined;
    return found ? { command: 'clang', flags: [...common, ...wasm] } : undefined;
  }
  if (machine === 'native') {
    const found =
      onPath('gcc') !== undefined && ['x64', 'arm64'].includes(process.arch) && process.platform === 'linux';
    return found ? { command: 'gcc', flags: [...common, ...gcc, '-fno-pie', '-no-pie'] } : undefined;
  }
  if (machine === 'i386') {
    const tools = await toolchain('i686-linux-gnu');
    return { command: tools.cc, flags: [...common, ...gcc, ...i386], env: tools.env, libraries: ['-lgcc'] };
  }
  const tools = await toolchain('arm-linux-gnueabihf');
  const mode = machine === 'a32' ? '-marm' : '-mthumb';
  return { command: tools.cc, flags: [...common, ...gcc, ...arm, mode], env: tools.env, libraries: ['-lgcc'] };
}

/** Builds a program into the cache; its path, or undefined where there is no compiler for the machine. */
export async function buildBenchmark(
  name: string,
  machine: Machine,
  scale: number,
  defines: readonly string[] = [],
): Promise<string | undefined> {
  const compiler = await compilerFor(machine);
  if (compiler === undefined) return undefined;
  const source = join(folder, `${name}.c`);
  const flags = [...compiler.flags, `-DSCALE=${scale}`, ...defines];
  const key = contentKey(
    compiler.command,
    flags.join(' '),
    readFileSync(source),
    readFileSync(join(folder, 'runtime.h')),
  );
  const path = cachePath('bench', `${name}-${machine}-${key}`);
  return makeOnce(path, async () => {
    const env = compiler.env ? { env: compiler.env } : {};
    const made = await run(compiler.command, [...flags, '-o', path, source, ...(compiler.libraries ?? [])], env);
    if (made.status !== 0) throw new Error(`${name} did not build for ${machine}:\n${made.stderr.toString()}`);
  });
}
