import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Unavailable } from './cache.ts';
import { debianFile, onPath } from './debian.ts';
import { type Outcome, type RunOptions, run } from './run.ts';

const found = new Map<string, Promise<string>>();

async function find(arch: string): Promise<string> {
  const installed =
    process.env['TSEMU_ORACLE'] === 'cache' ? undefined : (onPath(`qemu-${arch}`) ?? onPath(`qemu-${arch}-static`));
  if (installed) return installed;
  // Releases moved the static binaries from one package to the other; a static one runs anywhere.
  try {
    return await debianFile('qemu-user-static', 'host', `usr/bin/qemu-${arch}-static`);
  } catch (error) {
    if (error instanceof Unavailable && !onPath('apt-get')) throw error;
    return debianFile('qemu-user', 'host', `usr/bin/qemu-${arch}`);
  }
}

/**
 * The path of qemu-user for an architecture: from PATH, else unpacked from Debian's package into the cache.
 * @throws Unavailable where neither is to be had
 */
export function qemuUser(arch: 'arm' | 'i386'): Promise<string> {
  let path = found.get(arch);
  if (!path) found.set(arch, (path = find(arch)));
  return path;
}

/** The path of qemu-arm. */
export const qemuArm = (): Promise<string> => qemuUser('arm');

/** Runs a guest program under qemu-arm. */
export async function runQemu(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return run(await qemuArm(), args, options);
}

/** The oracle's path, or the reason why there is none: for `describe.skipIf`. */
export async function oracleOrReason(): Promise<{ path: string } | { reason: string }> {
  try {
    const path = await qemuArm();
    return existsSync(path) ? { path } : { reason: `${join(path)} is gone` };
  } catch (error) {
    if (error instanceof Unavailable) return { reason: error.message };
    throw error;
  }
}
