import type * as fs from 'node:fs';

/** f_type by the type of a mount (include/uapi/linux/magic.h). */
const magic: Readonly<Record<string, bigint>> = {
  proc: 0x9fa0n,
  sysfs: 0x62656572n,
  tmpfs: 0x01021994n,
  devtmpfs: 0x01021994n,
  devpts: 0x1cd1n,
  mqueue: 0x19800202n,
  pipefs: 0x50495045n,
  sockfs: 0x534f434bn,
  anonymous: 0x09041934n,
};

/** What a file system of ours says of itself. */
export function syntheticStatfs(type: string): fs.BigIntStatsFs {
  return {
    type: magic[type] ?? magic['anonymous'],
    bsize: 4096n,
    frsize: 4096n,
    blocks: 0n,
    bfree: 0n,
    bavail: 0n,
    files: 0n,
    ffree: 0n,
  } as fs.BigIntStatsFs;
}
