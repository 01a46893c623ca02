import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
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

/** Packages and all they depend on: the name of each and of the file that apt downloads. */
async function closure(
  options: readonly string[],
  packages: readonly string[],
): Promise<{ name: string; file: string }[]> {
  const plan = await tool('apt-get', [...options, '-s', '--no-install-recommends', 'install', ...packages]);
  if (plan.status !== 0)
    throw new Unavailable(`apt cannot install ${packages.join(' ')}: ${lastLine(plan.stderr.toString())}`);
  const found = plan.stdout.toString().matchAll(/^Inst (\S+) \((\S+) .*\[(\w+)\]\)/gm);
  return Array.from(found, ([, name, version, arch]) => ({
    name,
    file: `${name}_${version.replaceAll(':', '%3a')}_${arch}.deb`,
  }));
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
      const parts = await closure(options, wanted);
      // Kept, since one more package makes another sysroot; apt does not fetch again what is there.
      const debs = cachePath('debs', arch);
      mkdirSync(debs, { recursive: true });
      const partial = `${root}.partial`;
      rmSync(partial, { recursive: true, force: true });
      mkdirSync(partial, { recursive: true });
      progress(`fetching ${named} (${parts.length} packages) …`);
      const got = await tool('apt-get', [...options, 'download', ...parts.map(({ name }) => name)], debs);
      if (got.status !== 0)
        throw new Unavailable(`apt-get download of ${named} failed: ${lastLine(got.stderr.toString())}`);
      mergeUsr(partial);
      for (const { file } of parts) {
        // dpkg-deb -x would replace the links of the merged /usr by folders.
        const unpack = 'dpkg-deb --fsys-tarfile "$0" | tar -x --keep-directory-symlink --no-same-owner -C "$1" -f -';
        const unpacked = await tool('sh', ['-c', unpack, join(debs, file), partial]);
        if (unpacked.status !== 0) throw new Error(`${file}: ${unpacked.stderr.toString()}`);
      }
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
