import { getServers } from 'node:dns';
import type { Clock, Timer } from '#hw/device.ts';
import type { NetworkLink } from '#hw/net/link.ts';
import {
  addressBytes,
  addressText,
  broadcastAddress,
  broadcastMac,
  directedBroadcast,
  loopback,
  type NetworkAddresses,
} from './address.ts';
import { DhcpServer, dhcpPorts } from './dhcp.ts';
import { answerQuery, dnsPort } from './dns.ts';
import { Fragments } from './fragments.ts';
import { echoReply, isEcho, unreachable, unreachableMessage } from './icmp.ts';
import {
  buildFrame,
  buildIp,
  buildUdp,
  type Datagram,
  etherTypes,
  type IpPacket,
  parseFrame,
  parseIp,
  parseUdp,
  protocols,
  viewOf,
} from './packets.ts';
import { TcpNat } from './tcp.ts';
import { buildSegment, type Segment } from './tcp-segment.ts';
import { UdpNat } from './udp.ts';

/*
 * User-mode network (`-netdev user`): a network of the guest's own, whose gateway passes TCP and UDP on through sockets of
 * the host, and answers ARP (RFC 826), DHCP, DNS and pings itself. IPv4 only.
 */

/** Where a port of the host leads. */
export interface Forwarding {
  readonly protocol: 'tcp' | 'udp';
  /** Empty: all addresses of the host. */
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly guest: number;
  readonly guestPort: number;
}

export interface UserOptions {
  readonly addresses: NetworkAddresses;
  /** The guest reaches neither the host nor others. */
  readonly restrict: boolean;
  readonly hostName: string;
  readonly forwards: readonly Forwarding[];
}

/** The card's own address of everything that is not the guest: its last bytes are the gateway's address. */
const ownMac = (host: number): Uint8Array => Uint8Array.from([0x52, 0x55, ...addressBytes(host)]);
/** Frames that wait for the guest before TCP waits, and before more are lost. */
const enoughFrames = 64;
const mostFrames = 512;
/** Packets that wait until the guest's card is known. */
const mostUnresolved = 32;
const mostCards = 256;
/** Nanoseconds between looks at what is overdue. */
const tickTime = 200_000_000;
const arp = { request: 1, reply: 2, bytes: 28 } as const;

export class UserNetwork implements NetworkLink {
  readonly options: UserOptions;
  readonly host: number;
  private readonly mac: Uint8Array;
  private readonly tcp: TcpNat;
  private readonly udp: UdpNat;
  private readonly dhcp: DhcpServer;
  private readonly fragments = new Fragments();
  private readonly cards = new Map<number, Uint8Array>();
  private unresolved: { readonly target: number; readonly packet: Uint8Array }[] = [];
  private frames: Uint8Array[] = [];
  private receive: (frame: Uint8Array) => boolean = () => true;
  private clock: Clock | null = null;
  private timer: Timer | null = null;

  constructor(options: UserOptions) {
    this.options = options;
    const { addresses } = options;
    this.host = addresses.host;
    this.mac = ownMac(addresses.host);
    this.dhcp = new DhcpServer(addresses, options.hostName);
    this.tcp = new TcpNat(this);
    this.udp = new UdpNat(this);
  }

  /** Opens the ports of the host; `clock`: the guest's time. Rejects with OptionError. */
  async start(clock: Clock): Promise<void> {
    this.clock = clock;
    this.timer = clock.timer(() => this.tick());
    this.timer.set(clock.now() + tickTime);
    for (const { protocol, hostAddress, hostPort, guest, guestPort } of this.options.forwards) {
      await this[protocol].forward(hostAddress, hostPort, guest, guestPort);
    }
  }

  private tick(): void {
    const now = this.now();
    this.tcp.tick(now);
    this.udp.tick(now);
    this.timer?.set(now + tickTime);
  }

  /** The guest starts anew: its connections are gone. */
  reset(): void {
    this.tcp.reset();
    this.udp.reset();
    this.frames = [];
    this.unresolved = [];
  }

  /** Ends everything; the host's ports are free. */
  close(): void {
    this.tcp.reset(true);
    this.udp.reset(true);
  }

  // ---- the card

