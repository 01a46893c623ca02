import { Errno, type ErrnoName, errnoNumbers } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { pollInput, pollOutput } from '../vfs/flags.ts';
import type { NetlinkAddress, SocketAddress } from './address.ts';
import { ChunkQueue } from './chunk-queue.ts';
import { type Incoming, nobody, type Outgoing, type Received } from './connection.ts';
import {
  broadcastOf,
  hostInterfaces,
  type Interface,
  type InterfaceAddress,
  InterfaceFlag,
  queueLength,
} from './interfaces.ts';
import { Family } from './numbers.ts';
import { hostRoutes, type Route } from './routes.ts';
import { Socket } from './socket.ts';

/** Message types and flags (include/uapi/linux/netlink.h, rtnetlink.h). */
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const NLM_F_MULTI = 2;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;

const Attribute = {
  IFLA_ADDRESS: 1,
  IFLA_BROADCAST: 2,
  IFLA_IFNAME: 3,
  IFLA_MTU: 4,
  IFLA_TXQLEN: 13,
  IFLA_OPERSTATE: 16,
  IFA_ADDRESS: 1,
  IFA_LOCAL: 2,
  IFA_LABEL: 3,
  IFA_BROADCAST: 4,
  IFA_FLAGS: 8,
  RTA_DST: 1,
  RTA_OIF: 4,
  RTA_GATEWAY: 5,
  RTA_PRIORITY: 6,
  RTA_PREFSRC: 7,
  RTA_TABLE: 15,
  RTA_PREF: 20,
} as const;
const RT_TABLE_MAIN = 254;
const RTPROT_KERNEL = 2;
const RTPROT_BOOT = 3;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RTN_UNICAST = 1;
const ICMPV6_ROUTER_PREF_MEDIUM = 0;
const IFA_F_PERMANENT = 0x80;
const IF_OPER_UNKNOWN = 0;
const IF_OPER_UP = 6;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

const headerBytes = 16;
/** Where ports begin, downwards, for a process's further sockets. */
const firstOtherPort = 0xffff_efff;
/** One answer holds as many messages as a reader's usual buffer does. */
const answerBytes = 4096;

const aligned = (length: number): number => (length + 3) & ~3;
const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const text = (value: string): Uint8Array => Buffer.from(`${value}\0`);

function attributeOf(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(aligned(4 + payload.length));
  new DataView(bytes.buffer).setUint16(0, 4 + payload.length, true);
  new DataView(bytes.buffer).setUint16(2, type, true);
  bytes.set(payload, 4);
  return bytes;
}

/** struct ifinfomsg and its attributes. */
function linkPayload({ index, name, mac, flags, mtu }: Interface): Uint8Array {
  const loopback = (flags & InterfaceFlag.IFF_LOOPBACK) !== 0;
  const head = new Uint8Array(16);
  const view = new DataView(head.buffer);
  view.setUint16(2, loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER, true);
  view.setInt32(4, index, true);
  view.setUint32(8, flags, true);
  return Buffer.concat([
    head,
    attributeOf(Attribute.IFLA_IFNAME, text(name)),
    attributeOf(Attribute.IFLA_TXQLEN, word(queueLength)),
    attributeOf(Attribute.IFLA_OPERSTATE, Uint8Array.of(loopback ? IF_OPER_UNKNOWN : IF_OPER_UP)),
    attributeOf(Attribute.IFLA_MTU, word(mtu)),
    attributeOf(Attribute.IFLA_ADDRESS, mac),
    attributeOf(Attribute.IFLA_BROADCAST, new Uint8Array(6).fill(loopback ? 0 : 255)),
  ]);
}

/** struct ifaddrmsg and its attributes. */
function addressPayload({ index, name, flags }: Interface, own: InterfaceAddress): Uint8Array {
  const { address, prefix, scope } = own;
  const four = address.length === 4;
  const head = Uint8Array.of(four ? Family.AF_INET : Family.AF_INET6, prefix, IFA_F_PERMANENT, scope, 0, 0, 0, 0);
  new DataView(head.buffer).setUint32(4, index, true);
  const attributes = [attributeOf(Attribute.IFA_ADDRESS, address)];
  if (four) {
    attributes.push(attributeOf(Attribute.IFA_LOCAL, address));
    if (flags & InterfaceFlag.IFF_BROADCAST) attributes.push(attributeOf(Attribute.IFA_BROADCAST, broadcastOf(own)));
    attributes.push(attributeOf(Attribute.IFA_LABEL, text(name)));
  }
  attributes.push(attributeOf(Attribute.IFA_FLAGS, word(IFA_F_PERMANENT)));
  return Buffer.concat([head, ...attributes]);
}

