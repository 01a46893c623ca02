import * as fs from 'node:fs';
import type { FileSystem } from './file-system.ts';
import type { FileTable } from './file-table.ts';
import { inheritedFlags } from './inherit.ts';

/* Descriptors above 2 that tsemu was started with. Node does not say which of all its descriptors these are. */

/** O_CLOEXEC. */
const closeOnExec = 0o2000000;
/** What Node's event loops wait in, the first of what it opens, and of its last loop the last. */
const eventLoop = 'anon_inode:[eventpoll]';

interface Descriptor {
  readonly fd: number;
  /** What it is open on, as /proc/self/fd has it. */
  readonly target: string;
}

/** All that are open now, ascending; none on a host that does not tell. */
function openDescriptors(): Descriptor[] {
  let names: string[];
  try {
    names = fs.readdirSync('/proc/self/fd');
  } catch {
    return [];
  }
  const all: Descriptor[] = [];
  for (const name of names) {
    try {
      all.push({ fd: Number(name), target: fs.readlinkSync(`/proc/self/fd/${name}`, 'latin1') });
    } catch {
      // That of the list itself, which is closed again.
    }
  }
  return all.sort((a, b) => a.fd - b.fd);
}

/**
 * Those that somebody else has opened. A new descriptor has the lowest free number: so below Node's first one all are
 * inherited. Between that and its last one there are Node's own, of few kinds, and inherited ones; above it, those of
 * tsemu, which are closed at exec, and inherited ones, which are not: Node marks the first few of those too (libuv's
 * uv_disable_stdio_inheritance), which lie below. What cannot be told from Node's own among them is left out: both ends of
 * a pipe, and /dev/null for reading.
 */
function inheritedDescriptors(): number[] {
  const all = openDescriptors();
  const loops = all.filter(({ target }) => target === eventLoop);
  const [first, last] = [loops[0]?.fd ?? 0, loops.at(-1)?.fd ?? 0];
  const ends = new Map<string, number>();
  for (const { fd, target } of all) if (fd >= first) ends.set(target, (ends.get(target) ?? 0) + 1);
  const isInherited = ({ fd, target }: Descriptor): boolean => {
    if (fd < 3) return false;
    if (fd < first) return true;
    const flags = inheritedFlags(fd);
    if ((flags & closeOnExec) === 0) return !target.startsWith('anon_inode:');
    if (fd > last || target.startsWith('anon_inode:') || target === '/dev/null') return false;
    return !target.startsWith('pipe:') || ends.get(target) === 1;
  };
  return all.filter(isInherited).map(({ fd }) => fd);
}

/** Puts inherited descriptors into the first process's table, at their numbers. */
export function inheritOthers(view: FileSystem, table: FileTable): void {
  for (const fd of inheritedDescriptors()) {
    if (fd >= table.limit) continue;
    const file = view.inherit(fd);
    if (file !== null) table.set(fd, file);
  }
}
