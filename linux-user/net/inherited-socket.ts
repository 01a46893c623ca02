import * as fs from 'node:fs';
import { Errno } from '#util/errno.ts';
import { Mode } from '../vfs/flags.ts';
import { HostStream } from '../vfs/host-stream.ts';
import { fileType, type OpenFile, wouldBlock } from '../vfs/open-file.ts';
import { type SocketAddress, unnamed } from './address.ts';
import { endOfStream, type Incoming, nobody, type Outgoing, type Received } from './connection.ts';
import { formatIp4, formatIp6 } from './ip.ts';
import type { Network } from './network.ts';
import { Family, Protocol, SocketType } from './numbers.ts';
import { Socket, type SocketKind } from './socket.ts';

/** What a connected TCP socket of the host is, or null: anything else is taken for a Unix stream without a name. */
interface TcpEnds {
  readonly domain: number;
  readonly local: SocketAddress;
  readonly peer: SocketAddress;
}

const tables = [
  ['/proc/self/net/tcp', Family.AF_INET],
  ['/proc/self/net/tcp6', Family.AF_INET6],
] as const;

/** `0100007F:1F90`: the address in words of the host's byte order, which is little-endian, and the port. */
function parseEnd(text: string, domain: number): SocketAddress {
  const [hex, port] = text.split(':');
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  for (let word = 0; word < bytes.length; word += 4) bytes.subarray(word, word + 4).reverse();
  const number = Number.parseInt(port, 16);
  if (domain === Family.AF_INET) return { family: 'inet', host: formatIp4(bytes), port: number };
  return { family: 'inet6', host: formatIp6(bytes), port: number, flowInfo: 0, scope: 0 };
}

/** Looks a socket up by its inode in the host's tables (proc(5)). */
function findTcp(inode: bigint): TcpEnds | null {
  for (const [path, domain] of tables) {
    const lines = fs.existsSync(path) ? fs.readFileSync(path, 'latin1').split('\n') : [];
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      if (fields[9] !== String(inode)) continue;
      return { domain, local: parseEnd(fields[1], domain), peer: parseEnd(fields[2], domain) };
    }
  }
  return null;
}

/**
 * A connected stream socket that tsemu was started with, as stdin or stdout: inetd gives a server its client so, and
 * Node its children their pipes. The bytes and the waiting are the host stream's.
 */
class InheritedSocket extends Socket {
  override readonly hostFd: number;
  override readonly readiness: OpenFile['readiness'];
  private readonly stream: HostStream;
  private readonly ends: TcpEnds | null;
  private sendEnded = false;
  private receiveEnded = false;

  constructor(network: Network, stream: HostStream, ends: TcpEnds | null) {
    const kind: SocketKind = {
      domain: ends?.domain ?? Family.AF_UNIX,
      type: SocketType.SOCK_STREAM,
      protocol: ends === null ? 0 : Protocol.IPPROTO_TCP,
    };
    super(network, kind, 0);
    this.stream = stream;
    this.ends = ends;
    this.hostFd = stream.hostFd;
    this.readiness = stream.readiness;
  }

  override get nonBlocking(): boolean {
    return this.stream.nonBlocking;
  }

  override get streaming(): boolean {
    return true;
  }

  override bind(): void {
    throw new Errno('EINVAL');
  }

  override connect(): boolean {
    throw new Errno('EISCONN');
  }

  override accept(): Socket | null {
    throw new Errno('EINVAL');
  }

  override localAddress(): SocketAddress {
    return this.ends?.local ?? unnamed;
  }

  override peerAddress(): SocketAddress {
    return this.ends?.peer ?? unnamed;
  }

  override shutdown(read: boolean, write: boolean): void {
    this.receiveEnded ||= read;
    if (!write || this.sendEnded) return;
    this.sendEnded = true;
    this.stream.endWriting();
  }

  override send({ bytes, start, length }: Outgoing): number {
    if (this.sendEnded) throw new Errno('EPIPE');
    return length === 0 ? 0 : this.stream.write(bytes, start, length);
  }

  override receive({ bytes, start, length, peek }: Incoming): Received | null {
    if (this.receiveEnded) return endOfStream;
    const count = this.stream.read(bytes, start, length);
    if (count === wouldBlock) return null;
    if (peek && count > 0) this.stream.unread(Buffer.from(bytes.subarray(start, start + count)));
    return { count, whole: count, from: null, rights: [], credentials: nobody, record: false };
  }
}

const known = new WeakMap<HostStream, InheritedSocket>();

/** `file` as a socket if it is one of the host's that tsemu was started with, else null. */
export function inheritedSocket(file: OpenFile, network: Network): Socket | null {
  if (!(file instanceof HostStream)) return null;
  const found = known.get(file);
  if (found !== undefined) return found;
  const stat = file.stat();
  if (fileType(stat.mode) !== Mode.socket) return null;
  const socket = new InheritedSocket(network, file, findTcp(stat.ino));
  known.set(file, socket);
  return socket;
}
