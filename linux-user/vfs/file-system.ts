import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import type { Entropy } from '../entropy.ts';
import type { Process } from '../process.ts';
import { HostTerminal, Tty } from '../tty.ts';
import { Mode, Open } from './flags.ts';
import { hostAnswer } from './host-answer.ts';
import { HostDirectory } from './host-directory.ts';
import { HostFile, HostPath, hostSeconds } from './host-file.ts';
import { toHostFlags } from './host-flags.ts';
import { HostDevice, HostStream } from './host-stream.ts';
import { makeNode } from './make-node.ts';
import { isMemoryDevice, memoryDevice } from './memory-device.ts';
import { MemoryFile } from './memory-file.ts';
import { anonymousStat, type FileStat, fileType, type OpenFile } from './open-file.ts';
import { checkPath, isAbsolute, joinPath, normalizePath, slash } from './path.ts';
import { DescriptorDirectory, type VirtualNode, virtualNode } from './proc.ts';
import { RandomDevice } from './random-device.ts';

/** Symbolic links followed inside the -L folder before ELOOP. */
const maxLinks = 40;

/** Where a path leads, before the last component's own link is followed. */
export interface Place {
  /** Absolute guest path, as written (not normalised). */
  readonly path: Buffer;
  /** The host's path for it. */
  readonly host: Buffer;
  /** What stands there instead of the host's file, if anything does. */
  readonly node: VirtualNode | null;
}

export interface FileSystemOptions {
  /** Absolute. */
  readonly cwd: string | Uint8Array;
  readonly umask: number;
  /** -L: the folder in which the guest's absolute paths are looked for first, or null. */
  readonly prefix: string | null;
  readonly entropy: Entropy;
}

/**
 * How one process sees files (fs_struct): working directory, umask, and the way from paths to files. Paths are bytes.
 * The methods named like system calls throw `Errno` or Node's own error, whose `code` is the same name.
 */
export class FileSystem {
  cwd: Buffer;
  umask: number;
  /** May a read of a pipe or terminal hold the whole program? See `HostStream`. */
  mayBlock: () => boolean = () => false;
  private readonly prefix: Buffer | null;
  private readonly entropy: Entropy;
  private readonly terminals: Map<bigint, HostTerminal>;

  constructor(options: FileSystemOptions, terminals = new Map<bigint, HostTerminal>()) {
    this.cwd = Buffer.from(options.cwd);
    this.umask = options.umask;
    const prefix = options.prefix === null ? null : Buffer.from(options.prefix);
    this.prefix = prefix && normalizePath(isAbsolute(prefix) ? prefix : joinPath(this.cwd, prefix));
    this.entropy = options.entropy;
    this.terminals = terminals;
  }

  /** The foreground group of the terminal that the guest uses; null as long as it uses none. */
  get foregroundGroup(): number | null {
    for (const terminal of this.terminals.values()) return terminal.foregroundGroup;
    return null;
  }

  // ---- lookup

  /**
   * The place of `path`, relative to `base` (null: the working directory). `follow`: whether the last component will
   * be followed if it is a link. ENOENT for an empty path, ENOTDIR for a base that is no directory.
   */
  locate(process: Process, base: OpenFile | null, path: Uint8Array, follow: boolean): Place {
    checkPath(path);
    const absolute = isAbsolute(path);
    if (!absolute && base !== null && !base.isDirectory) throw new Errno('ENOTDIR');
    const full = absolute ? Buffer.from(path) : joinPath(base === null ? this.cwd : base.path, path);
    const node = mayBeVirtual(full) ? virtualNode(process, full) : null;
    if (absolute && this.prefix !== null) return { path: full, host: this.redirect(full, follow, 0), node };
    const host = base instanceof HostDirectory && !absolute ? joinPath(base.hostPath, path) : full;
    return { path: full, host, node };
  }

