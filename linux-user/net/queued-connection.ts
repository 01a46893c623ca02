import { Errno, type ErrnoName } from '#util/errno.ts';
import { ChunkQueue } from './chunk-queue.ts';
import { endOfStream, type Incoming, type Received } from './connection.ts';

/** What an end of a connection is to its reader, whoever the other side is: a queue, an error, an end. */
export abstract class QueuedConnection {
  onEvent: (events: number) => void = () => {};
  error: ErrnoName | null = null;
  ended = false;
  sendEnded = false;
  protected readonly queue: ChunkQueue;

  /** `records`: they stay whole (SOCK_SEQPACKET). */
  constructor(records: boolean) {
    this.queue = new ChunkQueue(records);
  }

  get available(): number {
    return this.queue.length;
  }

  get readable(): boolean {
    return this.queue.count > 0;
  }

  receive(into: Incoming): Received | null {
    if (this.queue.count > 0) {
      const received = this.queue.take(into);
      if (!into.peek) this.taken();
      return received;
    }
    this.throwError();
    return this.ended ? endOfStream : null;
  }

  /** Something was taken from the queue: there may be room for more. */
  protected abstract taken(): void;

  /** Throws the error that nobody has been told of yet. */
  protected throwError(): void {
    const { error } = this;
    this.error = null;
    if (error !== null) throw new Errno(error);
  }
}
