import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { errnoNumbers as E } from '#util/errno.ts';
import { SyscallRig } from './support/syscall-rig.ts';

const cwd = -100;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_NONBLOCK = 0o4000;
const O_DIRECTORY = 0o40000;
const O_CLOEXEC = 0o2000000;
const badAddress = 0x1000;

let rig: SyscallRig;
beforeEach(() => {
  rig = new SyscallRig();
});
afterEach(() => rig.end());

const inFolder = (name: string): string => join(rig.folder, name);

function pipe(flags = 0): [number, number] {
  const at = rig.room(8);
  expect(rig.call('pipe2', at, flags)).toBe(0);
  return [rig.memory.load32(at), rig.memory.load32(at + 4)];
}

describe('open files', () => {
  test('create, write, seek, read', () => {
    const fd = rig.call('openat', cwd, 'new', O_RDWR | O_CREAT, 0o666);
    expect(fd).toBe(0);
    expect(statSync(inFolder('new')).mode & 0o777).toBe(0o644);
    expect(rig.call('write', fd, rig.string('hello, world'), 12)).toBe(12);
    expect(rig.call('lseek', fd, 7, 0)).toBe(7);
    const to = rig.room(64);
    expect(rig.call('read', fd, to, 64)).toBe(5);
    expect(rig.text(to, 5)).toBe('world');
    expect(rig.call('read', fd, to, 64)).toBe(0);
    expect(rig.call('close', fd)).toBe(0);
    expect(rig.call('close', fd)).toBe(-E.EBADF);
  });

  test('errors of open', () => {
    expect(rig.call('open', 'missing', 0)).toBe(-E.ENOENT);
    expect(rig.call('open', '', 0)).toBe(-E.ENOENT);
    expect(rig.call('open', badAddress, 0)).toBe(-E.EFAULT);
    expect(rig.call('open', '/', O_WRONLY)).toBe(-E.EISDIR);
    expect(rig.call('open', 'x'.repeat(4096), 0)).toBe(-E.ENAMETOOLONG);
    writeFileSync(inFolder('f'), '');
    expect(rig.call('open', 'f', O_DIRECTORY)).toBe(-E.ENOTDIR);
    expect(rig.call('open', 'f', O_CREAT | 0o200)).toBe(-E.EEXIST);
    expect(rig.call('openat', 77, 'f', 0)).toBe(-E.EBADF);
    const fd = rig.call('open', 'f', 0);
    expect(rig.call('openat', fd, 'f', 0)).toBe(-E.ENOTDIR);
  });

  test('names are bytes', () => {
    const name = Buffer.from([0x61, 0xff, 0xfe]);
    const fd = rig.call('open', rig.string(name), O_CREAT | O_WRONLY, 0o600);
    expect(fd).toBe(0);
    const link = rig.room(256);
    const length = rig.call('readlink', '/proc/self/fd/0', link, 256);
    expect(Buffer.from(rig.memory.copy(link, length)).subarray(-3)).toEqual(name);
  });

  test('dup shares the offset, append goes to the end', () => {
    const fd = rig.call('open', 'f', O_RDWR | O_CREAT | O_APPEND, 0o600);
    const copy = rig.call('dup', fd);
    expect(rig.call('write', fd, rig.string('abc'), 3)).toBe(3);
    expect(rig.call('lseek', copy, 0, 1)).toBe(3);
    expect(rig.call('lseek', copy, 0, 0)).toBe(0);
    expect(rig.call('write', copy, rig.string('def'), 3)).toBe(3);
    expect(readFileSync(inFolder('f'), 'utf8')).toBe('abcdef');
    expect(rig.call('dup3', fd, 9, O_CLOEXEC)).toBe(9);
    expect(rig.call('fcntl64', 9, 1, 0)).toBe(1);
    expect(rig.call('dup2', fd, 9)).toBe(9);
    expect(rig.call('fcntl64', 9, 1, 0)).toBe(0);
    expect(rig.call('dup2', fd, 5000)).toBe(-E.EBADF);
    expect(rig.call('dup3', fd, fd, 0)).toBe(-E.EINVAL);
    expect(rig.call('fcntl64', fd, 0, 100)).toBe(100);
    expect(rig.call('fcntl64', fd, 3, 0) & 0o2003).toBe(O_RDWR | O_APPEND);
  });

  test('_llseek and 64-bit offsets', () => {
    const fd = rig.call('open', 'f', O_RDWR | O_CREAT | O_TRUNC, 0o600);
    const result = rig.room(8);
    expect(rig.call('_llseek', fd, 1, 0x10, result, 0)).toBe(0);
    expect(rig.memory.load64(result)).toBe(0x1_0000_0010n);
    expect(rig.call('lseek', fd, 0, 1)).toBe(-E.EOVERFLOW);
    expect(rig.call('_llseek', fd, -1, -1, result, 0)).toBe(-E.EINVAL);
    expect(rig.call('lseek', fd, 0, 9)).toBe(-E.EINVAL);
    expect(rig.call('pwrite64', fd, rig.string('x'), 1, 0, 4, 0)).toBe(1);
    expect(statSync(inFolder('f')).size).toBe(5);
    expect(rig.call('pread64', fd, rig.room(8), 8, 0, -1, -1)).toBe(-E.EINVAL);
    expect(rig.call('ftruncate64', fd, 0, 0, 1)).toBe(0);
    expect(statSync(inFolder('f')).size).toBe(2 ** 32);
    expect(rig.call('truncate64', 'f', 0, 3, 0)).toBe(0);
    expect(statSync(inFolder('f')).size).toBe(3);
  });

  test('hostile lengths and addresses', () => {
    writeFileSync(inFolder('f'), 'x'.repeat(10000));
    const fd = rig.call('open', 'f', O_RDWR);
    expect(rig.call('read', fd, rig.room(8), -1)).toBe(-E.EINVAL);
    expect(rig.call('read', fd, badAddress, 10)).toBe(-E.EFAULT);
    expect(rig.call('read', fd, 0xfffffff0, 0x7fffffff)).toBe(-E.EFAULT);
    expect(rig.call('write', fd, 0, 1)).toBe(-E.EFAULT);
    expect(rig.call('write', 99, 0, 1)).toBe(-E.EBADF);
    expect(rig.call('readv', fd, rig.room(8), -1)).toBe(-E.EINVAL);
    expect(rig.call('readv', fd, rig.room(8), 1025)).toBe(-E.EINVAL);
    const page = rig.call('mmap2', 0, 8192, 3, 0x22, -1, 0);
    rig.call('munmap', page + 4096, 4096);
    // A range past the end of the address space is refused as a whole (access_ok).
    expect(rig.call('read', fd, page, 0x7fffffff)).toBe(-E.EFAULT);
    expect(rig.call('read', fd, page, 0x10000)).toBe(4096);
    expect(rig.call('mmap2', 0, 0, 3, 0x22, -1, 0)).toBe(-E.EINVAL);
  });

  test('vectors', () => {
    const fd = rig.call('open', 'f', O_RDWR | O_CREAT, 0o600);
    const vector = rig.room(16);
    const parts = ['one ', 'two'];
    parts.forEach((part, index) => {
      rig.memory.store32(vector + 8 * index, rig.string(part));
      rig.memory.store32(vector + 8 * index + 4, part.length);
    });
    expect(rig.call('writev', fd, vector, 2)).toBe(7);
    expect(rig.call('pwritev', fd, vector, 2, 7, 0)).toBe(7);
    expect(readFileSync(inFolder('f'), 'utf8')).toBe('one twoone two');
    expect(rig.call('preadv', fd, vector, 2, 4, 0)).toBe(7);
    expect(rig.text(rig.memory.load32(vector), 4)).toBe('twoo');
  });

  test('sendfile and copy_file_range', () => {
    writeFileSync(inFolder('from'), 'abcdefgh');
    const from = rig.call('open', 'from', 0);
    const to = rig.call('open', 'to', O_RDWR | O_CREAT, 0o600);
    const offset = rig.room(8);
    rig.memory.store64(offset, 2n);
    expect(rig.call('sendfile64', to, from, offset, 3)).toBe(3);
    expect(rig.memory.load64(offset)).toBe(5n);
    expect(rig.call('sendfile', to, from, 0, 100)).toBe(8);
    expect(rig.call('copy_file_range', from, offset, to, 0, 100, 0)).toBe(3);
    expect(readFileSync(inFolder('to'), 'utf8')).toBe('cdeabcdefghfgh');
  });

  test('limits on descriptors', () => {
    const limit = rig.room(16);
    rig.memory.store64(limit, 4n);
    rig.memory.store64(limit + 8, 4n);
    expect(rig.call('prlimit64', 0, 7, limit, 0)).toBe(0);
    for (let i = 0; i < 4; i++) expect(rig.call('open', '/dev/null', 0)).toBe(i);
    expect(rig.call('open', '/dev/null', 0)).toBe(-E.EMFILE);
  });

  test('memfd and eventfd', () => {
    const fd = rig.call('memfd_create', 'name', 1);
    expect(rig.call('write', fd, rig.string('abc'), 3)).toBe(3);
    expect(rig.call('ftruncate64', fd, 0, 5000, 0)).toBe(0);
    const at = rig.call('mmap2', 0, 4096, 1, 1, fd, 0);
    expect(rig.text(at, 3)).toBe('abc');
    const counter = rig.call('eventfd2', 3, O_NONBLOCK);
    const value = rig.room(8);
    expect(rig.call('read', counter, value, 8)).toBe(8);
    expect(rig.memory.load64(value)).toBe(3n);
    expect(rig.call('read', counter, value, 8)).toBe(-E.EAGAIN);
  });
});

