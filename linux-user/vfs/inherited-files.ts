import type { FileSystem } from './file-system.ts';
import { FileTable } from './file-table.ts';
import { inheritOthers } from './inherited-descriptors.ts';

/**
 * A table with what tsemu was started with: stdin, stdout and stderr at 0, 1 and 2, where those that are closed stay
 * closed; and the descriptors above at their numbers, unless the guest is to have the streams only.
 */
export function inheritedFiles(fs: FileSystem, limit: number, streamsOnly: boolean): FileTable {
  const files = new FileTable(limit, streamsOnly ? null : (table) => inheritOthers(fs, table));
  for (const fd of [0, 1, 2]) {
    const file = fs.inherit(fd);
    if (file !== null) files.set(fd, file);
  }
  return files;
}
