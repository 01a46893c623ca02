import type { GuestMemory } from '#accel/guest-memory.ts';
import { Access } from '#accel/guest-memory.ts';
import type { Stat64Field, StructLayout } from '#linux-user/abi/abi.ts';
import type { Task } from '#linux-user/task.ts';
import { deviceMajor, deviceMinor } from '#linux-user/vfs/device-number.ts';
import type { FileStat, OpenFile } from '#linux-user/vfs/open-file.ts';
import { Errno } from '#util/errno.ts';
import { dirfd, fd, flags, optionalPath, path, structOut, uint } from './arguments.ts';
import { guestStruct } from './guest-struct.ts';
import { AtFlag, StatxMask } from './names.ts';
import { base, checkFlags, locate, type Target, target } from './paths.ts';
import { braces, fileMode, hex } from './print.ts';
import { type Rows, row } from './row.ts';

const billion = 1_000_000_000n;

/** Whole seconds and the rest in nanoseconds, rounded down as Linux does. */
export function splitTime(ns: bigint): { seconds: bigint; nanoseconds: number } {
  const past = ns % billion;
  const rest = past < 0n ? past + billion : past;
  return { seconds: (ns - rest) / billion, nanoseconds: Number(rest) };
}

/** A stat64 is made here; no ABI has a longer one. */
const scratch = new DataView(new ArrayBuffer(128));

/** Writes a stat64 by the ABI's layout. Inode numbers have their 64 bits; nothing overflows. EFAULT. */
function storeStat64(memory: GuestMemory, at: number, stat: FileStat, layout: StructLayout<Stat64Field>): void {
  const { at: field, bytes } = layout;
  const made = new Uint8Array(scratch.buffer, 0, bytes).fill(0);
  const word = (name: Stat64Field, value: bigint): void =>
    scratch.setUint32(field[name], Number(value & 0xffffffffn), true);
  const long = (name: Stat64Field, value: bigint): void => scratch.setBigUint64(field[name], value, true);
  long('dev', stat.dev);
  word('ino32', stat.ino);
  word('mode', stat.mode);
  word('nlink', stat.nlink);
  word('uid', stat.uid);
  word('gid', stat.gid);
  long('rdev', stat.rdev);
  long('size', stat.size);
  word('blksize', stat.blksize);
  long('blocks', stat.blocks);
  const times = [
    ['atime', 'atimeNsec', stat.atimeNs],
    ['mtime', 'mtimeNsec', stat.mtimeNs],
    ['ctime', 'ctimeNsec', stat.ctimeNs],
  ] as const;
  for (const [seconds, nanoseconds, ns] of times) {
    const split = splitTime(ns);
    word(seconds, split.seconds);
    word(nanoseconds, BigInt(split.nanoseconds));
  }
  long('ino', stat.ino);
  memory.write(at, made);
}

/** struct stat with 32-bit fields, as stat, lstat and fstat fill it. */
const oldStat = guestStruct({
  dev: 'u32',
  ino: 'u32',
  mode: 'u16',
  nlink: 'u16',
  uid: 'u16',
  gid: 'u16',
  rdev: 'u32',
  size: 'u32',
  blksize: 'u32',
  blocks: 'u32',
  atime: 'u32',
  atimeNsec: 'u32',
  mtime: 'u32',
  mtimeNsec: 'u32',
  ctime: 'u32',
  ctimeNsec: 'u32',
  unused4: 'u32',
  unused5: 'u32',
});

/** 16-bit ids as old calls see them: an id that does not fit is the overflow id. */
export const shortId = (value: bigint): number => (value > 0xffffn ? 65534 : Number(value));

