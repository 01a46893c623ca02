import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import { type HostCalls, hostCalls } from '../host-calls.ts';
import { Mode, Open, pollInput } from './flags.ts';
import type { Place } from './namespace.ts';
import { anonymousStat, type FileStat, OpenFile, wouldBlock } from './open-file.ts';

/** Bytes of an event before its name (inotify(7)). */
const headBytes = 16;
const nameLengthAt = 12;
/** Most that one look at the host takes. */
const lookBytes = 65536;
/** Time between two looks while somebody waits, milliseconds: doubled up to the second. */
const firstLook = 1;
const lastLook = 16;

const IN_DONT_FOLLOW = 0x02000000;
const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;

/**
 * An inotify file (inotify(7)): one of the host, which sees what guests do to its files and what anybody else does. What
 * happens to files in memory is not seen.
 */
export class Inotify extends OpenFile {
  private readonly calls: HostCalls;
  private readonly fd: number;
  private events: Buffer[] = [];
  private delay = firstLook;
  private timer: NodeJS.Timeout | null = null;
  private readonly identity = anonymousStat(Mode.regular | 0o600);
  /** Watches of files in memory, which have numbers of their own. */
  private nextSilent = 0x40000000;
  private readonly silent = new Map<number, object>();

  /** ENOSYS on a host that has none. */
  constructor(flags: number) {
    super(Buffer.from('anon_inode:inotify'), flags);
    const calls = hostCalls();
    if (calls === null) throw new Errno('ENOSYS');
    this.calls = calls;
    this.fd = calls.call('inotify_init1', IN_NONBLOCK | IN_CLOEXEC);
  }

  protected override close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    fs.closeSync(this.fd);
  }

  override stat(): FileStat {
    return this.identity;
  }

  override get pollable(): boolean {
    return true;
  }

  /** inotify_add_watch(2): the number of the watch. */
  add(place: Place, mask: number): number {
    if (place.kind === 'node') return this.addSilent(place.inode);
    const { calls } = this;
    if (place.kind === 'file') {
      if (place.file.hostFd < 0) return this.addSilent(place.file);
      const path = calls.text(Buffer.from(`/proc/self/fd/${place.file.hostFd}`));
      return calls.call('inotify_add_watch', this.fd, path, mask);
    }
    const path = calls.text(place.host);
    return calls.call('inotify_add_watch', this.fd, path, place.confined ? mask | IN_DONT_FOLLOW : mask);
  }

  private addSilent(object: object | null): number {
    if (object === null) throw new Errno('ENOENT');
    for (const [number, known] of this.silent) if (known === object) return number;
    this.silent.set(this.nextSilent, object);
    return this.nextSilent++;
  }

  /** inotify_rm_watch(2). EINVAL. */
  remove(watch: number): void {
    if (this.silent.delete(watch)) return;
    this.calls.call('inotify_rm_watch', this.fd, watch);
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    this.look();
    if (this.events.length === 0) {
      this.lookAgain();
      return wouldBlock;
    }
    let done = 0;
    while (this.events.length > 0 && this.events[0].length <= length - done) {
      const event = this.events.shift()!;
      bytes.set(event, start + done);
      done += event.length;
    }
    if (done === 0) throw new Errno('EINVAL');
    return done;
  }

  /** Takes what the host has. */
  private look(): void {
    const bytes = Buffer.allocUnsafe(lookBytes);
    let count: number;
    try {
      count = fs.readSync(this.fd, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
      throw error;
    }
    for (let at = 0; at < count; ) {
      const end = at + headBytes + bytes.readUInt32LE(at + nameLengthAt);
      this.events.push(bytes.subarray(at, end));
      at = end;
    }
  }

  /** Node cannot wait for such a descriptor: it is looked at again and again while somebody does. */
  private lookAgain(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.look();
      if (this.events.length > 0) {
        this.delay = firstLook;
        this.readiness.wake(pollInput);
      } else {
        this.delay = Math.min(2 * this.delay, lastLook);
        this.lookAgain();
      }
    }, this.delay).unref();
  }

  override available(): number {
    this.look();
    return this.events.reduce((sum, { length }) => sum + length, 0);
  }

  override poll(events: number): number {
    if (this.events.length === 0) this.look();
    if (this.events.length > 0) return events & pollInput;
    this.lookAgain();
    return 0;
  }
}

export const inotifyFlags: number = Open.closeOnExec | Open.nonBlock;
