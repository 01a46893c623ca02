import { createSocket, type Socket } from 'node:dgram';
import { OptionError } from '../option-string.ts';
import { addressText, loopback, parseAddress } from './address.ts';
import type { Datagram } from './packets.ts';

/* UDP between the guest and others: each port of the guest is a port of the host. */

/** Nanoseconds without a datagram until a port is given up: QEMU's. */
const idleTime = 240e9;
const mostPorts = 512;
/** Bytes that wait to be sent, before more are lost. */
const mostUnsent = 1 << 20;

/** What UDP needs of the network it belongs to. */
export interface UdpNetwork {
  readonly host: number;
  now(): number;
  /** A datagram for the guest. */
  deliver(source: number, target: number, datagram: Datagram): void;
}

/** A port of the guest. */
interface Port {
  readonly socket: Socket;
  readonly address: number;
  readonly port: number;
  used: number;
  /** It was opened by `hostfwd`, and stays. */
  readonly forwarded: string | null;
}

export class UdpNat {
  private readonly network: UdpNetwork;
  private readonly ports = new Map<string, Port>();

  constructor(network: UdpNetwork) {
    this.network = network;
  }

  /** A datagram of the guest. */
  send(source: number, target: number, { sourcePort, targetPort, data }: Datagram): void {
    if (targetPort === 0) return;
    const port = this.ports.get(`${source}:${sourcePort}`) ?? this.open(source, sourcePort);
    port.used = this.network.now();
    if (port.socket.getSendQueueSize() > mostUnsent) return;
    const to = target === this.network.host ? loopback : addressText(target);
    port.socket.send(data, targetPort, to, () => {});
  }

  /** A datagram that may only leave through a port that `hostfwd` has opened. */
  reply(source: number, target: number, datagram: Datagram): void {
    const port = this.ports.get(`${source}:${datagram.sourcePort}`);
    if (port && port.forwarded !== null) this.send(source, target, datagram);
  }

  private open(address: number, number: number): Port {
    if (this.ports.size >= mostPorts) this.closeOldest();
    return this.add(createSocket('udp4'), address, number, null);
  }

  private add(socket: Socket, address: number, number: number, forwarded: string | null): Port {
    const port: Port = { socket, address, port: number, used: this.network.now(), forwarded };
    this.ports.set(`${address}:${number}`, port);
    socket.on('error', () => {});
    socket.on('message', (data, from) => {
      port.used = this.network.now();
      const remote = parseAddress(from.address);
      if (remote === undefined || from.port === 0) return;
      const source = remote >>> 24 === 127 ? this.network.host : remote;
      this.network.deliver(source, address, { sourcePort: from.port, targetPort: number, data });
    });
    return port;
  }

  /** Opens a port of the host that leads to one of the guest. Rejects with OptionError. */
  async forward(hostAddress: string, hostPort: number, address: number, port: number): Promise<void> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error: NodeJS.ErrnoException) =>
        reject(new OptionError(`cannot forward udp port ${hostPort}: ${error.code}`)),
      );
      socket.bind(hostPort, hostAddress === '' ? undefined : hostAddress, resolve);
    });
    this.add(socket, address, port, `${hostAddress || '*'}:${hostPort}`);
  }

  private closeOldest(): void {
    let oldest: Port | null = null;
    for (const port of this.ports.values()) {
      if (port.forwarded === null && (!oldest || port.used < oldest.used)) oldest = port;
    }
    if (oldest) this.close(oldest);
  }

  private close(port: Port): void {
    this.ports.delete(`${port.address}:${port.port}`);
    port.socket.close();
  }

  /** Gives up what was not used for long. */
  tick(now: number): void {
    for (const port of this.ports.values()) {
      if (port.forwarded === null && now - port.used > idleTime) this.close(port);
    }
  }

  /** Ports without those of `hostfwd` are closed; `all`: those too. */
  reset(all = false): void {
    for (const port of this.ports.values()) if (all || port.forwarded === null) this.close(port);
  }

  /** Rows for `info network`: state, source, target, bytes waiting. */
  get rows(): readonly (readonly [string, string, string, number])[] {
    return [...this.ports.values()].map(({ address, port, forwarded, socket }) => {
      const guest = `${addressText(address)}:${port}`;
      const waiting = socket.getSendQueueSize();
      return forwarded === null ? ['UDP', guest, '*', waiting] : ['UDP[HOST_FORWARD]', forwarded, guest, waiting];
    });
  }
}
