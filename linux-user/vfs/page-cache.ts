import { FileMemory } from '../mm/file-memory.ts';
import type { FileBacking } from '../mm/vma.ts';
import type { OpenFile } from './open-file.ts';

/** The files that guests have mapped for all to see, so that they see each other's changes. */
export class PageCache {
  private readonly files = new Map<string, FileMemory>();
  private readonly backings = new WeakMap<OpenFile, FileBacking>();

  /** `backing`, the way a shared mapping of `file` uses it. Who can only read joins those who write. */
  backing(file: OpenFile, backing: FileBacking): FileBacking {
    const known = this.backings.get(file);
    if (known !== undefined) return known;
    const key = keyOf(file);
    const make = (): FileMemory => {
      const made = new FileMemory(backing, (used) => {
        if (used) this.files.set(key, made);
        else this.files.delete(key);
      });
      return made;
    };
    let mine: FileMemory | null = null;
    const shared: FileBacking = {
      ...backing,
      shared: () => {
        mine = this.files.get(key) ?? (backing.writable ? make() : null);
        return mine;
      },
      retain: () => {
        mine?.retain();
        backing.retain();
      },
      release: () => {
        mine?.release();
        backing.release();
      },
    };
    this.backings.set(file, shared);
    return shared;
  }

  /** True if somebody has mapped the file for all to see. */
  maps(file: OpenFile): boolean {
    return this.files.size > 0 && file.seekable && this.files.has(keyOf(file));
  }

  /** `file` has been written to: `count` bytes at `offset`, or, null, before where it is now. True if it is mapped. */
  written(file: OpenFile, count: number, offset: number | null): boolean {
    if (this.files.size === 0 || count <= 0 || !file.seekable) return false;
    const pages = this.files.get(keyOf(file));
    if (pages === undefined) return false;
    const start = offset ?? file.seek(0, 1) - count;
    pages.reload(start, start + count);
    return true;
  }
}

function keyOf(file: OpenFile): string {
  const { dev, ino } = file.stat();
  return `${dev}:${ino}`;
}
