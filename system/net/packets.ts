/* Frames, IPv4 packets (RFC 791) and UDP datagrams (RFC 768): taken apart, and put together. */

export const etherTypes = { ipv4: 0x0800, arp: 0x0806 } as const;
export const protocols = { icmp: 1, tcp: 6, udp: 17 } as const;

const ethernetHeader = 14;
const ipHeader = 20;
const udpHeader = 8;
/** Bytes of a packet that Ethernet carries. */
export const mtu = 1500;
const timeToLive = 64;

export const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** An Ethernet frame, or null if it is too short for one. */
export function parseFrame(frame: Uint8Array) {
  if (frame.length < ethernetHeader) return null;
  return {
    target: frame.subarray(0, 6),
    source: frame.subarray(6, 12),
    type: viewOf(frame).getUint16(12),
    payload: frame.subarray(ethernetHeader),
  };
}

export function buildFrame(target: Uint8Array, source: Uint8Array, type: number, payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(ethernetHeader + payload.length);
  frame.set(target);
  frame.set(source, 6);
  viewOf(frame).setUint16(12, type);
  frame.set(payload, ethernetHeader);
  return frame;
}

export interface IpPacket {
  readonly protocol: number;
  readonly source: number;
  readonly target: number;
  readonly id: number;
  /** Offset of a fragment in its packet, and whether there are more behind it. */
  readonly offset: number;
  readonly more: boolean;
  readonly payload: Uint8Array;
  /** Header and the first 8 bytes of the payload, which an ICMP error quotes. */
  readonly quote: Uint8Array;
}

/** An IPv4 packet, or null if it is none or damaged. */
export function parseIp(bytes: Uint8Array): IpPacket | null {
  if (bytes.length < ipHeader) return null;
  const view = viewOf(bytes);
  const header = (bytes[0]! & 15) * 4;
  const length = view.getUint16(2);
  if (bytes[0]! >> 4 !== 4 || header < ipHeader || length < header || length > bytes.length) return null;
  if (foldSum(sum(bytes.subarray(0, header))) !== 0xffff) return null;
  const fragment = view.getUint16(6);
  return {
    protocol: bytes[9]!,
    source: view.getUint32(12),
    target: view.getUint32(16),
    id: view.getUint16(4),
    offset: (fragment & 0x1fff) * 8,
    more: (fragment & 0x2000) !== 0,
    payload: bytes.subarray(header, length),
    quote: bytes.slice(0, Math.min(header + 8, length)),
  };
}

let nextId = 1;

/** IPv4 packets that carry a payload: several if it has to be cut up. */
export function* buildIp(protocol: number, source: number, target: number, payload: Uint8Array): Generator<Uint8Array> {
  nextId = (nextId + 1) & 0xffff;
  const most = (mtu - ipHeader) & ~7;
  let offset = 0;
  do {
    const left = payload.length - offset;
    const part = left > mtu - ipHeader ? payload.subarray(offset, offset + most) : payload.subarray(offset);
    const more = offset + part.length < payload.length;
    yield onePacket(protocol, source, target, part, (more ? 0x2000 : 0) | (offset >> 3));
    offset += part.length;
  } while (offset < payload.length);
}

function onePacket(protocol: number, source: number, target: number, part: Uint8Array, fragment: number): Uint8Array {
  const packet = new Uint8Array(ipHeader + part.length);
  const view = viewOf(packet);
  packet[0] = 0x45;
  view.setUint16(2, packet.length);
  view.setUint16(4, nextId);
  view.setUint16(6, fragment);
  packet[8] = timeToLive;
  packet[9] = protocol;
  view.setUint32(12, source);
  view.setUint32(16, target);
  view.setUint16(10, ~foldSum(sum(packet.subarray(0, ipHeader))) & 0xffff);
  packet.set(part, ipHeader);
  return packet;
}

/** The sum of big-endian 16-bit words, not folded. */
function sum(bytes: Uint8Array): number {
  let total = 0;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  return even < bytes.length ? total + (bytes[even]! << 8) : total;
}

function foldSum(total: number): number {
  let folded = total;
  while (folded > 0xffff) folded = (folded & 0xffff) + Math.floor(folded / 0x10000);
  return folded;
}

/** The Internet checksum (RFC 1071) of `bytes`. */
export const checksum = (bytes: Uint8Array): number => ~foldSum(sum(bytes)) & 0xffff;

/** The checksum of a TCP segment or UDP datagram with its pseudo-header; 0 where the one in it is right. */
export function transportChecksum(protocol: number, source: number, target: number, bytes: Uint8Array): number {
  const addresses = (source >>> 16) + (source & 0xffff) + (target >>> 16) + (target & 0xffff);
  return ~foldSum(addresses + protocol + bytes.length + sum(bytes)) & 0xffff;
}

export interface Datagram {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly data: Uint8Array;
}

/** The UDP datagram in a packet, or null if it is damaged. */
export function parseUdp({ source, target, payload }: IpPacket): Datagram | null {
  if (payload.length < udpHeader) return null;
  const view = viewOf(payload);
  const length = view.getUint16(4);
  if (length < udpHeader || length > payload.length) return null;
  const datagram = payload.subarray(0, length);
  // A checksum of 0 is none.
  if (view.getUint16(6) !== 0 && transportChecksum(protocols.udp, source, target, datagram) !== 0) return null;
  return { sourcePort: view.getUint16(0), targetPort: view.getUint16(2), data: datagram.subarray(udpHeader) };
}

/** A UDP datagram, for an IPv4 packet from `source` to `target`. */
export function buildUdp(source: number, target: number, { sourcePort, targetPort, data }: Datagram): Uint8Array {
  const datagram = new Uint8Array(udpHeader + data.length);
  const view = viewOf(datagram);
  view.setUint16(0, sourcePort);
  view.setUint16(2, targetPort);
  view.setUint16(4, datagram.length);
  datagram.set(data, udpHeader);
  view.setUint16(6, transportChecksum(protocols.udp, source, target, datagram) || 0xffff);
  return datagram;
}
