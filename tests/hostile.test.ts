import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repoRoot } from './support/cache.ts';
import { buildOf, variants } from './support/guest-programs.ts';
import { run, runTsemu, tsemuCommand } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

/* Guests that ask for what they should not, or for too much: tsemu answers, and lives. */

const found = await toolchainOrReason('arm-linux-gnueabihf');
const reason = 'reason' in found ? found.reason : undefined;
const variant = variants.find(({ name }) => name === 'hard arm -O2 static')!;

const pathOf = async (name: string): Promise<string> =>
  buildGuest(await buildOf({ name, source: join(repoRoot, 'fixtures/c', `${name}.c`) }, variant));

async function runGuest(name: string, ...args: string[]): Promise<object> {
  const path = await pathOf(name);
  const cwd = freshWorkdir(`hostile-${name}`, {});
  const { status, stdout, stderr } = await runTsemu([path, ...args], { cwd, timeout: 200_000 });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** The host processes whose parent is `parent` and whose program is called `name`. */
function childrenOf(parent: number, name: string): number[] {
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  return pids.map(Number).filter((pid) => {
    try {
      return (
        readFileSync(`/proc/${pid}/stat`, 'latin1').includes(`(${name}) `) &&
        statusOf(pid).includes(`PPid:\t${parent}\n`)
      );
    } catch {
      return false;
    }
  });
}

const statusOf = (pid: number): string => readFileSync(`/proc/${pid}/status`, 'latin1');
const isRunning = (pid: number): boolean => existsSync(`/proc/${pid}`) && !/^State:\tZ/m.test(statusOf(pid));

describe.skipIf(reason !== undefined)(`hostile guests${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test('random system calls of threads', { timeout: 300_000 }, async () => {
    const stdout = '30 processes are over\n';
    expect(await runGuest('fuzz', '20240607', '30', '1500')).toEqual({ status: 0, stdout, stderr: '' });
  });

  test('what runs out ends in an error', { timeout: 300_000 }, async () => {
    const stdout = 'descriptors: 1\npipes: 1\nfork bomb: A\nthreads: 1\ntimers: 1\naddresses: 1\n';
    expect(await runGuest('exhaustion')).toEqual({ status: 0, stdout, stderr: '' });
  });

  test.skipIf(process.platform !== 'linux')(
    'the host has descriptors left for tsemu',
    { timeout: 120_000 },
    async () => {
      const few = 'ulimit -n 300; exec "$@"';
      const command = tsemuCommand([await pathOf('host-descriptors')]).flat();
      const { status, stdout, stderr } = await run('/bin/sh', ['-c', few, 'sh', ...command], { timeout: 100_000 });
      const works = 'pipe 0, socket pair 0, child 3\n';
      expect({ status, stdout: stdout.toString(), stderr: stderr.toString() }).toEqual({
        status: 0,
        stdout: `no more: 1\n${works}open again: 1\n${works}`,
        stderr: '',
      });
    },
  );

  const sleep = '/bin/sleep';
  test.skipIf(process.platform !== 'linux' || !existsSync(sleep))(
    'a killed tsemu takes its host programs along',
    { timeout: 120_000 },
    async () => {
      const arguments_ = [join(repoRoot, 'bin/tsemu-arm.cjs'), await pathOf('host-child'), sleep, '100'];
      const tsemu = spawn(process.execPath, arguments_, { stdio: ['ignore', 'ignore', 'ignore'] });
      const found = (): number[] => childrenOf(tsemu.pid!, 'sleep');
      await expect.poll(() => found().length, { timeout: 60_000 }).toBe(1);
      const [pid] = found();
      tsemu.kill('SIGKILL');
      await expect.poll(() => isRunning(pid), { timeout: 30_000 }).toBe(false);
    },
  );
});