  /** The path below the -L folder, if there is something; else the path itself. */
  private redirect(path: Buffer, follow: boolean, depth: number): Buffer {
    if (depth > maxLinks) throw new Errno('ELOOP');
    const candidate = Buffer.concat([this.prefix!, path]);
    const stat = fs.lstatSync(candidate, { throwIfNoEntry: false });
    if (stat === undefined) return path;
    if (!follow || !stat.isSymbolicLink()) return candidate;
    const target = fs.readlinkSync(candidate, { encoding: 'buffer' });
    // A link in a sysroot means the sysroot's file, not the host's.
    const directory = path.subarray(0, path.lastIndexOf('/') + 1);
    return this.redirect(normalizePath(isAbsolute(target) ? target : joinPath(directory, target)), follow, depth + 1);
  }

  // ---- opening

  /** open(2): `flags` as in `Open`; `mode` before the umask. */
  open(process: Process, place: Place, flags: number, mode: number): OpenFile {
    const { node } = place;
    if (node === null) return this.openHost(place.host, place.path, flags, mode);
    if ((flags & Open.create) !== 0 && (flags & Open.exclusive) !== 0) throw new Errno('EEXIST');
    switch (node.kind) {
      case 'text':
        if ((flags & Open.accessMode) !== Open.readOnly) throw new Errno('EACCES');
        if ((flags & Open.directory) !== 0) throw new Errno('ENOTDIR');
        return new MemoryFile(place.path, flags, node.text(), 0o444);
      case 'link':
        if ((flags & Open.noFollow) !== 0 && (flags & Open.path) === 0) throw new Errno('ELOOP');
        return this.openHost(Buffer.from(node.target()), node.target(), flags, mode);
      case 'descriptor':
        return this.reopen(process.files.get(this.checkedDescriptor(process, node.fd)), flags);
      case 'descriptors':
        if ((flags & Open.accessMode) !== Open.readOnly) throw new Errno('EISDIR');
        return new DescriptorDirectory(process, place.path, flags);
      case 'random':
        return new RandomDevice(place.path, flags, this.entropy, this.stat(process, place, true));
    }
  }

  private checkedDescriptor(process: Process, fd: number): number {
    if (!process.files.has(fd)) throw new Errno('ENOENT');
    return fd;
  }

  /** Opening /proc/self/fd/N: a description of its own where the host can give one, else the same one. */
  private reopen(file: OpenFile, flags: number): OpenFile {
    if (fileType(file.stat().mode) === Mode.socket && (flags & Open.path) === 0) throw new Errno('ENXIO');
    if (file.hostFd < 0) return file;
    try {
      return this.openHost(Buffer.from(`/proc/self/fd/${file.hostFd}`), file.path, flags & ~Open.noFollow, 0);
    } catch (error) {
      if (fs.existsSync('/proc/self/fd')) throw error;
      return file;
    }
  }

  private openHost(host: Buffer, path: Uint8Array, flags: number, mode: number): OpenFile {
    const create = (flags & (Open.create | Open.tmpFileBit)) !== 0;
    if (create) process.umask(this.umask);
    const fd = hostAnswer(() => fs.openSync(host, toHostFlags(flags), mode & 0o7777));
    // What open alone does is over; F_GETFL never shows it.
    const kept = flags & ~(Open.create | Open.exclusive | Open.truncate | Open.noCtty | Open.closeOnExec);
    if ((flags & Open.path) !== 0) return this.openPath(fd, host, path, kept);
    const stat = fs.fstatSync(fd, { bigint: true });
    if (fileType(stat.mode) === Mode.directory) return new HostDirectory(path, kept, fd, host);
    return this.wrap(fd, path, kept, stat, null);
  }

  private openPath(fd: number, host: Buffer, path: Uint8Array, flags: number): OpenFile {
    const directory = fs.fstatSync(fd).isDirectory();
    return directory ? new HostDirectory(path, flags, fd, host) : new HostPath(path, flags, fd);
  }

