import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { cachePath, repoRoot, Unavailable } from './support/cache.ts';
import { debianFile, debianRoot } from './support/debian.ts';
import { type Outcome, plainEnvironment, run, runTsemu, tsemuCommand } from './support/run.ts';
import { buildGuest, toolchainOrReason } from './support/toolchain.ts';
import { describeTree } from './support/workdir.ts';

/*
 * --root and --sandbox: a program that tries hard to get out (fixtures/c/escape.c), and a Debian system that works as
 * root in a tree of its own.
 */

const tools = await toolchainOrReason('arm-linux-gnueabihf');
const reason = 'reason' in tools ? tools.reason : process.platform === 'linux' ? undefined : 'not on Linux';

const area = cachePath('work', 'confinement', '.');
const outside = join(area, 'outside');
const tree = join(area, 'tree');
const work = join(tree, 'work');
const secret = join(outside, 'secret');

async function buildProgram(name: string): Promise<string> {
  const flags = ['-static', '-O2', '-D_GNU_SOURCE', '-w'];
  return buildGuest({ triple: 'arm-linux-gnueabihf', sources: [join(repoRoot, `fixtures/c/${name}.c`)], flags });
}

describe.skipIf(reason !== undefined)(`nobody gets out${reason ? ` (skipped: ${reason})` : ''}`, () => {
  let server: Server;
  let local: Server;
  let port = 0;
  let connections = 0;

  beforeAll(async () => {
    server = createServer(() => connections++).listen(0, '127.0.0.1');
    local = createServer(() => connections++);
    await new Promise((resolve) => server.once('listening', resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => {
    server.close();
    local.close();
  });

  beforeEach(async () => {
    local.close();
    rmSync(area, { recursive: true, force: true });
    for (const folder of [join(outside, 'folder'), join(work, 'folder'), join(tree, 'bin')]) {
      mkdirSync(folder, { recursive: true });
    }
    writeFileSync(secret, 'SECRET\n');
    writeFileSync(join(work, 'file'), 'data\n');
    copyFileSync(await buildProgram('escape'), join(tree, 'bin/escape'));
    copyFileSync('/bin/true', join(tree, 'bin/host'));
  });

  const before = (): string[] => describeTree(outside);

  /** The guest's attempts; its standard input is the secret, opened to be read. */
  async function attempt(options: string[], inside: (path: string) => string, more: string[] = []): Promise<Outcome> {
    const untouched = before();
    const [node, args] = tsemuCommand([
      ...options,
      inside(join(tree, 'bin/escape')),
      outside,
      String(process.pid),
      String(port),
      inside(join(tree, 'bin/host')),
      inside(work),
      ...more,
    ]);
    const command = [node, ...args].map((word) => `'${word}'`).join(' ');
    const outcome = await run('/bin/sh', ['-c', `${command} < '${secret}'`], { cwd: area });
    expect(before()).toEqual(untouched);
    expect(readFileSync(secret, 'utf8')).toBe('SECRET\n');
    expect(connections).toBe(0);
    return outcome;
  }

  const nothing = { status: 0, stdout: 'tried all, 0 got out\n', stderr: '' };
  const seen = ({ status, stdout, stderr }: Outcome): object => ({
    status,
    stdout: stdout.toString(),
    stderr: stderr.toString(),
  });
  const here = (path: string): string => path;

  test('of --root', async () => {
    const below = (path: string): string => path.slice(tree.length);
    expect(seen(await attempt(['--root', tree, '--deny-net'], below))).toEqual(nothing);
  }, 60_000);

  test('of --sandbox with a folder to write to', async () => {
    const options = ['--sandbox', '--rw', work, '--ro', join(tree, 'bin')];
    expect(seen(await attempt(options, here))).toEqual(nothing);
  }, 60_000);

  // More of them than are kept open at a time.
  test('of folders far down either, which can be worked with', async () => {
    copyFileSync(await buildProgram('deep-directories'), join(tree, 'bin/deep'));
    const deep = await runTsemu([
      '--sandbox',
      '--rw',
      work,
      '--ro',
      join(tree, 'bin'),
      join(tree, 'bin/deep'),
      work,
      '360',
    ]);
    expect(seen(deep)).toEqual({ status: 0, stdout: '360 made: all\nfile: 1 0\n360 removed: all\n', stderr: '' });
  }, 120_000);

  test('of --sandbox with a folder to read, which does not change', async () => {
    const untouched = describeTree(work);
    const options = ['--sandbox', '--ro', work, '--ro', join(tree, 'bin')];
    expect(seen(await attempt(options, here, ['read-only']))).toEqual(nothing);
    expect(describeTree(work)).toEqual(untouched);
  }, 60_000);

  test('through a folder that another instance swaps for a link', async () => {
    const untouched = before();
    const options = ['--root', tree, '/bin/escape', outside];
    const [swapped, raced] = await Promise.all([
      runTsemu([...options, 'swap', '/work', '6000'], { cwd: area }),
      runTsemu([...options, 'race', '/work', '1000'], { cwd: area }),
    ]);
    expect(swapped.status).toBe(0);
    expect(seen(raced)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(before()).toEqual(untouched);
  }, 60_000);

  test('and the options say what is wrong', async () => {
    const usage = async (...args: string[]): Promise<string> =>
      (await runTsemu([...args, join(tree, 'bin/escape')], { cwd: area })).stderr.toString();
    expect(await usage('--root', '/nonexistent')).toBe("tsemu-arm: --root: '/nonexistent' is no folder\n");
    expect(await usage('--rw', area)).toBe('tsemu-arm: --ro and --rw need --sandbox or --root\n');
    expect(await usage('--sandbox', '--ro', '/nonexistent')).toBe("tsemu-arm: --ro: there is no '/nonexistent'\n");
  }, 60_000);

  test('limits of memory and CPU time end the guest', async () => {
    const shell = await debianShell();
    if (shell === null) return;
    const script = 'x=aaaaaaaa; while :; do x=$x$x; done';
    const small = await runTsemu(['--sandbox', '--memory', '64M', shell, '-c', script], { cwd: area });
    expect(small.status).not.toBe(0);
    expect(small.stderr.toString()).toMatch(/memory|allocate/);
    const brief = await runTsemu(['--sandbox', '--cpu-time', '1', shell, '-c', 'while :; do :; done'], { cwd: area });
    expect(brief.signal).toBe('SIGKILL');
  }, 60_000);
});

async function debianShell(): Promise<string | null> {
  try {
    return await debianFile('bash-static', 'armhf', 'bin/bash-static');
  } catch (error) {
    if (error instanceof Unavailable) return null;
    throw error;
  }
}

/** A small Debian: what a root shell and its tools need. */
const packages = [
  ...['base-files', 'base-passwd', 'bash', 'coreutils', 'findutils', 'grep', 'procps', 'sed', 'tar'],
  ...['libacl1', 'libattr1', 'libc6', 'libcap2', 'libgcc-s1', 'libgcrypt20', 'libgmp10', 'libgpg-error0', 'liblz4-1'],
  ...['liblzma5', 'libncursesw6', 'libpcre2-8-0', 'libproc2-0', 'libselinux1', 'libsystemd0', 'libtinfo6', 'libzstd1'],
  ...['ncurses-base:all', 'zlib1g'],
];

async function debianOrReason(): Promise<string | { reason: string }> {
  try {
    return await debianRoot('small', packages, 'armhf');
  } catch (error) {
    if (error instanceof Unavailable) return { reason: error.message };
    throw error;
  }
}

const debian = await debianOrReason();
const noDebian = typeof debian === 'string' ? undefined : debian.reason;

describe.skipIf(noDebian !== undefined)(`a Debian root${noDebian ? ` (skipped: ${noDebian})` : ''}`, () => {
  const root = cachePath('work', 'debian-root');

  beforeAll(async () => {
    rmSync(root, { recursive: true, force: true });
    await run('cp', ['-a', debian as string, root]);
    for (const name of ['passwd', 'group']) {
      copyFileSync(join(root, `usr/share/base-passwd/${name}.master`), join(root, `etc/${name}`));
    }
  }, 60_000);

  async function shell(script: string): Promise<string> {
    const env = { ...plainEnvironment, PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root' };
    const { stdout, stderr } = await runTsemu(['--root', root, '/bin/bash', '-c', script], { env });
    return `${stdout.toString()}${stderr.toString()}`;
  }

  test('is a system with root in it', async () => {
    const places = 'id; pwd; cd; pwd; ls -d /proc/self /etc/../../../root; echo $UID';
    const owners =
      'cd /tmp; echo x > f; chown www-data:games f; ls -l f | cut -d" " -f3,4; chown 7 f; stat -c "%u %g" f';
    const links = 'ln -s f l; chown -h 8 l; stat -c %u l f; rm f l; find /proc/self/fd -maxdepth 0';
    expect(await shell(`${places}; ${owners}; ${links}`)).toBe(
      'uid=0(root) gid=0(root) groups=0(root)\n/\n/root\n/etc/../../../root\n/proc/self\n0\n' +
        'www-data games\n7 60\n8\n7\n/proc/self/fd\n',
    );
  }, 60_000);

  test('has devices, terminals and shared memory of its own', async () => {
    const made =
      'echo hi > /dev/shm/x; cat /dev/shm/x; head -c 3 /dev/zero | od -An -tx1; echo > /dev/full; echo > /dev/null';
    expect(await shell(`${made}; ls /dev/pts; tty < /dev/null`)).toBe(
      'hi\n 00 00 00\nptmx\nnot a tty\n/bin/bash: line 1: echo: write error: No space left on device\n',
    );
  }, 60_000);

  test('shows its processes', async () => {
    const jobs = 'sleep 5 & ps -e -o comm=; kill %1';
    const status = 'ps aux | head -1; free | head -1; top -b -n1 | head -1; pgrep -l bash; uptime';
    const files =
      'readlink /proc/$$/exe /proc/$$/root /proc/self/cwd; cat /proc/sys/kernel/ostype; wc -w < /proc/$$/comm';
    expect(await shell(`${jobs}; ${status}; ${files}`)).toMatch(
      /^bash\nsleep\nps\nUSER +PID.*\n +total +used.*\ntop - .*\n\d+ bash\n .* up .*\n(\/usr)?\/bin\/bash\n\/\n\/\nLinux\n1\n$/,
    );
  }, 60_000);

  test('has no way to what is around it', async () => {
    const attempts = `ls ${repoRoot} 2>&1 | cut -c1-10; cat /proc/1/status 2>&1 | cut -c1-10; kill -0 ${process.pid}`;
    expect(await shell(attempts)).toMatch(/^ls: cannot\ncat: \/proc\n.*No such process\n$/);
  }, 60_000);
});
