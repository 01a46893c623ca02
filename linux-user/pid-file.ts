import { Errno } from '#util/errno.ts';
import type { Process } from './process.ts';
import { Mode, Open, Poll, pollInput } from './vfs/flags.ts';
import { anonymousStat, type FileStat, OpenFile } from './vfs/open-file.ts';

/** A pidfd (pidfd_open(2)): means one process for ever, whatever becomes of its number. Readable once it has ended. */
export class PidFile extends OpenFile {
  readonly process: Process;
  private readonly identity = anonymousStat(Mode.regular | 0o600);

  constructor(process: Process, flags: number) {
    super(Buffer.from('anon_inode:[pidfd]'), flags | Open.readWrite);
    this.process = process;
    process.pidFiles.add(this);
  }

  protected override close(): void {
    this.process.pidFiles.delete(this);
  }

  override get pollable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  /** True once nobody can be told of the process any more. */
  get reaped(): boolean {
    const { kernel, pid } = this.process;
    return kernel.processes.get(pid) !== this.process;
  }

  override poll(events: number): number {
    const { zombie } = this.process;
    return (zombie ? events & pollInput : 0) | (zombie && this.reaped ? Poll.hup : 0);
  }
}

/** The process of a pidfd; EBADF for a descriptor of anything else. */
export function pidFileOf(file: OpenFile): PidFile {
  if (!(file instanceof PidFile)) throw new Errno('EBADF');
  return file;
}
