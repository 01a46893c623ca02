import { mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cachePath, contentKey, makeOnce, Unavailable } from './cache.ts';
import { debianClosure, libraryPath, onPath } from './debian.ts';
import { run } from './run.ts';

/** GNU triples of the guest ABIs: hard-float (Debian armhf) and soft-float (Debian armel). */
export type Triple = 'arm-linux-gnueabihf' | 'arm-linux-gnueabi' | 'i686-linux-gnu';

/** A cross compiler that can be started: the C and C++ drivers and the environment they need. */
export interface Toolchain {
  cc: string;
  cxx: string;
  env: Record<string, string>;
}

function environment(extra: Record<string, string>): Record<string, string> {
  return {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    LC_ALL: 'C',
    TMPDIR: process.env['TMPDIR'] ?? '/tmp',
    ...extra,
  };
}

// Both drivers find cc1, libgcc and the cross libc relative to themselves; only the host's shared libraries that
// the tools link with (bfd, isl, mpc …) must be pointed out.
async function unpackedToolchain(triple: Triple): Promise<Toolchain> {
  const root = await debianClosure(`toolchain-${triple}`, [`g++-${triple}`, `gcc-${triple}`]);
  const bin = join(root, 'usr/bin');
  return {
    cc: join(bin, `${triple}-gcc`),
    cxx: join(bin, `${triple}-g++`),
    env: environment({ PATH: `${bin}:/usr/bin:/bin`, LD_LIBRARY_PATH: libraryPath(root) }),
  };
}

const toolchains = new Map<Triple, Promise<Toolchain>>();

async function findToolchain(triple: Triple): Promise<Toolchain> {
  if (process.env['TSEMU_TOOLCHAIN'] !== 'cache') {
    const cc = onPath(`${triple}-gcc`);
    const cxx = onPath(`${triple}-g++`);
    if (cc && cxx) return { cc, cxx, env: environment({}) };
  }
  return unpackedToolchain(triple);
}

/**
 * The cross compiler for a guest ABI: from PATH, else unpacked from Debian's packages into the cache.
 * TSEMU_TOOLCHAIN=cache ignores an installed one.
 * @throws Unavailable where neither is to be had
 */
export function toolchain(triple: Triple): Promise<Toolchain> {
  let known = toolchains.get(triple);
  if (!known) {
    known = findToolchain(triple);
    toolchains.set(triple, known);
  }
  return known;
}

/** One program to build: sources (the first names it), the ABI and compiler flags. */
export interface Build {
  triple: Triple;
  sources: readonly string[];
  flags: readonly string[];
  /** What is linked after the sources. Default: the mathematics and atomics libraries. */
  libraries?: readonly string[];
  /** Further files whose change must cause a new build. */
  headers?: readonly string[];
}

/**
 * Builds a guest program into the cache, once for each content of its sources and flags, and returns its path.
 * @throws Unavailable without a compiler; Error with the compiler's messages when it refuses
 */
export async function buildGuest(build: Build): Promise<string> {
  const tools = await toolchain(build.triple);
  const texts = [...build.sources, ...(build.headers ?? [])].map((path) => readFileSync(path));
  const libraries = build.libraries ?? ['-lm', '-latomic'];
  const key = contentKey(build.triple, tools.cc, build.flags.join(' '), libraries.join(' '), ...texts);
  const name = build.sources[0].replace(/^.*\//, '').replace(/\.\w+$/, '');
  const path = cachePath('guests', `${name}-${key}`);
  return makeOnce(path, async () => {
    const cxx = build.sources.some((source) => source.endsWith('.cc'));
    const partial = `${path}.partial`;
    mkdirSync(dirname(partial), { recursive: true });
    const args = [...build.flags, '-o', partial, ...build.sources, ...libraries];
    const made = await run(cxx ? tools.cxx : tools.cc, args, { env: tools.env, timeout: 120_000 });
    if (made.status !== 0) {
      rmSync(partial, { force: true });
      throw new Error(`${name} did not build (${build.flags.join(' ')}):\n${made.stderr.toString()}`);
    }
    renameSync(partial, path);
  });
}

/** The compiler, or the reason why there is none: for `describe.skipIf`. */
export async function toolchainOrReason(triple: Triple): Promise<Toolchain | { reason: string }> {
  try {
    return await toolchain(triple);
  } catch (error) {
    if (error instanceof Unavailable) return { reason: error.message };
    throw error;
  }
}
