import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import type { Entropy } from '../entropy.ts';
import { hostCalls } from '../host-calls.ts';
import { LoadError } from '../loader/load-error.ts';
import { openFailure, ProgramFile } from '../loader/program-file.ts';
import type { ProgramOpener } from '../loader/program-opener.ts';
import type { Process } from '../process.ts';
import { Mode, Open } from './flags.ts';
import { HostDirectory } from './host-directory.ts';
import * as onHost from './host-operations.ts';
import { hasDescriptorPaths, hostBytes } from './host-tree.ts';
import { inheritFile } from './inherit.ts';
import { type Inode, OpenInode } from './inode.ts';
import { makeNode } from './make-node.ts';
import type { Mount, Namespace, NodePlace, Place } from './namespace.ts';
import { type FileStat, fileType, type OpenFile } from './open-file.ts';
import { openPlace } from './open-place.ts';
import type { Ownership } from './ownership.ts';
import { checkPath, isAbsolute, joinPath, normalizePath } from './path.ts';
import { syntheticStatfs } from './statfs.ts';
import type { Terminals } from './terminals.ts';
import { TmpDirectory } from './tmpfs.ts';
import { createView, type GuestView } from './view.ts';

export type { Place } from './namespace.ts';

export interface FileSystemOptions {
  /** Absolute. */
  readonly cwd: string | Uint8Array;
  readonly umask: number;
  /** -L: the folder in which the guest's absolute paths are looked for first, or null. */
  readonly prefix: string | null;
  readonly entropy: Entropy;
  /** What the guest sees of the host; everything, if it is not given. */
  readonly view?: GuestView;
}

/** Has the path a component that may be /proc or /dev? */
function namesOurs(path: Buffer): boolean {
  return (path.includes('/proc') || path.includes('/dev')) && /\/(proc|dev)(\/|$)/.test(path.toString('latin1'));
}

/** Does the normalized path lead into /proc or /dev, by its text? */
const leadsToOurs = (path: Buffer): boolean => /^\/(proc|dev)(\/|$)/.test(path.toString('latin1'));

/**
 * How one process sees files (fs_struct): root and working directory, umask, and the way from paths to files. Paths are
 * bytes. The methods named like system calls throw `Errno` or Node's own error, whose `code` is the same name.
 */
export class FileSystem {
  /** Absolute path in the guest, whatever the root is. */
  cwd: Buffer;
  umask: number;
  readonly view: GuestView;
  /** May a read of a pipe or terminal hold the whole program? See `HostStream`. */
  mayBlock: () => boolean = () => false;
  /** Canonical path, without its leading slash, of what the process takes for "/" (chroot). */
  private root = '';
  /** Where the host has the working directory, if it is not at `cwd` (-L). */
  private cwdHost: Buffer;

  constructor({ cwd, umask, prefix, entropy, view }: FileSystemOptions) {
    this.cwd = Buffer.from(cwd);
    this.cwdHost = this.cwd;
    this.umask = umask;
    this.view = view ?? createView({ prefix: prefix && absolutePrefix(this.cwd, prefix), entropy });
  }

  get terminals(): Terminals {
    return this.view.terminals;
  }

  get owners(): Ownership | null {
    return this.view.owners;
  }

  /** True: the guest reaches only what it has been given. */
  get confined(): boolean {
    return this.view.names.confined;
  }

  private get names(): Namespace {
    return this.view.names;
  }

  // ---- lookup

  /**
   * The place of `path`, relative to `base` (null: the working directory). `follow`: whether the last component will
   * be followed if it is a link; `resolve`: RESOLVE_*. ENOENT for an empty path, ENOTDIR for a base that is no directory.
   */
  locate(process: Process | null, base: OpenFile | null, path: Uint8Array, follow: boolean, resolve = 0): Place {
    checkPath(path);
    const absolute = isAbsolute(path);
    if (!absolute && base !== null && !base.isDirectory) throw new Errno('ENOTDIR');
    if (this.confined || resolve !== 0) return this.walk(process, base, path, follow, resolve);
    const full = absolute ? Buffer.from(path) : joinPath(base === null ? this.cwd : base.path, path);
    const named = namesOurs(full);
    const { prefix } = this.view;
    // A folder called "dev" somewhere in the -L folder is just that.
    const elsewhere = named && prefix !== null && !leadsToOurs(normalizePath(full));
    if (named && !elsewhere) return this.walk(process, base, path, follow, 0);
    if (absolute && prefix !== null) {
      const found = this.inPrefix(process, path, follow);
      if (found !== null) return found;
    }
    const start = absolute ? null : base === null ? this.cwdHost : base instanceof HostDirectory ? base.hostPath : null;
    if (elsewhere && (start === null || start.equals(this.cwd))) return this.walk(process, base, path, follow, 0);
    const host = start === null ? full : joinPath(start, path);
    return {
      kind: 'host',
      path: full,
      host,
      mount: this.names.root,
      confined: false,
      relative: '',
      directoryOnly: false,
    };
  }

