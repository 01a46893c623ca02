import { Access } from '#accel/guest-memory.ts';
import { monotonic } from '#linux-user/clock.ts';
import type { Incoming, Outgoing, Received } from '#linux-user/net/connection.ts';
import { Family, Message } from '#linux-user/net/numbers.ts';
import type { Socket } from '#linux-user/net/socket.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { wouldBlock } from '#linux-user/vfs/open-file.ts';
import { Errno, errnoNumbers, errnoOf } from '#util/errno.ts';
import { type Patience, raiseSigpipe, requireStill, sleepUntilReady, untilReady } from './io.ts';

const nonBlocking = (socket: Socket, flags: number): boolean =>
  socket.nonBlocking || (flags & Message.MSG_DONTWAIT) !== 0;

/** Sends a message: all of it, unless the socket may not wait. EPIPE of a stream comes with SIGPIPE. */
export function sendOn(task: Task, socket: Socket, message: Outgoing, flags: number): SyscallResult {
  if ((flags & Message.MSG_OOB) !== 0) throw new Errno('EOPNOTSUPP');
  try {
    const sent = socket.streaming
      ? sendStream(task, socket, message, flags)
      : sendDatagram(task, socket, message, flags);
    if (typeof sent === 'number') return sent;
    return sent.catch((error: unknown) => broken(task, socket, error, flags));
  } catch (error) {
    return broken(task, socket, error, flags);
  }
}

function broken(task: Task, socket: Socket, error: unknown, flags: number): never {
  if (socket.streaming && (flags & Message.MSG_NOSIGNAL) === 0) raiseSigpipe(task, error);
  throw error;
}

function sendDatagram(task: Task, socket: Socket, message: Outgoing, flags: number): SyscallResult {
  const patience: Patience = { nonBlocking: nonBlocking(socket, flags), timeout: socket.writeTimeout };
  const trySend = (): number | Promise<number> => {
    requireStill(task, message.bytes, message.start, message.length, Access.read);
    return socket.send(message);
  };
  const sent = untilReady(task, socket, trySend, patience);
  return sent instanceof Promise ? sent.then((done) => done) : sent;
}

function sendStream(task: Task, socket: Socket, message: Outgoing, flags: number): SyscallResult {
  const { length } = message;
  const due = monotonic() + socket.writeTimeout;
  const waits = !nonBlocking(socket, flags);
  let done = 0;
  const step = (): SyscallResult => {
    do {
      const rest = { ...message, start: message.start + done, length: length - done };
      const trySend = (): number => {
        requireStill(task, rest.bytes, rest.start, rest.length, Access.read);
        return socket.send(done === 0 ? rest : { ...rest, rights: [] }) as number;
      };
      const count = attempt(trySend, done);
      if (count === null) return done;
      if (count !== wouldBlock) done += count;
      else if (waits) return sleepUntilReady(task, socket, due).then(step, (error: unknown) => partly(done, error));
      else return partly(done, new Errno('EAGAIN'));
    } while (done < length);
    return done;
  };
  return step();
}

/** An error after the first bytes is for the next call: the bytes count now. */
function partly(done: number, error: unknown): number {
  if (done === 0) throw error;
  return done;
}

function attempt(send: () => number, done: number): number | null {
  try {
    return send();
  } catch (error) {
    if (done === 0) throw error;
    return null;
  }
}

/** Receives: what is there, or with MSG_WAITALL all that is asked for. */
export function receiveOn(task: Task, socket: Socket, into: Incoming, flags: number): Received | Promise<Received> {
  if ((flags & Message.MSG_ERRQUEUE) !== 0) throw new Errno('EAGAIN');
  if ((flags & Message.MSG_OOB) !== 0 && socket.kind.domain === Family.AF_UNIX) throw new Errno('EOPNOTSUPP');
  if ((flags & Message.MSG_OOB) !== 0 && socket.streaming) throw new Errno('EINVAL');
  const patience: Patience = { nonBlocking: nonBlocking(socket, flags), timeout: socket.readTimeout };
  const tryReceive = (): Received | null => {
    requireStill(task, into.bytes, into.start, into.length, Access.write);
    return socket.receive(into);
  };
  const first = untilReady(task, socket, tryReceive, patience);
  const all = (flags & Message.MSG_WAITALL) !== 0 && (flags & Message.MSG_PEEK) === 0 && !patience.nonBlocking;
  if (!all || !socket.streaming) return first;
  if (first instanceof Promise) return first.then((received) => receiveRest(task, socket, into, received));
  return first.count === into.length || first.count === 0 ? first : receiveRest(task, socket, into, first);
}

/** For a buffer that cannot be written: EFAULT, but only when there is something to put there, which stays. */
export function receiveNowhere(task: Task, socket: Socket, flags: number): SyscallResult {
  const fail = (received: Received): number => {
    for (const file of received.rights) file.release();
    if (received.whole > 0) throw new Errno('EFAULT');
    return 0;
  };
  const into: Incoming = { bytes: new Uint8Array(1), start: 0, length: 1, peek: true };
  const received = receiveOn(task, socket, into, flags & ~Message.MSG_WAITALL);
  return received instanceof Promise ? received.then(fail) : fail(received);
}

async function receiveRest(task: Task, socket: Socket, into: Incoming, first: Received): Promise<Received> {
  const due = monotonic() + socket.readTimeout;
  let { count } = first;
  try {
    while (count > 0 && count < into.length && first.rights.length === 0) {
      requireStill(task, into.bytes, into.start, into.length, Access.write);
      const more = socket.receive({ ...into, start: into.start + count, length: into.length - count });
      if (more === null) await sleepUntilReady(task, socket, due);
      else if (more.count === 0) break;
      else count += more.count;
    }
  } catch (error) {
    // The bytes count; an error of the connection is for the next call.
    const number = errnoOf(error);
    if (number === undefined) throw error;
    if (number === errnoNumbers.ECONNRESET) socket.pendingError = 'ECONNRESET';
  }
  return { ...first, count, whole: count };
}
