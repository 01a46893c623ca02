import * as fs from 'node:fs';
import type { Entropy } from '../entropy.ts';
import { controllingTerminal, descriptorLinks, memoryDevices, randomDevice, sysRoot } from './devices.ts';
import { FileLocks } from './file-locks.ts';
import { HostTree, hostBytes } from './host-tree.ts';
import { type Inode, TreeDirectory } from './inode.ts';
import { Namespace } from './namespace.ts';
import type { Ownership } from './ownership.ts';
import { PageCache } from './page-cache.ts';
import { ProcRoot } from './proc/root.ts';
import { TextInode } from './proc/text-inode.ts';
import { PtsDirectory, ptyMultiplexer } from './ptys.ts';
import { Terminals } from './terminals.ts';
import { limitedCharge, TmpDirectory } from './tmpfs.ts';

/** What a tree of guest processes sees of files: shared by all of them. */
export interface GuestView {
  readonly names: Namespace;
  /** The -L folder as a tree of its own, and its path; null without. */
  readonly prefix: Namespace | null;
  readonly prefixRoot: Buffer | null;
  /** Who owns files for a guest that only seems to be root; null: who the host says. */
  readonly owners: Ownership | null;
  readonly terminals: Terminals;
  readonly locks: FileLocks;
  readonly pages: PageCache;
  readonly entropy: Entropy;
}

/** A folder or file of the host that the guest is given. */
export interface Share {
  /** Absolute host path. */
  readonly host: string;
  /** Absolute path in the guest. */
  readonly guest: string;
  readonly readOnly: boolean;
}

export interface ViewOptions {
  readonly entropy: Entropy;
  /** -L: absolute host path, or null. */
  readonly prefix: string | null;
  /** --root: absolute host path of what the guest sees as "/", or null. */
  readonly root?: string | null;
  readonly rootReadOnly?: boolean;
  /** --sandbox: nothing of the host but what is shared. */
  readonly sandbox?: boolean;
  readonly shares?: readonly Share[];
  readonly owners?: Ownership | null;
  /** Most bytes that files in memory hold together. */
  readonly memoryBytes?: number;
}

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
  if (hostDevices !== null) {
    // What the host has is as good, and host programs can be given it.
    names.mount({
      at: '/dev',
      type: 'devtmpfs',
      source: 'udev',
      readOnly: false,
      root: inodes(new TreeDirectory(ours, hostDevices, 0o755)),
    });
    names.mount({ at: '/dev/pts', type: 'devpts', source: 'devpts', readOnly: false, root: inodes(pts) });
    return;
  }
  const directory = new TreeDirectory({}, null, 0o755);
  const all = { ...memoryDevices(), ...ours, mqueue: directory, pts: directory, shm: directory };
  names.mount({
    at: '/dev',
    type: 'devtmpfs',
    source: 'udev',
    readOnly: false,
    root: inodes(new TreeDirectory(all, null, 0o755)),
  });
  names.mount({ at: '/dev/pts', type: 'devpts', source: 'devpts', readOnly: false, root: inodes(pts) });
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

function confinedNames(options: ViewOptions): Namespace {
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
function mountSynthetic(names: Namespace, options: ViewOptions, terminals: Terminals): void {
  const { confined } = names;
  const hostProc = !confined && fs.existsSync('/proc/self') ? '/proc' : null;
  names.mount({ at: '/proc', type: 'proc', source: 'proc', readOnly: false, root: inodes(new ProcRoot(hostProc)) });
  mountDevices(names, options, terminals);
  if (confined)
    names.mount({ at: '/sys', type: 'sysfs', source: 'sysfs', readOnly: true, root: inodes(sysRoot(sysText)) });
}

/** What the guest sees: everything the host has, or only what it is given. Throws what the host says of a path. */
export function createView(options: ViewOptions): GuestView {
  const { prefix, entropy, owners = null } = options;
  const confined = options.sandbox === true || (options.root ?? null) !== null;
  const terminals = new Terminals();
  const names = confined
    ? confinedNames(options)
    : new Namespace(false, (all) => mountSynthetic(all, options, terminals));
  if (confined) {
    mountSynthetic(names, options, terminals);
  } else {
    const tree = new HostTree('/', false);
    names.mount({ at: '/', type: 'rootfs', source: 'rootfs', readOnly: false, root: { kind: 'host', tree } });
  }
  return { names, ...prefixView(prefix), owners, terminals, locks: new FileLocks(), pages: new PageCache(), entropy };
}

function prefixView(prefix: string | null): Pick<GuestView, 'prefix' | 'prefixRoot'> {
  if (prefix === null || !fs.existsSync(hostBytes(prefix))) return { prefix: null, prefixRoot: null };
  const real = fs.realpathSync.native(hostBytes(prefix), { encoding: 'buffer' }).toString('latin1');
  const tree = new HostTree(real, false);
  const names = new Namespace(true);
  names.mount({ at: '/', type: 'bind', source: real, readOnly: false, root: { kind: 'host', tree } });
  return { prefix: names, prefixRoot: hostBytes(real) };
}
