import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { type HostTree, hostBytes, lstat } from './host-tree.ts';
import type { Inode } from './inode.ts';
import { OpenFile } from './open-file.ts';
import { pathMax } from './path.ts';

/** Symbolic links followed before ELOOP (path_resolution(7)). */
const maxLinks = 40;
/** Longest name of a directory entry (NAME_MAX). */
const nameMax = 255;

/** A file system at its place in the guest's tree. */
export interface Mount {
  readonly id: number;
  /** Absolute path in the guest; latin1. */
  readonly at: string;
  /** What /proc/mounts shows: type, source. */
  readonly type: string;
  readonly source: string;
  readonly readOnly: boolean;
  /** A directory of the host, a single file of the host (its path), or the root of a file system of ours. */
  readonly root:
    | { readonly kind: 'host'; readonly tree: HostTree }
    | { readonly kind: 'file'; readonly host: string }
    | { readonly kind: 'inodes'; readonly inode: Inode };
}

/** A place that the host's own file system has. */
export interface HostPlace {
  readonly kind: 'host';
  /** The guest's path: canonical, or, where the host walks itself, as written. */
  readonly path: Buffer;
  readonly mount: Mount;
  /** The host's path for it. */
  readonly host: Buffer;
  /** True: links are resolved, and what stands here must not be followed if it has become one. */
  readonly confined: boolean;
  /** Below the mount's root; '' is the root itself. Only where `confined`. */
  readonly relative: string;
  /** A slash follows the name. */
  readonly directoryOnly: boolean;
}

/** A place in a file system of ours. */
export interface NodePlace {
  readonly kind: 'node';
  readonly path: Buffer;
  readonly mount: Mount;
  /** The directory, and the name in it; null for the root of a mount. */
  readonly directory: Inode | null;
  readonly name: string;
  /** What stands there; null: nothing. */
  readonly inode: Inode | null;
  readonly directoryOnly: boolean;
}

/** An open file that a link of /proc led to. */
export interface FilePlace {
  readonly kind: 'file';
  readonly path: Buffer;
  readonly file: OpenFile;
}

/** Where a path leads. */
export type Place = HostPlace | NodePlace | FilePlace;

/** A directory on the way. */
interface Spot {
  /** Canonical guest path without its leading slash; '' is the root of the namespace. */
  readonly path: string;
  readonly mount: Mount;
  /** Ours, or null where the host has it. */
  readonly inode: Inode | null;
  /** The host's path for it, if it has it. */
  readonly host: string | null;
}

/** How a walk goes. */
export interface WalkOptions {
  /** Canonical path (no leading slash) where absolute paths begin and above which ".." does not lead (chroot). */
  readonly root: string;
  /** Canonical path where relative paths begin. */
  readonly start: string;
  /** Follow the last component. */
  readonly follow: boolean;
  /** RESOLVE_* of openat2(2). */
  readonly resolve?: number;
}

/** RESOLVE_* (include/uapi/linux/openat2.h). */
export const Resolve = { noXdev: 1, noMagicLinks: 2, noSymlinks: 4, beneath: 8, inRoot: 16, cached: 32 } as const;

const join = (path: string, name: string): string => (path === '' ? name : `${path}/${name}`);
const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
const absolute = (path: string): Buffer => hostBytes(`/${path}`);

/** The mounts that make up the tree that a guest sees, and the walk through it. */
export class Namespace {
  private readonly list: Mount[] = [];
  /** True: nothing but the mounts can be reached. False: what no mount of ours has is the host's, by the same path. */
  readonly confined: boolean;
  private readonly byPath = new Map<string, Mount>();
  private fill: (() => void) | null;

  /** `later`: makes the mounts beside the root when they are first asked for, which most programs never do. */
  constructor(confined: boolean, later: ((names: Namespace) => void) | null = null) {
    this.confined = confined;
    this.fill = later && (() => later(this));
  }

  /** In order of mounting. */
  get mounts(): readonly Mount[] {
    this.complete();
    return this.list;
  }

  /** The mount at "/". */
  get root(): Mount {
    return this.list[0];
  }

  private complete(): void {
    const { fill } = this;
    this.fill = null;
    fill?.();
  }

  /** Adds a mount; the first one is the root. Directories on the way to it need not exist. */
  mount(mount: Omit<Mount, 'id'>): Mount {
    const added = { ...mount, id: 20 + this.list.length };
    this.list.push(added);
    this.byPath.set(mount.at.slice(1), added);
    return added;
  }

  /** The mount that holds the canonical path. */
  mountOf(path: string): Mount {
    for (let at = path; ; at = parentOf(at)) {
      const found = this.byPath.get(at);
      if (found !== undefined) return found;
    }
  }