/** struct rtmsg and its attributes. */
function routePayload({ destination, prefix, gateway, source, index, metric }: Route): Uint8Array {
  const four = destination.length === 4;
  const protocol = gateway === null ? RTPROT_KERNEL : RTPROT_BOOT;
  const scope = four && gateway === null ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  const family = four ? Family.AF_INET : Family.AF_INET6;
  const attributes = [attributeOf(Attribute.RTA_TABLE, word(RT_TABLE_MAIN))];
  if (prefix > 0) attributes.push(attributeOf(Attribute.RTA_DST, destination));
  if (metric > 0) attributes.push(attributeOf(Attribute.RTA_PRIORITY, word(metric)));
  if (gateway !== null) attributes.push(attributeOf(Attribute.RTA_GATEWAY, gateway));
  if (source !== null) attributes.push(attributeOf(Attribute.RTA_PREFSRC, source));
  if (!four) attributes.push(attributeOf(Attribute.RTA_PREF, Uint8Array.of(ICMPV6_ROUTER_PREF_MEDIUM)));
  attributes.push(attributeOf(Attribute.RTA_OIF, word(index)));
  const head = Uint8Array.of(family, prefix, 0, 0, RT_TABLE_MAIN, protocol, scope, RTN_UNICAST, 0, 0, 0, 0);
  return Buffer.concat([head, ...attributes]);
}

/** True for addresses (or routes) of a family; AF_UNSPEC is any. */
const isOf = (family: number, bytes: Uint8Array): boolean =>
  family === Family.AF_INET ? bytes.length === 4 : family === Family.AF_INET6 ? bytes.length === 16 : true;

/** A message from the guest. */
interface Request {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly header: Uint8Array;
}

/** AF_NETLINK with NETLINK_ROUTE (rtnetlink(7)): the questions after interfaces, their addresses and routes. */
export class NetlinkSocket extends Socket {
  private readonly queue = new ChunkQueue(true);
  private port = 0;
  private groups = 0;

  override get hostDriven(): boolean {
    return false;
  }

  override bind(process: Process, address: SocketAddress): void {
    if (address.family !== 'netlink') throw new Errno('EINVAL');
    if (this.port !== 0 && address.port !== this.port) throw new Errno('EINVAL');
    this.groups = address.groups;
    this.takePort(address.port || process.pid);
  }

  /** The first socket of a process has its pid for a port, others numbers from the top. */
  private takePort(wanted: number): void {
    if (this.port !== 0) return;
    const { netlinkPorts } = this.network;
    let port = wanted;
    for (let other = firstOtherPort; netlinkPorts.has(port); other--) port = other;
    this.port = port;
    netlinkPorts.add(port);
  }

  override localAddress(): NetlinkAddress {
    return { family: 'netlink', port: this.port, groups: this.groups };
  }

  override peerAddress(): NetlinkAddress {
    return { family: 'netlink', port: 0, groups: 0 };
  }

  override connect(process: Process, address: SocketAddress): boolean {
    if (address.family !== 'netlink') throw new Errno('EINVAL');
    if (address.port !== 0 || address.groups !== 0) throw new Errno('EPERM');
    this.takePort(process.pid);
    return true;
  }

  override send({ bytes, start, length, to }: Outgoing): number {
    if (to !== null && to.family !== 'netlink') throw new Errno('EINVAL');
    if (to !== null && to.port !== 0) throw new Errno('ECONNREFUSED');
    this.takePort(globalThis.process.pid);
    const message = bytes.slice(start, start + length);
    const view = new DataView(message.buffer);
    for (let at = 0; at + headerBytes <= length; ) {
      const size = view.getUint32(at, true);
      if (size < headerBytes || at + size > length) break;
      this.answer({
        type: view.getUint16(at + 4, true),
        flags: view.getUint16(at + 6, true),
        sequence: view.getUint32(at + 8, true),
        payload: message.subarray(at + headerBytes, at + size),
        header: message.subarray(at, at + headerBytes),
      });
      at += aligned(size);
    }
    return length;
  }

