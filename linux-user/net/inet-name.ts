import { Errno } from '#util/errno.ts';
import type { Inet6Address, InetAddress, SocketAddress } from './address.ts';
import { anyHost, mapped, unmapped } from './ip.ts';
import { Family } from './numbers.ts';
import type { Endpoint } from './port-table.ts';

/** The endpoint as a socket of `domain` shows it: AF_INET6 shows IPv4 hosts as mapped ones. */
export function presented(endpoint: Endpoint, domain: number): InetAddress | Inet6Address {
  const { port } = endpoint;
  const host = unmapped(endpoint.host);
  if (domain === Family.AF_INET) return { family: 'inet', host, port };
  return { family: 'inet6', host: mapped(host), port, flowInfo: 0, scope: 0 };
}

/** The wildcard address of a domain. */
export const wildcard = (domain: number): string => (domain === Family.AF_INET ? '0.0.0.0' : '::');

/** The endpoint that an address names for a socket of `domain`. EAFNOSUPPORT for another family, EINVAL. */
export function endpointOf(address: SocketAddress, domain: number): Endpoint {
  if (address.family === 'inet' && domain === Family.AF_INET) return { host: address.host, port: address.port };
  if (address.family === 'inet6' && domain === Family.AF_INET6) {
    return { host: unmapped(address.host), port: address.port };
  }
  // An IPv4 address is too short for an IPv6 socket, which is found out first.
  throw new Errno(address.family === 'inet' && domain === Family.AF_INET6 ? 'EINVAL' : 'EAFNOSUPPORT');
}

/** The host's own way of writing an endpoint's host for a socket of `domain`. */
export const hostText = (host: string, domain: number): string =>
  domain === Family.AF_INET ? host : anyHost(host) ? '::' : mapped(host);
