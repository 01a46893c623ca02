import { Errno } from '#util/errno.ts';
import { readForeign, writeForeign } from '../../mm/foreign.ts';
import type { Process } from '../../process.ts';
import { Mode } from '../flags.ts';
import { DeviceInode, entryOf, Inode, LinkInode, OpenInode, openDirectory, TreeDirectory } from '../inode.ts';
import { anonymousStat, type DirectoryEntry, type FileStat, OpenFile, Seek } from '../open-file.ts';
import { DescriptorDirectory } from './descriptors.ts';
import { mountInfoText, mountStatsText, mountsText } from './mounts-text.ts';
import { commandName, guestRange, limitsText, smapsText, statmText, statText, statusText } from './process-texts.ts';
import { TextInode } from './text-inode.ts';

/** Longest thread name (TASK_COMM_LEN), without its NUL. */
const longestName = 15;

const text = (make: () => string | Uint8Array): Inode => new TextInode(make);

/** Numbers of the initial namespaces (include/linux/proc_ns.h). */
const namespaces: Readonly<Record<string, number>> = {
  cgroup: 0xeffffffb,
  ipc: 0xefffffff,
  mnt: 0xf0000000,
  net: 0xf0000098,
  pid: 0xeffffffc,
  pid_for_children: 0xeffffffc,
  time: 0xeffffffa,
  user: 0xeffffffd,
  uts: 0xeffffffe,
};

function namespaceLinks(): Inode {
  const links = Object.entries(namespaces).map(([name, number]) => {
    const kind = name.replace('_for_children', '');
    return [name, new LinkInode(() => `${kind}:[${number}]`)] as const;
  });
  return new TreeDirectory(Object.fromEntries(links), null, 0o511);
}

/** /proc/<pid>/mem. */
class GuestMemoryFile extends OpenFile {
  private readonly owner: Process;
  private readonly identity: FileStat;
  private offset = 0;

  constructor(owner: Process, path: Uint8Array, flags: number, identity: FileStat) {
    super(path, flags);
    this.owner = owner;
    this.identity = { ...identity, rdev: 0n, mode: BigInt(Mode.regular | 0o600) };
  }

  override get seekable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  override seek(offset: number, whence: number): number {
    if (whence !== Seek.set && whence !== Seek.current) throw new Errno('EINVAL');
    this.offset = whence === Seek.set ? offset : this.offset + offset;
    return this.offset;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const count = this.pread(bytes, start, length, this.offset);
    this.offset += count;
    return count;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    const count = this.pwrite(bytes, start, length, this.offset);
    this.offset += count;
    return count;
  }

  override pread(bytes: Uint8Array, start: number, length: number, offset: number): number {
    const { mm } = this.owner;
    const found = readForeign(mm, offset, this.usable(offset, length));
    if (found.length === 0 && length > 0 && !this.owner.zombie) throw new Errno('EIO');
    bytes.set(found, start);
    return found.length;
  }

  override pwrite(bytes: Uint8Array, start: number, length: number, offset: number): number {
    const count = this.usable(offset, length);
    const done = writeForeign(this.owner.mm, offset, bytes.subarray(start, start + count));
    if (done === 0 && length > 0 && !this.owner.zombie) throw new Errno('EIO');
    return done;
  }

  /** How much of it can be there. EIO for nothing; 0 once the process has ended. */
  private usable(offset: number, length: number): number {
    const { zombie, mm } = this.owner;
    if (zombie || length === 0) return 0;
    if (offset < 0 || offset >= mm.taskSize) throw new Errno('EIO');
    return Math.min(length, mm.taskSize - offset);
  }
}

function threadName(process: Process, tid: number): Inode {
  return new TextInode(
    () => `${process.tasks.get(tid)?.name ?? commandName(process)}\n`,
    (name) => {
      const task = process.tasks.get(tid);
      if (task !== undefined) task.name = name.replace(/\n$/, '').slice(0, longestName);
    },
  );
}

type Maker = (process: Process) => Inode;

/** What a process and each of its threads have. */
const common: Readonly<Record<string, Maker>> = {
  auxv: ({ mm }) => text(() => mm.auxv),
  cgroup: () => text(() => '0::/\n'),
  cmdline: (process) => text(() => guestRange(process, process.mm.argStart, process.mm.argEnd)),
  cwd: (process) => new LinkInode(() => process.fs.cwd, true),
  environ: (process) => new TextInode(() => guestRange(process, process.mm.envStart, process.mm.envEnd), null, 0o400),
  exe: (process) => new LinkInode(() => exeTarget(process), true),
  fd: (process) => DescriptorDirectory.links(process),
  fdinfo: (process) => DescriptorDirectory.infos(process),
  gid_map: () => text(() => '         0          0 4294967295\n'),
  io: () =>
    text(() =>
      ['rchar', 'wchar', 'syscr', 'syscw', 'read_bytes', 'write_bytes', 'cancelled_write_bytes']
        .map((name) => `${name}: 0\n`)
        .join(''),
    ),
  limits: (process) => text(() => limitsText(process)),
  loginuid: () => text(() => '4294967295'),
  maps: ({ mm }) => text(() => mm.mapsText()),
  mem: (process) =>
    new DeviceInode(
      0,
      0,
      (_viewer, path, flags, identity) => new GuestMemoryFile(process, path, flags, identity),
      0o600,
    ),
  mountinfo: (process) => text(() => mountInfoText(process.fs)),
  mounts: (process) => text(() => mountsText(process.fs)),
  mountstats: (process) => text(() => mountStatsText(process.fs)),
  ns: namespaceLinks,
  oom_adj: () => text(() => '0\n'),
  oom_score: () => text(() => '0\n'),
  oom_score_adj: oomScore,
  personality: () => text(() => '00000000\n'),
  root: (process) => new LinkInode(() => process.fs.rootPath, true),
  schedstat: () => text(() => '0 0 0\n'),
  sessionid: () => text(() => '4294967295'),
  setgroups: () => text(() => 'allow\n'),
  smaps: (process) => text(() => smapsText(process, false)),
  smaps_rollup: (process) => text(() => smapsText(process, true)),
  statm: (process) => text(() => statmText(process)),
  timerslack_ns: () => text(() => '50000\n'),
  uid_map: () => text(() => '         0          0 4294967295\n'),
  wchan: () => text(() => '0'),
};

