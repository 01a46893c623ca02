import {
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { FileChanges, FileSpace, FileStat, OpenFile, Path, SharedFiles } from '#hw/virtio/9p/files.ts';
import { Errno } from '#util/errno.ts';

/** Linux's open flags, as 9P has them on all hosts. */
const linuxFlags = { O_CREAT: 0o100, O_EXCL: 0o200, O_TRUNC: 0o1000, O_DIRECTORY: 0o200000 } as const;
const accessMode = 3;

/**
 * A folder of the host. Nothing outside is reached: names have no `/` and are not `..`, links are not followed, and the
 * directory of what is touched has to be the one of that name. (A program of the host that moves directories about in the
 * same moment could still lead an access outside.)
 */
export class LocalFolder implements SharedFiles {
  private readonly root: string;
  private readonly readOnly: boolean;

  /** Throws what Node throws if there is no such folder. */
  constructor(root: string, readOnly: boolean) {
    this.root = realpathSync.native(root);
    this.readOnly = readOnly;
    readdirSync(this.root);
  }

  /** The host's path of one of ours, whose directory is where it is said to be. */
  private host(path: Path): string {
    if (path.length === 0) return this.root;
    const directory = join(this.root, ...path.slice(0, -1));
    if (realpathSync.native(directory) !== directory) throw new Errno('ELOOP');
    return join(directory, path.at(-1)!);
  }

  /** The same, to be changed. */
  private changed(path: Path): string {
    if (this.readOnly) throw new Errno('EROFS');
    if (path.length === 0) throw new Errno('EBUSY');
    return this.host(path);
  }

  stat(path: Path): FileStat {
    return statOf(lstatSync(this.host(path), { bigint: true }));
  }

  statOpen(file: OpenFile): FileStat {
    return statOf(fstatSync(file, { bigint: true }));
  }

  open(path: Path, flags: number, mode: number): OpenFile {
    const access = flags & accessMode;
    const creates = (flags & linuxFlags.O_CREAT) !== 0;
    const writes = access !== 0 || creates || (flags & linuxFlags.O_TRUNC) !== 0;
    const host = writes ? this.changed(path) : this.host(path);
    let own = access | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    if (creates) own |= constants.O_CREAT;
    if (flags & linuxFlags.O_EXCL) own |= constants.O_EXCL;
    if (flags & linuxFlags.O_TRUNC) own |= constants.O_TRUNC;
    if (flags & linuxFlags.O_DIRECTORY) own |= constants.O_DIRECTORY;
    // Opening a device or a FIFO does things on the host: the guest has its own.
    const there = lstatSync(host, { throwIfNoEntry: false });
    if (there && !there.isFile() && !there.isDirectory()) throw new Errno(there.isSymbolicLink() ? 'ELOOP' : 'EPERM');
    return openSync(host, own, mode);
  }

  read(file: OpenFile, offset: number, into: Uint8Array): number {
    return readSync(file, into, 0, into.length, fileOffset(offset));
  }

  write(file: OpenFile, offset: number, from: Uint8Array): number {
    return writeSync(file, from, 0, from.length, fileOffset(offset));
  }

  sync(file: OpenFile): void {
    fsyncSync(file);
  }

  close(file: OpenFile): void {
    closeSync(file);
  }

  list(path: Path): string[] {
    const host = this.host(path);
    // Node would follow a link.
    if (!lstatSync(host).isDirectory()) throw new Errno('ENOTDIR');
    return readdirSync(host).sort();
  }

  readLink(path: Path): string {
    return readlinkSync(this.host(path));
  }

  makeDirectory(path: Path, mode: number): void {
    mkdirSync(this.changed(path), { mode });
  }

  makeLink(path: Path, target: string): void {
    symlinkSync(target, this.changed(path));
  }

  linkTo(path: Path, existing: Path): void {
    linkSync(this.changed(existing), this.changed(path));
  }

  remove(path: Path, directory: boolean): void {
    if (directory) rmdirSync(this.changed(path));
    else unlinkSync(this.changed(path));
  }

  rename(from: Path, to: Path): void {
    renameSync(this.changed(from), this.changed(to));
  }

  change(path: Path, { mode, uid, gid, size, atime, mtime }: FileChanges): void {
    if (this.readOnly) throw new Errno('EROFS');
    const host = this.host(path);
    const stat = lstatSync(host);
    if (stat.isSymbolicLink() && (mode !== undefined || size !== undefined)) throw new Errno('EOPNOTSUPP');
    if (uid !== undefined || gid !== undefined) lchownSync(host, uid ?? stat.uid, gid ?? stat.gid);
    if (mode !== undefined) chmodSync(host, mode);
    if (size !== undefined) truncateSync(host, fileOffset(size));
    if (atime !== undefined || mtime !== undefined) {
      lutimesSync(host, atime ?? stat.atimeMs / 1000, mtime ?? stat.mtimeMs / 1000);
    }
  }

  space(): FileSpace {
    const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(this.root, { bigint: true });
    return { blockSize: Number(bsize), blocks, free: bfree, available: bavail, files, freeFiles: ffree };
  }
}

/** Offsets that no file has are refused before Node sees them. */
function fileOffset(offset: number): number {
  if (!Number.isSafeInteger(offset)) throw new Errno('EINVAL');
  return offset;
}

function statOf(stats: BigIntStats): FileStat {
  const { dev, ino, nlink, rdev, size, blksize, blocks } = stats;
  return {
    ...{ dev, ino, nlink, rdev, size, blksize, blocks },
    mode: Number(stats.mode),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    atime: stats.atimeNs,
    mtime: stats.mtimeNs,
    ctime: stats.ctimeNs,
  };
}
