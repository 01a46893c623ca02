import { lstatSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errnoNumbers as E } from '#util/errno.ts';
import { SyscallRig } from './support/syscall-rig.ts';

const cwd = -100;

let rig: SyscallRig;
beforeEach(() => {
  rig = new SyscallRig();
});
afterEach(() => rig.end());

const inFolder = (name: string): string => join(rig.folder, name);

describe('names', () => {
  test('directories', () => {
    expect(rig.call('mkdir', 'd', 0o777)).toBe(0);
    expect(statSync(inFolder('d')).mode & 0o777).toBe(0o755);
    expect(rig.call('mkdir', 'd', 0o777)).toBe(-E.EEXIST);
    expect(rig.call('chdir', 'd')).toBe(0);
    const to = rig.room(4096);
    const length = rig.folder.length + 3;
    expect(rig.call('getcwd', to, 4096)).toBe(length);
    expect(rig.text(to, length - 1)).toBe(inFolder('d'));
    expect(rig.call('getcwd', to, 3)).toBe(-E.ERANGE);
    expect(rig.call('mkdirat', cwd, 'e', 0o700)).toBe(0);
    const fd = rig.call('open', '..', 0);
    expect(rig.call('fchdir', fd)).toBe(0);
    expect(rig.call('getcwd', to, 4096)).toBe(rig.folder.length + 1);
    expect(rig.call('rmdir', 'd')).toBe(-E.ENOTEMPTY);
    expect(rig.call('rmdir', 'd/.')).toBe(-E.EINVAL);
    expect(rig.call('unlink', 'd')).toBe(-E.EISDIR);
    expect(rig.call('unlinkat', fd, 'd/e', 0x200)).toBe(0);
    expect(rig.call('rmdir', 'd')).toBe(0);
    expect(rig.call('chdir', 'd')).toBe(-E.ENOENT);
    writeFileSync(inFolder('f'), '');
    expect(rig.call('chdir', 'f')).toBe(-E.ENOTDIR);
  });

  test('links and renames', () => {
    writeFileSync(inFolder('f'), 'x');
    expect(rig.call('link', 'f', 'g')).toBe(0);
    expect(rig.call('symlink', 'f', 'l')).toBe(0);
    expect(rig.call('symlink', '', 'm')).toBe(-E.ENOENT);
    const to = rig.room(64);
    expect(rig.call('readlink', 'l', to, 64)).toBe(1);
    expect(rig.call('readlink', 'f', to, 64)).toBe(-E.EINVAL);
    expect(rig.call('readlinkat', cwd, 'l', to, 0)).toBe(-E.EINVAL);
    expect(rig.call('rename', 'g', 'h')).toBe(0);
    expect(rig.call('renameat2', cwd, 'h', cwd, 'f', 1)).toBe(-E.EEXIST);
    expect(rig.call('renameat2', cwd, 'h', cwd, 'k', 1)).toBe(0);
    expect(rig.call('rename', 'k', '.')).toBe(-E.EBUSY);
    expect(readdirSync(rig.folder).sort()).toEqual(['f', 'k', 'l']);
  });

  test('modes, owners, times', () => {
    writeFileSync(inFolder('f'), 'x');
    expect(rig.call('chmod', 'f', 0o600)).toBe(0);
    expect(rig.call('fchmodat', cwd, 'f', 0o640)).toBe(0);
    expect(statSync(inFolder('f')).mode & 0o777).toBe(0o640);
    expect(rig.call('chown32', 'f', -1, -1)).toBe(0);
    const times = rig.room(32);
    rig.memory.store32(times, 1000);
    rig.memory.store32(times + 4, 500_000_000);
    rig.memory.store32(times + 8, 2000);
    rig.memory.store32(times + 12, 0x3ffffffe);
    const before = statSync(inFolder('f')).mtimeMs;
    expect(rig.call('utimensat', cwd, 'f', times, 0)).toBe(0);
    const after = statSync(inFolder('f'));
    expect(after.atimeMs).toBe(1_000_500);
    expect(Math.abs(after.mtimeMs - before)).toBeLessThan(0.01);
    rig.memory.store32(times + 4, 1_000_000_000);
    expect(rig.call('utimensat', cwd, 'f', times, 0)).toBe(-E.EINVAL);
    const wide = rig.room(32);
    rig.memory.store64(wide, -5n);
    rig.memory.store64(wide + 16, 2n ** 33n);
    expect(rig.call('utimensat_time64', cwd, 'f', wide, 0)).toBe(0);
    expect(statSync(inFolder('f')).mtimeMs).toBe(2 ** 33 * 1000);
  });

  test('entries of a directory', () => {
    mkdirSync(inFolder('d'));
    for (let i = 0; i < 40; i++) writeFileSync(inFolder(`d/file-${i}`), '');
    symlinkSync('x', inFolder('d/link'));
    const fd = rig.call('open', 'd', 0o40000);
    const to = rig.room(512);
    const found = new Map<string, { ino: bigint; type: number }>();
    for (;;) {
      const bytes = rig.call('getdents64', fd, to, 512);
      expect(bytes).toBeGreaterThanOrEqual(0);
      if (bytes === 0) break;
      for (let at = to; at < to + bytes; at += rig.memory.load16(at + 16)) {
        const name = Buffer.from(rig.memory.cstring(at + 19)).toString();
        found.set(name, { ino: rig.memory.load64(at), type: rig.memory.load8(at + 18) });
      }
    }
    expect(found.size).toBe(43);
    expect(found.get('.')).toEqual({ ino: lstatSync(inFolder('d'), { bigint: true }).ino, type: 4 });
    expect(found.get('link')!.type).toBe(10);
    expect(found.get('file-7')!.ino).toBe(lstatSync(inFolder('d/file-7'), { bigint: true }).ino);
    expect(rig.call('getdents64', fd, to, 4)).toBe(0);
    expect(rig.call('lseek', fd, 0, 0)).toBe(0);
    expect(rig.call('getdents64', fd, to, 4)).toBe(-E.EINVAL);
    expect(rig.call('getdents', fd, to, 512)).toBeGreaterThan(0);
    expect(rig.call('read', fd, to, 4)).toBe(-E.EISDIR);
    expect(rig.call('getdents64', rig.call('memfd_create', 'x', 0), to, 64)).toBe(-E.ENOTDIR);
  });
});

