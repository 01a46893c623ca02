import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cachePath, contentKey, makeOnce, repoRoot } from './cache.ts';
import { closureTool, debianClosure, debianFile, debianSystem } from './debian.ts';

/** What the system has: a shell, the usual programs, Python and Perl. busybox is its init, getty and login. */
const packages = [
  'bash',
  'coreutils',
  'dash',
  'grep',
  'sed',
  'mawk',
  'gzip',
  'python3-minimal',
  'perl-base',
  'base-passwd',
];
const busyboxPrograms = ['init', 'getty', 'login', 'mount', 'umount', 'poweroff', 'hostname'];
/** Documentation and the like, which would make the disk larger. */
const left = ['doc', 'man', 'locale', 'info', 'lintian', 'bug'];

/** Runs a program of Debian's e2fsprogs, which need not be on this machine. */
async function e2fsprogs(program: string, ...args: readonly string[]): Promise<string> {
  const root = await debianClosure('e2fsprogs', ['e2fsprogs']);
  const { stdout, stderr, status } = await closureTool(root, `sbin/${program}`, args);
  if (status !== 0)
    throw new Error(`${program} ${args.join(' ')}: ${status}\n${stdout.toString()}${stderr.toString()}`);
  return stdout.toString();
}

/** An ext4 file system with the contents of `folder`, made anew. */
export async function makeExt4(path: string, folder: string, size: string): Promise<void> {
  const partial = `${path}.${process.pid}`;
  rmSync(partial, { force: true });
  await e2fsprogs('mke2fs', '-q', '-t', 'ext4', '-E', 'root_owner=0:0', '-d', folder, partial, size);
  renameSync(partial, path);
}

/** Throws an Error with e2fsck's words unless an ext4 file system was left clean and is in order. */
export async function checkExt4(path: string): Promise<void> {
  const said = await e2fsprogs('e2fsck', '-fn', path);
  if (/recover|not cleanly/i.test(said)) throw new Error(said);
}

/** A file of an ext4 file system. */
export const readExt4 = (path: string, file: string): Promise<string> =>
  e2fsprogs('debugfs', '-R', `cat ${file}`, path);

/**
 * A disk with a Debian system for armhf, made once and never written to.
 * @throws Unavailable
 */
export async function debianDisk(): Promise<string> {
  const system = await debianSystem('bootable', packages, 'armhf');
  const busybox = await debianFile('busybox-static', 'armhf', 'bin/busybox');
  const scripts = join(repoRoot, 'fixtures', 'system', 'root');
  const texts = readdirSync(scripts).map((name) => readFileSync(join(scripts, name)));
  const image = cachePath('machine', `debian-${contentKey(system, ...texts)}.ext4`);
  return makeOnce(image, async () => {
    const root = `${image}.root`;
    rmSync(root, { recursive: true, force: true });
    cpSync(system, root, { recursive: true, verbatimSymlinks: true });
    furnish(root, busybox, scripts);
    await makeExt4(image, root, '192M');
    rmSync(root, { recursive: true });
  });
}

/** Makes a system that boots of unpacked packages. */
function furnish(root: string, busybox: string, scripts: string): void {
  for (const name of left) rmSync(join(root, 'usr/share', name), { recursive: true, force: true });
  for (const name of ['bin', 'sbin', 'lib']) {
    if (!existsSync(join(root, name))) symlinkSync(`usr/${name}`, join(root, name));
  }
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'run', 'root', 'var', 'etc/init.d']) {
    mkdirSync(join(root, name), { recursive: true });
  }
  cpSync(busybox, join(root, 'bin/busybox'));
  for (const name of busyboxPrograms) {
    rmSync(join(root, 'bin', name), { force: true });
    rmSync(join(root, 'sbin', name), { force: true });
    symlinkSync('/bin/busybox', join(root, 'sbin', name));
  }
  symlinkSync('/bin/busybox', join(root, 'bin/login'));
  for (const [name, target] of [
    ['bin/sh', 'dash'],
    ['usr/bin/awk', 'mawk'],
  ] as const) {
    rmSync(join(root, name), { force: true });
    symlinkSync(target, join(root, name));
  }
  for (const name of ['passwd', 'group']) {
    const master = readFileSync(join(root, `usr/share/base-passwd/${name}.master`), 'utf8');
    // root has no password, and bash.
    writeFileSync(
      join(root, 'etc', name),
      master.replace(/^root:[^:]*:(.*):[^:\n]*$/m, (line, rest: string) =>
        name === 'passwd' ? `root::${rest}:/bin/bash` : line,
      ),
    );
  }
  writeFileSync(join(root, 'etc/hostname'), 'tsemu\n');
  cpSync(join(scripts, 'inittab'), join(root, 'etc/inittab'));
  for (const name of ['rcS', 'rcK']) cpSync(join(scripts, name), join(root, 'etc/init.d', name));
}
