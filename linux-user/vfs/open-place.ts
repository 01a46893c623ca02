import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { openFifo, openHostFifo } from './fifo.ts';
import type { FileSystem } from './file-system.ts';
import { Mode, Open } from './flags.ts';
import { hostAnswer } from './host-answer.ts';
import { HostDirectory } from './host-directory.ts';
import { HostPath } from './host-file.ts';
import { toHostFlags } from './host-flags.ts';
import { checkWritable } from './host-operations.ts';
import { withRoom } from './host-room.ts';
import { OpenInode } from './inode.ts';
import { MemoryFile } from './memory-file.ts';
import type { HostPlace, NodePlace, Place } from './namespace.ts';
import { type FileStat, fileType, type OpenFile } from './open-file.ts';
import { TmpDirectory } from './tmpfs.ts';
import { wrapHost } from './wrap-host.ts';

/** What open alone does is over; F_GETFL never shows it. */
const onceOnly = Open.create | Open.exclusive | Open.truncate | Open.noCtty | Open.closeOnExec;
const changes = (flags: number): boolean =>
  (flags & Open.accessMode) !== Open.readOnly || (flags & (Open.truncate | Open.create | Open.tmpFileBit)) !== 0;

/** open(2) of a place: `flags` as in `Open`, `mode` before the umask. */
export function openPlace(view: FileSystem, process: Process, place: Place, flags: number, mode: number): OpenFile {
  switch (place.kind) {
    case 'file':
      return reopen(view, place.file, flags);
    case 'node':
      return openNode(view, process, place, flags, mode);
    case 'host':
      return openHost(view, process, place, flags, mode);
  }
}

/** Opening /proc/self/fd/N: a description of its own where the file can give one, else the same one. */
function reopen(view: FileSystem, file: OpenFile, flags: number): OpenFile {
  if ((flags & Open.path) === 0 && fileType(file.stat().mode) === Mode.socket) throw new Errno('ENXIO');
  if ((flags & Open.create) !== 0 && (flags & Open.exclusive) !== 0) throw new Errno('EEXIST');
  if ((flags & Open.directory) !== 0 && !file.isDirectory) throw new Errno('ENOTDIR');
  const kept = flags & ~onceOnly;
  if (file instanceof MemoryFile) {
    const again = new MemoryFile(file.path, kept, file.owner);
    if ((flags & Open.truncate) !== 0 && again.writable) again.truncate(0);
    return mounted(again, file);
  }
  if (file.hostFd < 0 || file.terminal !== null) return file.reopen(flags);
  if (view.confined && changes(flags)) checkUpgrade(file, flags);
  try {
    const host = Buffer.from(`/proc/self/fd/${file.hostFd}`);
    return mounted(openAt(view, host, file.path, flags & ~Open.noFollow, 0), file);
  } catch (error) {
    if (fs.existsSync('/proc/self/fd')) throw error;
    return file;
  }
}

/** What a confined guest has been given to read it cannot open again to write: EROFS, EACCES. */
function checkUpgrade(file: OpenFile, flags: number): void {
  if (file.mount?.readOnly) throw new Errno('EROFS');
  const writes = (flags & Open.accessMode) !== Open.readOnly || (flags & Open.truncate) !== 0;
  if (file.mount === null && writes && !file.writable) throw new Errno('EACCES');
}

function mounted(file: OpenFile, like: OpenFile): OpenFile {
  file.mount = like.mount;
  return file;
}

function openNode(view: FileSystem, process: Process, place: NodePlace, flags: number, mode: number): OpenFile {
  const { directory, mount, name, path } = place;
  let { inode } = place;
  const kept = flags & ~onceOnly;
  if (inode === null) {
    if ((flags & Open.create) === 0) throw new Errno('ENOENT');
    if (place.directoryOnly) throw new Errno('EISDIR');
    if (mount.readOnly) throw new Errno('EROFS');
    if ((flags & Open.directory) !== 0) throw new Errno('EINVAL');
    inode = directory!.create(name, { mode: Mode.regular | (mode & 0o7777 & ~view.umask), process });
  } else {
    if ((flags & Open.create) !== 0 && (flags & Open.exclusive) !== 0) throw new Errno('EEXIST');
    const { mode: bits } = inode.stat();
    if (inode.isLink && (flags & Open.path) === 0) throw new Errno('ELOOP');
    if ((flags & Open.directory) !== 0 && !inode.isDirectory) throw new Errno('ENOTDIR');
    if ((flags & Open.tmpFileBit) !== 0) {
      if (!(inode instanceof TmpDirectory)) throw new Errno('EOPNOTSUPP');
      if (mount.readOnly) throw new Errno('EROFS');
      inode = inode.makeUnnamed(Mode.regular | (mode & 0o7777 & ~view.umask), process);
    } else if (inode.isDirectory && changes(flags)) throw new Errno('EISDIR');
    const special = fileType(bits);
    if (mount.readOnly && changes(flags) && special === Mode.regular) throw new Errno('EROFS');
    if (special === Mode.fifo && (flags & Open.path) === 0) return openFifo(inode, path, kept);
    if ((flags & Open.truncate) !== 0 && special === Mode.regular) inode.truncate(0);
  }
  const file = (flags & Open.path) !== 0 ? new OpenInode(inode, process, path, kept) : inode.open(process, path, kept);
  file.mount = mount;
  return file;
}

