import { Access } from '#accel/guest-memory.ts';
import type { PageWalk } from '#accel/virtual-memory.ts';
import type { Machine } from '../machine.ts';
import { MonitorError } from './control.ts';

/* `x` and `xp`: memory as numbers, /COUNT FORMAT SIZE as in gdb. */

const sizes = { b: 1, h: 2, w: 4, g: 8 } as const;
const pageMask = 0xfff;
const lineBytes = 16;
const mostBytes = 1 << 16;

interface Layout {
  readonly start: number;
  readonly count: number;
  /** Bytes of a number. */
  readonly size: number;
  readonly format: string;
  readonly addressDigits: number;
}

/** Columns of a decimal number, by its bytes. */
const decimalDigits: Readonly<Record<number, number>> = { 1: 3, 2: 5, 4: 10, 8: 20 };

type ReadByte = (address: number) => number;

/** `/8xw ADDRESS`. Throws MonitorError. */
export function dumpMemory(machine: Machine, words: readonly string[], physical: boolean): string {
  const [, count = '', letters = '', ...rest] = /^\/(\d*)([a-z]*)$/.exec(words[0] ?? '') ?? [];
  const [address] = words[0]?.startsWith('/') ? words.slice(1) : words;
  if (address === undefined || rest.length > 0) throw new MonitorError('x /FMT ADDRESS: /8xw is eight words in hex');
  const start = Number(address);
  if (!Number.isInteger(start) || start < 0 || start > 0xffffffff) throw new MonitorError(`no address: ${address}`);
  const size = sizes[(/[bhwg]/.exec(letters)?.[0] ?? 'w') as keyof typeof sizes];
  const format = /[^bhwg]/.exec(letters)?.[0] ?? 'x';
  if (!'xduoc'.includes(format)) throw new MonitorError(`format '${format}' is not known: x, d, u, o and c are`);
  const bytes = Number(count || 1) * size;
  if (bytes > mostBytes) throw new MonitorError(`no more than ${mostBytes} bytes at a time`);
  const layout = { start, count: Number(count || 1), size, format, addressDigits: physical ? 16 : 8 };
  return lines(layout, physical ? physicalByte(machine) : virtualByte(machine));
}

function lines({ start, count, size, format, addressDigits }: Layout, read: ReadByte): string {
  const perLine = lineBytes / (format === 'c' ? 1 : Math.max(size, 2));
  let text = '';
  for (let i = 0; i < count; i += perLine) {
    const values: string[] = [];
    for (let k = i; k < Math.min(i + perLine, count); k++) {
      values.push(asText(number(start + k * size, size, read), size, format));
    }
    text += `${(start + i * size).toString(16).padStart(addressDigits, '0')}: ${values.join(' ')}\n`;
  }
  return text;
}

function number(address: number, size: number, read: ReadByte): bigint {
  let value = 0n;
  for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(read((address + i) >>> 0));
  return value;
}

function asText(value: bigint, size: number, format: string): string {
  switch (format) {
    case 'x':
      return `0x${value.toString(16).padStart(size * 2, '0')}`;
    case 'o':
      return `0${value.toString(8)}`;
    case 'd':
      return String(BigInt.asIntN(size * 8, value)).padStart(decimalDigits[size]!);
    case 'c':
      return value >= 0x20n && value < 0x7fn ? `'${String.fromCharCode(Number(value))}'` : `'\\x${value.toString(16)}'`;
    default:
      return String(value).padStart(decimalDigits[size]!);
  }
}

/** Devices are not read: that would change them. */
const physicalByte =
  ({ memory }: Machine): ReadByte =>
  (address) => {
    const byte = memory.physicalByte(address);
    if (byte === undefined) throw new MonitorError(`Cannot access memory: 0x${address.toString(16)} is no RAM`);
    return byte;
  };

function virtualByte(machine: Machine): ReadByte {
  const page: PageWalk = { physical: 0, allowed: 0, global: false, large: false };
  const read = physicalByte(machine);
  return (address) => {
    if (!machine.control.walker.walk(address, Access.read, page, true)) {
      throw new MonitorError(`Cannot access memory at 0x${address.toString(16)}`);
    }
    return read(page.physical + (address & pageMask));
  };
}