function storeOldStat(memory: GuestMemory, at: number, stat: FileStat): void {
  if (stat.size > 0x7fffffffn) throw new Errno('EOVERFLOW');
  const low = (value: bigint): number => Number(value & 0xffffffffn);
  const [atime, mtime, ctime] = [stat.atimeNs, stat.mtimeNs, stat.ctimeNs].map(splitTime);
  oldStat.store(memory, at, {
    dev: low(stat.dev),
    ino: low(stat.ino),
    mode: Number(stat.mode),
    nlink: Number(stat.nlink),
    uid: shortId(stat.uid),
    gid: shortId(stat.gid),
    rdev: low(stat.rdev),
    size: low(stat.size),
    blksize: low(stat.blksize),
    blocks: low(stat.blocks),
    atime: low(atime.seconds),
    atimeNsec: atime.nanoseconds,
    mtime: low(mtime.seconds),
    mtimeNsec: mtime.nanoseconds,
    ctime: low(ctime.seconds),
    ctimeNsec: ctime.nanoseconds,
  });
}

/** struct statx (linux/stat.h); the same everywhere. */
const statxStruct = guestStruct({
  mask: 'u32',
  blksize: 'u32',
  attributes: 'u64',
  nlink: 'u32',
  uid: 'u32',
  gid: 'u32',
  mode: 'u16',
  spare0: 'u16',
  ino: 'u64',
  size: 'u64',
  blocks: 'u64',
  attributesMask: 'u64',
  atime: 'i64',
  atimeNsec: 'u32',
  pad0: 'u32',
  btime: 'i64',
  btimeNsec: 'u32',
  pad1: 'u32',
  ctime: 'i64',
  ctimeNsec: 'u32',
  pad2: 'u32',
  mtime: 'i64',
  mtimeNsec: 'u32',
  pad3: 'u32',
  rdevMajor: 'u32',
  rdevMinor: 'u32',
  devMajor: 'u32',
  devMinor: 'u32',
  mountId: 'u64',
});
const STATX_ATTR_MOUNT_ROOT = 0x2000n;
const statxBytes = 256;
const basicStats = 0x7ff;

function storeStatx(memory: GuestMemory, at: number, stat: FileStat, { id, isRoot }: MountFacts): void {
  memory.view(at, statxBytes, Access.write).fill(0);
  const [atime, btime, ctime, mtime] = [stat.atimeNs, stat.birthtimeNs, stat.ctimeNs, stat.mtimeNs].map(splitTime);
  statxStruct.store(memory, at, {
    mask: basicStats | StatxMask.STATX_MNT_ID | (stat.birthtimeNs > 0n ? StatxMask.STATX_BTIME : 0),
    attributes: isRoot ? STATX_ATTR_MOUNT_ROOT : 0n,
    attributesMask: STATX_ATTR_MOUNT_ROOT,
    blksize: Number(stat.blksize),
    nlink: Number(stat.nlink),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mode: Number(stat.mode),
    ino: stat.ino,
    size: stat.size,
    blocks: stat.blocks,
    atime: atime.seconds,
    atimeNsec: atime.nanoseconds,
    btime: btime.seconds,
    btimeNsec: btime.nanoseconds,
    ctime: ctime.seconds,
    ctimeNsec: ctime.nanoseconds,
    mtime: mtime.seconds,
    mtimeNsec: mtime.nanoseconds,
    rdevMajor: deviceMajor(stat.rdev),
    rdevMinor: deviceMinor(stat.rdev),
    devMajor: deviceMajor(stat.dev),
    devMinor: deviceMinor(stat.dev),
    mountId: BigInt(id),
  });
}

/** What statx tells of the mount. */
interface MountFacts {
  readonly id: number;
  readonly isRoot: boolean;
}

function mountFacts({ fs }: Task, what: Target): MountFacts {
  if (what.kind === 'file' || what.place.kind === 'file') {
    const file = what.kind === 'file' ? what.file : (what.place as { readonly file: OpenFile }).file;
    return { id: fs.mountIdOf(file), isRoot: false };
  }
  const { mount, path: at } = what.place;
  return { id: mount.id, isRoot: Buffer.from(mount.at, 'latin1').equals(at) };
}

function statOf(task: Task, directory: number, name: Uint8Array | null, how: number): FileStat {
  return statTarget(task, target(task, directory, name, how), how);
}

function statTarget(task: Task, what: Target, how: number): FileStat {
  if (what.kind === 'file') return what.file.stat();
  return task.fs.stat(task.process, what.place, (how & AtFlag.AT_SYMLINK_NOFOLLOW) === 0);
}

