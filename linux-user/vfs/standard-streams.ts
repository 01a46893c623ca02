import type { FileSystem } from './file-system.ts';
import { FileTable } from './file-table.ts';

/** A table with the host's stdin, stdout and stderr at 0, 1 and 2; those that are closed stay closed. */
export function standardStreams(fs: FileSystem, limit: number): FileTable {
  const files = new FileTable(limit);
  for (const fd of [0, 1, 2]) {
    const file = fs.inherit(fd);
    if (file !== null) files.set(fd, file);
  }
  return files;
}
