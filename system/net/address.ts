/* IPv4 addresses are u32 numbers; those of Ethernet are 6 bytes. */

/** `10.0.2.15`; undefined if it is none. */
export function parseAddress(text: string): number | undefined {
  const parts = text.split('.').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 256));
  if (parts.length !== 4 || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((address, part) => address * 256 + part, 0);
}

export const addressText = (address: number): string =>
  [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');

export const addressBytes = (address: number): number[] => [24, 16, 8, 0].map((shift) => (address >>> shift) & 255);

export const broadcastAddress = 0xffffffff;
export const loopback = '127.0.0.1';

/** `52:54:00:12:34:56`; undefined if it is none, or that of a group. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[\da-f]{2}([:-][\da-f]{2}){5}$/i.test(text)) return undefined;
  const bytes = Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16));
  return bytes[0]! & 1 ? undefined : bytes;
}

export const macText = (mac: Uint8Array): string =>
  Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');

export const broadcastMac = new Uint8Array(6).fill(0xff);

/** The addresses of a user-mode network. */
export interface NetworkAddresses {
  readonly network: number;
  readonly mask: number;
  /** The host, seen from the guest; it is the gateway, too. */
  readonly host: number;
  readonly dns: number;
  /** The first address that DHCP gives. */
  readonly dhcpStart: number;
}

/** The network's own broadcast address. */
export const directedBroadcast = ({ network, mask }: NetworkAddresses): number => (network | ~mask) >>> 0;
