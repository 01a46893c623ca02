// What the guest's tree is made of. The bundle loads it with the first path that may lead to what is ours.
import * as fs from 'node:fs';
import { controllingTerminal, descriptorLinks, memoryDevices, randomDevice, sysRoot } from './devices.ts';
import { HostTree, hostBytes } from './host-tree.ts';
import { type Inode, TreeDirectory } from './inode.ts';
import { Namespace } from './namespace.ts';
import { ProcRoot } from './proc/root.ts';
import { TextInode } from './proc/text-inode.ts';
import { PtsDirectory, ptyMultiplexer } from './ptys.ts';
import type { Terminals } from './terminals.ts';
import { limitedCharge, TmpDirectory } from './tmpfs.ts';
import type { Share, ViewOptions } from './view.ts';

/** Bytes for files in memory, if nothing else is said. */
const usualMemory = 2 ** 30;

const latin1 = (path: string): string => Buffer.from(path).toString('latin1');
const realPath = (path: string): string => fs.realpathSync.native(path, { encoding: 'buffer' }).toString('latin1');
const sysText = (text: string): Inode => new TextInode(() => text);

function mountDevices(
  names: Namespace,
  { entropy, memoryBytes = usualMemory }: ViewOptions,
  terminals: Terminals,
): void {
  const random = { random: randomDevice(8, entropy), urandom: randomDevice(9, entropy) };
  const hostDevices = !names.confined && fs.existsSync('/dev/null') ? '/dev' : null;
  const ours: Record<string, Inode> = {
    ...descriptorLinks(),
    ...random,
    ptmx: ptyMultiplexer(terminals),
    tty: controllingTerminal(),
  };
  const pts = new PtsDirectory(terminals, hostDevices === null ? null : '/dev/pts');
  const directory = new TreeDirectory({}, null, 0o755);
  // What the host has is as good, and host programs can be given it.
  const all =
    hostDevices === null ? { ...memoryDevices(), ...ours, mqueue: directory, pts: directory, shm: directory } : ours;
  names.mount({
    at: '/dev',
    type: 'devtmpfs',
    source: 'udev',
    readOnly: false,
    root: inodes(new TreeDirectory(all, hostDevices, 0o755)),
  });
  names.mount({ at: '/dev/pts', type: 'devpts', source: 'devpts', readOnly: false, root: inodes(pts) });
  if (hostDevices !== null) return;
  const shm = new TmpDirectory(0o1777, null, limitedCharge(memoryBytes));
  names.mount({ at: '/dev/shm', type: 'tmpfs', source: 'tmpfs', readOnly: false, root: inodes(shm) });
}

const inodes = (inode: Inode) => ({ kind: 'inodes', inode }) as const;

function mountShare(names: Namespace, { host, guest, readOnly }: Share, root: TmpDirectory | null): void {
  const real = realPath(host);
  const at = latin1(guest);
  const directory = fs.statSync(hostBytes(real)).isDirectory();
  if (root !== null) {
    const slash = at.lastIndexOf('/');
    root.makePath(directory ? at : at.slice(0, slash));
  }
  const tree = directory
    ? ({ kind: 'host', tree: new HostTree(real, true) } as const)
    : ({ kind: 'file', host: real } as const);
  names.mount({ at, type: 'bind', source: real, readOnly, root: tree });
}

/** A tree that has nothing but what the guest is given. */
export function confinedNames(options: ViewOptions): Namespace {
  const { root = null, rootReadOnly = false, shares = [], memoryBytes = usualMemory } = options;
  const names = new Namespace(true);
  const memory = root === null ? new TmpDirectory(0o755, null, limitedCharge(memoryBytes)) : null;
  if (memory !== null) {
    for (const name of ['dev', 'proc', 'sys', 'tmp']) memory.makePath(name);
    memory.makePath('tmp').chmod(0o1777);
    names.mount({ at: '/', type: 'tmpfs', source: 'tmpfs', readOnly: false, root: inodes(memory) });
  } else {
    const tree = new HostTree(realPath(root!), true);
    names.mount({ at: '/', type: 'ext4', source: '/dev/root', readOnly: rootReadOnly, root: { kind: 'host', tree } });
  }
  for (const share of shares) mountShare(names, share, memory);
  return names;
}

/** What is ours, not the host's. */
export function mountSynthetic(names: Namespace, options: ViewOptions, terminals: Terminals): void {
  const { confined } = names;
  const hostProc = !confined && fs.existsSync('/proc/self') ? '/proc' : null;
  names.mount({ at: '/proc', type: 'proc', source: 'proc', readOnly: false, root: inodes(new ProcRoot(hostProc)) });
  mountDevices(names, options, terminals);
  if (confined)
    names.mount({ at: '/sys', type: 'sysfs', source: 'sysfs', readOnly: true, root: inodes(sysRoot(sysText)) });
}
