import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { repoRoot } from './support/cache.ts';
import { runTsemu } from './support/run.ts';
import { SyscallRig } from './support/syscall-rig.ts';

let rig: SyscallRig;
beforeEach(() => {
  rig = new SyscallRig({ strace: true });
  writeFileSync(join(rig.folder, 'file'), 'text with a "quote"\n and more than thirty-two bytes');
});
afterEach(() => rig.end());

/** The line of one call, without the pid; `POINTER` stands for addresses. */
function line(name: string | number, ...args: (number | string)[]): string {
  rig.trace = '';
  rig.call(name, ...args);
  const prefix = `${process.pid} `;
  expect(rig.trace.startsWith(prefix)).toBe(true);
  expect(rig.trace.endsWith('\n')).toBe(true);
  return rig.trace.slice(prefix.length, -1).replace(/0x[4-9a-f][0-9a-f]{7}/g, 'POINTER');
}

test('files', () => {
  expect(line('openat', -100, 'file', 0o2000000)).toBe('openat(AT_FDCWD, "file", O_RDONLY|O_CLOEXEC) = 0');
  expect(line('openat', -100, 'none', 0o400000)).toBe(
    'openat(AT_FDCWD, "none", O_RDONLY|O_LARGEFILE) = -1 ENOENT (No such file or directory)',
  );
  expect(line('open', 'new', 0o101, 0o644)).toBe('open("new", O_WRONLY|O_CREAT, 0644) = 1');
  expect(line('open', 0x1000, 0)).toBe('open(0x1000, O_RDONLY) = -1 EFAULT (Bad address)');
  expect(line('open', '.', 0o40000)).toBe('open(".", O_RDONLY|O_DIRECTORY) = 2');
  const to = rig.room(64);
  expect(line('read', 0, to, 64)).toBe(String.raw`read(0, "text with a \"quote\"\n and more th"..., 64) = 51`);
  expect(line('read', 9, to, 64)).toBe('read(9, POINTER, 64) = -1 EBADF (Bad file descriptor)');
  expect(line('write', 1, 'a\u0001b\n', 4)).toBe(String.raw`write(1, "a\1b\n", 4) = 4`);
  expect(line('lseek', 0, 0, 2)).toBe('lseek(0, 0, SEEK_END) = 51');
  expect(line('_llseek', 0, 0, 5, to, 0)).toBe('_llseek(0, 0, 5, [5], SEEK_SET) = 0');
  expect(line('pread64', 0, to, 4, 0, 10, 0)).toBe(String.raw`pread64(0, "a \"q", 4, 10) = 4`);
  expect(line('dup3', 0, 7, 0o2000000)).toBe('dup3(0, 7, O_CLOEXEC) = 7');
  expect(line('fcntl64', 0, 1, 0)).toBe('fcntl64(0, F_GETFD) = 1');
  expect(line('fcntl64', 0, 2, 1)).toBe('fcntl64(0, F_SETFD, FD_CLOEXEC) = 0');
  expect(line('ioctl', 0, 0x5401, to)).toBe('ioctl(0, TCGETS, POINTER) = -1 ENOTTY (Inappropriate ioctl for device)');
  expect(line('pipe2', to, 0o4000)).toBe('pipe2([3, 4], O_NONBLOCK) = 0');
});

test('names', () => {
  const to = rig.room(4096);
  expect(line('stat64', 'file', to)).toBe('stat64("file", {st_mode=S_IFREG|0644, st_size=51, ...}) = 0');
  expect(line('fstatat64', -100, 'file', to, 0x100)).toBe(
    'fstatat64(AT_FDCWD, "file", {st_mode=S_IFREG|0644, st_size=51, ...}, AT_SYMLINK_NOFOLLOW) = 0',
  );
  expect(line('statx', -100, 'file', 0, 0x7ff, to)).toMatch(
    /^statx\(AT_FDCWD, "file", 0, STATX_TYPE\|.*, \{stx_mask=0x1fff, .*stx_mode=S_IFREG\|0644, stx_size=51, \.\.\.\}\) = 0$/,
  );
  expect(line('access', 'file', 4)).toBe('access("file", R_OK) = 0');
  expect(line('access', 'none', 0)).toBe('access("none", F_OK) = -1 ENOENT (No such file or directory)');
  mkdirSync(join(rig.folder, 'd'));
  expect(line('unlinkat', -100, 'd', 0x200)).toBe('unlinkat(AT_FDCWD, "d", AT_REMOVEDIR) = 0');
  expect(line('getcwd', to, 4096)).toBe(`getcwd("${rig.folder}", 4096) = ${rig.folder.length + 1}`);
  expect(line('umask', 0o77)).toBe('umask(077) = 022');
});

test('memory', () => {
  expect(line('mmap2', 0, 4096, 3, 0x22, -1, 0)).toBe(
    'mmap2(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = POINTER',
  );
  expect(line('mprotect', 0x10000, 4096, 0)).toBe(
    'mprotect(0x10000, 4096, PROT_NONE) = -1 ENOMEM (Cannot allocate memory)',
  );
  expect(line('brk', 0)).toBe('brk(NULL) = 0x200000');
  expect(line('madvise', 1, 2, 99)).toBe('madvise(0x1, 2, 99) = -1 EINVAL (Invalid argument)');
});

