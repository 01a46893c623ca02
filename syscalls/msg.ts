import { Access } from '#accel/guest-memory.ts';
import { IpcAccess } from '#linux-user/ipc/ipc-table.ts';
import { type Message, type MessageQueue, type MessageQueues, msgLimits } from '#linux-user/ipc/message-queues.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, flags, int } from './arguments.ts';
import { command, getFlags, IPC_64, key, MsgCommand, messageFlagNames } from './ipc-names.ts';
import { loadOwner, msginfoStruct, msqidStruct, permissionFields } from './ipc-structs.ts';
import { buffer } from './print.ts';
import { type Argument, type Rows, row } from './row.ts';

const queuesOf = (task: Task): MessageQueues => task.process.kernel.ipc.messages;

export function msgget(task: Task, wanted: number, how: number): number {
  return queuesOf(task).obtain(task, wanted, how);
}

/** struct msgbuf: the type, a long, and the text. */
export function msgsnd(task: Task, id: number, at: number, size: number, how: number): SyscallResult {
  const { memory } = task;
  if (size < 0 || size > msgLimits.message || id < 0) throw new Errno('EINVAL');
  const type = memory.load32(at) | 0;
  if (type < 1) throw new Errno('EINVAL');
  return queuesOf(task).send(task, id, { type, text: memory.copy(at + 4, size) }, how);
}

export function msgrcv(task: Task, id: number, at: number, size: number, type: number, how: number): SyscallResult {
  const store = (message: Message): number => {
    const { memory } = task;
    memory.require(at, 4 + message.text.length, Access.write);
    memory.store32(at, message.type);
    memory.write(at + 4, message.text);
    return message.text.length;
  };
  const found = queuesOf(task).receive(task, id, { type, size, flags: how });
  return found instanceof Promise ? found.then(store) : store(found);
}

function storeQueue(task: Task, queue: MessageQueue, at: number): void {
  msqidStruct.store(task.memory, at, {
    ...permissionFields(queue),
    stime: queue.sent,
    rtime: queue.received,
    ctime: queue.changed,
    cbytes: queue.bytes,
    qnum: queue.messages.length,
    qbytes: queue.limit,
    lspid: queue.lspid,
    lrpid: queue.lrpid,
  });
}

/** IPC_INFO and MSG_INFO differ in three fields: limits, or what is in use. */
function storeInfo(task: Task, at: number, used: boolean): number {
  const { table } = queuesOf(task);
  const { queues, message, queue: limit } = msgLimits;
  const found = [...table];
  const sum = (of: (queue: MessageQueue) => number): number => found.reduce((total, queue) => total + of(queue), 0);
  msginfoStruct.store(task.memory, at, {
    msgpool: used ? table.count : Math.floor((queues * limit) / 1024),
    msgmap: used ? sum(({ messages }) => messages.length) : limit,
    msgmax: message,
    msgmnb: limit,
    msgmni: queues,
    msgssz: 16,
    msgtql: used ? sum(({ bytes }) => bytes) : limit,
    msgseg: 0xffff,
  });
  return table.highestIndex;
}

/** Offset of msg_qbytes in struct msqid64_ds. */
const qbytesAt = 68;

export function msgctl(task: Task, id: number, how: number, at: number): number {
  const queues = queuesOf(task);
  const { memory } = task;
  const { credentials } = task;
  const what = how & ~IPC_64;
  if (id < 0 || what < 0) throw new Errno('EINVAL');
  switch (what) {
    case MsgCommand.IPC_INFO:
    case MsgCommand.MSG_INFO:
      return storeInfo(task, at, what === MsgCommand.MSG_INFO);
    case MsgCommand.IPC_STAT: {
      const queue = queues.table.get(id);
      queue.check(credentials, IpcAccess.read);
      storeQueue(task, queue, at);
      return 0;
    }
    case MsgCommand.MSG_STAT:
    case MsgCommand.MSG_STAT_ANY: {
      const queue = queues.table.at(id);
      if (what === MsgCommand.MSG_STAT) queue.check(credentials, IpcAccess.read);
      storeQueue(task, queue, at);
      return queue.id;
    }
    case MsgCommand.IPC_SET: {
      const { uid, gid, mode } = loadOwner(memory, at);
      const limit = memory.load32(at + qbytesAt);
      const queue = queues.table.get(id);
      queue.checkOwner(credentials);
      if (limit > msgLimits.queue && credentials.euid !== 0) throw new Errno('EPERM');
      queue.setOwner(uid, gid, mode);
      queue.limit = limit;
      queue.room.wake();
      return 0;
    }
    case MsgCommand.IPC_RMID: {
      const queue = queues.table.get(id);
      queue.checkOwner(credentials);
      queues.remove(queue);
      return 0;
    }
    default:
      throw new Errno('EINVAL');
  }
}

/** `{mtype=1, mtext="…"}` */
const message = (out: boolean): Argument<number> => ({
  ...address,
  out,
  print(raw, call) {
    const { task, result, raw: all } = call;
    const length = out ? (result ?? -1) : all.size;
    if (length < 0) return address.print(raw, call);
    try {
      return `{mtype=${task.memory.load32(raw) | 0}, mtext=${buffer(task.memory, raw + 4, length)}}`;
    } catch {
      return address.print(raw, call);
    }
  },
});

/** ipc/msg.c. */
export const msgCalls: Rows = {
  msgget: row({ key, flags: getFlags }, (task, { key: wanted, flags: how }) => msgget(task, wanted, how)),
  msgsnd: row(
    { id: int, message: message(false), size: int, flags: flags(messageFlagNames) },
    (task, { id, message: at, size, flags: how }) => msgsnd(task, id, at, size, how),
  ),
  msgrcv: row(
    { id: int, message: message(true), size: int, type: int, flags: flags(messageFlagNames) },
    (task, { id, message: at, size, type, flags: how }) => msgrcv(task, id, at, size, type, how),
  ),
  msgctl: row({ id: int, command: command(MsgCommand), buffer: address }, (task, { id, command: how, buffer: at }) =>
    msgctl(task, id, how, at),
  ),
};