describe('stat', () => {
  test('all forms agree with the host', () => {
    writeFileSync(inFolder('f'), 'hello');
    const host = statSync(inFolder('f'), { bigint: true });
    const at = rig.room(256);
    for (const [name, args] of [
      ['stat64', ['f', at]],
      ['lstat64', ['f', at]],
      ['fstatat64', [cwd, 'f', at, 0]],
      ['fstat64', [rig.call('open', 'f', 0), at]],
    ] as const) {
      expect(rig.call(name, ...args)).toBe(0);
      expect(rig.memory.load64(at + 48)).toBe(5n);
      expect(rig.memory.load64(at + 96)).toBe(host.ino);
      expect(rig.memory.load32(at + 16)).toBe(Number(host.mode));
      expect(BigInt(rig.memory.load32(at + 80)) * 1_000_000_000n + BigInt(rig.memory.load32(at + 84))).toBe(
        host.mtimeNs,
      );
    }
    expect(rig.call('statx', cwd, 'f', 0, 0xfff, at)).toBe(0);
    expect(rig.memory.load64(at + 32)).toBe(host.ino);
    expect(rig.memory.load64(at + 40)).toBe(5n);
    expect(rig.memory.load64(at + 112)).toBe(host.mtimeNs / 1_000_000_000n);
    expect(rig.call('statx', rig.call('open', 'f', 0), '', 0x1000, 0xfff, at)).toBe(0);
    expect(rig.call('statx', cwd, '', 0, 0xfff, at)).toBe(-E.ENOENT);
    expect(rig.call('statx', cwd, 'f', 0x8000_0000, 0xfff, at)).toBe(-E.EINVAL);
    expect(rig.call('stat64', 'f', 0x1000)).toBe(-E.EFAULT);
    expect(rig.call('stat64', 'none', at)).toBe(-E.ENOENT);
    expect(rig.call('fstat64', 99, at)).toBe(-E.EBADF);
    expect(rig.call('statfs64', '/', 88, at)).toBe(0);
    expect(rig.memory.load32(at + 4)).toBeGreaterThan(0);
    expect(rig.call('statfs64', '/', 80, at)).toBe(-E.EINVAL);
    expect(rig.call('access', 'f', 8)).toBe(-E.EINVAL);
  });

  test('/proc/self is the guest', () => {
    const to = rig.room(4096);
    const length = rig.call('readlink', '/proc/self/exe', to, 4096);
    expect(rig.text(to, length)).toBe(inFolder('program'));
    const fd = rig.call('open', '/proc/self/maps', 0);
    const bytes = rig.call('read', fd, to, 4096);
    expect(rig.text(to, bytes)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{8} rw-p 00000000 00:00 0 *\n/m);
    const comm = rig.call('open', '/proc/self/comm', 0);
    expect(rig.text(to, rig.call('read', comm, to, 64))).toBe('program\n');
    expect(rig.call('open', '/proc/self/stat', 1)).toBe(-E.EACCES);
    expect(rig.call('open', '/proc/self/fd/77', 0)).toBe(-E.ENOENT);
    const directory = rig.call('open', '/proc/self/fd', 0o40000);
    expect(rig.call('getdents64', directory, to, 4096)).toBeGreaterThan(0);
  });

  test('devices', () => {
    const to = rig.room(16);
    rig.memory.store32(to, 0xffffffff);
    const zero = rig.call('open', '/dev/zero', 2);
    expect(rig.call('read', zero, to, 4)).toBe(4);
    expect(rig.memory.load32(to)).toBe(0);
    const random = rig.call('open', '/dev/urandom', 0);
    expect(rig.call('read', random, to, 16)).toBe(16);
    expect(rig.call('write', rig.call('open', '/dev/full', 1), to, 1)).toBe(-E.ENOSPC);
    expect(rig.call('write', rig.call('open', '/dev/null', 1), to, 8)).toBe(8);
    expect(rig.call('mmap2', 0, 4096, 3, 2, zero, 0)).toBeGreaterThan(0x10000);
  });
});