  private walk(
    process: Process | null,
    base: OpenFile | null,
    path: Uint8Array,
    follow: boolean,
    resolve: number,
  ): Place {
    const start = isAbsolute(path) && resolve === 0 ? '' : this.startOf(base);
    return this.names.walk(process, path, { root: this.root, start, follow, resolve });
  }

  private startOf(base: OpenFile | null): string {
    return base === null ? this.cwd.subarray(1).toString('latin1') : this.pathOfDirectory(base);
  }

  /** What the -L folder has at an absolute path, its links meaning its own files; null: nothing. */
  private inPrefix(process: Process | null, path: Uint8Array, follow: boolean): Place | null {
    try {
      const place = this.view.prefix!.walk(process, path, { root: '', start: '', follow });
      if (place.kind !== 'host' || fs.lstatSync(place.host, { throwIfNoEntry: false }) === undefined) return null;
      return { ...place, confined: false, mount: this.names.root };
    } catch {
      // Whatever is wrong there, the host's file counts.
      return null;
    }
  }

  /** The canonical path, without its leading slash, of an open directory. ENOENT if it has gone from the guest's tree. */
  pathOfDirectory(file: OpenFile): string {
    const mount = file.mount ?? this.names.root;
    // What /proc shows of the host's processes keeps its name, too.
    if (!(file instanceof HostDirectory) || !hasDescriptorPaths() || mount.root.kind !== 'host') {
      return normalizePath(file.path).subarray(1).toString('latin1');
    }
    const found = mount.root.tree.pathOf(file.hostFd);
    if (found === null) throw new Errno('ENOENT');
    const at = mount.at.slice(1);
    return at === '' || found === '' ? at + found : `${at}/${found}`;
  }

  /** An absolute path as the process sees it, below its root. */
  private below(path: Buffer): Buffer {
    if (this.root === '') return path;
    const text = path.toString('latin1');
    if (text === `/${this.root}`) return Buffer.from('/');
    const inside = text.startsWith(`/${this.root}/`);
    return inside ? hostBytes(text.slice(this.root.length + 1)) : Buffer.concat([Buffer.from('(unreachable)'), path]);
  }

  /** getcwd(2). ENOENT if it has been removed. */
  get shownCwd(): Buffer {
    return this.below(this.cwd);
  }

  /** What /proc/<pid>/root leads to. */
  get rootPath(): Buffer {
    return hostBytes(`/${this.root}`);
  }

  /** What /proc/<pid>/fd shows for an open file. */
  shownPath(file: OpenFile): Buffer {
    return this.below(normalizePath(file.path));
  }

  // ---- opening

  /** open(2): `flags` as in `Open`; `mode` before the umask. */
  open(process: Process, place: Place, flags: number, mode: number): OpenFile {
    return openPlace(this, process, place, flags, mode);
  }

  /**
   * Opens the program at a place, which the guest calls `name`. Throws LoadError.
   */
  openProgram(process: Process | null, place: Place, name: string): ProgramFile {
    if (place.kind === 'host' && !place.confined) return new ProgramFile(name, place.host.toString());
    try {
      const path = place.kind === 'file' ? this.shownPath(place.file).toString() : place.path.toString();
      return new ProgramFile(name, { path, file: openPlace(this, process!, place, Open.readOnly, 0) });
    } catch (error) {
      if (error instanceof LoadError) throw error;
      throw openFailure(name, error);
    }
  }

  /** How a process finds what the programs it runs need; null: the first one, which is being made. */
  programs(process: Process | null): ProgramOpener {
    return {
      confined: this.confined,
      prefix: this.view.prefixRoot?.toString() ?? null,
      open: (name) => {
        let place: Place;
        try {
          place = this.locate(process, null, Buffer.from(name), true);
        } catch (error) {
          throw openFailure(name, error);
        }
        return this.openProgram(process, place, name);
      },
    };
  }

