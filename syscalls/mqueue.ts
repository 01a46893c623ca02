import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { monotonic } from '#linux-user/clock.ts';
import { mqLimits, PosixQueueFile, type QueueShape } from '#linux-user/ipc/posix-queues.ts';
import { ResourceLimit } from '#linux-user/resource-limits.ts';
import { signalCount } from '#linux-user/signal/numbers.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { Errno } from '#util/errno.ts';
import { bufferIn, bufferOut, createMode, fd, openFlags, path, structIn, structOut, uint } from './arguments.ts';
import { guestStruct } from './guest-struct.ts';
import { untilReady } from './io.ts';
import { bits } from './print.ts';
import { partial, type Row, type Rows, row } from './row.ts';
import { loadSigEvent, Notify, printSigEvent } from './sigevent.ts';
import { loadDuration, timespecIn, wideTimespecIn } from './time-values.ts';

/** struct mq_attr with 32-bit longs. */
const attributes = guestStruct({
  flags: 'i32',
  maxmsg: 'i32',
  msgsize: 'i32',
  curmsgs: 'i32',
  reserved1: 'i32',
  reserved2: 'i32',
  reserved3: 'i32',
  reserved4: 'i32',
});

/** Bytes of bookkeeping for each message (struct posix_msg_tree_node and a pointer), as RLIMIT_MSGQUEUE counts them. */
const messageOverhead = 48;

/** EMFILE if a queue of this shape is more than the limit allows one user. */
function checkLimit(task: Task, { messages, bytes }: QueueShape): void {
  const { soft } = task.process.limits.get(ResourceLimit.MSGQUEUE);
  if (messages * (bytes + messageOverhead) > soft) throw new Errno('EMFILE');
}

function open(task: Task, name: Uint8Array, flags: number, mode: number, at: number): number {
  const { process, memory, credentials, fs, files } = task;
  const text = Buffer.from(name).toString('latin1');
  if (text === '') throw new Errno('ENOENT');
  if (text.length > 255) throw new Errno('ENAMETOOLONG');
  if (text.includes('/') || text === '.' || text === '..') throw new Errno('EACCES');
  let shape: QueueShape | null = null;
  if (at !== 0) {
    const { maxmsg, msgsize } = attributes.load(memory, at);
    shape = { messages: maxmsg, bytes: msgsize };
  }
  if ((flags & Open.create) !== 0) checkLimit(task, shape ?? mqLimits);
  const file = process.kernel.ipc.posixQueues.open(text, flags, mode & ~fs.umask, shape, credentials);
  return files.add(file, (flags & Open.closeOnExec) !== 0);
}

/** The queue of a descriptor that is open for `access`; EBADF. */
function queueFile(task: Task, descriptor: number, access: 'read' | 'write' | null): PosixQueueFile {
  const file = task.files.get(descriptor);
  const open = access === null || (access === 'read' ? file.readable : file.writable);
  if (!(file instanceof PosixQueueFile) || !open) throw new Errno('EBADF');
  return file;
}

/** A point in time on the wall clock, as the time from now on: milliseconds. Infinity for a null pointer. EINVAL. */
function patience(task: Task, at: number, wide: boolean): number {
  if (at === 0) return Infinity;
  return Math.max(0, loadDuration(task.memory, at, wide) - Date.now());
}

/** Makes `attempt` until it succeeds; the time's end is ETIMEDOUT here. */
function wait<T>(
  task: Task,
  file: PosixQueueFile,
  attempt: () => T | null,
  timeout: number,
): NonNullable<T> | Promise<NonNullable<T>> {
  const due = monotonic() + timeout;
  const timedOut = (error: unknown): never => {
    const over = error instanceof Errno && error.code === 'EAGAIN' && !file.nonBlocking && monotonic() >= due;
    throw over ? new Errno('ETIMEDOUT') : error;
  };
  const result = untilReady(task, file, attempt, { nonBlocking: file.nonBlocking, timeout });
  return result instanceof Promise ? result.catch(timedOut) : result;
}

interface MessageCall {
  readonly fd: number;
  readonly buffer: number;
  readonly length: number;
  readonly priority: number;
  readonly timeout: number;
}

function timedSend(task: Task, call: MessageCall, wide: boolean): SyscallResult {
  const { buffer, length, priority } = call;
  if (priority >= mqLimits.priority) throw new Errno('EINVAL');
  const timeout = patience(task, call.timeout, wide);
  const file = queueFile(task, call.fd, 'write');
  if (length > file.queue.shape.bytes) throw new Errno('EMSGSIZE');
  const message = { priority, text: task.memory.copy(buffer, length) };
  const done = wait(task, file, () => (file.queue.send(message, task.process) ? true : null), timeout);
  return done instanceof Promise ? done.then(() => 0) : 0;
}

