import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Unavailable } from './support/cache.ts';
import { debianKernel, type MachineRun, runMachine, testInitramfs } from './support/linux-machine.ts';

/* Machines with two cores; saved states; reboots. */

async function prepare() {
  try {
    const [{ image }, lpae] = [await debianKernel(), await debianKernel('armmp-lpae')];
    return { image, lpae: lpae.image, initrd: await testInitramfs(), reason: undefined };
  } catch (error) {
    if (error instanceof Unavailable) return { image: '', lpae: '', initrd: '', reason: error.message };
    throw error;
  }
}

const { image, lpae, initrd, reason } = await prepare();
if (reason !== undefined) console.warn(`system-cpus: ${reason}`);
const folder = mkdtempSync(join(tmpdir(), 'tsemu-vm-'));
afterAll(() => rmSync(folder, { recursive: true }));

const marksOf = ({ output }: MachineRun): string[] => output.split(/\r?\n/).filter((line) => line.startsWith('@@'));
const machine = (kernel: string, append: string): string[] => {
  const words = `console=ttyAMA0 quiet nokaslr cryptomgr.notests=1 ${append}`;
  return ['-M', 'virt', '-m', '128', '-kernel', kernel, '-initrd', initrd, '-append', words];
};
/** 3000 rounds of the sum of `both` in fixtures/system/init. */
const sum = Array.from({ length: 3000 }).reduce<number>((s, _, i) => (s * 31 + i) & 0xffffff, 0);

describe.skipIf(reason !== undefined)('two cores', () => {
  test('both work, under a kernel with long-descriptor page tables', { timeout: 300_000 }, async () => {
    const args = machine(lpae, 'ts.both');
    const run = await runMachine([...args, '-smp', '2', '-serial', 'stdio', '-no-reboot']);
    expect([marksOf(run).toSorted(), run.errors]).toEqual([[`@@CPU 0 ${sum}`, `@@CPU 1 ${sum}`, '@@INIT'], '']);
    expect(run.output).toContain('reboot: Power down');
  });

  test('a state that was saved goes on in another process', { timeout: 300_000 }, async () => {
    const args = [...machine(image, 'ts.work'), '-smp', '2', '--vmstate', folder, '-no-reboot'];
    const saved = await runMachine(
      [...args, '-serial', 'mon:stdio'],
      [
        ['@@MD5', '\x01csavevm one\rinfo snapshots\r'],
        ['one    ', 'quit\r'],
      ],
    );
    expect(saved.errors).toBe('');
    const resumed = await runMachine([...args, '-serial', 'stdio', '-loadvm', 'one']);
    expect(resumed.errors).toBe('');
    expect(resumed.output).toContain('reboot: Power down');
    const after = marksOf(resumed);
    expect(after.slice(-4)).toEqual([
      expect.stringContaining('@@SORT 2e9c29a3e64ec8303dcda875708e6884'),
      '@@GZIP ok',
      '@@AWK 9.094508853',
      '@@WORKDONE',
    ]);
    expect(after).not.toContain('@@INIT');
    const other = await runMachine([...machine(image, ''), '--vmstate', folder, '-loadvm', 'one']);
    expect([other.status, other.errors]).toEqual([
      1,
      "tsemu-arm: Snapshot 'one': the state is of a machine with cpus 2, not 1\n",
    ]);
    const none = await runMachine([...args, '-loadvm', 'two']);
    expect([none.status, none.errors]).toEqual([1, "tsemu-arm: Snapshot 'two' does not exist\n"]);
  });

  test('a kernel sees which core it is', { timeout: 100_000 }, async () => {
    const args = [...machine(image, 'earlycon=pl011,0x9000000'), '-nographic', '-cpu', 'cortex-a7'];
    const words = args.map((word) => word.replace('quiet ', ''));
    const { output, errors } = await runMachine(words, [['[410fc075]', '\x01x']]);
    expect([output.includes('ARMv7 Processor [410fc075]'), errors]).toEqual([true, '']);
  });

  test('a reset boots again, or ends the machine', { timeout: 300_000 }, async () => {
    const args = [...machine(image, 'ts.reboot'), '-nographic'];
    const twice = await runMachine(args, [
      ['@@INIT', ''],
      ['@@INIT', '\x01x'],
    ]);
    expect([twice.output.split('Restarting system').length, twice.errors]).toEqual([2, '']);
    const once = await runMachine([...args, '-no-reboot']);
    expect([once.status, marksOf(once), once.errors]).toEqual([0, ['@@INIT'], '']);
  });
});

test('-smp and -m are refused in one line', async () => {
  const refused = async (...args: string[]) => (await runMachine(['-M', 'virt', '-kernel', 'k', ...args])).errors;
  expect(await refused('-smp', '9')).toBe('tsemu-arm: -smp 9: 1 to 8\n');
  expect(await refused('-smp', '2', '-m', '3000')).toBe('tsemu-arm: -m 3000: from 16M to 2936M\n');
});
