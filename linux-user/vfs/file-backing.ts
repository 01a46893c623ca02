import { Errno } from '#util/errno.ts';
import type { FileBacking } from '../mm/vma.ts';
import { deviceMajor, deviceMinor } from './device-number.ts';
import { fileVersion } from './file-version.ts';
import { Mode } from './flags.ts';
import { Seal } from './memory-data.ts';
import { MemoryFile } from './memory-file.ts';
import { fileType, type OpenFile } from './open-file.ts';
import type { PageCache } from './page-cache.ts';

const backings = new WeakMap<OpenFile, FileBacking>();
const sealedBackings = new WeakMap<OpenFile, FileBacking>();

/**
 * `file` for a shared mapping: one in memory counts those that can be written to, and does not have them once it is
 * sealed. EPERM.
 */
export function sharedBacking(file: OpenFile, writes: boolean, pages: PageCache): FileBacking {
  const backing = pages.backing(file, fileBacking(file));
  if (!(file instanceof MemoryFile) || !file.writable) return backing;
  const { data } = file;
  if ((data.seals & (Seal.write | Seal.futureWrite)) !== 0) {
    if (writes) throw new Errno('EPERM');
    return { ...backing, writable: false };
  }
  const known = sealedBackings.get(file);
  if (known !== undefined) return known;
  const counting: FileBacking = {
    ...backing,
    retain: () => {
      data.writableMappings++;
      backing.retain();
    },
    release: () => {
      data.writableMappings--;
      backing.release();
    },
  };
  sealedBackings.set(file, counting);
  return counting;
}

/** `file` as mmap uses it; the same object for the same file, so that neighbouring mappings merge. ENODEV, EACCES. */
export function fileBacking(file: OpenFile): FileBacking {
  const known = backings.get(file);
  if (known !== undefined) return known;
  const stat = file.stat();
  if (fileType(stat.mode) !== Mode.regular) throw new Errno('ENODEV');
  const backing: FileBacking = {
    path: Buffer.from(file.path).toString('utf8'),
    deviceMajor: deviceMajor(stat.dev),
    deviceMinor: deviceMinor(stat.dev),
    inode: stat.ino,
    readable: file.readable,
    writable: file.writable,
    readAt: (target, offset) => readFully(file, target, offset),
    writeAt: (source, offset) => {
      const room = Math.max(0, Number(file.stat().size) - offset);
      if (room > 0) file.pwrite(source, 0, Math.min(room, source.length), offset);
    },
    version: () => (file.hostFd < 0 ? null : fileVersion(file.stat())),
    retain: () => void file.retain(),
    release: () => file.release(),
  };
  backings.set(file, backing);
  return backing;
}

function readFully(file: OpenFile, target: Uint8Array, offset: number): number {
  let done = 0;
  while (done < target.length) {
    const count = file.pread(target, done, target.length - done, offset + done);
    if (count <= 0) break;
    done += count;
  }
  return done;
}
