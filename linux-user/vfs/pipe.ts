import { Errno } from '#util/errno.ts';
import { Mode, Open, Poll, pollInput, pollOutput } from './flags.ts';
import { anonymousStat, changeMode, changeOwner, type FileStat, OpenFile, wouldBlock } from './open-file.ts';

/** Bytes a pipe holds (pipe(7)). */
export const pipeCapacity = 65536;
/** Writes of at most this many bytes are never split (PIPE_BUF). */
const atomicWrite = 4096;

let nextPipe = 1;

/** The ring of a pipe, which its two ends share. */
class PipeBuffer {
  readonly bytes = new Uint8Array(pipeCapacity);
  readonly stat = anonymousStat(Mode.fifo | 0o600);
  head = 0;
  length = 0;
  reader: PipeReader | null = null;
  writer: PipeWriter | null = null;

  get room(): number {
    return pipeCapacity - this.length;
  }
}

class PipeReader extends OpenFile {
  private readonly pipe: PipeBuffer;

  constructor(pipe: PipeBuffer, path: Uint8Array, flags: number) {
    super(path, flags | Open.readOnly);
    this.pipe = pipe;
    pipe.reader = this;
  }

  override get pollable(): boolean {
    return true;
  }

  protected override close(): void {
    this.pipe.reader = null;
    this.pipe.writer?.readiness.wake();
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const { pipe } = this;
    if (length === 0) return 0;
    if (pipe.length === 0) return pipe.writer === null ? 0 : wouldBlock;
    const count = Math.min(length, pipe.length);
    const first = Math.min(count, pipeCapacity - pipe.head);
    bytes.set(pipe.bytes.subarray(pipe.head, pipe.head + first), start);
    bytes.set(pipe.bytes.subarray(0, count - first), start + first);
    pipe.head = (pipe.head + count) % pipeCapacity;
    pipe.length -= count;
    pipe.writer?.readiness.wake();
    return count;
  }

  override write(): number {
    throw new Errno('EBADF');
  }

  override stat(): FileStat {
    return this.pipe.stat;
  }

  override chmod(mode: number): void {
    changeMode(this.pipe.stat, mode);
  }

  override chown(uid: number, gid: number): void {
    changeOwner(this.pipe.stat, uid, gid);
  }

  override available(): number {
    return this.pipe.length;
  }

  override poll(events: number): number {
    const input = this.pipe.length > 0 ? events & pollInput : 0;
    return this.pipe.writer === null ? input | Poll.hup : input;
  }
}

class PipeWriter extends OpenFile {
  private readonly pipe: PipeBuffer;

  constructor(pipe: PipeBuffer, path: Uint8Array, flags: number) {
    super(path, flags | Open.writeOnly);
    this.pipe = pipe;
    pipe.writer = this;
  }

  override get pollable(): boolean {
    return true;
  }

  protected override close(): void {
    this.pipe.writer = null;
    this.pipe.reader?.readiness.wake();
  }

  override read(): number {
    throw new Errno('EBADF');
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    const { pipe } = this;
    if (pipe.reader === null) throw new Errno('EPIPE');
    if (length === 0) return 0;
    if (pipe.room === 0 || (length <= atomicWrite && length > pipe.room)) return wouldBlock;
    const count = Math.min(length, pipe.room);
    const tail = (pipe.head + pipe.length) % pipeCapacity;
    const first = Math.min(count, pipeCapacity - tail);
    pipe.bytes.set(bytes.subarray(start, start + first), tail);
    pipe.bytes.set(bytes.subarray(start + first, start + count), 0);
    pipe.length += count;
    pipe.reader.readiness.wake();
    return count;
  }

  override stat(): FileStat {
    return this.pipe.stat;
  }

  override chmod(mode: number): void {
    changeMode(this.pipe.stat, mode);
  }

  override chown(uid: number, gid: number): void {
    changeOwner(this.pipe.stat, uid, gid);
  }

  override available(): number {
    return this.pipe.length;
  }

  override poll(events: number): number {
    const output = this.pipe.room >= atomicWrite ? events & pollOutput : 0;
    return this.pipe.reader === null ? output | Poll.err : output;
  }
}

/** Both ends of a new pipe (pipe(2)); `flags`: O_NONBLOCK or 0. */
export function createPipe(flags: number): readonly [reader: OpenFile, writer: OpenFile] {
  const pipe = new PipeBuffer();
  const path = Buffer.from(`pipe:[${nextPipe++}]`);
  return [new PipeReader(pipe, path, flags), new PipeWriter(pipe, path, flags)];
}
