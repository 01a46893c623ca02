import type { GuestMemory } from '#accel/guest-memory.ts';
import { Level, Message } from '#linux-user/net/numbers.ts';
import { bufferIn, fd, flags, type StructPrinter, structIn, structOut, uint } from './arguments.ts';
import { loadVectors } from './io.ts';
import { bits, braces, buffer, hex, named } from './print.ts';
import { type Argument, partial, type Rows, row } from './row.ts';
import { addressIn, addressOut, lengthOut, printAddress } from './socket-address.ts';
import { alignControl, ControlType, controlHeader } from './socket-control.ts';
import { mmsghdrBytes, msghdr, recvfrom, recvmmsg, recvmsg, sendmmsg, sendmsg, sendto } from './socket-message.ts';
import { timespecIn, wideTimespecIn } from './time-values.ts';

// ---- strace

const shownVectors = 16;
const shownMessages = 8;

function printControl(memory: GuestMemory, at: number, length: number): string {
  const shown: string[] = [];
  for (let offset = 0; offset + controlHeader.bytes <= length; ) {
    const { length: size, level, type } = controlHeader.load(memory, at + offset);
    if (size < controlHeader.bytes || offset + size > length) break;
    const data = at + offset + controlHeader.bytes;
    const words = Array.from({ length: (size - controlHeader.bytes) >> 2 }, (_, i) => memory.load32(data + 4 * i) | 0);
    const cmsg_type = level === Level.SOL_SOCKET ? named(type, ControlType) : String(type);
    const cmsg_data =
      cmsg_type === 'SCM_CREDENTIALS'
        ? braces({ pid: words[0], uid: words[1], gid: words[2] })
        : `[${words.join(', ')}]`;
    shown.push(braces({ cmsg_len: size, cmsg_level: named(level, Level), cmsg_type, cmsg_data }));
    offset += alignControl(size);
  }
  return `[${shown.join(', ')}]`;
}

/** A msghdr; `filled`: bytes that mean something, -1 for all. */
function printMessage(memory: GuestMemory, at: number, filled: number): string {
  const { name, nameLength, vectors, count, control, controlLength, flags: how } = msghdr.load(memory, at);
  let left = filled < 0 ? Infinity : filled;
  const parts = loadVectors(memory, vectors, Math.min(count, shownVectors)).map(({ base, length }) => {
    const shown = Math.min(left, length);
    left -= shown;
    return `{iov_base=${buffer(memory, base, shown)}, iov_len=${length}}`;
  });
  return braces({
    msg_name: printAddress(memory, name, nameLength),
    msg_namelen: nameLength,
    msg_iov: `[${parts.join(', ')}]`,
    msg_iovlen: count,
    ...(controlLength > 0 && control !== 0 && { msg_control: printControl(memory, control, controlLength) }),
    msg_controllen: controlLength,
    msg_flags: bits(how, Message),
  });
}

const messageIn = structIn((memory, at) => printMessage(memory, at, -1));
const messageOut = structOut((memory, at, { result = 0 }) => printMessage(memory, at, result));

const messages =
  (counted: (call: Parameters<StructPrinter>[2]) => number): StructPrinter =>
  (memory, at, call) => {
    const shown = Array.from({ length: Math.min(counted(call), shownMessages) }, (_, i) => {
      const length = memory.load32(at + mmsghdrBytes * i + msghdr.bytes);
      return braces({ msg_hdr: printMessage(memory, at + mmsghdrBytes * i, -1), msg_len: length });
    });
    return `[${shown.join(', ')}]`;
  };
const messagesIn = structIn(messages(({ raw }) => raw.count));
const messagesOut = structOut(messages(({ result = 0 }) => result));

const messageFlags = flags(Message);
/** MSG_TRUNC makes a result that is longer than what has been stored. */
const received: Argument<number> = {
  ...bufferIn('count'),
  out: true,
  print: (raw, { task, raw: { count }, result = -1 }) =>
    result < 0 ? hex(raw) : buffer(task.memory, raw, Math.min(result, count)),
};

const urgent = 'urgent data (EOPNOTSUPP)';
const control = 'control data: SCM_RIGHTS and SCM_CREDENTIALS';

/** net/socket.c: sending and receiving. */
export const socketMessageCalls: Rows = {
  send: partial(
    urgent,
    row({ fd, buffer: bufferIn('count'), count: uint, flags: messageFlags }, (task, args) =>
      sendto(task, args.fd, args.buffer, args.count, args.flags, 0, 0),
    ),
  ),
  sendto: partial(
    urgent,
    row(
      { fd, buffer: bufferIn('count'), count: uint, flags: messageFlags, to: addressIn, length: uint },
      (task, args) => sendto(task, args.fd, args.buffer, args.count, args.flags, args.to, args.length),
    ),
  ),
  sendmsg: partial(
    `${control}; ${urgent}`,
    row({ fd, message: messageIn, flags: messageFlags }, (task, args) =>
      sendmsg(task, args.fd, args.message, args.flags),
    ),
  ),
  sendmmsg: partial(
    `${control}; ${urgent}`,
    row({ fd, messages: messagesIn, count: uint, flags: messageFlags }, (task, args) =>
      sendmmsg(task, args.fd, args.messages, args.count, args.flags),
    ),
  ),
  recv: row({ fd, buffer: received, count: uint, flags: messageFlags }, (task, args) =>
    recvfrom(task, args.fd, args.buffer, args.count, args.flags, 0, 0),
  ),
  recvfrom: row(
    { fd, buffer: received, count: uint, flags: messageFlags, address: addressOut, length: lengthOut },
    (task, args) => recvfrom(task, args.fd, args.buffer, args.count, args.flags, args.address, args.length),
  ),
  recvmsg: partial(
    control,
    row({ fd, message: messageOut, flags: messageFlags }, (task, args) =>
      recvmsg(task, args.fd, args.message, args.flags),
    ),
  ),
  recvmmsg: partial(
    control,
    row({ fd, messages: messagesOut, count: uint, flags: messageFlags, timeout: timespecIn }, (task, args) =>
      recvmmsg(task, args.fd, args.messages, args.count, args.flags, args.timeout, false),
    ),
  ),
  recvmmsg_time64: partial(
    control,
    row({ fd, messages: messagesOut, count: uint, flags: messageFlags, timeout: wideTimespecIn }, (task, args) =>
      recvmmsg(task, args.fd, args.messages, args.count, args.flags, args.timeout, true),
    ),
  ),
};
