import { checksum, type IpPacket, viewOf } from './packets.ts';

/* ICMP (RFC 792). */

const types = { echoReply: 0, unreachable: 3, echo: 8 } as const;
/** Codes of "destination unreachable". */
export const unreachable = { network: 0, host: 1, port: 3, prohibited: 13 } as const;

const seal = (message: Uint8Array): Uint8Array => {
  viewOf(message).setUint16(2, 0);
  viewOf(message).setUint16(2, checksum(message));
  return message;
};

/** Whether a packet's payload is an undamaged request for an echo. */
export const isEcho = ({ payload }: IpPacket): boolean =>
  payload.length >= 8 && payload[0] === types.echo && checksum(payload) === 0;

/** The answer to a request for an echo. */
export function echoReply({ payload }: IpPacket): Uint8Array {
  const message = payload.slice();
  message[0] = types.echoReply;
  return seal(message);
}

/** The message that a packet cannot be delivered. */
export function unreachableMessage({ quote }: IpPacket, code: number): Uint8Array {
  const message = new Uint8Array(8 + quote.length);
  message.set([types.unreachable, code]);
  message.set(quote, 8);
  return seal(message);
}
