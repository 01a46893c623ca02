import type { TerminalSettings } from './open-file.ts';

/*
 * The input half of n_tty: what a terminal does to the keys before a program reads them (termios(3)). Output goes
 * through the host's own processing.
 */

const IGNCR = 0o200;
const INLCR = 0o100;
const ICRNL = 0o400;
const ISIG = 1;
const ICANON = 2;
const ECHO = 0o10;
const ECHOE = 0o20;
const ECHOK = 0o40;
const ECHONL = 0o100;
const NOFLSH = 0o200;
const ECHOCTL = 0o1000;

/** Indices of c_cc. */
const VINTR = 0;
const VQUIT = 1;
const VERASE = 2;
const VKILL = 3;
const VEOF = 4;
const VSUSP = 10;
const VEOL = 11;
const VWERASE = 14;
const VEOL2 = 16;

const newline = 10;
const carriageReturn = 13;
const signalKeys = [
  [VINTR, 'SIGINT'],
  [VQUIT, 'SIGQUIT'],
  [VSUSP, 'SIGTSTP'],
] as const;

/** True if the host's cooked mode does not do what the settings ask for. */
export function needsRawInput(settings: TerminalSettings): boolean {
  const cooked = ISIG | ICANON | ECHO;
  return (settings.lflag & cooked) !== cooked || (settings.iflag & (ICRNL | INLCR | IGNCR)) !== ICRNL;
}

export interface LineOutput {
  /** Bytes to show. */
  echo(bytes: Uint8Array): void;
  /** A signal key was pressed. */
  signal(name: 'SIGINT' | 'SIGQUIT' | 'SIGTSTP'): void;
}

export class LineDiscipline {
  settings: TerminalSettings | null = null;
  private readonly output: LineOutput;
  /** What a read gets: whole lines, or single keys without ICANON. */
  private ready: number[] = [];
  /** Lengths of the lines in `ready`, since a read takes one line at most; 0 is an end of file. */
  private lines: number[] = [];
  /** The line being edited. */
  private edit: number[] = [];

  constructor(output: LineOutput) {
    this.output = output;
  }

  get available(): number {
    return this.ready.length;
  }

  get hasInput(): boolean {
    return this.ready.length > 0 || this.lines.length > 0;
  }

  flush(): void {
    this.ready = [];
    this.lines = [];
    this.edit = [];
  }

  /** ICANON has been set or cleared: what is being edited can be read (without it), and what is there is one line. */
  modeChanged(): void {
    const all = [...this.ready, ...this.edit];
    this.edit = [];
    this.ready = all;
    this.lines = all.length === 0 || (this.settings!.lflag & ICANON) === 0 ? [] : [all.length];
  }

  /** True, once, if the end-of-file key was pressed on an empty line. */
  takeEndOfFile(): boolean {
    if (this.lines[0] !== 0) return false;
    this.lines.shift();
    return true;
  }

  /** Bytes that have been through a line discipline already. */
  pass(bytes: Uint8Array): void {
    this.ready.push(...bytes);
    this.lines.push(bytes.length);
  }

  read(bytes: Uint8Array, start: number, length: number): number {
    const line = this.lines[0] ?? this.ready.length;
    const count = Math.min(length, line);
    bytes.set(this.ready.splice(0, count), start);
    if (this.lines.length > 0) {
      if (count === line) this.lines.shift();
      else this.lines[0] = line - count;
    }
    return count;
  }

  /** Raw bytes from the keyboard. */
  input(bytes: Uint8Array): void {
    for (const byte of bytes) this.key(byte);
  }

  private key(raw: number): void {
    const { iflag, lflag, cc } = this.settings!;
    if (raw === carriageReturn && (iflag & IGNCR) !== 0) return;
    let key = raw;
    if (raw === carriageReturn && (iflag & ICRNL) !== 0) key = newline;
    else if (raw === newline && (iflag & INLCR) !== 0) key = carriageReturn;
    if ((lflag & ISIG) !== 0 && this.signalKey(key, cc, lflag)) return;
    if ((lflag & ICANON) !== 0) {
      this.editKey(key, cc, lflag);
      return;
    }
    this.show(key, lflag);
    this.ready.push(key);
    this.lines = [];
  }

  private signalKey(key: number, cc: Uint8Array, lflag: number): boolean {
    for (const [index, name] of signalKeys) {
      if (key === 0 || key !== cc[index]) continue;
      if ((lflag & NOFLSH) === 0) this.flush();
      this.show(key, lflag);
      this.output.signal(name);
      return true;
    }
    return false;
  }

  private editKey(key: number, cc: Uint8Array, lflag: number): void {
    const is = (index: number): boolean => key !== 0 && key === cc[index];
    if (is(VERASE)) return this.erase(1, lflag);
    if (is(VKILL)) return this.erase(this.edit.length, lflag | (lflag & ECHOK ? ECHOE : 0));
    if (is(VWERASE)) return this.erase(this.wordLength(), lflag);
    if (is(VEOF)) return this.endLine();
    this.edit.push(key);
    if (key === newline && (lflag & (ECHO | ECHONL)) !== 0) this.output.echo(Uint8Array.of(newline));
    else this.show(key, lflag);
    if (key === newline || is(VEOL) || is(VEOL2)) this.endLine();
  }

  private endLine(): void {
    this.lines.push(this.edit.length);
    this.ready.push(...this.edit);
    this.edit = [];
  }

  private wordLength(): number {
    const line = this.edit;
    let at = line.length;
    while (at > 0 && line[at - 1] === 32) at--;
    while (at > 0 && line[at - 1] !== 32) at--;
    return line.length - at;
  }

  private erase(count: number, lflag: number): void {
    for (const key of this.edit.splice(Math.max(0, this.edit.length - count)).reverse()) {
      // The tail bytes of a UTF-8 character take no column of their own.
      if ((lflag & ECHO) === 0 || (lflag & ECHOE) === 0 || (key & 0xc0) === 0x80) continue;
      const columns = key < 32 && (lflag & ECHOCTL) !== 0 ? 2 : 1;
      this.output.echo(Buffer.from('\b \b'.repeat(columns)));
    }
  }

  private show(key: number, lflag: number): void {
    if ((lflag & ECHO) === 0) return;
    const control = key < 32 && key !== newline && key !== 9 && (lflag & ECHOCTL) !== 0;
    this.output.echo(control ? Uint8Array.of(0x5e, key + 64) : Uint8Array.of(key));
  }
}