  onFrame(receive: (frame: Uint8Array) => boolean): void {
    this.receive = receive;
  }

  ready(): void {
    let sent = 0;
    while (sent < this.frames.length && this.receive(this.frames[sent]!)) sent++;
    if (sent > 0) this.frames.splice(0, sent);
    if (this.room) this.tcp.pump();
  }

  private toCard(frame: Uint8Array): void {
    if (this.frames.length === 0 && this.receive(frame)) return;
    if (this.frames.length < mostFrames) this.frames.push(frame);
  }

  send(frame: Uint8Array): void {
    const parsed = parseFrame(frame);
    if (!parsed || parsed.source[0]! & 1) return;
    const { target, source, type, payload } = parsed;
    if (type === etherTypes.arp) this.takeArp(payload);
    if (type !== etherTypes.ipv4 || !(same(target, this.mac) || same(target, broadcastMac))) return;
    const packet = parseIp(payload);
    if (!packet) return;
    this.learn(packet.source, source);
    const whole = this.fragments.take(packet, this.now());
    if (whole) this.takePacket(whole);
  }

  // ---- addresses

  private get addresses(): NetworkAddresses {
    return this.options.addresses;
  }

  private inside(address: number): boolean {
    const { network, mask } = this.addresses;
    return (address & mask) >>> 0 === network;
  }

  /** Answers for everybody in the network but its cards. */
  private takeArp(payload: Uint8Array): void {
    if (payload.length < arp.bytes) return;
    const view = viewOf(payload);
    const ethernetAndIp = view.getUint32(0) === 0x00010800 && view.getUint16(4) === 0x0604;
    const sender = view.getUint32(14);
    const wanted = view.getUint32(24);
    if (!ethernetAndIp) return;
    const card = payload.slice(8, 14);
    this.learn(sender, card);
    const { host, dns } = this.addresses;
    if (view.getUint16(6) !== arp.request || (wanted !== host && wanted !== dns)) return;
    this.sendArp(arp.reply, wanted, card, sender);
  }

  private sendArp(operation: number, sender: number, card: Uint8Array, target: number): void {
    const message = new Uint8Array(arp.bytes);
    const view = viewOf(message);
    view.setUint32(0, 0x00010800);
    view.setUint16(4, 0x0604);
    view.setUint16(6, operation);
    message.set(this.mac, 8);
    view.setUint32(14, sender);
    if (operation === arp.reply) message.set(card, 18);
    view.setUint32(24, target);
    this.toCard(buildFrame(card, this.mac, etherTypes.arp, message));
  }

  /** The card `mac` has `address`. */
  private learn(address: number, mac: Uint8Array): void {
    const { host, dns } = this.addresses;
    if (!this.inside(address) || address === host || address === dns || mac[0]! & 1) return;
    const known = this.cards.get(address);
    if (known && same(known, mac)) return;
    if (this.cards.size >= mostCards) this.cards.clear();
    this.cards.set(address, mac.slice());
    const waiting = this.unresolved;
    this.unresolved = waiting.filter(({ target }) => target !== address);
    for (const { target, packet } of waiting) if (target === address) this.sendPacket(target, packet);
  }

  // ---- packets of the guest

  private takePacket(packet: IpPacket): void {
    if (packet.protocol === protocols.udp) this.takeUdp(packet);
    else if (packet.protocol === protocols.icmp) this.takeIcmp(packet);
    else if (packet.protocol === protocols.tcp) this.tcp.take(packet);
  }

  private takeIcmp(packet: IpPacket): void {
    if (!isEcho(packet)) return;
    const { host, dns } = this.addresses;
    const own = packet.target === host || packet.target === dns;
    if (own) this.deliverIp(protocols.icmp, packet.target, packet.source, echoReply(packet));
    // Sockets that ping others are not for every user.
    else if (!this.options.restrict) this.refuse(packet, unreachable.prohibited);
  }

  private refuse(packet: IpPacket, code: number): void {
    this.deliverIp(protocols.icmp, this.host, packet.source, unreachableMessage(packet, code));
  }

