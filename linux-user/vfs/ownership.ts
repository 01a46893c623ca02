import type { FileStat } from './open-file.ts';

/** Who owns a file, as the guest sees it. */
interface Owner {
  readonly uid: bigint;
  readonly gid: bigint;
}

/**
 * File owners for a guest that is root without being so on the host (fakeroot): what belongs to the host's user belongs
 * to root, and a chown is remembered for as long as tsemu runs. Nothing of it reaches the host.
 */
export class Ownership {
  private readonly uid: bigint;
  private readonly gid: bigint;
  private readonly changed = new Map<string, Owner>();

  /** `uid` and `gid`: who tsemu is on the host. */
  constructor(uid: number, gid: number) {
    this.uid = BigInt(uid);
    this.gid = BigInt(gid);
  }

  /** The stat with the owner that the guest sees. */
  shown(stat: FileStat): FileStat {
    const owner = this.ownerOf(stat);
    return { ...plain(stat), ...owner };
  }

  /** chown(2); -1 leaves an id alone. */
  change(stat: FileStat, uid: number, gid: number): void {
    const now = this.ownerOf(stat);
    this.changed.set(key(stat), {
      uid: uid === -1 ? now.uid : BigInt(uid >>> 0),
      gid: gid === -1 ? now.gid : BigInt(gid >>> 0),
    });
  }

  /** The last name of the file is about to go: its number may come again. */
  forget(stat: FileStat): void {
    if (stat.nlink <= 1n) this.changed.delete(key(stat));
  }

  /** Nothing has been changed: `forget` has nothing to do. */
  get empty(): boolean {
    return this.changed.size === 0;
  }

  private ownerOf(stat: FileStat): Owner {
    const known = this.changed.get(key(stat));
    if (known !== undefined) return known;
    return { uid: stat.uid === this.uid ? 0n : stat.uid, gid: stat.gid === this.gid ? 0n : stat.gid };
  }
}

const key = ({ dev, ino }: FileStat): string => `${dev}:${ino}`;

/** Node's stat has getters for its times, which a copy of its fields would lose. */
function plain(stat: FileStat): FileStat {
  const { dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks } = stat;
  const { atimeNs, mtimeNs, ctimeNs, birthtimeNs } = stat;
  return { dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, atimeNs, mtimeNs, ctimeNs, birthtimeNs };
}
