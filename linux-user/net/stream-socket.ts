import { Errno, type ErrnoName } from '#util/errno.ts';
import { Poll, pollInput, pollOutput } from '../vfs/flags.ts';
import { type Connection, endOfStream, type Incoming, type Outgoing, type Received } from './connection.ts';
import type { Listener } from './listener.ts';
import { SocketType } from './numbers.ts';
import { Socket } from './socket.ts';

/** A socket with connections (TCP, and unix SOCK_STREAM and SOCK_SEQPACKET); `Name`: how it names their ends. */
export abstract class StreamSocket<Name> extends Socket {
  protected connection: Connection | null = null;
  protected listener: Listener<Name> | null = null;
  protected underWay = false;
  /** A connect has ended, and no connect(2) has said so yet. */
  protected unclaimed = false;
  /** The connect came to nothing: the socket is shut down until the next one. */
  protected broken = false;
  /** What `send` on a socket without a connection answers. */
  protected abstract readonly unconnectedSend: ErrnoName;
  protected abstract readonly unconnectedReceive: ErrnoName;

  override get streaming(): boolean {
    return this.kind.type === SocketType.SOCK_STREAM;
  }

  override get listening(): boolean {
    return this.listener !== null;
  }

  override get connecting(): boolean {
    return this.underWay;
  }

  get connected(): boolean {
    return this.connection !== null && !this.connecting;
  }

  /** Makes `connection` this socket's. */
  protected attach(connection: Connection): void {
    this.connection = connection;
    connection.onEvent = (events) => this.readiness.wake(events);
  }

  /** A connect ends, with a connection or an error. */
  protected settle(connection: Connection | null, error: ErrnoName | null): void {
    this.underWay = false;
    this.unclaimed = true;
    if (connection === null) {
      this.connection = null;
      this.broken = true;
      this.pendingError = error;
    } else if (this.connection !== connection) this.attach(connection);
    this.readiness.wake();
  }

  override claim(): void {
    this.unclaimed = false;
    if (this.connection !== null) return;
    this.broken = false;
    this.throwPending();
    throw new Errno('ECONNABORTED');
  }

  override send(message: Outgoing): number {
    if (this.pendingError !== null) this.throwPending();
    if (this.connection === null) throw new Errno(this.broken ? 'EPIPE' : this.unconnectedSend);
    return this.connection.send(message);
  }

  override receive(into: Incoming): Received | null {
    if (this.connection !== null) return this.connection.receive(into);
    this.throwPending();
    if (this.broken) return endOfStream;
    throw new Errno(this.unconnectedReceive);
  }

  override takeError(): ErrnoName | null {
    const error = super.takeError() ?? this.connection?.error ?? null;
    if (this.connection !== null) this.connection.error = null;
    return error;
  }

  override available(): number {
    if (this.listener !== null) throw new Errno('EINVAL');
    return this.connection?.available ?? 0;
  }

  override get unsent(): number {
    return this.connection?.unsent ?? 0;
  }

  override poll(events: number): number {
    if (this.listener !== null) return this.listener.pending > 0 ? events & pollInput : 0;
    if (this.connecting) return 0;
    const { connection } = this;
    const error = this.pendingError !== null || (connection?.error ?? null) !== null ? Poll.err : 0;
    if (connection === null) {
      const failed = this.broken || error !== 0 ? pollInput | Poll.rdHup : 0;
      return error | Poll.hup | (events & (pollOutput | failed));
    }
    let ready = error;
    if (connection.readable || connection.ended) ready |= pollInput;
    if (connection.ended) ready |= Poll.rdHup;
    if (connection.ended && connection.sendEnded) ready |= Poll.hup;
    if (connection.sendEnded || connection.writable) ready |= pollOutput;
    return ready & (events | Poll.err | Poll.hup);
  }

  override shutdown(read: boolean, write: boolean): void {
    if (this.connection === null) throw new Errno('ENOTCONN');
    this.connection.shutdown(read, write);
  }

  protected override close(): void {
    this.underWay = false;
    this.listener?.close();
    this.connection?.close(this.linger === 0);
  }
}
