import * as fs from 'node:fs';
import type { Entropy } from '../entropy.ts';
import { FileLocks } from './file-locks.ts';
import { HostTree, hostBytes } from './host-tree.ts';
import { confinedNames, mountSynthetic } from './mounts.ts';
import { Namespace } from './namespace.ts';
import type { Ownership } from './ownership.ts';
import { PageCache } from './page-cache.ts';
import { Terminals } from './terminals.ts';

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
