import { Access } from '#accel/guest-memory.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import type { DirectoryEntry } from '#linux-user/vfs/open-file.ts';
import { Errno } from '#util/errno.ts';
import {
  address,
  bufferOut,
  dirfd,
  fd,
  flags,
  id,
  mode,
  optionalPath,
  path,
  stringOut,
  structIn,
  structOut,
  uint,
  unused,
} from './arguments.ts';
import { AccessAtFlag, AccessMode, AtFlag, RenameFlag } from './names.ts';
import { base, checkFlags, locate, target } from './paths.ts';
import { partial, type Rows, row } from './row.ts';
import { loadTimespec, loadTimeval, printTimespecs, type Timespec } from './time-values.ts';

function mkdir(task: Task, directory: number, name: Uint8Array, permissions: number): number {
  task.fs.mkdir(task.process, locate(task, directory, name, false), permissions);
  return 0;
}

const deviceNodes = 'devices and sockets: EPERM';

function mknod(task: Task, directory: number, name: Uint8Array, bits: number): number {
  task.fs.mknod(task.process, locate(task, directory, name, false), bits);
  return 0;
}

/** The last component, for the errors that "." and ".." have of their own. */
function lastName(name: Uint8Array): string {
  return Buffer.from(name).toString('latin1').replace(/\/+$/, '').split('/').at(-1)!;
}

function rmdir(task: Task, directory: number, name: Uint8Array): number {
  const last = lastName(name);
  if (last === '.') throw new Errno('EINVAL');
  if (last === '..') throw new Errno('ENOTEMPTY');
  task.fs.rmdir(locate(task, directory, name, false));
  return 0;
}

function unlink(task: Task, directory: number, name: Uint8Array): number {
  task.fs.unlink(locate(task, directory, name, false));
  return 0;
}

function rename(task: Task, from: number, name: Uint8Array, to: number, newName: Uint8Array, how: number): number {
  const { process } = task;
  checkFlags(how, RenameFlag.RENAME_NOREPLACE | RenameFlag.RENAME_EXCHANGE | RenameFlag.RENAME_WHITEOUT);
  const { RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT } = RenameFlag;
  if ((how & RENAME_EXCHANGE) !== 0 && (how & (RENAME_NOREPLACE | RENAME_WHITEOUT)) !== 0) throw new Errno('EINVAL');
  // What overlay file systems leave behind is a device, which takes privileges.
  if ((how & RENAME_WHITEOUT) !== 0) throw new Errno('EPERM');
  const source = locate(task, from, name, false);
  const destination = locate(task, to, newName, false);
  if ([name, newName].some((each) => ['.', '..', ''].includes(lastName(each)))) throw new Errno('EBUSY');
  if (how === RENAME_NOREPLACE && exists(task, to, newName)) throw new Errno('EEXIST');
  task.fs.rename(process, source, destination, how);
  return 0;
}

function exists(task: Task, directory: number, name: Uint8Array): boolean {
  try {
    task.fs.stat(task.process, locate(task, directory, name, false), false);
    return true;
  } catch {
    return false;
  }
}

function link(task: Task, from: number, name: Uint8Array, to: number, newName: Uint8Array, how: number): number {
  checkFlags(how, AtFlag.AT_SYMLINK_FOLLOW | AtFlag.AT_EMPTY_PATH);
  const follow = (how & AtFlag.AT_SYMLINK_FOLLOW) !== 0;
  const { fs } = task;
  if (name.length === 0 && (how & AtFlag.AT_EMPTY_PATH) !== 0) {
    const file = target(task, from, name, how);
    if (file.kind !== 'file') throw new Errno('EPERM');
    if (file.file.isDirectory) throw new Errno('EPERM');
    fs.linkFile(file.file, locate(task, to, newName, false));
    return 0;
  }
  fs.link(locate(task, from, name, follow), locate(task, to, newName, false), follow);
  return 0;
}

function symlink(task: Task, contents: Uint8Array, directory: number, name: Uint8Array): number {
  if (contents.length === 0) throw new Errno('ENOENT');
  task.fs.symlink(task.process, contents, locate(task, directory, name, false));
  return 0;
}

