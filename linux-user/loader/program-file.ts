import * as fs from 'node:fs';
import { errnoNumbers, errnoOf } from '#util/errno.ts';
import type { FileBacking } from '../mm/vma.ts';
import { fileVersion } from '../vfs/file-version.ts';
import { LoadError } from './load-error.ts';

const { ENOENT, ENOTDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG } = errnoNumbers;

/** The words and the exit code for a path that cannot be opened. */
function openFailure(path: string, error: unknown): LoadError {
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

/** A host file being loaded: read in parts, and the backing of its mappings. */
export class ProgramFile implements FileBacking {
  /** Path as the user or PT_INTERP named it, for messages. */
  readonly name: string;
  /** Absolute host path. */
  readonly path: string;
  readonly size: number;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly inode: bigint;
  readonly readable = true;
  readonly writable = false;
  private fd: number;
  /** The loader's own hold; each mapping adds one. */
  private references = 1;

  /** Opens a regular, readable, executable file. Throws LoadError. */
  constructor(name: string, hostPath: string = name) {
    this.name = name;
    let stat: fs.BigIntStats;
    try {
      this.path = fs.realpathSync(hostPath);
      this.fd = fs.openSync(this.path, 'r');
      stat = fs.fstatSync(this.fd, { bigint: true });
    } catch (error) {
      throw openFailure(name, error);
    }
    const refuse = (what: string): never => {
      fs.closeSync(this.fd);
      throw new LoadError(`${name}: ${what}`, 126, 'EACCES');
    };
    if (stat.isDirectory()) refuse('is a directory');
    if (!stat.isFile()) refuse('not a regular file');
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
      const count = fs.readSync(this.fd, target, done, target.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  writeAt(): void {
    throw new Error('a program file is mapped privately and never written');
  }

  version(): string | null {
    return fileVersion(fs.fstatSync(this.fd, { bigint: true }));
  }

  retain(): void {
    this.references++;
  }

  release(): void {
    if (--this.references > 0) return;
    fs.closeSync(this.fd);
    this.fd = -1;
  }
}
