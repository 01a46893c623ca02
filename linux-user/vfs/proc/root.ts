import type { Process } from '../../process.ts';
import { Mode } from '../flags.ts';
import { entryOf, hostEntries, Inode, LinkInode, openDirectory, TreeDirectory } from '../inode.ts';
import { anonymousStat, type DirectoryEntry, type FileStat, type OpenFile } from '../open-file.ts';
import { globalFiles } from './global-texts.ts';
import { netDirectory } from './net.ts';
import { processDirectory } from './process-directory.ts';
import { sysDirectory } from './sys.ts';
import { TextInode } from './text-inode.ts';

/**
 * /proc. Guest processes are ours; with `host` the host's processes and what else its /proc has can be seen too, but for
 * tsemu's own tree, whose number the first guest process has.
 */
export class ProcRoot extends Inode {
  override readonly host: string | null;
  private readonly files: ReadonlyMap<string, Inode>;
  private readonly identity: FileStat = { ...anonymousStat(Mode.directory | 0o555), ino: 1n, uid: 0n, gid: 0n };

  constructor(host: string | null) {
    super();
    this.host = host;
    const ours: Record<string, Inode> = {
      self: new LinkInode((viewer) => String(viewer.pid)),
      'thread-self': new LinkInode((viewer) => `${viewer.pid}/task/${viewer.pid}`),
      mounts: new LinkInode(() => 'self/mounts'),
      net: host === null ? netDirectory() : new TreeDirectory({}, `${host}/self/net`),
    };
    for (const [name, make] of Object.entries(globalFiles)) {
      if (host === null || make.always) ours[name] = new TextInode(make.text);
    }
    if (host === null) {
      ours['sys'] = sysDirectory();
      ours['tty'] = new TreeDirectory({});
      ours['fs'] = new TreeDirectory({});
    }
    this.files = new Map(Object.entries(ours));
  }

  override stat(): FileStat {
    return this.identity;
  }

  override lookup(name: string, viewer: Process | null): Inode | null {
    if (viewer === null) return null;
    const file = this.files.get(name);
    if (file !== undefined) return file;
    const pid = Number(name);
    if (String(pid) !== name) return null;
    const process = viewer.kernel.processes.find(pid);
    return process === undefined ? null : processDirectory(process);
  }

  override list(viewer: Process): readonly DirectoryEntry[] {
    const own = [...this.files].map(([name, inode]) => entryOf(name, inode));
    const processes = [...viewer.kernel.processes].map(({ pid }) => {
      return { name: Buffer.from(String(pid)), ino: BigInt(pid), type: 4 };
    });
    if (this.host === null) return [...own, ...processes];
    const known = (name: string): boolean =>
      this.files.has(name) || viewer.kernel.processes.get(Number(name)) !== undefined;
    return [...own, ...processes, ...hostEntries(this.host, known)];
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    return openDirectory(this, viewer, path, flags);
  }
}
