import * as fs from 'node:fs';
import { Errno, type ErrnoName } from '#util/errno.ts';
import { hostCalls } from '../host-calls.ts';
import { Mode } from './flags.ts';

/** What mkfifo(1) says, in the C locale, and the error it means. */
const messages: Record<string, ErrnoName> = {
  'File exists': 'EEXIST',
  'Permission denied': 'EACCES',
  'Operation not permitted': 'EPERM',
  'Read-only file system': 'EROFS',
  'No space left on device': 'ENOSPC',
  'File name too long': 'ENAMETOOLONG',
};

/**
 * mknod(2) of a regular file, FIFO or socket at the host's path `path`; `mode` with its type, after the umask. Node has no
 * mknod: the host's C library does it where it can be asked, else its mkfifo program. EPERM for devices, and for sockets
 * without that library; ENOSYS without that program.
 */
export function makeNode(path: Buffer, mode: number): void {
  const type = mode & Mode.typeMask;
  const permissions = mode & 0o7777;
  if (type === 0 || type === Mode.regular) {
    fs.closeSync(fs.openSync(path, 'wx', permissions));
    return;
  }
  const calls = hostCalls();
  if (calls !== null && (type === Mode.fifo || type === Mode.socket)) {
    calls.call('mknod', calls.text(path), mode, 0n);
    return;
  }
  if (type !== Mode.fifo) throw new Errno('EPERM');
  if (fs.lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw new Errno('EEXIST');
  // The other program has other descriptors: /proc/self/fd/N would be something else there.
  const slash = path.lastIndexOf('/');
  const directory = fs.realpathSync.native(path.subarray(0, slash + 1));
  const name = path.subarray(slash + 1).toString();
  if (!Buffer.from(name).equals(path.subarray(slash + 1))) throw new Errno('ENOSYS');
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const made = spawnSync('mkfifo', ['-m', permissions.toString(8), `${directory}/${name}`], {
    env: { ...process.env, LC_ALL: 'C' },
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (made.error) throw new Errno('ENOSYS');
  if (made.status === 0) return;
  throw new Errno(messages[/: ([^:]+)\n$/.exec(made.stderr)?.[1] ?? ''] ?? 'EIO');
}
