import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';

/** Descriptors of the host that the guest's files leave to tsemu: for scripts of its own, pipes to host programs, locks. */
const reserve = 40;

/** The first descriptor that a guest's file does not get. */
let end: number | null = null;

function findEnd(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(fs.readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return limit === undefined ? Infinity : Number(limit) - reserve;
  } catch {
    return Infinity;
  }
}

/** Fewer than the host gives any process: no need to look at its limit. */
const always = 64;

/** `fd`, just opened for the guest. ENFILE, and it is closed, if the host would soon have none left for tsemu itself. */
export function withRoom(fd: number): number {
  if (fd < always) return fd;
  end ??= findEnd();
  if (fd < end) return fd;
  fs.closeSync(fd);
  throw new Errno('ENFILE');
}
