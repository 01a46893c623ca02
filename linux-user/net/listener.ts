import { longestBacklog } from '../tunables.ts';
import { WaitQueue } from '../wait-queue.ts';
import type { Connection, SocketCredentials } from './connection.ts';

/** A connection that waits for accept, with the names of its ends. */
export interface Arrival<Name> {
  readonly connection: Connection;
  readonly local: Name;
  readonly peer: Name;
  readonly credentials: SocketCredentials;
}

/** What listen(2) makes of a socket: the queue of connections that have arrived. */
export class Listener<Name> {
  /** Woken when there is room again, and when the listener is closed. */
  readonly room: WaitQueue = new WaitQueue();
  /** Who listens, for SO_PEERCRED of those who connect. */
  readonly credentials: SocketCredentials;
  closed = false;
  private limit = 0;
  private readonly arrivals: Arrival<Name>[] = [];
  private readonly onArrival: () => void;

  constructor(backlog: number, credentials: SocketCredentials, onArrival: () => void) {
    this.credentials = credentials;
    this.onArrival = onArrival;
    this.setBacklog(backlog);
  }

  /** A negative backlog means the longest (it is compared without its sign). */
  setBacklog(backlog: number): void {
    this.limit = Math.min(backlog >>> 0, longestBacklog);
  }

  get full(): boolean {
    return this.arrivals.length > this.limit;
  }

  /**
   * Too many connections from the host, whatever backlog the guest asks for. The host has accepted them already, so
   * that those a kernel would let wait outside have to wait here.
   */
  get overflowing(): boolean {
    return this.arrivals.length >= longestBacklog;
  }

  get pending(): number {
    return this.arrivals.length;
  }

  arrive(arrival: Arrival<Name>): void {
    this.arrivals.push(arrival);
    this.onArrival();
  }

  /** The connection that came first, or null. */
  accept(): Arrival<Name> | null {
    const arrival = this.arrivals.shift() ?? null;
    if (arrival !== null) this.room.wake(1);
    return arrival;
  }

  close(): void {
    this.closed = true;
    for (const { connection } of this.arrivals) connection.close(true);
    this.arrivals.length = 0;
    this.room.wake();
  }
}
