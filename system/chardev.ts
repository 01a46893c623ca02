import { closeSync, openSync, writeSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import type { SerialPort } from '#hw/char/pl011.ts';

/* Where a serial line leads on the host (`-serial`), with QEMU's spelling. */

export class ChardevError extends Error {}

/** A serial line's other end that can be closed. What is written is kept until the event loop turns. */
export abstract class Chardev implements SerialPort {
  protected receive: (bytes: Uint8Array) => void = () => {};
  private pending: number[] = [];
  private scheduled = false;

  onInput(receive: (bytes: Uint8Array) => void): void {
    this.receive = receive;
  }

  write(byte: number): void {
    this.pending.push(byte);
    if (this.pending.length >= flushBytes) this.flush();
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.flush();
    });
  }

  /** Writes out what is pending. */
  flush(): void {
    if (this.pending.length === 0) return;
    const bytes = Uint8Array.from(this.pending);
    this.pending = [];
    this.put(bytes);
  }

  close(): void {
    this.flush();
  }

  protected abstract put(bytes: Uint8Array): void;
}

/** Bytes written out before the event loop turns. */
const flushBytes = 4096;

/** Keys after Ctrl-A on a multiplexed terminal. */
export interface EscapeKeys {
  readonly x: () => void;
}

const ctrlA = 1;
const ctrlC = 3;

/** The terminal tsemu runs in, or whatever stdin and stdout are. */
export class Stdio extends Chardev {
  private escaped = false;
  private readonly keys: EscapeKeys;
  private readonly multiplexed: boolean;

  /** `multiplexed` (`-nographic`): Ctrl-A is the escape key; otherwise Ctrl-C on a terminal ends the machine. */
  constructor(keys: EscapeKeys, multiplexed: boolean) {
    super();
    this.keys = keys;
    this.multiplexed = multiplexed;
    const { stdin } = process;
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on('data', (bytes: Buffer) => this.take(bytes));
    stdin.on('error', () => {});
  }

  private take(bytes: Uint8Array): void {
    const passed: number[] = [];
    for (const byte of bytes) {
      if (this.escaped) {
        this.escaped = false;
        if (byte === 0x78) this.keys.x();
        else if (byte === ctrlA) passed.push(byte);
        else if (byte === 0x68 || byte === 0x3f) this.put(new TextEncoder().encode(escapeHelp));
      } else if (this.multiplexed && byte === ctrlA) {
        this.escaped = true;
      } else if (!this.multiplexed && byte === ctrlC && process.stdin.isTTY) {
        this.keys.x();
      } else {
        passed.push(byte);
      }
    }
    if (passed.length > 0) this.receive(Uint8Array.from(passed));
  }

  protected put(bytes: Uint8Array): void {
    writeAll(1, bytes);
  }

  override close(): void {
    super.close();
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
    process.stdin.pause();
  }
}

const escapeHelp = '\r\nC-a x   end the machine\r\nC-a C-a send C-a\r\nC-a h   this help\r\n';

class File extends Chardev {
  private readonly fd: number;

  constructor(path: string) {
    super();
    try {
      this.fd = openSync(path, 'w');
    } catch (error) {
      throw new ChardevError(`-serial file:${path}: ${(error as Error).message}`);
    }
  }

  protected put(bytes: Uint8Array): void {
    writeAll(this.fd, bytes);
  }

  override close(): void {
    super.close();
    closeSync(this.fd);
  }
}

class Null extends Chardev {
  protected put(): void {}
}

/** A TCP connection, made by us or (`server`) by the first who comes. What nobody reads is lost. */
class Tcp extends Chardev {
  private socket: Socket | null = null;
  private readonly end: () => void;

  constructor(host: string, port: number, server: boolean) {
    super();
    const use = (socket: Socket): void => {
      this.socket = socket;
      socket.on('data', (bytes: Buffer) => this.receive(bytes));
      socket.on('error', () => {});
      socket.on('close', () => {
        if (this.socket === socket) this.socket = null;
      });
    };
    const fail = (error: Error): never => {
      throw new ChardevError(`-serial tcp:${host}:${port}: ${error.message}`);
    };
    if (server) {
      const listener = createServer(use).on('error', fail);
      listener.listen(port, host || undefined);
      this.end = () => listener.close();
    } else {
      use(createConnection(port, host).on('error', fail));
      this.end = () => {};
    }
  }

  protected put(bytes: Uint8Array): void {
    this.socket?.write(bytes);
  }

  override close(): void {
    super.close();
    this.socket?.end();
    this.end();
  }
}

/** The other end of `-serial SPEC`. Throws ChardevError. */
export function openChardev(spec: string, keys: EscapeKeys, multiplexed = false): Chardev {
  if (spec === 'stdio' || spec === 'mon:stdio') return new Stdio(keys, multiplexed || spec === 'mon:stdio');
  if (spec === 'null' || spec === 'none') return new Null();
  if (spec.startsWith('file:')) return new File(spec.slice(5));
  const [, host, port, options] = /^tcp:([^,]*):(\d+)((?:,\w+(?:=\w+)?)*)$/.exec(spec) ?? [];
  if (port === undefined) throw new ChardevError(`-serial ${spec}: stdio, mon:stdio, null, file:PATH or tcp:HOST:PORT`);
  return new Tcp(host!, Number(port), /,server\b(?!=off)/.test(options!));
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
