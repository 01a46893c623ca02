import { Errno } from '#util/errno.ts';

export const slash = 0x2f;
const dot = 0x2e;

/** Longest path Linux takes, its NUL included (PATH_MAX). */
export const pathMax = 4096;

export const isAbsolute = (path: Uint8Array): boolean => path[0] === slash;

/** `directory/name`, with one slash between. */
export function joinPath(directory: Uint8Array, name: Uint8Array): Buffer {
  if (directory.length === 0) return Buffer.from(name);
  const separate = directory[directory.length - 1] === slash ? 0 : 1;
  const joined = Buffer.allocUnsafe(directory.length + separate + name.length);
  joined.set(directory, 0);
  if (separate) joined[directory.length] = slash;
  joined.set(name, directory.length + separate);
  return joined;
}

/** The absolute path without ".", empty and ".." components, by text alone (symbolic links are not looked at). */
export function normalizePath(path: Uint8Array): Buffer {
  const parts: Uint8Array[] = [];
  let start = 0;
  for (let i = 0; i <= path.length; i++) {
    if (i < path.length && path[i] !== slash) continue;
    const part = path.subarray(start, i);
    start = i + 1;
    if (part.length === 0 || (part.length === 1 && part[0] === dot)) continue;
    if (part.length === 2 && part[0] === dot && part[1] === dot) parts.pop();
    else parts.push(part);
  }
  if (parts.length === 0) return Buffer.from('/');
  return Buffer.concat(parts.flatMap((part) => [Buffer.from('/'), part]));
}

/** Throws ENOENT for the empty path and ENAMETOOLONG for one that Linux does not take. */
export function checkPath(path: Uint8Array): void {
  if (path.length === 0) throw new Errno('ENOENT');
  if (path.length >= pathMax) throw new Errno('ENAMETOOLONG');
}
