import type { ErrnoName } from '#util/errno.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import type { SocketAddress } from './address.ts';

/** struct ucred; -1 where nobody knows. */
export interface SocketCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export const nobody: SocketCredentials = { pid: 0, uid: -1, gid: -1 };

/** What a guest sends: `length` bytes from `start`, which the callee copies. */
export interface Outgoing {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
  /** Null where the call names none. */
  readonly to: SocketAddress | null;
  /** SCM_RIGHTS. Whoever keeps one counts it in. */
  readonly rights: readonly OpenFile[];
  readonly credentials: SocketCredentials;
}

/** Where received bytes go. */
export interface Incoming {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
  /** MSG_PEEK: what is given stays there. */
  readonly peek: boolean;
}

/** What has been received. */
export interface Received {
  /** Bytes stored. */
  readonly count: number;
  /** Bytes that the message had. */
  readonly whole: number;
  readonly from: SocketAddress | null;
  /** SCM_RIGHTS, counted in: the receiver's to keep or to release. */
  readonly rights: readonly OpenFile[];
  readonly credentials: SocketCredentials;
  /** It was a record: MSG_EOR, and MSG_TRUNC if it was longer. */
  readonly record: boolean;
}

export const endOfStream: Received = { count: 0, whole: 0, from: null, rights: [], credentials: nobody, record: false };

/** One end of a connection, as its socket uses it. */
export interface Connection {
  /** Told of `Poll` events that may hold now. */
  onEvent: (events: number) => void;
  /** An error that nobody has been told of yet. */
  error: ErrnoName | null;
  /** Bytes that have come and not been read. */
  readonly available: number;
  /** Something can be read: a record without bytes too. */
  readonly readable: boolean;
  /** Nothing more will come than what is there. */
  readonly ended: boolean;
  /** Nothing can be sent any more. */
  readonly sendEnded: boolean;
  /** There is room to send. */
  readonly writable: boolean;
  /** Bytes taken from the guest that the other side has not (SIOCOUTQ). */
  readonly unsent: number;
  /** Bytes taken, or `wouldBlock`. EPIPE, ECONNRESET, EMSGSIZE. */
  send(message: Outgoing): number;
  /** Null: nothing there yet. `endOfStream` at the end. */
  receive(into: Incoming): Received | null;
  shutdown(read: boolean, write: boolean): void;
  /** `reset`: without the end that the other side expects. */
  close(reset: boolean): void;
}