  /** A file for a descriptor that tsemu was started with; null if there is none. */
  inherit(fd: number): OpenFile | null {
    return inheritFile(this, fd);
  }

  // ---- paths

  /** A stat with the owner that the guest sees. */
  shownStat(stat: FileStat): FileStat {
    return this.owners === null ? stat : this.owners.shown(stat);
  }

  /** stat and lstat. */
  stat(_process: Process, place: Place, follow: boolean): FileStat {
    if (place.kind === 'file') return place.file.stat();
    if (place.kind === 'host') return onHost.statHost(place, follow);
    // A link that leads to an open file has been followed by the walk, if it was to be.
    return existing(place).stat();
  }

  /** The target of a link; EINVAL for anything else. */
  readlink(process: Process, place: Place): Uint8Array {
    if (place.kind === 'host') return onHost.readlinkHost(place);
    if (place.kind === 'file') throw new Errno('EINVAL');
    return existing(place).readlink(process);
  }

  /** access(2) with F_OK 0, X_OK 1, W_OK 2, R_OK 4, by the host's real ids. */
  access(process: Process, place: Place, mode: number): void {
    if (place.kind === 'host') {
      onHost.accessHost(place, mode);
      return;
    }
    const { mode: bits } = this.stat(process, place, true);
    if (place.kind === 'node' && (mode & 2) !== 0 && place.mount.readOnly) throw new Errno('EROFS');
    const root = process.credentials.euid === 0;
    const allowed = root ? 6 | Number((bits | (bits >> 3n) | (bits >> 6n)) & 1n) : Number(bits >> 6n) & 7;
    if ((mode & ~allowed) !== 0) throw new Errno('EACCES');
  }

  /** The new working directory; ENOTDIR, ENOENT, EACCES. */
  chdir(process: Process, place: Place): void {
    const path = this.directoryPath(process, place);
    if (place.kind !== 'host' || place.confined) {
      this.cwd = path;
      this.cwdHost = path;
      return;
    }
    const real = fs.realpathSync.native(place.host, { encoding: 'buffer' });
    const prefix = this.view.prefixRoot;
    const inside = prefix !== null && real.subarray(0, prefix.length + 1).equals(joinPath(prefix, Buffer.alloc(0)));
    this.cwdHost = real;
    this.cwd = inside ? real.subarray(prefix.length) : real;
  }

  /** chroot(2) for a guest that is root in a tree of its own; else EPERM. */
  chroot(process: Process, place: Place): void {
    const path = this.directoryPath(process, place);
    if (!this.confined || process.credentials.euid !== 0) throw new Errno('EPERM');
    this.root = path.subarray(1).toString('latin1');
  }

  /** The path of a directory that the process may enter. */
  private directoryPath(process: Process, place: Place): Buffer {
    if (fileType(this.stat(process, place, true).mode) !== Mode.directory) throw new Errno('ENOTDIR');
    if (place.kind === 'file') return hostBytes(`/${this.pathOfDirectory(place.file)}`);
    this.access(process, place, fs.constants.X_OK);
    return place.path;
  }

  mkdir(process: Process, place: Place, mode: number): void {
    const bits = mode & 0o1777;
    if (place.kind === 'host') {
      globalThis.process.umask(this.umask);
      onHost.mkdirHost(place, bits);
      this.own(process, place);
      return;
    }
    newEntry(place).create(nameOf(place), { mode: Mode.directory | (bits & ~this.umask), process });
  }

  /** mknod(2) of a regular file, a FIFO or a socket. */
  mknod(process: Process, place: Place, mode: number): void {
    if (place.kind !== 'host') {
      newEntry(place).create(nameOf(place), { mode: mode & ~this.umask, process });
      return;
    }
    onHost.checkWritable(place);
    globalThis.process.umask(0);
    try {
      makeNode(place.host, mode & ~this.umask);
    } finally {
      globalThis.process.umask(this.umask);
    }
    this.own(process, place);
  }

  /** What a process that is no longer root has made is its own. */
  own(process: Process, place: Place): void {
    const { fsuid, fsgid } = process.credentials;
    if (this.owners === null || place.kind !== 'host' || (fsuid === 0 && fsgid === 0)) return;
    this.owners.change(onHost.statHost(place, false), fsuid, fsgid);
  }

  private disown(place: Place): void {
    if (this.owners === null || this.owners.empty || place.kind !== 'host') return;
    const stat = fs.lstatSync(place.host, { bigint: true, throwIfNoEntry: false });
    if (stat !== undefined) this.owners.forget(stat);
  }