  /** The object for a host descriptor; `inherited`: its offset if it is not ours. */
  private wrap(fd: number, path: Uint8Array, flags: number, stat: FileStat, inherited: number | null): OpenFile {
    const owned = inherited === null;
    const mayBlock = (): boolean => this.mayBlock();
    switch (fileType(stat.mode)) {
      case Mode.fifo:
      case Mode.socket:
        return new HostStream(path, flags, fd, owned, mayBlock);
      case Mode.character:
        if (isMemoryDevice(stat)) return memoryDevice(path, flags, fd, owned, stat);
        if (process.getBuiltinModule('node:tty').isatty(fd))
          return new Tty(path, flags, fd, owned, this.terminal(fd, stat.rdev), mayBlock);
        return new HostDevice(path, flags, fd, owned);
      default:
        return new HostFile(path, flags, fd, inherited);
    }
  }

  /** /dev/tty has a number of its own, and means the one terminal there is. */
  private terminal(fd: number, device: bigint): HostTerminal {
    const controlling = 0x500n;
    const known = this.terminals.get(device) ?? (device === controlling ? [...this.terminals.values()][0] : undefined);
    if (known !== undefined) return known;
    const terminal = new HostTerminal(fd);
    this.terminals.set(device, terminal);
    return terminal;
  }

  /** A file for a descriptor that tsemu was started with (0, 1, 2); null if it is closed. */
  inherit(fd: number): OpenFile | null {
    let stat: FileStat;
    try {
      stat = fs.fstatSync(fd, { bigint: true });
    } catch {
      return null;
    }
    const { offset, flags } = inheritedState(fd);
    if (fileType(stat.mode) === Mode.directory) return null;
    return this.wrap(fd, inheritedPath(fd), flags, stat, offset);
  }

  // ---- paths

  /** stat and lstat. */
  stat(process: Process, place: Place, follow: boolean): FileStat {
    const { node } = place;
    if (node?.kind === 'descriptor') {
      const file = process.files.get(this.checkedDescriptor(process, node.fd));
      return follow ? file.stat() : anonymousStat(Mode.link | descriptorMode(file), 64n);
    }
    if (node?.kind === 'link') {
      if (follow) return fs.statSync(Buffer.from(node.target()), { bigint: true });
      return anonymousStat(Mode.link | 0o777);
    }
    if (node?.kind === 'text') return hostStat(place.host) ?? anonymousStat(Mode.regular | 0o444);
    if (node?.kind === 'descriptors') return hostStat(place.host) ?? anonymousStat(Mode.directory | 0o500);
    const stat = follow ? fs.statSync : fs.lstatSync;
    const found = hostAnswer(() => stat(place.host, bigOrNothing));
    // An error of Node's costs ten times as much as one of ours, and whoever searches a path gets many.
    if (found === undefined) throw new Errno('ENOENT');
    return found;
  }

  /** The target of a link; EINVAL for anything else. */
  readlink(process: Process, place: Place): Uint8Array {
    const { node } = place;
    if (node === null || node.kind === 'random')
      return hostAnswer(() => fs.readlinkSync(place.host, { encoding: 'buffer' }));
    if (node.kind === 'link') return node.target();
    if (node.kind === 'descriptor') return normalFilePath(process.files.get(this.checkedDescriptor(process, node.fd)));
    throw new Errno('EINVAL');
  }

  /** access(2) with F_OK 0, X_OK 1, W_OK 2, R_OK 4, by the host's real ids. */
  access(process: Process, place: Place, mode: number): void {
    if (place.node === null || place.node.kind === 'random') {
      hostAnswer(() => fs.accessSync(place.host, mode));
      return;
    }
    const { mode: bits } = this.stat(process, place, true);
    const owner = Number(bits >> 6n) & 7;
    if ((mode & ~owner) !== 0) throw new Errno('EACCES');
  }

  /** The new working directory; ENOTDIR, ENOENT, EACCES. */
  chdir(host: Buffer): void {
    const real = fs.realpathSync.native(host, { encoding: 'buffer' });
    if (!fs.statSync(real).isDirectory()) throw new Errno('ENOTDIR');
    fs.accessSync(real, fs.constants.X_OK);
    const { prefix } = this;
    const inside = prefix !== null && real.subarray(0, prefix.length + 1).equals(joinPath(prefix, Buffer.alloc(0)));
    this.cwd = inside ? real.subarray(prefix.length) : real;
  }

  mkdir(place: Place, mode: number): void {
    process.umask(this.umask);
    fs.mkdirSync(place.host, mode & 0o7777);
  }

