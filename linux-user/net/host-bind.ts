import type * as Net from 'node:net';
import type { BoundSocket, Socket as HostSocket, Server } from 'node:net';
import { Errno } from '#util/errno.ts';

/** Loading node:net costs 3 ms: only programs with sockets pay. */
export const net = (): typeof Net => process.getBuiltinModule('node:net');

export type HostBinding = BoundSocket;

interface BindOptions {
  readonly host: string;
  readonly port: number;
  readonly ipv6Only: boolean;
  readonly reusePort: boolean;
}

/** bind(2) of a TCP socket of the host. The errors are the host's. EAFNOSUPPORT on a Node without `net.BoundSocket`. */
export function bindTcp({ host, port, ipv6Only, reusePort }: BindOptions): HostBinding {
  const { BoundSocket: Bound } = net();
  if (Bound === undefined) throw new Errno('EAFNOSUPPORT', 'TCP needs Node 26.4');
  return new Bound({ host, port, reusePort, ...(host.includes(':') && { ipv6Only }) });
}

/** bind(2) of a stream socket of the host to a path, or to an abstract name (which begins with NUL). */
export function bindUnix(path: string): HostBinding {
  const { BoundSocket: Bound } = net();
  if (Bound === undefined || !('isPipe' in Bound.prototype)) throw new Errno('EAFNOSUPPORT', 'needs Node 26.4');
  return new Bound({ path } as ConstructorParameters<typeof BoundSocket>[0]);
}

/**
 * listen(2). The server accepts at once whatever comes, so that the guest's backlog is kept by `onConnection`. Rejects
 * with the host's error.
 */
export function listenOn(binding: HostBinding, onConnection: (socket: HostSocket) => void): Server | Promise<never> {
  const server = net().createServer({ allowHalfOpen: true }, onConnection);
  server.listen({ handle: binding });
  if (!server.listening) return new Promise((_, reject) => server.once('error', reject));
  server.on('error', () => {});
  return server;
}
