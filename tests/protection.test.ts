import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Mm } from '#linux-user/mm/mm.ts';
import { MapFlags, Prot } from '#linux-user/mm/vma.ts';
import { ResourceLimits } from '#linux-user/resource-limits.ts';
import { repoRoot, Unavailable } from './support/cache.ts';
import { protectedMemory, protectsPages } from './support/guest-memory.ts';
import { qemuArm, runQemu } from './support/oracle.ts';
import {
  nodeCommand,
  type Outcome,
  type Protection,
  plainEnvironment,
  run,
  runTsemu,
  type Tier,
} from './support/run.ts';
import { buildGuest } from './support/toolchain.ts';
import { freshWorkdir } from './support/workdir.ts';

const fixture = (name: string): string => join(repoRoot, 'fixtures/arm', name);
const tsemu = join(repoRoot, 'bin/tsemu-arm.cjs');
const protections: Protection[] = ['auto', 'checks'];

async function prepare(): Promise<{ path: string } | { reason: string }> {
  try {
    await qemuArm();
    const flags = ['-O2', '-marm', '-D_GNU_SOURCE', '-w', '-static'];
    const sources = [join(repoRoot, 'fixtures/c/faults.c')];
    return { path: await buildGuest({ triple: 'arm-linux-gnueabihf', sources, flags }) };
  } catch (error) {
    if (error instanceof Unavailable) return { reason: error.message };
    throw error;
  }
}

const ready = await prepare();
const path = 'path' in ready ? ready.path : '';
const reason = 'reason' in ready ? ready.reason : undefined;

const seen = ({ status, stdout }: Outcome): object => ({ status, stdout: stdout.toString() });

/** From the lines of --stats. */
function statsOf({ stderr }: Outcome): { protection: string; modules: number } {
  const text = stderr.toString();
  return { protection: / protection +(\w+)/.exec(text)![1], modules: Number(/ modules +(\d+)/.exec(text)![1]) };
}

describe.skipIf(reason !== undefined)(`faults of hot code${reason ? ` (skipped: ${reason})` : ''}`, () => {
  describe.each<Tier>(['auto', 'region', 'interp'])('tier %s', (tier) => {
    test.each(['load', 'store', 'unmapped', 'multiple', 'far', 'high', 'many', 'handled'])('%s', async (how) => {
      const cwd = freshWorkdir('faults', {});
      const expected = seen(await runQemu([path, how], { cwd, env: plainEnvironment }));
      expect(expected).toMatchObject({ status: 139 });
      for (const protection of tier === 'interp' ? protections.slice(0, 1) : protections) {
        const outcome = await runTsemu([path, how], { cwd, tier, protection });
        expect(seen(outcome), `protection ${protection}: ${outcome.stderr.toString()}`).toEqual(expected);
        expect(outcome.stderr.toString()).toMatch(/^tsemu: the guest ended by signal 11, SIGSEGV/);
      }
    });
  });

  test.each(protections)('the report names the instruction, protection %s', async (protection) => {
    const outcome = await runTsemu([path, 'store'], { tier: 'region', protection });
    expect(outcome.stderr.toString()).toMatch(/pc +0x[0-9a-f]{8} store_all/);
  });

  // Files are copied into guest memory: the host's own SIGBUS never comes.
  test('a mapped file that is cut off', async () => {
    const cwd = freshWorkdir('truncated', {});
    for (const protection of protections) {
      expect(seen(await runTsemu([path, 'truncated'], { cwd, protection }))).toEqual({ status: 0, stdout: 'read 1\n' });
    }
  });
});

describe('what protects', () => {
  const nodeOptions = (value: string) => ({ env: { ...plainEnvironment, NODE_OPTIONS: value } });
  const hello = ['--stats', fixture('hello')];

  test.skipIf(!protectsPages)('pages, once something is compiled', async () => {
    expect(statsOf(await runTsemu(hello, { tier: 'region' }))).toMatchObject({ protection: 'pages' });
    expect(statsOf(await runTsemu(hello))).toMatchObject({ protection: 'checks', modules: 0 });
    expect(statsOf(await runTsemu(hello, { protection: 'pages' }))).toMatchObject({ protection: 'pages' });
  });

  test('checks where they are asked for', async () => {
    const outcome = await runTsemu(hello, { tier: 'region', protection: 'checks' });
    expect(statsOf(outcome)).toMatchObject({ protection: 'checks' });
  });

  test.each(['--disable-wasm-trap-handler', '--no-experimental-ffi'])('checks under %s', async (option) => {
    const outcome = await runTsemu(hello, { tier: 'region', ...nodeOptions(option) });
    expect(outcome.stdout.toString()).toBe('Hello from ARM!\n');
    expect(statsOf(outcome)).toMatchObject({ protection: 'checks' });
    const insisted = await runTsemu(hello, { protection: 'pages', ...nodeOptions(option) });
    expect(insisted.stderr.toString()).toMatch(/^tsemu-arm: no page protection: [^\n]+\n$/);
    expect(insisted.status).toBe(1);
  });

  // V8 needs room for guard pages, else it does without page faults.
  test.skipIf(process.platform !== 'linux')('checks where address space is short', async () => {
    const command = `ulimit -v 16000000; exec ${nodeCommand} ${tsemu} --tier=region --stats ${fixture('hello')}`;
    const outcome = await run('/bin/sh', ['-c', command]);
    expect(outcome.stdout.toString()).toBe('Hello from ARM!\n');
    expect(statsOf(outcome)).toMatchObject({ protection: 'checks' });
  });
});

test.skipIf(!protectsPages)('unmapped memory goes back to the host', () => {
  const mm = new Mm(protectedMemory(), {
    taskSize: 0xff00_0000,
    stackBytes: 8 << 20,
    limits: new ResourceLimits(8 << 20),
    effectiveAccess: (prot) => prot,
  });
  const length = 256 << 20;
  const before = process.memoryUsage.rss();
  const address = mm.mmap({
    address: 0,
    length,
    prot: Prot.READ | Prot.WRITE,
    flags: MapFlags.PRIVATE | MapFlags.ANONYMOUS,
    file: null,
    offset: 0,
  });
  mm.memory.view(address, length, Prot.WRITE).fill(1);
  expect(process.memoryUsage.rss() - before).toBeGreaterThan(length * 0.9);
  mm.munmap(address, length);
  expect(process.memoryUsage.rss() - before).toBeLessThan(length * 0.1);
});
