import * as fs from 'node:fs';
import type * as NodeTty from 'node:tty';
import type { ReadStream, WriteStream } from 'node:tty';
import { hostJob } from './host-job.ts';
import { pollInput, pollOutput } from './vfs/flags.ts';
import { HostBacked } from './vfs/host-file.ts';
import { isAgain, type MayBlock } from './vfs/host-stream.ts';
import { LineDiscipline, needsRawInput } from './vfs/line-discipline.ts';
import { type OpenFile, type Terminal, type TerminalSettings, wouldBlock } from './vfs/open-file.ts';
import { TimedRead } from './vfs/timed-read.ts';

/** Settings of a fresh Linux terminal: cooked, echoing, 38400 baud, the usual control characters. */
export const freshSettings: TerminalSettings = {
  iflag: 0o2400 | 0o40000,
  oflag: 0o5,
  cflag: 0o2277,
  lflag: 0o105073,
  line: 0,
  cc: Uint8Array.of(3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0),
};

/** Loading node:tty costs 4 ms: only when the guest uses a terminal. */
const nodeTty = (): typeof NodeTty => process.getBuiltinModule('node:tty');

const retryMs = 4;

/**
 * The terminal tsemu runs on, shared by all descriptors that lead to it. While the guest wants plain line input the
 * host's own line discipline serves it; for anything else the host goes raw and ours takes over. Node restores the
 * host's settings at exit.
 */
export class HostTerminal implements Terminal {
  settings: TerminalSettings = freshSettings;
  foregroundGroup: number;
  session: number;
  readonly device: number;
  private readonly fd: number;
  private readonly discipline: LineDiscipline;
  private reader: ReadStream | null = null;
  private sizer: WriteStream | null = null;
  private ended = false;
  private readonly listeners = new Set<() => void>();
  private readonly timed = new TimedRead(() => this.wake());
  private readonly mayBlock: MayBlock;

  /** `fd`: a host descriptor of the terminal; `device`: its number. */
  constructor(fd: number, device: number, mayBlock: MayBlock) {
    this.fd = fd;
    this.device = device;
    this.mayBlock = mayBlock;
    const job = hostJob();
    this.foregroundGroup = job.foreground > 0 ? job.foreground : job.group;
    this.session = job.session;
    this.discipline = new LineDiscipline({
      echo: (bytes) => this.echo(bytes),
      // The terminal's own signal keys reach every program of the foreground group, ours among them.
      signal: (name) => process.kill(0, name),
    });
  }

  open(path: Uint8Array, flags: number): OpenFile {
    return new Tty(path, flags, this.fd, false, this, this.mayBlock);
  }

  onInput(listener: () => void): void {
    this.listeners.add(listener);
  }

  setSettings(settings: TerminalSettings, flushInput: boolean): void {
    this.settings = settings;
    if (flushInput) this.discipline.flush();
    const raw = needsRawInput(settings);
    if (raw || this.reader?.isRaw) this.openReader().setRawMode(raw);
    this.discipline.settings = settings;
  }

  windowSize(): readonly [number, number, number, number] {
    this.sizer ??= new (nodeTty().WriteStream)(this.fd);
    // Without a listener for 'resize' Node keeps the first size it saw.
    (this.sizer as { _refreshSize?: () => void })._refreshSize?.();
    return [this.sizer.rows ?? 0, this.sizer.columns ?? 0, 0, 0];
  }

  /** The host's window has the size its user gave it; a program in it cannot change that. */
  setWindowSize(): void {}

  flush(input: boolean): void {
    if (input) this.discipline.flush();
  }

  get available(): number {
    if (this.discipline.available === 0) this.startReading();
    return this.discipline.available;
  }

  get readable(): boolean {
    if (this.discipline.available > 0 || this.ended) return true;
    this.startReading();
    return false;
  }

  read(bytes: Uint8Array, start: number, length: number, mayBlock: boolean): number {
    if (length === 0) return 0;
    if (this.discipline.available > 0) {
      this.timed.stop();
      return this.discipline.read(bytes, start, length);
    }
    if (this.discipline.takeEndOfFile() || this.ended) return 0;
    if (mayBlock && this.reader === null) {
      try {
        return fs.readSync(this.fd, bytes, start, length, null);
      } catch (error) {
        if (!isAgain(error)) throw error;
      }
    }
    this.startReading();
    return this.timed.ends(this.settings) ? 0 : wouldBlock;
  }

  /** Others use it now: what is typed is theirs. */
  leave(): void {
    this.reader?.destroy();
    this.ended = true;
    this.wake();
  }

  private startReading(): void {
    if (this.ended) return;
    this.openReader().resume();
  }

  private openReader(): ReadStream {
    if (this.reader !== null) return this.reader;
    const reader = new (nodeTty().ReadStream)(this.fd);
    this.reader = reader;
    reader.pause();
    this.discipline.settings = this.settings;
    reader.on('data', (chunk: Buffer) => {
      reader.pause();
      if (reader.isRaw) this.discipline.input(chunk);
      else this.discipline.pass(chunk);
      if (this.discipline.hasInput) this.wake();
      else reader.resume();
    });
    const end = (): void => {
      this.ended = true;
      this.wake();
    };
    reader.on('end', end);
    reader.on('error', end);
    return reader;
  }

  private wake(): void {
    for (const listener of this.listeners) listener();
  }

  private echo(bytes: Uint8Array): void {
    try {
      fs.writeSync(this.fd, bytes);
    } catch (error) {
      if (!isAgain(error)) throw error;
    }
  }
}

/** An open terminal of the host. */
export class Tty extends HostBacked {
  readonly device: HostTerminal;
  private readonly mayBlock: MayBlock;

  constructor(
    path: Uint8Array,
    flags: number,
    hostFd: number,
    owned: boolean,
    device: HostTerminal,
    mayBlock: MayBlock,
  ) {
    super(path, flags, hostFd, owned);
    this.device = device;
    this.mayBlock = mayBlock;
    device.onInput(() => this.readiness.wake(pollInput));
  }

  override get pollable(): boolean {
    return true;
  }

  override get terminal(): Terminal {
    return this.device;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    return this.device.read(bytes, start, length, !this.nonBlocking && this.mayBlock());
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    try {
      return fs.writeSync(this.hostFd, bytes, start, length, null);
    } catch (error) {
      if (!isAgain(error)) throw error;
      setTimeout(() => this.readiness.wake(pollOutput), retryMs);
      return wouldBlock;
    }
  }

  override available(): number {
    return this.device.available;
  }

  override poll(events: number): number {
    const output = events & pollOutput;
    const input = events & pollInput;
    return input !== 0 && this.device.readable ? output | input : output;
  }
}
