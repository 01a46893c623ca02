import { uptime } from 'node:os';
import { pageSize } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import { monotonic } from '../../clock.ts';
import type { CpuTime } from '../../cpu-usage.ts';
import type { Vma } from '../../mm/vma.ts';
import type { Process } from '../../process.ts';
import { resourceLimitCount, unlimited } from '../../resource-limits.ts';
import { maskOf } from '../../signal/numbers.ts';
import { SIG_DFL, SIG_IGN } from '../../signal/signal-state.ts';
import type { Task } from '../../task.ts';

/* The texts of /proc/<pid> (proc_pid_*(5)). */

/** Ticks a second of times in /proc (USER_HZ). */
const ticksPerSecond = 100;

/** Bytes of guest memory; none of a process that has ended. */
export function guestRange({ zombie, mm }: Process, start: number, end: number): Uint8Array {
  return zombie ? new Uint8Array(0) : mm.memory.copy(start, end - start);
}

/** The name of the first thread, or of the program. */
export function commandName(process: Process): string {
  return process.tasks.get(process.pid)?.name ?? process.exePath.split('/').at(-1)!.slice(0, 15);
}

type State = 'R' | 'S' | 'T' | 't' | 'Z';
const stateWords: Readonly<Record<State, string>> = {
  R: 'running',
  S: 'sleeping',
  T: 'stopped',
  t: 'tracing stop',
  Z: 'zombie',
};

export function stateOf({ pid, zombie, stopped, tasks }: Process, task?: Task): State {
  if (zombie) return 'Z';
  if ((task ?? tasks.get(pid))?.trace?.stop) return 't';
  if (stopped) return 'T';
  const asked = task === undefined ? [...tasks.values()] : [task];
  return asked.every(({ sleeping }) => sleeping) ? 'S' : 'R';
}

const ticks = (microseconds: number): number => Math.floor((microseconds * ticksPerSecond) / 1e6);

/** Ticks from the machine's start to the process's. */
export const startTicks = ({ startTime }: Process): number =>
  Math.max(0, Math.floor((uptime() - (monotonic() - startTime) / 1000) * ticksPerSecond));

const sum = (items: Iterable<Vma>, counts: (vma: Vma) => boolean): number => {
  let bytes = 0;
  for (const vma of items) if (counts(vma)) bytes += vma.end - vma.start;
  return bytes;
};

/** Memory of a process by what it is for, bytes. Every mapped page counts as resident. */
function memoryOf({ mm }: Process) {
  const { vmas } = mm;
  return {
    total: vmas.bytes,
    stack: sum(vmas, ({ name }) => name === '[stack]'),
    data: sum(vmas, ({ shared, prot, name }) => !shared && (prot & 2) !== 0 && name !== '[stack]'),
    code: sum(vmas, ({ prot, file }) => (prot & 4) !== 0 && file !== null),
    file: sum(vmas, ({ file }) => file !== null),
    shared: sum(vmas, ({ shared, file }) => shared && file === null),
    locked: sum(vmas, ({ locked }) => locked),
  };
}

const masks = (signals: readonly { readonly handler: number }[], wanted: (handler: number) => boolean): bigint =>
  signals.reduce((all, { handler }, signo) => (signo > 0 && wanted(handler) ? all | maskOf(signo) : all), 0n);
const isCaught = (handler: number): boolean => handler !== SIG_DFL && handler !== SIG_IGN;
const low = (mask: bigint): bigint => mask & 0x7fffffffn;

