import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import type { Task } from '../task.ts';
import { Open, Poll, pollInput, pollOutput } from '../vfs/flags.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { Signal, signalCount } from './numbers.ts';
import { sendToProcess, sendToTask } from './send.ts';
import { SiCode, type SigInfo } from './siginfo.ts';

/** struct f_owner_ex's type (include/uapi/asm-generic/fcntl.h). */
export const OwnerType = { tid: 0, pid: 1, group: 2 } as const;

export interface Owner {
  readonly type: number;
  /** 0: nobody. */
  readonly id: number;
}

/** si_code of a signal of F_SETSIG. */
const POLL_IN = 1;
const POLL_OUT = 2;

/** What F_SETOWN, F_SETSIG and O_ASYNC have set for an open file (struct fown_struct). */
class AsyncIo {
  owner: Owner = { type: OwnerType.pid, id: 0 };
  /** 0: SIGIO, without the file's number. */
  signo = 0;
  private readonly file: OpenFile;
  private stop: (() => void) | null = null;

  constructor(file: OpenFile) {
    this.file = file;
  }

  /** O_ASYNC on or off; `fd` is what signals of F_SETSIG tell. */
  set(process: Process, fd: number, on: boolean): void {
    const { file } = this;
    file.flags = on ? file.flags | Open.async : file.flags & ~Open.async;
    this.stop?.();
    this.stop = null;
    if (!on) return;
    const stop = file.readiness.watch((events) => {
      this.send(process, fd, events);
      return false;
    });
    const forget = file.onClose(stop);
    this.stop = () => {
      stop();
      forget();
    };
    // Asking is what makes a host's stream tell of its input.
    file.poll(Poll.in);
  }

  private send(process: Process, fd: number, events: number): void {
    const { processes } = process.kernel;
    const { type, id } = this.owner;
    if (id === 0) return;
    const info = this.info(fd, events);
    if (type === OwnerType.tid) {
      const task = processes.task(id);
      if (task !== undefined) sendToTask(task, info);
      return;
    }
    const target = processes.find(id);
    const targets = type === OwnerType.group ? processes.group(id) : target === undefined ? [] : [target];
    for (const each of targets) sendToProcess(each, info);
  }

  private info(fd: number, events: number): SigInfo {
    if (this.signo === 0) return { kind: 'kernel', signo: Signal.SIGIO, code: SiCode.SI_KERNEL };
    const input = (events & pollInput) !== 0;
    const band = events & (input ? pollInput : pollOutput);
    const bytes = new Uint8Array(Uint32Array.of(band, fd).buffer);
    return { kind: 'raw', signo: this.signo, code: input ? POLL_IN : POLL_OUT, bytes };
  }
}

const known = new WeakMap<OpenFile, AsyncIo>();

function asyncIo(file: OpenFile): AsyncIo {
  let found = known.get(file);
  if (found === undefined) {
    found = new AsyncIo(file);
    known.set(file, found);
  }
  return found;
}

/** FIOASYNC, and F_SETFL's O_ASYNC, of the descriptor `fd`. False for a file that tells nobody of its input. */
export function setAsync(task: Task, fd: number, file: OpenFile, on: boolean): boolean {
  if (!file.pollable) return false;
  if (((file.flags & Open.async) !== 0) !== on) asyncIo(file).set(task.process, fd, on);
  return true;
}

export const owner = (file: OpenFile): Owner => known.get(file)?.owner ?? { type: OwnerType.pid, id: 0 };

/** F_SETOWN_EX. EINVAL, ESRCH. */
export function setOwner(task: Task, file: OpenFile, { type, id }: Owner): void {
  const { processes } = task.process.kernel;
  const exists: Readonly<Record<number, () => boolean>> = {
    [OwnerType.tid]: () => processes.task(id) !== undefined,
    [OwnerType.pid]: () => processes.find(id) !== undefined,
    [OwnerType.group]: () => processes.group(id).length > 0,
  };
  if (!(type in exists)) throw new Errno('EINVAL');
  if (id !== 0 && !exists[type]()) throw new Errno('ESRCH');
  asyncIo(file).owner = { type, id };
}

export const ownerSignal = (file: OpenFile): number => known.get(file)?.signo ?? 0;

/** F_SETSIG. EINVAL. */
export function setOwnerSignal(file: OpenFile, signo: number): void {
  if (signo < 0 || signo > signalCount) throw new Errno('EINVAL');
  asyncIo(file).signo = signo;
}
