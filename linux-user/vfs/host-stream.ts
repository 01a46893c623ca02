import * as fs from 'node:fs';
import type { Socket } from 'node:net';
import { errnoNumbers, errnoOf } from '#util/errno.ts';
import { Poll, pollInput, pollOutput } from './flags.ts';
import { HostBacked } from './host-file.ts';
import { wouldBlock } from './open-file.ts';

/** Time between two tries to write to a host stream that is full, milliseconds: doubled up to the second. */
const firstRetry = 1;
const lastRetry = 32;

/** May a read hold the whole program? Only while no guest handler, timer or other thread could want to run meanwhile. */
export type MayBlock = () => boolean;

/** True for an error that says "not now" of a host descriptor in non-blocking mode. */
export const isAgain = (error: unknown): boolean => errnoOf(error) === errnoNumbers.EAGAIN;

/** A device of the host that never makes a reader wait for long: /dev/full, /dev/kmsg. */
export class HostDevice extends HostBacked {
  override get seekable(): boolean {
    return true;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    return fs.readSync(this.hostFd, bytes, start, length, null);
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    return fs.writeSync(this.hostFd, bytes, start, length, null);
  }

  override pread(bytes: Uint8Array, start: number, length: number): number {
    return this.read(bytes, start, length);
  }

  override pwrite(bytes: Uint8Array, start: number, length: number): number {
    return this.write(bytes, start, length);
  }

  override seek(): number {
    return 0;
  }

  override poll(events: number): number {
    return events & (Poll.in | Poll.out | Poll.rdNorm | Poll.wrNorm);
  }
}

/** What one look at a pipe takes from it at most: all that Linux keeps in one. */
const probeBytes = 65536;
let probeBuffer: Buffer | undefined;

/** A pipe, FIFO or socket of the host. */
export class HostStream extends HostBacked {
  private readonly mayBlock: MayBlock;
  /** Reads without waiting; -1: there is none; undefined: not asked for yet. */
  private probeFd: number | undefined;
  private readonly pending: Buffer[] = [];
  private ended = false;
  private failure: Error | null = null;
  private reader: Socket | null = null;
  /** `reader` has the descriptor itself, and closes it. */
  private readsItself = false;
  private retryDelay = firstRetry;

  constructor(path: Uint8Array, flags: number, hostFd: number, owned: boolean, mayBlock: MayBlock) {
    super(path, flags, hostFd, owned);
    this.mayBlock = mayBlock;
  }

  override get pollable(): boolean {
    return true;
  }

  /** Puts bytes back in front of what is to be read. */
  unread(bytes: Buffer): void {
    this.pending.unshift(bytes);
  }

  protected override close(): void {
    this.reader?.destroy();
    if (this.probeFd !== undefined && this.probeFd >= 0) fs.closeSync(this.probeFd);
    if (this.reader === null || !this.readsItself) super.close();
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    if (length === 0) return 0;
    if (this.nonBlocking) this.probe();
    const chunk = this.pending[0];
    if (chunk !== undefined) return this.take(chunk, bytes, start, length);
    if (this.failure !== null) throw this.failure;
    if (this.ended) return 0;
    if (this.reader === null && !this.nonBlocking && this.mayBlock()) {
      try {
        return fs.readSync(this.hostFd, bytes, start, length, null);
      } catch (error) {
        if (!isAgain(error)) throw error;
      }
    }
    if (!this.nonBlocking || this.probeFd === -1 || this.readiness.watched) this.startReading();
    return wouldBlock;
  }

  /** Takes what is there already. Where the host cannot be asked so (sockets), the event loop brings it later. */
  private probe(): void {
    if (this.pending.length > 0 || this.ended || this.failure !== null) return;
    this.probeFd ??= this.openAgain();
    if (this.probeFd < 0) return;
    probeBuffer ??= Buffer.allocUnsafe(probeBytes);
    try {
      const count = fs.readSync(this.probeFd, probeBuffer);
      if (count === 0) this.ended = true;
      else this.pending.push(Buffer.from(probeBuffer.subarray(0, count)));
    } catch (error) {
      if (!isAgain(error)) this.failure = error as Error;
    }
  }

  private take(chunk: Buffer, bytes: Uint8Array, start: number, length: number): number {
    const count = Math.min(length, chunk.length);
    bytes.set(chunk.subarray(0, count), start);
    if (count === chunk.length) this.pending.shift();
    else this.pending[0] = chunk.subarray(count);
    return count;
  }

  /** Ends what goes to the other side of a socket (shutdown(2)). */
  endWriting(): void {
    this.startReading();
    this.reader?.end();
  }

  /** A thread-pool read could not be given up when the program ends; a socket can. */
  private startReading(): void {
    if (this.reader !== null) {
      this.reader.resume();
      return;
    }
    // Loading node:net costs 3 ms.
    const { Socket } = process.getBuiltinModule('node:net');
    const again = this.openAgain();
    this.readsItself = again < 0;
    const reader = new Socket({
      fd: again < 0 ? this.hostFd : again,
      readable: true,
      writable: !this.isPipe,
      allowHalfOpen: true,
    });
    this.reader = reader;
    reader.on('data', (chunk: Buffer) => {
      this.pending.push(chunk);
      reader.pause();
      this.readiness.wake();
    });
    reader.on('end', () => {
      this.ended = true;
      this.readiness.wake();
    });
    reader.on('error', (error) => {
      this.failure = error;
      this.readiness.wake();
    });
  }

  /**
   * A pipe can be opened again, which keeps the non-blocking mode away from the programs that share our descriptor; -1
   * for what cannot.
   */
  private openAgain(): number {
    try {
      return fs.openSync(`/proc/self/fd/${this.hostFd}`, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    } catch {
      return -1;
    }
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    try {
      const count = fs.writeSync(this.hostFd, bytes, start, length, null);
      this.retryDelay = firstRetry;
      return count;
    } catch (error) {
      if (!isAgain(error)) throw error;
      setTimeout(() => this.readiness.wake(pollOutput), this.retryDelay);
      this.retryDelay = Math.min(2 * this.retryDelay, lastRetry);
      return wouldBlock;
    }
  }

  /** The end of a pipe is a hang-up alone, that of a socket can be read too (poll(2)). */
  private get isPipe(): boolean {
    return fs.fstatSync(this.hostFd).isFIFO();
  }

  override available(): number {
    this.probe();
    if (this.pending.length === 0 && !this.ended) this.startReading();
    return this.pending.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  override poll(events: number): number {
    let ready = this.writable ? events & pollOutput : 0;
    if (!this.readable) return ready;
    const input = events & pollInput;
    if (input !== 0) this.probe();
    if (this.pending.length > 0 || this.failure !== null) ready |= input;
    else if (this.ended) ready |= this.isPipe ? Poll.hup : Poll.hup | input;
    else if (input !== 0) this.startReading();
    return ready;
  }
}
