import type { Server } from 'node:net';
import { Errno, type ErrnoName } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { pollInput } from '../vfs/flags.ts';
import { type SocketAddress, type UnixAddress, unnamed } from './address.ts';
import {
  type Connection,
  type Incoming,
  nobody,
  type Outgoing,
  type Received,
  type SocketCredentials,
} from './connection.ts';
import { listenOn, net } from './host-bind.ts';
import { errorName, HostConnection } from './host-connection.ts';
import { Listener } from './listener.ts';
import { createPair } from './memory-connection.ts';
import type { Network } from './network.ts';
import { SocketType } from './numbers.ts';
import type { SocketKind } from './socket.ts';
import { StreamSocket } from './stream-socket.ts';
import { findUnix, UnixName } from './unix-name.ts';
import type { NamedSocket } from './unix-names.ts';

export const credentialsOf = ({ pid, credentials }: Process): SocketCredentials => ({
  pid,
  uid: credentials.euid,
  gid: credentials.egid,
});

/** SOCK_STREAM and SOCK_SEQPACKET of AF_UNIX (unix(7)): among guests in memory, with host programs through Node. */
export class UnixStreamSocket extends StreamSocket<UnixAddress> implements NamedSocket {
  protected readonly unconnectedSend = 'ENOTCONN';
  protected readonly unconnectedReceive: ErrnoName;
  private readonly name = new UnixName();
  /** What an accepted socket has from its listener. */
  private acceptedName: UnixAddress | null = null;
  private peerName: UnixAddress = unnamed;
  private peer: SocketCredentials = nobody;
  private server: Server | null = null;

  constructor(network: Network, kind: SocketKind, flags: number) {
    super(network, kind, flags);
    this.unconnectedReceive = kind.type === SocketType.SOCK_STREAM ? 'EINVAL' : 'ENOTCONN';
  }

  get type(): number {
    return this.kind.type;
  }

  /** The name it has been bound to (`NamedSocket`). */
  get address(): UnixAddress {
    return this.name.address;
  }

  /** The queue that a connection to this socket joins, if it listens. */
  get queue(): Listener<UnixAddress> | null {
    return this.listener;
  }

  override bind(process: Process, address: SocketAddress): void {
    this.name.bind(process, this.network, this, address);
  }

  override localAddress(): SocketAddress {
    return this.acceptedName ?? this.name.address;
  }

  override peerAddress(): SocketAddress {
    if (!this.connected) throw new Errno('ENOTCONN');
    return this.peerName;
  }

  override get peerCredentials(): SocketCredentials {
    return this.listener?.credentials ?? this.peer;
  }

  override listen(process: Process, backlog: number): void | Promise<void> {
    if (this.name.address.path.length === 0 || this.connection !== null) throw new Errno('EINVAL');
    if (this.listener !== null) {
      this.listener.setBacklog(backlog);
      return;
    }
    this.listener = new Listener(backlog, credentialsOf(process), () => this.readiness.wake(pollInput));
    const binding = this.type === SocketType.SOCK_STREAM ? this.name.adopt() : null;
    if (binding === null) return;
    const { listener, network } = this;
    const server = listenOn(binding, (socket) => {
      if (listener.overflowing) socket.destroy();
      else {
        const connection = new HostConnection(socket, network);
        listener.arrive({ connection, local: this.name.address, peer: unnamed, credentials: nobody });
      }
    });
    if (server instanceof Promise) return server;
    this.server = server;
    server.on('close', network.opened());
  }

  override accept(flags: number): UnixStreamSocket | null {
    if (this.listener === null) throw new Errno('EINVAL');
    const arrival = this.listener.accept();
    if (arrival === null) return null;
    const accepted = new UnixStreamSocket(this.network, this.kind, flags);
    accepted.join(arrival.connection, arrival.peer, arrival.credentials);
    accepted.acceptedName = this.name.address;
    accepted.options.inherit(this.options);
    return accepted;
  }

