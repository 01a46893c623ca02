import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os';
import { ourVersion } from '../../kernel-name.ts';
import type { Process } from '../../process.ts';
import { stateOf } from './process-texts.ts';

/* The texts of /proc that are about no single process (proc(5)). */

export interface GlobalFile {
  /** Ours also where the host's /proc can be seen. */
  readonly always: boolean;
  readonly text: (viewer: Process) => string;
}

/** Milliseconds in a tick of times in /proc. */
const tickMs = 10;

function cpuTimes(): string {
  const total = { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 };
  for (const { times } of cpus()) {
    for (const name of ['user', 'nice', 'sys', 'idle', 'irq'] as const) total[name] += times[name];
  }
  const { user, nice, sys, idle, irq } = total;
  return [user, nice, sys, idle, 0, irq, 0, 0, 0, 0].map((ms) => Math.floor(ms / tickMs)).join(' ');
}

function statText({ kernel }: Process): string {
  const running = [...kernel.processes].filter((process) => stateOf(process) === 'R').length;
  const times = cpuTimes();
  return [
    // Guest threads take turns: there is one processor.
    `cpu  ${times}`,
    `cpu0 ${times}`,
    'intr 0',
    'ctxt 0',
    `btime ${Math.floor(Date.now() / 1000 - uptime())}`,
    `processes ${[...kernel.processes].length}`,
    `procs_running ${Math.max(1, running)}`,
    'procs_blocked 0',
    'softirq 0 0 0 0 0 0 0 0 0 0 0',
    '',
  ].join('\n');
}

function meminfoText({ kernel }: Process): string {
  const limit = kernel.options.memoryLimit ?? Infinity;
  const total = Math.min(totalmem(), limit);
  const used = kernel.memoryInUse;
  const free = Math.max(0, limit === Infinity ? freemem() : total - used);
  const lines: readonly (readonly [string, number])[] = [
    ['MemTotal', total],
    ['MemFree', free],
    ['MemAvailable', free],
    ['Buffers', 0],
    ['Cached', 0],
    ['SwapCached', 0],
    ['Active', used],
    ['Inactive', 0],
    ['SwapTotal', 0],
    ['SwapFree', 0],
    ['Dirty', 0],
    ['Writeback', 0],
    ['AnonPages', used],
    ['Mapped', 0],
    ['Shmem', 0],
    ['Slab', 0],
    ['SReclaimable', 0],
    ['SUnreclaim', 0],
    ['KernelStack', 0],
    ['PageTables', 0],
    ['CommitLimit', total],
    ['Committed_AS', used],
    ['VmallocTotal', 0],
    ['VmallocUsed', 0],
  ];
  return lines
    .map(([name, bytes]) => `${`${name}:`.padEnd(16)}${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`)
    .join('');
}

function loadText({ kernel, pid }: Process): string {
  const loads = loadavg().map((load) => load.toFixed(2));
  const all = [...kernel.processes];
  const running = all.filter((process) => stateOf(process) === 'R').length;
  return `${loads.join(' ')} ${running}/${kernel.processes.taskCount} ${all.at(-1)?.pid ?? pid}\n`;
}

const fileSystems = ['sysfs', 'tmpfs', 'proc', 'devtmpfs', 'devpts', 'mqueue', 'pipefs', 'sockfs'];

const global = (text: GlobalFile['text']): GlobalFile => ({ always: false, text });
const always = (text: GlobalFile['text']): GlobalFile => ({ always: true, text });

export const globalFiles: Readonly<Record<string, GlobalFile>> = {
  cmdline: global(() => 'tsemu\n'),
  cpuinfo: always(({ abi }) => abi.cpuInfo?.() ?? ''),
  devices: global(() => 'Character devices:\n  1 mem\n  5 /dev/tty\n136 pts\n\nBlock devices:\n'),
  diskstats: global(() => ''),
  filesystems: global(() => fileSystems.map((name) => `nodev\t${name}\n`).join('') + '\text4\n'),
  interrupts: global(() => '           CPU0\n'),
  loadavg: global(loadText),
  locks: global(() => ''),
  meminfo: global(meminfoText),
  modules: global(() => ''),
  partitions: global(() => 'major minor  #blocks  name\n\n'),
  stat: global(statText),
  swaps: global(() => 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'),
  uptime: global(() => `${uptime().toFixed(2)} ${((uptime() * cpus().length) / 2).toFixed(2)}\n`),
  version: always(({ kernel }) => `Linux version ${kernel.release} (tsemu) ${ourVersion}\n`),
  vmstat: global(() => 'nr_free_pages 0\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\n'),
};
