import * as fs from 'node:fs';
import { errnoNumbers, errnoOf } from '#util/errno.ts';
import { type HostCalls, hostCalls } from '../host-calls.ts';
import type { HeldRange } from './file-locks.ts';
import type { OpenFile } from './open-file.ts';

/*
 * The record locks of all guests on one file, as one holder's in the eyes of the host's programs: locks of a description
 * of their own (F_OFD_SETLK), which end with tsemu at the latest. Only where the host's C library can be asked.
 */

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** struct flock of a 64-bit Linux. */
const flockBytes = 32;
const field = { type: 0, whence: 2, start: 8, length: 16, pid: 24 } as const;

type LockType = typeof F_RDLCK | typeof F_WRLCK | typeof F_UNLCK;

export class HostRecordLocks {
  private readonly calls: HostCalls;
  private readonly fd: number;

  private constructor(calls: HostCalls, fd: number) {
    this.calls = calls;
    this.fd = fd;
  }

  /** null for a file that the host does not have, or on a host that cannot be asked. */
  static of(file: OpenFile): HostRecordLocks | null {
    const calls = file.hostFd < 0 ? null : hostCalls();
    if (calls === null) return null;
    for (const access of [fs.constants.O_RDWR, fs.constants.O_RDONLY, fs.constants.O_WRONLY]) {
      try {
        return new HostRecordLocks(
          calls,
          fs.openSync(`/proc/self/fd/${file.hostFd}`, access | fs.constants.O_NONBLOCK),
        );
      } catch {
        // Not permitted so; the next one may be.
      }
    }
    return null;
  }

  close(): void {
    fs.closeSync(this.fd);
  }

  /** False if a program of the host holds some of the bytes otherwise. */
  take(range: Omit<HeldRange, 'pid'>): boolean {
    return this.set(range.exclusive ? F_WRLCK : F_RDLCK, range.start, range.end);
  }

  /** What a program of the host holds that stands in the way; null: nothing. */
  blocker({ exclusive, start, end }: Omit<HeldRange, 'pid'>): HeldRange | null {
    const words = flock(exclusive ? F_WRLCK : F_RDLCK, start, end);
    try {
      this.calls.call('fcntl', this.fd, F_OFD_GETLK, words.buffer);
    } catch {
      return null;
    }
    const type = words.getInt16(field.type, true);
    if (type === F_UNLCK) return null;
    const from = Number(words.getBigInt64(field.start, true));
    const length = Number(words.getBigInt64(field.length, true));
    return {
      exclusive: type === F_WRLCK,
      start: from,
      end: length === 0 ? Infinity : from + length - 1,
      pid: words.getInt32(field.pid, true),
    };
  }

  /** Of the bytes from `start` to `end` the guests hold no more than `held`. */
  reduce(start: number, end: number, held: readonly HeldRange[]): void {
    const edges = new Set([start]);
    for (const each of held)
      for (const edge of [each.start, each.end + 1]) if (edge > start && edge <= end) edges.add(edge);
    const starts = [...edges].sort((a, b) => a - b);
    starts.forEach((from, index) => {
      const to = index + 1 < starts.length ? starts[index + 1] - 1 : end;
      const over = held.filter((each) => each.start <= from && to <= each.end);
      this.set(over.length === 0 ? F_UNLCK : over.some(({ exclusive }) => exclusive) ? F_WRLCK : F_RDLCK, from, to);
    });
  }

  private set(type: LockType, start: number, end: number): boolean {
    try {
      this.calls.call('fcntl', this.fd, F_OFD_SETLK, flock(type, start, end).buffer);
      return true;
    } catch (error) {
      // Anything else: a file system without such locks, or one not opened for it. They hold among guests, then.
      return errnoOf(error) !== errnoNumbers.EAGAIN;
    }
  }
}

function flock(type: LockType, start: number, end: number): DataView<ArrayBuffer> {
  const words = new DataView(new ArrayBuffer(flockBytes));
  words.setInt16(field.type, type, true);
  words.setInt16(field.whence, 0, true);
  words.setBigInt64(field.start, BigInt(start), true);
  words.setBigInt64(field.length, end === Infinity ? 0n : BigInt(end - start + 1), true);
  return words;
}
