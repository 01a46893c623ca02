import { Access } from '#accel/guest-memory.ts';
import { monotonic } from '#linux-user/clock.ts';
import { encodeAddress, longestAddress, type SocketAddress } from '#linux-user/net/address.ts';
import type { Received } from '#linux-user/net/connection.ts';
import { Message } from '#linux-user/net/numbers.ts';
import type { Socket } from '#linux-user/net/socket.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { guestStruct } from './guest-struct.ts';
import { gather, loadVectors, maxTransfer, scatter, scatterBuffer } from './io.ts';
import { loadAddress, socketOf, storeAddressBytes, storeSized } from './socket-address.ts';
import { loadControl, maxControl, noControl, storeControl } from './socket-control.ts';
import { receiveNowhere, receiveOn, sendOn } from './socket-io.ts';
import { loadDuration } from './time-values.ts';

/** struct msghdr. */
export const msghdr = guestStruct({
  name: 'u32',
  nameLength: 'i32',
  vectors: 'u32',
  count: 'u32',
  control: 'u32',
  controlLength: 'u32',
  flags: 'u32',
});
/** struct mmsghdr: a msghdr and what was done. */
export const mmsghdrBytes = msghdr.bytes + 4;

const maxVectors = 1024;
/** Most messages of one sendmmsg and recvmmsg (UIO_MAXIOV). */
const maxMessages = 1024;
/** Most bytes that a call with vectors copies at once: far above any message and any buffer of a stream. */
const gatherBytes = 1 << 20;

// ---- sending

/** send and sendto: the bytes go straight from guest memory. */
export function sendto(
  task: Task,
  fd: number,
  at: number,
  count: number,
  flags: number,
  name: number,
  nameLength: number,
): SyscallResult {
  const { memory } = task;
  const length = Math.min(count, maxTransfer);
  const socket = socketOf(task, fd);
  const to = name === 0 ? null : loadAddress(memory, name, nameLength);
  memory.require(at, length, Access.read);
  return sendOn(task, socket, { bytes: memory.u8, start: at, length, to, ...noControl(task) }, flags);
}

function sendmsgOn(task: Task, socket: Socket, at: number, flags: number): SyscallResult {
  const { memory } = task;
  const header = msghdr.load(memory, at);
  if (header.nameLength < 0) throw new Errno('EINVAL');
  if (header.count > maxVectors) throw new Errno('EMSGSIZE');
  if (header.controlLength > maxControl) throw new Errno('ENOBUFS');
  const named = header.name !== 0 && header.nameLength > 0;
  const to = named ? loadAddress(memory, header.name, Math.min(header.nameLength, longestAddress)) : null;
  const vectors = loadVectors(memory, header.vectors, header.count);
  const hasControl = header.control !== 0 && header.controlLength > 0;
  const control = hasControl ? loadControl(task, socket, header.control, header.controlLength) : noControl(task);
  const total = vectors.reduce((sum, { length }) => sum + length, 0);
  if (total > gatherBytes && !socket.streaming) throw new Errno('EMSGSIZE');
  const bytes = gather(memory, vectors, gatherBytes);
  if (!socket.streaming && bytes.length < total) throw new Errno('EFAULT');
  return sendOn(task, socket, { bytes, start: 0, length: bytes.length, to, ...control }, flags);
}

export function sendmsg(task: Task, fd: number, at: number, flags: number): SyscallResult {
  return sendmsgOn(task, socketOf(task, fd), at, flags);
}

/**
 * Sends or receives one message after the other, as `transfer` does with the one at its address (`done`: how many came
 * before), and stores the length of each. An error after the first is for the next call.
 */
function messageByMessage(
  task: Task,
  at: number,
  goesOn: (done: number) => boolean,
  transfer: (message: number, done: number) => SyscallResult,
): SyscallResult {
  let done = 0;
  const store = (length: number): void => {
    task.memory.store32(at + mmsghdrBytes * done + msghdr.bytes, length);
    done++;
  };
  const next = (): SyscallResult => {
    try {
      while (goesOn(done)) {
        const length = transfer(at + mmsghdrBytes * done, done);
        if (typeof length !== 'number') return length.then((value) => (store(value), next())).catch(failed);
        store(length);
      }
      return done;
    } catch (error) {
      return failed(error);
    }
  };
  const failed = (error: unknown): number => {
    if (done === 0) throw error;
    return done;
  };
  return next();
}

