import { Errno } from '#util/errno.ts';
import { formatIp4, formatIp6, parseIp4, parseIp6 } from './ip.ts';
import { Family } from './numbers.ts';

export interface InetAddress {
  readonly family: 'inet';
  /** Dotted decimal. */
  readonly host: string;
  readonly port: number;
}

export interface Inet6Address {
  readonly family: 'inet6';
  /** RFC 5952, without a scope. */
  readonly host: string;
  readonly port: number;
  readonly flowInfo: number;
  /** Index of the interface of a link-local address; 0 for none. */
  readonly scope: number;
}

export interface UnixAddress {
  readonly family: 'unix';
  /** A path without its NUL, an abstract name with the NUL it starts with, empty for a socket without a name. */
  readonly path: Uint8Array;
}

export interface NetlinkAddress {
  readonly family: 'netlink';
  readonly port: number;
  readonly groups: number;
}

/** `number`: sa_family of AF_UNSPEC and of families that no socket here has. */
export interface OtherAddress {
  readonly family: 'other';
  readonly number: number;
}

/** What a struct sockaddr says. */
export type SocketAddress = InetAddress | Inet6Address | UnixAddress | NetlinkAddress | OtherAddress;

/** Bytes of struct sockaddr_storage: more is EINVAL. */
export const longestAddress = 128;
const inetBytes = 16;
/** Linux takes a sockaddr_in6 without sin6_scope_id too (RFC 2133). */
const inet6Bytes = 28;
const oldInet6Bytes = 24;
const netlinkBytes = 12;
const unixPathBytes = 108;

/** Decodes a guest's sockaddr, little-endian as its CPU. EINVAL for one too short for its family. */
export function decodeAddress(bytes: Uint8Array): SocketAddress {
  if (bytes.length < 2) throw new Errno('EINVAL');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const number = view.getUint16(0, true);
  const need = (length: number): void => {
    if (bytes.length < length) throw new Errno('EINVAL');
  };
  switch (number) {
    case Family.AF_INET:
      need(inetBytes);
      return { family: 'inet', host: formatIp4(bytes.subarray(4, 8)), port: view.getUint16(2) };
    case Family.AF_INET6:
      need(oldInet6Bytes);
      return {
        family: 'inet6',
        host: formatIp6(bytes.subarray(8, 24)),
        port: view.getUint16(2),
        flowInfo: view.getUint32(4),
        scope: bytes.length >= inet6Bytes ? view.getUint32(24, true) : 0,
      };
    case Family.AF_UNIX:
      if (bytes.length > 2 + unixPathBytes) throw new Errno('EINVAL');
      return { family: 'unix', path: unixPath(bytes.subarray(2)) };
    case Family.AF_NETLINK:
      need(netlinkBytes);
      return { family: 'netlink', port: view.getUint32(4, true), groups: view.getUint32(8, true) };
    default:
      return { family: 'other', number };
  }
}

/** An abstract name is as long as the address says, a path ends at its NUL. */
function unixPath(bytes: Uint8Array): Uint8Array {
  const end = bytes[0] === 0 ? bytes.length : bytes.indexOf(0);
  return bytes.slice(0, end < 0 ? bytes.length : end);
}

/** Encodes an address as the guest's sockaddr. */
export function encodeAddress(address: SocketAddress): Uint8Array {
  switch (address.family) {
    case 'inet': {
      const bytes = new Uint8Array(inetBytes);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, Family.AF_INET, true);
      view.setUint16(2, address.port);
      bytes.set(parseIp4(address.host)!, 4);
      return bytes;
    }
    case 'inet6': {
      const bytes = new Uint8Array(inet6Bytes);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, Family.AF_INET6, true);
      view.setUint16(2, address.port);
      view.setUint32(4, address.flowInfo);
      bytes.set(parseIp6(address.host)!, 8);
      view.setUint32(24, address.scope, true);
      return bytes;
    }
    case 'unix': {
      const { path } = address;
      const ended = path.length > 0 && path[0] !== 0;
      const bytes = new Uint8Array(2 + path.length + (ended ? 1 : 0));
      bytes[0] = Family.AF_UNIX;
      bytes.set(path, 2);
      return bytes;
    }
    case 'netlink': {
      const bytes = new Uint8Array(netlinkBytes);
      const view = new DataView(bytes.buffer);
      view.setUint16(0, Family.AF_NETLINK, true);
      view.setUint32(4, address.port, true);
      view.setUint32(8, address.groups, true);
      return bytes;
    }
    case 'other': {
      const bytes = new Uint8Array(2);
      new DataView(bytes.buffer).setUint16(0, address.number, true);
      return bytes;
    }
  }
}

export const unnamed: UnixAddress = { family: 'unix', path: new Uint8Array(0) };
