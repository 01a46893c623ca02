import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { Family, NETLINK_ROUTE, Protocol, SocketType } from './numbers.ts';
import type { Socket } from './socket.ts';
import { TcpSocket } from './tcp-socket.ts';
import { UdpSocket } from './udp-socket.ts';
import { UnixDatagramSocket } from './unix-datagram-socket.ts';
import { UnixStreamSocket } from './unix-stream-socket.ts';

const highestFamily = 45;
const highestType = 10;

/** Families that a kernel has and a user without privileges may not use, or that take a module that is not there. */
function unixType(type: number, protocol: number): number {
  if (protocol !== 0 && protocol !== Family.AF_UNIX) throw new Errno('EPROTONOSUPPORT');
  // SOCK_RAW has always been taken for SOCK_DGRAM.
  if (type === SocketType.SOCK_RAW) return SocketType.SOCK_DGRAM;
  const known: readonly number[] = [SocketType.SOCK_STREAM, SocketType.SOCK_DGRAM, SocketType.SOCK_SEQPACKET];
  if (!known.includes(type)) throw new Errno('ESOCKTNOSUPPORT');
  return type;
}

function createInet(process: Process, domain: number, type: number, protocol: number, flags: number): Socket {
  const { network } = process;
  if (protocol < 0 || protocol > 262) throw new Errno('EINVAL');
  switch (type) {
    case SocketType.SOCK_STREAM:
      if (protocol !== 0 && protocol !== Protocol.IPPROTO_TCP) throw new Errno('EPROTONOSUPPORT');
      return new TcpSocket(network, { domain, type, protocol: Protocol.IPPROTO_TCP }, flags);
    case SocketType.SOCK_DGRAM:
      // Echo requests without privileges: Linux asks net.ipv4.ping_group_range, which lets nobody by default.
      if (protocol === Protocol.IPPROTO_ICMP && domain === Family.AF_INET) throw new Errno('EACCES');
      if (protocol === Protocol.IPPROTO_ICMPV6 && domain === Family.AF_INET6) throw new Errno('EACCES');
      if (protocol !== 0 && protocol !== Protocol.IPPROTO_UDP) throw new Errno('EPROTONOSUPPORT');
      return new UdpSocket(network, { domain, type, protocol: Protocol.IPPROTO_UDP }, flags);
    case SocketType.SOCK_RAW:
      throw new Errno(protocol === 0 ? 'EPROTONOSUPPORT' : 'EPERM');
    default:
      throw new Errno('ESOCKTNOSUPPORT');
  }
}

/** socket(2) for a user without privileges; `flags`: O_NONBLOCK or 0. */
export function createSocket(process: Process, domain: number, type: number, protocol: number, flags: number): Socket {
  const { network } = process;
  if (domain < 0 || domain > highestFamily) throw new Errno('EAFNOSUPPORT');
  if (type < 0 || type > highestType) throw new Errno('EINVAL');
  switch (domain) {
    case Family.AF_UNIX: {
      const kind = { domain, type: unixType(type, protocol), protocol: 0 };
      return kind.type === SocketType.SOCK_DGRAM
        ? new UnixDatagramSocket(process, kind, flags)
        : new UnixStreamSocket(network, kind, flags);
    }
    case Family.AF_INET:
    case Family.AF_INET6:
      return createInet(process, domain, type, protocol, flags);
    case Family.AF_NETLINK:
      if (type !== SocketType.SOCK_RAW && type !== SocketType.SOCK_DGRAM) throw new Errno('ESOCKTNOSUPPORT');
      if (protocol !== NETLINK_ROUTE) throw new Errno('EPROTONOSUPPORT');
      return new NetlinkSocket(network, { domain, type, protocol }, flags);
    case Family.AF_PACKET:
      throw new Errno('EPERM');
    default:
      throw new Errno('EAFNOSUPPORT');
  }
}

/** socketpair(2). EOPNOTSUPP for what is not AF_UNIX. */
export function createSocketPair(
  process: Process,
  domain: number,
  type: number,
  protocol: number,
  flags: number,
): readonly [Socket, Socket] {
  if (domain !== Family.AF_UNIX) {
    createSocket(process, domain, type, protocol, flags).retain().release();
    throw new Errno('EOPNOTSUPP');
  }
  const kind = { domain, type: unixType(type, protocol), protocol: 0 };
  return kind.type === SocketType.SOCK_DGRAM
    ? UnixDatagramSocket.pair(process, kind, flags)
    : UnixStreamSocket.pair(process.network, kind, flags, process);
}
