import * as fs from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const maximumLinks = 40;

/**
 * The host path of an absolute guest path: below the -L folder if something is there, else the path itself. A link
 * below the folder that points to an absolute path points below the folder.
 */
export function hostPathOf(path: string, prefix: string | null): string {
  if (prefix === null) return path;
  let inside = path;
  for (let i = 0; i < maximumLinks; i++) {
    const host = join(prefix, inside);
    let target: string;
    try {
      target = fs.readlinkSync(host);
    } catch {
      return fs.existsSync(host) ? host : path;
    }
    inside = target.startsWith('/') ? target : resolve(dirname(inside), target);
  }
  return path;
}
