import { Errno } from '#util/errno.ts';
import { socketBufferBytes } from '../tunables.ts';
import { Family, IpOption, Ipv6Option, Level, SocketOption, SocketType, TcpOption } from './numbers.ts';

/** An option that is a number. */
interface OptionRow {
  readonly initial: number;
  /** Inclusive; EINVAL outside. */
  readonly range?: readonly [number, number];
  /** Any number but 0 counts as 1. */
  readonly flag?: true;
  readonly readOnly?: true;
  /** EPERM for a user without privileges above this value. */
  readonly privilegedAbove?: number;
}

const flag: OptionRow = { initial: 0, flag: true };
const on: OptionRow = { initial: 1, flag: true };

/** Bytes of SO_SNDBUF and SO_RCVBUF: Linux doubles what it is asked for, within these bounds. */
const smallestSend = 4608;
const smallestReceive = 2304;

const generic: Readonly<Record<number, OptionRow>> = {
  [SocketOption.SO_DEBUG]: { ...flag, privilegedAbove: 0 },
  [SocketOption.SO_REUSEADDR]: flag,
  [SocketOption.SO_REUSEPORT]: flag,
  [SocketOption.SO_DONTROUTE]: flag,
  [SocketOption.SO_BROADCAST]: flag,
  [SocketOption.SO_SNDBUF]: { initial: socketBufferBytes },
  [SocketOption.SO_RCVBUF]: { initial: socketBufferBytes },
  [SocketOption.SO_KEEPALIVE]: flag,
  [SocketOption.SO_OOBINLINE]: flag,
  [SocketOption.SO_PRIORITY]: { initial: 0, privilegedAbove: 6 },
  [SocketOption.SO_PASSCRED]: flag,
  [SocketOption.SO_RCVLOWAT]: { initial: 1 },
  [SocketOption.SO_SNDLOWAT]: { initial: 1, readOnly: true },
  [SocketOption.SO_TIMESTAMP_OLD]: flag,
};

const tcp: Readonly<Record<number, OptionRow>> = {
  [TcpOption.TCP_NODELAY]: flag,
  [TcpOption.TCP_MAXSEG]: { initial: 536, range: [0, 32767] },
  [TcpOption.TCP_CORK]: flag,
  [TcpOption.TCP_KEEPIDLE]: { initial: 7200, range: [1, 32767] },
  [TcpOption.TCP_KEEPINTVL]: { initial: 75, range: [1, 32767] },
  [TcpOption.TCP_KEEPCNT]: { initial: 9, range: [1, 127] },
  [TcpOption.TCP_SYNCNT]: { initial: 6, range: [1, 127] },
  [TcpOption.TCP_LINGER2]: { initial: 60 },
  [TcpOption.TCP_DEFER_ACCEPT]: { initial: 0 },
  [TcpOption.TCP_WINDOW_CLAMP]: { initial: 0 },
  [TcpOption.TCP_QUICKACK]: on,
  [TcpOption.TCP_USER_TIMEOUT]: { initial: 0, range: [0, 0x7fffffff] },
  [TcpOption.TCP_FASTOPEN]: { initial: 0 },
  [TcpOption.TCP_NOTSENT_LOWAT]: { initial: 0 },
};

const ip: Readonly<Record<number, OptionRow>> = {
  [IpOption.IP_TOS]: { initial: 0 },
  [IpOption.IP_TTL]: { initial: 64, range: [-1, 255] },
  [IpOption.IP_MTU_DISCOVER]: { initial: 1, range: [0, 5] },
  [IpOption.IP_RECVERR]: flag,
  [IpOption.IP_FREEBIND]: flag,
  [IpOption.IP_BIND_ADDRESS_NO_PORT]: flag,
  [IpOption.IP_MULTICAST_TTL]: { initial: 1, range: [-1, 255] },
  [IpOption.IP_MULTICAST_LOOP]: on,
  [IpOption.IP_MULTICAST_ALL]: on,
};

