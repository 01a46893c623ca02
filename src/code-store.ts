// Keeps interpreter code in files, in a folder of the user's: docs/start-up.md.
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import type { CodeStore } from '#accel/stored/stored-code.ts';

const ending = '.t0';
/** Bytes that all files together may take, and what is left when they took more. */
const mostBytes = 128 << 20;
const keptBytes = 96 << 20;
/** A file of more bytes is none of ours. */
const mostFileBytes = 64 << 20;
/** A file that is used says so once in so many milliseconds, by its time: what was not used for long goes first. */
const useInterval = 24 * 3600e3;

/** Files of units, named after tsemu's build and what the unit is of. A file that cannot be had is not there. */
export class FileCodeStore implements CodeStore {
  private readonly folder: string;
  private readonly build: string;
  private readonly units = new Map<string, Int32Array | null>();
  private readonly changed = new Set<string>();

  /** `build` stands for everything that what is stored depends on, but for the guest. */
  constructor(folder: string, build: string) {
    this.folder = folder;
    this.build = build;
  }

  load(name: string): Int32Array | null {
    let unit = this.units.get(name);
    if (unit === undefined) {
      unit = readUnit(this.pathOf(name));
      this.units.set(name, unit);
    }
    return unit;
  }

  save(name: string, units: Int32Array): void {
    this.units.set(name, units);
    this.changed.add(name);
  }

  /** Writes what was saved. Others may be reading or writing the same files: each sees one that is whole. */
  flush(): void {
    try {
      if (this.changed.size > 0) makeFolder(this.folder);
      for (const name of this.changed) writeWhole(this.pathOf(name), this.units.get(name)!);
      if (this.changed.size > 0) prune(this.folder);
    } catch (error) {
      // A folder that cannot be written to, a full disk: this run did without, and others will.
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    }
    this.changed.clear();
  }

  private pathOf(name: string): string {
    return `${this.folder}/${this.build}-${hash(name, 0)}${hash(name, 1)}${ending}`;
  }
}

/** The file's words; null if there is none, or somebody else could have written it. */
function readUnit(path: string): Int32Array | null {
  let fd = -1;
  try {
    fd = openSync(path, 'r');
    const stat = fstatSync(fd);
    if (!isOurs(stat) || !stat.isFile() || stat.size % 4 !== 0 || stat.size > mostFileBytes) return null;
    const words = new Int32Array(stat.size / 4);
    if (readSync(fd, words, 0, stat.size, 0) !== stat.size) return null;
    if (Date.now() - stat.mtimeMs > useInterval) utimesSync(path, new Date(), new Date());
    return words;
  } catch {
    return null;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

const isOurs = ({ uid, mode }: Stats): boolean =>
  process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o022) === 0);

function writeWhole(path: string, words: Int32Array): void {
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, words, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Makes the folder and the one it is in, but nothing above: what the user has not got is not made up. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT') throw error;
    mkdirSync(dirname(folder), { mode: 0o700 });
    mkdirSync(folder, { mode: 0o700 });
  }
}

/** Removes what has not been used for longest, if all is too much; among it what writers have left that were killed. */
function prune(folder: string): void {
  const files = readdirSync(folder).filter((name) => name.includes(ending));
  const found = files.map((name) => {
    const path = `${folder}/${name}`;
    const { size, mtimeMs } = statSync(path);
    return { path, size, mtimeMs };
  });
  let bytes = found.reduce((sum, { size }) => sum + size, 0);
  if (bytes <= mostBytes) return;
  for (const { path, size } of found.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
    if (bytes <= keptBytes) return;
    rmSync(path, { force: true });
    bytes -= size;
  }
}

/** FNV-1a, 32 bits, as 8 hexadecimal digits; `seed` makes different ones. node:crypto would take 15 ms to load. */
function hash(text: string, seed: number): string {
  let sum = 0x811c9dc5 ^ seed;
  for (let i = 0; i < text.length; i++) sum = Math.imul(sum ^ text.charCodeAt(i), 0x01000193);
  return (sum >>> 0).toString(16).padStart(8, '0');
}
