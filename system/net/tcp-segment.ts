import { type IpPacket, protocols, transportChecksum, viewOf } from './packets.ts';

/* TCP segments (RFC 9293). */

export const flags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;

const headerBytes = 20;
const options = { end: 0, none: 1, segmentSize: 2, windowScale: 3 } as const;
const defaultSegmentSize = 536;
const largestScale = 14;

export interface Segment {
  readonly sourcePort: number;
  readonly targetPort: number;
  readonly sequence: number;
  readonly acknowledged: number;
  readonly flags: number;
  /** As it stands in the header: not scaled. */
  readonly window: number;
  readonly data: Uint8Array;
}

/** What a SYN says about its sender. */
export interface SynOptions {
  readonly segmentSize: number;
  /** Null: it knows no scaled windows (RFC 7323). */
  readonly windowScale: number | null;
}

/** The segment in a packet, or null if it is damaged. */
export function parseSegment({
  source,
  target,
  payload,
}: IpPacket): (Segment & { readonly options: Uint8Array }) | null {
  if (payload.length < headerBytes) return null;
  const view = viewOf(payload);
  const header = (payload[12]! >> 4) * 4;
  if (header < headerBytes || header > payload.length) return null;
  if (transportChecksum(protocols.tcp, source, target, payload) !== 0) return null;
  return {
    sourcePort: view.getUint16(0),
    targetPort: view.getUint16(2),
    sequence: view.getUint32(4),
    acknowledged: view.getUint32(8),
    flags: payload[13]!,
    window: view.getUint16(14),
    options: payload.subarray(headerBytes, header),
    data: payload.subarray(header),
  };
}

export function readSynOptions(bytes: Uint8Array): SynOptions {
  let segmentSize = defaultSegmentSize;
  let windowScale: number | null = null;
  for (let at = 0; at < bytes.length && bytes[at] !== options.end; ) {
    const kind = bytes[at]!;
    const length = kind === options.none ? 1 : (bytes[at + 1] ?? 0);
    if (length === 0 || (length < 2 && kind !== options.none) || at + length > bytes.length) break;
    if (kind === options.segmentSize && length === 4) segmentSize = (bytes[at + 2]! << 8) | bytes[at + 3]!;
    if (kind === options.windowScale && length === 3) windowScale = Math.min(bytes[at + 2]!, largestScale);
    at += length;
  }
  return { segmentSize: Math.max(segmentSize, 64), windowScale };
}

/** The options of a SYN of ours. */
export const synOptions = (segmentSize: number, windowScale: number | null): number[] => [
  ...[options.segmentSize, 4, segmentSize >> 8, segmentSize & 255],
  ...(windowScale === null ? [] : [options.none, options.windowScale, 3, windowScale]),
];

/** A segment, for an IPv4 packet from `source` to `target`; `extra`: options, of whole words. */
export function buildSegment(
  source: number,
  target: number,
  segment: Segment,
  extra: readonly number[] = [],
): Uint8Array {
  const header = headerBytes + extra.length;
  const bytes = new Uint8Array(header + segment.data.length);
  const view = viewOf(bytes);
  view.setUint16(0, segment.sourcePort);
  view.setUint16(2, segment.targetPort);
  view.setUint32(4, segment.sequence);
  view.setUint32(8, segment.acknowledged);
  bytes[12] = (header / 4) << 4;
  bytes[13] = segment.flags;
  view.setUint16(14, segment.window);
  bytes.set(extra, headerBytes);
  bytes.set(segment.data, header);
  view.setUint16(16, transportChecksum(protocols.tcp, source, target, bytes));
  return bytes;
}
