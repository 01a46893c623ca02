import { pageSize } from '#accel/guest-memory.ts';
import { MapFlags, Prot } from '#linux-user/mm/vma.ts';
import type { Task } from '#linux-user/task.ts';
import { fileBacking, sharedBacking } from '#linux-user/vfs/file-backing.ts';
import { Mode } from '#linux-user/vfs/flags.ts';
import { fileType } from '#linux-user/vfs/open-file.ts';
import { Errno } from '#util/errno.ts';
import { address, fd, flags, hexWord, oneOf, structOut, uint } from './arguments.ts';
import { Advice, LockAllName, MapName, ProtName, RemapName, SyncName } from './names.ts';
import { pointer } from './print.ts';
import type { Argument } from './row.ts';
import { partial, type Rows, row } from './row.ts';

/** mmap2's unit of offsets, whatever the page size. */
const offsetUnit = 4096;

/** The device whose mapping is anonymous memory: /dev/zero. */
const zeroDevice = 0x105n;

function mmap2(
  task: Task,
  hint: number,
  length: number,
  prot: number,
  how: number,
  descriptor: number,
  page: number,
): number {
  const file = (how & MapFlags.ANONYMOUS) !== 0 ? null : task.files.get(descriptor);
  const stat = file?.stat();
  const zero = stat !== undefined && fileType(stat.mode) === Mode.character && stat.rdev === zeroDevice;
  const shared = (how & MapFlags.TYPE) !== MapFlags.PRIVATE;
  return task.mm.mmap({
    address: hint,
    length,
    prot,
    flags: how,
    file:
      file === null || zero
        ? null
        : shared
          ? sharedBacking(file, (prot & Prot.WRITE) !== 0, task.fs.view.pages)
          : fileBacking(file),
    offset: file === null ? 0 : page * offsetUnit,
  });
}

/** Nothing here is ever swapped out; the ranges are checked all the same. */
function mlock2(task: Task, at: number, length: number, how: number): number {
  if ((how & ~1) !== 0) throw new Errno('EINVAL');
  task.mm.mlock(at, length, true);
  return 0;
}

function mincore(task: Task, at: number, length: number, vector: number): number {
  if (at % pageSize !== 0) throw new Errno('EINVAL');
  task.memory.write(vector, task.mm.mincore(at, length));
  return 0;
}

function mlockall(task: Task, how: number): number {
  if (how === 0 || (how & ~7) !== 0 || how === LockAllName.MCL_ONFAULT) throw new Errno('EINVAL');
  task.mm.mlockall(how);
  return 0;
}

/** The result of a call that gives nothing back. */
const done = (_action: void): number => 0;

/** The type of a mapping is a value, not a bit. */
const mapFlags: Argument<number> = {
  ...flags(MapName),
  print: (raw, call) => {
    const shared = (raw & MapFlags.TYPE) === MapFlags.SHARED_VALIDATE;
    return shared ? `MAP_SHARED_VALIDATE|${flags(MapName).print(raw & ~3, call)}` : flags(MapName).print(raw, call);
  },
};

/** Byte offsets, as strace shows mmap2's page offset. */
const pageOffset: Argument<number> = {
  ...uint,
  print: (raw) => (raw === 0 ? '0' : `0x${(raw * offsetUnit).toString(16)}`),
};

/** mm/. */
export const memoryCalls: Rows = {
  mmap2: row(
    { address, length: uint, prot: flags(ProtName), flags: mapFlags, fd, offset: pageOffset },
    (task, { address: hint, length, prot, flags: how, fd: descriptor, offset }) =>
      mmap2(task, hint, length, prot, how, descriptor, offset),
    'address',
  ),
  munmap: row({ address, length: uint }, (task, { address: at, length }) => done(task.mm.munmap(at, length))),
  mprotect: row({ address, length: uint, prot: flags(ProtName) }, (task, { address: at, length, prot }) =>
    done(task.mm.mprotect(at, length, prot)),
  ),
  mremap: row(
    { address, oldLength: uint, newLength: uint, flags: flags(RemapName), to: address },
    (task, { address: at, oldLength, newLength, flags: how, to }) => task.mm.mremap(at, oldLength, newLength, how, to),
    'address',
  ),
  remap_file_pages: row(
    { address, size: uint, prot: hexWord, page: uint, flags: hexWord },
    (task, { address: at, size, prot, page }) => done(task.mm.remapFilePages(at, size, prot, page)),
  ),
  brk: row({ end: address }, (task, { end }) => task.mm.brk(end), 'address'),
  madvise: row({ address, length: uint, advice: oneOf(Advice) }, (task, { address: at, length, advice }) =>
    done(task.mm.madvise(at, length, advice)),
  ),
  msync: row({ address, length: uint, flags: flags(SyncName) }, (task, { address: at, length, flags: how }) =>
    done(task.mm.msync(at, length, how)),
  ),
  mincore: partial(
    'every mapped page counts as resident',
    row(
      { address, length: uint, vector: structOut((_memory, at) => pointer(at)) },
      (task, { address: at, length, vector }) => mincore(task, at, length, vector),
    ),
  ),
  mlock: row({ address, length: uint }, (task, { address: at, length }) => mlock2(task, at, length, 0)),
  mlock2: row(
    { address, length: uint, flags: flags({ MLOCK_ONFAULT: 1 }) },
    (task, { address: at, length, flags: how }) => mlock2(task, at, length, how),
  ),
  munlock: row({ address, length: uint }, (task, { address: at, length }) => done(task.mm.mlock(at, length, false))),
  mlockall: row({ flags: flags(LockAllName) }, (task, { flags: how }) => mlockall(task, how)),
  munlockall: row({}, (task) => done(task.mm.mlockall(0))),
};
