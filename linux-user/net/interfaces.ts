import * as fs from 'node:fs';
import { parseIp4, parseIp6 } from './ip.ts';

/** IFF_* (include/uapi/linux/if.h). */
export const InterfaceFlag = {
  IFF_UP: 1,
  IFF_BROADCAST: 2,
  IFF_LOOPBACK: 8,
  IFF_RUNNING: 0x40,
  IFF_MULTICAST: 0x1000,
  IFF_LOWER_UP: 0x10000,
} as const;

export interface InterfaceAddress {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly prefix: number;
  readonly scope: number;
}

/** A network interface of the host. */
export interface Interface {
  readonly index: number;
  readonly name: string;
  /** Hardware address, 6 bytes. */
  readonly mac: Uint8Array;
  readonly flags: number;
  readonly mtu: number;
  readonly addresses: readonly InterfaceAddress[];
}

/** Packets that wait at an interface: what Linux gives every Ethernet card. */
export const queueLength = 1000;

/** What Linux says of an interface; undefined elsewhere. */
function attribute(name: string, file: string): number | undefined {
  try {
    return Number(fs.readFileSync(`/sys/class/net/${name}/${file}`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** The index of an interface of Linux that may be down or without an address; 0: there is none of that name. */
export const indexOf = (name: string): number => attribute(name, 'ifindex') ?? 0;

/** The interfaces that Node tells of: those that are up and have an address. Ordered by index. */
export function hostInterfaces(): Interface[] {
  const found = Object.entries(process.getBuiltinModule('node:os').networkInterfaces()).map(
    ([name, addresses = []], order): Interface => {
      const loopback = addresses.some(({ internal }) => internal);
      const usual = loopback ? InterfaceFlag.IFF_LOOPBACK : InterfaceFlag.IFF_BROADCAST | InterfaceFlag.IFF_MULTICAST;
      return {
        index: attribute(name, 'ifindex') ?? order + 1,
        name,
        mac: Uint8Array.from((addresses[0]?.mac ?? '').split(':'), (part) => Number.parseInt(part, 16) || 0),
        flags: usual | InterfaceFlag.IFF_UP | InterfaceFlag.IFF_RUNNING | InterfaceFlag.IFF_LOWER_UP,
        mtu: attribute(name, 'mtu') ?? (loopback ? 65536 : 1500),
        addresses: addresses.map(({ address, cidr, scopeid }) => ({
          address: (address.includes(':') ? parseIp6(address) : parseIp4(address))!,
          prefix: Number(cidr?.split('/')[1] ?? 0),
          scope: loopback ? 254 : scopeid ? 253 : 0,
        })),
      };
    },
  );
  return found.toSorted((a, b) => a.index - b.index);
}

/** The mask of a prefix, `bytes` long. */
export const maskOf = (prefix: number, bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - 8 * i))));

/** The broadcast address of an IPv4 network. */
export const broadcastOf = ({ address, prefix }: InterfaceAddress): Uint8Array => {
  const mask = maskOf(prefix, 4);
  return address.map((byte, i) => byte | (255 - mask[i]));
};
