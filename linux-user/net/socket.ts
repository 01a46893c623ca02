import { Errno, type ErrnoName } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { Mode, Open } from '../vfs/flags.ts';
import {
  type AnonymousStat,
  anonymousStat,
  changeMode,
  changeOwner,
  type FileStat,
  OpenFile,
  wouldBlock,
} from '../vfs/open-file.ts';
import type { SocketAddress } from './address.ts';
import { type Incoming, nobody, type Outgoing, type Received, type SocketCredentials } from './connection.ts';
import type { Network } from './network.ts';
import { SocketOptions } from './socket-options.ts';

/** What a socket is made of, beside its class. */
export interface SocketKind {
  readonly domain: number;
  readonly type: number;
  readonly protocol: number;
}

/** SO_LINGER: seconds, or null when it is off. */
export type Linger = number | null;

/**
 * A socket (socket(2)): an open file with addresses. As with every open file no operation sleeps: what cannot be done
 * yet is `wouldBlock` or null, and `readiness` is woken.
 */
export abstract class Socket extends OpenFile {
  readonly network: Network;
  readonly kind: SocketKind;
  readonly options: SocketOptions;
  linger: Linger = null;
  /** The error that the next call, or SO_ERROR, tells of. */
  pendingError: ErrnoName | null = null;
  private readonly identity: AnonymousStat;

  /** `flags`: O_NONBLOCK or 0. */
  constructor(network: Network, kind: SocketKind, flags: number) {
    const identity = { ...anonymousStat(Mode.socket | 0o777), dev: 8n };
    super(Buffer.from(`socket:[${identity.ino}]`), flags | Open.readWrite);
    this.identity = identity;
    this.network = network;
    this.kind = kind;
    this.options = new SocketOptions(kind.domain, kind.type);
  }

  override get isSocket(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  override chmod(mode: number): void {
    changeMode(this.identity, mode);
  }

  override chown(uid: number, gid: number): void {
    changeOwner(this.identity, uid, gid);
  }

  override get pollable(): boolean {
    return true;
  }

  override get hostDriven(): boolean {
    return true;
  }

  // ---- reading and writing without addresses

  override read(bytes: Uint8Array, start: number, length: number): number {
    if (length === 0) return 0;
    const received = this.receive({ bytes, start, length, peek: false });
    if (received === null) return wouldBlock;
    for (const file of received.rights) file.release();
    return received.count;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    const sent = this.send({ bytes, start, length, to: null, rights: [], credentials: nobody });
    if (typeof sent === 'number') return sent;
    sent.catch((error: unknown) => {
      this.pendingError = (error as Errno).code;
    });
    return length;
  }

  // ---- names

  /** bind(2). EINVAL for a socket that has a name. */
  abstract bind(process: Process, address: SocketAddress): void;

  abstract localAddress(): SocketAddress;

  /** ENOTCONN. */
  abstract peerAddress(): SocketAddress;

  // ---- connections

  /** listen(2). EOPNOTSUPP for a type without connections. */
  listen(_process: Process, _backlog: number): void | Promise<void> {
    throw new Errno('EOPNOTSUPP');
  }

  get listening(): boolean {
    return false;
  }

  /** The next connection's socket (`flags`: O_NONBLOCK or 0), or null while there is none. EINVAL, EOPNOTSUPP. */
  accept(_flags: number): Socket | null {
    throw new Errno('EOPNOTSUPP');
  }

  /**
   * Begins to connect: true if that is done at once. Otherwise `connecting` holds until it is, and `claim` tells how it
   * went. EALREADY, EINPROGRESS for a non-blocking socket of a kind that takes its time.
   */
  abstract connect(process: Process, address: SocketAddress): boolean;

  /** A connect is under way. */
  get connecting(): boolean {
    return false;
  }

  /** Throws the error of a connect that has come to nothing. */
  claim(): void {}

  /** shutdown(2). ENOTCONN. */
  abstract shutdown(read: boolean, write: boolean): void;

  /** SO_PEERCRED. */
  get peerCredentials(): SocketCredentials {
    return nobody;
  }

  // ---- messages

  /** True for a stream: no message boundaries, MSG_WAITALL means something, a broken one raises SIGPIPE. */
  get streaming(): boolean {
    return false;
  }

  /** Bytes taken, or `wouldBlock`; a promise where only the host knows. The caller raises SIGPIPE for EPIPE. */
  abstract send(message: Outgoing): number | Promise<number>;

  /** Null while there is nothing to receive. */
  abstract receive(into: Incoming): Received | null;

  /** Bytes sent that the other side has not received (SIOCOUTQ). */
  get unsent(): number {
    return 0;
  }

  // ---- options

  /** The value of an option has changed: what concerns the host's socket is passed on. */
  applyOption(_level: number, _name: number): void {}

  /** SO_ERROR: the error, once. */
  takeError(): ErrnoName | null {
    const { pendingError } = this;
    this.pendingError = null;
    return pendingError;
  }

  protected throwPending(): void {
    const error = this.takeError();
    if (error !== null) throw new Errno(error);
  }
}
