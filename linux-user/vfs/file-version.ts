import type { FileStat } from './open-file.ts';

/** A change within this time (nanoseconds) of another may leave the file's times as they are. */
const clockStep = 50_000_000n;

/** What a mapping knows a host file's content by (`FileBacking.version`). */
export function fileVersion({ dev, ino, size, mtimeNs, ctimeNs }: FileStat): string | null {
  const now = BigInt(Date.now()) * 1_000_000n;
  if (now - ctimeNs < clockStep) return null;
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
