import { addressBytes, macText, type NetworkAddresses } from './address.ts';
import { viewOf } from './packets.ts';

/* DHCP server (RFC 2131, options in RFC 2132): one address for each card, for a day. */

export const dhcpPorts = { server: 67, client: 68 } as const;

const messages = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7, inform: 8 } as const;
const options = {
  subnetMask: 1,
  router: 3,
  dns: 6,
  hostName: 12,
  requestedAddress: 50,
  leaseTime: 51,
  messageType: 53,
  server: 54,
  end: 255,
} as const;
const cookie = 0x63825363;
/** Bytes of a message before its options; the least that clients take (RFC 1542). */
const fixedBytes = 240;
const leastBytes = 300;
const request = 1;
const reply = 2;
const ethernet = 1;
const leaseSeconds = 86_400;
const mostClients = 64;

/** A message for a client, which may have no address yet. */
export interface DhcpAnswer {
  readonly message: Uint8Array;
  readonly address: number;
  /** It has to go to everybody. */
  readonly broadcast: boolean;
}

export class DhcpServer {
  private readonly addresses: NetworkAddresses;
  private readonly hostName: string;
  /** By card. */
  private readonly leases = new Map<string, number>();

  /** `hostName`: what the guest is called, or empty. */
  constructor(addresses: NetworkAddresses, hostName: string) {
    this.addresses = addresses;
    this.hostName = hostName;
  }

  /** The answer to a client's message, if there is one. */
  answer(message: Uint8Array): DhcpAnswer | null {
    if (message.length < fixedBytes || message[0] !== request || message[1] !== ethernet || message[2] !== 6)
      return null;
    const view = viewOf(message);
    if (view.getUint32(236) !== cookie) return null;
    const given = readOptions(message);
    const type = given.get(options.messageType)?.[0] ?? 0;
    const mac = macText(message.subarray(28, 34));
    const current = view.getUint32(12);
    const requested = given.get(options.requestedAddress);
    const wanted = requested?.length === 4 ? viewOf(requested).getUint32(0) : current;
    switch (type) {
      case messages.discover: {
        const address = this.lease(mac, wanted);
        return address === null ? null : this.build(message, messages.offer, address);
      }
      case messages.request: {
        const server = given.get(options.server);
        if (server?.length === 4 && viewOf(server).getUint32(0) !== this.addresses.host) return null;
        const address = this.lease(mac, wanted);
        if (address === null || (wanted !== 0 && wanted !== address)) return this.build(message, messages.nak, 0);
        return this.build(message, messages.ack, address);
      }
      case messages.inform:
        return this.build(message, messages.ack, 0);
      case messages.release:
      case messages.decline:
        this.leases.delete(mac);
        return null;
      default:
        return null;
    }
  }

  /** A card's address: the one it had or wants if that is free, or the first free one. */
  private lease(mac: string, wanted: number): number | null {
    const known = this.leases.get(mac);
    if (known !== undefined) return known;
    if (this.leases.size >= mostClients) return null;
    const taken = new Set(this.leases.values());
    const { dhcpStart, network, mask, host, dns } = this.addresses;
    const last = ((network | ~mask) >>> 0) - 1;
    const fits = (address: number): boolean =>
      address >= dhcpStart && address <= last && address !== host && address !== dns && !taken.has(address);
    let address = fits(wanted) ? wanted : dhcpStart;
    while (!fits(address)) if (++address > last) return null;
    this.leases.set(mac, address);
    return address;
  }

  private build(asked: Uint8Array, type: number, address: number): DhcpAnswer {
    const { host, dns, mask } = this.addresses;
    const seconds = addressBytes(leaseSeconds);
    const told: [number, readonly number[]][] = [
      [options.messageType, [type]],
      [options.server, addressBytes(host)],
    ];
    if (type !== messages.nak) {
      told.push([options.subnetMask, addressBytes(mask)], [options.router, addressBytes(host)]);
      told.push([options.dns, addressBytes(dns)]);
      if (address !== 0) told.push([options.leaseTime, seconds]);
      if (this.hostName !== '') told.push([options.hostName, [...new TextEncoder().encode(this.hostName)]]);
    }
    const tail = [...told.flatMap(([option, value]) => [option, value.length, ...value]), options.end];
    const message = new Uint8Array(Math.max(leastBytes, fixedBytes + tail.length));
    const view = viewOf(message);
    message.set([reply, ethernet, 6]);
    // Transaction, flags, the client's address, relay and card come back as they were.
    message.set(asked.subarray(4, 8), 4);
    message.set(asked.subarray(10, 12), 10);
    message.set(asked.subarray(12, 16), 12);
    view.setUint32(16, address);
    view.setUint32(20, host);
    message.set(asked.subarray(24, 44), 24);
    view.setUint32(236, cookie);
    message.set(tail, fixedBytes);
    const current = viewOf(asked).getUint32(12);
    const broadcast = (asked[10]! & 0x80) !== 0 || type === messages.nak || current === 0;
    return { message, address: current, broadcast };
  }
}

function readOptions(message: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  for (let at = fixedBytes; at + 1 < message.length; ) {
    const option = message[at]!;
    if (option === options.end) break;
    if (option === 0) {
      at++;
      continue;
    }
    const length = message[at + 1]!;
    found.set(option, message.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return found;
}
