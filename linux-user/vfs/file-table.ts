import { Errno } from '#util/errno.ts';
import type { OpenFile } from './open-file.ts';

/** A process's descriptors. Fds are small non-negative numbers; the lowest free one is given out (open(2)). */
export class FileTable {
  /** RLIMIT_NOFILE: one more than the highest fd. */
  limit: number;
  /** Told of every descriptor that is closed: POSIX locks end with any of them. */
  onDescriptorClosed: ((file: OpenFile) => void) | null = null;
  /** Puts files into a table that has not been asked for others than the standard streams; null: it has them. */
  private complete: ((table: FileTable) => void) | null;
  private files: (OpenFile | undefined)[] = [];
  private readonly closeOnExec = new Set<number>();
  /** Threads that share the table (CLONE_FILES). */
  private users = 1;

  /** `complete`: puts the files in that only then have to be there when others than 0, 1 and 2 matter. */
  constructor(limit = 1024, complete: ((table: FileTable) => void) | null = null) {
    this.limit = limit;
    this.complete = complete;
  }

  private settle(): void {
    const { complete } = this;
    this.complete = null;
    complete?.(this);
  }

  /** The file of `fd`; EBADF. */
  get(fd: number): OpenFile {
    const file = this.files[fd];
    if (file !== undefined) return file;
    if (this.complete === null) throw new Errno('EBADF');
    this.settle();
    return this.get(fd);
  }

  has(fd: number): boolean {
    this.settle();
    return this.files[fd] !== undefined;
  }

  /** Puts `file` at the lowest free descriptor from `from` on; EMFILE. */
  add(file: OpenFile, closeOnExec = false, from = 0): number {
    this.settle();
    let fd = from;
    while (this.files[fd] !== undefined) fd++;
    if (fd >= this.limit) throw new Errno('EMFILE');
    this.place(fd, file, closeOnExec);
    return fd;
  }

  /** Puts `file` at `fd`, closing what was there (dup2); EBADF for an fd past the limit. */
  set(fd: number, file: OpenFile, closeOnExec = false): void {
    if (fd < 0 || fd >= this.limit) throw new Errno('EBADF');
    if (fd > 2) this.settle();
    const old = this.files[fd];
    this.place(fd, file, closeOnExec);
    if (old !== undefined) this.letGo(old);
  }

  /** EBADF. */
  close(fd: number): void {
    const file = this.get(fd);
    this.files[fd] = undefined;
    this.closeOnExec.delete(fd);
    this.letGo(file);
  }

  private letGo(file: OpenFile): void {
    this.onDescriptorClosed?.(file);
    file.release();
  }

  isCloseOnExec(fd: number): boolean {
    this.get(fd);
    return this.closeOnExec.has(fd);
  }

  setCloseOnExec(fd: number, on: boolean): void {
    this.get(fd);
    if (on) this.closeOnExec.add(fd);
    else this.closeOnExec.delete(fd);
  }

  /** The open descriptors, ascending. */
  descriptors(): number[] {
    this.settle();
    return this.files.flatMap((file, fd) => (file === undefined ? [] : [fd]));
  }

  /** A table that shares every open file (fork). */
  fork(): FileTable {
    const copy = new FileTable(this.limit);
    for (const fd of this.descriptors()) copy.place(fd, this.get(fd), this.closeOnExec.has(fd));
    return copy;
  }

  /** Closes what execve closes. */
  exec(): void {
    for (const fd of [...this.closeOnExec]) this.close(fd);
  }

  /** True if another thread has the same table. */
  get shared(): boolean {
    return this.users > 1;
  }

  /** Counts a thread in. */
  share(): this {
    this.users++;
    return this;
  }

  /** Counts a thread out; the last one closes everything. */
  release(): void {
    if (--this.users > 0) return;
    this.complete = null;
    for (const fd of this.descriptors()) this.close(fd);
  }

  private place(fd: number, file: OpenFile, closeOnExec: boolean): void {
    this.files[fd] = file.retain();
    if (closeOnExec) this.closeOnExec.add(fd);
    else this.closeOnExec.delete(fd);
  }
}
