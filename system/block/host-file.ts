import type { Stats } from 'node:fs';
import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';

/** Something wrong with an image: one line for the user. */
export class ImageError extends Error {}

/** What a host's error means, in its words. */
const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
  EROFS: 'Read-only file system',
  EEXIST: 'File exists',
  ENOTDIR: 'Not a directory',
  ENOSPC: 'No space left on device',
};

/** The reason of a failed call of the host. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return reasons[code ?? ''] ?? code ?? message;
}

/** A file that bytes of an image lie in. Reads beyond its end give zeroes. */
export interface ImageFile {
  readonly path: string;
  readonly readOnly: boolean;
  readonly size: number;
  read(offset: number, into: Uint8Array): void;
  write(offset: number, from: Uint8Array): void;
  truncate(size: number): void;
  /** Returns once all that was written is kept. */
  sync(): void;
  close(): void;
}

/** A regular file or block device of the host, in synchronous calls. */
export class HostFile implements ImageFile {
  readonly path: string;
  readonly readOnly: boolean;
  private readonly fd: number;
  private end: number;

  /** Throws ImageError. `flags`: of open(2), beside the access mode. */
  constructor(path: string, readOnly: boolean, flags = 0) {
    this.path = path;
    this.readOnly = readOnly;
    try {
      this.fd = openSync(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | flags, 0o644);
    } catch (error) {
      throw new ImageError(`Could not open '${path}': ${reason(error)}`);
    }
    const stats = fstatSync(this.fd);
    const kind = unusable(stats);
    if (kind !== null) {
      closeSync(this.fd);
      throw new ImageError(`Could not open '${path}': ${kind}`);
    }
    this.end = stats.size;
  }

  get size(): number {
    return this.end;
  }

  read(offset: number, into: Uint8Array): void {
    let at = 0;
    this.call('read', () => {
      while (at < into.length && offset + at < this.end) {
        const got = readSync(this.fd, into, at, into.length - at, offset + at);
        if (got === 0) break;
        at += got;
      }
    });
    into.fill(0, at);
  }

  write(offset: number, from: Uint8Array): void {
    this.call('write', () => {
      for (let at = 0; at < from.length; ) at += writeSync(this.fd, from, at, from.length - at, offset + at);
    });
    this.end = Math.max(this.end, offset + from.length);
  }

  truncate(size: number): void {
    this.call('resize', () => ftruncateSync(this.fd, size));
    this.end = size;
  }

  sync(): void {
    this.call('write', () => fdatasyncSync(this.fd));
  }

  private call(what: string, use: () => void): void {
    try {
      use();
    } catch (error) {
      throw new ImageError(`Could not ${what} '${this.path}': ${reason(error)}`);
    }
  }

  close(): void {
    closeSync(this.fd);
  }
}

/** Why this is nothing that an image lies in, or null. */
function unusable(stats: Stats): string | null {
  if (stats.isDirectory()) return 'Is a directory';
  return stats.isFile() ? null : 'neither a regular file nor a disk';
}

/** Bytes that a file takes on the host's disk. */
export const allocatedBytes = (path: string): number => statSync(path).blocks * 512;