function timedReceive(task: Task, call: MessageCall, wide: boolean): SyscallResult {
  const timeout = patience(task, call.timeout, wide);
  const file = queueFile(task, call.fd, 'read');
  const { queue } = file;
  if (call.length < queue.shape.bytes) throw new Errno('EMSGSIZE');
  const attempt = (): number | null => {
    const message = queue.receive();
    if (message === null) return null;
    const { text, priority } = message;
    task.memory.write(call.buffer, text);
    if (call.priority !== 0) task.memory.store32(call.priority, priority);
    return text.length;
  };
  const result = wait(task, file, attempt, timeout);
  if (!(result instanceof Promise)) return result;
  queue.receivers++;
  return result.finally(() => queue.receivers--);
}

function notify(task: Task, descriptor: number, at: number): number {
  const { process, memory, abi } = task;
  const event = at === 0 ? null : loadSigEvent(memory, at, abi.pointerBytes);
  if (event !== null) {
    if (event.notify !== Notify.SIGEV_NONE && event.notify !== Notify.SIGEV_SIGNAL) throw new Errno('EINVAL');
    const wrong = event.signo < 0 || event.signo > signalCount;
    if (event.notify === Notify.SIGEV_SIGNAL && wrong) throw new Errno('EINVAL');
  }
  const file = queueFile(task, descriptor, null);
  if (event === null) file.queue.register(process, null);
  else {
    const signo = event.notify === Notify.SIGEV_NONE ? 0 : event.signo;
    file.queue.register(process, { file, process, signo, value: event.value });
  }
  return 0;
}

function getSetAttributes(task: Task, descriptor: number, next: number, old: number): number {
  const { memory } = task;
  const wanted = next === 0 ? null : attributes.load(memory, next).flags;
  if (wanted !== null && (wanted & ~Open.nonBlock) !== 0) throw new Errno('EINVAL');
  const file = queueFile(task, descriptor, null);
  const { queue } = file;
  const flags = file.flags & Open.nonBlock;
  if (wanted !== null) file.flags = (file.flags & ~Open.nonBlock) | wanted;
  if (old !== 0) {
    const { messages, bytes } = queue.shape;
    attributes.store(memory, old, { flags, maxmsg: messages, msgsize: bytes, curmsgs: queue.messages.length });
  }
  return 0;
}

const printAttributes = (memory: GuestMemory, at: number): string => {
  memory.require(at, attributes.bytes, Access.read);
  const { flags, maxmsg, msgsize, curmsgs } = attributes.load(memory, at);
  const shown = bits(flags, { O_NONBLOCK: Open.nonBlock });
  return `{mq_flags=${shown}, mq_maxmsg=${maxmsg}, mq_msgsize=${msgsize}, mq_curmsgs=${curmsgs}}`;
};

const priorityOut = structOut((memory, at) => `[${memory.load32(at)}]`);

const sendCall = (wide: boolean): Row =>
  row(
    {
      fd,
      buffer: bufferIn('length'),
      length: uint,
      priority: uint,
      timeout: wide ? wideTimespecIn : timespecIn,
    },
    (task, call) => timedSend(task, call, wide),
  );

const receiveCall = (wide: boolean): Row =>
  row(
    { fd, buffer: bufferOut, length: uint, priority: priorityOut, timeout: wide ? wideTimespecIn : timespecIn },
    (task, call) => timedReceive(task, call, wide),
  );

/** ipc/mqueue.c. */
export const mqueueCalls: Rows = {
  mq_open: row(
    { path, flags: openFlags, mode: createMode, attributes: structIn(printAttributes) },
    (task, { path: name, flags, mode, attributes: at }) => open(task, name, flags, mode, at),
  ),
  mq_unlink: row({ path }, (task, { path: name }) => {
    task.process.kernel.ipc.posixQueues.unlink(Buffer.from(name).toString('latin1'), task.credentials);
    return 0;
  }),
  mq_timedsend: sendCall(false),
  mq_timedsend_time64: sendCall(true),
  mq_timedreceive: receiveCall(false),
  mq_timedreceive_time64: receiveCall(true),
  mq_notify: partial(
    'SIGEV_THREAD',
    row({ fd, event: structIn(printSigEvent) }, (task, { fd: descriptor, event }) => notify(task, descriptor, event)),
  ),
  mq_getsetattr: row(
    { fd, next: structIn(printAttributes), old: structOut(printAttributes) },
    (task, { fd: descriptor, next, old }) => getSetAttributes(task, descriptor, next, old),
  ),
};
