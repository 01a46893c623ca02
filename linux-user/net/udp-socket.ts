import type { Socket as HostSocket, RemoteInfo } from 'node:dgram';
import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { Poll, pollInput, pollOutput } from '../vfs/flags.ts';
import type { SocketAddress } from './address.ts';
import { ChunkQueue } from './chunk-queue.ts';
import { endOfStream, type Incoming, nobody, type Outgoing, type Received } from './connection.ts';
import { errorName } from './host-connection.ts';
import { endpointOf, hostText, presented, wildcard } from './inet-name.ts';
import { anyHost, isMulticast, reachable, unmapped } from './ip.ts';
import type { DatagramReceiver } from './network.ts';
import { Family, IpOption, Ipv6Option, Level, SocketOption } from './numbers.ts';
import type { Endpoint } from './port-table.ts';
import { Socket } from './socket.ts';

/** Most bytes of a datagram: 65535 less the headers of IPv4 and UDP, of UDP alone for IPv6. */
const longestDatagram = { [Family.AF_INET]: 65507, [Family.AF_INET6]: 65527 } as const;
/** What a datagram costs of SO_RCVBUF beside its bytes. */
const overheadBytes = 512;

/** A UDP socket (udp(7)): node:dgram to the host, memory between guests. */
export class UdpSocket extends Socket implements DatagramReceiver {
  private host: HostSocket | null = null;
  private local: Endpoint | null = null;
  private remote: Endpoint | null = null;
  private readonly queue = new ChunkQueue(true);
  private receiveEnded = false;
  private sendEnded = false;
  private leaveTable: () => void = () => {};
  private closeHost: () => void = () => {};

  private get domain(): number {
    return this.kind.domain;
  }

  // ---- names

  override bind(_process: Process, address: SocketAddress): void {
    const endpoint = endpointOf(address, this.domain);
    if (this.local !== null) throw new Errno('EINVAL');
    this.network.gate({ action: 'bind', protocol: 'udp', address });
    this.bindHost(endpoint);
  }

  private bindHost(to: Endpoint): HostSocket {
    const has = (name: number): boolean => this.options.has(Level.SOL_SOCKET, name);
    const ipv6Only = this.domain === Family.AF_INET6 && this.options.has(Level.SOL_IPV6, Ipv6Option.IPV6_V6ONLY);
    const host = process.getBuiltinModule('node:dgram').createSocket({
      type: this.domain === Family.AF_INET ? 'udp4' : 'udp6',
      reuseAddr: has(SocketOption.SO_REUSEADDR),
      reusePort: has(SocketOption.SO_REUSEPORT),
      ipv6Only,
      // Addresses are numbers already: without this a datagram would leave one turn later.
      lookup: (name, _options, done) => done(null, name, this.domain === Family.AF_INET ? 4 : 6),
    });
    if (host.bindSync === undefined) throw new Errno('EAFNOSUPPORT', 'UDP needs Node 26.4');
    host.on('error', (error) => this.fail(error));
    const { port } = host.bindSync({ address: hostText(to.host, this.domain), port: to.port });
    host.on('message', (bytes: Buffer, from: RemoteInfo) =>
      this.enqueue(bytes, { host: unmapped(from.address.split('%')[0]), port: from.port }),
    );
    const closed = this.network.opened();
    this.closeHost = () => {
      host.close();
      closed();
    };
    this.host = host;
    this.local = { host: to.host, port };
    const dualStack = this.domain === Family.AF_INET6 && !ipv6Only;
    this.leaveTable = this.network.udp.add(this.local, dualStack, this);
    for (const [level, name] of this.options.changed()) this.applyOption(level, name);
    return host;
  }

  private bound(): HostSocket {
    return this.host ?? this.bindHost({ host: wildcard(this.domain), port: 0 });
  }

  private fail(error: Error): void {
    this.pendingError = errorName(error);
    this.readiness.wake(Poll.err | pollInput | pollOutput);
  }

  override localAddress(): SocketAddress {
    const endpoint = this.local ?? { host: wildcard(this.domain), port: 0 };
    const shown = this.host !== null && this.remote !== null ? unmapped(this.host.address().address) : endpoint.host;
    return presented({ host: shown, port: endpoint.port }, this.domain);
  }

  override peerAddress(): SocketAddress {
    if (this.remote === null) throw new Errno('ENOTCONN');
    return presented(this.remote, this.domain);
  }

  /** Sets the only address to talk with; AF_UNSPEC takes it back. */
  override connect(_process: Process, address: SocketAddress): boolean {
    if (address.family === 'other' && address.number === Family.AF_UNSPEC) {
      this.disconnect();
      return true;
    }
    const endpoint = endpointOf(address, this.domain);
    this.network.gate({ action: 'connect', protocol: 'udp', address });
    const remote = { host: reachable(endpoint.host), port: endpoint.port };
    const host = this.bound();
    this.disconnect();
    // Linux takes port 0, where nothing can be sent to; Node does not.
    host.connectSync(remote.port || 1, hostText(remote.host, this.domain));
    this.remote = remote;
    return true;
  }

  private disconnect(): void {
    if (this.remote !== null) this.host?.disconnect();
    this.remote = null;
  }

  // ---- datagrams

