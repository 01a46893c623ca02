import { Errno } from '#util/errno.ts';
import { Mode, Open, pollInput, pollOutput } from './flags.ts';
import { anonymousStat, type FileStat, OpenFile, wouldBlock } from './open-file.ts';

const counterMax = 0xffff_ffff_ffff_fffen;

/** An eventfd (eventfd(2)): a 64-bit counter that reads take and writes add to. */
export class EventCounter extends OpenFile {
  private count: bigint;
  private readonly semaphore: boolean;
  private readonly identity = anonymousStat(Mode.regular | 0o600);

  constructor(initial: number, semaphore: boolean, flags: number) {
    super(Buffer.from('anon_inode:[eventfd]'), flags | Open.readWrite);
    this.count = BigInt(initial);
    this.semaphore = semaphore;
  }

  override get pollable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    if (length < 8) throw new Errno('EINVAL');
    if (this.count === 0n) return wouldBlock;
    const value = this.semaphore ? 1n : this.count;
    this.count -= value;
    for (let i = 0; i < 8; i++) bytes[start + i] = Number((value >> BigInt(8 * i)) & 0xffn);
    this.readiness.wake(pollOutput);
    return 8;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    if (length < 8) throw new Errno('EINVAL');
    let value = 0n;
    for (let i = 7; i >= 0; i--) value = (value << 8n) | BigInt(bytes[start + i]);
    if (value === 0xffff_ffff_ffff_ffffn) throw new Errno('EINVAL');
    if (this.count + value > counterMax) return wouldBlock;
    this.count += value;
    this.readiness.wake(pollInput);
    return 8;
  }

  override poll(events: number): number {
    const input = this.count > 0n ? events & pollInput : 0;
    return this.count < counterMax ? input | (events & pollOutput) : input;
  }
}
