import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import { currentDirectory, hostCalls } from '../host-calls.ts';
import { hostAnswer } from './host-answer.ts';
import { hostSeconds } from './host-file.ts';
import { O_PATH } from './host-tree.ts';
import type { HostPlace } from './namespace.ts';
import type { FileStat } from './open-file.ts';

/*
 * What is done by path to files that the host has. In a confined place no call may follow what stands at its end: the
 * walk has done so, and a link there now has been put there meanwhile.
 */

const { O_NOFOLLOW, O_WRONLY } = fs.constants;

/** EROFS below a read-only mount. */
export function checkWritable({ mount }: HostPlace): void {
  if (mount.readOnly) throw new Errno('EROFS');
}

/** EBUSY for the root of a mount, which has no name here. */
function checkNamed({ mount, confined, relative }: HostPlace): void {
  if (confined && (relative === '' || mount.root.kind === 'file')) throw new Errno('EBUSY');
}

/** The place that a directory's entry is made in or taken from. */
function checkEntry(place: HostPlace): void {
  checkWritable(place);
  checkNamed(place);
}

/** Calls `use` with a path that means the file itself, whatever happens to its name. */
export function pinned<T>({ host, confined }: HostPlace, use: (host: Buffer) => T): T {
  if (!confined || process.platform !== 'linux') return use(host);
  const fd = fs.openSync(host, O_PATH | O_NOFOLLOW);
  try {
    if (fs.fstatSync(fd).isSymbolicLink()) throw new Errno('ELOOP');
    return use(Buffer.from(`/proc/self/fd/${fd}`));
  } finally {
    fs.closeSync(fd);
  }
}

const orNothing = { bigint: true, throwIfNoEntry: false } as const;

/** Node's own error costs ten times as much as ours, and whoever searches a path gets many: it is asked not to throw. */
export function statHost({ host, confined }: HostPlace, follow: boolean): FileStat {
  const follows = follow && !confined;
  const stat = follows ? fs.statSync : fs.lstatSync;
  const found = hostAnswer(() => stat(host, orNothing));
  if (found !== undefined) return found;
  // lstat throws ENOTDIR all the same; stat does not, and what a link that leads nowhere meets is its to say.
  if (follows && hostAnswer(() => fs.lstatSync(host, orNothing)) !== undefined) {
    return hostAnswer(() => fs.statSync(host, { bigint: true }));
  }
  throw new Errno('ENOENT');
}

export function readlinkHost({ host }: HostPlace): Buffer {
  return hostAnswer(() => fs.readlinkSync(host, { encoding: 'buffer' }));
}

export function accessHost(place: HostPlace, mode: number): void {
  if ((mode & fs.constants.W_OK) !== 0) checkWritable(place);
  hostAnswer(() => pinned(place, (host) => fs.accessSync(host, mode)));
}

export function mkdirHost(place: HostPlace, mode: number): void {
  if (place.confined && fs.lstatSync(place.host, { throwIfNoEntry: false }) !== undefined) throw new Errno('EEXIST');
  checkEntry(place);
  fs.mkdirSync(place.host, mode);
}

export function rmdirHost(place: HostPlace): void {
  checkEntry(place);
  fs.rmdirSync(place.host);
  forget(place);
}

export function unlinkHost(place: HostPlace): void {
  checkEntry(place);
  fs.unlinkSync(place.host);
}

/** EXDEV between mounts, even if they are parts of one file system of the host. */
export function checkSameMount(from: HostPlace, to: HostPlace): void {
  if (from.mount !== to.mount) throw new Errno('EXDEV');
}

export function renameHost(from: HostPlace, to: HostPlace): void {
  checkSameMount(from, to);
  checkEntry(from);
  checkEntry(to);
  fs.renameSync(from.host, to.host);
  forget(from);
  forget(to);
}

/** A directory is no longer where it was. */
function forget({ mount, relative }: HostPlace): void {
  if (mount.root.kind === 'host') mount.root.tree.forget(relative);
}

export function linkHost(from: HostPlace, to: HostPlace, follow: boolean): void {
  checkSameMount(from, to);
  checkEntry(to);
  const source = follow && !from.confined ? fs.realpathSync.native(from.host, { encoding: 'buffer' }) : from.host;
  fs.linkSync(source, to.host);
}

export function symlinkHost(target: Uint8Array, place: HostPlace): void {
  checkEntry(place);
  if (place.directoryOnly) throw new Errno('ENOENT');
  fs.symlinkSync(Buffer.from(target), place.host);
}

export function chmodHost(place: HostPlace, mode: number): void {
  checkWritable(place);
  pinned(place, (host) => fs.chmodSync(host, mode));
}

/** -1 leaves an id alone. */
export function chownHost(place: HostPlace, uid: number, gid: number, follow: boolean): void {
  checkWritable(place);
  if (follow && !place.confined) fs.chownSync(place.host, uid, gid);
  else fs.lchownSync(place.host, uid, gid);
}

/** Nanoseconds; never earlier, and at most 240 ns later (`hostSeconds`). */
export function setTimesHost(place: HostPlace, atimeNs: bigint, mtimeNs: bigint, follow: boolean): void {
  checkWritable(place);
  const set = follow && !place.confined ? fs.utimesSync : fs.lutimesSync;
  set(place.host, hostSeconds(atimeNs), hostSeconds(mtimeNs));
}

export function truncateHost(place: HostPlace, length: number): void {
  checkWritable(place);
  if (!place.confined) {
    fs.truncateSync(place.host, length);
    return;
  }
  const fd = fs.openSync(place.host, O_WRONLY | O_NOFOLLOW | fs.constants.O_NONBLOCK);
  try {
    fs.ftruncateSync(fd, length);
  } finally {
    fs.closeSync(fd);
  }
}

export function statfsHost(place: HostPlace): fs.BigIntStatsFs {
  return pinned(place, (host) => fs.statfsSync(host, { bigint: true }));
}

/** AT_SYMLINK_FOLLOW. */
const followLink = 0x400;

/** Gives the file of an open descriptor a name. EXDEV on hosts that cannot. */
export function linkDescriptor(fd: number, to: HostPlace): void {
  checkEntry(to);
  const calls = hostCalls();
  if (calls === null) throw new Errno('EXDEV');
  const from = calls.text(Buffer.from(`/proc/self/fd/${fd}`));
  const name = calls.text(to.host);
  calls.call('linkat', currentDirectory, from, currentDirectory, name, followLink);
}

/** renameat2(2) with flags. EINVAL on hosts that cannot. */
export function renameWithFlags(from: HostPlace, to: HostPlace, flags: number): void {
  checkSameMount(from, to);
  checkEntry(from);
  checkEntry(to);
  const calls = hostCalls();
  if (calls === null) throw new Errno('EINVAL');
  const [source, target] = [calls.text(from.host), calls.text(to.host)];
  calls.call('renameat2', currentDirectory, source, currentDirectory, target, flags);
  forget(from);
  forget(to);
}
