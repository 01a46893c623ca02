import { anyHost } from './ip.ts';

/** Where an internet socket is bound: `host` as an IPv4 address where it is one (not mapped). */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

interface Entry<T> {
  readonly endpoint: Endpoint;
  /** '::' takes IPv4 too. */
  readonly dualStack: boolean;
  readonly owner: T;
}

const firstEphemeral = 32768;
const ephemeralCount = 28232;

/** Which guest socket is bound where. */
export class PortTable<T> {
  private readonly byPort = new Map<number, Entry<T>[]>();
  private nextEphemeral = Math.floor(Math.random() * ephemeralCount);

  /** Enters a socket; the returned function takes it out again. */
  add(endpoint: Endpoint, dualStack: boolean, owner: T): () => void {
    const entry = { endpoint, dualStack, owner };
    const entries = this.byPort.get(endpoint.port) ?? [];
    this.byPort.set(endpoint.port, entries);
    entries.push(entry);
    return () => {
      const index = entries.indexOf(entry);
      if (index >= 0) entries.splice(index, 1);
      if (entries.length === 0) this.byPort.delete(endpoint.port);
    };
  }

  /** Those that are bound where `endpoint` would be. */
  overlapping(endpoint: Endpoint, dualStack: boolean): T[] {
    const wanted = { endpoint, dualStack };
    return (this.byPort.get(endpoint.port) ?? [])
      .filter((entry) => reaches(entry, endpoint.host) || reaches(wanted, entry.endpoint.host))
      .map(({ owner }) => owner);
  }

  /** Those that a packet to `to` may be for: bound to the very address first. */
  find(to: Endpoint): T[] {
    const matching = (this.byPort.get(to.port) ?? []).filter((entry) => reaches(entry, to.host));
    return matching
      .toSorted((a, b) => Number(anyHost(a.endpoint.host)) - Number(anyHost(b.endpoint.host)))
      .map(({ owner }) => owner);
  }

  /** A port for a socket that only guests see. */
  ephemeral(): number {
    for (;;) {
      this.nextEphemeral = (this.nextEphemeral + 1) % ephemeralCount;
      const port = firstEphemeral + this.nextEphemeral;
      if (!this.byPort.has(port)) return port;
    }
  }
}

function reaches({ endpoint, dualStack }: Omit<Entry<unknown>, 'owner'>, host: string): boolean {
  if (endpoint.host === host) return true;
  if (endpoint.host === '0.0.0.0') return !host.includes(':');
  return endpoint.host === '::' && (dualStack || host.includes(':'));
}