type Store = (task: Task, at: number, stat: FileStat) => void;
const store64: Store = (task, at, stat) => storeStat64(task.memory, at, task.fs.shownStat(stat), task.abi.stat64);
const storeOld: Store = (task, at, stat) => storeOldStat(task.memory, at, task.fs.shownStat(stat));

function statPath(task: Task, name: Uint8Array, at: number, follow: boolean, store: Store): number {
  store(task, at, task.fs.stat(task.process, locate(task, base.cwd, name, follow), follow));
  return 0;
}

function statFile(task: Task, which: number, at: number, store: Store): number {
  store(task, at, task.files.get(which).stat());
  return 0;
}

const statFlags = AtFlag.AT_SYMLINK_NOFOLLOW | AtFlag.AT_NO_AUTOMOUNT | AtFlag.AT_EMPTY_PATH;
const statxFlags = statFlags | AtFlag.AT_STATX_FORCE_SYNC | AtFlag.AT_STATX_DONT_SYNC;

const stat64Out = structOut((memory, at, { task }) => {
  const field = task.abi.stat64.at;
  const mode = memory.load32(at + field.mode);
  const size = { st_size: memory.load64(at + field.size) };
  return `{st_mode=${fileMode(mode)}, st_size=${size.st_size}, ...}`;
});
const oldStatOut = structOut((memory, at) => {
  const { mode, size } = oldStat.load(memory, at);
  return `{st_mode=${fileMode(mode)}, st_size=${size}, ...}`;
});
const statxOut = structOut((memory, at) => {
  const { mask, attributes, mode, size } = statxStruct.load(memory, at);
  const fields = { stx_mask: hex(mask), stx_attributes: attributes, stx_mode: fileMode(mode), stx_size: size };
  return `${braces(fields).slice(0, -1)}, ...}`;
});

/** struct statfs64 and statfs, 32-bit longs. ARM packs statfs64 to 84 bytes; EABI callers may pass 88. */
const statfs64Struct = guestStruct({
  type: 'u32',
  bsize: 'u32',
  blocks: 'u64',
  bfree: 'u64',
  bavail: 'u64',
  files: 'u64',
  ffree: 'u64',
  fsid0: 'u32',
  fsid1: 'u32',
  namelen: 'u32',
  frsize: 'u32',
  flags: 'u32',
  spare0: 'u32',
  spare1: 'u32',
  spare2: 'u32',
  spare3: 'u32',
  pad: 'u32',
});
const statfsStruct = guestStruct({
  type: 'u32',
  bsize: 'u32',
  blocks: 'u32',
  bfree: 'u32',
  bavail: 'u32',
  files: 'u32',
  ffree: 'u32',
  fsid0: 'u32',
  fsid1: 'u32',
  namelen: 'u32',
  frsize: 'u32',
  flags: 'u32',
  spare0: 'u32',
  spare1: 'u32',
  spare2: 'u32',
  spare3: 'u32',
});
const packedStatfs64 = 84;
const nameMax = 255;
const ST_VALID = 0x20;

type HostStatfs = ReturnType<Task['process']['fs']['statfs']>;

function storeStatfs64(memory: GuestMemory, at: number, size: number, found: HostStatfs): number {
  if (size !== packedStatfs64 && size !== 88) throw new Errno('EINVAL');
  const scratch = memory.view(at, packedStatfs64, Access.write);
  scratch.fill(0);
  const bsize = Number(found.bsize);
  memory.store32(at, Number(found.type & 0xffffffffn));
  memory.store32(at + 4, bsize);
  const counts = [found.blocks, found.bfree, found.bavail, found.files, found.ffree];
  counts.forEach((count, index) => memory.store64(at + 8 + 8 * index, count));
  memory.store32(at + 56, nameMax);
  memory.store32(at + 60, bsize);
  memory.store32(at + 64, ST_VALID);
  return 0;
}

