import type { Socket as HostSocket, Server } from 'node:net';
import { Errno, type ErrnoName } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { pollInput } from '../vfs/flags.ts';
import type { SocketAddress } from './address.ts';
import { type Connection, nobody } from './connection.ts';
import { bindTcp, type HostBinding, listenOn, net } from './host-bind.ts';
import { errorName, HostConnection } from './host-connection.ts';
import { endpointOf, hostText, presented, wildcard } from './inet-name.ts';
import { reachable } from './ip.ts';
import { Listener } from './listener.ts';
import { createPair } from './memory-connection.ts';
import type { PortHolder } from './network.ts';
import { Family, IpOption, Ipv6Option, Level, SocketOption, TcpOption } from './numbers.ts';
import type { Endpoint } from './port-table.ts';
import { StreamSocket } from './stream-socket.ts';

/**
 * A TCP socket (tcp(7)). Its port is always the host's, held by a host socket that is bound and waits for what becomes
 * of it: a server or a client. Guests that connect to guests meet in memory.
 */
export class TcpSocket extends StreamSocket<Endpoint> implements PortHolder {
  protected readonly unconnectedSend = 'EPIPE';
  protected readonly unconnectedReceive = 'ENOTCONN';
  private binding: HostBinding | null = null;
  private local: Endpoint | null = null;
  /** The guest has chosen the port. */
  private named = false;
  private remote: Endpoint | null = null;
  private server: Server | null = null;
  private leaveTable: () => void = () => {};
  private releasePort: () => void = () => {};

  private get domain(): number {
    return this.kind.domain;
  }

  override bind(_process: Process, address: SocketAddress): void {
    const endpoint = endpointOf(address, this.domain);
    if (this.local !== null || this.connection !== null) throw new Errno('EINVAL');
    this.network.gate({ action: 'bind', protocol: 'tcp', address });
    this.bindHost(endpoint);
    this.named = true;
  }

  /** Under what condition another socket may have the same port. */
  get sharesPort(): PortHolder['sharesPort'] {
    if (this.options.has(Level.SOL_SOCKET, SocketOption.SO_REUSEPORT)) return 'reusePort';
    const reuses = this.listener === null && this.options.has(Level.SOL_SOCKET, SocketOption.SO_REUSEADDR);
    return reuses ? 'reuseAddress' : 'never';
  }

  private get dualStack(): boolean {
    return this.domain === Family.AF_INET6 && !this.options.has(Level.SOL_IPV6, Ipv6Option.IPV6_V6ONLY);
  }

  /** Node sets SO_REUSEADDR on all sockets: among guests the conflicts are found here. */
  private bindHost({ host, port }: Endpoint): void {
    const { boundTcp } = this.network;
    const { dualStack, sharesPort } = this;
    const others = port === 0 ? [] : boundTcp.overlapping({ host, port }, dualStack);
    if (others.some((other) => sharesPort === 'never' || other.sharesPort !== sharesPort))
      throw new Errno('EADDRINUSE');
    this.binding = bindTcp({
      host: hostText(host, this.domain),
      port,
      ipv6Only: this.domain === Family.AF_INET6 && !dualStack,
      reusePort: sharesPort === 'reusePort',
    });
    this.local = { host, port: this.binding.address().port };
    this.releasePort = boundTcp.add(this.local, dualStack, this);
  }

  override localAddress(): SocketAddress {
    return presented(this.local ?? { host: wildcard(this.domain), port: 0 }, this.domain);
  }

  override peerAddress(): SocketAddress {
    if (!this.connected || this.remote === null) throw new Errno('ENOTCONN');
    return presented(this.remote, this.domain);
  }

  // ---- server

  override listen(_process: Process, backlog: number): void | Promise<void> {
    if (this.listener !== null) {
      this.listener.setBacklog(backlog);
      return;
    }
    if (this.connection !== null || this.connecting) throw new Errno('EINVAL');
    if (this.local === null) {
      const any = { host: wildcard(this.domain), port: 0 };
      this.network.gate({ action: 'bind', protocol: 'tcp', address: presented(any, this.domain) });
      this.bindHost(any);
    }
    const server = listenOn(this.binding!, (socket) => this.arrive(socket));
    this.binding = null;
    if (server instanceof Promise) return server;
    server.on('close', this.network.opened());
    this.server = server;
    this.listener = new Listener(backlog, nobody, () => this.readiness.wake(pollInput));
    this.leaveTable = this.network.listeners.add(this.local!, this.dualStack, this.listener);
  }

  private arrive(socket: HostSocket): void {
    const { listener } = this;
    if (listener === null || listener.overflowing) {
      socket.resetAndDestroy();
      return;
    }
    const connection = new HostConnection(socket, this.network);
    const { local, remote } = connection;
    if (local === null || remote === null) connection.close(true);
    else listener.arrive({ connection, local, peer: remote, credentials: nobody });
  }

