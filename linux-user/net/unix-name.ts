import * as fs from 'node:fs';
import { Errno, errnoNumbers, errnoOf } from '#util/errno.ts';
import type { Process } from '../process.ts';
import type { Place } from '../vfs/file-system.ts';
import { Mode } from '../vfs/flags.ts';
import { checkWritable } from '../vfs/host-operations.ts';
import { fileType } from '../vfs/open-file.ts';
import { type SocketAddress, type UnixAddress, unnamed } from './address.ts';
import { bindUnix, type HostBinding } from './host-bind.ts';
import type { Network } from './network.ts';
import { SocketType } from './numbers.ts';
import type { NamedSocket } from './unix-names.ts';

/** O_PATH of Linux, which Node has no name for. */
const O_PATH = 0o10000000;

/** Node's names are text: others stay among guests. */
function asText(name: Uint8Array): string | null {
  const text = Buffer.from(name).toString();
  return Buffer.from(text).equals(name) ? text : null;
}

let nextTemporary = 1;

/** The name of a unix socket, and the host's socket that holds it. */
export class UnixName {
  address: UnixAddress = unnamed;
  /** The host's socket, bound and not listening; null after `adopt` and for names that guests have to themselves. */
  private host: HostBinding | null = null;
  private release: () => void = () => {};

  /** bind(2) for `socket`. EINVAL for one that has a name, EADDRINUSE, and what the folder refuses. */
  bind(process: Process, network: Network, socket: NamedSocket, address: SocketAddress): void {
    if (address.family !== 'unix') throw new Errno('EINVAL');
    const bound = this.address.path.length > 0;
    if (bound && address.path.length === 0) return;
    if (bound && address.path[0] === 0) throw new Errno('EINVAL');
    network.gate({ action: 'bind', protocol: 'unix', address });
    if (address.path.length === 0) this.bindAbstract(process, network, socket, network.unix.automatic(socket.type));
    else if (address.path[0] === 0) this.bindAbstract(process, network, socket, address.path);
    else this.bindPath(process, network, socket, address);
  }

  private bindAbstract(process: Process, network: Network, socket: NamedSocket, name: Uint8Array): void {
    if (network.unix.findAbstract(name, socket.type) !== null) throw new Errno('EADDRINUSE');
    const text = asText(name);
    const shared = globalThis.process.platform === 'linux' && !process.fs.confined;
    if (socket.type === SocketType.SOCK_STREAM && text !== null && shared) {
      this.host = bindUnix(text);
    }
    this.address = { family: 'unix', path: name };
    this.release = network.unix.addAbstract(socket);
  }

  /**
   * Makes the socket's file. Node removes the file it has bound to when it closes, and Linux does not: the file is
   * bound under a name of its own first, and gets the right one by a link.
   */
  private bindPath(process: Process, network: Network, socket: NamedSocket, address: UnixAddress): void {
    const place = process.fs.locate(process, null, address.path, false);
    if (place.kind !== 'host') {
      this.bindNode(process, network, socket, address, place);
      return;
    }
    checkWritable(place);
    const { host } = place;
    if (fs.lstatSync(host, { throwIfNoEntry: false }) !== undefined) throw new Errno('EADDRINUSE');
    if (this.address.path.length > 0) throw new Errno('EINVAL');
    const slash = host.lastIndexOf('/');
    const how = globalThis.process.platform === 'linux' ? O_PATH : fs.constants.O_RDONLY;
    const folder = fs.openSync(host.subarray(0, slash + 1), how | fs.constants.O_DIRECTORY);
    try {
      const temporary = `.tsemu-${globalThis.process.pid}-${nextTemporary++}`;
      const path = shortPath(folder, temporary) ?? `${host.subarray(0, slash + 1).toString()}${temporary}`;
      globalThis.process.umask(process.fs.umask);
      this.host = bindUnix(path);
      const stat = fs.lstatSync(path, { bigint: true });
      try {
        fs.linkSync(path, host);
      } catch (error) {
        this.host.close();
        this.host = null;
        throw errnoOf(error) === errnoNumbers.EEXIST ? new Errno('EADDRINUSE') : error;
      } finally {
        fs.unlinkSync(path);
      }
      this.address = address;
      this.release = network.unix.addInode(stat.dev, stat.ino, socket);
    } finally {
      fs.closeSync(folder);
    }
  }

  /** A name in a file system of ours, which no host program sees. */
  private bindNode(process: Process, network: Network, socket: NamedSocket, address: UnixAddress, place: Place): void {
    if (place.kind !== 'node' || place.inode !== null) throw new Errno('EADDRINUSE');
    if (this.address.path.length > 0) throw new Errno('EINVAL');
    process.fs.mknod(process, place, Mode.socket | 0o777);
    const { dev, ino } = process.fs.stat(process, process.fs.locate(process, null, address.path, false), false);
    this.address = address;
    this.release = network.unix.addInode(dev, ino, socket);
  }

  /** Hands the host's socket over for listening: null if there is none. */
  adopt(): HostBinding | null {
    const { host } = this;
    this.host = null;
    return host;
  }

  close(): void {
    this.release();
    this.host?.close();
    this.host = null;
  }
}

/** A path by way of a folder's descriptor, which no length of its own name can spoil; null on other hosts than Linux. */
function shortPath(folder: number, name: string): string | null {
  return globalThis.process.platform === 'linux' ? `/proc/self/fd/${folder}/${name}` : null;
}

/** Where a unix address leads: to a guest's socket or to a path (or abstract name) of the host. */
export type UnixTarget =
  | { readonly kind: 'guest'; readonly socket: NamedSocket }
  | { readonly kind: 'host'; readonly path: string; readonly done: () => void };

/**
 * Follows an address. EINVAL for none, ENOENT and the like for a path, EACCES for a socket that may not be written, ECONNREFUSED where
 * nobody has the name. The caller calls `done` once it is connected to a host's path.
 */
export function findUnix(process: Process, network: Network, address: UnixAddress, type: number): UnixTarget {
  const { path } = address;
  if (path.length === 0) throw new Errno('EINVAL');
  if (path[0] === 0) {
    const socket = network.unix.findAbstract(path, type);
    if (socket !== null) return { kind: 'guest', socket };
    const text = asText(path);
    const reachable = globalThis.process.platform === 'linux' && !process.fs.confined;
    if (text === null || type !== SocketType.SOCK_STREAM || !reachable) throw new Errno('ECONNREFUSED');
    return { kind: 'host', path: text, done: () => {} };
  }
  const place = process.fs.locate(process, null, path, true);
  const stat = process.fs.stat(process, place, true);
  process.fs.access(process, place, fs.constants.W_OK);
  if (fileType(stat.mode) !== Mode.socket) throw new Errno('ECONNREFUSED');
  const socket = network.unix.findInode(stat.dev, stat.ino);
  if (socket !== null) return { kind: 'guest', socket };
  // A confined guest meets guests alone.
  if (place.kind !== 'host' || process.fs.confined) throw new Errno('ECONNREFUSED');
  const { host } = place;
  if (globalThis.process.platform !== 'linux') return { kind: 'host', path: host.toString(), done: () => {} };
  const fd = fs.openSync(host, O_PATH);
  return { kind: 'host', path: `/proc/self/fd/${fd}`, done: () => fs.closeSync(fd) };
}