function storeStatfs(memory: GuestMemory, at: number, found: HostStatfs): number {
  const counts = [found.blocks, found.bfree, found.bavail, found.files, found.ffree];
  if (counts.some((count) => count > 0xffffffffn)) throw new Errno('EOVERFLOW');
  const [blocks, bfree, bavail, files, ffree] = counts.map(Number);
  const bsize = Number(found.bsize);
  const type = Number(found.type & 0xffffffffn);
  statfsStruct.store(memory, at, {
    type,
    bsize,
    blocks,
    bfree,
    bavail,
    files,
    ffree,
    namelen: nameMax,
    frsize: bsize,
    flags: ST_VALID,
  });
  return 0;
}

const statfs64Out = structOut((memory, at) => {
  const { type, bsize, blocks, bfree } = { ...statfs64Struct.load(memory, at) };
  return `{f_type=${hex(type)}, f_bsize=${bsize}, f_blocks=${blocks}, f_bfree=${bfree}, ...}`;
});
const statfsOut = structOut((memory, at) => {
  const { type, bsize, blocks, bfree } = statfsStruct.load(memory, at);
  return `{f_type=${hex(type)}, f_bsize=${bsize}, f_blocks=${blocks}, f_bfree=${bfree}, ...}`;
});

function statfsPath(task: Task, name: Uint8Array): HostStatfs {
  return task.fs.statfs(locate(task, base.cwd, name, true));
}

function statfsFile(task: Task, which: number): HostStatfs {
  return task.fs.statfsOf(task.files.get(which));
}

/** fs/stat.c and fs/statfs.c. */
export const statCalls: Rows = {
  stat: row({ path, stat: oldStatOut }, (task, { path: name, stat: at }) => statPath(task, name, at, true, storeOld)),
  lstat: row({ path, stat: oldStatOut }, (task, { path: name, stat: at }) => statPath(task, name, at, false, storeOld)),
  fstat: row({ fd, stat: oldStatOut }, (task, { fd: which, stat: at }) => statFile(task, which, at, storeOld)),
  stat64: row({ path, stat: stat64Out }, (task, { path: name, stat: at }) => statPath(task, name, at, true, store64)),
  lstat64: row({ path, stat: stat64Out }, (task, { path: name, stat: at }) => statPath(task, name, at, false, store64)),
  fstat64: row({ fd, stat: stat64Out }, (task, { fd: which, stat: at }) => statFile(task, which, at, store64)),
  fstatat64: row(
    { dirfd, path: optionalPath, stat: stat64Out, flags: flags(AtFlag) },
    (task, { dirfd: directory, path: name, stat: at, flags: how }) => {
      checkFlags(how, statFlags);
      store64(task, at, statOf(task, directory, name, how));
      return 0;
    },
  ),
  statx: row(
    { dirfd, path: optionalPath, flags: flags(AtFlag), mask: flags(StatxMask), statx: statxOut },
    (task, { dirfd: directory, path: name, flags: how, mask, statx: at }) => {
      const sync = AtFlag.AT_STATX_FORCE_SYNC | AtFlag.AT_STATX_DONT_SYNC;
      if ((mask & 0x80000000) !== 0 || (how & sync) === sync) throw new Errno('EINVAL');
      checkFlags(how, statxFlags);
      const what = target(task, directory, name, how);
      const stat = task.fs.shownStat(statTarget(task, what, how));
      storeStatx(task.memory, at, stat, mountFacts(task, what));
      return 0;
    },
  ),
  statfs: row({ path, statfs: statfsOut }, (task, { path: name, statfs: at }) =>
    storeStatfs(task.memory, at, statfsPath(task, name)),
  ),
  fstatfs: row({ fd, statfs: statfsOut }, (task, { fd: which, statfs: at }) =>
    storeStatfs(task.memory, at, statfsFile(task, which)),
  ),
  statfs64: row({ path, size: uint, statfs: statfs64Out }, (task, { path: name, size, statfs: at }) =>
    storeStatfs64(task.memory, at, size, statfsPath(task, name)),
  ),
  fstatfs64: row({ fd, size: uint, statfs: statfs64Out }, (task, { fd: which, size, statfs: at }) =>
    storeStatfs64(task.memory, at, size, statfsFile(task, which)),
  ),
};
