import { readFileSync } from 'node:fs';
import type { FileSystem } from '../file-system.ts';
import type { Mount } from '../namespace.ts';

/** Blanks in a path as fstab(5) writes them. */
const escaped = (path: string): string =>
  path.replace(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);

const options = ({ readOnly }: Mount): string => `${readOnly ? 'ro' : 'rw'},relatime`;

/** A guest that sees the host's files sees its mounts. */
function hostText(name: string): string | null {
  try {
    return readFileSync(`/proc/self/${name}`, 'latin1');
  } catch {
    return null;
  }
}

/** proc_pid_mounts(5). */
export function mountsText(fs: FileSystem): string {
  const host = fs.confined ? null : hostText('mounts');
  if (host !== null) return host;
  return fs
    .visibleMounts()
    .map(([at, mount]) => `${escaped(mount.source)} ${escaped(at)} ${mount.type} ${options(mount)} 0 0\n`)
    .join('');
}

/** proc_pid_mountinfo(5). */
export function mountInfoText(fs: FileSystem): string {
  const host = fs.confined ? null : hostText('mountinfo');
  if (host !== null) return host;
  return fs
    .visibleMounts()
    .map(([at, mount], index) => {
      const parent = index === 0 ? 1 : fs.visibleMounts()[0][1].id;
      const facts = `${mount.id} ${parent} 0:${mount.id} / ${escaped(at)} ${options(mount)}`;
      return `${facts} - ${mount.type} ${escaped(mount.source)} ${mount.readOnly ? 'ro' : 'rw'}\n`;
    })
    .join('');
}

/** proc_pid_mountstats(5). */
export function mountStatsText(fs: FileSystem): string {
  return fs
    .visibleMounts()
    .map(([at, mount]) => `device ${escaped(mount.source)} mounted on ${escaped(at)} with fstype ${mount.type}\n`)
    .join('');
}
