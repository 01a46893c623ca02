import * as fs from 'node:fs';
import { monotonic } from '../clock.ts';

/** O_PATH of Linux, which Node has no name for. */
export const O_PATH = 0o10000000;
/** Directories that are kept open, beside those above the last one. */
const mostHandles = 256;
/** Directories given up that stay open: more than one call can be using. */
const heldBack = 64;
/** Milliseconds for which a directory is believed to be still where it was found. */
const belief = 4;

let usable: boolean | undefined;

/** Can the host be given a path that begins at an open directory? */
export function hasDescriptorPaths(): boolean {
  usable ??= process.platform === 'linux' && fs.existsSync('/proc/self/fd');
  return usable;
}

/** A path of the host in latin1 text, byte by byte. */
export const hostBytes = (path: string): Buffer => Buffer.from(path, 'latin1');

/** An open directory of the host. */
interface Handle {
  readonly fd: number;
  /** How the host gets there. */
  readonly host: string;
  readonly dev: bigint;
  readonly ino: bigint;
  /** monotonic() when it was last seen in its place. */
  seen: number;
}

/**
 * A directory of the host with all below it, as a guest that must not leave it walks there. Every directory on the way is
 * opened by its name in the one above it, without following links, and reached through that descriptor from then on: what
 * another program renames or replaces meanwhile cannot lead outside. On hosts without such paths (anything but Linux)
 * they are plain paths, which such a race could lead astray.
 *
 * Paths are relative to the root, latin1 text of bytes, without "." and ".." and empty names; '' is the root.
 */
export class HostTree {
  /** Absolute, without links; latin1. */
  readonly root: string;
  private readonly pinned: boolean;
  private readonly handles = new Map<string, Handle>();
  private readonly retired: number[] = [];

  /** `pinned`: with open directories, where the host can. */
  constructor(root: string, pinned: boolean) {
    this.root = root === '/' ? '' : root;
    this.pinned = pinned && hasDescriptorPaths();
  }

  /** How the host reaches the directory at `path`; null if there is none (a link, a file, nothing). */
  directory(path: string): string | null {
    return this.find(path)?.host ?? null;
  }

  /** What a guest has moved or removed, which is the end of its call: it and all below it is looked for again. */
  forget(path: string): void {
    this.drop(path);
    // A folder that has been removed is not gone (inotify tells) while it is open.
    for (const fd of this.retired.splice(0)) fs.closeSync(fd);
  }

  private drop(path: string): void {
    for (const [key, handle] of this.handles) {
      if (key !== path && !key.startsWith(`${path}/`)) continue;
      this.handles.delete(key);
      this.close(handle);
    }
  }

  /** The path of the open host directory `fd` in this tree; null if it is no longer in it. */
  pathOf(fd: number): string | null {
    const real = fs.readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' });
    if (real === this.root || (this.root === '' && real === '/')) return '';
    return real.startsWith(`${this.root}/`) && fs.existsSync(`/proc/self/fd/${fd}/.`)
      ? real.slice(this.root.length + 1)
      : null;
  }

  private find(path: string): Handle | null {
    const believed = this.handles.get(path);
    const now = monotonic();
    if (believed !== undefined && now - believed.seen < belief) {
      if (this.handles.size >= mostHandles) this.touch(path, believed);
      return believed;
    }
    const slash = path.lastIndexOf('/');
    const parent = path === '' ? null : this.find(slash < 0 ? '' : path.slice(0, slash));
    // Looked up now: on the way to a deep place others are given up, and it may be among them.
    const known = this.handles.get(path);
    const at = path === '' ? this.root || '/' : parent === null ? null : `${parent.host}/${path.slice(slash + 1)}`;
    const stat = at === null ? undefined : lstat(at);
    if (at === null || stat === undefined || (path === '' ? !statIsDirectory(at) : !stat.isDirectory())) {
      if (known !== undefined) this.drop(path);
      return null;
    }
    if (known !== undefined && stat.dev === known.dev && stat.ino === known.ino) {
      known.seen = now;
      this.touch(path, known);
      return known;
    }
    if (known !== undefined) this.drop(path);
    return this.open(path, at, now);
  }

  private open(path: string, at: string, now: number): Handle | null {
    if (!this.pinned) {
      const { dev, ino } = fs.lstatSync(hostBytes(at), { bigint: true });
      return this.keep(path, { fd: -1, host: at === '/' ? '' : at, dev, ino, seen: now });
    }
    const noFollow = path === '' ? 0 : fs.constants.O_NOFOLLOW;
    try {
      const fd = fs.openSync(hostBytes(at), O_PATH | fs.constants.O_DIRECTORY | noFollow);
      const { dev, ino } = fs.fstatSync(fd, { bigint: true });
      return this.keep(path, { fd, host: `/proc/self/fd/${fd}`, dev, ino, seen: now });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOTDIR' || code === 'ENOENT' || code === 'ELOOP') return null;
      throw error;
    }
  }

  /** The last to be given up. */
  private touch(path: string, handle: Handle): void {
    this.handles.delete(path);
    this.handles.set(path, handle);
  }

  private keep(path: string, handle: Handle): Handle {
    this.handles.set(path, handle);
    // The walk that is under way may come back to any directory above.
    if (this.handles.size > mostHandles && this.handles.size > mostHandles + path.split('/').length) {
      const [oldest, old] = this.handles.entries().next().value!;
      this.handles.delete(oldest);
      this.close(old);
    }
    return handle;
  }

  /** The call being served may still use it. */
  private close({ fd }: Handle): void {
    if (fd < 0) return;
    this.retired.push(fd);
    if (this.retired.length > heldBack) fs.closeSync(this.retired.shift()!);
  }
}

/** What stands at a path, its link not followed; undefined if nothing does. */
export function lstat(path: string): fs.BigIntStats | undefined {
  return fs.lstatSync(hostBytes(path), { bigint: true, throwIfNoEntry: false });
}

const statIsDirectory = (path: string): boolean =>
  fs.statSync(hostBytes(path), { throwIfNoEntry: false })?.isDirectory() ?? false;
