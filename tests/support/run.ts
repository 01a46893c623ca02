import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { repoRoot } from './cache.ts';

/** How a program ended and what it wrote. */
export interface Outcome {
  /** Exit code, or 128 + signal number when a signal ended it, as a shell shows it. */
  status: number;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: Buffer;
  timedOut: boolean;
}

export interface RunOptions {
  cwd?: string;
  /** The whole environment; nothing is inherited. Default: a small fixed one (`plainEnvironment`). */
  env?: Record<string, string>;
  stdin?: string | Uint8Array;
  /** Milliseconds before the program is killed. Default 60,000. */
  timeout?: number;
}

/** What decides how tsemu runs guest code; `auto` is its default. */
export type Tier = 'auto' | 'interp' | 'region';

/** What refuses bad accesses of compiled code; `auto`: the host's page tables where that is possible. */
export type Protection = 'auto' | 'pages' | 'checks';

export const plainEnvironment: Record<string, string> = {
  PATH: '/usr/bin:/bin',
  HOME: '/nonexistent',
  LC_ALL: 'C',
  TZ: 'UTC',
  TERM: 'xterm',
};

/** Runs a program to its end. Rejects only if it cannot be started. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.cwd ?? repoRoot,
      env: options.env ?? plainEnvironment,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeout ?? 60_000);
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({
        status: code ?? 128 + (signal ? constants.signals[signal] : 0),
        signal,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr),
        timedOut,
      });
    });
    // A program may end without reading its input: EPIPE then is no error of ours.
    child.stdin.on('error', () => {});
    child.stdin.end(options.stdin ?? '');
  });
}

/** The Node that runs tsemu: this one, or the one that the package brings. */
export const nodeCommand: string =
  Number(process.versions.node.split('.')[0]) >= 24 ? process.execPath : join(repoRoot, 'node_modules/.bin/node');

/** The command line that runs `args` (guest program and its arguments) under tsemu. */
export function tsemuCommand(
  args: readonly string[],
  tier: Tier = 'auto',
  protection: Protection = 'auto',
  command = 'tsemu-arm',
): [string, string[]] {
  const options: string[] = [];
  if (tier !== 'auto') options.push(`--tier=${tier}`);
  if (protection !== 'auto') options.push(`--protection=${protection}`);
  return [nodeCommand, [join(repoRoot, `bin/${command}.cjs`), ...options, ...args]];
}

/** Runs a guest program under tsemu. */
export function runTsemu(
  args: readonly string[],
  options: RunOptions & { tier?: Tier; protection?: Protection } = {},
): Promise<Outcome> {
  return run(...tsemuCommand(args, options.tier, options.protection), options);
}

/** Whether there is a tsemu to run at all: `npm ci` builds it. */
export function tsemuIsBuilt(): boolean {
  return existsSync(join(repoRoot, 'bin/tsemu-arm.cjs')) && existsSync(join(repoRoot, 'dist'));
}
