import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repoRoot } from './support/cache.ts';
import { buildOf, variants } from './support/guest-programs.ts';
import { runTsemu } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

/* Guests that ask for what they should not, or for too much: tsemu answers, and lives. */

const found = await toolchainOrReason('arm-linux-gnueabihf');
const reason = 'reason' in found ? found.reason : undefined;
const variant = variants.find(({ name }) => name === 'hard arm -O2 static')!;

async function runGuest(name: string, ...args: string[]): Promise<object> {
  const program = { name, source: join(repoRoot, 'fixtures/c', `${name}.c`) };
  const path = await buildGuest(await buildOf(program, variant));
  const cwd = freshWorkdir(`hostile-${name}`, {});
  const { status, stdout, stderr } = await runTsemu([path, ...args], { cwd, timeout: 200_000 });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

describe.skipIf(reason !== undefined)(`hostile guests${reason ? ` (skipped: ${reason})` : ''}`, () => {
  test('random system calls of threads', { timeout: 300_000 }, async () => {
    const stdout = '30 processes are over\n';
    expect(await runGuest('fuzz', '20240607', '30', '1500')).toEqual({ status: 0, stdout, stderr: '' });
  });

  test('what runs out ends in an error', { timeout: 300_000 }, async () => {
    const stdout = 'descriptors: 1\npipes: 1\nfork bomb: A\nthreads: 1\ntimers: 1\naddresses: 1\n';
    expect(await runGuest('exhaustion')).toEqual({ status: 0, stdout, stderr: '' });
  });
});
