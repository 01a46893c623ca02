import { Errno } from '#util/errno.ts';
import type { Task } from '../task.ts';
import { Mode, Open, Poll } from './flags.ts';
import type { Mount } from './namespace.ts';
import { Readiness } from './readiness.ts';

/** What stat tells, in Linux's generic numbering. Times are nanoseconds since the epoch. */
export interface FileStat {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mode: bigint;
  readonly nlink: bigint;
  readonly uid: bigint;
  readonly gid: bigint;
  readonly rdev: bigint;
  readonly size: bigint;
  readonly blksize: bigint;
  readonly blocks: bigint;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly birthtimeNs: bigint;
}

/** One directory entry. `type` is a DT_* value, which is `st_mode >> 12`. */
export interface DirectoryEntry {
  readonly name: Uint8Array;
  readonly ino: bigint;
  readonly type: number;
}

/** Modes of fallocate(2). */
export const Fallocate = { keepSize: 1, punchHole: 2, zeroRange: 16 } as const;

/** What read and write give instead of a count when the caller would have to wait: see `OpenFile.readiness`. */
export const wouldBlock = -1;

export const Seek = { set: 0, current: 1, end: 2, data: 3, hole: 4 } as const;

/**
 * An open file description (open(2)): what descriptors made by dup and fork share. Offsets and lengths are bytes.
 * Buffers are a byte array with a start and a length in it, so that guest memory is read and written in place.
 *
 * Every operation throws `Errno`; the defaults answer as Linux does for a file that lacks the operation. None sleeps:
 * read and write give `wouldBlock`, and `readiness` is woken when trying again may help.
 */
export abstract class OpenFile {
  /** Access mode and status flags, numbered as in `Open`. */
  flags: number;
  /** The absolute path it was opened by, as /proc/self/fd shows it (`pipe:[3]` for what has none). */
  readonly path: Uint8Array;
  readonly readiness = new Readiness();
  /** The host's descriptor, where there is one; -1 otherwise. */
  readonly hostFd: number = -1;
  /** Where it was opened; null for what lives in no mount. */
  mount: Mount | null = null;
  /** Longest time a blocking read and write wait, milliseconds (SO_RCVTIMEO, SO_SNDTIMEO). */
  readTimeout = Infinity;
  writeTimeout = Infinity;
  /** Descriptors that refer to it, in all file tables. */
  private references = 0;
  private closeListeners: Set<() => void> | null = null;

  constructor(path: Uint8Array, flags: number) {
    this.path = path;
    this.flags = flags;
  }

  get readable(): boolean {
    return (this.flags & Open.accessMode) !== Open.writeOnly && (this.flags & Open.path) === 0;
  }

  get writable(): boolean {
    return (this.flags & Open.accessMode) !== Open.readOnly && (this.flags & Open.path) === 0;
  }

  get nonBlocking(): boolean {
    return (this.flags & Open.nonBlock) !== 0;
  }

  /** Counts a descriptor in. */
  retain(): this {
    this.references++;
    return this;
  }

  /** Counts a descriptor out; the last one closes the file. */
  release(): void {
    if (--this.references !== 0) return;
    for (const listener of this.closeListeners ?? []) listener();
    this.close();
  }

  /** Calls `listener` when the last descriptor is closed, before the file is; the returned function takes it back. */
  onClose(listener: () => void): () => void {
    this.closeListeners ??= new Set();
    this.closeListeners.add(listener);
    return () => this.closeListeners?.delete(listener);
  }

  protected close(): void {}

  /**
   * What open(2) gives, if that need not wait any more; null: try again when `readiness` is woken. Only FIFOs wait, for
   * their other side.
   */
  whenOpen(): OpenFile | null {
    return this;
  }

  /** The type of file system that something without a name belongs to (statfs). */
  get fileSystem(): string {
    return 'anonymous';
  }

  /** Lines of /proc/<pid>/fdinfo that only this kind of file has. */
  describe(): string {
    return '';
  }

  /** Bytes read (0 at the end of the file), or `wouldBlock`. */
  read(_bytes: Uint8Array, _start: number, _length: number): number {
    throw new Errno('EINVAL');
  }

  /** `read` where it matters which thread reads (signalfd). */
  readBy(_task: Task, bytes: Uint8Array, start: number, length: number): number {
    return this.read(bytes, start, length);
  }

  /** Bytes written, or `wouldBlock`. EPIPE stands for SIGPIPE too; the caller raises it. */
  write(_bytes: Uint8Array, _start: number, _length: number): number {
    throw new Errno('EINVAL');
  }

  /** True for files with offsets; the positional calls answer ESPIPE without. */
  get seekable(): boolean {
    return false;
  }

  pread(_bytes: Uint8Array, _start: number, _length: number, _offset: number): number {
    throw new Errno('ESPIPE');
  }

