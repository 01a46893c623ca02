import * as fs from 'node:fs';
import { errnoNumbers, errnoOf } from '#util/errno.ts';
import type { FileBacking } from '../mm/vma.ts';
import { fileVersion } from '../vfs/file-version.ts';
import { Mode } from '../vfs/flags.ts';
import { type FileStat, fileType, type OpenFile } from '../vfs/open-file.ts';
import { LoadError } from './load-error.ts';

const { ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG } = errnoNumbers;

/** The words and the exit code for a path that cannot be opened. */
export function openFailure(path: string, error: unknown): LoadError {
  switch (errnoOf(error)) {
    case ENOTDIR:
      return new LoadError(`${path}: no such file`, 127, 'ENOTDIR');
    case ENOENT:
      return new LoadError(`${path}: no such file`, 127);
    case EACCES:
    case EPERM:
      return new LoadError(`${path}: permission denied`, 126, 'EACCES');
    case ELOOP:
      return new LoadError(`${path}: too many symbolic links`, 126, 'ELOOP');
    case ENAMETOOLONG:
      return new LoadError(`${path.slice(0, 60)}…: the name is too long`, 127, 'ENAMETOOLONG');
    case undefined:
      // Node refuses a NUL in a path before the host sees it.
      if (path.includes('\0')) return new LoadError('a program name cannot contain a NUL', 127);
      throw error;
    default:
      return new LoadError(`${path}: cannot be opened (${(error as NodeJS.ErrnoException).code})`, 126);
  }
}

/** A file that has been opened for the guest, and the path by which it is known to it. */
export interface OpenedProgram {
  readonly path: string;
  readonly file: OpenFile;
}

/** A file being loaded: read in parts, and the backing of its mappings. */
export class ProgramFile implements FileBacking {
  /** Path as the user or PT_INTERP named it, for messages. */
  readonly name: string;
  /** Absolute path: the host's, or the guest's in a tree of its own. */
  readonly path: string;
  readonly size: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly inode: bigint;
  readonly readable = true;
  readonly writable = false;
  private fd = -1;
  /** What is read instead of a host descriptor. */
  private readonly file: OpenFile | null = null;
  /** The loader's own hold; each mapping adds one. */
  private references = 1;

  /**
   * A regular, readable, executable file: opened by its host path, or open already (its descriptor is then counted in).
   * Throws LoadError.
   */
  constructor(name: string, source: string | OpenedProgram = name) {
    this.name = name;
    let stat: FileStat;
    try {
      if (typeof source === 'string') {
        this.path = fs.realpathSync(source);
        this.fd = fs.openSync(this.path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
        stat = fs.fstatSync(this.fd, { bigint: true });
      } else {
        this.path = source.path;
        this.file = source.file.retain();
        stat = this.file.stat();
      }
    } catch (error) {
      throw openFailure(name, error);
    }
    const refuse = (what: string): never => {
      this.close();
      throw new LoadError(`${name}: ${what}`, 126, 'EACCES');
    };
    if (fileType(stat.mode) === Mode.directory) refuse('is a directory');
    if (fileType(stat.mode) !== Mode.regular) refuse('not a regular file');
    if (process.platform !== 'win32' && (stat.mode & 0o111n) === 0n) refuse('not executable (chmod +x makes it so)');
    this.size = Number(stat.size);
    // Linux's split of a device number (makedev(3)), as the C library packs it.
    this.deviceMajor = Number((stat.dev >> 8n) & 0xfffn);
    this.deviceMinor = Number((stat.dev & 0xffn) | ((stat.dev >> 12n) & 0xfff00n));
    this.inode = stat.ino;
  }

  /** Up to `length` bytes from `offset`; fewer at the end of the file. */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, this.readAt(bytes, offset));
  }

  readAt(target: Uint8Array, offset: number): number {
    let done = 0;
    while (done < target.length) {
      const left = target.length - done;
      const count =
        this.file === null
          ? fs.readSync(this.fd, target, done, left, offset + done)
          : this.file.pread(target, done, left, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  writeAt(): void {
    throw new Error('a program file is mapped privately and never written');
  }

  version(): string | null {
    if (this.file !== null) return this.file.hostFd < 0 ? null : fileVersion(this.file.stat());
    return fileVersion(fs.fstatSync(this.fd, { bigint: true }));
  }

  retain(): void {
    this.references++;
  }

  release(): void {
    if (--this.references === 0) this.close();
  }

  private close(): void {
    this.file?.release();
    if (this.fd >= 0) fs.closeSync(this.fd);
    this.fd = -1;
  }
}
