import { Errno } from '#util/errno.ts';
import type { SocketAddress } from './address.ts';

/** What a guest is about to do on the network. */
export interface NetworkRequest {
  readonly action: 'bind' | 'connect' | 'send';
  readonly protocol: 'tcp' | 'udp' | 'unix';
  readonly address: SocketAddress;
}

/**
 * Asked before every bind, connect and send to an address, whether the other side is a guest or not: the one place that
 * can close the network to guests. A refusal is an `Errno` that it throws; Linux's own (a filter of packets) are EPERM.
 */
export type NetworkGate = (request: NetworkRequest) => void;

export const openGate: NetworkGate = () => {};

/** Nothing but unix sockets, which are files: guests may talk with guests. */
export const closedGate: NetworkGate = ({ protocol }) => {
  if (protocol !== 'unix') throw new Errno('EPERM');
};