describe('pipes', () => {
  test('through, end of file, EPIPE', () => {
    const [reader, writer] = pipe();
    expect(rig.call('write', writer, rig.string('hi'), 2)).toBe(2);
    const to = rig.room(8);
    expect(rig.call('read', reader, to, 8)).toBe(2);
    expect(rig.call('lseek', reader, 0, 0)).toBe(-E.ESPIPE);
    expect(rig.call('close', writer)).toBe(0);
    expect(rig.call('read', reader, to, 8)).toBe(0);
    const [reader2, writer2] = pipe();
    rig.call('close', reader2);
    expect(rig.call('write', writer2, to, 1)).toBe(-E.EPIPE);
    expect(rig.task.signalPending).toBe(true);
  });

  test('a reader sleeps until something comes', async () => {
    const [reader, writer] = pipe();
    const to = rig.room(8);
    const sleeping = rig.dispatch('read', reader, to, 8);
    expect(sleeping).toBeInstanceOf(Promise);
    expect(rig.call('write', writer, rig.string('late'), 4)).toBe(4);
    expect(await sleeping).toBe(4);
    expect(rig.text(to, 4)).toBe('late');
  });

  test('a writer fills it and goes on when it is emptied', async () => {
    const [reader, writer] = pipe();
    const from = rig.room(100_000);
    const sleeping = rig.dispatch('write', writer, from, 100_000);
    const to = rig.room(100_000);
    expect(rig.call('read', reader, to, 100_000)).toBe(65536);
    expect(await sleeping).toBe(100_000);
    expect(rig.call('read', reader, to, 100_000)).toBe(100_000 - 65536);
  });

  test('non-blocking', () => {
    const [reader, writer] = pipe(O_NONBLOCK);
    const to = rig.room(70_000);
    expect(rig.call('read', reader, to, 8)).toBe(-E.EAGAIN);
    expect(rig.call('write', writer, to, 70_000)).toBe(65536);
    expect(rig.call('write', writer, to, 1)).toBe(-E.EAGAIN);
  });

  test('poll and select', async () => {
    const [reader, writer] = pipe();
    const fds = rig.room(16);
    rig.memory.store32(fds, reader);
    rig.memory.store32(fds + 4, 1);
    rig.memory.store32(fds + 8, 55);
    expect(rig.call('poll', fds, 1, 0)).toBe(0);
    expect(rig.call('poll', fds, 2, 0)).toBe(1);
    expect(rig.memory.load16(fds + 14)).toBe(32);
    expect(await rig.dispatch('poll', fds, 1, 5)).toBe(0);
    const sleeping = rig.dispatch('poll', fds, 1, -1);
    rig.call('write', writer, rig.string('x'), 1);
    expect(await sleeping).toBe(1);
    expect(rig.memory.load16(fds + 6)).toBe(1);
    const set = rig.room(8);
    rig.memory.store32(set, (1 << reader) | (1 << writer));
    const writes = rig.room(8);
    rig.memory.store32(writes, 1 << writer);
    expect(rig.call('_newselect', writer + 1, set, writes, 0, 0)).toBe(2);
    expect(rig.memory.load32(set)).toBe(1 << reader);
    expect(rig.call('poll', fds, 5000, 0)).toBe(-E.EINVAL);
  });

  test('a signal ends the sleep', async () => {
    const [reader] = pipe();
    const sleeping = rig.dispatch('read', reader, rig.room(8), 8);
    rig.task.interrupt();
    expect(await sleeping).toBe(-E.ERESTARTSYS);
  });
});

