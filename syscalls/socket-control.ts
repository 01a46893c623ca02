import { Access } from '#accel/guest-memory.ts';
import type { Received, SocketCredentials } from '#linux-user/net/connection.ts';
import { Family, Level, Message, SocketOption } from '#linux-user/net/numbers.ts';
import type { Socket } from '#linux-user/net/socket.ts';
import { credentialsOf } from '#linux-user/net/unix-stream-socket.ts';
import type { Task } from '#linux-user/task.ts';
import type { OpenFile } from '#linux-user/vfs/open-file.ts';
import { Errno } from '#util/errno.ts';
import { guestStruct } from './guest-struct.ts';

export const ControlType = { SCM_RIGHTS: 1, SCM_CREDENTIALS: 2 } as const;

/** struct cmsghdr; its length counts itself. */
export const controlHeader = guestStruct({ length: 'u32', level: 'i32', type: 'i32' });
const ucred = guestStruct({ pid: 'u32', uid: 'u32', gid: 'u32' });
/** Most descriptors of one message (SCM_MAX_FD). */
const maxRights = 253;
/** Most bytes of control data (net.core.optmem_max). */
export const maxControl = 131_072;

export const alignControl = (length: number): number => (length + 3) & ~3;

/** What goes along with a message. */
export interface Control {
  readonly rights: readonly OpenFile[];
  readonly credentials: SocketCredentials;
}

export const noControl = (task: Task): Control => ({ rights: [], credentials: credentialsOf(task.process) });

/** Reads the control data of sendmsg. EINVAL, EBADF, EPERM for credentials that are not the sender's. */
export function loadControl(task: Task, socket: Socket, at: number, length: number): Control {
  const { memory } = task;
  let { rights, credentials } = noControl(task);
  memory.require(at, length, Access.read);
  for (let offset = 0; offset + controlHeader.bytes <= length; ) {
    const header = controlHeader.load(memory, at + offset);
    if (header.length < controlHeader.bytes || offset + header.length > length) throw new Errno('EINVAL');
    const data = at + offset + controlHeader.bytes;
    const size = header.length - controlHeader.bytes;
    offset += alignControl(header.length);
    if (header.level !== Level.SOL_SOCKET) continue;
    if (header.type !== ControlType.SCM_RIGHTS && header.type !== ControlType.SCM_CREDENTIALS)
      throw new Errno('EINVAL');
    if (socket.kind.domain !== Family.AF_UNIX) continue;
    if (header.type === ControlType.SCM_RIGHTS) {
      if (rights.length + (size >> 2) > maxRights) throw new Errno('EINVAL');
      const fds = Array.from({ length: size >> 2 }, (_, i) => memory.load32(data + 4 * i) | 0);
      rights = [...rights, ...fds.map((fd) => task.files.get(fd))];
    } else credentials = ownCredentials(task, data, size);
  }
  return { rights, credentials };
}

function ownCredentials(task: Task, at: number, size: number): SocketCredentials {
  if (size !== ucred.bytes) throw new Errno('EINVAL');
  const { pid, uid, gid } = ucred.load(task.memory, at);
  const { credentials: own } = task.process;
  const privileged = own.euid === 0;
  const mine =
    pid === task.process.pid &&
    [own.uid, own.euid, own.suid].includes(uid) &&
    [own.gid, own.egid, own.sgid].includes(gid);
  if (!mine && !privileged) throw new Errno('EPERM');
  return { pid, uid, gid };
}

/**
 * Writes the control data of recvmsg and gives the passed files descriptors. Returns the bytes written and the flags
 * that say what did not fit.
 */
export function storeControl(
  task: Task,
  socket: Socket,
  received: Received,
  at: number,
  room: number,
  closeOnExec: boolean,
): { readonly length: number; readonly flags: number } {
  let flags = 0;
  let length = 0;
  const { memory } = task;
  const passesCredentials =
    socket.kind.domain === Family.AF_UNIX && socket.options.has(Level.SOL_SOCKET, SocketOption.SO_PASSCRED);
  if (passesCredentials) {
    const size = controlHeader.bytes + ucred.bytes;
    if (room < size) flags |= Message.MSG_CTRUNC;
    else {
      controlHeader.store(memory, at, { length: size, level: Level.SOL_SOCKET, type: ControlType.SCM_CREDENTIALS });
      ucred.store(memory, at + controlHeader.bytes, shown(received.credentials));
      length = alignControl(size);
    }
  }
  const { rights } = received;
  if (rights.length === 0) return { length, flags };
  const fit = Math.max(0, Math.min(rights.length, (room - length - controlHeader.bytes) >> 2));
  const fds = installRights(task, rights, fit, closeOnExec);
  if (fds.length < rights.length) flags |= Message.MSG_CTRUNC;
  if (fds.length === 0) return { length, flags };
  const size = controlHeader.bytes + 4 * fds.length;
  controlHeader.store(memory, at + length, { length: size, level: Level.SOL_SOCKET, type: ControlType.SCM_RIGHTS });
  fds.forEach((fd, i) => memory.store32(at + length + controlHeader.bytes + 4 * i, fd));
  return { length: Math.min(room, length + alignControl(size)), flags };
}

/** Puts the first `fit` files into the table, and lets all of them go otherwise. */
function installRights(task: Task, rights: readonly OpenFile[], fit: number, closeOnExec: boolean): number[] {
  const fds: number[] = [];
  try {
    for (const file of rights.slice(0, fit)) fds.push(task.files.add(file, closeOnExec));
  } catch {
    // EMFILE: the rest is lost, which MSG_CTRUNC says.
  }
  for (const file of rights) file.release();
  return fds;
}

/** What nobody knows reads as no process and the highest ids. */
export const shown = ({ pid, uid, gid }: SocketCredentials): { pid: number; uid: number; gid: number } => ({
  pid,
  uid: uid >>> 0,
  gid: gid >>> 0,
});
