import { Errno, type ErrnoName } from '#util/errno.ts';
import { socketBufferBytes } from '../tunables.ts';
import { Poll, pollInput, pollOutput } from '../vfs/flags.ts';
import { wouldBlock } from '../vfs/open-file.ts';
import type { Connection, Outgoing } from './connection.ts';
import { QueuedConnection } from './queued-connection.ts';

/** What differs between the connections that guests have with one another. */
export interface MemoryConnectionKind {
  /** Records stay whole (SOCK_SEQPACKET). */
  readonly records: boolean;
  /**
   * The other side learns of a closed end as a TCP peer does: a close that leaves data unread is a reset, and the first
   * bytes sent to a closed end are lost. A unix socket knows at once.
   */
  readonly overWire: boolean;
}

/** One end of a connection between guests, all of it in memory. */
class MemoryConnection extends QueuedConnection implements Connection {
  peer!: MemoryConnection;
  private readonly kind: MemoryConnectionKind;
  private closed = false;

  constructor(kind: MemoryConnectionKind) {
    super(kind.records);
    this.kind = kind;
  }

  get writable(): boolean {
    return this.peer.queue.length < socketBufferBytes / 2;
  }

  get unsent(): number {
    return this.kind.overWire ? 0 : this.peer.queue.length;
  }

  send(message: Outgoing): number {
    const { peer, kind } = this;
    // A unix stream does not look at the error before it finds itself shut down.
    const looksFirst = kind.records || kind.overWire;
    if (looksFirst) this.throwError();
    if (this.sendEnded) throw new Errno('EPIPE');
    if (peer.closed) return this.sendToClosed(message);
    const room = socketBufferBytes - peer.queue.length;
    if (kind.records) {
      if (message.length > socketBufferBytes) throw new Errno('EMSGSIZE');
      if (message.length > room && peer.queue.count > 0) return wouldBlock;
    } else if (message.length === 0) return 0;
    else if (room <= 0) return wouldBlock;
    const count = kind.records ? message.length : Math.min(message.length, room);
    const { bytes, start, rights, credentials } = message;
    peer.queue.append(bytes, start, count, { from: null, rights, credentials });
    peer.onEvent(pollInput);
    return count;
  }

  /** The answer to bytes for a closed TCP connection is a reset. */
  private sendToClosed({ length }: Outgoing): number {
    if (!this.kind.overWire) throw new Errno('EPIPE');
    this.breakOff('EPIPE');
    return length;
  }

  protected override taken(): void {
    if (this.peer.writable) this.peer.onEvent(pollOutput);
  }

  shutdown(read: boolean, write: boolean): void {
    const { peer } = this;
    if (read) {
      this.ended = true;
      if (!this.kind.overWire) peer.sendEnded = true;
    }
    if (write) {
      this.sendEnded = true;
      peer.ended = true;
    }
    const happened = pollInput | pollOutput | Poll.rdHup | Poll.hup;
    this.onEvent(happened);
    peer.onEvent(happened);
  }

  close(reset: boolean): void {
    const { peer, kind } = this;
    const unread = this.queue.count > 0;
    this.closed = true;
    this.queue.clear();
    if (peer.closed) return;
    if (reset || unread) peer.breakOff('ECONNRESET');
    else {
      peer.ended = true;
      if (!kind.overWire) peer.sendEnded = true;
      peer.onEvent(pollInput | pollOutput | Poll.rdHup | Poll.hup);
    }
  }

  private breakOff(error: ErrnoName): void {
    this.error = error;
    this.ended = true;
    this.sendEnded = true;
    this.onEvent(pollInput | pollOutput | Poll.err | Poll.hup | Poll.rdHup);
  }
}

/** A connection between two guests. */
export function createPair(kind: MemoryConnectionKind): readonly [Connection, Connection] {
  const one = new MemoryConnection(kind);
  const other = new MemoryConnection(kind);
  one.peer = other;
  other.peer = one;
  return [one, other];
}
