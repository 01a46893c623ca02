import { describeProperties, property, readProperties } from '../option-properties.ts';
import type { OptionString } from '../option-string.ts';
import { type NetworkAddresses, parseAddress } from './address.ts';
import { type Forwarding, type UserOptions } from './user.ts';

/* `-netdev user,…` */

export const netdevProperties = {
  id: property.text('name of the network'),
  net: property.text('its addresses: 10.0.2.0/24 or 10.0.2.0/255.255.255.0'),
  host: property.text('the host, seen from the guest (default: the 2nd)'),
  dns: property.text('the name server (default: the 3rd)'),
  dhcpstart: property.text('the first address that DHCP gives (default: the 15th)'),
  hostname: property.text('what DHCP calls the guest'),
  restrict: property.flag('the guest reaches neither the host nor others'),
} as const;

/** Kinds of `-netdev`. */
export const netdevKinds: Readonly<Record<string, string>> = {
  user: 'TCP and UDP through sockets of the host, without privileges',
};

export const netdevHelp = (): string =>
  `${Object.entries(netdevKinds)
    .map(([name, help]) => `${name}: ${help}\n`)
    .join('')}user options:\n${describeProperties({
    ...netdevProperties,
    hostfwd: property.text(
      'tcp|udp:[HOSTADDR]:PORT-[GUESTADDR]:PORT: a port of the host leads to the guest; may be repeated',
    ),
  })}`;

/** `-netdev user,id=…`. Throws OptionError. */
export function readNetdev(options: OptionString): UserOptions & { readonly id: string | null } {
  if (options.first !== 'user')
    throw options.wrong(`unknown kind '${options.first}': ${Object.keys(netdevKinds).join(', ')}`);
  const forwards = options.all('hostfwd');
  const { id = null, hostname = '', restrict = false, ...given } = readProperties(options, netdevProperties);
  const addresses = readAddresses(options, given);
  return {
    id,
    addresses,
    restrict,
    hostName: hostname,
    forwards: forwards.map((text) => readForward(options, text, addresses.dhcpStart)),
  };
}

type Given = Readonly<Partial<Record<'net' | 'host' | 'dns' | 'dhcpstart', string>>>;

function readAddresses(options: OptionString, { net = '10.0.2.0/24', host, dns, dhcpstart }: Given): NetworkAddresses {
  const [base = '', width = '24'] = net.split('/');
  const start = parseAddress(base);
  const mask = /^\d+$/.test(width) ? maskOf(Number(width)) : parseAddress(width);
  if (start === undefined || mask === undefined || !isMask(mask)) throw options.wrong(`net=${net}: no network`);
  const network = (start & mask) >>> 0;
  const inside = (name: string, text: string | undefined, otherwise: number): number => {
    const address = text === undefined ? (network | (otherwise & ~mask)) >>> 0 : parseAddress(text);
    const hostPart = address === undefined ? 0 : (address & ~mask) >>> 0;
    const wrong =
      address === undefined || (address & mask) >>> 0 !== network || hostPart === 0 || hostPart === ~mask >>> 0;
    if (wrong) throw options.wrong(`${name}=${text ?? ''}: no address in the network`);
    return address;
  };
  const addresses = {
    network,
    mask,
    host: inside('host', host, 0x0202),
    dns: inside('dns', dns, 0x0203),
    dhcpStart: inside('dhcpstart', dhcpstart, 0x020f),
  };
  if (new Set([addresses.host, addresses.dns, addresses.dhcpStart]).size < 3) {
    throw options.wrong('host, dns and dhcpstart must differ');
  }
  return addresses;
}

const maskOf = (bits: number): number | undefined =>
  bits > 32 ? undefined : bits === 0 ? 0 : (-1 << (32 - bits)) >>> 0;
/** Ones, then at least four zeros: the network needs a handful of addresses. */
const isMask = (mask: number): boolean => (~mask & (~mask + 1)) === 0 && (mask & 15) === 0 && mask !== 0;

/** `tcp|udp:[hostaddr]:hostport-[guestaddr]:guestport` */
function readForward(options: OptionString, text: string, guestAddress: number): Forwarding {
  const [, protocol = 'tcp', from = '', hostPort, to, guestPort] =
    /^(?:(tcp|udp)?:)?([\d.]*):(\d+)-([\d.]*):(\d+)$/.exec(text) ?? [];
  const guest = to === '' ? guestAddress : parseAddress(to ?? '');
  const ports = [Number(hostPort), Number(guestPort)] as const;
  const wrong =
    guest === undefined ||
    (from !== '' && parseAddress(from) === undefined) ||
    ports.some((port) => !(port <= 65535)) ||
    ports[1] === 0;
  if (wrong) throw options.wrong(`hostfwd=${text}: tcp|udp:[HOSTADDR]:PORT-[GUESTADDR]:PORT`);
  return { protocol: protocol as 'tcp' | 'udp', hostAddress: from, hostPort: ports[0], guest, guestPort: ports[1] };
}
