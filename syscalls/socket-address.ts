import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { decodeAddress, encodeAddress, longestAddress, type SocketAddress } from '#linux-user/net/address.ts';
import { inheritedSocket } from '#linux-user/net/inherited-socket.ts';
import { Family } from '#linux-user/net/numbers.ts';
import { Socket } from '#linux-user/net/socket.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { Errno } from '#util/errno.ts';
import { structIn, structOut } from './arguments.ts';
import { braces, hex, named, quote } from './print.ts';

/** The socket of `fd`. EBADF, ENOTSOCK. */
export function socketOf(task: Task, fd: number): Socket {
  const file = task.files.get(fd);
  if ((file.flags & Open.path) !== 0) throw new Errno('EBADF');
  if (file instanceof Socket) return file;
  const inherited = inheritedSocket(file, task.process.network);
  if (inherited === null) throw new Errno('ENOTSOCK');
  return inherited;
}

/** A guest's sockaddr. EINVAL for a length that none has, EFAULT. */
export function loadAddress(memory: GuestMemory, at: number, length: number): SocketAddress {
  if (length > longestAddress) throw new Errno('EINVAL');
  return decodeAddress(memory.copy(at, length));
}

/** As many bytes of the address as there is room for at `at`; null is no address. Returns its whole length. */
export function storeAddressBytes(
  memory: GuestMemory,
  at: number,
  room: number,
  address: SocketAddress | null,
): number {
  const bytes = address === null || isUnnamed(address) ? new Uint8Array(0) : encodeAddress(address);
  memory.write(at, bytes.subarray(0, Math.min(room, bytes.length)));
  return bytes.length;
}

/** A message from a socket without a name comes with no address at all. */
const isUnnamed = (address: SocketAddress): boolean => address.family === 'unix' && address.path.length === 0;

/** Writes `bytes` as far as the length at `lengthAt` allows, and the true length there. EINVAL, EFAULT. */
export function storeSized(memory: GuestMemory, at: number, lengthAt: number, bytes: Uint8Array): void {
  const room = memory.load32(lengthAt) | 0;
  if (room < 0) throw new Errno('EINVAL');
  memory.write(at, bytes.subarray(0, Math.min(room, bytes.length)));
  memory.store32(lengthAt, bytes.length);
}

/** getsockname and its like: the address, and its length. */
export function storeAddress(memory: GuestMemory, at: number, lengthAt: number, address: SocketAddress): void {
  storeSized(memory, at, lengthAt, encodeAddress(address));
}

// ---- strace

/** `{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}`. */
export function printAddress(memory: GuestMemory, at: number, length: number): string {
  if (at === 0) return 'NULL';
  if (length < 2 || length > longestAddress || memory.refused(at, length, Access.read) >= 0) return hex(at);
  const bytes = memory.copy(at, length);
  const number = bytes[0] | (bytes[1] << 8);
  const fallback = braces({ sa_family: named(number, Family), sa_data: quote(bytes.subarray(2)) });
  let address: SocketAddress;
  try {
    address = decodeAddress(bytes);
  } catch {
    return fallback;
  }
  const sa_family = named(number, Family);
  switch (address.family) {
    case 'inet':
      return braces({ sa_family, sin_port: `htons(${address.port})`, sin_addr: `inet_addr("${address.host}")` });
    case 'inet6':
      return (
        `{sa_family=${sa_family}, sin6_port=htons(${address.port}), sin6_flowinfo=htonl(${address.flowInfo}), ` +
        `inet_pton(AF_INET6, "${address.host}", &sin6_addr), sin6_scope_id=${address.scope}}`
      );
    case 'unix': {
      const { path } = address;
      if (path.length === 0) return braces({ sa_family });
      return braces({ sa_family, sun_path: path[0] === 0 ? `@${quote(path.subarray(1))}` : quote(path) });
    }
    case 'netlink':
      return braces({
        sa_family,
        nl_pid: address.port,
        nl_groups: `0x${address.groups.toString(16).padStart(8, '0')}`,
      });
    case 'other':
      return fallback;
  }
}

/** A sockaddr the call reads, as long as the argument `length`. */
export const addressIn = structIn((memory, at, { raw }) => printAddress(memory, at, raw.length));

/** A sockaddr the call fills; `length` points to its length. */
export const addressOut = structOut((memory, at, { raw }) =>
  printAddress(memory, at, raw.length === 0 ? 0 : Math.min(memory.load32(raw.length), longestAddress)),
);

/** A length the call reads and sets. */
export const lengthOut = structOut((memory, at) => `[${memory.load32(at)}]`);
