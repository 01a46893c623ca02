import { type AddressInfo, createServer } from 'node:net';
import { parseAddress } from '#system/net/address.ts';
import {
  buildFrame,
  buildIp,
  buildUdp,
  etherTypes,
  type IpPacket,
  parseFrame,
  parseIp,
  protocols,
  viewOf,
} from '#system/net/packets.ts';
import { buildSegment, flags, parseSegment, type Segment, synOptions } from '#system/net/tcp-segment.ts';
import type { UserNetwork } from '#system/net/user.ts';

export const address = (text: string): number => parseAddress(text)!;

/** A TCP port of the host that nobody uses. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const none = new Uint8Array(0);

/** A machine on a user-mode network that does by hand what a guest's kernel does. */
export class NetworkPeer {
  readonly mac = Uint8Array.of(0x52, 0x54, 0, 1, 2, 3);
  readonly own: number;
  /** False: there is no buffer for a frame. */
  accepting = true;
  frames: Uint8Array[] = [];
  private readonly network: UserNetwork;
  private readonly gatewayMac: Uint8Array;

  constructor(network: UserNetwork, own = address('10.0.2.15')) {
    this.network = network;
    this.own = own;
    this.gatewayMac = Uint8Array.of(0x52, 0x55, 10, 0, 2, 2);
    network.onFrame((frame) => {
      if (this.accepting) this.frames.push(frame);
      return this.accepting;
    });
  }

  send(type: number, payload: Uint8Array, target = this.gatewayMac): void {
    this.network.send(buildFrame(target, this.mac, type, payload));
  }

  sendIp(protocol: number, target: number, payload: Uint8Array): void {
    for (const packet of buildIp(protocol, this.own, target, payload)) this.send(etherTypes.ipv4, packet);
  }

  sendUdp(target: number, sourcePort: number, targetPort: number, data: Uint8Array): void {
    const datagram = buildUdp(this.own, target, { sourcePort, targetPort, data });
    this.sendIp(protocols.udp, target, datagram);
  }

  /** Asks who has `wanted`; its card, if there is an answer. */
  arp(wanted: number): Uint8Array | undefined {
    const request = new Uint8Array(28);
    const view = viewOf(request);
    view.setUint32(0, 0x00010800);
    view.setUint32(4, 0x06040001);
    request.set(this.mac, 8);
    view.setUint32(14, this.own);
    view.setUint32(24, wanted);
    this.frames = [];
    this.send(etherTypes.arp, request, new Uint8Array(6).fill(0xff));
    const answer = this.frames.map(parseFrame).find((frame) => frame?.type === etherTypes.arp);
    return answer?.payload.slice(8, 14);
  }

  /** The next packet of `protocol` that came, taken out. */
  next(protocol: number): IpPacket | undefined {
    const at = this.frames.findIndex((frame) => {
      const { type, payload } = parseFrame(frame)!;
      return type === etherTypes.ipv4 && parseIp(payload)?.protocol === protocol;
    });
    if (at < 0) return undefined;
    const [frame] = this.frames.splice(at, 1);
    return parseIp(parseFrame(frame!)!.payload)!;
  }

  /** The next packet of `protocol`, as soon as it comes. */
  async wait(protocol: number): Promise<IpPacket> {
    for (let turn = 0; turn < 2000; turn++) {
      const packet = this.next(protocol);
      if (packet) return packet;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    throw new Error(`no packet of protocol ${protocol} came`);
  }
}

/** One TCP connection of a `NetworkPeer`. It takes nothing out of order. */
export class TcpPeer {
  readonly port: number;
  window = 0xffff;
  sequence = 1000;
  expected = 0;
  received: Uint8Array[] = [];
  ended = false;
  wasReset = false;
  private readonly peer: NetworkPeer;
  private readonly target: number;
  private readonly targetPort: number;

  constructor(peer: NetworkPeer, port: number, target: number, targetPort: number) {
    this.peer = peer;
    this.port = port;
    this.target = target;
    this.targetPort = targetPort;
  }

  send(bits: number, data: Uint8Array = none, more: { sequence?: number; options?: readonly number[] } = {}): void {
    const segment: Segment = {
      sourcePort: this.port,
      targetPort: this.targetPort,
      sequence: more.sequence ?? this.sequence,
      acknowledged: bits & flags.ack ? this.expected : 0,
      flags: bits,
      window: this.window,
      data,
    };
    this.peer.sendIp(protocols.tcp, this.target, buildSegment(this.peer.own, this.target, segment, more.options));
  }

  async segment(): Promise<Segment> {
    const segment = parseSegment(await this.peer.wait(protocols.tcp));
    if (!segment) throw new Error('a damaged segment came');
    return segment;
  }

  /** Connects; false: it was refused. */
  async connect(): Promise<boolean> {
    this.send(flags.syn, none, { options: synOptions(1460, 0) });
    const answer = await this.segment();
    if (answer.flags & flags.rst) return false;
    this.established(answer);
    return true;
  }

  /** Answers a connection from outside. */
  async accept(): Promise<void> {
    const syn = await this.segment();
    this.expected = (syn.sequence + 1) >>> 0;
    this.send(flags.syn | flags.ack, none, { options: synOptions(1460, 0) });
    this.sequence++;
  }

  private established(answer: Segment): void {
    this.expected = (answer.sequence + 1) >>> 0;
    this.sequence++;
    this.send(flags.ack);
  }

  write(text: string): void {
    const data = new TextEncoder().encode(text);
    this.send(flags.ack | flags.psh, data);
    this.sequence += data.length;
  }

  end(): void {
    this.send(flags.ack | flags.fin);
    this.sequence++;
  }

  /** Takes what has come; `lose` says which segments are lost on the way. */
  take(lose: (segment: Segment) => boolean = () => false): void {
    for (let packet = this.peer.next(protocols.tcp); packet; packet = this.peer.next(protocols.tcp)) {
      const segment = parseSegment(packet)!;
      if (lose(segment)) continue;
      if (segment.flags & flags.rst) this.wasReset = true;
      const fits = segment.sequence === this.expected;
      const counted = segment.data.length + (segment.flags & flags.fin ? 1 : 0);
      if (fits && segment.data.length > 0) this.received.push(segment.data.slice());
      if (fits && segment.flags & flags.fin) this.ended = true;
      if (fits) this.expected = (this.expected + counted) >>> 0;
      if (counted > 0) this.send(flags.ack);
    }
  }

  get text(): string {
    return Buffer.concat(this.received).toString();
  }

  /** Takes what comes until `done`. */
  async until(done: () => boolean, lose?: (segment: Segment) => boolean, each: () => void = () => {}): Promise<void> {
    for (let turn = 0; turn < 5000 && !done(); turn++) {
      this.take(lose);
      each();
      await new Promise((resolve) => setImmediate(resolve));
      if (turn > 100) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    if (!done()) throw new Error('it did not come');
  }
}
