import { constants } from 'node:fs';
import { Open } from './flags.ts';

/** Flags the host's open understands, by our number. Close-on-exec is Node's own doing. */
const hostBits: readonly (readonly [ours: number, host: number | undefined])[] = [
  [Open.create, constants.O_CREAT],
  [Open.exclusive, constants.O_EXCL],
  [Open.truncate, constants.O_TRUNC],
  [Open.append, constants.O_APPEND],
  [Open.nonBlock, constants.O_NONBLOCK],
  [Open.dsync, constants.O_DSYNC],
  [Open.syncBit, constants.O_SYNC],
  [Open.directory, constants.O_DIRECTORY],
  [Open.noFollow, constants.O_NOFOLLOW],
  [Open.noAtime, constants.O_NOATIME],
];

/** O_PATH and __O_TMPFILE have no name in Node; the numbers are those of Linux on x86 and ARM alike. */
const linuxOnly = process.platform === 'linux' ? Open.path | Open.tmpFileBit : 0;

/** The host's numbers for our open flags. A terminal never becomes tsemu's own; O_DIRECT needs aligned buffers. */
export function toHostFlags(flags: number): number {
  let host = (flags & Open.accessMode) | constants.O_NOCTTY | (flags & linuxOnly);
  for (const [ours, theirs] of hostBits) {
    if (theirs !== undefined && (flags & ours) !== 0) host |= theirs;
  }
  return host;
}
