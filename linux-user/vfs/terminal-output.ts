import type { TerminalSettings } from './open-file.ts';

/* The output half of n_tty (termios(3), c_oflag). Columns are not counted: tabs stay tabs. */

const OPOST = 1;
const OLCUC = 2;
const ONLCR = 4;
const OCRNL = 0o10;
const ONLRET = 0o40;

const newline = 10;
const carriageReturn = 13;

/** What a terminal shows for bytes that a program writes. */
export function processOutput(bytes: Uint8Array, { oflag }: TerminalSettings): Buffer {
  if ((oflag & OPOST) === 0 || (oflag & (OLCUC | ONLCR | OCRNL | ONLRET)) === 0) return Buffer.from(bytes);
  const out: number[] = [];
  for (const byte of bytes) {
    if (byte === newline && (oflag & ONLCR) !== 0) out.push(carriageReturn, newline);
    else if (byte === carriageReturn && (oflag & OCRNL) !== 0) out.push(newline);
    else if (byte >= 0x61 && byte <= 0x7a && (oflag & OLCUC) !== 0) out.push(byte - 0x20);
    else out.push(byte);
  }
  return Buffer.from(out);
}
