import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import type { Task } from '../task.ts';
import { Mode, Open, pollInput } from '../vfs/flags.ts';
import { anonymousStat, type FileStat, OpenFile, wouldBlock } from '../vfs/open-file.ts';
import { dequeue } from './actions.ts';
import { unblockable } from './numbers.ts';
import { encodeSignalFd, signalFdBytes } from './siginfo.ts';

/**
 * A signalfd (signalfd(2)): a read takes signals that wait for the reader. Who polls is not known here; that is taken to
 * be the process that made it.
 */
export class SignalFile extends OpenFile {
  /** The signals it is about. */
  private mask = 0n;
  private readonly maker: Task;
  private readonly identity = anonymousStat(Mode.regular | 0o600);

  constructor(task: Task, mask: bigint, flags: number) {
    super(Buffer.from('anon_inode:[signalfd]'), flags | Open.readWrite);
    this.maker = task;
    this.setMask(mask);
    task.process.signalFiles.add(this);
  }

  setMask(mask: bigint): void {
    this.mask = mask & ~unblockable;
    this.readiness.wake(pollInput);
  }

  protected override close(): void {
    this.maker.process.signalFiles.delete(this);
  }

  override get pollable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  /** A signal has come to a process. */
  signalCame(signo: number): void {
    if (((this.mask >> BigInt(signo - 1)) & 1n) !== 0n) this.readiness.wake(pollInput);
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    return this.readBy(this.maker, bytes, start, length);
  }

  override readBy(task: Task, bytes: Uint8Array, start: number, length: number): number {
    if (length < signalFdBytes) throw new Errno('EINVAL');
    if (task.process !== this.maker.process) this.follow(task.process);
    let done = 0;
    while (done + signalFdBytes <= length) {
      const info = dequeue(task, this.mask);
      if (info === undefined) break;
      bytes.set(encodeSignalFd(info), start + done);
      done += signalFdBytes;
    }
    return done === 0 ? wouldBlock : done;
  }

  /** Another process reads it too: what comes to that wakes its readers. */
  private follow(process: Process): void {
    process.signalFiles.add(this);
  }

  override poll(events: number): number {
    const { signals, process } = this.maker;
    const waiting = (signals.pending.mask | process.signals.pending.mask) & this.mask;
    return waiting === 0n ? 0 : events & pollInput;
  }
}
