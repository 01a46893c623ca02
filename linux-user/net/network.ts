import { monotonic } from '../clock.ts';
import { interfaceAge, longestFlush, turnDistance } from '../tunables.ts';
import { type NetworkGate, openGate } from './gate.ts';
import { isLoopback, ownHosts } from './ip.ts';
import type { Listener } from './listener.ts';
import { type Endpoint, PortTable } from './port-table.ts';
import { UnixNames } from './unix-names.ts';

/** A UDP socket of a guest, as another one sees it. */
export interface DatagramReceiver {
  /** Takes a datagram sent from `from` to `to`; false if the socket does not want it (it is connected elsewhere). */
  deliver(bytes: Uint8Array, from: Endpoint, to: Endpoint): boolean;
}

/** A TCP socket that has a port, as another one that wants it sees it. */
export interface PortHolder {
  readonly sharesPort: 'never' | 'reuseAddress' | 'reusePort';
}

/** The network that a tree of guest processes shares: names, ports, and the way to the host. */
export class Network {
  readonly gate: NetworkGate;
  readonly unix: UnixNames = new UnixNames();
  /** Listening TCP sockets of guests: those meet one another here, without the host. */
  readonly listeners: PortTable<Listener<Endpoint>> = new PortTable();
  /** TCP sockets with a port of their own. */
  readonly boundTcp: PortTable<PortHolder> = new PortTable();
  readonly udp: PortTable<DatagramReceiver> = new PortTable();
  readonly netlinkPorts: Set<number> = new Set();
  /** Sockets of the host that are open for guests. */
  private hostSockets = 0;
  /** What has still to be written for sockets that the guest has closed. */
  private readonly flushing = new Set<Promise<void>>();
  private lastTurn = 0;
  private own: { readonly hosts: Set<string>; readonly until: number } = { hosts: new Set(), until: 0 };

  constructor(gate: NetworkGate = openGate) {
    this.gate = gate;
  }

  /** True for an address of this machine: loopback, or one that an interface has. `host` is not mapped. */
  isLocal(host: string): boolean {
    if (isLoopback(host)) return true;
    const now = monotonic();
    if (now >= this.own.until) this.own = { hosts: ownHosts(), until: now + interfaceAge };
    return this.own.hosts.has(host);
  }

  /** True while the host may have news for a guest, which only Node's event loop brings. */
  get active(): boolean {
    return this.hostSockets > 0;
  }

  /** Counts a socket of the host in; the returned function counts it out, once. */
  opened(): () => void {
    this.hostSockets++;
    let open = true;
    return () => {
      if (open) this.hostSockets--;
      open = false;
    };
  }

  /** Linux goes on sending what a closed socket, even one of an ended process, has taken. */
  flush(written: Promise<void>): void {
    const entry = written.finally(() => this.flushing.delete(entry));
    this.flushing.add(entry);
  }

  /** When all has been sent that closed sockets had taken, or after `longestFlush` milliseconds. */
  async flushed(): Promise<void> {
    if (this.flushing.size === 0) return;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, longestFlush)));
    await Promise.race([Promise.all(this.flushing), late]);
    clearTimeout(timer);
  }

  /**
   * Node's event loop brings the host's news, and turns only while no guest runs. A call that must not wait (EAGAIN,
   * poll without a timeout) asks for a turn first; null if there has just been one.
   */
  turn(): Promise<void> | null {
    if (!this.active || monotonic() - this.lastTurn < turnDistance) return null;
    return new Promise((resolve) => {
      setImmediate(() => {
        this.lastTurn = monotonic();
        resolve();
      });
    });
  }
}
