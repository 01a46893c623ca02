import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import type { FileSystem } from './file-system.ts';
import { Open, Poll, pollInput, pollOutput } from './flags.ts';
import { toHostFlags } from './host-flags.ts';
import { HostStream, isAgain } from './host-stream.ts';
import { O_PATH } from './host-tree.ts';
import type { Inode } from './inode.ts';
import { type FileStat, OpenFile, wouldBlock } from './open-file.ts';
import { Pipe, PipeEnd, pipeCapacity } from './pipe.ts';

/* FIFOs (fifo(7)). One of ours is a pipe with a name; one of the host passes its bytes through the host's kernel. */

/** Time between two looks whether the other side of a host's FIFO is there, milliseconds: doubled up to the second. */
const firstLook = 1;
const lastLook = 16;

const pipes = new WeakMap<Inode, Pipe>();

/** Opens a FIFO of a file system of ours. ENXIO for a writer that must not wait and has no reader. */
export function openFifo(inode: Inode, path: Uint8Array, flags: number): OpenFile {
  const pipe = pipes.get(inode) ?? new Pipe(inode);
  pipes.set(inode, pipe);
  const access = flags & Open.accessMode;
  const alone = access === Open.writeOnly && pipe.readers.size === 0;
  if (alone && (flags & Open.nonBlock) !== 0) throw new Errno('ENXIO');
  return new PipeEnd(pipe, path, flags, false);
}

/**
 * An open end of a host's FIFO. Its descriptor is our own and never waits, so it is read directly: another one, opened
 * for Node to watch, would never be told of an end that came before it was there (pipe_poll in fs/pipe.c).
 */
class HostFifo extends HostStream {
  private ready: Buffer;
  /** Somebody has written or could: from then on the end of the writers is a hang-up. */
  private met: boolean;
  private delay = firstLook;
  private timer: NodeJS.Timeout | null = null;

  constructor(view: FileSystem, path: Uint8Array, flags: number, fd: number, already: Buffer | null, met: boolean) {
    super(path, flags, fd, true, () => view.mayBlock());
    this.ready = already ?? Buffer.alloc(0);
    this.met = met;
  }

  override unread(bytes: Buffer): void {
    this.ready = Buffer.concat([bytes, this.ready]);
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    if (length === 0) return 0;
    if (this.ready.length === 0) return this.look(bytes, start, length);
    const count = this.ready.copy(bytes, start, 0, Math.min(length, this.ready.length));
    this.ready = this.ready.subarray(count);
    return count;
  }

  override available(): number {
    if (this.ready.length === 0) this.fill();
    return this.ready.length;
  }

  override poll(events: number): number {
    const output = this.writable ? events & pollOutput : 0;
    if (!this.readable || (events & pollInput) === 0) return output;
    const ended = this.ready.length === 0 && this.fill() === 0 && this.met;
    return output | (this.ready.length > 0 ? events & pollInput : 0) | (ended ? Poll.hup : 0);
  }

  private fill(): number {
    const bytes = Buffer.alloc(pipeCapacity);
    const count = this.look(bytes, 0, bytes.length);
    if (count > 0) this.ready = bytes.subarray(0, count);
    return count;
  }

  /** What is there; 0 without a writer. Who finds nothing is woken to look again. */
  private look(bytes: Uint8Array, start: number, length: number): number {
    try {
      const count = fs.readSync(this.hostFd, bytes, start, length, null);
      if (count > 0) this.delay = firstLook;
      this.met ||= count > 0;
      if (count === 0 && !this.met) this.lookLater();
      return count;
    } catch (error) {
      if (!isAgain(error)) throw error;
      this.met = true;
      this.lookLater();
      return wouldBlock;
    }
  }

  private lookLater(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.delay = Math.min(2 * this.delay, lastLook);
      this.readiness.wake(pollInput);
    }, this.delay);
  }

  protected override close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    super.close();
  }
}

/** A FIFO of the host whose other side nobody has opened yet: no program, neither a guest's nor the host's. */
class WaitingFifo extends OpenFile {
  private readonly view: FileSystem;
  /** Means the FIFO itself, whatever happens to its name. */
  private readonly place: number;
  private reader: number;
  private delay = firstLook;
  private timer: NodeJS.Timeout | null = null;
  private found: OpenFile | null = null;

  /** `reader`: the end that has been opened for reading; -1 for a writer. */
  constructor(view: FileSystem, host: Buffer, path: Uint8Array, flags: number, reader: number) {
    super(path, flags);
    this.view = view;
    this.reader = reader;
    this.place = reader >= 0 ? -1 : fs.openSync(host, O_PATH);
  }

  override stat(): FileStat {
    return fs.fstatSync(this.reader >= 0 ? this.reader : this.place, { bigint: true });
  }

  override whenOpen(): OpenFile | null {
    this.found ??= this.reader >= 0 ? this.lookForWriter() : this.lookForReader();
    if (this.found !== null) return this.found;
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.delay = Math.min(2 * this.delay, lastLook);
      this.readiness.wake();
    }, this.delay);
    return null;
  }

  /** A FIFO that nobody writes to is at its end; one that somebody does has nothing yet, or something. */
  private lookForWriter(): OpenFile | null {
    const bytes = Buffer.alloc(pipeCapacity);
    try {
      const count = fs.readSync(this.reader, bytes);
      return count === 0 ? null : this.end(this.reader, bytes.subarray(0, count));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      return this.end(this.reader, null);
    }
  }

  private lookForReader(): OpenFile | null {
    try {
      const fd = fs.openSync(`/proc/self/fd/${this.place}`, toHostFlags(Open.writeOnly | Open.nonBlock));
      return this.end(fd, null);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
      return null;
    }
  }

  private end(fd: number, already: Buffer | null): OpenFile {
    this.reader = -1;
    const stream = new HostFifo(this.view, this.path, this.flags, fd, already, true);
    stream.mount = this.mount;
    return stream;
  }

  protected override close(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    if (this.reader >= 0) fs.closeSync(this.reader);
    if (this.place >= 0) fs.closeSync(this.place);
  }
}

/** Opens a FIFO of the host. `fd`: its end, opened without waiting; undefined for a writer that has no reader. ENXIO. */
export function openHostFifo(view: FileSystem, host: Buffer, path: Uint8Array, flags: number, fd?: number): OpenFile {
  const access = flags & Open.accessMode;
  const waits = (flags & Open.nonBlock) === 0;
  if (fd === undefined) {
    if (!waits || access !== Open.writeOnly) throw new Errno('ENXIO');
    return new WaitingFifo(view, host, path, flags, -1);
  }
  if (waits && access === Open.readOnly) return new WaitingFifo(view, host, path, flags, fd);
  return new HostFifo(view, path, flags, fd, null, false);
}
