import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import {
  broadcastOf,
  hostInterfaces,
  type Interface,
  InterfaceFlag,
  maskOf,
  queueLength,
} from '#linux-user/net/interfaces.ts';
import { Family } from '#linux-user/net/numbers.ts';
import type { Socket } from '#linux-user/net/socket.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { Ioctl } from './names.ts';

/** struct ifreq: a name of 16 bytes and a union of 16 (on a 32-bit CPU). */
const nameBytes = 16;
const ifreqBytes = 32;
const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

function nameAt(memory: GuestMemory, at: number): string {
  return Buffer.from(memory.copy(at, nameBytes)).toString('latin1').split('\0')[0];
}

/** A sockaddr_in without a port. */
const inetAddress = (address: Uint8Array): Uint8Array =>
  Uint8Array.of(Family.AF_INET, 0, 0, 0, ...address, 0, 0, 0, 0, 0, 0, 0, 0);

/** What a question about one interface is answered with: the bytes of the union. ENODEV, EADDRNOTAVAIL. */
function answer(request: number, { index, flags, mtu, mac, addresses }: Interface): Uint8Array {
  const four = (): (typeof addresses)[number] => {
    const own = addresses.find(({ address }) => address.length === 4);
    if (own === undefined) throw new Errno('EADDRNOTAVAIL');
    return own;
  };
  const loopback = (flags & InterfaceFlag.IFF_LOOPBACK) !== 0;
  switch (request) {
    case Ioctl.SIOCGIFFLAGS:
      return new Uint8Array(Uint16Array.of(flags).buffer);
    case Ioctl.SIOCGIFINDEX:
      return new Uint8Array(Uint32Array.of(index).buffer);
    case Ioctl.SIOCGIFMTU:
      return new Uint8Array(Uint32Array.of(mtu).buffer);
    case Ioctl.SIOCGIFMETRIC:
      return new Uint8Array(4);
    case Ioctl.SIOCGIFTXQLEN:
      return new Uint8Array(Uint32Array.of(queueLength).buffer);
    case Ioctl.SIOCGIFADDR:
      return inetAddress(four().address);
    case Ioctl.SIOCGIFNETMASK:
      return inetAddress(maskOf(four().prefix, 4));
    case Ioctl.SIOCGIFBRDADDR:
      return inetAddress(loopback ? new Uint8Array(4) : broadcastOf(four()));
    case Ioctl.SIOCGIFHWADDR: {
      const type = loopback ? ARPHRD_LOOPBACK : ARPHRD_ETHER;
      return Uint8Array.of(type & 255, type >> 8, ...mac);
    }
    default:
      throw new Errno('ENOTTY');
  }
}

/** SIOCGIFCONF: the interfaces that have an IPv4 address, one entry for each address. */
function listInterfaces(memory: GuestMemory, at: number): number {
  const room = memory.load32(at) | 0;
  const to = memory.load32(at + 4);
  const entries = hostInterfaces().flatMap(({ name, addresses }) =>
    addresses
      .filter(({ address }) => address.length === 4)
      .map(({ address }) => {
        const entry = new Uint8Array(ifreqBytes);
        entry.set(Buffer.from(name, 'latin1').subarray(0, nameBytes - 1));
        entry.set(inetAddress(address), nameBytes);
        return entry;
      }),
  );
  const shown = to === 0 ? entries : entries.slice(0, Math.max(0, Math.floor(room / ifreqBytes)));
  if (to !== 0) memory.write(to, Buffer.concat(shown));
  memory.store32(at, shown.length * ifreqBytes);
  return 0;
}

/** Requests that a socket takes; undefined for others. */
export function socketRequest(task: Task, socket: Socket, request: number, at: number): number | undefined {
  const { memory } = task;
  switch (request) {
    case Ioctl.TIOCOUTQ:
      memory.store32(at, socket.unsent);
      return 0;
    case Ioctl.SIOCATMARK:
      memory.store32(at, 0);
      return 0;
    case Ioctl.SIOCGIFCONF:
      return listInterfaces(memory, at);
    case Ioctl.SIOCGIFNAME: {
      const index = memory.load32(at + nameBytes);
      const found = hostInterfaces().find((each) => each.index === index);
      if (found === undefined) throw new Errno('ENODEV');
      const name = new Uint8Array(nameBytes);
      name.set(Buffer.from(found.name, 'latin1').subarray(0, nameBytes - 1));
      memory.write(at, name);
      return 0;
    }
    case Ioctl.SIOCGIFFLAGS:
    case Ioctl.SIOCGIFINDEX:
    case Ioctl.SIOCGIFMTU:
    case Ioctl.SIOCGIFMETRIC:
    case Ioctl.SIOCGIFTXQLEN:
    case Ioctl.SIOCGIFADDR:
    case Ioctl.SIOCGIFNETMASK:
    case Ioctl.SIOCGIFBRDADDR:
    case Ioctl.SIOCGIFHWADDR: {
      memory.require(at, ifreqBytes, Access.read | Access.write);
      const name = nameAt(memory, at);
      const found = hostInterfaces().find((each) => each.name === name);
      if (found === undefined) throw new Errno('ENODEV');
      memory.write(at + nameBytes, answer(request, found));
      return 0;
    }
    default:
      return undefined;
  }
}
