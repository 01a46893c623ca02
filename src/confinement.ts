// What the command line lets the guest have of the host: files, network, who it is.
import { existsSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Credentials, hostCredentials, rootCredentials } from '#linux-user/credentials.ts';
import type { Entropy } from '#linux-user/entropy.ts';
import { closedGate, type NetworkGate, openGate } from '#linux-user/net/gate.ts';
import { FileSystem } from '#linux-user/vfs/file-system.ts';
import { Ownership } from '#linux-user/vfs/ownership.ts';
import { createView, type Share } from '#linux-user/vfs/view.ts';
import { UsageError, type UserConfig } from './options.ts';

export interface Confinement {
  readonly fs: FileSystem;
  readonly credentials: Credentials;
  readonly networkGate: NetworkGate;
}

/** A folder or file as --ro and --rw name it: PATH, or HOST:GUEST. */
function shareOf({ text, readOnly }: UserConfig['shares'][number]): Share {
  const colon = text.indexOf(':');
  const host = resolve(colon < 0 ? text : text.slice(0, colon));
  const guest = colon < 0 ? host : resolve('/', text.slice(colon + 1));
  if (!existsSync(host)) throw new UsageError(`${readOnly ? '--ro' : '--rw'}: there is no '${host}'`);
  return { host, guest, readOnly };
}

/** What is named by other options can be read in a sandbox: the program. */
function namedFiles({ program, root, sandbox }: UserConfig, shares: readonly Share[]): Share[] {
  if (!sandbox || root !== null) return [];
  const host = resolve(program);
  if (!existsSync(host) || shares.some(({ guest }) => host === guest || host.startsWith(`${guest}/`))) return [];
  return [{ host, guest: host, readOnly: true }];
}

function rootFolder(root: string | null): string | null {
  if (root === null) return null;
  const path = resolve(root);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new UsageError(`--root: '${root}' is no folder`);
  return realpathSync(path);
}

/** Where the guest starts: where tsemu was started if the guest has that, else at the root. */
function startFolder(root: string | null, shares: readonly Share[]): string {
  const here = process.cwd();
  if (root !== null) {
    if (here === root) return '/';
    return here.startsWith(`${root}/`) ? here.slice(root.length) : '/';
  }
  const share = shares.find(({ host }) => here === host || here.startsWith(`${host}/`));
  return share === undefined ? '/' : `${share.guest}${here.slice(share.host.length)}`;
}

/** Throws UsageError. */
export function confine(config: UserConfig, entropy: Entropy): Confinement {
  const { sandbox, shares: paths, ldPrefix, network } = config;
  const root = rootFolder(config.root);
  const gate = (network ?? !sandbox) ? openGate : closedGate;
  const umask = process.umask();
  if (!sandbox && root === null) {
    if (paths.length > 0) throw new UsageError('--ro and --rw need --sandbox or --root');
    const fs = new FileSystem({ cwd: process.cwd(), umask, prefix: ldPrefix, entropy });
    return { fs, credentials: hostCredentials(), networkGate: gate };
  }
  if (ldPrefix !== null) throw new UsageError('-L: with --root or --sandbox, share the folder with --ro');
  const given = paths.map(shareOf);
  const rootShare = given.find(({ guest }) => guest === '/');
  const inner = given.filter(({ guest }) => guest !== '/');
  const shares = [...inner, ...namedFiles(config, inner)];
  const credentials = root === null ? hostCredentials() : rootCredentials();
  const owners = root === null ? null : new Ownership(process.geteuid?.() ?? 0, process.getegid?.() ?? 0);
  const view = createView({
    entropy,
    prefix: null,
    root: root ?? rootShare?.host ?? null,
    rootReadOnly: rootShare?.readOnly ?? false,
    sandbox,
    shares,
    owners,
    ...(config.memory !== null && { memoryBytes: config.memory }),
  });
  const fs = new FileSystem({ cwd: startFolder(root, shares), umask, prefix: null, entropy, view });
  return { fs, credentials, networkGate: gate };
}
