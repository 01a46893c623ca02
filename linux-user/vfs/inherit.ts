import * as fs from 'node:fs';
import type { FileSystem } from './file-system.ts';
import { Mode, Open } from './flags.ts';
import { type FileStat, fileType, type OpenFile } from './open-file.ts';
import { wrapHost } from './wrap-host.ts';

/** A file for a descriptor that tsemu was started with (0, 1, 2); null if it is closed, or a directory. */
export function inheritFile(view: FileSystem, fd: number): OpenFile | null {
  let stat: FileStat;
  try {
    stat = fs.fstatSync(fd, { bigint: true });
  } catch {
    return null;
  }
  const { offset, flags } = inheritedState(fd);
  if (fileType(stat.mode) === Mode.directory) return null;
  return wrapHost(view, fd, inheritedPath(fd), flags, stat, offset);
}

/** Offset and flags of a descriptor opened by someone else; Linux tells, elsewhere a read-write start is assumed. */
function inheritedState(fd: number): { offset: number; flags: number } {
  try {
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    const offset = Number(/^pos:\s*(\d+)/m.exec(info)?.[1] ?? 0);
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '2', 8);
    return { offset, flags: flags & (Open.accessMode | Open.append | Open.nonBlock) };
  } catch {
    return { offset: 0, flags: Open.readWrite };
  }
}

function inheritedPath(fd: number): Uint8Array {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
  } catch {
    return Buffer.from(`/dev/fd/${fd}`);
  }
}