export function sendmmsg(task: Task, fd: number, at: number, count: number, flags: number): SyscallResult {
  const socket = socketOf(task, fd);
  const most = Math.min(count, maxMessages);
  return messageByMessage(
    task,
    at,
    (done) => done < most,
    (message) => sendmsgOn(task, socket, message, flags),
  );
}

// ---- receiving

/** The result of a receive: MSG_TRUNC asks for the length that the message had. */
const lengthOf = (received: Received, flags: number): number =>
  (flags & Message.MSG_TRUNC) !== 0 ? received.whole : received.count;

const letGo = ({ rights }: Received): void => {
  for (const file of rights) file.release();
};

/** recv and recvfrom: the bytes go straight to guest memory. */
export function recvfrom(
  task: Task,
  fd: number,
  at: number,
  count: number,
  flags: number,
  name: number,
  nameLength: number,
): SyscallResult {
  const { memory } = task;
  const socket = socketOf(task, fd);
  const length = Math.min(count, maxTransfer);
  if (memory.refused(at, length, Access.write) >= 0) return receiveNowhere(task, socket, flags);
  const peek = (flags & Message.MSG_PEEK) !== 0;
  const finish = (received: Received): number => {
    letGo(received);
    if (name !== 0) storeSized(memory, name, nameLength, nameBytes(received.from));
    return lengthOf(received, flags);
  };
  const received = receiveOn(task, socket, { bytes: memory.u8, start: at, length, peek }, flags);
  return received instanceof Promise ? received.then(finish) : finish(received);
}

const nameBytes = (from: SocketAddress | null): Uint8Array =>
  from === null || (from.family === 'unix' && from.path.length === 0) ? new Uint8Array(0) : encodeAddress(from);

function recvmsgOn(task: Task, socket: Socket, at: number, flags: number): SyscallResult {
  const { memory } = task;
  const header = msghdr.load(memory, at);
  if (header.nameLength < 0) throw new Errno('EINVAL');
  if (header.count > maxVectors) throw new Errno('EMSGSIZE');
  const vectors = loadVectors(memory, header.vectors, header.count);
  if (vectors.some(({ base, length }) => memory.refused(base, length, Access.write) >= 0)) {
    return receiveNowhere(task, socket, flags);
  }
  const bytes = scatterBuffer(memory, vectors, gatherBytes);
  const peek = (flags & Message.MSG_PEEK) !== 0;
  const finish = (received: Received): number => {
    scatter(memory, vectors, bytes.subarray(0, received.count));
    const truncated = received.record && received.whole > received.count ? Message.MSG_TRUNC : 0;
    const closeOnExec = (flags & Message.MSG_CMSG_CLOEXEC) !== 0;
    const room = header.control === 0 ? 0 : header.controlLength;
    const control = storeControl(task, socket, received, header.control, room, closeOnExec);
    const nameLength = header.name === 0 ? 0 : storeAddressBytes(memory, header.name, header.nameLength, received.from);
    if (header.name !== 0) memory.store32(at + 4, nameLength);
    memory.store32(at + 20, control.length);
    memory.store32(at + 24, truncated | control.flags | (flags & Message.MSG_CMSG_CLOEXEC));
    return lengthOf(received, flags);
  };
  const received = receiveOn(task, socket, { bytes, start: 0, length: bytes.length, peek }, flags);
  return received instanceof Promise ? received.then(finish) : finish(received);
}

export function recvmsg(task: Task, fd: number, at: number, flags: number): SyscallResult {
  return recvmsgOn(task, socketOf(task, fd), at, flags);
}

/**
 * Receives message after message until there are `count`, or (MSG_WAITFORONE) no more is there after the first. The
 * timeout is looked at after each message only, as Linux does.
 */
export function recvmmsg(
  task: Task,
  fd: number,
  at: number,
  count: number,
  flags: number,
  time: number,
  wide: boolean,
): SyscallResult {
  const due = time === 0 ? Infinity : monotonic() + loadDuration(task.memory, time, wide);
  const socket = socketOf(task, fd);
  const most = Math.min(count, maxMessages);
  return messageByMessage(
    task,
    at,
    (done) => done < most && (done === 0 || monotonic() < due),
    (message, done) => {
      const atOnce = done > 0 && (flags & Message.MSG_WAITFORONE) !== 0;
      const how = (flags & ~Message.MSG_WAITFORONE) | (atOnce ? Message.MSG_DONTWAIT : 0);
      return recvmsgOn(task, socket, message, how);
    },
  );
}