  /** mknod(2) of a regular file or a FIFO. */
  mknod(place: Place, mode: number): void {
    process.umask(0);
    makeNode(place.host, mode & ~this.umask);
    process.umask(this.umask);
  }

  rmdir(place: Place): void {
    fs.rmdirSync(place.host);
  }

  unlink(place: Place): void {
    fs.unlinkSync(place.host);
  }

  rename(from: Place, to: Place): void {
    fs.renameSync(from.host, to.host);
  }

  link(from: Place, to: Place, follow: boolean): void {
    fs.linkSync(follow ? fs.realpathSync.native(from.host, { encoding: 'buffer' }) : from.host, to.host);
  }

  symlink(target: Uint8Array, place: Place): void {
    fs.symlinkSync(Buffer.from(target), place.host);
  }

  chmod(place: Place, mode: number): void {
    fs.chmodSync(place.host, mode & 0o7777);
  }

  /** -1 leaves an id alone. */
  chown(place: Place, uid: number, gid: number, follow: boolean): void {
    if (follow) fs.chownSync(place.host, uid, gid);
    else fs.lchownSync(place.host, uid, gid);
  }

  /** Nanoseconds; never earlier, and at most 240 ns later (`hostSeconds`). */
  setTimes(place: Place, atimeNs: bigint, mtimeNs: bigint, follow: boolean): void {
    const set = follow ? fs.utimesSync : fs.lutimesSync;
    set(place.host, hostSeconds(atimeNs), hostSeconds(mtimeNs));
  }

  truncate(place: Place, length: number): void {
    fs.truncateSync(place.host, length);
  }

  /** statfs(2) of a path; the host's numbers. */
  statfs(host: Buffer): fs.BigIntStatsFs {
    return fs.statfsSync(host, { bigint: true });
  }

  /** The same view for a forked child. */
  fork(): FileSystem {
    const copy = new FileSystem(
      { cwd: this.cwd, umask: this.umask, prefix: this.prefix?.toString() ?? null, entropy: this.entropy },
      this.terminals,
    );
    copy.mayBlock = this.mayBlock;
    return copy;
  }
}

const bigOrNothing = { bigint: true, throwIfNoEntry: false } as const;

/** Is there a component that begins with `proc` or `dev`? By hand: Buffer.includes takes a microsecond. */
function mayBeVirtual(path: Uint8Array): boolean {
  for (let i = 0; i + 3 < path.length; i++) {
    if (path[i] !== slash) continue;
    if (path[i + 1] === 0x64 && path[i + 2] === 0x65 && path[i + 3] === 0x76) return true;
    if (path[i + 1] === 0x70 && path[i + 2] === 0x72 && path[i + 3] === 0x6f && path[i + 4] === 0x63) return true;
  }
  return false;
}

/** Permission bits of /proc/self/fd/N: what it was opened for. */
function descriptorMode(file: OpenFile): number {
  return 0o100 | (file.readable ? 0o400 : 0) | (file.writable ? 0o200 : 0);
}

/** The host's stat of a file that we only fill ourselves; null on a host that has none. */
function hostStat(path: Buffer): FileStat | null {
  return fs.statSync(path, { bigint: true, throwIfNoEntry: false }) ?? null;
}

/** What /proc/self/fd/N shows. */
function normalFilePath(file: OpenFile): Uint8Array {
  return isAbsolute(file.path) ? normalizePath(file.path) : file.path;
}

/** Offset and flags of a descriptor opened by someone else; Linux tells, elsewhere a read-write start is assumed. */
function inheritedState(fd: number): { offset: number; flags: number } {
  try {
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    const offset = Number(/^pos:\s*(\d+)/m.exec(info)?.[1] ?? 0);
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '2', 8);
    return { offset, flags: flags & (Open.accessMode | Open.append | Open.nonBlock) };
  } catch {
    return { offset: 0, flags: Open.readWrite };
  }
}

function inheritedPath(fd: number): Uint8Array {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
  } catch {
    return Buffer.from(`/dev/fd/${fd}`);
  }
}