function readlink(task: Task, directory: number, name: Uint8Array, to: number, size: number): number {
  if ((size | 0) <= 0) throw new Errno('EINVAL');
  const found = task.fs.readlink(task.process, locate(task, directory, name, false));
  const shown = found.subarray(0, Math.min(size, found.length));
  task.memory.write(to, shown);
  return shown.length;
}

function access(task: Task, directory: number, name: Uint8Array | null, wanted: number, how: number): number {
  const { process } = task;
  checkFlags(wanted, 7);
  checkFlags(how, AccessAtFlag.AT_SYMLINK_NOFOLLOW | AccessAtFlag.AT_EACCESS | AccessAtFlag.AT_EMPTY_PATH);
  const what = target(task, directory, name, how);
  if (what.kind === 'place') task.fs.access(process, what.place, wanted);
  return 0;
}

function chmod(task: Task, directory: number, name: Uint8Array, permissions: number, how = 0): number {
  const what = target(task, directory, name, how);
  if (what.kind === 'file') what.file.chmod(permissions & 0o7777);
  // Linux has no mode for links.
  else if ((how & AtFlag.AT_SYMLINK_NOFOLLOW) !== 0 && isLink(task, directory, name)) throw new Errno('EOPNOTSUPP');
  else task.fs.chmod(what.place, permissions);
  return 0;
}

function isLink(task: Task, directory: number, name: Uint8Array): boolean {
  const { mode: bits } = task.fs.stat(task.process, locate(task, directory, name, false), false);
  return (bits & 0o170000n) === 0o120000n;
}

function chown(task: Task, directory: number, name: Uint8Array, uid: number, gid: number, how: number): number {
  const what = target(task, directory, name, how);
  if (what.kind === 'file') task.fs.chownFile(what.file, uid, gid);
  else task.fs.chown(what.place, uid, gid, (how & AtFlag.AT_SYMLINK_NOFOLLOW) === 0);
  return 0;
}

/** 16-bit ids of old calls: 0xffff is -1. */
const wideId = (value: number): number => ((value & 0xffff) === 0xffff ? -1 : value & 0xffff);

const UTIME_NOW = 0x3fffffff;
const UTIME_OMIT = 0x3ffffffe;

function setTimes(
  task: Task,
  directory: number,
  name: Uint8Array | null,
  times: readonly [Timespec, Timespec] | null,
  how: number,
): number {
  checkFlags(how, AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_EMPTY_PATH);
  // A null path means the open file itself (utimensat(2), C library/kernel differences).
  const what = target(task, directory, name, name === null ? how | AtFlag.AT_EMPTY_PATH : how);
  const follow = (how & AtFlag.AT_SYMLINK_NOFOLLOW) === 0;
  const now = BigInt(Date.now()) * 1_000_000n;
  const omitted = times?.some(({ nanoseconds }) => nanoseconds === UTIME_OMIT) ?? false;
  const old = !omitted
    ? null
    : what.kind === 'file'
      ? what.file.stat()
      : task.fs.stat(task.process, what.place, follow);
  const value = (index: 0 | 1): bigint => {
    if (times === null || times[index].nanoseconds === UTIME_NOW) return now;
    if (times[index].nanoseconds === UTIME_OMIT) return index === 0 ? old!.atimeNs : old!.mtimeNs;
    return BigInt(times[index].seconds) * 1_000_000_000n + BigInt(times[index].nanoseconds);
  };
  if (times?.every(({ nanoseconds }) => nanoseconds === UTIME_OMIT)) return 0;
  if (what.kind === 'file') what.file.setTimes(value(0), value(1));
  else task.fs.setTimes(what.place, value(0), value(1), follow);
  return 0;
}

function utimensat(
  task: Task,
  directory: number,
  name: Uint8Array | null,
  at: number,
  how: number,
  wide: boolean,
): number {
  const size = wide ? 16 : 8;
  const load = (address: number): Timespec => {
    const time = loadTimespec(task.memory, address, wide);
    const special = time.nanoseconds === UTIME_NOW || time.nanoseconds === UTIME_OMIT;
    if (!special && (time.nanoseconds < 0 || time.nanoseconds > 999_999_999)) throw new Errno('EINVAL');
    return time;
  };
  if (name === null && directory === base.cwd) throw new Errno('EFAULT');
  return setTimes(task, directory, name, at === 0 ? null : [load(at), load(at + size)], how);
}

