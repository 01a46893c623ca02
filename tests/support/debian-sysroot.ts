import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cachePath, contentKey, makeOnce, progress, rememberUnavailable, Unavailable } from './cache.ts';
import { apt, type GuestArch, lastLine, tool } from './debian.ts';

/** The private apt tree as a machine of an architecture would have it. */
async function optionsOf(arch: GuestArch): Promise<string[]> {
  const cache = cachePath('apt', `${arch}-cache`);
  mkdirSync(cache, { recursive: true });
  const settings = { 'APT::Architecture': arch, 'APT::Architectures': arch, 'Dir::Cache': cache };
  return [...(await apt()), ...Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])];
}

/** The names of packages and of all they depend on. */
async function closure(options: readonly string[], packages: readonly string[]): Promise<string[]> {
  const plan = await tool('apt-get', [...options, '-s', '--no-install-recommends', 'install', ...packages]);
  if (plan.status !== 0)
    throw new Unavailable(`apt cannot install ${packages.join(' ')}: ${lastLine(plan.stderr.toString())}`);
  return Array.from(plan.stdout.toString().matchAll(/^Inst (\S+)/gm), (m) => m[1]);
}

/** Folders at the root that are links into /usr, as on every Debian since 12. */
function mergeUsr(root: string): void {
  for (const name of ['bin', 'sbin', 'lib']) {
    mkdirSync(join(root, 'usr', name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
}

/**
 * A folder with packages of an architecture and all they depend on, as on a machine that has them installed but for what
 * their scripts would do: fetched and unpacked on first use.
 * @throws Unavailable
 */
export async function debianSysroot(
  title: string,
  packages: readonly string[],
  arch: GuestArch = 'armhf',
): Promise<string> {
  const wanted = [...new Set(packages)].sort();
  const named = arch === 'armhf' ? title : `${title}-${arch}`;
  const root = cachePath('sysroot', `${named}-${contentKey(...wanted)}`);
  return rememberUnavailable(`sysroot-${named}`, () =>
    makeOnce(root, async () => {
      const options = await optionsOf(arch);
      const names = await closure(options, wanted);
      const debs = `${root}.debs`;
      const partial = `${root}.partial`;
      for (const dir of [debs, partial]) {
        rmSync(dir, { recursive: true, force: true });
        mkdirSync(dir, { recursive: true });
      }
      progress(`fetching ${named} (${names.length} packages) …`);
      const got = await tool('apt-get', [...options, 'download', ...names], debs);
      if (got.status !== 0)
        throw new Unavailable(`apt-get download of ${named} failed: ${lastLine(got.stderr.toString())}`);
      mergeUsr(partial);
      for (const deb of readdirSync(debs)) {
        // dpkg-deb -x would replace the links of the merged /usr by folders.
        const unpack = 'dpkg-deb --fsys-tarfile "$0" | tar -x --keep-directory-symlink --no-same-owner -C "$1" -f -';
        const unpacked = await tool('sh', ['-c', unpack, join(debs, deb), partial]);
        if (unpacked.status !== 0) throw new Error(`${deb}: ${unpacked.stderr.toString()}`);
      }
      rmSync(debs, { recursive: true });
      renameSync(partial, root);
    }),
  );
}

/** The versions of an architecture's packages in the private apt tree, by name. */
export async function packageVersions(packages: readonly string[], arch: GuestArch): Promise<Map<string, string>> {
  const shown = await tool('apt-cache', [...(await optionsOf(arch)), 'show', '--no-all-versions', ...packages]);
  const pairs = shown.stdout.toString().matchAll(/^Package: (\S+)\n(?:.*\n)*?Version: (\S+)/gm);
  return new Map(Array.from(pairs, (m) => [m[1], m[2]]));
}
