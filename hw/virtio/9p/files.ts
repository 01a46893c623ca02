/**
 * What a file server needs of the host. Paths are names from the shared folder on. What fails throws what has the name of
 * Linux's error in `code`.
 */
export interface SharedFiles {
  /** The file itself, also if it is a symbolic link. */
  stat(path: Path): FileStat;
  statOpen(file: OpenFile): FileStat;
  /** `flags`: of Linux. Symbolic links are not followed, and there is no waiting. */
  open(path: Path, flags: number, mode: number): OpenFile;
  read(file: OpenFile, offset: number, into: Uint8Array): number;
  write(file: OpenFile, offset: number, from: Uint8Array): number;
  sync(file: OpenFile): void;
  close(file: OpenFile): void;
  list(path: Path): string[];
  readLink(path: Path): string;
  makeDirectory(path: Path, mode: number): void;
  makeLink(path: Path, target: string): void;
  linkTo(path: Path, existing: Path): void;
  remove(path: Path, directory: boolean): void;
  rename(from: Path, to: Path): void;
  change(path: Path, changes: FileChanges): void;
  space(): FileSpace;
}

export type Path = readonly string[];
/** The host's number of an open file. */
export type OpenFile = number;

/** Times are nanoseconds since 1970. */
export interface FileStat {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly mode: number;
  readonly nlink: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: bigint;
  readonly size: bigint;
  readonly blksize: bigint;
  readonly blocks: bigint;
  readonly atime: bigint;
  readonly mtime: bigint;
  readonly ctime: bigint;
}

export interface FileChanges {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: number;
  /** Seconds since 1970. */
  readonly atime?: number;
  readonly mtime?: number;
}

export interface FileSpace {
  readonly blockSize: number;
  readonly blocks: bigint;
  readonly free: bigint;
  readonly available: bigint;
  readonly files: bigint;
  readonly freeFiles: bigint;
}