  rmdir(place: Place): void {
    this.disown(place);
    if (place.kind === 'host') onHost.rmdirHost(place);
    else oldEntry(place).remove(nameOf(place), true);
  }

  unlink(place: Place): void {
    this.disown(place);
    if (place.kind === 'host') onHost.unlinkHost(place);
    else oldEntry(place).remove(nameOf(place), false);
  }

  /** `flags`: RENAME_NOREPLACE, EXCHANGE. */
  rename(process: Process, from: Place, to: Place, flags = 0): void {
    if (from.kind === 'host' && to.kind === 'host') {
      if (flags === 0) this.disown(to);
      if (flags === 0 || (flags === renameNoReplace && hostCalls() === null)) onHost.renameHost(from, to);
      else onHost.renameWithFlags(from, to, flags);
    } else if (flags === renameExchange) {
      const [source, target] = [oldEntry(from), oldEntry(to)];
      const known = source instanceof TmpDirectory && target instanceof TmpDirectory;
      if (!known || (from as NodePlace).mount !== (to as NodePlace).mount) throw new Errno('EXDEV');
      source.exchange(nameOf(from), target, nameOf(to));
    } else {
      const source = oldEntry(from);
      if (to.kind !== 'node' || to.mount !== (from as NodePlace).mount) throw new Errno('EXDEV');
      if (to.directory === null) throw new Errno('EBUSY');
      source.rename(nameOf(from), to.directory, nameOf(to));
    }
    moveDirectories(process, from.path, to.path);
  }

  link(from: Place, to: Place, follow: boolean): void {
    if (from.kind === 'host' && to.kind === 'host') {
      onHost.linkHost(from, to, follow);
      return;
    }
    if (from.kind === 'file') {
      this.linkFile(from.file, to);
      return;
    }
    if (from.kind !== 'node' || to.kind !== 'node' || to.mount !== from.mount) throw new Errno('EXDEV');
    newEntry(to).link(nameOf(to), existing(from));
  }

  /** Gives an open file a name: linkat(2) with AT_EMPTY_PATH. */
  linkFile(file: OpenFile, to: Place): void {
    if (file instanceof OpenInode || to.kind === 'node') {
      const inode = file instanceof OpenInode ? file.inode : (file as { readonly owner?: unknown }).owner;
      if (to.kind !== 'node' || !isInode(inode) || file.mount !== to.mount) throw new Errno('EXDEV');
      newEntry(to).link(nameOf(to), inode);
      return;
    }
    if (to.kind !== 'host' || file.hostFd < 0 || (this.confined && file.mount !== to.mount)) throw new Errno('EXDEV');
    onHost.linkDescriptor(file.hostFd, to);
  }

  symlink(process: Process, target: Uint8Array, place: Place): void {
    if (place.kind === 'host') {
      onHost.symlinkHost(target, place);
      this.own(process, place);
      return;
    }
    if (place.kind === 'node' && place.directoryOnly && place.inode === null) throw new Errno('ENOENT');
    newEntry(place).symlink(nameOf(place), target, process);
  }

  chmod(place: Place, mode: number): void {
    if (place.kind === 'host') onHost.chmodHost(place, mode & 0o7777);
    else if (place.kind === 'file') place.file.chmod(mode & 0o7777);
    else changeable(place).chmod(mode & 0o7777);
  }

  /** -1 leaves an id alone. */
  chown(place: Place, uid: number, gid: number, follow: boolean): void {
    if (place.kind === 'node') changeable(place).chown(uid, gid);
    else if (place.kind === 'file') this.chownFile(place.file, uid, gid);
    else if (this.owners !== null) {
      onHost.checkWritable(place);
      this.owners.change(onHost.statHost(place, follow), uid, gid);
    } else onHost.chownHost(place, uid, gid, follow);
  }

  /** fchown(2). */
  chownFile(file: OpenFile, uid: number, gid: number): void {
    if (this.owners === null || file.hostFd < 0) file.chown(uid, gid);
    else if (file.mount?.readOnly) throw new Errno('EROFS');
    else this.owners.change(file.stat(), uid, gid);
  }

  /** Nanoseconds; never earlier, and at most 240 ns later (`hostSeconds`). */
  setTimes(place: Place, atimeNs: bigint, mtimeNs: bigint, follow: boolean): void {
    if (place.kind === 'host') onHost.setTimesHost(place, atimeNs, mtimeNs, follow);
    else if (place.kind === 'file') place.file.setTimes(atimeNs, mtimeNs);
    else changeable(place).setTimes(atimeNs, mtimeNs);
  }