  pwrite(_bytes: Uint8Array, _start: number, _length: number, _offset: number): number {
    throw new Errno('ESPIPE');
  }

  /** The new offset. */
  seek(_offset: number, _whence: number): number {
    throw new Errno('ESPIPE');
  }

  abstract stat(): FileStat;

  /** A terminal's operations, or null. */
  get terminal(): Terminal | null {
    return null;
  }

  /** Bytes that can be read at once (FIONREAD). */
  available(): number {
    throw new Errno('ENOTTY');
  }

  /** True for files with events to wait for; epoll_ctl answers EPERM without. */
  get pollable(): boolean {
    return false;
  }

  /** True if what `poll` and `wouldBlock` say is only as new as the last turn of Node's event loop. */
  get hostDriven(): boolean {
    return false;
  }

  /** `Poll` events that hold now, among those asked for and err, hup. Asking may start a read on the host. */
  poll(_events: number): number {
    return Poll.in | Poll.out | Poll.rdNorm | Poll.wrNorm;
  }

  /** True for a `Socket`. */
  get isSocket(): boolean {
    return false;
  }

  get isDirectory(): boolean {
    return false;
  }

  /** Index of the next entry that getdents gives; `seek` moves it. */
  directoryOffset = 0;

  /** All entries, "." and ".." first: the same list until a seek to the start. */
  entries(): readonly DirectoryEntry[] {
    throw new Errno('ENOTDIR');
  }

  truncate(_length: number): void {
    throw new Errno('EINVAL');
  }

  /** fallocate(2) with modes of `Fallocate`. */
  allocate(_mode: number, _offset: number, _length: number): void {
    throw new Errno('ENODEV');
  }

  chmod(_mode: number): void {
    throw new Errno('EPERM');
  }

  chown(_uid: number, _gid: number): void {
    throw new Errno('EPERM');
  }

  /** Sets access and modification time, nanoseconds. */
  setTimes(_atimeNs: bigint, _mtimeNs: bigint): void {
    throw new Errno('EPERM');
  }

  sync(_dataOnly: boolean): void {
    throw new Errno('EINVAL');
  }

  /** Another description of the same file (what opening /proc/self/fd/N gives); the same one where that makes none. */
  reopen(_flags: number): OpenFile {
    return this;
  }
}

/** What ioctl asks of a terminal (ioctl_tty(2)). */
export interface Terminal {
  readonly settings: TerminalSettings;
  setSettings(settings: TerminalSettings, flushInput: boolean): void;
  /** Rows, columns, and pixels of both. */
  windowSize(): readonly [number, number, number, number];
  setWindowSize(size: readonly [number, number, number, number]): void;
  flush(input: boolean, output: boolean): void;
  foregroundGroup: number;
  /** The session it controls; null for none: a session whose leader is outside our PID namespace has the number 0. */
  session: number | null;
  /** Its device number, as tty_nr in /proc/<pid>/stat has it. */
  readonly device: number;
  /** A new description of it: what opening /dev/tty gives. */
  open(path: Uint8Array, flags: number): OpenFile;
}

/** struct termios, the kernel's form (termbits.h); the bits are the generic ABI's. */
export interface TerminalSettings {
  readonly iflag: number;
  readonly oflag: number;
  readonly cflag: number;
  readonly lflag: number;
  readonly line: number;
  /** c_cc, 19 bytes. */
  readonly cc: Uint8Array;
}

let nextInode = 1n;

/** The stat of an object that is nowhere but in memory, which fchmod and fchown change. */
export interface AnonymousStat extends FileStat {
  mode: bigint;
  uid: bigint;
  gid: bigint;
}

export function changeMode(stat: AnonymousStat, mode: number): void {
  stat.mode = (stat.mode & ~0o7777n) | BigInt(mode);
}

/** -1 leaves an id as it is (chown(2)). */
export function changeOwner(stat: AnonymousStat, uid: number, gid: number): void {
  if (uid !== -1) stat.uid = BigInt(uid >>> 0);
  if (gid !== -1) stat.gid = BigInt(gid >>> 0);
}

/** A stat for objects that live in no file system (pipes, synthetic files): device 0, a number of their own. */
export function anonymousStat(mode: number, size = 0n): AnonymousStat {
  const now = BigInt(Date.now()) * 1_000_000n;
  return {
    dev: 0x0dn,
    ino: nextInode++,
    mode: BigInt(mode),
    nlink: 1n,
    uid: BigInt(process.getuid?.() ?? 0),
    gid: BigInt(process.getgid?.() ?? 0),
    rdev: 0n,
    size,
    blksize: 4096n,
    blocks: 0n,
    atimeNs: now,
    mtimeNs: now,
    ctimeNs: now,
    birthtimeNs: now,
  };
}

/** The type bits of a mode. */
export const fileType = (mode: bigint): number => Number(mode) & Mode.typeMask;