const ipv6: Readonly<Record<number, OptionRow>> = {
  [Ipv6Option.IPV6_UNICAST_HOPS]: { initial: 64, range: [-1, 255] },
  [Ipv6Option.IPV6_MULTICAST_HOPS]: { initial: 1, range: [-1, 255] },
  [Ipv6Option.IPV6_MULTICAST_LOOP]: on,
  [Ipv6Option.IPV6_MTU_DISCOVER]: { initial: 1, range: [0, 5] },
  [Ipv6Option.IPV6_RECVERR]: flag,
  [Ipv6Option.IPV6_V6ONLY]: flag,
  [Ipv6Option.IPV6_TCLASS]: { initial: 0, range: [-1, 255] },
};

/** The options of one level that a socket has; undefined for a level that is not its. */
function rowsOf(domain: number, type: number, level: number): Readonly<Record<number, OptionRow>> | undefined {
  const internet = domain === Family.AF_INET || domain === Family.AF_INET6;
  if (level === Level.SOL_SOCKET) return generic;
  if (level === Level.SOL_TCP && internet && type === SocketType.SOCK_STREAM) return tcp;
  if (level === Level.SOL_IP && internet) return ip;
  return level === Level.SOL_IPV6 && domain === Family.AF_INET6 ? ipv6 : undefined;
}

/** The options of a socket that are numbers (socket(7), tcp(7), ip(7), ipv6(7)). */
export class SocketOptions {
  private readonly domain: number;
  private readonly type: number;
  private readonly values = new Map<number, number>();

  constructor(domain: number, type: number) {
    this.domain = domain;
    this.type = type;
  }

  /** True if the socket has options of this level. */
  hasLevel(level: number): boolean {
    return rowsOf(this.domain, this.type, level) !== undefined;
  }

  /** The value; ENOPROTOOPT for an option there is not. */
  get(level: number, name: number): number {
    return this.values.get(key(level, name)) ?? this.row(level, name).initial;
  }

  /** True for an option that is on. */
  has(level: number, name: number): boolean {
    return this.get(level, name) !== 0;
  }

  /** ENOPROTOOPT, EINVAL, EPERM. */
  set(level: number, name: number, value: number): void {
    const row = this.row(level, name);
    if (row.readOnly) throw new Errno('ENOPROTOOPT');
    if (row.range !== undefined && (value < row.range[0] || value > row.range[1])) throw new Errno('EINVAL');
    if (value > (row.privilegedAbove ?? Infinity) || (row.privilegedAbove !== undefined && value < 0)) {
      throw new Errno(name === SocketOption.SO_DEBUG ? 'EACCES' : 'EPERM');
    }
    this.values.set(key(level, name), stored(level, name, value, row));
  }

  /** The options that have been set: level and name. */
  changed(): (readonly [level: number, name: number])[] {
    return [...this.values.keys()].map((both) => [Math.floor(both / keyStep), both % keyStep]);
  }

  private row(level: number, name: number): OptionRow {
    const rows = rowsOf(this.domain, this.type, level);
    if (rows === undefined || !Object.hasOwn(rows, name)) throw new Errno('ENOPROTOOPT');
    return rows[name];
  }

  /** What an accepted socket has from its listener. */
  inherit(from: SocketOptions): void {
    for (const [name, value] of from.values) this.values.set(name, value);
  }
}

const keyStep = 1000;
const key = (level: number, name: number): number => level * keyStep + name;

function stored(level: number, name: number, value: number, row: OptionRow): number {
  if (row.flag) return value === 0 ? 0 : 1;
  if (value === -1 && row.range?.[0] === -1) return row.initial;
  if (level !== Level.SOL_SOCKET) return value;
  const doubled = 2 * Math.min(value >>> 0, socketBufferBytes);
  if (name === SocketOption.SO_SNDBUF) return Math.max(smallestSend, doubled);
  if (name === SocketOption.SO_RCVBUF) return Math.max(smallestReceive, doubled);
  return name === SocketOption.SO_RCVLOWAT ? value || 1 : value;
}
