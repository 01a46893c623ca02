import { Errno } from '#util/errno.ts';
import { Alarm } from '../alarm.ts';
import type { Process } from '../process.ts';
import { Mode, Open, pollInput } from '../vfs/flags.ts';
import { anonymousStat, type FileStat, OpenFile, wouldBlock } from '../vfs/open-file.ts';
import { rounds, type TimerSpec } from './posix-timers.ts';

/** A timerfd (timerfd_create(2)): a read gives how often it has come round since the last one. */
export class TimerFile extends OpenFile {
  private readonly alarm: Alarm;
  private readonly identity = anonymousStat(Mode.regular | 0o600);
  private interval = 0;
  private due: number | null = null;
  /** It has rung since the last read. */
  private expired = false;

  constructor(process: Process, clock: number, flags: number) {
    super(Buffer.from('anon_inode:[timerfd]'), flags | Open.readWrite);
    this.alarm = new Alarm(process, clock, () => {
      this.expired = true;
      this.readiness.wake(pollInput);
    });
  }

  protected override close(): void {
    this.alarm.set(null);
  }

  override get pollable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  /** timerfd_gettime(2), milliseconds. */
  get(): TimerSpec {
    const { interval, due } = this;
    if (due === null) return { interval, value: 0 };
    const now = this.alarm.now();
    const next = interval > 0 ? due + rounds(now, due, interval) * interval : due;
    return { interval, value: Math.max(0, next - now) };
  }

  /** timerfd_settime(2); returns what `get` did. */
  set({ interval, value }: TimerSpec, absolute: boolean): TimerSpec {
    const old = this.get();
    this.interval = value === 0 ? 0 : interval;
    this.expired = false;
    this.due = value === 0 ? null : absolute ? value : this.alarm.now() + value;
    this.alarm.set(this.due);
    return old;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    if (length < 8) throw new Errno('EINVAL');
    if (!this.expired || this.due === null) return wouldBlock;
    this.expired = false;
    let count = 1;
    if (this.interval > 0) {
      count = Math.max(1, rounds(this.alarm.now(), this.due, this.interval));
      this.due += count * this.interval;
      this.alarm.set(this.due);
    } else this.due = null;
    bytes.set(new Uint8Array(BigUint64Array.of(BigInt(count)).buffer), start);
    return 8;
  }

  override poll(events: number): number {
    return this.expired ? events & pollInput : 0;
  }
}
