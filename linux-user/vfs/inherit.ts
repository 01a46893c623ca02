import * as fs from 'node:fs';
import type { FileSystem } from './file-system.ts';
import { Mode, Open } from './flags.ts';
import { HostDirectory } from './host-directory.ts';
import { isStream } from './host-file.ts';
import { type FileStat, fileType, type OpenFile } from './open-file.ts';
import { wrapHost } from './wrap-host.ts';

/**
 * A file for a descriptor that tsemu was started with; null if it is closed, or nothing that can be passed on (O_PATH, a
 * directory as a standard stream).
 */
export function inheritFile(view: FileSystem, fd: number): OpenFile | null {
  let stat: FileStat;
  try {
    stat = fs.fstatSync(fd, { bigint: true });
  } catch {
    return null;
  }
  const state = inheritedState(fd);
  if ((state.flags & Open.path) !== 0) return null;
  const flags = state.flags & (Open.accessMode | Open.append | Open.nonBlock);
  const path = inheritedPath(fd);
  if (fileType(stat.mode) !== Mode.directory) return wrapHost(view, fd, path, flags, stat, state.offset);
  return isStream(fd) ? null : new HostDirectory(path, flags, fd, Buffer.from(path));
}

/** The flags of a descriptor opened by someone else, as /proc has them: with O_CLOEXEC. */
export const inheritedFlags = (fd: number): number => inheritedState(fd).flags;

/** Offset and flags of a descriptor opened by someone else; Linux tells, elsewhere a read-write start is assumed. */
function inheritedState(fd: number): { offset: number; flags: number } {
  try {
    const info = fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1');
    const offset = Number(/^pos:\s*(\d+)/m.exec(info)?.[1] ?? 0);
    const flags = Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '2', 8);
    return { offset, flags };
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
