import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cachePath, contentKey, makeOnce, progress, rememberUnavailable, Unavailable, withLock } from './cache.ts';
import { type Outcome, run } from './run.ts';

/** A Debian architecture; `host` is the one this machine's dpkg names. */
export type Arch = GuestArch | 'host';
/** Those of guests. */
export type GuestArch = (typeof guestArches)[number];
const guestArches = ['armhf', 'armel', 'i386'] as const;

const LISTS_LIFETIME_MS = 7 * 24 * 3600_000;

/** Finds a program on PATH. */
export function onPath(name: string): string | undefined {
  for (const dir of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(dir, name);
    if (dir && statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  }
  return undefined;
}

const inherited = (): Record<string, string> => ({ ...(process.env as Record<string, string>), LC_ALL: 'C' });

export async function tool(command: string, args: readonly string[], cwd?: string): Promise<Outcome> {
  const options = { env: inherited(), timeout: 15 * 60_000, ...(cwd ? { cwd } : {}) };
  return run(command, args, options);
}

async function hostArch(): Promise<string> {
  return (await tool('dpkg', ['--print-architecture'])).stdout.toString().trim();
}

async function debArch(arch: Arch): Promise<string> {
  return arch === 'host' ? hostArch() : arch;
}

/** Values of /etc/os-release by name. */
function osRelease(): Map<string, string> {
  const path = '/etc/os-release';
  if (!existsSync(path)) return new Map();
  const pairs = readFileSync(path, 'utf8').matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
  return new Map(Array.from(pairs, (m) => [m[1], m[2]]));
}

/**
 * The machine's own sources, reduced to the distribution: a vendor's extra source rarely has a guest's packages, and its
 * errors would be ours. One-line and deb822 forms are both copied as they are.
 */
function copySources(target: string): number {
  const codename = osRelease().get('VERSION_CODENAME') ?? '';
  const suite = new RegExp(
    `\\b(${codename || 'stable'}|stable|testing|unstable|sid)(-updates|-security|/updates)?(\\s|$)`,
  );
  const parts = '/etc/apt/sources.list.d';
  const files = existsSync(parts) ? readdirSync(parts).map((name) => join(parts, name)) : [];
  let kept = 0;
  for (const file of ['/etc/apt/sources.list', ...files]) {
    if (!existsSync(file)) continue;
    const deb822 = file.endsWith('.sources');
    if (!deb822 && !file.endsWith('.list')) continue;
    const text = readFileSync(file, 'utf8').replace(/^#.*\n?/gm, '');
    const entries = deb822 ? text.split(/\n\s*\n/) : text.split('\n');
    const ours = entries
      .map((entry) => (deb822 ? entry.replace(/^(Architectures|Types):.*$/gm, '').replace(/^\s*\n/gm, '') : entry))
      .filter((entry) => {
        if (deb822)
          return (
            /^Suites:.*/m.test(entry) &&
            suite.test(/^Suites:(.*)$/m.exec(entry)![1]) &&
            /^Components:.*\bmain\b/m.test(entry)
          );
        return /^deb\s/.test(entry) && suite.test(entry) && /\bmain\b/.test(entry);
      })
      .map((entry) => (deb822 ? `Types: deb\n${entry.trim()}` : entry.replace(/\barch=\S+?(?=[\s\]])/, '')));
    if (ours.length === 0) continue;
    kept += ours.length;
    writeFileSync(join(target, `${kept}.${deb822 ? 'sources' : 'list'}`), `${ours.join(deb822 ? '\n\n' : '\n')}\n`);
  }
  return kept;
}

async function makeAptTree(): Promise<string[]> {
  for (const name of ['apt-get', 'dpkg', 'dpkg-deb']) {
    if (!onPath(name)) throw new Unavailable(`no ${name} on this machine, so no Debian packages`);
  }
  if (osRelease().get('ID') !== 'debian')
    throw new Unavailable(`this machine has no Debian sources for ${guestArches.join(', ')}`);
  const tree = cachePath('apt', 'tree');
  for (const dir of ['etc/sources.list.d', 'state/lists/partial', 'cache/archives/partial']) {
    mkdirSync(join(tree, dir), { recursive: true });
  }
  const status = join(tree, 'status');
  if (!existsSync(status)) writeFileSync(status, '');
  const native = await hostArch();
  const settings = {
    'Dir::Etc::SourceList': '/dev/null',
    'Dir::Etc::SourceParts': join(tree, 'etc/sources.list.d'),
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': '/dev/null',
    'Dir::State': join(tree, 'state'),
    'Dir::State::status': status,
    'Dir::Cache': join(tree, 'cache'),
    'APT::Architecture': native,
    'APT::Architectures': [...new Set([native, ...guestArches])].join(','),
    'APT::Sandbox::User': '',
    'Debug::NoLocking': '1',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '3',
    'Acquire::http::Timeout': '30',
    'Acquire::https::Timeout': '30',
  };
  return Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
}

let aptOptions: Promise<string[]> | undefined;

/** Options that point apt at a private tree in the cache with fresh package lists; nothing needs root. */
export function apt(): Promise<string[]> {
  aptOptions ??= rememberUnavailable('apt', async () => {
    const options = await makeAptTree();
    await withLock('apt-lists', async () => {
      const stamp = cachePath('apt', `updated-${guestArches.join('-')}`);
      const age = statSync(stamp, { throwIfNoEntry: false });
      if (age && Date.now() - age.mtimeMs < LISTS_LIFETIME_MS) return;
      const sources = cachePath('apt', 'tree', 'etc', 'sources.list.d');
      rmSync(sources, { recursive: true, force: true });
      mkdirSync(sources, { recursive: true });
      if (copySources(sources) === 0) throw new Unavailable('this machine names no Debian source in /etc/apt');
      progress('fetching Debian package lists (about 25 MB) …');
      // A mirror in the middle of its own update fails one index of many: what counts is that a package is known.
      const update = await tool('apt-get', [...options, 'update']);
      const known = await tool('apt-cache', [...options, 'show', 'busybox-static:armhf']);
      if (known.status !== 0) {
        throw new Unavailable(`apt-get update brought no armhf packages: ${lastLine(update.stderr.toString())}`);
      }
      writeFileSync(stamp, '');
    });
    return options;
  });
  return aptOptions;
}

// apt's messages name the mirror, which is nobody's business in a test report.
export function lastLine(text: string): string {
  const lines = text.trim().split('\n');
  return lines[lines.length - 1].replace(/\w+:\/\/\S+/g, '<mirror>');
}

/** Downloads packages (`name` or `name:arch`) and unpacks them all into `root`, which appears when complete. */
async function fetchInto(root: string, packages: readonly string[], why: string): Promise<string> {
  return makeOnce(root, async () => {
    const options = await apt();
    const debs = `${root}.debs`;
    const partial = `${root}.partial`;
    for (const dir of [debs, partial]) {
      rmSync(dir, { recursive: true, force: true });
      mkdirSync(dir, { recursive: true });
    }
    progress(`fetching ${why} …`);
    const got = await tool('apt-get', [...options, 'download', ...packages], debs);
    if (got.status !== 0)
      throw new Unavailable(`apt-get download of ${why} failed: ${lastLine(got.stderr.toString())}`);
    for (const deb of readdirSync(debs)) {
      const unpacked = await tool('dpkg-deb', ['-x', join(debs, deb), partial]);
      if (unpacked.status !== 0) throw new Error(`dpkg-deb -x ${deb}: ${unpacked.stderr.toString()}`);
    }
    rmSync(debs, { recursive: true });
    renameSync(partial, root);
  });
}

/**
 * The folder of an unpacked Debian package, fetched on first use.
 * @throws Unavailable where there is no apt, no network or no such package
 */
export async function debianPackage(name: string, arch: Arch): Promise<string> {
  const deb = await debArch(arch);
  return rememberUnavailable(`${name}_${deb}`, () =>
    fetchInto(cachePath('debian', `${name}_${deb}`), [`${name}:${deb}`], `${name} (${deb})`),
  );
}

/** The first package that package `name` depends on whose name is like `pattern`: what a metapackage stands for now. */
export async function debianDependency(name: string, arch: Arch, pattern: RegExp): Promise<string> {
  const shown = await tool('apt-cache', [...(await apt()), 'show', `${name}:${await debArch(arch)}`]);
  const [, depends] = /^Depends:(.*)$/m.exec(shown.stdout.toString()) ?? [];
  const [found] = pattern.exec(depends ?? '') ?? [];
  if (found === undefined) throw new Unavailable(`apt knows no ${name}`);
  return found;
}

/**
 * A folder with several Debian packages in it, as a system has them at "/": made anew for each list of them.
 * `name:all` is a package for all architectures.
 * @throws Unavailable
 */
export async function debianRoot(title: string, packages: readonly string[], arch: Arch): Promise<string> {
  const deb = await debArch(arch);
  const key = contentKey(packages.join(' '));
  return rememberUnavailable(`${title}_${deb}`, () =>
    fetchInto(
      cachePath('roots', `${title}_${deb}-${key}`),
      packages.map((name) => (name.includes(':') ? name : `${name}:${deb}`)),
      `${title} (${packages.length} packages of ${deb})`,
    ),
  );
}

/**
 * A folder with packages of `arch` and all they depend on, the C library included: enough of a system to boot.
 * @throws Unavailable
 */
export async function debianSystem(title: string, packages: readonly string[], arch: Arch): Promise<string> {
  const deb = await debArch(arch);
  return rememberUnavailable(`system-${title}_${deb}`, async () => {
    const root = cachePath('roots', `${title}_${deb}-${contentKey(packages.join(' '))}`);
    if (existsSync(root)) return root;
    const simulate = ['-o', `APT::Architecture=${deb}`, '-s', '--no-install-recommends', 'install', ...packages];
    const plan = await tool('apt-get', [...(await apt()), ...simulate]);
    if (plan.status !== 0) {
      throw new Unavailable(`apt knows no ${packages.join(' ')}: ${lastLine(plan.stderr.toString())}`);
    }
    const names = Array.from(plan.stdout.toString().matchAll(/^Inst (\S+)/gm), (m) => m[1]);
    const qualified = names.map((name) => (name.includes(':') ? name : `${name}:${deb}`));
    return fetchInto(root, qualified, `${title} (${names.length} packages of ${deb})`);
  });
}

/** Runs a program of `debianClosure`. */
export async function closureTool(root: string, path: string, args: readonly string[], cwd?: string): Promise<Outcome> {
  const libraries = ['usr/lib', 'lib']
    .map((folder) => join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { withFileTypes: true })
        .filter((entry) => entry.isDirectory() && entry.name.includes('-linux-'))
        .map((entry) => join(folder, entry.name)),
    );
  const program = [join(root, path), join(root, 'usr', path)].find((candidate) => existsSync(candidate));
  if (program === undefined) throw new Error(`no ${path} in ${root}`);
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', LD_LIBRARY_PATH: libraries.join(':') };
  return run(program, args, { env, ...(cwd !== undefined && { cwd }) });
}

