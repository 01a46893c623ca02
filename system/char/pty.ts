import type * as NodeFfi from 'node:ffi';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { loadExperimental } from '#util/experimental.ts';
import { OptionError } from '../option-string.ts';
import { Chardev } from './chardev.ts';

/** ioctl requests of Linux (pty(7)). */
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
/** TCSANOW */
const now = 0;
const termiosBytes = 256;
/** Milliseconds between looks at a terminal. */
const pollInterval = 10;

/** A pseudoterminal of the host. Somebody is there while its slave is open: what is written before is lost. */
export class PtyChardev extends Chardev {
  readonly filename: string;
  private readonly fd: number;
  private readonly input = new Uint8Array(4096);
  private readonly timer: NodeJS.Timeout;
  private unwritten: Uint8Array = new Uint8Array(0);
  private held = false;

  constructor(option: string) {
    super();
    this.connected = false;
    const { fd, slave } = openTerminal(option);
    this.fd = fd;
    this.filename = `pty:${slave}`;
    this.timer = setInterval(() => this.poll(), pollInterval);
    this.timer.unref();
  }

  override hold(on: boolean): void {
    this.held = on;
  }

  private poll(): void {
    this.writeOut();
    if (this.held) return;
    try {
      const count = readSync(this.fd, this.input);
      this.setConnected(true);
      this.take(this.input.slice(0, count));
    } catch (error) {
      // EIO: nobody has the slave open.
      this.setConnected((error as NodeJS.ErrnoException).code === 'EAGAIN');
    }
  }

  protected override get backlog(): number {
    return this.unwritten.length;
  }

  protected put(bytes: Uint8Array): void {
    this.unwritten = Buffer.concat([this.unwritten, bytes]);
    this.writeOut();
  }

  private writeOut(): void {
    if (!this.connected) this.unwritten = this.unwritten.subarray(0, 0);
    if (this.unwritten.length === 0) return;
    try {
      this.unwritten = this.unwritten.subarray(writeSync(this.fd, this.unwritten));
    } catch {
      // It is full, or the slave was closed: `poll` finds out.
    }
    this.drained();
  }

  override async close(): Promise<void> {
    this.flush();
    clearInterval(this.timer);
    closeSync(this.fd);
  }
}

/** Opens a new terminal in raw mode. Throws OptionError where the host has none. */
function openTerminal(option: string): { readonly fd: number; readonly slave: string } {
  const ffi = loadExperimental<typeof NodeFfi>('node:ffi');
  if (process.platform !== 'linux' || !ffi)
    throw new OptionError(`${option}: pty needs Linux and a Node with node:ffi`);
  const { functions } = ffi.dlopen(null, {
    ioctl: { arguments: ['i32', 'u64', 'pointer'], return: 'i32' },
    tcgetattr: { arguments: ['i32', 'pointer'], return: 'i32' },
    tcsetattr: { arguments: ['i32', 'i32', 'pointer'], return: 'i32' },
    cfmakeraw: { arguments: ['pointer'], return: 'void' },
  });
  const flags = constants.O_RDWR | constants.O_NOCTTY;
  try {
    const fd = openSync('/dev/ptmx', flags | constants.O_NONBLOCK);
    const buffer = Buffer.alloc(termiosBytes);
    const pointer = ffi.getRawPointer(buffer);
    functions.ioctl(fd, BigInt(TIOCSPTLCK), pointer);
    if (functions.ioctl(fd, BigInt(TIOCGPTN), pointer) !== 0) throw new Error('no terminal number');
    const slave = `/dev/pts/${buffer.readInt32LE()}`;
    const slaveFd = openSync(slave, flags);
    functions.tcgetattr(slaveFd, pointer);
    functions.cfmakeraw(pointer);
    functions.tcsetattr(slaveFd, now, pointer);
    closeSync(slaveFd);
    return { fd, slave };
  } catch (error) {
    throw new OptionError(`${option}: no pseudoterminal: ${(error as Error).message}`);
  }
}