  override accept(flags: number): TcpSocket | null {
    if (this.listener === null) throw new Errno('EINVAL');
    const arrival = this.listener.accept();
    if (arrival === null) return null;
    const accepted = new TcpSocket(this.network, this.kind, flags);
    accepted.local = arrival.local;
    accepted.remote = arrival.peer;
    accepted.options.inherit(this.options);
    accepted.linger = this.linger;
    accepted.attach(arrival.connection);
    accepted.applyAll();
    return accepted;
  }

  // ---- client

  override connect(_process: Process, address: SocketAddress): boolean {
    if (address.family === 'other' && address.number === Family.AF_UNSPEC) {
      this.disconnect();
      return true;
    }
    if (this.connecting) {
      if (this.nonBlocking) throw new Errno('EALREADY');
      return false;
    }
    if (this.unclaimed) {
      this.claim();
      return true;
    }
    if (this.connection !== null || this.listener !== null) throw new Errno('EISCONN');
    const endpoint = endpointOf(address, this.domain);
    this.network.gate({ action: 'connect', protocol: 'tcp', address });
    this.begin({ host: reachable(endpoint.host), port: endpoint.port });
    if (this.nonBlocking) throw new Errno('EINPROGRESS');
    if (this.connecting) return false;
    this.claim();
    return true;
  }

  private begin(to: Endpoint): void {
    this.broken = false;
    this.remote = to;
    const listener = this.network.isLocal(to.host) ? this.network.listeners.find(to)[0] : undefined;
    if (listener !== undefined) this.connectGuest(to, listener);
    else this.connectHost(to);
  }

  private connectGuest(to: Endpoint, listener: Listener<Endpoint>): void {
    if (listener.closed) {
      this.settle(null, 'ECONNREFUSED');
      return;
    }
    if (listener.full) {
      this.underWay = true;
      listener.room.add(() => {
        if (this.connecting) this.connectGuest(to, listener);
        else listener.room.wake(1);
      });
      return;
    }
    const port = this.local?.port ?? this.network.listeners.ephemeral();
    this.local = { host: to.host, port };
    const [near, far] = createPair({ records: false, overWire: true });
    listener.arrive({ connection: far, local: to, peer: this.local, credentials: nobody });
    this.settle(near, null);
  }

  private connectHost(to: Endpoint): void {
    if (this.binding === null) this.bindHost(this.local ?? { host: wildcard(this.domain), port: 0 });
    const socket = new (net().Socket)({ handle: this.binding!, allowHalfOpen: true });
    this.binding = null;
    const connection = new HostConnection(socket, this.network);
    this.attach(connection);
    this.underWay = true;
    const failed = (error: Error): void => this.settle(null, errorName(error));
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      this.local = connection.local ?? this.local;
      this.settle(connection, null);
    });
    // Linux lets a program connect to port 0, where nobody can listen.
    if (to.port === 0) socket.destroy(new Errno('ECONNREFUSED'));
    else socket.connect({ host: hostText(to.host, this.domain), port: to.port });
    this.local = connection.local ?? this.local;
  }

  protected override settle(connection: Connection | null, error: ErrnoName | null): void {
    if (connection !== null) {
      super.settle(connection, error);
      this.applyAll();
      return;
    }
    this.releasePort();
    if (!this.named) this.local = null;
    super.settle(null, error);
  }

  /** connect(2) to AF_UNSPEC. */
  private disconnect(): void {
    this.connection?.close(true);
    this.connection = null;
    this.stopListening();
    this.underWay = this.unclaimed = this.broken = false;
    this.remote = null;
    this.readiness.wake();
  }

  override shutdown(read: boolean, write: boolean): void {
    if (this.listener !== null && read) this.stopListening();
    else super.shutdown(read, write);
  }

  private stopListening(): void {
    this.leaveTable();
    this.listener?.close();
    this.listener = null;
    this.server?.close();
    this.server = null;
    this.readiness.wake();
  }

  protected override close(): void {
    if (this.listener !== null) this.stopListening();
    this.releasePort();
    this.binding?.close();
    this.binding = null;
    super.close();
  }

  // ---- options

  override applyOption(level: number, name: number): void {
    const { connection, options } = this;
    if (!(connection instanceof HostConnection) || this.connecting) return;
    const tcp = (option: number): number => options.get(Level.SOL_TCP, option);
    if (level === Level.SOL_TCP && name === TcpOption.TCP_NODELAY) connection.setNoDelay(tcp(name) !== 0);
    else if (level === Level.SOL_IP && name === IpOption.IP_TOS) connection.setTypeOfService(options.get(level, name));
    else if ((level === Level.SOL_SOCKET && name === SocketOption.SO_KEEPALIVE) || level === Level.SOL_TCP) {
      const on = options.has(Level.SOL_SOCKET, SocketOption.SO_KEEPALIVE);
      connection.setKeepAlive(
        on,
        tcp(TcpOption.TCP_KEEPIDLE),
        tcp(TcpOption.TCP_KEEPINTVL),
        tcp(TcpOption.TCP_KEEPCNT),
      );
    }
  }

  /** Gives a new connection what the guest has asked for before. */
  private applyAll(): void {
    for (const [level, name] of this.options.changed()) this.applyOption(level, name);
  }
}
