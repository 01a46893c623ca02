import type { IpPacket } from './packets.ts';

/** Seconds and packets that parts are kept for. */
const lifetime = 30e9;
const mostPackets = 16;
const mostBytes = 65535;

interface Parts {
  readonly since: number;
  readonly bytes: Uint8Array;
  /** What is there, as sorted ranges that do not touch. */
  ranges: (readonly [start: number, end: number])[];
  /** Where the packet ends, when its last part is there. */
  end: number | null;
}

/** Puts together packets that came in parts (RFC 791). */
export class Fragments {
  private readonly packets = new Map<string, Parts>();

  /** The whole packet, once its last missing part has come. `now` in nanoseconds. */
  take(packet: IpPacket, now: number): IpPacket | null {
    if (packet.offset === 0 && !packet.more) return packet;
    const { source, target, protocol, id, offset, payload, more } = packet;
    const end = offset + payload.length;
    // All parts but the last are of whole 8 bytes.
    if (end > mostBytes || payload.length === 0 || (more && payload.length % 8 !== 0)) return null;
    const key = `${source}:${target}:${protocol}:${id}`;
    const parts = this.find(key, now);
    parts.bytes.set(payload, offset);
    parts.ranges = join([...parts.ranges, [offset, end]]);
    if (!more) parts.end = end;
    const [first] = parts.ranges;
    if (parts.ranges.length !== 1 || first?.[0] !== 0 || first[1] !== parts.end) return null;
    this.packets.delete(key);
    return { ...packet, offset: 0, more: false, payload: parts.bytes.subarray(0, parts.end) };
  }

  private find(key: string, now: number): Parts {
    for (const [other, { since }] of this.packets) {
      if (now - since > lifetime) this.packets.delete(other);
    }
    const known = this.packets.get(key);
    if (known) return known;
    const [oldest] = this.packets.keys();
    if (oldest !== undefined && this.packets.size >= mostPackets) this.packets.delete(oldest);
    const parts: Parts = { since: now, bytes: new Uint8Array(mostBytes), ranges: [], end: null };
    this.packets.set(key, parts);
    return parts;
  }
}

function join(ranges: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const sorted = ranges.toSorted(([a], [b]) => a - b);
  const joined: (readonly [number, number])[] = [];
  for (const [start, end] of sorted) {
    const last = joined.at(-1);
    if (last && start <= last[1]) joined[joined.length - 1] = [last[0], Math.max(last[1], end)];
    else joined.push([start, end]);
  }
  return joined;
}
