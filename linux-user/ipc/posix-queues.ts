import { Errno } from '#util/errno.ts';
import type { Credentials } from '../credentials.ts';
import type { Process } from '../process.ts';
import { sendToProcess } from '../signal/send.ts';
import { SiCode } from '../signal/siginfo.ts';
import { Mode, Open, pollInput, pollOutput } from '../vfs/flags.ts';
import { anonymousStat, type FileStat, OpenFile } from '../vfs/open-file.ts';
import { Readiness } from '../vfs/readiness.ts';
import { IpcAccess } from './ipc-table.ts';

/** What mq_open gives without attributes, the most it takes, and for the privileged (mq_overview(7)). */
export const mqLimits = {
  queues: 256,
  messages: 10,
  bytes: 8192,
  privilegedMessages: 65536,
  privilegedBytes: 16 << 20,
  priority: 32768,
} as const;

/** struct mq_attr, but for the flags, which belong to the descriptor, and what is in the queue. */
export interface QueueShape {
  readonly messages: number;
  readonly bytes: number;
}

export interface PosixMessage {
  readonly priority: number;
  readonly text: Uint8Array;
}

/** Who is told when a message comes into the empty queue (mq_notify(3)), once. */
export interface Registration {
  /** Through which it was made: closing that takes it back. */
  readonly file: PosixQueueFile;
  readonly process: Process;
  /** 0: nothing is sent. */
  readonly signo: number;
  readonly value: bigint;
}

/** A POSIX message queue: the messages of highest priority first, among equals the oldest. */
export class PosixQueue {
  readonly shape: QueueShape;
  readonly messages: PosixMessage[] = [];
  readonly readiness = new Readiness();
  registration: Registration | null = null;
  /** Tasks that sleep in mq_timedreceive: while there are any, nobody is notified. */
  receivers = 0;
  private readonly uid: number;
  private readonly gid: number;
  readonly stat: FileStat;

  constructor(shape: QueueShape, mode: number, { fsuid, fsgid }: Credentials) {
    this.shape = shape;
    this.uid = fsuid;
    this.gid = fsgid;
    const identity = anonymousStat(Mode.regular | (mode & 0o777));
    this.stat = { ...identity, uid: BigInt(fsuid), gid: BigInt(fsgid), size: 80n };
  }

  /** EACCES unless the caller may read, write or both. */
  check({ fsuid, fsgid, groups }: Credentials, access: number): void {
    if (fsuid === 0) return;
    const shift = fsuid === this.uid ? 6 : fsgid === this.gid || groups.includes(this.gid) ? 3 : 0;
    if ((access & ~(Number(this.stat.mode) >> shift)) !== 0) throw new Errno('EACCES');
  }

  /** Only the owner may take the name away: the directory is sticky. */
  isOwnedBy({ fsuid }: Credentials): boolean {
    return fsuid === 0 || fsuid === this.uid;
  }

  /** Takes a message in if there is room. */
  send(message: PosixMessage, sender: Process): boolean {
    const { messages } = this;
    if (messages.length >= this.shape.messages) return false;
    const behind = messages.findIndex(({ priority }) => priority < message.priority);
    messages.splice(behind < 0 ? messages.length : behind, 0, message);
    if (messages.length === 1 && this.receivers === 0) this.notify(sender);
    this.readiness.wake(pollInput);
    return true;
  }

  /** mq_notify(3): null takes the caller's registration back. EBUSY if another process is registered. */
  register(process: Process, registration: Registration | null): void {
    const other = this.registration?.process;
    const taken = other !== undefined && other !== process && !other.zombie;
    if (registration === null) {
      if (!taken) this.registration = null;
      return;
    }
    if (taken || other === process) throw new Errno('EBUSY');
    this.registration = registration;
  }

  private notify({ pid, credentials }: Process): void {
    const { registration } = this;
    this.registration = null;
    if (registration === null || registration.signo === 0) return;
    const { process, signo, value } = registration;
    sendToProcess(process, { kind: 'queue', signo, code: SiCode.SI_MESGQ, pid, uid: credentials.uid, value });
  }