describe('-L', () => {
  test('what is below the folder is taken first, links stay below it', () => {
    const root = inFolder('root');
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc/passwd'), 'theirs');
    symlinkSync('/etc/passwd', join(root, 'etc/alias'));
    const other = new SyscallRig({ prefix: root });
    try {
      for (const name of ['/etc/passwd', '/etc/alias']) {
        const fd = other.call('open', name, 0);
        const to = other.room(16);
        expect(other.call('read', fd, to, 16)).toBe(6);
      }
      const stat = other.room(256);
      expect(other.call('statx', cwd, '/etc/passwd', 0, 0x7ff, stat)).toBe(0);
      expect(other.memory.load64(stat + 40)).toBe(6n);
      expect(other.call('access', '/etc/group', 4)).toBe(0);
    } finally {
      other.end();
    }
  });

  test.skipIf(!existsSync('/proc/net/dev'))('/proc/net is the host’s, not a link to itself', () => {
    const other = new SyscallRig({ prefix: inFolder('net') });
    try {
      const stat = other.room(256);
      for (const path of ['/proc/net/dev', '/proc/self/net/dev'])
        expect(other.call('statx', cwd, path, 0, 0x7ff, stat), path).toBe(0);
    } finally {
      other.end();
    }
  });

  test('folders and files below it may be called like ours', () => {
    const root = inFolder('names');
    mkdirSync(join(root, 'lib/dev'), { recursive: true });
    mkdirSync(join(root, 'proc'));
    for (const name of ['lib/proc.go', 'lib/dev/null', 'proc/version']) writeFileSync(join(root, name), 'theirs');
    const other = new SyscallRig({ prefix: root });
    try {
      const stat = other.room(256);
      const sizeOf = (base: number, path: string): bigint => {
        expect(other.call('statx', base, path, 0, 0x7ff, stat), path).toBe(0);
        return other.memory.load64(stat + 40);
      };
      expect(sizeOf(cwd, '/lib/proc.go')).toBe(6n);
      expect(sizeOf(cwd, '/lib/dev/null')).toBe(6n);
      const lib = other.call('open', '/lib', 0);
      expect(sizeOf(lib, 'proc.go')).toBe(6n);
      expect(sizeOf(lib, 'dev/null')).toBe(6n);
      for (const ours of ['/dev/null', '/proc/version']) expect(sizeOf(cwd, ours)).toBe(0n);
    } finally {
      other.end();
    }
  });
});
