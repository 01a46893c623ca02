import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEntropy } from '#linux-user/entropy.ts';
import type { NetworkGate } from '#linux-user/net/gate.ts';
import { allRows, type SyscallArch } from '#syscalls/table.ts';
import { Errno } from '#util/errno.ts';
import { SyscallRig } from './syscall-rig.ts';

/** Calls that make, change, end or signal processes, wait without end, or change the host beyond the working directory. */
const excluded = new Set([
  'fork',
  'vfork',
  'clone',
  'clone3',
  'execve',
  'execveat',
  'exit',
  'exit_group',
  'kill',
  'tkill',
  'tgkill',
  'rt_sigqueueinfo',
  'rt_tgsigqueueinfo',
  'setpriority',
  'breakpoint',
  'usr26',
  'usr32',
  'pidfd_send_signal',
  'rt_sigreturn',
  'sigreturn',
]);

/** Nothing may leave this machine, and no port be taken from it but on loopback. */
const loopbackOnly: NetworkGate = ({ address }) => {
  const outside = 'host' in address && !address.host.startsWith('127.') && address.host !== '::1';
  if (outside) throw new Errno('EPERM');
};

/** mulberry32. */
function random(state: number): () => number {
  let s = state;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** What the calls are made on. */
export interface FuzzOptions {
  readonly strace?: boolean;
  /** ARM if it is not given. */
  readonly arch?: SyscallArch;
  /** With --root: whatever is called, no file outside the working directory changes. */
  readonly confined?: boolean;
}

/**
 * Makes `calls` random system calls on a rig: random and known numbers, random, likely and edge-case arguments. Throws
 * with the call in its message if one throws, or has a result that is no number.
 */
export async function fuzzSyscalls(seed: number, calls: number, options: FuzzOptions = {}): Promise<void> {
  const rig = new SyscallRig({ ...options, gate: loopbackOnly });
  const { names: callNames, argumentCount } = rig.machine;
  const home = rig.process.fs.cwd;
  const credentials = { ...rig.task.credentials };
  const next = random(seed);
  const pick = <T>(items: readonly T[]): T => items[next() % items.length];
  mkdirSync(join(rig.folder, 'dir'));
  writeFileSync(join(rig.folder, 'file'), 'some text');
  const numbers = Object.keys(callNames)
    .map(Number)
    .filter((number) => !excluded.has(callNames[number]));
  const names = [
    'file',
    'dir',
    'dir/new',
    'dir/../file',
    '.',
    '..x',
    '',
    'missing/x',
    '\xff\xfe',
    '/proc/self/exe',
    '/proc/self/maps',
    '/proc/self/fd/0',
    '/dev/null',
    '/dev/zero',
  ];
  const writable = rig.call('mmap2', 0, 65536, 3, 0x22, -1, 0);
  const readOnly = rig.call('mmap2', 0, 4096, 1, 0x22, -1, 0);
  const edge = rig.call('mmap2', 0, 8192, 3, 0x22, -1, 0);
  rig.call('munmap', edge + 4096, 4096);
  const interesting = [
    0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 255, 256, 4096, 65536, 0x7fffffff, 0x80000000, -1, -100, -4096, 1000000,
  ];
  const argument = (): number | string => {
    switch (next() % 8) {
      case 0:
        return pick(names);
      case 1:
        return writable + (next() % 65000);
      case 2:
        return pick([readOnly, edge + 4090, edge + 4095, 0xffff0000, 0xfffffffc, 0x10000, writable + 65532]);
      case 3:
        return next() % 12;
      case 4:
        return next();
      case 5:
        return 1 << (next() % 32);
      default:
        return pick(interesting);
    }
  };
  /** A value that the argument of this name may well take. */
  const likely = (kind: string): number | string => {
    if (/^(path|contents|name)$/.test(kind)) return pick(names);
    if (/^(from|to)$/.test(kind)) return next() % 2 ? pick(names) : argument();
    if (/fd$|^in$|^out$/.test(kind)) return next() % 5 === 0 ? -100 : next() % 8;
    if (/^(flags|how|command|option|operation|whence|which|clock|resource|mode|prot|advice)$/.test(kind))
      return next() % 3 ? next() % 16 : 1 << (next() % 32);
    if (/^(count|size|length|high|low)$/.test(kind))
      return pick([0, 1, 8, 12, 16, 36, 64, 84, 256, 4096, 8192, 0x7fffffff, -1]);
    return next() % 4 ? writable + (next() % 15000) * 4 : argument();
  };
  const rows = allRows(null, createEntropy(1n));
  const umask = process.umask();
  for (let i = 0; i < calls; i++) {
    // Now and then a number that is none.
    const number = next() % 64 === 0 ? next() % 0xf0010 : pick(numbers);
    const name = callNames[number];
    if (excluded.has(name)) continue;
    const kinds = rows[name]?.arguments ?? [];
    const args = Array.from({ length: argumentCount }, (_, index) =>
      next() % 4 === 0 ? argument() : likely(kinds[index]?.[0] ?? ''),
    );
    // Names only where a name may be changed: no call gets an absolute path to write to.
    const absolute = args.some((arg) => typeof arg === 'string' && arg.startsWith('/'));
    if (absolute && !/^(open|stat|access|readlink|fstat|statx|lstat)/.test(name)) continue;
    if (i % 64 === 0)
      rig.memory.write(
        writable,
        Uint8Array.from({ length: 4096 }, () => (next() % 3 ? 0 : next())),
      );
    const label = `call ${i}: ${name}(${args.map((arg) => (typeof arg === 'string' ? JSON.stringify(arg) : `0x${(arg >>> 0).toString(16)}`)).join(', ')})`;
    rig.keepScratch();
    let result: number | Promise<number>;
    try {
      result = rig.dispatch(number, ...args);
    } catch (error) {
      throw new Error(label, { cause: error });
    }
    if (typeof result !== 'number') {
      setImmediate(() => rig.task.interrupt());
      result = await result.catch((error: unknown) => {
        throw new Error(label, { cause: error });
      });
    }
    if (!Number.isInteger(result)) throw new Error(`${label} = ${String(result)}`);
    rig.task.signalPending = false;
    rig.task.signals.blocked = 0n;
    rig.task.seccomp = null;
    rig.task.signals.pending.discard(~0n);
    rig.process.signals.pending.discard(~0n);
    for (let resource = 0; resource < 16; resource++)
      rig.process.limits.set(resource, { soft: Infinity, hard: Infinity });
    // The mappings the test itself needs, the room for descriptors, the way back.
    for (const [at, bytes, prot] of [
      [writable, 65536, 3],
      [readOnly, 4096, 1],
      [edge, 4096, 3],
    ] as const) {
      if (rig.memory.refused(at, bytes, prot) < 0) continue;
      rig.process.mm.mmap({ address: at, length: bytes, prot, flags: 0x32, file: null, offset: 0 });
    }
    if (i % 50 === 0) {
      rig.closeFiles();
      rig.process.fs.cwd = home;
      rig.process.mm.lockFuture = false;
      rig.process.timers.stop();
      Object.assign(rig.task.credentials, credentials);
      rig.trace = '';
      rig.resetScratch();
    }
  }
  if (!existsSync(rig.folder)) throw new Error('the working directory is gone');
  process.umask(umask);
  rig.end();
}