function utimes(task: Task, directory: number, name: Uint8Array | null, at: number): number {
  const load = (address: number): Timespec => loadTimeval(task.memory, address);
  return setTimes(task, directory, name, at === 0 ? null : [load(at), load(at + 8)], 0);
}

/** struct utimbuf: seconds alone. */
function utime(task: Task, name: Uint8Array, at: number): number {
  const load = (address: number): Timespec => ({ seconds: task.memory.load32(address) | 0, nanoseconds: 0 });
  return setTimes(task, base.cwd, name, at === 0 ? null : [load(at), load(at + 4)], 0);
}

/** Bytes of an entry before its name. */
type EntryLayout = {
  readonly header: number;
  size(entry: DirectoryEntry): number;
  store(task: Task, at: number, entry: DirectoryEntry, next: number, size: number): void;
};

/** struct linux_dirent64: ino, off, reclen, type, name and NUL, on 8 bytes. */
const wideEntry: EntryLayout = {
  header: 19,
  size: ({ name }) => (19 + name.length + 1 + 7) & ~7,
  store({ memory }, at, entry, next, size) {
    memory.view(at, size, Access.write).fill(0);
    memory.store64(at, entry.ino);
    memory.store64(at + 8, BigInt(next));
    memory.store16(at + 16, size);
    memory.store8(at + 18, entry.type);
    memory.write(at + 19, entry.name);
  },
};

/** struct linux_dirent: ino, off, reclen, name and NUL, the type in the last byte, on 4 bytes. */
const oldEntry: EntryLayout = {
  header: 10,
  size: ({ name }) => (10 + name.length + 2 + 3) & ~3,
  store({ memory }, at, entry, next, size) {
    memory.view(at, size, Access.write).fill(0);
    memory.store32(at, Number(entry.ino & 0xffffffffn));
    memory.store32(at + 4, next);
    memory.store16(at + 8, size);
    memory.write(at + 10, entry.name);
    memory.store8(at + size - 1, entry.type);
  },
};

function getdents(task: Task, which: number, to: number, count: number, layout: EntryLayout): number {
  const file = task.files.get(which);
  if (!file.isDirectory) throw new Errno('ENOTDIR');
  const entries = file.entries();
  let at = to;
  let left = count;
  while (file.directoryOffset < entries.length) {
    const entry = entries[file.directoryOffset];
    const size = layout.size(entry);
    if (size > left) {
      if (at === to) throw new Errno('EINVAL');
      break;
    }
    layout.store(task, at, entry, file.directoryOffset + 1, size);
    file.directoryOffset++;
    at += size;
    left -= size;
  }
  return at - to;
}

/** struct old_linux_dirent, of which readdir(2) gives one: ino, off, length of the name, name and NUL. */
function readdir(task: Task, which: number, at: number): number {
  const file = task.files.get(which);
  if (!file.isDirectory) throw new Errno('ENOTDIR');
  const entry = file.entries()[file.directoryOffset];
  if (entry === undefined) return 0;
  const { memory } = task;
  memory.require(at, 10 + entry.name.length + 1, Access.write);
  memory.store32(at, Number(entry.ino & 0xffffffffn));
  memory.store32(at + 4, file.directoryOffset);
  memory.store16(at + 8, entry.name.length);
  memory.write(at + 10, entry.name);
  memory.store8(at + 10 + entry.name.length, 0);
  file.directoryOffset++;
  return 1;
}

const entriesOut = structOut((_memory, at, { result }) => `0x${at.toString(16)} /* ${result} bytes */`);

function getcwd(task: Task, to: number, size: number): number {
  const cwd = task.fs.shownCwd;
  if (size < cwd.length + 1) throw new Errno('ERANGE');
  task.memory.write(to, Buffer.concat([cwd, Buffer.of(0)]));
  return cwd.length + 1;
}

const timeBuffer = structIn(printTimespecs(8));
const wideTimeBuffer = structIn(printTimespecs(16));
const removeFlags = flags({ AT_REMOVEDIR: AtFlag.AT_REMOVEDIR });
const accessMode = flags(AccessMode);
const renameFlags = flags(RenameFlag);

