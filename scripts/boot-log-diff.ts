// Boots a kernel in qemu-system-arm and in tsemu, both the same way, and prints the lines that only one of them prints:
//   node scripts/boot-log-diff.ts KERNEL INITRD [--qemu-kernel ZIMAGE] [--append WORDS] [--seconds N]
// QEMU does not boot an uncompressed kernel: it is given the compressed one then.
// A line that `explained` has a reason for is counted only; the exit code is 1 if there are others.
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

/** Lines that differ for a known reason. */
const explained: readonly (readonly [line: RegExp, why: string])[] = [
  [/audit\(|setting system clock/, 'the time'],
  [/sched_clock|clocksource|BogoMIPS|Calibrating|jiffies|lpj=|Switched to/, 'how fast the host is'],
  [
    /Memory: |Reserved memory|memblock|Early memory node|cma: |Zone ranges|ramdisk|initrd|INITRD/,
    'where initrd and tree lie',
  ],
  [/OF: fdt|random: |crng|Machine model/, 'seeds in the device tree'],
  [/[Pp][Cc][Ii]|ECAM|GICv2m|msi|v2m/, 'no PCI'],
  [/[Pp]erformance|PMU|pmu|perf/, 'no performance counters'],
  [/hw-breakpoint|breakpoint registers|watchpoint/, 'no hardware breakpoints'],
  [/PSCI|psci/, 'version of PSCI'],
  [/CPU: ARMv7|CPU features|L2|cache/, 'caches that are described differently'],
  [/virtio|vda|eth0/, 'slots of virtio-mmio'],
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'qemu-kernel': { type: 'string' },
    append: { type: 'string', default: 'console=ttyAMA0 nokaslr cryptomgr.notests=1 printk.time=0' },
    seconds: { type: 'string', default: '300' },
  },
});
const [kernel, initrd] = positionals;
if (kernel === undefined || initrd === undefined) throw new Error('a kernel and an initrd are needed');
const args = ['-M', 'virt', '-cpu', 'cortex-a15', '-m', '128', '-nographic', '-no-reboot'];
args.push('-initrd', initrd, '-append', values.append);

/** The lines that a command prints, without times and addresses that differ from run to run. */
function linesOf(command: string, commandArgs: readonly string[]): Promise<string[]> {
  return new Promise((done, fail) => {
    const child = spawn(command, commandArgs, { stdio: ['ignore', 'pipe', 'inherit'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), Number(values.seconds) * 1000);
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
    });
    child.on('error', fail);
    child.on('close', () => {
      clearTimeout(timer);
      const lines = text.split(/\r?\n/).map((line) => line.replace(/^\[ *[\d.]+\] /, '').trimEnd());
      done(lines.filter((line) => line !== ''));
    });
  });
}

const tsemu = join(resolve(import.meta.dirname, '..'), 'bin', 'tsemu-arm.cjs');
const [theirs, ours] = await Promise.all([
  linesOf('qemu-system-arm', [...args, '-nic', 'none', '-kernel', values['qemu-kernel'] ?? kernel]),
  linesOf(process.execPath, [tsemu, '--system', ...args, '-kernel', kernel]),
]);
const reasons = new Map<string, number>();
let open = 0;
for (const [sign, lines, others] of [
  ['-', theirs, new Set(ours)],
  ['+', ours, new Set(theirs)],
] as const) {
  for (const line of lines.filter((text) => !others.has(text))) {
    const [, why] = explained.find(([pattern]) => pattern.test(line)) ?? [];
    if (why !== undefined) reasons.set(why, (reasons.get(why) ?? 0) + 1);
    else {
      open++;
      process.stdout.write(`${sign} ${line}\n`);
    }
  }
}
process.stdout.write(`QEMU ${theirs.length} lines, tsemu ${ours.length}; ${open} differ without a known reason\n`);
for (const [why, count] of reasons) process.stdout.write(`  ${count} lines: ${why}\n`);
process.exitCode = open === 0 ? 0 : 1;
