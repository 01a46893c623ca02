import { Errno } from '#util/errno.ts';
import type { Process } from '../../process.ts';
import { Mode } from '../flags.ts';
import { Inode, openDirectory } from '../inode.ts';
import { anonymousStat, type DirectoryEntry, type FileStat, type OpenFile } from '../open-file.ts';
import { isAbsolute } from '../path.ts';
import { TextInode } from './text-inode.ts';

const descriptorName = /^(0|[1-9]\d*)$/;

/** /proc/<pid>/fd/<n>: a link that leads to the open file itself, whatever its path is. */
class DescriptorLink extends Inode {
  override readonly isMagic = true;
  private readonly owner: Process;
  private readonly fd: number;

  constructor(owner: Process, fd: number) {
    super();
    this.owner = owner;
    this.fd = fd;
  }

  private get file(): OpenFile {
    if (!this.owner.files.has(this.fd)) throw new Errno('ENOENT');
    return this.owner.files.get(this.fd);
  }

  /** Its permission bits tell what it was opened for. */
  override stat(): FileStat {
    const { readable, writable } = this.file;
    return anonymousStat(Mode.link | 0o100 | (readable ? 0o400 : 0) | (writable ? 0o200 : 0), 64n);
  }

  override get isLink(): boolean {
    return true;
  }

  override get isDirectory(): boolean {
    return false;
  }

  override readlink(viewer: Process): Uint8Array {
    const { file } = this;
    return isAbsolute(file.path) ? viewer.fs.shownPath(file) : file.path;
  }

  override follow(): OpenFile {
    return this.file;
  }
}

/** /proc/<pid>/fd and fdinfo. */
export class DescriptorDirectory extends Inode {
  private readonly owner: Process;
  private readonly make: (owner: Process, fd: number) => Inode;
  private readonly identity: FileStat;

  constructor(owner: Process, make: (owner: Process, fd: number) => Inode, mode: number) {
    super();
    this.owner = owner;
    this.make = make;
    this.identity = anonymousStat(Mode.directory | mode);
  }

  static links(owner: Process): DescriptorDirectory {
    return new DescriptorDirectory(owner, (process, fd) => new DescriptorLink(process, fd), 0o500);
  }

  static infos(owner: Process): DescriptorDirectory {
    return new DescriptorDirectory(owner, (process, fd) => new TextInode(() => info(process, fd), null, 0o400), 0o555);
  }

  override stat(): FileStat {
    return this.identity;
  }

  override lookup(name: string): Inode | null {
    if (!descriptorName.test(name) || !this.owner.files.has(Number(name))) return null;
    return this.make(this.owner, Number(name));
  }

  override list(): readonly DirectoryEntry[] {
    const type = this.make(this.owner, 0) instanceof DescriptorLink ? 10 : 8;
    return this.owner.files
      .descriptors()
      .map((fd) => ({ name: Buffer.from(String(fd)), ino: this.identity.ino * 4096n + BigInt(fd), type }));
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    return openDirectory(this, viewer, path, flags);
  }
}

/** proc_pid_fdinfo(5). */
function info({ files, fs }: Process, fd: number): string {
  if (!files.has(fd)) throw new Errno('ENOENT');
  const file = files.get(fd);
  let position = 0;
  try {
    position = file.isDirectory ? file.directoryOffset : file.seek(0, 1);
  } catch {
    // A pipe has none.
  }
  const flags = file.flags | (files.isCloseOnExec(fd) ? 0o2000000 : 0);
  return `pos:\t${position}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${fs.mountIdOf(file)}\nino:\t${file.stat().ino}\n${file.describe()}`;
}
