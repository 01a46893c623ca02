import type { OpenFile } from '../vfs/open-file.ts';
import type { SocketAddress } from './address.ts';
import { type Incoming, nobody, type Received, type SocketCredentials } from './connection.ts';

/** What comes with bytes. */
export interface ChunkLabel {
  readonly from: SocketAddress | null;
  readonly rights: readonly OpenFile[];
  readonly credentials: SocketCredentials;
}

interface Chunk {
  readonly buffer: Uint8Array;
  start: number;
  end: number;
  label: ChunkLabel;
}

export const noLabel: ChunkLabel = { from: null, rights: [], credentials: nobody };

/** Small writes to a stream share buffers of this size. */
const sharedBuffer = 4096;

/** Received bytes that wait for their reader: a stream that may be read in any pieces, or whole records. */
export class ChunkQueue {
  /** Bytes. */
  length = 0;
  private readonly records: boolean;
  private readonly chunks: Chunk[] = [];
  /** Index of the first chunk: the array is cut only now and then. */
  private first = 0;

  constructor(records: boolean) {
    this.records = records;
  }

  /** Chunks: for a queue of records their number. */
  get count(): number {
    return this.chunks.length - this.first;
  }

  /** Bytes of the next record or chunk; 0 if there is none. */
  get nextLength(): number {
    const chunk = this.chunks[this.first];
    return chunk === undefined ? 0 : chunk.end - chunk.start;
  }

  /** Adds bytes that are the queue's from now on. */
  push(bytes: Uint8Array, label: ChunkLabel = noLabel): void {
    for (const file of label.rights) file.retain();
    this.chunks.push({ buffer: bytes, start: 0, end: bytes.length, label });
    this.length += bytes.length;
  }

  /** Adds a copy. */
  append(bytes: Uint8Array, start: number, length: number, label: ChunkLabel = noLabel): void {
    const last = this.chunks.at(-1);
    if (last !== undefined && this.count > 0 && this.joins(last, length, label)) {
      last.buffer.set(bytes.subarray(start, start + length), last.end);
      last.end += length;
      this.length += length;
      return;
    }
    const shared = !this.records && length < sharedBuffer / 2;
    const buffer = new Uint8Array(shared ? sharedBuffer : length);
    buffer.set(bytes.subarray(start, start + length));
    this.push(shared ? buffer.subarray(0, 0) : buffer, label);
    if (!shared) return;
    const chunk: Chunk = { buffer, start: 0, end: length, label };
    this.chunks[this.chunks.length - 1] = chunk;
    this.length += length;
  }

  private joins(last: Chunk, length: number, label: ChunkLabel): boolean {
    if (this.records || last.end + length > last.buffer.length) return false;
    if (last.label.rights.length + label.rights.length > 0) return false;
    return last.label.credentials === label.credentials;
  }

  /**
   * Gives the next record, or what there is of a stream up to the next passed descriptors. The queue must not be empty.
   */
  take(into: Incoming): Received {
    return this.records ? this.takeRecord(into) : this.takeStream(into);
  }

  private takeRecord({ bytes, start, length, peek }: Incoming): Received {
    const { buffer, start: from, end, label } = this.chunks[this.first];
    const whole = end - from;
    const count = Math.min(length, whole);
    bytes.set(buffer.subarray(from, from + count), start);
    if (peek) for (const file of label.rights) file.retain();
    else this.drop(whole);
    return { count, whole, record: true, ...label };
  }

  private takeStream({ bytes, start, length, peek }: Incoming): Received {
    let count = 0;
    const { label } = this.chunks[this.first];
    let { rights } = label;
    for (let index = this.first; index < this.chunks.length && count < length; ) {
      const chunk = this.chunks[index];
      const part = Math.min(length - count, chunk.end - chunk.start);
      bytes.set(chunk.buffer.subarray(chunk.start, chunk.start + part), start + count);
      count += part;
      ({ rights } = chunk.label);
      if (peek) index++;
      else if (part === chunk.end - chunk.start) {
        this.drop(part);
        index = this.first;
      } else {
        chunk.start += part;
        chunk.label = { ...chunk.label, rights: [] };
        this.length -= part;
      }
      if (rights.length > 0) break;
    }
    if (peek) for (const file of rights) file.retain();
    return { count, whole: count, record: false, ...label, rights };
  }

  /** Takes the first chunk out, of which `bytes` are left. */
  private drop(bytes: number): void {
    this.length -= bytes;
    this.first++;
    if (this.first < 64 && this.first < this.chunks.length) return;
    this.chunks.splice(0, this.first);
    this.first = 0;
  }

  /** Forgets everything. */
  clear(): void {
    for (const { label } of this.chunks.slice(this.first)) for (const file of label.rights) file.release();
    this.chunks.length = 0;
    this.first = 0;
    this.length = 0;
  }
}