  /**
   * Walks a path, component by component. Throws ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, EXDEV; the last component need
   * not exist.
   */
  walk(viewer: Process | null, path: Uint8Array, options: WalkOptions): Place {
    this.complete();
    return new Walk(this, viewer, options).go(Buffer.from(path).toString('latin1'));
  }

  /** The directory at a canonical path. Throws ENOENT where it has gone. */
  spot(viewer: Process | null, path: string): Spot {
    const mount = this.mountOf(path);
    if (mount.root.kind === 'host') {
      const host = mount.root.tree.directory(relativeTo(mount, path));
      if (host === null) throw new Errno('ENOENT');
      return { path, mount, inode: null, host };
    }
    if (mount.at === `/${path}`) return this.rootOf(mount, path);
    const parent = this.spot(viewer, parentOf(path));
    const child = this.child(viewer, parent, path.slice(path.lastIndexOf('/') + 1));
    if (child === null || child.kind !== 'directory') throw new Errno('ENOENT');
    return child.spot;
  }

  private rootOf(mount: Mount, path: string): Spot {
    const { root } = mount;
    if (root.kind === 'inodes') return { path, mount, inode: root.inode, host: root.inode.host };
    if (root.kind === 'file') throw new Errno('ENOTDIR');
    const host = root.tree.directory('');
    if (host === null) throw new Errno('ENOENT');
    return { path, mount, inode: null, host };
  }

  /** What stands under `name` in a directory. */
  child(viewer: Process | null, spot: Spot, name: string): Child | null {
    const path = join(spot.path, name);
    const mount = this.byPath.get(path);
    if (mount !== undefined) {
      if (mount.root.kind === 'file') return { kind: 'other' };
      return { kind: 'directory', spot: this.rootOf(mount, path) };
    }
    if (spot.inode !== null) {
      const inode = spot.inode.lookup(name, viewer);
      if (inode?.isLink) return { kind: 'inode link', inode };
      if (inode?.isDirectory) {
        return { kind: 'directory', spot: { path, mount: spot.mount, inode, host: inode.host } };
      }
      if (inode !== null) return { kind: 'other' };
    }
    if (spot.host === null) return null;
    return this.hostChild(spot, name, path);
  }

  private hostChild(spot: Spot, name: string, path: string): Child | null {
    const { mount, host } = spot;
    const tree = mount.root.kind === 'host' && spot.inode === null ? mount.root.tree : null;
    if (tree !== null) {
      const known = tree.directory(relativeTo(mount, path));
      if (known !== null) return { kind: 'directory', spot: { path, mount, inode: null, host: known } };
    }
    const at = `${host}/${name}`;
    const stat = lstat(at);
    if (stat === undefined) return null;
    if (stat.isSymbolicLink()) return { kind: 'host link', host: at };
    if (!stat.isDirectory()) return { kind: 'other' };
    return tree === null ? { kind: 'directory', spot: { path, mount, inode: null, host: at } } : null;
  }
}

type Child =
  | { readonly kind: 'directory'; readonly spot: Spot }
  | { readonly kind: 'host link'; readonly host: string }
  | { readonly kind: 'inode link'; readonly inode: Inode }
  | { readonly kind: 'other' };

/** A canonical path below its mount. */
const relativeTo = (mount: Mount, path: string): string =>
  mount.at === '/' ? path : path.slice(Math.min(path.length, mount.at.length));

class Walk {
  private readonly names: Namespace;
  /** Every link that asks for it is in /proc, which nobody sees before there is a process. */
  private readonly viewer: Process;
  private readonly options: WalkOptions;
  private readonly resolve: number;
  private links = 0;
  /** Components still to go, the next one last. */
  private pending: string[] = [];
  private spot: Spot;
  private readonly startMount: Mount;
  private follow: boolean;
  private directoryOnly = false;

  constructor(names: Namespace, viewer: Process | null, options: WalkOptions) {
    this.names = names;
    this.viewer = viewer!;
    this.options = options;
    this.resolve = options.resolve ?? 0;
    this.follow = options.follow;
    this.spot = names.spot(viewer, options.start);
    this.startMount = this.spot.mount;
  }