  truncate(place: Place, length: number): void {
    if (place.kind === 'host') onHost.truncateHost(place, length);
    else if (place.kind === 'file') place.file.truncate(length);
    else changeable(place).truncate(length);
  }

  /** statfs(2) of a path: the host's numbers, or those of a file system of ours. */
  statfs(place: Place): fs.BigIntStatsFs {
    if (place.kind === 'file') return this.statfsOf(place.file);
    return place.kind === 'host' ? onHost.statfsHost(place) : syntheticStatfs(place.mount.type);
  }

  /** fstatfs(2). */
  statfsOf(file: OpenFile): fs.BigIntStatsFs {
    if (file.hostFd < 0) return syntheticStatfs(file.mount?.type ?? file.fileSystem);
    const path = hasDescriptorPaths() ? `/proc/self/fd/${file.hostFd}` : Buffer.from(file.path);
    return fs.statfsSync(path, { bigint: true });
  }

  /** stx_mnt_id. */
  mountIdOf(file: OpenFile): number {
    return file.mount?.id ?? 1;
  }

  /** What is mounted where, as the process sees it. */
  visibleMounts(): [at: string, mount: Mount][] {
    const { root } = this;
    return this.names.mounts
      .filter(({ at }) => root === '' || `${at}/`.startsWith(`/${root}/`))
      .map((mount) => [root === '' ? mount.at : mount.at.slice(root.length + 1) || '/', mount]);
  }

  /** A directory has been moved: the working directory moves along. */
  moved(from: Buffer, to: Buffer): void {
    const start = joinPath(from, Buffer.alloc(0));
    if (this.cwd.equals(from)) this.cwd = to;
    else if (this.cwd.subarray(0, start.length).equals(start)) this.cwd = joinPath(to, this.cwd.subarray(start.length));
    else return;
    this.cwdHost = this.cwd;
  }

  /** The same view for a forked child. */
  fork(): FileSystem {
    const { cwd, umask, view } = this;
    const copy = new FileSystem({ cwd, umask, prefix: null, entropy: view.entropy, view });
    copy.mayBlock = this.mayBlock;
    copy.root = this.root;
    copy.cwdHost = this.cwdHost;
    return copy;
  }
}

/** RENAME_NOREPLACE, RENAME_EXCHANGE. */
const renameNoReplace = 1;
const renameExchange = 2;

const absolutePrefix = (cwd: Buffer, prefix: string): string => {
  const bytes = Buffer.from(prefix);
  return normalizePath(isAbsolute(bytes) ? bytes : joinPath(cwd, bytes)).toString('latin1');
};

const nameOf = (place: Place): string => (place.kind === 'node' ? place.name : '');

const isInode = (value: unknown): value is Inode => value !== null && typeof value === 'object' && 'lookup' in value;

function moveDirectories({ kernel }: Process, from: Buffer, to: Buffer): void {
  const [source, target] = [normalizePath(from), normalizePath(to)];
  for (const { fs: each } of kernel.processes) each.moved(source, target);
}

/** What stands at a place. ENOENT. */
function existing({ inode }: NodePlace): Inode {
  if (inode === null) throw new Errno('ENOENT');
  return inode;
}

/** What stands at a place and may be changed. ENOENT, EROFS. */
function changeable(place: NodePlace): Inode {
  const inode = existing(place);
  if (place.mount.readOnly) throw new Errno('EROFS');
  return inode;
}

/** The directory for a new entry. EEXIST, EROFS. */
function newEntry(place: Place): Inode {
  if (place.kind === 'file' || (place.kind === 'node' && place.inode !== null)) throw new Errno('EEXIST');
  if (place.kind === 'host' || place.directory === null) throw new Errno('EXDEV');
  if (place.mount.readOnly) throw new Errno('EROFS');
  return place.directory;
}

/** The directory of an entry that is to go. ENOENT, EBUSY for the root of a mount, EROFS. */
function oldEntry(place: Place): Inode {
  if (place.kind === 'file') throw new Errno('EPERM');
  if (place.kind === 'host') throw new Errno('EXDEV');
  existing(place);
  if (place.directory === null) throw new Errno('EBUSY');
  if (place.mount.readOnly) throw new Errno('EROFS');
  return place.directory;
}