test('signals, time, limits', () => {
  const action = rig.room(20);
  rig.memory.store32(action, 1);
  rig.memory.store32(action + 4, 0x10000000);
  expect(line('rt_sigaction', 2, action, 0, 8)).toBe(
    'rt_sigaction(SIGINT, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=SA_RESTART}, NULL, 8) = 0',
  );
  const set = rig.room(8);
  rig.memory.store32(set, 0b110);
  expect(line('rt_sigprocmask', 0, set, 0, 8)).toBe('rt_sigprocmask(SIG_BLOCK, [INT QUIT], NULL, 8) = 0');
  const to = rig.room(16);
  expect(line('clock_gettime64', 1, to)).toMatch(
    /^clock_gettime64\(CLOCK_MONOTONIC, \{tv_sec=\d+, tv_nsec=\d+\}\) = 0$/,
  );
  expect(line('ugetrlimit', 3, to)).toBe('ugetrlimit(RLIMIT_STACK, {rlim_cur=1024*1024, rlim_max=RLIM_INFINITY}) = 0');
  expect(line('exit_group', 3)).toBe('exit_group(3) = ?');
});

test('what is not there', () => {
  expect(line(999)).toBe('syscall_999() = -1 ENOSYS (Function not implemented)');
  expect(line(4242)).toBe('syscall_4242() = -1 ENOSYS (Function not implemented)');
  rig.call(999);
  expect(rig.unimplemented).toEqual([
    'unimplemented system call of no name (999)',
    'unimplemented system call of no name (4242)',
  ]);
});

test('a call that sleeps is begun before and ended after', async () => {
  const at = rig.room(8);
  rig.call('pipe', at);
  rig.trace = '';
  const sleeping = rig.dispatch('read', rig.memory.load32(at), rig.room(8), 8);
  expect(rig.trace).toMatch(/^\d+ read\(\d+$/);
  rig.call('write', rig.memory.load32(at + 4), 'x', 1);
  await sleeping;
  expect(rig.trace).toContain('"x", 8) = 1\n');
});

test('processes and ids', () => {
  const groups = rig.room(8);
  rig.memory.write(groups, Uint8Array.of(20, 0, 0, 0, 10, 0, 0, 0));
  expect(line('setgroups32', 2, groups)).toMatch(/^setgroups32\(2, \[20, 10\]\) = (0|-1 EPERM \(.*\))$/);
  const header = rig.room(8);
  rig.memory.store32(header, 0x20080522);
  expect(line('capget', header, rig.room(24))).toMatch(
    /^capget\(\{version=0x20080522, pid=0\}, \{effective=\w+, permitted=\w+, inheritable=0x0\}\) = 0$/,
  );
  const args = rig.room(88);
  rig.memory.store32(args, 0x1100);
  rig.memory.store32(args + 32, 99);
  expect(line('clone3', args, 88)).toBe(
    'clone3({flags=CLONE_VM|CLONE_PIDFD, exit_signal=SIGRT_67, stack=NULL, stack_size=0x0}, 88) = -1 EINVAL (Invalid argument)',
  );
  expect(line('mount', 'dev', '.', 'tmpfs', 0, 0)).toBe(
    'mount("dev", ".", "tmpfs", 0x0, NULL) = -1 EPERM (Operation not permitted)',
  );
});

test('System V IPC', () => {
  expect(line('shmget', 0, 4096, 0o1600)).toBe('shmget(IPC_PRIVATE, 4096, IPC_CREAT|0600) = 0');
  expect(line('shmctl', 0, 0x100, 0)).toBe('shmctl(0, IPC_64|IPC_RMID, NULL) = 0');
  expect(line('semget', 7, 2, 0o1600)).toBe('semget(0x7, 2, IPC_CREAT|0600) = 0');
  const operation = rig.room(8);
  rig.memory.write(operation, Uint8Array.of(1, 0, 0xff, 0xff, 0, 8));
  expect(line('semop', 0, operation, 1)).toBe(
    'semop(0, [{sem_num=1, sem_op=-1, sem_flg=IPC_NOWAIT}], 1) = -1 EAGAIN (Resource temporarily unavailable)',
  );
});

test('one JSON object for each call', () => {
  const other = new SyscallRig({ strace: true, traceForm: 'json' });
  other.call('openat', -100, 'none', 0);
  other.call('getpid');
  const [failed, done] = other.trace
    .trimEnd()
    .split('\n')
    .map((text) => JSON.parse(text) as Record<string, unknown>);
  other.end();
  const args = ['AT_FDCWD', '"none"', 'O_RDONLY'];
  expect(failed).toMatchObject({
    pid: process.pid,
    tid: process.pid,
    call: 'openat',
    args,
    result: -1,
    error: 'ENOENT',
  });
  expect(done).toMatchObject({ call: 'getpid', args: [], result: process.pid });
  expect(done).not.toHaveProperty('error');
});

test('a table of what was called', () => {
  const other = new SyscallRig({ strace: true, traceForm: 'count' });
  for (let i = 0; i < 3; i++) other.call('close', 99);
  other.call('getpid');
  expect(other.trace).toBe('');
  other.finishTrace();
  const lines = other.trace.trimEnd().split('\n');
  other.end();
  expect(lines[0]).toBe('% time     seconds  usecs/call     calls    errors syscall');
  expect(lines.find((text) => text.endsWith(' close'))).toMatch(/ +3 +3 close$/);
  expect(lines.find((text) => text.endsWith(' getpid'))).toMatch(/ +1 {11}getpid$/);
  expect(lines.at(-1)).toMatch(/ +4 +3 total$/);
});

test('signals and the end', async () => {
  const { stderr } = await runTsemu(['-strace', join(repoRoot, 'fixtures/arm/segv-handler')], { cwd: rig.folder });
  const lines = stderr.toString().split('\n');
  expect(lines.find((text) => text.includes('---'))).toMatch(
    /^\d+ --- SIGSEGV \{si_signo=SIGSEGV, si_code=SEGV_\w+, si_addr=0x[0-9a-f]+\} ---$/,
  );
  expect(lines.at(-2)).toMatch(/^\d+ \+\+\+ exited with 7 \+\+\+$/);
});