  go(path: string): Place {
    this.add(path);
    for (;;) {
      const name = this.pending.pop();
      if (name === undefined) return this.directory();
      if (name === '.') continue;
      if (name === '..') {
        this.up();
        continue;
      }
      if (name.length > nameMax) throw new Errno('ENAMETOOLONG');
      const last = this.pending.length === 0;
      const child = this.names.child(this.viewer, this.spot, name);
      if (child?.kind === 'directory') {
        // The root of a mount has no name that could be changed.
        if (last && child.spot.mount === this.spot.mount) return this.entry(name);
        this.enter(child.spot);
        if (last) return this.directory();
        continue;
      }
      const isLink = child?.kind === 'inode link' || child?.kind === 'host link';
      if (isLink && (!last || this.follow)) {
        const jumped = this.followLink(child);
        if (jumped !== null) return jumped;
        continue;
      }
      if (!last) throw new Errno(child === null ? 'ENOENT' : 'ENOTDIR');
      if (this.directoryOnly && child !== null) throw new Errno('ENOTDIR');
      return this.entry(name);
    }
  }

  /** Puts a path in front of what is left. */
  private add(path: string): void {
    if (path[0] === '/') {
      if ((this.resolve & Resolve.beneath) !== 0) throw new Errno('EXDEV');
      this.enter(this.names.spot(this.viewer, this.rootPath));
    }
    const parts = path.split('/').filter((part) => part !== '');
    if (this.pending.length === 0 && parts.length > 0 && path.at(-1) === '/') {
      this.directoryOnly = true;
      this.follow = true;
    }
    for (let i = parts.length - 1; i >= 0; i--) this.pending.push(parts[i]);
  }

  private get rootPath(): string {
    return (this.resolve & Resolve.inRoot) !== 0 ? this.options.start : this.options.root;
  }

  private enter(spot: Spot): void {
    if ((this.resolve & Resolve.noXdev) !== 0 && spot.mount !== this.startMount) throw new Errno('EXDEV');
    this.spot = spot;
  }

  private up(): void {
    const { path } = this.spot;
    if ((this.resolve & Resolve.beneath) !== 0 && path === this.options.start) throw new Errno('EXDEV');
    if (path === '' || path === this.rootPath) return;
    this.enter(this.names.spot(this.viewer, parentOf(path)));
  }

  /** The place, if the link led to an open file; else null, with the link's path to go. */
  private followLink(link: { kind: 'host link'; host: string } | { kind: 'inode link'; inode: Inode }): Place | null {
    if ((this.resolve & Resolve.noSymlinks) !== 0 || ++this.links > maxLinks) throw new Errno('ELOOP');
    const confining = Resolve.noMagicLinks | Resolve.beneath | Resolve.inRoot;
    if (link.kind === 'inode link' && link.inode.isMagic && (this.resolve & confining) !== 0) throw new Errno('ELOOP');
    const target =
      link.kind === 'host link'
        ? fs.readlinkSync(hostBytes(link.host), { encoding: 'buffer' })
        : link.inode.follow(this.viewer);
    if (!(target instanceof OpenFile)) {
      if (target.length >= pathMax) throw new Errno('ENAMETOOLONG');
      this.add(Buffer.from(target).toString('latin1'));
      return null;
    }
    if (this.pending.length === 0 && !(this.directoryOnly && !target.isDirectory)) {
      return { kind: 'file', path: Buffer.from(target.path), file: target };
    }
    if (!target.isDirectory) throw new Errno('ENOTDIR');
    this.enter(this.names.spot(this.viewer, this.viewer.fs.pathOfDirectory(target)));
    return null;
  }

  /** The walk ends in the directory it has come to. */
  private directory(): Place {
    const { path, mount, inode, host } = this.spot;
    if (inode !== null) {
      const name = path.slice(path.lastIndexOf('/') + 1);
      return { kind: 'node', path: absolute(path), mount, directory: null, name, inode, directoryOnly: true };
    }
    return this.hostPlace(path, mount, `${host}/.`, true);
  }

  /** The walk ends at a name that is no directory, or nothing, or a link that is meant itself. */
  private entry(name: string): Place {
    const { inode, host } = this.spot;
    const { directoryOnly } = this;
    const path = join(this.spot.path, name);
    const mount = this.names.mountOf(path);
    if (mount.root.kind === 'file') return this.hostPlace(path, mount, mount.root.host, false);
    const found = inode?.lookup(name, this.viewer) ?? null;
    if (found !== null || host === null) {
      return { kind: 'node', path: absolute(path), mount, directory: inode, name, inode: found, directoryOnly };
    }
    return this.hostPlace(path, mount, `${host}/${name}`, directoryOnly);
  }

  private hostPlace(path: string, mount: Mount, host: string, directoryOnly: boolean): HostPlace {
    const { confined } = this.names;
    const relative = relativeTo(mount, path);
    return { kind: 'host', path: absolute(path), mount, host: hostBytes(host), confined, relative, directoryOnly };
  }
}