describe('time', () => {
  test('clocks', () => {
    const at = rig.room(16);
    expect(rig.call('clock_gettime64', 0, at)).toBe(0);
    expect(Math.abs(Number(rig.memory.load64(at)) - Date.now() / 1000)).toBeLessThan(2);
    expect(rig.call('clock_gettime', 77, at)).toBe(-E.EINVAL);
    expect(rig.call('clock_gettime', 0, 0)).toBe(-E.EFAULT);
    expect(rig.call('gettimeofday', at, 0)).toBe(0);
    expect(rig.call('clock_getres_time64', 1, at)).toBe(0);
    expect(rig.memory.load32(at + 8)).toBe(1);
  });

  test('sleeping', async () => {
    const at = rig.room(16);
    rig.memory.store32(at + 4, 3_000_000);
    const start = performance.now();
    expect(await rig.dispatch('nanosleep', at, 0)).toBe(0);
    expect(performance.now() - start).toBeGreaterThanOrEqual(2.9);
    rig.memory.store32(at, 100);
    const left = rig.room(16);
    const sleeping = rig.dispatch('nanosleep', at, left);
    rig.task.interrupt();
    expect(await sleeping).toBe(-E.ERESTART_RESTARTBLOCK);
    expect(rig.memory.load32(left)).toBeGreaterThanOrEqual(99);
    rig.memory.store32(at + 4, -1);
    expect(rig.call('nanosleep', at, 0)).toBe(-E.EINVAL);
  });

  test('timers', () => {
    const at = rig.room(16);
    rig.memory.store32(at + 8, 10);
    expect(rig.call('setitimer', 0, at, 0)).toBe(0);
    const old = rig.room(16);
    expect(rig.call('getitimer', 0, old)).toBe(0);
    expect(rig.memory.load32(old + 8)).toBeGreaterThanOrEqual(9);
    rig.memory.store32(at + 12, 1_000_000);
    expect(rig.call('setitimer', 0, at, 0)).toBe(-E.EINVAL);
    expect(rig.call('setitimer', 5, 0, 0)).toBe(-E.EINVAL);
  });
});

