/** `bytes`: 4. */
export const formatIp4 = (bytes: Uint8Array): string => bytes.join('.');

/** The 4 bytes of a dotted decimal; null for anything else. */
export function parseIp4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part) || Number(part) > 255)) return null;
  return Uint8Array.from(parts, Number);
}

const mappedPrefix = '::ffff:';

/** `bytes`: 16. RFC 5952: the longest run of zero groups is `::`, an IPv4-mapped address ends in dotted decimal. */
export function formatIp6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] << 8) | bytes[2 * i + 1]);
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return mappedPrefix + formatIp4(bytes.subarray(12));
  }
  let start = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > longest) [start, longest] = [i, end - i];
  }
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return start < 0 ? text(0, 8) : `${text(0, start)}::${text(start + longest, 8)}`;
}

/** The 16 bytes of an IPv6 address (a `%scope` is left out); null for anything else. */
export function parseIp6(text: string): Uint8Array | null {
  let plain = text.split('%')[0];
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  if (dotted !== null) {
    const last = parseIp4(dotted[2]);
    if (last === null) return null;
    plain = `${dotted[1]}${((last[0] << 8) | last[1]).toString(16)}:${((last[2] << 8) | last[3]).toString(16)}`;
  }
  const halves = plain.split('::');
  if (halves.length > 2) return null;
  const [head, tail] = [halves[0], halves[1] ?? ''].map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...head, ...new Array<string>(missing).fill('0'), ...tail];
  if (groups.some((group) => !/^[0-9a-fA-F]{1,4}$/.test(group))) return null;
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]),
  );
}

/** An IPv4-mapped IPv6 address as the IPv4 address it is; others as they are. */
export const unmapped = (host: string): string =>
  host.startsWith(mappedPrefix) ? host.slice(mappedPrefix.length) : host;
export const mapped = (host: string): string => (host.includes(':') ? host : mappedPrefix + host);

export const anyHost = (host: string): boolean => host === '0.0.0.0' || host === '::';

/** 127.0.0.0/8, ::1. */
export const isLoopback = (host: string): boolean => host.startsWith('127.') || host === '::1';

/** The addresses of the interfaces, without scopes. */
export function ownHosts(): Set<string> {
  const all = Object.values(process.getBuiltinModule('node:os').networkInterfaces()).flatMap(
    (addresses) => addresses ?? [],
  );
  return new Set(all.map(({ address }) => address));
}

/** A host that is a local one, `host` for an address on which all are meant: where a packet to 0.0.0.0 goes. */
export const reachable = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host);

/** 224.0.0.0/4, ff00::/8. */
export const isMulticast = (host: string): boolean =>
  host.includes(':') ? host.startsWith('ff') : Number(host.split('.')[0]) >> 4 === 14;