  receive(): PosixMessage | null {
    const message = this.messages.shift() ?? null;
    if (message !== null) this.readiness.wake(pollOutput);
    return message;
  }

  get queuedBytes(): number {
    return this.messages.reduce((sum, { text }) => sum + text.length, 0);
  }
}

/** A descriptor of a queue. */
export class PosixQueueFile extends OpenFile {
  readonly queue: PosixQueue;
  private readonly leave: () => void;
  private offset = 0;

  constructor(name: string, flags: number, queue: PosixQueue) {
    super(Buffer.from(`/${name}`), flags);
    this.queue = queue;
    this.leave = queue.readiness.watch((events) => this.readiness.wake(events));
  }

  protected override close(): void {
    this.leave();
    if (this.queue.registration?.file === this) this.queue.registration = null;
  }

  override get pollable(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.queue.stat;
  }

  override poll(events: number): number {
    const { messages, shape } = this.queue;
    return (
      (messages.length > 0 ? events & pollInput : 0) | (messages.length < shape.messages ? events & pollOutput : 0)
    );
  }

  /** What the file system shows of a queue. */
  override read(bytes: Uint8Array, start: number, length: number): number {
    const { queuedBytes, registration } = this.queue;
    const [notify, signo, pid] =
      registration === null
        ? [0, 0, 0]
        : [registration.signo === 0 ? 1 : 0, registration.signo, registration.process.pid];
    const text = Buffer.from(
      `QSIZE:${String(queuedBytes).padEnd(10)} NOTIFY:${String(notify).padEnd(5)} ` +
        `SIGNO:${String(signo).padEnd(5)} NOTIFY_PID:${String(pid).padEnd(6)}\n`,
    ).subarray(this.offset, this.offset + length);
    bytes.set(text, start);
    this.offset += text.length;
    return text.length;
  }
}

/** The names of the queues (mqueue file system). */
export class PosixQueues {
  private readonly queues = new Map<string, PosixQueue>();

  /** mq_open(3): `shape` is null for the default. */
  open(name: string, flags: number, mode: number, shape: QueueShape | null, credentials: Credentials): PosixQueueFile {
    const found = this.queues.get(name);
    const create = (flags & Open.create) !== 0;
    if (found === undefined && !create) throw new Errno('ENOENT');
    if (found !== undefined && create && (flags & Open.exclusive) !== 0) throw new Errno('EEXIST');
    const access = flags & Open.accessMode;
    if (access === Open.accessMode) throw new Errno('EINVAL');
    const kept = access | (flags & Open.nonBlock);
    if (found === undefined) return new PosixQueueFile(name, kept, this.make(name, mode, shape, credentials));
    const needs = [IpcAccess.read, IpcAccess.write, IpcAccess.read | IpcAccess.write][access];
    found.check(credentials, needs);
    return new PosixQueueFile(name, kept, found);
  }

  private make(name: string, mode: number, shape: QueueShape | null, credentials: Credentials): PosixQueue {
    const privileged = credentials.euid === 0;
    if (this.queues.size >= mqLimits.queues && !privileged) throw new Errno('ENOSPC');
    const { messages, bytes } = shape ?? mqLimits;
    const mostMessages = privileged ? mqLimits.privilegedMessages : mqLimits.messages;
    const mostBytes = privileged ? mqLimits.privilegedBytes : mqLimits.bytes;
    if (messages <= 0 || bytes <= 0 || messages > mostMessages || bytes > mostBytes) throw new Errno('EINVAL');
    const queue = new PosixQueue({ messages, bytes }, mode, credentials);
    this.queues.set(name, queue);
    return queue;
  }

  /** mq_unlink(3): the queue lives on until its last descriptor is closed. ENOENT, EACCES. */
  unlink(name: string, credentials: Credentials): void {
    const queue = this.queues.get(name);
    if (queue === undefined) throw new Errno('ENOENT');
    if (!queue.isOwnedBy(credentials)) throw new Errno('EACCES');
    this.queues.delete(name);
  }

  /** The names there are, as /dev/mqueue lists them. */
  names(): string[] {
    return [...this.queues.keys()];
  }
}