/**
 * A file out of a Debian package, say `debianFile('busybox-static', 'armhf', 'bin/busybox')`. A path below `bin` or
 * `sbin` is also looked for below `usr`, where newer releases keep it.
 */
export async function debianFile(name: string, arch: Arch, path: string): Promise<string> {
  const root = await debianPackage(name, arch);
  for (const candidate of [join(root, path), join(root, 'usr', path)]) {
    if (existsSync(candidate)) return candidate;
  }
  throw new Error(`package ${name} (${arch}) has no ${path}`);
}

/**
 * A folder with host packages and all they depend on, except the C library's own package: programs in there run with
 * the machine's dynamic loader, which must meet its own libc.
 */
export async function debianClosure(title: string, packages: readonly string[]): Promise<string> {
  return rememberUnavailable(`closure-${title}`, async () => {
    const root = cachePath('closure', title);
    if (existsSync(root)) return root;
    const plan = await tool('apt-get', [...(await apt()), '-s', '--no-install-recommends', 'install', ...packages]);
    if (plan.status !== 0)
      throw new Unavailable(`apt knows no ${packages.join(' ')}: ${lastLine(plan.stderr.toString())}`);
    const names = Array.from(plan.stdout.toString().matchAll(/^Inst (\S+)/gm), (m) => m[1]);
    const wanted = names.filter(
      (name) => !/^(libc6|libgcc-s1|libcrypt1|gcc-\d+-base|debconf|perl-base)(:|$)/.test(name),
    );
    return fetchInto(root, wanted, `${title} (${wanted.length} packages)`);
  });
}

/** LD_LIBRARY_PATH for programs of an unpacked folder. */
export function libraryPath(root: string): string {
  const folders = ['usr/lib', 'lib'].map((dir) => join(root, dir)).filter(existsSync);
  return folders
    .flatMap((dir) =>
      readdirSync(dir)
        .filter((name) => name.endsWith('-linux-gnu'))
        .map((name) => join(dir, name)),
    )
    .join(':');
}
