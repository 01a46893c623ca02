import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Unavailable } from './support/cache.ts';
import { debianKernel, runMachine, testInitramfs } from './support/linux-machine.ts';

async function prepare() {
  try {
    const { image } = await debianKernel();
    return { image, initrd: await testInitramfs(), reason: undefined };
  } catch (error) {
    if (error instanceof Unavailable) return { image: '', initrd: '', reason: error.message };
    throw error;
  }
}

const { image, initrd, reason } = await prepare();
if (reason !== undefined) console.warn(`system-boot: ${reason}`);

const md5 = (text: string | Uint8Array): string => createHash('md5').update(text).digest('hex');

/** What `work` in fixtures/system/init must print. */
function expectedWork(): string[] {
  let sum = 0;
  for (let i = 0; i < 1000; i++) sum = (sum * 31 + i) & 0xffffff;
  const lines = Array.from({ length: 2000 }, (_, i) => `${i + 1}\n`)
    .sort()
    .reverse();
  let series = 0;
  for (let i = 1; i <= 5000; i++) series += 1 / i;
  return [
    `@@MD5 ${md5(new Uint8Array(1 << 20))}  -`,
    `@@LOOP ${sum}`,
    `@@SORT ${md5(lines.join(''))}  -`,
    '@@GZIP ok',
    `@@AWK ${series.toFixed(9)}`,
    '@@WORKDONE',
  ];
}

describe.skipIf(reason !== undefined)('Debian’s kernel', () => {
  test('boots, works, answers a typed command and powers off', { timeout: 300_000 }, async () => {
    const append = 'console=ttyAMA0 quiet nokaslr cryptomgr.notests=1 ts.work ts.shell';
    const args = ['-M', 'virt', '-m', '128', '-kernel', image, '-initrd', initrd, '-append', append];
    const { output, errors, status } = await runMachine(
      [...args, '-nographic', '-no-reboot'],
      [
        ['machine# ', 'echo typed $((6 * 7))\r'],
        ['typed 42', 'exit\r'],
      ],
    );
    const marks = output.split(/\r?\n/).filter((line) => line.startsWith('@@'));
    expect({ marks, errors, status }).toEqual({ marks: ['@@INIT', ...expectedWork()], errors: '', status: 0 });
    expect(output).toContain('typed 42');
    expect(output).toContain('reboot: Power down');
  });

  test('C-a x ends the machine; what cannot be booted is one line', { timeout: 120_000 }, async () => {
    const args = ['-M', 'virt', '-kernel', image, '-append', 'console=ttyAMA0 earlycon=pl011,0x9000000'];
    const ended = await runMachine([...args, '-nographic'], [['Booting Linux', '\x01x']]);
    expect([ended.status, ended.errors]).toEqual([0, '']);
    const wrong = await runMachine(['-M', 'virt', '-kernel', initrd]);
    expect([wrong.status, wrong.output]).toEqual([1, '']);
    expect(wrong.errors).toMatch(/^tsemu-arm: .*no ARM kernel.*\n$/);
  });
});

test.each([
  [['-kernel', 'k'], 'no machine (-M); -M help lists them'],
  [['-M', 'vexpress-a9', '-kernel', 'k'], "unknown machine 'vexpress-a9': virt"],
  [['-M', 'virt'], 'no kernel (-kernel) and no firmware (-bios)'],
  [['-M', 'virt', '-kernel', '/nonexistent'], '-kernel /nonexistent: ENOENT'],
  [['-M', 'virt', '-m', '1', '-kernel', 'k'], '-m 1: from 16M to 3000M'],
  [['-M', 'virt', '-frob'], "unknown option '-frob'; see --system --help"],
])('%j is refused in one line', async (args, message) => {
  expect(await runMachine(args)).toEqual({ output: '', errors: `tsemu-arm: ${message}\n`, status: 1 });
});