  override send(message: Outgoing): number | Promise<number> {
    this.throwPending();
    const { bytes, start, length, to } = message;
    const host = this.bound();
    if (length > longestDatagram[this.domain as keyof typeof longestDatagram]) throw new Errno('EMSGSIZE');
    if (this.sendEnded) throw new Errno('EPIPE');
    const remote = to === null ? this.remote : this.destination(to);
    if (remote === null) throw new Errno('EDESTADDRREQ');
    if (to !== null) this.network.gate({ action: 'send', protocol: 'udp', address: to });
    if (remote.port === 0) throw new Errno('EINVAL');
    const copy = bytes.slice(start, start + length);
    return this.deliverToGuest(copy, remote) ? length : this.sendToHost(host, copy, remote);
  }

  private destination(to: SocketAddress): Endpoint {
    if (to.family === 'other' && to.number === Family.AF_UNSPEC) throw new Errno('EINVAL');
    const { host, port } = endpointOf(to, this.domain);
    return { host: reachable(host), port };
  }

  private deliverToGuest(bytes: Uint8Array, to: Endpoint): boolean {
    if (isMulticast(to.host) || !this.network.isLocal(to.host)) return false;
    const { host, port } = this.local!;
    const from = { host: anyHost(host) ? to.host : host, port };
    return this.network.udp.find(to).some((receiver) => receiver.deliver(bytes, from, to));
  }

  deliver(bytes: Uint8Array, from: Endpoint): boolean {
    const { remote } = this;
    if (remote !== null && (remote.host !== from.host || remote.port !== from.port)) return false;
    this.enqueue(bytes, from);
    return true;
  }

  private enqueue(bytes: Uint8Array, from: Endpoint): void {
    const room = this.options.get(Level.SOL_SOCKET, SocketOption.SO_RCVBUF);
    if (this.queue.length + overheadBytes * this.queue.count > room) return;
    this.queue.push(bytes, { from: presented(from, this.domain), rights: [], credentials: nobody });
    this.readiness.wake(pollInput);
  }

  private sendToHost(host: HostSocket, bytes: Uint8Array, to: Endpoint): Promise<number> {
    return new Promise((resolve, reject) => {
      const done = (error: Error | null): void => (error === null ? resolve(bytes.length) : reject(error));
      const { remote } = this;
      if (remote !== null && remote.host === to.host && remote.port === to.port) {
        host.send(bytes, done);
        return;
      }
      // Node lets a connected socket send to its peer alone, Linux to anybody.
      if (remote !== null) host.disconnect();
      host.send(bytes, to.port, hostText(to.host, this.domain), done);
      if (remote !== null) host.connectSync(remote.port || 1, hostText(remote.host, this.domain));
    });
  }

  override receive(into: Incoming): Received | null {
    this.throwPending();
    if (this.queue.count > 0) return this.queue.take(into);
    return this.receiveEnded ? endOfStream : null;
  }

  override available(): number {
    return this.queue.nextLength;
  }

  override poll(events: number): number {
    let ready = pollOutput | (this.pendingError === null ? 0 : Poll.err);
    if (this.queue.count > 0 || this.receiveEnded) ready |= pollInput;
    if (this.receiveEnded) ready |= Poll.rdHup | (this.sendEnded ? Poll.hup : 0);
    return ready & (events | Poll.err | Poll.hup);
  }

  override shutdown(read: boolean, write: boolean): void {
    this.receiveEnded ||= read;
    this.sendEnded ||= write;
    this.readiness.wake();
    if (this.remote === null) throw new Errno('ENOTCONN');
  }

  protected override close(): void {
    this.queue.clear();
    this.leaveTable();
    this.closeHost();
  }

  // ---- options

  override applyOption(level: number, name: number): void {
    const { host, options } = this;
    if (host === null) return;
    const value = options.get(level, name);
    if (level === Level.SOL_SOCKET && name === SocketOption.SO_BROADCAST) host.setBroadcast(value !== 0);
    if (level === Level.SOL_IP && this.domain === Family.AF_INET) {
      if (name === IpOption.IP_TTL && value > 0) host.setTTL(value);
      if (name === IpOption.IP_MULTICAST_TTL) host.setMulticastTTL(value);
      if (name === IpOption.IP_MULTICAST_LOOP) host.setMulticastLoopback(value !== 0);
    }
    if (level === Level.SOL_IPV6) {
      if (name === Ipv6Option.IPV6_UNICAST_HOPS && value > 0) host.setTTL(value);
      if (name === Ipv6Option.IPV6_MULTICAST_HOPS) host.setMulticastTTL(value);
      if (name === Ipv6Option.IPV6_MULTICAST_LOOP) host.setMulticastLoopback(value !== 0);
    }
  }

  /** `group` joins or leaves on the interface with the address (IPv4) or name `via`; empty for the system's choice. */
  changeMembership(join: boolean, group: string, via: string): void {
    const host = this.bound();
    if (join) host.addMembership(group, via === '' ? undefined : via);
    else host.dropMembership(group, via === '' ? undefined : via);
  }

  /** IP_MULTICAST_IF, IPV6_MULTICAST_IF: an address, or `::%name`. */
  setMulticastInterface(via: string): void {
    this.bound().setMulticastInterface(via);
  }
}
