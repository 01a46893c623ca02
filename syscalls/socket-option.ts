import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { hostInterfaces } from '#linux-user/net/interfaces.ts';
import { formatIp4, formatIp6 } from '#linux-user/net/ip.ts';
import { Family, IpOption, Ipv6Option, Level, SocketOption, TcpOption } from '#linux-user/net/numbers.ts';
import type { Socket } from '#linux-user/net/socket.ts';
import { UdpSocket } from '#linux-user/net/udp-socket.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno, errnoNumbers } from '#util/errno.ts';
import { fd, int, oneOf, uint } from './arguments.ts';
import { braces, buffer, hex, named } from './print.ts';
import { type Argument, partial, type Rows, row, type TracedCall } from './row.ts';
import { lengthOut, socketOf, storeSized } from './socket-address.ts';
import { shown } from './socket-control.ts';
import { loadTimespec } from './time-values.ts';

/** TCP_INFO's first byte (include/net/tcp_states.h). */
const TcpState = { established: 1, synSent: 2, close: 7, listen: 10 } as const;
const tcpInfoBytes = 104;

const words = (...values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

// ---- SOL_SOCKET

/** Milliseconds of a struct timeval, Infinity for zero. EINVAL, EDOM. */
function loadTimeout(memory: GuestMemory, at: number, length: number, wide: boolean): number {
  if (length < (wide ? 16 : 8)) throw new Errno('EINVAL');
  const { seconds, nanoseconds: micros } = loadTimespec(memory, at, wide);
  if (micros < 0 || micros > 999_999) throw new Errno('EDOM');
  // A time before zero does not wait at all.
  if (seconds < 0) return 0;
  return seconds === 0 && micros === 0 ? Infinity : seconds * 1000 + micros / 1000;
}

function timeoutBytes(timeout: number, wide: boolean): Uint8Array {
  const ms = timeout === Infinity ? 0 : timeout;
  const seconds = Math.floor(ms / 1000);
  const micros = Math.round((ms - seconds * 1000) * 1000);
  return wide ? words(seconds, 0, micros, 0) : words(seconds, micros);
}

function setGeneric(task: Task, socket: Socket, name: number, at: number, length: number): void {
  const { memory } = task;
  if (name === SocketOption.SO_BINDTODEVICE) throw new Errno('EPERM');
  if (length < 4) throw new Errno('EINVAL');
  const value = memory.load32(at) | 0;
  switch (name) {
    case SocketOption.SO_LINGER:
      if (length < 8) throw new Errno('EINVAL');
      socket.linger = value === 0 ? null : memory.load32(at + 4);
      return;
    case SocketOption.SO_RCVTIMEO_OLD:
    case SocketOption.SO_RCVTIMEO_NEW:
      socket.readTimeout = loadTimeout(memory, at, length, name === SocketOption.SO_RCVTIMEO_NEW);
      return;
    case SocketOption.SO_SNDTIMEO_OLD:
    case SocketOption.SO_SNDTIMEO_NEW:
      socket.writeTimeout = loadTimeout(memory, at, length, name === SocketOption.SO_SNDTIMEO_NEW);
      return;
    case SocketOption.SO_RCVBUFFORCE:
    case SocketOption.SO_SNDBUFFORCE:
    case SocketOption.SO_MARK:
      throw new Errno('EPERM');
    default:
      socket.options.set(Level.SOL_SOCKET, name, value);
      socket.applyOption(Level.SOL_SOCKET, name);
  }
}

function getGeneric(socket: Socket, name: number): Uint8Array {
  const { kind } = socket;
  switch (name) {
    case SocketOption.SO_TYPE:
      return words(kind.type);
    case SocketOption.SO_DOMAIN:
      return words(kind.domain);
    case SocketOption.SO_PROTOCOL:
      return words(kind.protocol);
    case SocketOption.SO_ACCEPTCONN:
      return words(Number(socket.listening));
    case SocketOption.SO_ERROR: {
      const error = socket.takeError();
      return words(error === null ? 0 : errnoNumbers[error]);
    }
    case SocketOption.SO_LINGER:
      return words(Number(socket.linger !== null), socket.linger ?? 0);
    case SocketOption.SO_RCVTIMEO_OLD:
    case SocketOption.SO_RCVTIMEO_NEW:
      return timeoutBytes(socket.readTimeout, name === SocketOption.SO_RCVTIMEO_NEW);
    case SocketOption.SO_SNDTIMEO_OLD:
    case SocketOption.SO_SNDTIMEO_NEW:
      return timeoutBytes(socket.writeTimeout, name === SocketOption.SO_SNDTIMEO_NEW);
    case SocketOption.SO_PEERCRED: {
      const { pid, uid, gid } = shown(socket.peerCredentials);
      return words(pid, uid, gid);
    }
    case SocketOption.SO_BINDTODEVICE:
      return new Uint8Array(0);
    default:
      return words(socket.options.get(Level.SOL_SOCKET, name));
  }
}

// ---- multicast

/** The name that Node knows an interface by: its address for IPv4, `::%name` for IPv6; empty for the system's choice. */
function interfaceOf(index: number, six: boolean): string {
  if (index === 0) return '';
  const found = hostInterfaces().find((each) => each.index === index);
  if (found === undefined) throw new Errno('ENODEV');
  if (six) return `::%${found.name}`;
  const own = found.addresses.find(({ address }) => address.length === 4);
  if (own === undefined) throw new Errno('ENODEV');
  return formatIp4(own.address);
}

/** The interface of a struct ip_mreqn, ip_mreq or in_addr: an index counts more than an address. */
function ip4Interface(memory: GuestMemory, at: number, length: number): string {
  const index = length >= 12 ? memory.load32(at + 8) : 0;
  if (index !== 0) return interfaceOf(index, false);
  const address = formatIp4(memory.copy(length === 4 ? at : at + 4, 4));
  return address === '0.0.0.0' ? '' : address;
}

/** True if it was one of the options that are no numbers. */
function setMulticast(task: Task, socket: Socket, level: number, name: number, at: number, length: number): boolean {
  const { memory } = task;
  if (!(socket instanceof UdpSocket)) return false;
  if (level === Level.SOL_IP && (name === IpOption.IP_ADD_MEMBERSHIP || name === IpOption.IP_DROP_MEMBERSHIP)) {
    if (length < 8) throw new Errno('EINVAL');
    const group = formatIp4(memory.copy(at, 4));
    socket.changeMembership(name === IpOption.IP_ADD_MEMBERSHIP, group, ip4Interface(memory, at, length));
    return true;
  }
  if (level === Level.SOL_IP && name === IpOption.IP_MULTICAST_IF) {
    if (length < 4) throw new Errno('EINVAL');
    socket.setMulticastInterface(ip4Interface(memory, at, length) || '0.0.0.0');
    return true;
  }
  if (level !== Level.SOL_IPV6) return false;
  if (name === Ipv6Option.IPV6_ADD_MEMBERSHIP || name === Ipv6Option.IPV6_DROP_MEMBERSHIP) {
    if (length < 20) throw new Errno('EINVAL');
    const group = formatIp6(memory.copy(at, 16));
    const via = interfaceOf(memory.load32(at + 16), true);
    socket.changeMembership(name === Ipv6Option.IPV6_ADD_MEMBERSHIP, group, via);
    return true;
  }
  if (name !== Ipv6Option.IPV6_MULTICAST_IF) return false;
  if (length < 4) throw new Errno('EINVAL');
  socket.setMulticastInterface(interfaceOf(memory.load32(at), true) || '::%0');
  return true;
}

// ---- the calls

/** What a socket answers that does not have the level. */
function unknownLevel({ kind: { domain } }: Socket, setting: boolean): Errno {
  return new Errno(domain === Family.AF_UNIX || (domain === Family.AF_INET && !setting) ? 'EOPNOTSUPP' : 'ENOPROTOOPT');
}

function setsockopt(task: Task, which: number, level: number, name: number, at: number, length: number): number {
  const { memory } = task;
  const socket = socketOf(task, which);
  if (length < 0) throw new Errno('EINVAL');
  if (level === Level.SOL_SOCKET) {
    setGeneric(task, socket, name, at, length);
    return 0;
  }
  if (!socket.options.hasLevel(level)) throw unknownLevel(socket, true);
  if (setMulticast(task, socket, level, name, at, length)) return 0;
  if (level === Level.SOL_TCP && name === TcpOption.TCP_CONGESTION) {
    const wanted = Buffer.from(memory.copy(at, Math.min(length, 15)))
      .toString('latin1')
      .split('\0')[0];
    if (wanted !== 'cubic') throw new Errno('ENOENT');
    return 0;
  }
  // ip(7): a byte will do.
  const short = level === Level.SOL_IP && length >= 1 && length < 4;
  if (length < 4 && !short) throw new Errno('EINVAL');
  if (level === Level.SOL_IPV6 && name === Ipv6Option.IPV6_V6ONLY && isNamed(socket)) throw new Errno('EINVAL');
  socket.options.set(level, name, short ? memory.load8(at) : memory.load32(at) | 0);
  socket.applyOption(level, name);
  return 0;
}

/** True once a socket has a port. */
function isNamed(socket: Socket): boolean {
  const address = socket.localAddress();
  return address.family === 'inet6' && address.port !== 0;
}

function tcpInfo(socket: Socket): Uint8Array {
  const bytes = new Uint8Array(tcpInfoBytes);
  let state: number = TcpState.close;
  if (socket.listening) state = TcpState.listen;
  else if (socket.connecting) state = TcpState.synSent;
  else if (isConnected(socket)) state = TcpState.established;
  bytes[0] = state;
  return bytes;
}

function isConnected(socket: Socket): boolean {
  try {
    socket.peerAddress();
    return true;
  } catch {
    return false;
  }
}

function getsockopt(task: Task, which: number, level: number, name: number, at: number, lengthAt: number): number {
  const { memory } = task;
  const socket = socketOf(task, which);
  const room = memory.load32(lengthAt) | 0;
  if (room < 0) throw new Errno('EINVAL');
  const store = (bytes: Uint8Array): number => {
    storeSized(memory, at, lengthAt, bytes.subarray(0, Math.min(room, bytes.length)));
    return 0;
  };
  if (level === Level.SOL_SOCKET) return store(getGeneric(socket, name));
  if (!socket.options.hasLevel(level)) throw unknownLevel(socket, false);
  if (level === Level.SOL_TCP && name === TcpOption.TCP_INFO) return store(tcpInfo(socket));
  if (level === Level.SOL_TCP && name === TcpOption.TCP_CONGESTION)
    return store(Buffer.from('cubic\0\0\0\0\0\0\0\0\0\0\0'));
  const value = socket.options.get(level, name);
  const asByte = level === Level.SOL_IP && room > 0 && room < 4 && value >= 0 && value <= 255;
  return store(asByte ? Uint8Array.of(value) : words(value));
}

// ---- strace

const optionNames: Readonly<Record<number, Readonly<Record<string, number>>>> = {
  [Level.SOL_SOCKET]: SocketOption,
  [Level.SOL_TCP]: TcpOption,
  [Level.SOL_IP]: IpOption,
  [Level.SOL_IPV6]: Ipv6Option,
};
const optionName: Argument<number> = {
  ...int,
  print: (raw, { raw: { level } }) => named(raw, optionNames[level] ?? {}),
};

/** How the options of SOL_SOCKET that are structs are shown: the names of their words. */
const structOptions: Readonly<Record<number, readonly string[]>> = {
  [SocketOption.SO_LINGER]: ['l_onoff', 'l_linger'],
  [SocketOption.SO_PEERCRED]: ['pid', 'uid', 'gid'],
  [SocketOption.SO_RCVTIMEO_OLD]: ['tv_sec', 'tv_usec'],
  [SocketOption.SO_SNDTIMEO_OLD]: ['tv_sec', 'tv_usec'],
};

function printValue({ task, raw: { level, name } }: TracedCall, at: number, length: number): string {
  const { memory } = task;
  if (memory.refused(at, length, Access.read) >= 0) return hex(at);
  const fields = level === Level.SOL_SOCKET ? structOptions[name] : undefined;
  if (fields !== undefined && length >= 4 * fields.length) {
    return braces(Object.fromEntries(fields.map((field, i) => [field, memory.load32(at + 4 * i) | 0])));
  }
  if (length !== 4) return buffer(memory, at, length);
  const value = memory.load32(at) | 0;
  const isError = level === Level.SOL_SOCKET && name === SocketOption.SO_ERROR && value !== 0;
  return `[${isError ? named(value, errnoNumbers) : value}]`;
}

const valueIn: Argument<number> = {
  ...uint,
  print: (raw, call) => (raw === 0 ? 'NULL' : printValue(call, raw, call.raw.length)),
};
const valueOut: Argument<number> = {
  ...uint,
  out: true,
  print: (raw, call) =>
    (call.result ?? -1) < 0 || raw === 0 ? hex(raw) : printValue(call, raw, call.task.memory.load32(call.raw.length)),
};

const missing = 'packet information and filters (ENOPROTOOPT); what Node cannot set is kept without effect';

/** net/socket.c, net/core/sock.c: options. */
export const socketOptionCalls: Rows = {
  setsockopt: partial(
    missing,
    row({ fd, level: oneOf(Level), name: optionName, value: valueIn, length: int }, (task, args) =>
      setsockopt(task, args.fd, args.level, args.name, args.value, args.length),
    ),
  ),
  getsockopt: partial(
    `${missing}; TCP_INFO has the state only; SO_PEERCRED of a host program is unknown (pid 0, ids -1)`,
    row({ fd, level: oneOf(Level), name: optionName, value: valueOut, length: lengthOut }, (task, args) =>
      getsockopt(task, args.fd, args.level, args.name, args.value, args.length),
    ),
  ),
};
