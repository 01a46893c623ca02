import { openSync } from 'node:fs';
import { writeWhole } from '#linux-user/host-write.ts';
import { UsageError } from './options.ts';

/** Takes pieces of text in order; what it has taken is written, whatever happens next. */
export type LogWriter = (text: string) => void;

/** The log of -d: the file of -D, where `%d` stands for our process id, or stderr. Throws UsageError. */
export function openLog(file: string | null): LogWriter {
  const fd = file === null ? 2 : openFile(file.replace('%d', String(process.pid)));
  return (text) => writeWhole(fd, Buffer.from(text));
}

function openFile(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw new UsageError(`-D ${path}: ${(error as Error).message}`);
  }
}
