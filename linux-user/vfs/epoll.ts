import { Errno } from '#util/errno.ts';
import { Open, Poll, pollInput } from './flags.ts';
import { anonymousStat, type FileStat, OpenFile } from './open-file.ts';

/** Bits of an interest beside the events (include/uapi/linux/eventpoll.h). */
export const EpollFlag = {
  exclusive: 0x1000_0000,
  wakeUp: 0x2000_0000,
  oneShot: 0x4000_0000,
  edge: 0x8000_0000,
} as const;
const flagBits = 0xf000_0000;
const always = Poll.err | Poll.hup;
/** What may stand beside EPOLLEXCLUSIVE. */
const exclusiveBits = Poll.in | Poll.out | always | EpollFlag.wakeUp | EpollFlag.edge | EpollFlag.exclusive;
/** Longest chain of epoll files that watch one another (EP_MAX_NESTS and one). */
const maxNesting = 5;

/** A file of the interest list: `events` with its flags, u32. */
interface Interest {
  readonly file: OpenFile;
  events: number;
  data: bigint;
  stop: () => void;
}

/** What epoll_wait gives for one file. */
export interface EpollEvent {
  readonly events: number;
  readonly data: bigint;
}

/**
 * An epoll file (epoll(7)). A wake of a watched file puts it on the ready list; only the files there are asked what
 * holds, so that waiting costs as much as is ready and not as much as is watched.
 */
export class Epoll extends OpenFile {
  /** By file and descriptor: a file may be watched once for each of its descriptors. */
  private readonly interests = new Map<OpenFile, Map<number, Interest>>();
  /** In the order in which they became ready. */
  private readonly ready = new Set<Interest>();
  /** Watched files whose state is only known after a turn of the event loop. */
  private hostDrivenFiles = 0;
  private readonly identity = anonymousStat(0o600);

  constructor() {
    super(Buffer.from('anon_inode:[eventpoll]'), Open.readWrite);
  }

  override stat(): FileStat {
    return this.identity;
  }

  override get pollable(): boolean {
    return true;
  }

  /** It has no offset, and lets itself be told one. */
  override seek(): number {
    return 0;
  }

  override get hostDriven(): boolean {
    return this.hostDrivenFiles > 0;
  }

  protected override close(): void {
    for (const byDescriptor of this.interests.values()) for (const { stop } of byDescriptor.values()) stop();
    this.interests.clear();
    this.ready.clear();
  }

  /** EPOLL_CTL_ADD. EEXIST; EPERM for what has no events; EINVAL for the epoll file itself; ELOOP. */
  add(fd: number, file: OpenFile, events: number, data: bigint): void {
    const exclusive = (events & EpollFlag.exclusive) !== 0;
    if (exclusive && ((events & ~exclusiveBits) !== 0 || file instanceof Epoll)) throw new Errno('EINVAL');
    if (this.find(fd, file) !== undefined) throw new Errno('EEXIST');
    if (file instanceof Epoll && (file.reaches(this) || file.depth() >= maxNesting)) throw new Errno('ELOOP');
    const interest: Interest = { file, events: events | always, data, stop: () => {} };
    const unwatch = file.readiness.watch((happened) => this.notice(interest, happened), exclusive);
    const unlisten = file.onClose(() => this.forget(fd, interest));
    if (file.hostDriven) this.hostDrivenFiles++;
    interest.stop = () => {
      unwatch();
      unlisten();
    };
    const byDescriptor = this.interests.get(file) ?? new Map<number, Interest>();
    this.interests.set(file, byDescriptor.set(fd, interest));
    this.look(interest);
  }

  /** EPOLL_CTL_MOD. ENOENT; EINVAL where EPOLLEXCLUSIVE is concerned. */
  modify(fd: number, file: OpenFile, events: number, data: bigint): void {
    const interest = this.find(fd, file);
    if (interest === undefined) throw new Errno('ENOENT');
    if (((events | interest.events) & EpollFlag.exclusive) !== 0) throw new Errno('EINVAL');
    interest.events = events | always;
    interest.data = data;
    this.ready.delete(interest);
    this.look(interest);
  }

  /** EPOLL_CTL_DEL. ENOENT. */
  remove(fd: number, file: OpenFile): void {
    const interest = this.find(fd, file);
    if (interest === undefined) throw new Errno('ENOENT');
    this.forget(fd, interest);
  }

  /**
   * Gives up to `max` events to `store`, and returns how many; those that still hold go to the end of the row. What
   * `store` cannot take stays (EFAULT, if it was the first).
   */
  collect(max: number, store: (index: number, event: EpollEvent) => void): number {
    let found = 0;
    let left = this.ready.size;
    for (const interest of this.ready) {
      if (found >= max || left-- === 0) break;
      const events = eventsOf(interest);
      this.ready.delete(interest);
      if (events === 0) continue;
      try {
        store(found, { events, data: interest.data });
      } catch (error) {
        this.ready.add(interest);
        if (found === 0) throw error;
        break;
      }
      found++;
      if ((interest.events & EpollFlag.oneShot) !== 0) interest.events &= flagBits;
      else if ((interest.events & EpollFlag.edge) === 0) this.ready.add(interest);
    }
    return found;
  }

  override poll(events: number): number {
    for (const interest of this.ready) {
      if (eventsOf(interest) !== 0) return events & pollInput;
      this.ready.delete(interest);
    }
    return 0;
  }

  /** The file watched as `fd`, after `skip` others that were watched under that number. ENOENT. */
  watched(fd: number, skip: number): OpenFile {
    for (const [file, byDescriptor] of this.interests) if (byDescriptor.has(fd) && skip-- === 0) return file;
    throw new Errno('ENOENT');
  }

  private find(fd: number, file: OpenFile): Interest | undefined {
    return this.interests.get(file)?.get(fd);
  }

  private forget(fd: number, interest: Interest): void {
    const { file } = interest;
    interest.stop();
    this.ready.delete(interest);
    if (file.hostDriven) this.hostDrivenFiles--;
    const byDescriptor = this.interests.get(file);
    byDescriptor?.delete(fd);
    if (byDescriptor?.size === 0) this.interests.delete(file);
  }

  private look(interest: Interest): void {
    const events = eventsOf(interest);
    if (events !== 0) this.notice(interest, events);
  }

  private notice(interest: Interest, happened: number): boolean {
    if ((happened & interest.events & ~flagBits) === 0) return false;
    this.ready.add(interest);
    return this.readiness.wake(pollInput);
  }

  private reaches(other: Epoll): boolean {
    if (this === other) return true;
    for (const file of this.interests.keys()) if (file instanceof Epoll && file.reaches(other)) return true;
    return false;
  }

  /** Epoll files on the longest chain from here, this one included. */
  private depth(): number {
    let deepest = 0;
    for (const file of this.interests.keys()) if (file instanceof Epoll) deepest = Math.max(deepest, file.depth());
    return 1 + deepest;
  }
}

/** What holds now of what is asked for; nothing for a one-shot interest that has been served. */
function eventsOf({ file, events }: Interest): number {
  const wanted = events & ~flagBits;
  return wanted === 0 ? 0 : file.poll(wanted) & wanted;
}
