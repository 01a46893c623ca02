import { readFileSync } from 'node:fs';
import { cpus, freemem, hostname, loadavg, totalmem, uptime } from 'node:os';
import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import type { Entropy } from '#linux-user/entropy.ts';
import { ourRelease, ourVersion } from '#linux-user/kernel-name.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, bufferOut, flags, structOut, uint } from './arguments.ts';
import { guestStruct } from './guest-struct.ts';
import { usableLength } from './io.ts';
import { RandomFlag } from './names.ts';
import { braces, cstring } from './print.ts';
import { type Rows, row } from './row.ts';

/** Bytes of each of the six fields of struct new_utsname. */
const nameBytes = 65;

/** The first `count` names of `bytes` bytes each, as a struct of uname(2) and its predecessors has them. */
function uname(task: Task, at: number, release: string, count = 6, bytes = nameBytes): number {
  const fields = ['Linux', hostname(), release, ourVersion, task.abi.machine, '(none)'].slice(0, count);
  const struct = new Uint8Array(count * bytes);
  fields.forEach((field, index) => struct.set(Buffer.from(field).subarray(0, bytes - 1), index * bytes));
  task.memory.write(at, struct);
  return 0;
}

/** struct sysinfo with 32-bit longs. */
const sysinfoStruct = guestStruct({
  uptime: 'u32',
  load1: 'u32',
  load5: 'u32',
  load15: 'u32',
  totalram: 'u32',
  freeram: 'u32',
  sharedram: 'u32',
  bufferram: 'u32',
  totalswap: 'u32',
  freeswap: 'u32',
  procs: 'u16',
  pad: 'u16',
  totalhigh: 'u32',
  freehigh: 'u32',
  memUnit: 'u32',
  spare0: 'u32',
  spare1: 'u32',
});
/** Load averages are fixed point with 16 bits of fraction. */
const loadUnit = 65536;
const memoryUnit = 4096;

/** Bytes by name from /proc/meminfo; Node's own figures elsewhere (its "free" is what Linux calls available). */
function memoryFigures(): (name: string) => number {
  let text = `MemTotal: ${totalmem() / 1024} kB\nMemFree: ${freemem() / 1024} kB\n`;
  try {
    text = readFileSync('/proc/meminfo', 'latin1');
  } catch {
    // A host without /proc.
  }
  return (name) => 1024 * Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function sysinfo(task: Task, at: number): number {
  const [load1, load5, load15] = loadavg().map((load) => Math.round(load * loadUnit));
  const figure = memoryFigures();
  const pages = (name: string): number => Math.floor(figure(name) / memoryUnit);
  sysinfoStruct.store(task.memory, at, {
    uptime: Math.floor(uptime()),
    load1,
    load5,
    load15,
    totalram: pages('MemTotal'),
    freeram: pages('MemFree'),
    sharedram: pages('Shmem'),
    bufferram: pages('Buffers'),
    totalswap: pages('SwapTotal'),
    freeswap: pages('SwapFree'),
    procs: cpus().length,
    memUnit: memoryUnit,
  });
  return 0;
}

/** Most bytes of one getrandom (getrandom(2)): the guest waits for all of them. */
const mostRandom = 33_554_431;

function getrandom(task: Task, to: number, count: number, how: number, entropy: Entropy): number {
  const { GRND_RANDOM, GRND_INSECURE, GRND_NONBLOCK } = RandomFlag;
  if ((how & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) !== 0) throw new Errno('EINVAL');
  if ((how & (GRND_RANDOM | GRND_INSECURE)) === (GRND_RANDOM | GRND_INSECURE)) throw new Errno('EINVAL');
  const length = usableLength(task.memory, to, Math.min(count, mostRandom), Access.write);
  entropy(task.memory.u8, to, length);
  return length;
}

const printSysinfo = (memory: GuestMemory, at: number): string => {
  const { uptime: seconds, load1, load5, load15, totalram, freeram, procs, memUnit } = sysinfoStruct.load(memory, at);
  const loads = `[${load1}, ${load5}, ${load15}]`;
  return braces({ uptime: seconds, loads, totalram, freeram, procs, mem_unit: memUnit });
};

const utsname = structOut((memory, at) => {
  const [system, node, release] = [0, 1, 2].map((index) => cstring(memory, at + nameBytes * index));
  return `{sysname=${system}, nodename=${node}, release=${release}, ...}`;
});

const denied = (): never => {
  throw new Errno('EPERM');
};

export interface SystemOptions {
  /** uname -r; null for ours. */
  readonly release: string | null;
  readonly entropy: Entropy;
}

/** kernel/sys.c, drivers/char/random.c. */
export function systemCalls({ release, entropy }: SystemOptions): Rows {
  return {
    uname: row({ name: utsname }, (task, { name }) => uname(task, name, release ?? ourRelease)),
    olduname: row({ name: address }, (task, { name }) => uname(task, name, release ?? ourRelease, 5)),
    oldolduname: row({ name: address }, (task, { name }) => uname(task, name, release ?? ourRelease, 5, 9)),
    sysinfo: row({ info: structOut(printSysinfo) }, (task, { info }) => sysinfo(task, info)),
    getrandom: row(
      { buffer: bufferOut, count: uint, flags: flags(RandomFlag) },
      (task, { buffer, count, flags: how }) => getrandom(task, buffer, count, how, entropy),
    ),
    sethostname: row({ name: address, length: uint }, denied),
    setdomainname: row({ name: address, length: uint }, denied),
    reboot: row({ magic: uint, magic2: uint, command: uint, argument: address }, denied),
  };
}
