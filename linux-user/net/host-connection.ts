import type { Socket as HostSocket } from 'node:net';
import { Errno, type ErrnoName, errnoNumbers } from '#util/errno.ts';
import { socketBufferBytes } from '../tunables.ts';
import { Poll, pollInput, pollOutput } from '../vfs/flags.ts';
import { wouldBlock } from '../vfs/open-file.ts';
import type { Connection, Outgoing } from './connection.ts';
import { unmapped } from './ip.ts';
import type { Network } from './network.ts';
import type { Endpoint } from './port-table.ts';
import { QueuedConnection } from './queued-connection.ts';

/** The name of a Node error that Linux has too; others (there should be none) count as I/O errors. */
export function errorName(error: unknown): ErrnoName {
  const { code } = error as { code?: string };
  return code !== undefined && code in errnoNumbers ? (code as ErrnoName) : 'EIO';
}

/** A connection with a program of the host or of another machine. */
export class HostConnection extends QueuedConnection implements Connection {
  private readonly socket: HostSocket;
  private readonly network: Network;
  private receiving = true;

  /** `socket`: with `allowHalfOpen`, connected or about to be. */
  constructor(socket: HostSocket, network: Network) {
    super(false);
    this.socket = socket;
    this.network = network;
    const closed = network.opened();
    socket.on('data', (chunk: Buffer) => this.arrived(chunk));
    socket.on('end', () => {
      this.ended = true;
      this.onEvent(pollInput | Poll.rdHup | (this.sendEnded ? Poll.hup : 0));
    });
    socket.on('drain', () => this.onEvent(pollOutput));
    socket.on('error', (error) => {
      this.error = errorName(error);
      this.ended = true;
      this.sendEnded = true;
      this.onEvent(pollInput | pollOutput | Poll.err | Poll.hup | Poll.rdHup);
    });
    socket.on('close', closed);
  }

  get writable(): boolean {
    return this.unsent < socketBufferBytes / 2;
  }

  get unsent(): number {
    return this.socket.writableLength;
  }

  /** Null for a unix socket or one that is not connected yet. */
  get local(): Endpoint | null {
    const { localAddress: host, localPort: port } = this.socket;
    return host === undefined || port === undefined ? null : { host: unmapped(host), port };
  }

  get remote(): Endpoint | null {
    const { remoteAddress: host, remotePort: port } = this.socket;
    return host === undefined || port === undefined ? null : { host: unmapped(host), port };
  }

  private arrived(chunk: Buffer): void {
    this.queue.push(chunk);
    if (this.receiving && this.queue.length >= socketBufferBytes) {
      this.receiving = false;
      this.socket.pause();
    }
    this.onEvent(pollInput);
  }

  send({ bytes, start, length }: Outgoing): number {
    this.throwError();
    if (this.sendEnded) throw new Errno('EPIPE');
    const room = socketBufferBytes - this.unsent;
    if (length === 0) return 0;
    if (room <= 0) return wouldBlock;
    const count = Math.min(length, room);
    this.socket.write(Buffer.from(bytes.slice(start, start + count).buffer));
    return count;
  }

  protected override taken(): void {
    if (this.receiving || this.queue.length >= socketBufferBytes / 2) return;
    this.receiving = true;
    this.socket.resume();
  }

  shutdown(read: boolean, write: boolean): void {
    if (read) this.ended = true;
    if (write && !this.sendEnded) {
      this.sendEnded = true;
      this.socket.end();
    }
    this.onEvent(pollInput | pollOutput | Poll.rdHup | Poll.hup);
  }

  /** Linux answers a close with unread data by a reset too, and otherwise sends what is left in its own time. */
  close(reset: boolean): void {
    const { socket } = this;
    const unread = this.queue.length > 0;
    this.queue.clear();
    this.onEvent = () => {};
    if (socket.destroyed) return;
    if (socket.connecting) {
      socket.destroy();
      return;
    }
    if ((reset || unread) && socket.remotePort !== undefined) {
      socket.resetAndDestroy();
      return;
    }
    socket.resume();
    if (socket.writableLength > 0) this.network.flush(new Promise((resolve) => socket.once('close', resolve)));
    socket.destroySoon();
  }

  // ---- options

  setNoDelay(on: boolean): void {
    this.socket.setNoDelay(on);
  }

  /** Seconds; the count is a number of probes. */
  setKeepAlive(on: boolean, idle: number, interval: number, count: number): void {
    // Node's types do not know of the last two.
    const set = this.socket.setKeepAlive.bind(this.socket) as (
      enable: boolean,
      delay: number,
      interval: number,
      count: number,
    ) => HostSocket;
    set(on, idle * 1000, interval * 1000, count);
  }

  setTypeOfService(value: number): void {
    this.socket.setTypeOfService(value);
  }
}
