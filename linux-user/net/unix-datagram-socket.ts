import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { socketBufferBytes } from '../tunables.ts';
import { Poll, pollInput, pollOutput } from '../vfs/flags.ts';
import { wouldBlock } from '../vfs/open-file.ts';
import { type SocketAddress, type UnixAddress } from './address.ts';
import { ChunkQueue } from './chunk-queue.ts';
import {
  endOfStream,
  type Incoming,
  nobody,
  type Outgoing,
  type Received,
  type SocketCredentials,
} from './connection.ts';
import { Level, SocketOption } from './numbers.ts';
import { Socket, type SocketKind } from './socket.ts';
import { findUnix, UnixName } from './unix-name.ts';
import type { NamedSocket } from './unix-names.ts';
import { credentialsOf } from './unix-stream-socket.ts';

/** Datagrams that wait at one socket before senders have to (net.unix.max_dgram_qlen). */
const longestQueue = 10;
/** What Linux counts of its own in a datagram's buffer. */
const overheadBytes = 32;

/** SOCK_DGRAM of AF_UNIX (unix(7)), among guests. */
export class UnixDatagramSocket extends Socket implements NamedSocket {
  private readonly name = new UnixName();
  private readonly queue = new ChunkQueue(true);
  private peer: UnixDatagramSocket | null = null;
  private peerOf: SocketCredentials = nobody;
  private receiveEnded = false;
  private sendEnded = false;
  private closed = false;
  /** Sockets whose default destination this one is: told when there is room. */
  private readonly senders = new Set<UnixDatagramSocket>();
  /** Whose files the addresses of sendto are looked up in. */
  private readonly process: Process;

  constructor(process: Process, kind: SocketKind, flags: number) {
    super(process.network, kind, flags);
    this.process = process;
  }

  override get hostDriven(): boolean {
    return false;
  }

  get type(): number {
    return this.kind.type;
  }

  get address(): UnixAddress {
    return this.name.address;
  }

  override bind(process: Process, address: SocketAddress): void {
    this.name.bind(process, this.network, this, address);
  }

  override localAddress(): SocketAddress {
    return this.name.address;
  }

  override peerAddress(): SocketAddress {
    if (this.peer === null) throw new Errno('ENOTCONN');
    return this.peer.address;
  }

  override get peerCredentials(): SocketCredentials {
    return this.peerOf;
  }

  /** Sets the default destination; AF_UNSPEC takes it back. */
  override connect(process: Process, address: SocketAddress): boolean {
    if (address.family === 'other' && address.number === 0) {
      this.disconnect();
      return true;
    }
    if (address.family !== 'unix') throw new Errno('EINVAL');
    const other = this.find(process, address, 'connect');
    if (other.peer !== null && other.peer !== this) throw new Errno('EPERM');
    this.disconnect();
    this.peer = other;
    other.senders.add(this);
    this.readiness.wake(pollOutput);
    return true;
  }

  private disconnect(): void {
    this.peer?.senders.delete(this);
    this.peer = null;
  }

  private find(process: Process, address: UnixAddress, action: 'connect' | 'send'): UnixDatagramSocket {
    this.network.gate({ action, protocol: 'unix', address });
    const target = findUnix(process, this.network, address, this.type);
    if (target.kind === 'host') {
      target.done();
      throw new Errno('ECONNREFUSED');
    }
    if (!(target.socket instanceof UnixDatagramSocket)) throw new Errno('EPROTOTYPE');
    return target.socket;
  }

  override send(message: Outgoing): number {
    this.throwPending();
    const { to, bytes, start, length, rights, credentials } = message;
    if (to !== null && to.family !== 'unix') throw new Errno('EINVAL');
    if (length > this.options.get(Level.SOL_SOCKET, SocketOption.SO_SNDBUF) - overheadBytes)
      throw new Errno('EMSGSIZE');
    if (this.sendEnded) throw new Errno('EPIPE');
    const other = to === null ? this.peer : this.find(this.process, to, 'send');
    if (other === null) throw new Errno('ENOTCONN');
    if (other.closed) {
      if (other === this.peer) this.disconnect();
      throw new Errno('ECONNREFUSED');
    }
    if (other.peer !== null && other.peer !== this) throw new Errno('EPERM');
    if (other.receiveEnded) throw new Errno('EPIPE');
    if (other.full && other !== this) {
      other.senders.add(this);
      return wouldBlock;
    }
    other.queue.append(bytes, start, length, { from: this.name.address, rights, credentials });
    other.readiness.wake(pollInput);
    return length;
  }

  private get full(): boolean {
    return this.queue.count > longestQueue || this.queue.length > socketBufferBytes;
  }

  override receive(into: Incoming): Received | null {
    if (this.queue.count === 0) {
      this.throwPending();
      return this.receiveEnded ? endOfStream : null;
    }
    const received = this.queue.take(into);
    if (!into.peek) this.tellSenders();
    return received;
  }

  private tellSenders(): void {
    for (const sender of this.senders) {
      if (sender.peer !== this) this.senders.delete(sender);
      sender.readiness.wake(pollOutput);
    }
  }

  override available(): number {
    return this.queue.nextLength;
  }

  override poll(events: number): number {
    let ready = this.pendingError === null ? 0 : Poll.err;
    if (this.queue.count > 0 || this.receiveEnded) ready |= pollInput;
    if (this.receiveEnded) ready |= Poll.rdHup | (this.sendEnded ? Poll.hup : 0);
    if (this.peer === null || !this.peer.full) ready |= pollOutput;
    else this.peer.senders.add(this);
    return ready & (events | Poll.err | Poll.hup);
  }

  override shutdown(read: boolean, write: boolean): void {
    this.receiveEnded ||= read;
    this.sendEnded ||= write;
    this.readiness.wake();
  }

  protected override close(): void {
    this.closed = true;
    this.queue.clear();
    this.name.close();
    this.disconnect();
    for (const sender of this.senders) sender.readiness.wake();
    this.senders.clear();
  }

  /** socketpair(2). */
  static pair(process: Process, kind: SocketKind, flags: number): [UnixDatagramSocket, UnixDatagramSocket] {
    const one = new UnixDatagramSocket(process, kind, flags);
    const other = new UnixDatagramSocket(process, kind, flags);
    one.peer = other;
    other.peer = one;
    one.senders.add(other);
    other.senders.add(one);
    one.peerOf = other.peerOf = credentialsOf(process);
    return [one, other];
  }
}
