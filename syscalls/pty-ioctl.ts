import { Access } from '#accel/guest-memory.ts';
import { sendToProcess } from '#linux-user/signal/send.ts';
import { SiCode } from '#linux-user/signal/siginfo.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import type { OpenFile, Terminal } from '#linux-user/vfs/open-file.ts';
import { Pty, PtyMaster } from '#linux-user/vfs/ptys.ts';
import { Errno } from '#util/errno.ts';
import { fromGuestOpenFlags } from './arguments.ts';
import { Ioctl } from './names.ts';

/** Requests that the master of a pseudoterminal takes (ioctl_tty(2)); undefined for others. */
export function ptyRequest(task: Task, file: OpenFile, request: number, at: number): number | undefined {
  if (!(file instanceof PtyMaster)) return undefined;
  const { memory } = task;
  const { pty } = file;
  switch (request) {
    case Ioctl.TIOCGPTN:
      memory.store32(at, pty.index);
      return 0;
    case Ioctl.TIOCSPTLCK:
      pty.locked = memory.load32(at) !== 0;
      return 0;
    case Ioctl.TIOCGPTLCK:
      memory.store32(at, Number(pty.locked));
      return 0;
    case Ioctl.TIOCPKT:
      pty.packets = memory.load32(at) !== 0;
      return 0;
    case Ioctl.TIOCGPKT:
      memory.store32(at, Number(pty.packets));
      return 0;
    case Ioctl.TIOCGPTPEER:
      return openPeer(task, pty, fromGuestOpenFlags(task, at));
    case Ioctl.TIOCSIG:
      return signalGroup(pty, at);
    case Ioctl.TIOCGPGRP:
      memory.store32(at, pty.foregroundGroup);
      return 0;
    default:
      return undefined;
  }
}

function openPeer(task: Task, pty: Pty, flags: number): number {
  const { process } = task;
  const file = pty.openSlave(
    process,
    Buffer.from(`/dev/pts/${pty.index}`),
    flags & (Open.accessMode | Open.nonBlock | Open.noCtty),
  );
  return task.files.add(file, (flags & Open.closeOnExec) !== 0);
}

function signalGroup(pty: Pty, signo: number): number {
  if (signo <= 0 || signo > 64) throw new Errno('EINVAL');
  for (const process of pty.kernel.processes.group(pty.foregroundGroup)) {
    sendToProcess(process, { kind: 'kernel', signo, code: SiCode.SI_KERNEL });
  }
  return 0;
}

/** TIOCSCTTY: the terminal becomes the one of the caller's session, if that has none. */
export function takeTerminal(task: Task, terminal: Terminal): number {
  const { process } = task;
  if (terminal.session === process.session) return 0;
  const leader = process.pid === process.session;
  if (!leader || task.fs.terminals.controlling(process) !== null || terminal.session !== null) throw new Errno('EPERM');
  terminal.session = process.session;
  terminal.foregroundGroup = process.group;
  return 0;
}

/** TIOCNOTTY: the session gives its terminal up. ENOTTY if it is not its own. */
export function leaveTerminal(task: Task, terminal: Terminal): number {
  const { process } = task;
  if (terminal.session !== process.session) throw new Errno('ENOTTY');
  if (process.pid === process.session && terminal instanceof Pty) terminal.disconnect();
  return 0;
}

/** TIOCGPGRP and TIOCGSID ask about the caller's own terminal. ENOTTY. */
export function checkOwn(task: Task, terminal: Terminal): void {
  if (terminal instanceof Pty && terminal.session !== task.process.session) throw new Errno('ENOTTY');
}

/** TIOCSTI: a byte as if it had been typed. EPERM for a terminal of others, and for the host's. */
export function typeByte(task: Task, terminal: Terminal, at: number): number {
  task.memory.require(at, 1, Access.read);
  const own = terminal.session === task.process.session || task.process.credentials.euid === 0;
  if (!own || !(terminal instanceof Pty)) throw new Errno('EPERM');
  terminal.fromMaster(Buffer.of(task.memory.load8(at)));
  return 0;
}
