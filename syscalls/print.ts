import { Access, type GuestMemory } from '#accel/guest-memory.ts';

/** Bytes of a string or buffer that strace shows (its -s). */
const shownBytes = 32;

const escapes: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

export const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** A pointer: NULL or hexadecimal. */
export const pointer = (address: number): string => (address === 0 ? 'NULL' : hex(address));

/** The bytes as a C string, quotes included; octal for what is not ASCII, as strace writes it. */
export function quote(bytes: Uint8Array, shown = bytes.length): string {
  let text = '"';
  const end = Math.min(bytes.length, shown);
  for (let i = 0; i < end; i++) {
    const byte = bytes[i];
    const escape = escapes[byte];
    if (escape !== undefined) text += escape;
    else if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += octal(byte, bytes[i + 1], i + 1 < end);
  }
  return end < bytes.length ? `${text}"...` : `${text}"`;
}

/** The shortest escape that a following digit cannot change. */
function octal(byte: number, next: number, followed: boolean): string {
  const digit = followed && next >= 0x30 && next <= 0x37;
  return `\\${byte.toString(8).padStart(digit ? 3 : 1, '0')}`;
}

/** The NUL-terminated string at `address`, or the address where there is none. Paths are shown whole. */
export function cstring(memory: GuestMemory, address: number, shown = 4096): string {
  if (address === 0) return 'NULL';
  try {
    return quote(memory.cstring(address), shown);
  } catch {
    return hex(address);
  }
}

/** A buffer of `length` bytes, abbreviated. */
export function buffer(memory: GuestMemory, address: number, length: number): string {
  if (address === 0) return 'NULL';
  const visible = Math.min(length, shownBytes + 1);
  if (length < 0 || memory.refused(address, visible, Access.read) >= 0) return hex(address);
  return quote(memory.copy(address, visible), shownBytes);
}

/** Names of the set bits joined by |, the unknown rest in hexadecimal; `none` for 0. */
export function bits(value: number, names: Readonly<Record<string, number>>, none = '0'): string {
  let rest = value >>> 0;
  const found: string[] = [];
  for (const [name, bit] of Object.entries(names)) {
    if (bit === 0 || (rest & bit) >>> 0 !== bit >>> 0) continue;
    found.push(name);
    rest = (rest & ~bit) >>> 0;
  }
  if (rest !== 0) found.push(hex(rest));
  if (found.length > 0) return found.join('|');
  return Object.entries(names).find(([, bit]) => bit === 0)?.[0] ?? none;
}

/** The name of a value, or the value. */
export function named(value: number, names: Readonly<Record<string, number>>): string {
  for (const [name, number] of Object.entries(names)) if (number === value) return name;
  return value > 0xffff ? hex(value) : String(value);
}

/** `{a=1, b=…}`. */
export function braces(fields: Readonly<Record<string, string | number | bigint>>): string {
  return `{${Object.entries(fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ')}}`;
}

/** st_mode as strace writes it: `S_IFREG|0644`. */
export function fileMode(mode: number): string {
  const types: Readonly<Record<number, string>> = {
    0o140000: 'S_IFSOCK',
    0o120000: 'S_IFLNK',
    0o100000: 'S_IFREG',
    0o60000: 'S_IFBLK',
    0o40000: 'S_IFDIR',
    0o20000: 'S_IFCHR',
    0o10000: 'S_IFIFO',
  };
  const special: Readonly<Record<string, number>> = { S_ISUID: 0o4000, S_ISGID: 0o2000, S_ISVTX: 0o1000 };
  const parts = [types[mode & 0o170000] ?? octalMode(mode & 0o170000)];
  for (const [name, bit] of Object.entries(special)) if (mode & bit) parts.push(name);
  return `${parts.join('|')}|${octalMode(mode & 0o777)}`;
}

/** Octal with a leading zero, three digits at least: `022`, `0644`. */
export const octalMode = (mode: number): string => `0${mode.toString(8)}`.padStart(3, '0');
