import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The repository's root folder. */
export const repoRoot: string = resolve(import.meta.dirname, '../..');

/** Where fetched packages and built guests live: TSEMU_CACHE, else `.cache` in the repository (git-ignored). */
export const cacheRoot: string = resolve(process.env['TSEMU_CACHE'] ?? join(repoRoot, '.cache'));

/** A fixture is missing for a reason of the machine (no apt, no network): tests that need it skip and say why. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** A path below the cache; its folder exists afterwards. */
export function cachePath(...parts: string[]): string {
  const path = join(cacheRoot, ...parts);
  mkdirSync(join(path, '..'), { recursive: true });
  return path;
}

/** Tells the person waiting what is going on, on stderr. */
export function progress(text: string): void {
  process.stderr.write(`tsemu tests: ${text}\n`);
}

/** The first 16 hex digits of a SHA-256 over all parts. */
export function contentKey(...parts: (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex').slice(0, 16);
}

function ownerIsGone(lock: string): boolean {
  let pid: number;
  try {
    pid = Number(readFileSync(join(lock, 'pid'), 'utf8'));
  } catch {
    // Between mkdir and the write of the pid; only an old one of these was abandoned.
    const made = statSync(lock, { throwIfNoEntry: false });
    return made !== undefined && Date.now() - made.mtimeMs > 10_000;
  }
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/**
 * Runs `work` while holding a lock that other processes on the same cache respect. A lock whose owner died is
 * taken over.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const lock = cachePath('locks', name);
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (ownerIsGone(lock)) {
        rmSync(lock, { recursive: true, force: true });
        continue;
      }
      await sleep(100);
    }
  }
  try {
    writeFileSync(join(lock, 'pid'), String(process.pid));
    return await work();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/**
 * Makes `path` once: `make` runs under a lock of its own and only when `path` is not there. It must create `path`
 * as its last step (rename into place), so that a broken run leaves nothing behind.
 */
export async function makeOnce(path: string, make: () => Promise<void>): Promise<string> {
  if (existsSync(path)) return path;
  await withLock(contentKey(path), async () => {
    if (!existsSync(path)) await make();
  });
  return path;
}

const FAILURE_LIFETIME_MS = 10 * 60_000;

/**
 * Like `work`, but a recent `Unavailable` of the same name is repeated at once instead of tried again, so that
 * twenty test workers without a network wait for one time-out only.
 */
export async function rememberUnavailable<T>(name: string, work: () => Promise<T>): Promise<T> {
  const note = cachePath('unavailable', name);
  const noted = statSync(note, { throwIfNoEntry: false });
  if (noted && Date.now() - noted.mtimeMs < FAILURE_LIFETIME_MS) throw new Unavailable(readFileSync(note, 'utf8'));
  try {
    return await work();
  } catch (error) {
    if (error instanceof Unavailable) writeFileSync(note, error.message);
    throw error;
  }
}