  private answer(request: Request): void {
    const { type, flags } = request;
    const dump = (flags & NLM_F_DUMP) === NLM_F_DUMP;
    if (type === RTM_GETLINK && dump) this.dump(request, RTM_NEWLINK, hostInterfaces().map(linkPayload));
    else if (type === RTM_GETADDR && dump) this.dump(request, RTM_NEWADDR, this.addresses(request.payload[0] ?? 0));
    else if (type === RTM_GETROUTE && dump) this.dump(request, RTM_NEWROUTE, this.routes(request.payload[0] ?? 0));
    else if (type === RTM_GETLINK) this.answerLink(request);
    else this.error(request, 'EOPNOTSUPP');
  }

  private addresses(family: number): Uint8Array[] {
    return hostInterfaces().flatMap((each) =>
      each.addresses.filter(({ address }) => isOf(family, address)).map((address) => addressPayload(each, address)),
    );
  }

  private routes(family: number): Uint8Array[] {
    return hostRoutes()
      .filter(({ destination }) => isOf(family, destination))
      .map(routePayload);
  }

  /** One interface, asked for by index or by name. */
  private answerLink(request: Request): void {
    const { payload } = request;
    if (payload.length < 16) {
      this.error(request, 'EINVAL');
      return;
    }
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    const index = view.getInt32(4, true);
    const name =
      payload.length > 20 && view.getUint16(18, true) === Attribute.IFLA_IFNAME ? payload.subarray(20) : null;
    const wanted = name === null ? null : Buffer.from(name).toString('latin1').split('\0')[0];
    const found = hostInterfaces().find((each) => (index > 0 ? each.index === index : each.name === wanted));
    if (found === undefined) this.error(request, 'ENODEV');
    else {
      this.push([this.message(RTM_NEWLINK, 0, request.sequence, linkPayload(found))]);
      if (request.flags & NLM_F_ACK) this.error(request, null);
    }
  }

  private dump({ sequence }: Request, type: number, payloads: readonly Uint8Array[]): void {
    let part: Uint8Array[] = [];
    let size = 0;
    for (const payload of payloads) {
      const message = this.message(type, NLM_F_MULTI, sequence, payload);
      if (size + message.length > answerBytes) {
        this.push(part);
        part = [];
        size = 0;
      }
      part.push(message);
      size += message.length;
    }
    if (part.length > 0) this.push(part);
    this.push([this.message(NLMSG_DONE, NLM_F_MULTI, sequence, new Uint8Array(4))]);
  }

  /** NLMSG_ERROR; null is an acknowledgement. */
  private error({ header, sequence }: Request, error: ErrnoName | null): void {
    const code = word(error === null ? 0 : -errnoNumbers[error]);
    this.push([this.message(NLMSG_ERROR, 0, sequence, Buffer.concat([code, header]))]);
  }

  private message(type: number, flags: number, sequence: number, payload: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(headerBytes + aligned(payload.length));
    const view = new DataView(bytes.buffer);
    view.setUint32(0, headerBytes + payload.length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags, true);
    view.setUint32(8, sequence, true);
    view.setUint32(12, this.port, true);
    bytes.set(payload, headerBytes);
    return bytes;
  }

  private push(messages: readonly Uint8Array[]): void {
    const from: NetlinkAddress = { family: 'netlink', port: 0, groups: 0 };
    this.queue.push(Buffer.concat(messages), { from, rights: [], credentials: nobody });
    this.readiness.wake(pollInput);
  }

  override receive(into: Incoming): Received | null {
    return this.queue.count === 0 ? null : this.queue.take(into);
  }

  override available(): number {
    return this.queue.nextLength;
  }

  override poll(events: number): number {
    const ready = pollOutput | (this.queue.count > 0 ? pollInput : 0);
    return ready & events;
  }

  override shutdown(): void {
    throw new Errno('EOPNOTSUPP');
  }

  protected override close(): void {
    this.queue.clear();
    this.network.netlinkPorts.delete(this.port);
  }
}
