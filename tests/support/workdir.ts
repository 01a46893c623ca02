import {
  chmodSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { cachePath } from './cache.ts';

/** A folder's wished content: text, bytes, a symbolic link, or null for an empty folder. */
export type Tree = Record<string, string | Uint8Array | { link: string } | null>;

// 2001-02-03 04:05:06 UTC: a moment that no test makes by chance.
const FIXED_TIME = 981_173_106;

/**
 * An emptied working folder of that name with `tree` in it, all times fixed. Both sides of a comparison run in the
 * same path one after the other, so that paths in their output are equal.
 */
export function freshWorkdir(name: string, tree: Tree): string {
  const parent = cachePath('work', name, '.');
  const root = join(parent, 'dir');
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  for (const [path, content] of Object.entries(tree)) {
    const full = join(root, path);
    mkdirSync(content === null ? full : dirname(full), { recursive: true });
    if (content === null) continue;
    if (typeof content === 'string' || content instanceof Uint8Array) {
      writeFileSync(full, content);
      chmodSync(full, path.endsWith('.sh') ? 0o755 : 0o644);
    } else symlinkSync(content.link, full);
  }
  fixTimes(root);
  lutimesSync(parent, FIXED_TIME, FIXED_TIME);
  return root;
}

function fixTimes(path: string): void {
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) fixTimes(join(path, name));
  lutimesSync(path, FIXED_TIME, FIXED_TIME);
}

/** One line per entry below `root` with kind, permissions and content: what a program left behind. */
export function describeTree(root: string, prefix = ''): string[] {
  return readdirSync(join(root, prefix))
    .sort()
    .flatMap((name) => {
      const path = join(prefix, name);
      const full = join(root, path);
      const stat = lstatSync(full);
      const mode = (stat.mode & 0o7777).toString(8);
      if (stat.isDirectory()) return [`${path}/ ${mode}`, ...describeTree(root, path)];
      if (stat.isSymbolicLink()) return [`${path} -> ${readlinkSync(full)}`];
      if (!stat.isFile()) return [`${path} special ${mode}`];
      return [`${path} ${mode} ${stat.nlink} ${readFileSync(full).toString('latin1')}`];
    });
}
