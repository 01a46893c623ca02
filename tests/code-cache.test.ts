// Translations that are kept in files, from outside: what a program does is the same whatever is in the folder.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { cachePath, Unavailable } from './support/cache.ts';
import { debianFile } from './support/debian.ts';
import { type Outcome, plainEnvironment, runTsemu } from './support/run.ts';

// Each test starts several shells, on machines that are busy.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const folder = cachePath('code-cache', String(process.pid));
let busybox = '';
let reason: string | undefined;
try {
  busybox = await debianFile('busybox-static', 'armhf', 'bin/busybox');
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  reason = error.message;
}

const script = 'i=0; while [ $i -lt 3 ]; do i=$((i+1)); echo line $i | sed s/line/row/; done; exit 3';

/** A shell, which forks and execs itself, with `folder` as its cache. */
const shell = (env: Record<string, string> = { TSEMU_CACHE_DIR: folder }): Promise<Outcome> =>
  runTsemu([busybox, 'sh', '-c', script], { env: { ...plainEnvironment, ...env } });

const shown = ({ status, stdout, stderr }: Outcome) => ({ status, stdout: String(stdout), stderr: String(stderr) });
const expected = { status: 3, stdout: [1, 2, 3].map((i) => `row ${i}\n`).join(''), stderr: '' };
const files = (): string[] => readdirSync(folder).sort();

describe.skipIf(reason !== undefined)('the cache of translations', () => {
  let kept: Buffer;
  let file: string;

  beforeAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    expect(shown(await shell())).toEqual(expected);
    const [name, ...others] = files();
    expect(others).toEqual([]);
    file = join(folder, name);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    kept = readFileSync(file);
    return () => rmSync(folder, { recursive: true });
  });

  beforeEach(() => {
    for (const name of files()) rmSync(join(folder, name), { recursive: true });
    writeFileSync(file, kept, { mode: 0o600 });
  });

  test('a second run does the same and leaves the file as it is', async () => {
    expect(shown(await shell())).toEqual(expected);
    expect(readFileSync(file).equals(kept)).toBe(true);
  });

  test('a file that is damaged, foreign, short or empty is ignored and replaced', async () => {
    const flipped = Buffer.from(kept);
    flipped[1000] ^= 4;
    const contents = [flipped, kept.subarray(0, 5000), Buffer.from('#!/bin/sh\nnot a cache\n'), Buffer.alloc(0)];
    for (const content of contents) {
      writeFileSync(file, content);
      expect(shown(await shell())).toEqual(expected);
      expect(readFileSync(file).length).toBeGreaterThan(kept.length / 2);
    }
  });

  test('a file that others may write to is ignored', async () => {
    const flipped = Buffer.from(kept);
    flipped.writeInt32LE(0x7fffffff, 0);
    writeFileSync(file, flipped);
    chmodSync(file, 0o666);
    expect(shown(await shell())).toEqual(expected);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('a folder that cannot be, or in place of a file, costs only the cache', async () => {
    const blocked = join(folder, 'file');
    writeFileSync(blocked, '');
    for (const impossible of [join(blocked, 'folder'), join(folder, 'no', 'such', 'parents'), '/proc/tsemu']) {
      expect(shown(await shell({ TSEMU_CACHE_DIR: impossible }))).toEqual(expected);
    }
    rmSync(blocked);
    rmSync(file);
    mkdirSync(file);
    expect(shown(await shell())).toEqual(expected);
    rmSync(file, { recursive: true });
  });

  test.skipIf(process.getuid?.() === 0)('a folder that is read-only serves and stays as it is', async () => {
    chmodSync(folder, 0o500);
    expect(shown(await shell())).toEqual(expected);
    chmodSync(folder, 0o700);
    expect(files().length).toBe(1);
  });

  test('off, nothing is read or written', async () => {
    rmSync(file);
    expect(shown(await shell({ TSEMU_CACHE_DIR: 'off', XDG_CACHE_HOME: folder }))).toEqual(expected);
    expect(files()).toEqual([]);
  });

  test('without an option it is in the cache folder of the user', async () => {
    expect(shown(await shell({ XDG_CACHE_HOME: folder }))).toEqual(expected);
    expect(readdirSync(join(folder, 'tsemu')).length).toBe(1);
    rmSync(join(folder, 'tsemu'), { recursive: true });
    expect(existsSync(join(plainEnvironment.HOME, '.cache'))).toBe(false);
  });

  test('many at once, who find nothing and all write', async () => {
    rmSync(file);
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => shell()));
    expect(outcomes.map(shown)).toEqual([expected, expected, expected, expected]);
    expect(files().map((name) => join(folder, name))).toEqual([file]);
    expect(shown(await shell())).toEqual(expected);
  });

  test('what has not been used for longest goes when there is too much', async () => {
    rmSync(file);
    const names = ['a', 'b', 'c', 'd'].map((name) => `${name}.t0`);
    // Holes take no room on the disk, but count.
    for (const [i, name] of names.entries()) {
      writeFileSync(join(folder, name), '');
      const { truncateSync, utimesSync } = await import('node:fs');
      truncateSync(join(folder, name), 40 << 20);
      utimesSync(join(folder, name), 1000 + i, 1000 + i);
    }
    expect(shown(await shell())).toEqual(expected);
    expect(files().filter((name) => names.includes(name))).toEqual(['c.t0', 'd.t0']);
  });
});
