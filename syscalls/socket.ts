import { Access } from '#accel/guest-memory.ts';
import { monotonic } from '#linux-user/clock.ts';
import { createSocket, createSocketPair } from '#linux-user/net/create-socket.ts';
import { Family, Protocol, Shutdown, SocketType, SocketTypeFlag, socketTypeMask } from '#linux-user/net/numbers.ts';
import type { Socket } from '#linux-user/net/socket.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { Errno } from '#util/errno.ts';
import { fd, int, oneOf, structOut, uint } from './arguments.ts';
import { sleepUntilReady, untilReady } from './io.ts';
import { bits, named } from './print.ts';
import { type Argument, partial, type Rows, row } from './row.ts';
import { addressIn, addressOut, lengthOut, loadAddress, socketOf, storeAddress } from './socket-address.ts';

const { SOCK_CLOEXEC, SOCK_NONBLOCK } = SocketTypeFlag;

/** The flags of a new socket; EINVAL for bits that no type has. */
function socketFlags(type: number): { readonly flags: number; readonly closeOnExec: boolean } {
  if ((type & ~(socketTypeMask | SOCK_CLOEXEC | SOCK_NONBLOCK)) !== 0) throw new Errno('EINVAL');
  return { flags: type & SOCK_NONBLOCK ? Open.nonBlock : 0, closeOnExec: (type & SOCK_CLOEXEC) !== 0 };
}

/** Gives a new socket a descriptor; closes it if there is none. */
function install(task: Task, socket: Socket, closeOnExec: boolean): number {
  socket.retain();
  try {
    return task.files.add(socket, closeOnExec);
  } finally {
    socket.release();
  }
}

function socket(task: Task, domain: number, type: number, protocol: number): number {
  const { flags, closeOnExec } = socketFlags(type);
  return install(task, createSocket(task.process, domain, type & socketTypeMask, protocol, flags), closeOnExec);
}

function socketpair(task: Task, domain: number, type: number, protocol: number, at: number): number {
  const { flags, closeOnExec } = socketFlags(type);
  task.memory.require(at, 8, Access.write);
  const { files } = task;
  const [one, other] = createSocketPair(task.process, domain, type & socketTypeMask, protocol, flags);
  other.retain();
  try {
    const first = install(task, one, closeOnExec);
    try {
      task.memory.store32(at + 4, files.add(other, closeOnExec));
    } catch (error) {
      files.close(first);
      throw error;
    }
    task.memory.store32(at, first);
    return 0;
  } finally {
    other.release();
  }
}

/** Serves a call that the host may have to be waited for, briefly: no signal ends that. */
const finished = (done: void | Promise<void>): SyscallResult => (done === undefined ? 0 : done.then(() => 0));

function accept(task: Task, which: number, at: number, lengthAt: number, how: number): SyscallResult {
  const listening = socketOf(task, which);
  const { flags, closeOnExec } = socketFlags(how);
  if ((how & socketTypeMask) !== 0) throw new Errno('EINVAL');
  const enter = (accepted: Socket): number => {
    accepted.retain();
    try {
      if (at !== 0) storeAddress(task.memory, at, lengthAt, accepted.peerAddress());
      return task.files.add(accepted, closeOnExec);
    } finally {
      accepted.release();
    }
  };
  const accepted = untilReady(task, listening, () => listening.accept(flags));
  return accepted instanceof Promise ? accepted.then(enter) : enter(accepted);
}

function connect(task: Task, which: number, at: number, length: number): SyscallResult {
  const from = socketOf(task, which);
  const done = from.connect(task.process, loadAddress(task.memory, at, length));
  return done ? 0 : connected(task, from);
}

async function connected(task: Task, from: Socket): Promise<number> {
  const due = monotonic() + from.writeTimeout;
  while (from.connecting) {
    try {
      await sleepUntilReady(task, from, due);
    } catch (error) {
      // The connection goes on being made.
      throw (error as Errno).code === 'EAGAIN' ? new Errno('EINPROGRESS') : error;
    }
  }
  from.claim();
  return 0;
}

function shutdown(task: Task, which: number, how: number): number {
  const file = socketOf(task, which);
  if (how < Shutdown.SHUT_RD || how > Shutdown.SHUT_RDWR) throw new Errno('EINVAL');
  file.shutdown(how !== Shutdown.SHUT_WR, how !== Shutdown.SHUT_RD);
  return 0;
}

// ---- strace

const typeName: Argument<number> = {
  ...int,
  print(raw) {
    const flags = raw & ~socketTypeMask;
    const type = named(raw & socketTypeMask, SocketType);
    return flags === 0 ? type : `${type}|${bits(flags, SocketTypeFlag)}`;
  },
};
const protocolName: Argument<number> = {
  ...int,
  print: (raw, { raw: { domain } }) =>
    domain === Family.AF_INET || domain === Family.AF_INET6 ? named(raw, Protocol) : String(raw),
};
const acceptFlags: Argument<number> = { ...int, print: (raw) => bits(raw, SocketTypeFlag) };
const pair = structOut((memory, at) => `[${memory.load32(at)}, ${memory.load32(at + 4)}]`);

/** net/socket.c: sockets, their names and connections. */
export const socketCalls: Rows = {
  socket: partial(
    'AF_UNIX, AF_INET and AF_INET6 (TCP, UDP), AF_NETLINK (NETLINK_ROUTE); raw sockets: EPERM',
    row({ domain: oneOf(Family), type: typeName, protocol: protocolName }, (task, { domain, type, protocol }) =>
      socket(task, domain, type, protocol),
    ),
  ),
  socketpair: row(
    { domain: oneOf(Family), type: typeName, protocol: protocolName, sockets: pair },
    (task, { domain, type, protocol, sockets }) => socketpair(task, domain, type, protocol, sockets),
  ),
  bind: row({ fd, address: addressIn, length: uint }, (task, { fd: which, address, length }) => {
    const file = socketOf(task, which);
    file.bind(task.process, loadAddress(task.memory, address, length));
    return 0;
  }),
  listen: row({ fd, backlog: int }, (task, { fd: which, backlog }) =>
    finished(socketOf(task, which).listen(task.process, backlog)),
  ),
  accept: row({ fd, address: addressOut, length: lengthOut }, (task, { fd: which, address, length }) =>
    accept(task, which, address, length, 0),
  ),
  accept4: row(
    { fd, address: addressOut, length: lengthOut, flags: acceptFlags },
    (task, { fd: which, address, length, flags }) => accept(task, which, address, length, flags),
  ),
  connect: partial(
    'to datagram and record sockets of host programs (ECONNREFUSED)',
    row({ fd, address: addressIn, length: uint }, (task, { fd: which, address, length }) =>
      connect(task, which, address, length),
    ),
  ),
  getsockname: row({ fd, address: addressOut, length: lengthOut }, (task, { fd: which, address, length }) => {
    storeAddress(task.memory, address, length, socketOf(task, which).localAddress());
    return 0;
  }),
  getpeername: row({ fd, address: addressOut, length: lengthOut }, (task, { fd: which, address, length }) => {
    storeAddress(task.memory, address, length, socketOf(task, which).peerAddress());
    return 0;
  }),
  shutdown: row({ fd, how: oneOf(Shutdown) }, (task, { fd: which, how }) => shutdown(task, which, how)),
};
