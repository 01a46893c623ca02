import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
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
    if (this.list === null) {
      const { hostPath } = this;
      this.list = [dot, dotDot, ...fs.readdirSync(hostPath, { encoding: 'buffer' })].map((name) => {
        const stat = fs.lstatSync(joinPath(hostPath, name), { bigint: true, throwIfNoEntry: false });
        // An entry may vanish between the two calls, or be out of reach: it still has a name.
        return { name, ino: stat?.ino ?? 1n, type: stat === undefined ? unknownType : Number(stat.mode >> 12n) & 15 };
      });
    }
    return this.list;
  }
}