  private join(connection: Connection, peerName: UnixAddress, peer: SocketCredentials): void {
    this.attach(connection);
    this.peerName = peerName;
    this.peer = peer;
  }

  override connect(process: Process, address: SocketAddress): boolean {
    if (this.connecting) return false;
    if (address.family !== 'unix') throw new Errno('EINVAL');
    this.network.gate({ action: 'connect', protocol: 'unix', address });
    const target = findUnix(process, this.network, address, this.type);
    if (target.kind === 'host') {
      this.requireUnconnected();
      if (this.type !== SocketType.SOCK_STREAM) throw new Errno('EPROTOTYPE');
      this.connectHost(target.path, target.done, address);
      return false;
    }
    const { socket } = target;
    if (socket.type !== this.type) throw new Errno('EPROTOTYPE');
    if (!(socket instanceof UnixStreamSocket) || socket.queue === null) throw new Errno('ECONNREFUSED');
    this.requireUnconnected();
    return this.connectGuest(socket, socket.queue, credentialsOf(process));
  }

  private requireUnconnected(): void {
    if (this.listener !== null) throw new Errno('EINVAL');
    if (this.connection !== null) throw new Errno('EISCONN');
  }

  private connectGuest(other: UnixStreamSocket, queue: Listener<UnixAddress>, own: SocketCredentials): boolean {
    if (queue.closed) {
      this.settle(null, 'ECONNREFUSED');
      return false;
    }
    if (queue.full) {
      if (this.nonBlocking) throw new Errno('EAGAIN');
      this.underWay = true;
      queue.room.add(() => {
        if (this.connecting) this.connectGuest(other, queue, own);
        else queue.room.wake(1);
      });
      return false;
    }
    const [near, far] = createPair({ records: this.type === SocketType.SOCK_SEQPACKET, overWire: false });
    const { address } = this.name;
    queue.arrive({ connection: far, local: other.address, peer: address, credentials: own });
    this.join(near, other.address, queue.credentials);
    if (this.connecting) this.settle(near, null);
    return true;
  }

  private connectHost(path: string, done: () => void, address: UnixAddress): void {
    const { Socket } = net();
    const socket = new Socket({ allowHalfOpen: true });
    const connection = new HostConnection(socket, this.network);
    this.join(connection, address, nobody);
    this.underWay = true;
    const failed = (error: Error): void => {
      done();
      this.settle(null, errorName(error));
    };
    socket.once('error', failed);
    socket.once('connect', () => {
      done();
      socket.off('error', failed);
      this.settle(connection, null);
    });
    socket.connect({ path });
  }

  override send(message: Outgoing): number {
    if (message.to !== null && this.streaming) throw new Errno(this.connected ? 'EISCONN' : 'EOPNOTSUPP');
    return super.send(message);
  }

  /** Unlike TCP it tells whom the bytes are from. */
  override receive(into: Incoming): Received | null {
    const received = super.receive(into);
    return received === null || received.whole === 0 ? received : { ...received, from: this.peerName };
  }

  /** unix(7): on a socket that is not connected it does nothing. */
  override shutdown(read: boolean, write: boolean): void {
    this.connection?.shutdown(read, write);
  }

  protected override close(): void {
    super.close();
    this.server?.close();
    this.name.close();
  }

  /** socketpair(2). */
  static pair(
    network: Network,
    kind: SocketKind,
    flags: number,
    process: Process,
  ): [UnixStreamSocket, UnixStreamSocket] {
    const sockets: [UnixStreamSocket, UnixStreamSocket] = [
      new UnixStreamSocket(network, kind, flags),
      new UnixStreamSocket(network, kind, flags),
    ];
    const own = credentialsOf(process);
    createPair({ records: kind.type === SocketType.SOCK_SEQPACKET, overWire: false }).forEach((connection, index) =>
      sockets[index].join(connection, unnamed, own),
    );
    return sockets;
  }
}
