import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import { type HostCalls, hostCalls } from '../host-calls.ts';
import { Open } from './flags.ts';
import { HostBacked } from './host-file.ts';
import { type DirectoryEntry, Seek } from './open-file.ts';
import { joinPath } from './path.ts';

const dot = Buffer.from('.');
const dotDot = Buffer.from('..');
const unknownType = 0;

let descriptorPaths: boolean | undefined;

function hasDescriptorPaths(): boolean {
  descriptorPaths ??= process.platform === 'linux' && fs.existsSync('/proc/self/fd');
  return descriptorPaths;
}

/** A directory of the host. Its offset is the index of the next entry in the list taken when reading began. */
export class HostDirectory extends HostBacked {
  /** Where the host found it. */
  private readonly openedAs: Buffer;
  private list: readonly DirectoryEntry[] | null = null;

  constructor(path: Uint8Array, flags: number, hostFd: number, hostPath: Buffer) {
    super(path, flags, hostFd);
    this.openedAs = hostPath;
  }

  /** Where the host finds it: by the descriptor where that can be, since the directory may have been renamed. */
  get hostPath(): Buffer {
    return hasDescriptorPaths() ? Buffer.from(`/proc/self/fd/${this.hostFd}`) : this.openedAs;
  }

  override get isDirectory(): boolean {
    return true;
  }

  override read(): number {
    throw new Errno('EISDIR');
  }

  override write(): number {
    throw new Errno('EBADF');
  }

  override pread(): number {
    throw new Errno('EISDIR');
  }

  override pwrite(): number {
    throw new Errno('EBADF');
  }

  override seek(offset: number, whence: number): number {
    const target = whence === Seek.set ? offset : whence === Seek.current ? this.directoryOffset + offset : -1;
    if (target < 0) throw new Errno('EINVAL');
    if (target === 0) this.list = null;
    this.directoryOffset = target;
    return target;
  }

  override entries(): readonly DirectoryEntry[] {
    if ((this.flags & Open.path) !== 0) throw new Errno('EBADF');
    const calls = hostCalls();
    this.list ??= calls === null ? this.listByName() : listByCall(calls, this.hostFd);
    return this.list;
  }

  private listByName(): DirectoryEntry[] {
    return [dot, dotDot, ...fs.readdirSync(this.hostPath, { encoding: 'buffer' })].map((name) => {
      const stat = fs.lstatSync(joinPath(this.hostPath, name), { bigint: true, throwIfNoEntry: false });
      // An entry may vanish between the two calls, or be out of reach: it still has a name.
      return { name, ino: stat?.ino ?? 1n, type: stat === undefined ? unknownType : Number(stat.mode >> 12n) & 15 };
    });
  }
}

/** struct linux_dirent64 of the host: where its length, type and name are. */
const direntLength = 16;
const direntType = 18;
const direntName = 19;
const listBytes = 65536;
const listBuffer = new ArrayBuffer(listBytes);

/** Names, numbers and types in one go: asking for each entry's takes ten times as long. */
function listByCall(calls: HostCalls, fd: number): DirectoryEntry[] {
  const list: DirectoryEntry[] = [];
  const bytes = Buffer.from(listBuffer);
  calls.call('lseek', fd, 0n, Seek.set);
  for (;;) {
    const count = calls.call('getdents64', fd, listBuffer, BigInt(listBytes));
    if (count === 0) return list;
    for (let at = 0; at < count; ) {
      const end = at + bytes.readUInt16LE(at + direntLength);
      const start = at + direntName;
      const name = Buffer.from(bytes.subarray(start, bytes.indexOf(0, start)));
      list.push({ name, ino: bytes.readBigUInt64LE(at), type: bytes[at + direntType] });
      at = end;
    }
  }
}
