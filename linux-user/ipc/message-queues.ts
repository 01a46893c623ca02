import { Errno, type ErrnoName } from '#util/errno.ts';
import type { Task } from '../task.ts';
import { WaitQueue } from '../wait-queue.ts';
import { Ipc, IpcAccess, IpcObject, IpcTable, now } from './ipc-table.ts';

/** MSGMNI, MSGMAX, MSGMNB: queues, bytes of a message, bytes of a queue. */
export const msgLimits = { queues: 32000, message: 8192, queue: 16384 } as const;

/** msgflg of msgrcv (include/uapi/linux/msg.h). */
export const MsgFlag = { NOERROR: 0o10000, EXCEPT: 0o20000, COPY: 0o40000 } as const;

/** A message that waits, or that a receiver gets. */
export interface Message {
  readonly type: number;
  readonly text: Uint8Array;
}

/** Which message msgrcv wants, and how much of it. */
export interface MessageWish {
  readonly type: number;
  readonly size: number;
  readonly flags: number;
}

/** A task that sleeps in msgrcv. */
interface Receiver {
  readonly wish: MessageWish;
  readonly pid: number;
  readonly take: (message: Message) => void;
  readonly fail: (error: ErrnoName) => void;
}

/** A message queue (struct msqid_ds). */
export class MessageQueue extends IpcObject {
  readonly messages: Message[] = [];
  /** Bytes in the queue, and the most it takes. */
  bytes = 0;
  limit: number = msgLimits.queue;
  sent = 0;
  received = 0;
  lspid = 0;
  lrpid = 0;
  removed = false;
  readonly receivers = new Set<Receiver>();
  /** Woken when there is room, and at the end of the queue. */
  readonly room = new WaitQueue();
}

/** System V message queues (msgget(2), msgop(2), msgctl(2)). */
export class MessageQueues {
  readonly table = new IpcTable<MessageQueue>(msgLimits.queues);

  /** msgget(2): the id. */
  obtain({ credentials }: Task, key: number, flags: number): number {
    const make = (): MessageQueue => new MessageQueue(key, flags, credentials);
    return this.table.obtain({ key, flags, credentials, make, unsuitable: () => null });
  }

  /** msgsnd(2). */
  send(task: Task, id: number, message: Message, flags: number): 0 | Promise<0> {
    if (message.type < 1 || message.text.length > msgLimits.message) throw new Errno('EINVAL');
    const { credentials } = task;
    const { pid } = task.process;
    const queue = this.table.get(id);
    const check = (): void => queue.check(credentials, IpcAccess.write);
    check();
    if (put(queue, message, pid)) return 0;
    if ((flags & Ipc.NOWAIT) !== 0) throw new Errno('EAGAIN');
    return sendLater(task, queue, message, check);
  }

  /** msgrcv(2). */
  receive(task: Task, id: number, wish: MessageWish): Message | Promise<Message> {
    if (id < 0 || wish.size < 0) throw new Errno('EINVAL');
    const { credentials } = task;
    const { pid } = task.process;
    const nowait = (wish.flags & Ipc.NOWAIT) !== 0;
    const copy = (wish.flags & MsgFlag.COPY) !== 0;
    if (copy && (!nowait || (wish.flags & MsgFlag.EXCEPT) !== 0)) throw new Errno('EINVAL');
    const queue = this.table.get(id);
    queue.check(credentials, IpcAccess.read);
    const index = copy ? wish.type : wanted(queue.messages, wish);
    const found = queue.messages[index];
    if (found !== undefined) {
      if (found.text.length > wish.size && (wish.flags & MsgFlag.NOERROR) === 0) throw new Errno('E2BIG');
      if (!copy) takeOut(queue, index, pid);
      return cut(found, wish);
    }
    if (nowait) throw new Errno('ENOMSG');
    return task.sleep<Message>((take, fail) => {
      const receiver: Receiver = { wish, pid, take, fail: (error) => fail(new Errno(error)) };
      queue.receivers.add(receiver);
      return () => queue.receivers.delete(receiver);
    }, 'ERESTARTNOHAND');
  }

  /** IPC_RMID: those that wait are told EIDRM. */
  remove(queue: MessageQueue): void {
    this.table.remove(queue);
    queue.removed = true;
    for (const receiver of [...queue.receivers]) receiver.fail('EIDRM');
    queue.room.wake();
  }
}

/** Index of the message that is asked for, or -1. A negative type wants the lowest there is up to its absolute value. */
function wanted(messages: readonly Message[], wish: MessageWish): number {
  const first = messages.findIndex((message) => suits(message, wish));
  if (wish.type >= 0) return first;
  return messages.reduce(
    (best, message, index) => (best >= 0 && message.type < messages[best].type ? index : best),
    first,
  );
}

function suits(message: Message, { type, flags }: MessageWish): boolean {
  if (type === 0) return true;
  if (type < 0) return message.type <= -type;
  return (message.type === type) !== ((flags & MsgFlag.EXCEPT) !== 0);
}

const cut = ({ type, text }: Message, { size }: MessageWish): Message => ({ type, text: text.subarray(0, size) });

function takeOut(queue: MessageQueue, index: number, pid: number): void {
  const [message] = queue.messages.splice(index, 1);
  queue.bytes -= message.text.length;
  queue.received = now();
  queue.lrpid = pid;
  queue.room.wake();
}

/** Gives the message to the first receiver that wants it, or puts it into the queue if there is room. */
function put(queue: MessageQueue, message: Message, pid: number): boolean {
  const { text } = message;
  if (text.length + queue.bytes > queue.limit || queue.messages.length + 1 > queue.limit) return false;
  queue.lspid = pid;
  queue.sent = now();
  for (const receiver of [...queue.receivers]) {
    const { wish } = receiver;
    if (!suits(message, wish)) continue;
    if (text.length > wish.size && (wish.flags & MsgFlag.NOERROR) === 0) {
      receiver.fail('E2BIG');
      continue;
    }
    queue.lrpid = receiver.pid;
    queue.received = now();
    receiver.take(cut(message, wish));
    return true;
  }
  queue.messages.push(message);
  queue.bytes += text.length;
  return true;
}

async function sendLater(task: Task, queue: MessageQueue, message: Message, check: () => void): Promise<0> {
  for (;;) {
    await task.sleep<void>((wake) => queue.room.add(wake), 'ERESTARTNOHAND');
    if (queue.removed) throw new Errno('EIDRM');
    check();
    if (put(queue, message, task.process.pid)) return 0;
  }
}
