import { closeSync, openSync, writeSync } from 'node:fs';
import { OptionError } from '../option-string.ts';
import { Chardev } from './chardev.ts';

const ctrlC = 3;

/** The terminal tsemu runs in, or whatever stdin and stdout are. */
export class Stdio extends Chardev {
  readonly filename = 'stdio';

  /** `interrupt`: what Ctrl-C on a terminal does; null: it is a key like others. */
  constructor(interrupt: (() => void) | null) {
    super();
    const { stdin } = process;
    if (stdin.isTTY) {
      stdin.setRawMode(true);
      process.on('exit', restoreTerminal);
    }
    stdin.on('data', (bytes: Buffer) => {
      if (interrupt && stdin.isTTY && bytes.includes(ctrlC)) interrupt();
      else this.take(bytes);
    });
    stdin.on('error', () => {});
  }

  override hold(on: boolean): void {
    if (on) process.stdin.pause();
    else process.stdin.resume();
  }

  protected put(bytes: Uint8Array): void {
    writeAll(1, bytes);
  }

  override async close(): Promise<void> {
    this.flush();
    restoreTerminal();
    process.stdin.pause();
  }
}

function restoreTerminal(): void {
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
}

/** A file that output goes to. */
export class FileChardev extends Chardev {
  readonly filename = 'file';
  private readonly fd: number;

  constructor(option: string, path: string, append: boolean) {
    super();
    try {
      this.fd = openSync(path, append ? 'a' : 'w');
    } catch (error) {
      throw new OptionError(`${option}: ${path}: ${(error as NodeJS.ErrnoException).code}`);
    }
  }

  protected put(bytes: Uint8Array): void {
    writeAll(this.fd, bytes);
  }

  override async close(): Promise<void> {
    this.flush();
    closeSync(this.fd);
  }
}

/** Writes all of it, also to a pipe that does not wait. */
function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}
const pause = new Int32Array(new SharedArrayBuffer(4));