/** The 52 fields of /proc/<pid>/stat, or of one thread's; what nobody keeps count of here is 0. */
export function statText(process: Process, task?: Task): string {
  const { mm, pid, ppid, kernel, cpu } = process;
  kernel.scheduler.meter.settle();
  const terminal = process.fs.terminals.controlling(process);
  const thread = task ?? process.tasks.get(pid);
  const { actions, pending } = process.signals;
  const { termination } = process;
  const times = (time: CpuTime): number[] => [ticks(time.user), ticks(time.system)];
  const fields: (string | number | bigint)[] = new Array<number>(52).fill(0);
  fields[0] = task?.tid ?? pid;
  fields[1] = `(${task?.name ?? commandName(process)})`;
  fields[2] = stateOf(process, task);
  fields[3] = ppid;
  fields[4] = process.group;
  fields[5] = process.session;
  fields[6] = terminal?.device ?? 0;
  fields[7] = terminal?.foregroundGroup ?? -1;
  fields.splice(13, 4, ...times(cpu.own), ...times(cpu.children));
  fields[17] = 20 + process.nice;
  fields[18] = process.nice;
  fields[19] = process.tasks.size;
  fields[21] = startTicks(process);
  fields[22] = mm.vmas.bytes;
  fields[23] = mm.vmas.bytes / pageSize;
  fields[24] = 4294967295;
  fields[27] = mm.stackTop;
  fields[30] = low((thread?.signals.pending.mask ?? 0n) | pending.mask);
  fields[31] = low(thread?.signals.blocked ?? 0n);
  fields[32] = low(masks(actions, (handler) => handler === SIG_IGN));
  fields[33] = low(masks(actions, isCaught));
  fields[37] = process.exitSignal;
  fields[46] = mm.brkStart;
  fields[47] = mm.argStart;
  fields[48] = mm.argEnd;
  fields[49] = mm.envStart;
  fields[50] = mm.envEnd;
  if (process.zombie) fields[51] = termination?.kind === 'exit' ? termination.code << 8 : (termination?.signo ?? 0);
  return `${fields.join(' ')}\n`;
}

export function statmText(process: Process): string {
  const { total, file, shared, code, data, stack } = memoryOf(process);
  const pages = [total, total, file + shared, code, 0, data + stack, 0].map((bytes) => bytes / pageSize);
  return `${pages.join(' ')}\n`;
}

export function statusText(process: Process, task?: Task): string {
  const credentials = task?.credentials ?? process.credentials;
  const { uid, euid, suid, fsuid, gid, egid, sgid, fsgid, groups } = credentials;
  const kilobytes = (bytes: number): string => `${String(bytes / 1024).padStart(8)} kB`;
  const mask = (bits: bigint): string => bits.toString(16).padStart(16, '0');
  const thread = task ?? process.tasks.get(process.pid);
  const state = stateOf(process, task);
  const { actions, pending } = process.signals;
  const memory = memoryOf(process);
  const lines = [
    `Name:\t${task?.name ?? commandName(process)}`,
    `Umask:\t${process.fs.umask.toString(8).padStart(4, '0')}`,
    `State:\t${state} (${stateWords[state]})`,
    `Tgid:\t${process.pid}`,
    'Ngid:\t0',
    `Pid:\t${task?.tid ?? process.pid}`,
    `PPid:\t${process.ppid}`,
    `TracerPid:\t${(task ?? process.tasks.get(process.pid))?.trace?.tracer.pid ?? 0}`,
    `Uid:\t${uid}\t${euid}\t${suid}\t${fsuid}`,
    `Gid:\t${gid}\t${egid}\t${sgid}\t${fsgid}`,
    `FDSize:\t${Math.max(64, 2 ** Math.ceil(Math.log2(1 + (process.files.descriptors().at(-1) ?? 0))))}`,
    `Groups:\t${groups.map((group) => `${group} `).join('')}`,
    `NStgid:\t${process.pid}`,
    `NSpid:\t${task?.tid ?? process.pid}`,
    `NSpgid:\t${process.group}`,
    `NSsid:\t${process.session}`,
  ];
  if (!process.zombie) {
    lines.push(
      `VmPeak:\t${kilobytes(memory.total)}`,
      `VmSize:\t${kilobytes(memory.total)}`,
      `VmLck:\t${kilobytes(memory.locked)}`,
      `VmPin:\t${kilobytes(0)}`,
      `VmHWM:\t${kilobytes(memory.total)}`,
      `VmRSS:\t${kilobytes(memory.total)}`,
      `RssAnon:\t${kilobytes(memory.total - memory.file - memory.shared)}`,
      `RssFile:\t${kilobytes(memory.file)}`,
      `RssShmem:\t${kilobytes(memory.shared)}`,
      `VmData:\t${kilobytes(memory.data)}`,
      `VmStk:\t${kilobytes(memory.stack)}`,
      `VmExe:\t${kilobytes(memory.code)}`,
      `VmLib:\t${kilobytes(0)}`,
      `VmPTE:\t${kilobytes(0)}`,
      `VmSwap:\t${kilobytes(0)}`,
    );
  }
  lines.push(
    `Threads:\t${process.tasks.size}`,
    `SigQ:\t0/65536`,
    `SigPnd:\t${mask(thread?.signals.pending.mask ?? 0n)}`,
    `ShdPnd:\t${mask(pending.mask)}`,
    `SigBlk:\t${mask(thread?.signals.blocked ?? 0n)}`,
    `SigIgn:\t${mask(masks(actions, (handler) => handler === SIG_IGN))}`,
    `SigCgt:\t${mask(masks(actions, isCaught))}`,
    `CapInh:\t${mask(credentials.inheritable)}`,
    `CapPrm:\t${mask(credentials.permitted)}`,
    `CapEff:\t${mask(credentials.effective)}`,
    `CapBnd:\t${mask(credentials.bounding)}`,
    `CapAmb:\t${mask(credentials.ambient)}`,
    'NoNewPrivs:\t0',
    'Seccomp:\t0',
    'Seccomp_filters:\t0',
    'Cpus_allowed:\t1',
    'Cpus_allowed_list:\t0',
    'Mems_allowed:\t1',
    'Mems_allowed_list:\t0',
    'voluntary_ctxt_switches:\t0',
    'nonvoluntary_ctxt_switches:\t0',
    '',
  );
  return lines.join('\n');
}

