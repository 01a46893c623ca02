import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath, contentKey, makeOnce } from '#tests/support/cache.ts';
import { onPath } from '#tests/support/debian.ts';
import { run } from '#tests/support/run.ts';

/** What one run cost, as the kernel accounted it to that process and its waited-for children alone. */
export interface Measurement {
  /** User and system CPU time, seconds. */
  cpu: number;
  /** Elapsed seconds. */
  wall: number;
  /** Peak resident set, MiB. */
  rss: number;
  /** Exit code, or 128 + signal. */
  status: number;
  stdout: string;
}

const folder = import.meta.dirname;
let helper: Promise<string[]> | undefined;

/** The command that runs and measures another: a tiny C program, or a Python script where there is no compiler. */
async function findHelper(): Promise<string[]> {
  const compiler = ['cc', 'gcc', 'clang'].find((name) => onPath(name) !== undefined);
  if (compiler === undefined) {
    if (onPath('python3') === undefined) throw new Error('measuring needs a C compiler or python3');
    return ['python3', join(folder, 'measure.py')];
  }
  const source = join(folder, 'measure.c');
  const binary = cachePath('bench', `measure-${contentKey(readFileSync(source))}`);
  await makeOnce(binary, async () => {
    const made = await run(compiler, ['-O2', '-o', binary, source]);
    if (made.status !== 0) throw new Error(`measure.c did not build:\n${made.stderr.toString()}`);
  });
  return [binary];
}

/** Runs a command to its end and measures it. Its stderr is shown only when it fails. */
export async function measure(command: readonly string[], timeoutMs: number): Promise<Measurement> {
  helper ??= findHelper();
  const [program, ...prefix] = await helper;
  return new Promise((resolve, reject) => {
    // A group of its own, so that a time-out ends the measured program as well as the helper.
    const child = spawn(program, [...prefix, ...command], {
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    });
    const texts = ['', '', ''];
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), timeoutMs);
    [child.stdout, child.stderr, child.stdio[3]].forEach((stream, i) => {
      stream?.on('data', (chunk: Buffer) => {
        texts[i] += chunk.toString();
      });
    });
    child.on('error', reject);
    child.on('close', () => {
      clearTimeout(timer);
      const [user, system, rss, wall, wait] = texts[2].trim().split(' ').map(Number);
      if (wait === undefined) {
        resolve({ cpu: Number.NaN, wall: Number.NaN, rss: Number.NaN, status: 137, stdout: texts[0] });
        return;
      }
      const status = (wait & 127) === 0 ? wait >> 8 : 128 + (wait & 127);
      if (status !== 0) process.stderr.write(`\n${texts[1].slice(-600)}`);
      resolve({ cpu: (user + system) / 1e6, wall: wall / 1e6, rss: rss / 1024, status, stdout: texts[0] });
    });
  });
}