function openHost(view: FileSystem, process: Process, place: HostPlace, flags: number, mode: number): OpenFile {
  const { confined, mount, host, path } = place;
  if (place.directoryOnly && (flags & Open.create) !== 0) throw new Errno('EISDIR');
  const create = (flags & (Open.create | Open.tmpFileBit)) !== 0;
  if (mount.readOnly && changes(flags)) checkReadOnly(place, flags);
  const owning = create && view.owners !== null && fs.lstatSync(host, { throwIfNoEntry: false }) === undefined;
  const file = openAt(view, host, path, flags, mode, confined ? Open.noFollow : 0);
  file.mount = mount;
  if (owning) view.own(process, place);
  return file;
}

/** O_CREAT of what exists already is allowed below a read-only mount. */
function checkReadOnly(place: HostPlace, flags: number): void {
  const writes = (flags & Open.accessMode) !== Open.readOnly || (flags & (Open.truncate | Open.tmpFileBit)) !== 0;
  const stat = fs.lstatSync(place.host, { throwIfNoEntry: false });
  if (stat?.isDirectory() && (flags & Open.tmpFileBit) === 0) throw new Errno('EISDIR');
  if (writes || stat === undefined) {
    if (stat?.isFIFO() && (flags & Open.tmpFileBit) === 0) return;
    checkWritable(place);
  }
}

/** Opens a path of the host for the guest's `path`; `more`: flags that the guest has not given. */
function openAt(view: FileSystem, host: Buffer, path: Uint8Array, flags: number, mode: number, more = 0): OpenFile {
  const create = (flags & (Open.create | Open.tmpFileBit)) !== 0;
  if (create) globalThis.process.umask(view.umask);
  const kept = flags & ~onceOnly;
  if ((flags & Open.path) !== 0) {
    const fd = withRoom(hostAnswer(() => fs.openSync(host, toHostFlags(flags | more))));
    const directory = fs.fstatSync(fd).isDirectory();
    return directory ? new HostDirectory(path, kept, fd, host) : new HostPath(path, kept, fd);
  }
  // Nothing may hold the whole program: a FIFO without its other end, a line without a carrier.
  const how = toHostFlags(flags | more) | fs.constants.O_NONBLOCK;
  let fd: number;
  try {
    fd = withRoom(hostAnswer(() => fs.openSync(host, how, mode & 0o7777)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENXIO' && isFifo(host)) return openHostFifo(view, host, path, kept);
    throw error;
  }
  const stat: FileStat = fs.fstatSync(fd, { bigint: true });
  try {
    return wrapOpened(view, fd, host, path, kept, stat);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

const isFifo = (host: Buffer): boolean => fs.lstatSync(host, { throwIfNoEntry: false })?.isFIFO() ?? false;

function wrapOpened(
  view: FileSystem,
  fd: number,
  host: Buffer,
  path: Uint8Array,
  flags: number,
  stat: FileStat,
): OpenFile {
  switch (fileType(stat.mode)) {
    case Mode.directory:
      return new HostDirectory(path, flags, fd, host);
    case Mode.fifo:
      return openHostFifo(view, host, path, flags, fd);
    case Mode.character:
    case Mode.block:
      if (!view.confined) return wrapHost(view, blocking(fd, flags), path, flags, stat, null);
      // A device below a folder that was given is not given with it (mount's nodev).
      throw new Errno('EACCES');
    default:
      return wrapHost(view, fd, path, flags, stat, null);
  }
}

/** A device opened as the guest wants it. */
function blocking(fd: number, flags: number): number {
  if ((flags & Open.nonBlock) !== 0 || process.platform !== 'linux') return fd;
  try {
    const again = fs.openSync(`/proc/self/fd/${fd}`, toHostFlags(flags));
    fs.closeSync(fd);
    return again;
  } catch {
    return fd;
  }
}