/** proc_pid_exe(5): empty for one that has ended. */
function exeTarget({ exePath, zombie }: Process): Uint8Array {
  if (zombie) throw new Errno('ENOENT');
  return Buffer.from(exePath);
}

const scores = new WeakMap<Process, string>();

/** proc_pid_oom_score_adj(5): kept for who asks; nothing here runs out of memory in a way that it could prevent. */
function oomScore(process: Process): Inode {
  return new TextInode(
    () => `${scores.get(process) ?? '0'}\n`,
    (given) => {
      const value = Number(given.trim());
      if (!Number.isInteger(value) || value < -1000 || value > 1000) throw new Errno('EINVAL');
      scores.set(process, String(value));
    },
  );
}

/** A directory that makes its entries when they are asked for. */
class MadeDirectory extends Inode {
  readonly process: Process;
  private readonly makers: Readonly<Record<string, Maker>>;
  private readonly made = new Map<string, Inode>();
  private readonly identity: FileStat;

  constructor(process: Process, makers: Readonly<Record<string, Maker>>) {
    super();
    this.process = process;
    this.makers = makers;
    const { euid, egid } = process.credentials;
    this.identity = { ...anonymousStat(Mode.directory | 0o555), nlink: 9n, uid: BigInt(euid), gid: BigInt(egid) };
  }

  override stat(): FileStat {
    return this.identity;
  }

  override lookup(name: string): Inode | null {
    const known = this.made.get(name);
    if (known !== undefined) return known;
    if (!Object.hasOwn(this.makers, name)) return null;
    const inode = this.makers[name](this.process);
    this.made.set(name, inode);
    return inode;
  }

  override list(): readonly DirectoryEntry[] {
    return Object.keys(this.makers).map((name) => entryOf(name, this.lookup(name)!));
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    return openDirectory(this, viewer, path, flags);
  }
}

function threadMakers(tid: number): Readonly<Record<string, Maker>> {
  return {
    ...common,
    children: (process) =>
      text(() => (tid === process.pid ? [...process.children].map(({ pid }) => `${pid} `).join('') : '')),
    comm: (process) => threadName(process, tid),
    stat: (process) => text(() => statText(process, process.tasks.get(tid))),
    status: (process) => text(() => statusText(process, process.tasks.get(tid))),
  };
}

/** /proc/<pid>/task. */
class TaskDirectory extends Inode {
  private readonly process: Process;
  private readonly identity = anonymousStat(Mode.directory | 0o555);

  constructor(process: Process) {
    super();
    this.process = process;
  }

  override stat(): FileStat {
    return { ...this.identity, nlink: BigInt(2 + this.process.tasks.size) };
  }

  override lookup(name: string): Inode | null {
    const tid = Number(name);
    const exists = this.process.tasks.has(tid) || (this.process.zombie && tid === this.process.pid);
    return exists && String(tid) === name ? new MadeDirectory(this.process, threadMakers(tid)) : null;
  }

  override list(): readonly DirectoryEntry[] {
    return [...this.process.tasks.keys()].map((tid) => ({ name: Buffer.from(String(tid)), ino: BigInt(tid), type: 4 }));
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    return openDirectory(this, viewer, path, flags);
  }
}

const processMakers: Readonly<Record<string, Maker>> = {
  ...common,
  comm: (process) => threadName(process, process.pid),
  coredump_filter: () => text(() => '00000033\n'),
  net: () => new LinkInode(() => '/proc/net'),
  stat: (process) => text(() => statText(process)),
  status: (process) => text(() => statusText(process)),
  task: (process) => new TaskDirectory(process),
};

/** /proc/<pid>. */
class ProcessDirectory extends MadeDirectory {}

/** The process whose directory of /proc an open file is; undefined for any other file. */
export function processOfDirectory(file: OpenFile): Process | undefined {
  return file instanceof OpenInode && file.inode instanceof ProcessDirectory ? file.inode.process : undefined;
}

const directories = new WeakMap<Process, Inode>();

/** /proc/<pid> of a guest process. */
export function processDirectory(process: Process): Inode {
  let directory = directories.get(process);
  if (directory === undefined) {
    directory = new ProcessDirectory(process, processMakers);
    directories.set(process, directory);
  }
  return directory;
}