describe('processes, signals, memory', () => {
  test('identity', () => {
    expect(rig.call('getpid')).toBe(process.pid);
    expect(rig.call('gettid')).toBe(process.pid);
    expect(rig.call('getuid32')).toBe(process.getuid!());
    expect(rig.call('setuid32', process.getuid!())).toBe(0);
    expect(rig.call('getgroups32', -1, 0)).toBe(-E.EINVAL);
    const ids = [rig.room(4), rig.room(4), rig.room(4)];
    expect(rig.call('getresuid32', ...ids)).toBe(0);
    expect(rig.memory.load32(ids[2])).toBe(process.getuid!());
    const name = rig.room(390);
    expect(rig.call('uname', name)).toBe(0);
    expect(Buffer.from(rig.memory.cstring(name + 4 * 65)).toString()).toBe('armv7l');
    expect(rig.call('prctl', 15, 'a name that is too long')).toBe(0);
    expect(rig.call('prctl', 16, name)).toBe(0);
    expect(Buffer.from(rig.memory.cstring(name)).toString()).toBe('a name that is ');
    // Only who is root gets to be somebody else, and not back.
    const root = process.geteuid!() === 0;
    expect(rig.call('setuid32', 12345)).toBe(root ? 0 : -E.EPERM);
    if (root) expect(rig.call('setuid32', 0)).toBe(-E.EPERM);
  });

  test('randomness is fixed by the seed', () => {
    const bytes = (): string => {
      const other = new SyscallRig({ seed: 7n });
      const at = other.room(20);
      expect(other.call('getrandom', at, 20, 0)).toBe(20);
      const found = Buffer.from(other.memory.copy(at, 20)).toString('hex');
      other.end();
      return found;
    };
    expect(bytes()).toBe(bytes());
    expect(rig.call('getrandom', rig.room(8), 8, 0x80)).toBe(-E.EINVAL);
    expect(rig.call('getrandom', 0x1000, 8, 0)).toBe(-E.EFAULT);
  });

  test('signals', async () => {
    const set = rig.room(8);
    rig.memory.store32(set, 1 << 9);
    expect(rig.call('rt_sigprocmask', 0, set, 0, 8)).toBe(0);
    expect(rig.call('rt_sigprocmask', 0, set, 0, 4)).toBe(-E.EINVAL);
    expect(rig.call('rt_sigprocmask', 9, set, 0, 8)).toBe(-E.EINVAL);
    expect(rig.call('kill', process.pid, 10)).toBe(0);
    const pending = rig.room(8);
    expect(rig.call('rt_sigpending', pending, 8)).toBe(0);
    expect(rig.memory.load32(pending)).toBe(1 << 9);
    expect(await rig.dispatch('rt_sigtimedwait', set, 0, 0, 8)).toBe(10);
    expect(rig.call('rt_sigaction', 9, set, 0, 8)).toBe(-E.EINVAL);
    expect(rig.call('rt_sigaction', 65, 0, 0, 8)).toBe(-E.EINVAL);
    expect(rig.call('tgkill', process.pid, -1, 10)).toBe(-E.EINVAL);
    expect(rig.call('kill', process.pid, 99)).toBe(-E.EINVAL);
    const paused = rig.dispatch('pause');
    rig.task.interrupt();
    expect(await paused).toBe(-E.ERESTARTNOHAND);
  });

  test('futexes', async () => {
    const at = rig.room(8);
    expect(rig.call('futex', at, 128, 5, 0)).toBe(-E.EAGAIN);
    expect(rig.call('futex', at, 129, 1)).toBe(0);
    expect(rig.call('futex', at + 1, 0, 0, 0)).toBe(-E.EINVAL);
    expect(rig.call('futex', 0x1000, 0, 0, 0)).toBe(-E.EFAULT);
    const timeout = rig.room(16);
    rig.memory.store32(timeout + 8, 1_000_000);
    expect(await rig.dispatch('futex_time64', at, 128, 0, timeout)).toBe(-E.ETIMEDOUT);
    const waiting = rig.dispatch('futex', at, 128, 0, 0);
    expect(rig.call('futex', at, 129, 1)).toBe(1);
    expect(await waiting).toBe(0);
  });

  test('files in memory', () => {
    writeFileSync(inFolder('f'), 'mapped');
    const fd = rig.call('open', 'f', 2);
    const at = rig.call('mmap2', 0, 4096, 3, 1, fd, 0);
    expect(rig.text(at, 7)).toBe('mapped\0');
    rig.memory.store8(at, 0x4d);
    expect(rig.call('msync', at, 4096, 4)).toBe(0);
    expect(rig.text(rig.call('mmap2', 0, 4096, 1, 2, fd, 0), 6)).toBe('Mapped');
    expect(rig.call('mmap2', 0, 4096, 3, 2, 99, 0)).toBe(-E.EBADF);
    expect(rig.call('mmap2', 0, 4096, 3, 2, rig.call('open', '.', 0), 0)).toBe(-E.ENODEV);
    const brk = rig.call('brk', 0);
    expect(rig.call('brk', brk + 5000)).toBe(brk + 5000);
    expect(rig.call('mremap', at, 4096, 8192, 0)).toBe(-E.ENOMEM);
  });

  test('limits', () => {
    const at = rig.room(16);
    expect(rig.call('ugetrlimit', 7, at)).toBe(0);
    expect(rig.memory.load32(at)).toBe(1024);
    expect(rig.call('ugetrlimit', 99, at)).toBe(-E.EINVAL);
    expect(rig.call('getrusage', 0, rig.room(72))).toBe(0);
    expect(rig.call('getrusage', 7, rig.room(72))).toBe(-E.EINVAL);
    expect(rig.call('wait4', -1, 0, 0, 0)).toBe(-E.ECHILD);
    expect(rig.call('exit_group', 258)).toBe(2 ** 40);
    expect(rig.process.termination).toMatchObject({ kind: 'exit', code: 2 });
  });
});