/** Calls on names (fs/namei.c, fs/open.c, fs/readdir.c, fs/utimes.c). */
export const directoryCalls: Rows = {
  getcwd: row({ buffer: stringOut, size: uint }, (task, { buffer, size }) => getcwd(task, buffer, size)),
  chdir: row({ path }, (task, { path: name }) => {
    task.fs.chdir(task.process, locate(task, base.cwd, name, true));
    return 0;
  }),
  fchdir: row({ fd }, (task, { fd: which }) => {
    const file = task.files.get(which);
    if (!file.isDirectory) throw new Errno('ENOTDIR');
    task.fs.chdir(task.process, locate(task, which, Buffer.from('.'), true));
    return 0;
  }),
  chroot: row({ path }, (task, { path: name }) => {
    task.fs.chroot(task.process, locate(task, base.cwd, name, true));
    return 0;
  }),
  mkdir: row({ path, mode }, (task, { path: name, mode: bits }) => mkdir(task, base.cwd, name, bits)),
  mkdirat: row({ dirfd, path, mode }, (task, { dirfd: at, path: name, mode: bits }) => mkdir(task, at, name, bits)),
  mknod: partial(
    deviceNodes,
    row({ path, mode, device: uint }, (task, { path: name, mode: bits }) => mknod(task, base.cwd, name, bits)),
  ),
  mknodat: partial(
    deviceNodes,
    row({ dirfd, path, mode, device: uint }, (task, { dirfd: at, path: name, mode: bits }) =>
      mknod(task, at, name, bits),
    ),
  ),
  rmdir: row({ path }, (task, { path: name }) => rmdir(task, base.cwd, name)),
  unlink: row({ path }, (task, { path: name }) => unlink(task, base.cwd, name)),
  unlinkat: row({ dirfd, path, flags: removeFlags }, (task, { dirfd: at, path: name, flags: how }) => {
    checkFlags(how, AtFlag.AT_REMOVEDIR);
    return how === 0 ? unlink(task, at, name) : rmdir(task, at, name);
  }),
  rename: row({ from: path, to: path }, (task, { from, to }) => rename(task, base.cwd, from, base.cwd, to, 0)),
  renameat: row({ fromfd: dirfd, from: path, tofd: dirfd, to: path }, (task, { fromfd, from, tofd, to }) =>
    rename(task, fromfd, from, tofd, to, 0),
  ),
  renameat2: partial(
    'RENAME_WHITEOUT (EPERM); RENAME_EXCHANGE only where the host is Linux, elsewhere RENAME_NOREPLACE is not atomic',
    row(
      { fromfd: dirfd, from: path, tofd: dirfd, to: path, flags: renameFlags },
      (task, { fromfd, from, tofd, to, flags: how }) => rename(task, fromfd, from, tofd, to, how),
    ),
  ),
  link: row({ from: path, to: path }, (task, { from, to }) => link(task, base.cwd, from, base.cwd, to, 0)),
  linkat: partial(
    'AT_EMPTY_PATH only where the host is Linux (EXDEV)',
    row(
      { fromfd: dirfd, from: path, tofd: dirfd, to: path, flags: flags(AtFlag) },
      (task, { fromfd, from, tofd, to, flags: how }) => link(task, fromfd, from, tofd, to, how),
    ),
  ),
  symlink: row({ contents: path, path }, (task, { contents, path: name }) => symlink(task, contents, base.cwd, name)),
  symlinkat: row({ contents: path, dirfd, path }, (task, { contents, dirfd: at, path: name }) =>
    symlink(task, contents, at, name),
  ),
  readlink: row({ path, buffer: bufferOut, size: uint }, (task, { path: name, buffer, size }) =>
    readlink(task, base.cwd, name, buffer, size),
  ),
  readlinkat: row({ dirfd, path, buffer: bufferOut, size: uint }, (task, { dirfd: at, path: name, buffer, size }) =>
    readlink(task, at, name, buffer, size),
  ),
  access: row({ path, mode: accessMode }, (task, { path: name, mode: wanted }) =>
    access(task, base.cwd, name, wanted, 0),
  ),
  faccessat: row({ dirfd, path, mode: accessMode }, (task, { dirfd: at, path: name, mode: wanted }) =>
    access(task, at, name, wanted, 0),
  ),
  faccessat2: partial(
    'AT_EACCESS asks for the real ids',
    row(
      { dirfd, path, mode: accessMode, flags: flags(AccessAtFlag) },
      (task, { dirfd: at, path: name, mode: wanted, flags: how }) => access(task, at, name, wanted, how),
    ),
  ),
  chmod: row({ path, mode }, (task, { path: name, mode: bits }) => chmod(task, base.cwd, name, bits)),
  fchmodat: row({ dirfd, path, mode }, (task, { dirfd: at, path: name, mode: bits }) => chmod(task, at, name, bits)),
  fchmodat2: row(
    { dirfd, path, mode, flags: flags(AtFlag) },
    (task, { dirfd: at, path: name, mode: bits, flags: how }) => {
      checkFlags(how, AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_EMPTY_PATH);
      return chmod(task, at, name, bits, how);
    },
  ),
  fchmod: row({ fd, mode }, (task, { fd: which, mode: bits }) => {
    const file = task.files.get(which);
    if ((file.flags & Open.path) !== 0) throw new Errno('EBADF');
    file.chmod(bits & 0o7777);
    return 0;
  }),
  chown: row({ path, uid: id, gid: id }, (task, { path: name, uid, gid }) =>
    chown(task, base.cwd, name, wideId(uid), wideId(gid), 0),
  ),
  chown32: row({ path, uid: id, gid: id }, (task, { path: name, uid, gid }) =>
    chown(task, base.cwd, name, uid, gid, 0),
  ),
  lchown: row({ path, uid: id, gid: id }, (task, { path: name, uid, gid }) =>
    chown(task, base.cwd, name, wideId(uid), wideId(gid), AtFlag.AT_SYMLINK_NOFOLLOW),
  ),
  lchown32: row({ path, uid: id, gid: id }, (task, { path: name, uid, gid }) =>
    chown(task, base.cwd, name, uid, gid, AtFlag.AT_SYMLINK_NOFOLLOW),
  ),
  fchown: row({ fd, uid: id, gid: id }, (task, { fd: which, uid, gid }) => {
    task.fs.chownFile(task.files.get(which), wideId(uid), wideId(gid));
    return 0;
  }),
  fchown32: row({ fd, uid: id, gid: id }, (task, { fd: which, uid, gid }) => {
    task.fs.chownFile(task.files.get(which), uid, gid);
    return 0;
  }),
  fchownat: row(
    { dirfd, path, uid: id, gid: id, flags: flags(AtFlag) },
    (task, { dirfd: at, path: name, uid, gid, flags: how }) => {
      checkFlags(how, AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_EMPTY_PATH);
      return chown(task, at, name, uid, gid, how);
    },
  ),
  utimes: partial(
    'times are exact to 240 ns',
    row({ path, times: timeBuffer }, (task, { path: name, times }) => utimes(task, base.cwd, name, times)),
  ),
  utime: partial(
    'times are exact to 240 ns',
    row({ path, times: address }, (task, { path: name, times }) => utime(task, name, times)),
  ),
  futimesat: partial(
    'times are exact to 240 ns',
    row({ dirfd, path: optionalPath, times: timeBuffer }, (task, { dirfd: at, path: name, times }) =>
      utimes(task, at, name, times),
    ),
  ),
  utimensat: partial(
    'times are exact to 240 ns',
    row(
      { dirfd, path: optionalPath, times: timeBuffer, flags: flags(AtFlag) },
      (task, { dirfd: at, path: name, times, flags: how }) => utimensat(task, at, name, times, how, false),
    ),
  ),
  utimensat_time64: partial(
    'times are exact to 240 ns',
    row(
      { dirfd, path: optionalPath, times: wideTimeBuffer, flags: flags(AtFlag) },
      (task, { dirfd: at, path: name, times, flags: how }) => utimensat(task, at, name, times, how, true),
    ),
  ),
  readdir: row({ fd, entry: address, count: unused }, (task, { fd: which, entry }) => readdir(task, which, entry)),
  getdents: row({ fd, entries: entriesOut, count: uint }, (task, { fd: which, entries, count }) =>
    getdents(task, which, entries, count, oldEntry),
  ),
  getdents64: row({ fd, entries: entriesOut, count: uint }, (task, { fd: which, entries, count }) =>
    getdents(task, which, entries, count, wideEntry),
  ),
  umask: row(
    { mask: mode },
    (task, { mask }) => {
      const { fs } = task;
      const old = fs.umask;
      fs.umask = mask & 0o777;
      return old;
    },
    'octal',
  ),
};