  private takeUdp(packet: IpPacket): void {
    const datagram = parseUdp(packet);
    if (!datagram) return;
    const { source, target } = packet;
    if (datagram.targetPort === dhcpPorts.server && (target === broadcastAddress || target === this.host)) {
      this.takeDhcp(datagram.data);
      return;
    }
    if (this.options.restrict) {
      this.udp.reply(source, target, datagram);
      return;
    }
    if (target === this.addresses.dns && datagram.targetPort === dnsPort) {
      void this.answerDns(source, datagram);
      return;
    }
    if (this.reachable(target)) this.udp.send(source, target, datagram);
    else if (target === this.addresses.dns) this.refuse(packet, unreachable.port);
  }

  /** Whether `address` is somebody's beyond the network, or the host's. */
  private reachable(address: number): boolean {
    const group = address >>> 28 === 14;
    return address === this.host || (!this.inside(address) && !group && address !== broadcastAddress && address !== 0);
  }

  private takeDhcp(message: Uint8Array): void {
    const answer = this.dhcp.answer(message);
    if (!answer) return;
    const target = answer.broadcast ? broadcastAddress : answer.address;
    const ports = { sourcePort: dhcpPorts.server, targetPort: dhcpPorts.client };
    this.deliver(this.host, target, { ...ports, data: answer.message });
  }

  private async answerDns(guest: number, { sourcePort, data }: Datagram): Promise<void> {
    const answer = await answerQuery(data.slice());
    if (answer) this.deliver(this.addresses.dns, guest, { sourcePort: dnsPort, targetPort: sourcePort, data: answer });
  }

  // ---- for TCP and UDP

  now(): number {
    return this.clock?.now() ?? 0;
  }

  get room(): boolean {
    return this.frames.length < enoughFrames;
  }

  route(address: number, port: number): { readonly host: string; readonly port: number } | null {
    if (this.options.restrict) return null;
    if (address === this.addresses.dns) return port === dnsPort ? nameServer() : null;
    if (!this.reachable(address)) return null;
    return { host: address === this.host ? loopback : addressText(address), port };
  }

  deliver(source: number, target: number, datagram: Datagram): void {
    this.deliverIp(protocols.udp, source, target, buildUdp(source, target, datagram));
  }

  deliverSegment(source: number, target: number, segment: Segment, options?: readonly number[]): void {
    this.deliverIp(protocols.tcp, source, target, buildSegment(source, target, segment, options));
  }

  private deliverIp(protocol: number, source: number, target: number, payload: Uint8Array): void {
    for (const packet of buildIp(protocol, source, target, payload)) this.sendPacket(target, packet);
  }

  private sendPacket(target: number, packet: Uint8Array): void {
    const everybody = target === broadcastAddress || target === directedBroadcast(this.addresses);
    const card = everybody ? broadcastMac : this.cards.get(target);
    if (card) {
      this.toCard(buildFrame(card, this.mac, etherTypes.ipv4, packet));
      return;
    }
    if (this.unresolved.length < mostUnresolved) this.unresolved.push({ target, packet });
    this.sendArp(arp.request, this.host, broadcastMac, target);
  }

  /** What `info network` prints of it. */
  get text(): string {
    const { network, mask, host, dns } = this.addresses;
    const net = `net=${addressText(network)}/${addressText(mask)},host=${addressText(host)},dns=${addressText(dns)}`;
    return `type=user,${net},restrict=${this.options.restrict ? 'on' : 'off'}`;
  }

  /** What `info usernet` prints of it: its connections. */
  get connectionsText(): string {
    const rows = [...this.tcp.rows, ...this.udp.rows];
    const head = `  ${'Protocol[State]'.padEnd(20)}${'Source'.padEnd(24)}${'Destination'.padEnd(24)}Waiting\n`;
    return (
      head +
      rows
        .map(([state, from, to, waiting]) => `  ${state.padEnd(20)}${from.padEnd(24)}${to.padEnd(24)}${waiting}\n`)
        .join('')
    );
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i]);

/** The host's own name server, for questions by TCP. */
function nameServer(): { readonly host: string; readonly port: number } | null {
  const [, host, port] = /^\[?([^\]]+?)\]?(?::(\d+))?$/.exec(getServers()[0] ?? '') ?? [];
  return host === undefined ? null : { host, port: Number(port ?? dnsPort) };
}
