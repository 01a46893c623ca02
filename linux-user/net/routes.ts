import * as fs from 'node:fs';
import { hostInterfaces, type Interface, indexOf, maskOf } from './interfaces.ts';

/** A route of the host's main table. */
export interface Route {
  /** Destination and gateway: 4 or 16 bytes. */
  readonly destination: Uint8Array;
  readonly prefix: number;
  /** null: the destination is reached directly. */
  readonly gateway: Uint8Array | null;
  /** Our address there, if the route prefers one. */
  readonly source: Uint8Array | null;
  /** The interface's index. */
  readonly index: number;
  readonly metric: number;
}

/** RTF_* (include/uapi/linux/route.h, ipv6_route.h). */
const RTF_UP = 1;
const RTF_GATEWAY = 2;
const RTF_REJECT = 0x200;
const RTF_LOCAL = 0x8000_0000;
/** Multicast destinations: Linux has them in another table. */
const multicast6 = 0xff;

/** IPv4 and IPv6 routes as Linux tells them in /proc/net; elsewhere those to the networks of the interfaces. */
export function hostRoutes(): Route[] {
  const interfaces = hostInterfaces();
  const four = lines('/proc/net/route');
  if (four === null) return interfaces.flatMap(ownNetworks);
  const named = (name: string): Interface | undefined => interfaces.find((each) => each.name === name);
  const routes = four.slice(1).flatMap((fields) => routeOf4(fields, named));
  return [...routes, ...(lines('/proc/net/ipv6_route') ?? []).flatMap((fields) => routeOf6(fields))];
}

function lines(path: string): string[][] | null {
  try {
    const text = fs.readFileSync(path, 'latin1').trimEnd();
    return text === '' ? [] : text.split('\n').map((line) => line.trim().split(/\s+/));
  } catch {
    return null;
  }
}

/** Iface Destination Gateway Flags RefCnt Use Metric Mask …; addresses are words in the host's order. */
function routeOf4(fields: readonly string[], named: (name: string) => Interface | undefined): Route[] {
  const [name, destination, gateway, flags, , , metric, mask] = fields;
  const bits = Number.parseInt(flags!, 16);
  if ((bits & RTF_UP) === 0 || bits & RTF_REJECT) return [];
  const bytes = (text: string): Uint8Array => new Uint8Array(Uint32Array.of(Number.parseInt(text, 16)).buffer);
  const link = named(name!);
  const direct = (bits & RTF_GATEWAY) === 0;
  const own = ownNetworks(link).find((network) => Buffer.compare(network.destination, bytes(destination!)) === 0);
  return [
    {
      destination: bytes(destination!),
      prefix: bytes(mask!).reduce((sum, byte) => sum + ones(byte), 0),
      gateway: direct ? null : bytes(gateway!),
      source: direct && own ? own.source : null,
      index: indexOf(name!),
      metric: Number(metric),
    },
  ];
}

/** Destination, prefix, source, its prefix, gateway, metric, references, use, flags, interface: numbers in hexadecimal. */
function routeOf6(fields: readonly string[]): Route[] {
  const [destination, prefix, , , gateway, metric, , , flags, name] = fields;
  const bits = Number.parseInt(flags!, 16);
  const address = Buffer.from(destination!, 'hex');
  const own = (bits & RTF_LOCAL) !== 0 || address[0] === multicast6;
  if ((bits & RTF_UP) === 0 || bits & RTF_REJECT || own) return [];
  return [
    {
      destination: address,
      prefix: Number.parseInt(prefix!, 16),
      gateway: bits & RTF_GATEWAY ? Buffer.from(gateway!, 'hex') : null,
      source: null,
      index: indexOf(name!),
      metric: Number.parseInt(metric!, 16),
    },
  ];
}

/** The networks that an interface has addresses of. */
function ownNetworks(link: Interface | undefined): Route[] {
  return (link?.addresses ?? []).map(({ address, prefix }) => {
    const mask = maskOf(prefix, address.length);
    const destination = address.map((byte, i) => byte & mask[i]!);
    const source = address.length === 4 ? address : null;
    return { destination, prefix, gateway: null, source, index: link!.index, metric: 0 };
  });
}

function ones(byte: number): number {
  let count = 0;
  for (let bits = byte; bits !== 0; bits &= bits - 1) count++;
  return count;
}
