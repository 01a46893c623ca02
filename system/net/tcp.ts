import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { OptionError } from '../option-string.ts';
import { addressText, parseAddress } from './address.ts';
import type { IpPacket } from './packets.ts';
import { type Ends, TcpConnection, type TcpWire } from './tcp-connection.ts';
import { flags, parseSegment, type Segment } from './tcp-segment.ts';

/* TCP between the guest and others: each connection of the guest is one of the host. */

const mostConnections = 1024;

/** What TCP needs of the network it belongs to. */
export interface TcpNetwork {
  readonly host: number;
  readonly room: boolean;
  now(): number;
  /** A segment for the guest. */
  deliverSegment(source: number, target: number, segment: Segment, options?: readonly number[]): void;
  /** Where on the host a connection to `address` leads; null: nowhere. */
  route(address: number, port: number): { readonly host: string; readonly port: number } | null;
}

/** A port of the host that leads to one of the guest. */
interface Forward {
  readonly server: Server;
  readonly from: string;
  readonly to: string;
}

const keyOf = ({ guest, guestPort, peer, peerPort }: Ends): string => `${guest}:${guestPort}:${peer}:${peerPort}`;

export class TcpNat implements TcpWire {
  private readonly network: TcpNetwork;
  private readonly connections = new Map<string, TcpConnection>();
  private readonly forwards: Forward[] = [];
  private answering = false;

  constructor(network: TcpNetwork) {
    this.network = network;
  }

  // ---- for connections

  now(): number {
    return this.network.now();
  }

  get room(): boolean {
    return this.network.room;
  }

  transmit({ ends }: TcpConnection, segment: Segment, options?: readonly number[]): void {
    this.network.deliverSegment(ends.peer, ends.guest, segment, options);
  }

  forget(connection: TcpConnection): void {
    const key = keyOf(connection.ends);
    if (this.connections.get(key) === connection) this.connections.delete(key);
  }

  // ---- from the guest

  /** A packet of the guest with a TCP segment. */
  take(packet: IpPacket): void {
    const segment = parseSegment(packet);
    if (!segment) return;
    const ends: Ends = {
      guest: packet.source,
      guestPort: segment.sourcePort,
      peer: packet.target,
      peerPort: segment.targetPort,
    };
    const connection = this.connections.get(keyOf(ends));
    if (connection) {
      connection.take(segment);
      if (connection.wantsAnswer) this.answerSoon();
    } else if ((segment.flags & (flags.syn | flags.ack | flags.rst)) === flags.syn) {
      this.open(ends, segment);
    } else {
      this.refuse(ends, segment);
    }
  }

  /** Acknowledgements wait for what else comes in the same turn. */
  private answerSoon(): void {
    if (this.answering) return;
    this.answering = true;
    setImmediate(() => {
      this.answering = false;
      for (const connection of this.connections.values()) connection.answer();
    });
  }

  private open(ends: Ends, segment: NonNullable<ReturnType<typeof parseSegment>>): void {
    const route = this.network.route(ends.peer, ends.peerPort);
    if (!route || this.connections.size >= mostConnections) {
      this.refuse(ends, segment);
      return;
    }
    const socket = createConnection({ ...route, allowHalfOpen: true });
    const connection = new TcpConnection(this, ends, socket, 'connecting');
    connection.takeSyn(segment);
    this.connections.set(keyOf(ends), connection);
    socket.on('connect', () => connection.accept());
  }

  /** Answers a segment of no connection (RFC 9293, 3.10.7.1). */
  private refuse({ guest, peer }: Ends, segment: Segment): void {
    if (segment.flags & flags.rst) return;
    const { sourcePort, targetPort, sequence, acknowledged, data } = segment;
    const length = data.length + (segment.flags & flags.syn ? 1 : 0) + (segment.flags & flags.fin ? 1 : 0);
    const known = (segment.flags & flags.ack) !== 0;
    this.network.deliverSegment(peer, guest, {
      sourcePort: targetPort,
      targetPort: sourcePort,
      sequence: known ? acknowledged : 0,
      acknowledged: known ? 0 : (sequence + length) >>> 0,
      flags: known ? flags.rst : flags.rst | flags.ack,
      window: 0,
      data: new Uint8Array(0),
    });
  }

  // ---- to the guest

  /** Opens a port of the host that leads to one of the guest. Rejects with OptionError. */
  async forward(hostAddress: string, hostPort: number, guest: number, guestPort: number): Promise<void> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.call(socket, guest, guestPort),
    );
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) =>
        reject(new OptionError(`cannot forward tcp port ${hostPort}: ${error.code}`)),
      );
      server.listen({ port: hostPort, host: hostAddress === '' ? '0.0.0.0' : hostAddress }, resolve);
    });
    this.forwards.push({ server, from: `${hostAddress || '*'}:${hostPort}`, to: `${addressText(guest)}:${guestPort}` });
  }

  private call(socket: Socket, guest: number, guestPort: number): void {
    const remote = parseAddress((socket.remoteAddress ?? '').replace(/^::ffff:/, ''));
    const peer = remote === undefined || remote >>> 24 === 127 ? this.network.host : remote;
    const ends: Ends = { guest, guestPort, peer, peerPort: socket.remotePort ?? 0 };
    if (this.connections.has(keyOf(ends)) || this.connections.size >= mostConnections || ends.peerPort === 0) {
      socket.on('error', () => {});
      socket.resetAndDestroy();
      return;
    }
    this.connections.set(keyOf(ends), new TcpConnection(this, ends, socket, 'calling'));
  }

  // ---- all

  /** The wire has room again. */
  pump(): void {
    for (const connection of this.connections.values()) {
      if (!this.room) return;
      connection.pump();
    }
  }

  tick(now: number): void {
    for (const connection of this.connections.values()) connection.tick(now);
  }

  /** Ends all connections; `all`: the ports of the host, too. */
  reset(all = false): void {
    for (const connection of this.connections.values()) connection.end(true);
    if (all) for (const { server } of this.forwards.splice(0)) server.close();
  }

  /** Rows for `info network`: state, source, target, bytes waiting. */
  get rows(): readonly (readonly [string, string, string, number])[] {
    const forwards = this.forwards.map(({ from, to }) => ['TCP[HOST_FORWARD]', from, to, 0] as const);
    const connections = [...this.connections.values()].map(({ ends, state, waiting }) => {
      const guest = `${addressText(ends.guest)}:${ends.guestPort}`;
      return [`TCP[${state.toUpperCase()}]`, guest, `${addressText(ends.peer)}:${ends.peerPort}`, waiting] as const;
    });
    return [...forwards, ...connections];
  }
}