const limitNames: readonly (readonly [name: string, unit: string])[] = [
  ['Max cpu time', 'seconds'],
  ['Max file size', 'bytes'],
  ['Max data size', 'bytes'],
  ['Max stack size', 'bytes'],
  ['Max core file size', 'bytes'],
  ['Max resident set', 'bytes'],
  ['Max processes', 'processes'],
  ['Max open files', 'files'],
  ['Max locked memory', 'bytes'],
  ['Max address space', 'bytes'],
  ['Max file locks', 'locks'],
  ['Max pending signals', 'signals'],
  ['Max msgqueue size', 'bytes'],
  ['Max nice priority', ''],
  ['Max realtime priority', ''],
  ['Max realtime timeout', 'us'],
];

export function limitsText({ limits }: Process): string {
  const shown = (value: number): string => (value === unlimited ? 'unlimited' : String(value)).padEnd(21);
  let text = `${'Limit'.padEnd(26)}${'Soft Limit'.padEnd(21)}${'Hard Limit'.padEnd(21)}${'Units'.padEnd(10)}\n`;
  for (let resource = 0; resource < resourceLimitCount; resource++) {
    const [name, unit] = limitNames[resource];
    const { soft, hard } = limits.get(resource);
    text += `${name.padEnd(26)}${shown(soft)}${shown(hard)}${unit.padEnd(10)}\n`;
  }
  return text;
}

/** smaps, or the sum of it all (smaps_rollup). */
export function smapsText({ mm, zombie }: Process, rollup: boolean): string {
  if (zombie) throw new Errno('ESRCH');
  const figures = (bytes: number, shared: boolean, anonymous: boolean): string => {
    const line = (name: string, value: number): string =>
      `${`${name}:`.padEnd(16)}${String(value / 1024).padStart(8)} kB\n`;
    return [
      line('Rss', bytes),
      line('Pss', bytes),
      line('Pss_Dirty', anonymous ? bytes : 0),
      line('Shared_Clean', 0),
      line('Shared_Dirty', shared ? bytes : 0),
      line('Private_Clean', !shared && !anonymous ? bytes : 0),
      line('Private_Dirty', !shared && anonymous ? bytes : 0),
      line('Referenced', bytes),
      line('Anonymous', anonymous ? bytes : 0),
      line('Swap', 0),
      line('SwapPss', 0),
      line('Locked', 0),
    ].join('');
  };
  if (rollup) {
    const start = [...mm.vmas][0]?.start ?? 0;
    const head = `${start.toString(16).padStart(8, '0')}-${mm.stackTop.toString(16)} ---p 00000000 00:00 0`;
    return `${head.padEnd(48)} [rollup]\n${figures(mm.vmas.bytes, false, true)}`;
  }
  let text = '';
  for (const vma of mm.vmas) {
    const bytes = vma.end - vma.start;
    const flags = `${vma.prot & 1 ? 'rd ' : ''}${vma.prot & 2 ? 'wr ' : ''}${vma.prot & 4 ? 'ex ' : ''}${vma.shared ? 'sh ' : ''}`;
    text += mm.mapsText(vma);
    for (const [name, value] of [
      ['Size', bytes],
      ['KernelPageSize', pageSize],
      ['MMUPageSize', pageSize],
    ] as const) {
      text += `${`${name}:`.padEnd(16)}${String(value / 1024).padStart(8)} kB\n`;
    }
    text += `${figures(bytes, vma.shared, vma.file === null)}VmFlags: ${flags}mr mw me \n`;
  }
  return text;
}
