import { Errno } from '#util/errno.ts';
import { Mode, Open, Poll, pollInput, pollOutput } from './flags.ts';
import { anonymousStat, changeMode, changeOwner, type FileStat, OpenFile, wouldBlock } from './open-file.ts';

/** Bytes a new pipe holds, and the most that F_SETPIPE_SZ gives (pipe(7)). */
export const pipeCapacity = 65536;
const largestCapacity = 1 << 20;
const pageBytes = 4096;
/** Writes of at most this many bytes are never split (PIPE_BUF). */
const atomicWrite = 4096;

let nextPipe = 1;

/** What stands for a pipe among files: a FIFO's inode, or nothing but these. */
export interface PipeIdentity {
  stat(): FileStat;
  chmod(mode: number): void;
  chown(uid: number, gid: number): void;
}

/** The ring of a pipe or FIFO, which its ends share. */
export class Pipe {
  readonly identity: PipeIdentity;
  readonly readers: Set<PipeEnd> = new Set();
  readonly writers: Set<PipeEnd> = new Set();
  /** How often an end has been opened for reading, for writing: who waits for the other side may miss it. */
  readerOpens = 0;
  writerOpens = 0;
  private bytes = new Uint8Array(pipeCapacity);
  private head = 0;
  length = 0;

  constructor(identity: PipeIdentity) {
    this.identity = identity;
  }

  get capacity(): number {
    return this.bytes.length;
  }

  get room(): number {
    return this.capacity - this.length;
  }

  take(target: Uint8Array, start: number, length: number): number {
    const count = this.copy(target, start, length);
    this.head = (this.head + count) % this.capacity;
    this.length -= count;
    return count;
  }

  /** Bytes that stay in the pipe (tee). */
  copy(target: Uint8Array, start: number, length: number): number {
    const { bytes, head } = this;
    const count = Math.min(length, this.length);
    const first = Math.min(count, this.capacity - head);
    target.set(bytes.subarray(head, head + first), start);
    if (count > first) target.set(bytes.subarray(0, count - first), start + first);
    return count;
  }

  put(source: Uint8Array, start: number, length: number): number {
    const { bytes, capacity } = this;
    const count = Math.min(length, this.room);
    const tail = (this.head + this.length) % capacity;
    const first = Math.min(count, capacity - tail);
    bytes.set(source.subarray(start, start + first), tail);
    if (count > first) bytes.set(source.subarray(start + first, start + count), 0);
    this.length += count;
    return count;
  }

  /** F_SETPIPE_SZ: the new capacity. EINVAL, EPERM past the limit, EBUSY for less than it holds. */
  resize(wanted: number): number {
    if (wanted < 0 || wanted > 0x80000000) throw new Errno('EINVAL');
    const capacity = Math.max(pageBytes, 2 ** Math.ceil(Math.log2(wanted)));
    if (capacity > largestCapacity) throw new Errno('EPERM');
    if (capacity < this.length) throw new Errno('EBUSY');
    const bytes = new Uint8Array(capacity);
    this.copy(bytes, 0, this.length);
    this.bytes = bytes;
    this.head = 0;
    this.wake(this.writers);
    return capacity;
  }

  wake(ends: ReadonlySet<PipeEnd>): void {
    for (const { readiness } of ends) readiness.wake();
  }
}

/** An open end of a pipe or FIFO; of both ends with O_RDWR. */
export class PipeEnd extends OpenFile {
  readonly pipe: Pipe;
  /** Openings of the other side when this one was opened: no end of file before it has been there. */
  private readonly seenReaders: number;
  private readonly seenWriters: number;

  /** `fresh`: the end of a new pipe, whose other end is there at once. */
  constructor(pipe: Pipe, path: Uint8Array, flags: number, fresh: boolean) {
    super(path, flags);
    this.pipe = pipe;
    this.seenReaders = fresh ? -1 : pipe.readerOpens;
    this.seenWriters = fresh ? -1 : pipe.writerOpens;
    if (this.readable) {
      pipe.readers.add(this);
      pipe.readerOpens++;
    }
    if (this.writable) {
      pipe.writers.add(this);
      pipe.writerOpens++;
    }
    pipe.wake(this.readable ? pipe.writers : pipe.readers);
  }

  override get fileSystem(): string {
    return 'pipefs';
  }

  /** Opening a FIFO waits for the other side (fifo(7)). */
  override whenOpen(): OpenFile | null {
    if (this.nonBlocking || (this.readable && this.writable)) return this;
    const { readers, writers, readerOpens, writerOpens } = this.pipe;
    if (this.readable) return writers.size > 0 || writerOpens !== this.seenWriters ? this : null;
    return readers.size > 0 || readerOpens !== this.seenReaders ? this : null;
  }

  override get pollable(): boolean {
    return true;
  }

  protected override close(): void {
    const { pipe } = this;
    pipe.readers.delete(this);
    pipe.writers.delete(this);
    if (pipe.readers.size === 0) pipe.wake(pipe.writers);
    if (pipe.writers.size === 0) pipe.wake(pipe.readers);
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const { pipe } = this;
    if (!this.readable) throw new Errno('EBADF');
    if (length === 0) return 0;
    if (pipe.length === 0) return pipe.writers.size === 0 ? 0 : wouldBlock;
    const count = pipe.take(bytes, start, length);
    pipe.wake(pipe.writers);
    return count;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    const { pipe } = this;
    if (!this.writable) throw new Errno('EBADF');
    if (pipe.readers.size === 0) throw new Errno('EPIPE');
    if (length === 0) return 0;
    if (pipe.room === 0 || (length <= atomicWrite && length > pipe.room)) return wouldBlock;
    const count = pipe.put(bytes, start, length);
    pipe.wake(pipe.readers);
    return count;
  }

  override stat(): FileStat {
    return this.pipe.identity.stat();
  }

  override chmod(mode: number): void {
    this.pipe.identity.chmod(mode);
  }

  override chown(uid: number, gid: number): void {
    this.pipe.identity.chown(uid, gid);
  }

  override available(): number {
    return this.pipe.length;
  }

  override poll(events: number): number {
    const { pipe } = this;
    let ready = 0;
    if (this.readable) {
      if (pipe.length > 0) ready |= events & pollInput;
      if (pipe.writers.size === 0 && pipe.writerOpens !== this.seenWriters) ready |= Poll.hup;
    }
    if (this.writable) {
      if (pipe.room >= atomicWrite) ready |= events & pollOutput;
      if (pipe.readers.size === 0) ready |= Poll.err;
    }
    return ready;
  }

  override reopen(flags: number): OpenFile {
    return new PipeEnd(this.pipe, this.path, flags & (Open.accessMode | Open.nonBlock), true);
  }
}

/** Both ends of a new pipe (pipe(2)); `flags`: O_NONBLOCK or 0. */
export function createPipe(flags: number): readonly [reader: OpenFile, writer: OpenFile] {
  const stat = anonymousStat(Mode.fifo | 0o600);
  const pipe = new Pipe({
    stat: () => stat,
    chmod: (mode) => changeMode(stat, mode),
    chown: (uid, gid) => changeOwner(stat, uid, gid),
  });
  const path = Buffer.from(`pipe:[${nextPipe++}]`);
  const reader = new PipeEnd(pipe, path, flags | Open.readOnly, true);
  return [reader, new PipeEnd(pipe, path, flags | Open.writeOnly, true)];
}
