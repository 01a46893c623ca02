import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { checkForeground, sessionHasGroup } from '#linux-user/job-control.ts';
import type { Socket } from '#linux-user/net/socket.ts';
import { setAsync } from '#linux-user/signal/async-io.ts';
import { Signal } from '#linux-user/signal/numbers.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import type { OpenFile, Terminal, TerminalSettings } from '#linux-user/vfs/open-file.ts';
import { Errno } from '#util/errno.ts';
import { fd, uint } from './arguments.ts';
import { loadSockets } from './lazy.ts';
import { Ioctl } from './names.ts';
import { hex, named } from './print.ts';
import { checkOwn, leaveTerminal, ptyRequest, takeTerminal, typeByte } from './pty-ioctl.ts';
import { type Argument, partial, type Rows, row } from './row.ts';

/** struct termios of the kernel: four words, line, 19 control characters; termios2 adds the two speeds. */
const termiosBytes = 36;
const termios2Bytes = 44;
const controlCharacters = 19;
const speedAt = 36;

/** Baud rates by the CBAUD bits of c_cflag. */
const rates: Readonly<Record<number, number>> = {
  0o0: 0,
  0o13: 2400,
  0o14: 4800,
  0o15: 9600,
  0o16: 19200,
  0o17: 38400,
  0o10001: 57600,
  0o10002: 115200,
};
const CBAUD = 0o10017;

function storeTermios(memory: GuestMemory, at: number, settings: TerminalSettings, second: boolean): number {
  memory.view(at, second ? termios2Bytes : termiosBytes, Access.write).fill(0);
  memory.store32(at, settings.iflag);
  memory.store32(at + 4, settings.oflag);
  memory.store32(at + 8, settings.cflag);
  memory.store32(at + 12, settings.lflag);
  memory.store8(at + 16, settings.line);
  memory.write(at + 17, settings.cc);
  if (second) {
    const rate = rates[settings.cflag & CBAUD] ?? 38400;
    memory.store32(at + speedAt, rate);
    memory.store32(at + speedAt + 4, rate);
  }
  return 0;
}

function loadTermios(memory: GuestMemory, at: number): TerminalSettings {
  memory.require(at, termiosBytes, Access.read);
  return {
    iflag: memory.load32(at),
    oflag: memory.load32(at + 4),
    cflag: memory.load32(at + 8),
    lflag: memory.load32(at + 12),
    line: memory.load8(at + 16),
    cc: memory.copy(at + 17, controlCharacters),
  };
}

/** Requests that any open file takes; undefined for others. */
function fileRequest(task: Task, which: number, file: OpenFile, request: number, at: number): number | undefined {
  const { memory } = task;
  switch (request) {
    case Ioctl.FIOCLEX:
    case Ioctl.FIONCLEX:
      task.files.setCloseOnExec(which, request === Ioctl.FIOCLEX);
      return 0;
    case Ioctl.FIONBIO:
      file.flags = memory.load32(at) === 0 ? file.flags & ~Open.nonBlock : file.flags | Open.nonBlock;
      return 0;
    case Ioctl.FIOASYNC:
      return setAsync(task, which, file, memory.load32(at) !== 0) ? 0 : undefined;
    case Ioctl.FIONREAD:
      memory.store32(at, Math.min(file.available(), 0x7fffffff));
      return 0;
    case Ioctl.FIOQSIZE:
      memory.store64(at, file.stat().size);
      return 0;
    default:
      return undefined;
  }
}

/** tcsetpgrp(3): any group of the session; one that is not in the foreground is stopped for trying (SIGTTOU). */
function setForegroundGroup(task: Task, terminal: Terminal, group: number): number {
  const { process } = task;
  if (terminal.session !== process.session) throw new Errno('ENOTTY');
  if (group < 0) throw new Errno('EINVAL');
  if (!sessionHasGroup(process, group))
    throw new Errno(process.kernel.processes.group(group).length > 0 ? 'EPERM' : 'ESRCH');
  checkForeground(task, terminal, Signal.SIGTTOU);
  terminal.foregroundGroup = group;
  return 0;
}

/** ioctl_tty(2). */
function terminalRequest(task: Task, terminal: Terminal, request: number, at: number): number {
  const { memory } = task;
  switch (request) {
    case Ioctl.TCGETS:
      return storeTermios(memory, at, terminal.settings, false);
    case Ioctl.TCGETS2:
      return storeTermios(memory, at, terminal.settings, true);
    case Ioctl.TCSETS:
    case Ioctl.TCSETSW:
    case Ioctl.TCSETS2:
    case Ioctl.TCSETSW2:
      checkForeground(task, terminal, Signal.SIGTTOU);
      terminal.setSettings(loadTermios(memory, at), false);
      return 0;
    case Ioctl.TCSETSF:
    case Ioctl.TCSETSF2:
      checkForeground(task, terminal, Signal.SIGTTOU);
      terminal.setSettings(loadTermios(memory, at), true);
      return 0;
    case Ioctl.TIOCGWINSZ:
      memory.require(at, 8, Access.write);
      terminal.windowSize().forEach((value, index) => memory.store16(at + 2 * index, value));
      return 0;
    case Ioctl.TIOCSWINSZ: {
      const [rows, columns, x, y] = [0, 2, 4, 6].map((offset) => memory.load16(at + offset));
      terminal.setWindowSize([rows, columns, x, y]);
      return 0;
    }
    case Ioctl.TIOCGPGRP:
      checkOwn(task, terminal);
      memory.store32(at, terminal.foregroundGroup);
      return 0;
    case Ioctl.TIOCSPGRP:
      return setForegroundGroup(task, terminal, memory.load32(at) | 0);
    case Ioctl.TIOCGSID:
      checkOwn(task, terminal);
      memory.store32(at, task.process.session);
      return 0;
    case Ioctl.TIOCSCTTY:
      return takeTerminal(task, terminal);
    case Ioctl.TIOCNOTTY:
      return leaveTerminal(task, terminal);
    case Ioctl.TIOCSTI:
      return typeByte(task, terminal, at);
    case Ioctl.TIOCGETD:
    case Ioctl.TIOCOUTQ:
    case Ioctl.TIOCGEXCL:
      memory.store32(at, 0);
      return 0;
    case Ioctl.TCFLSH:
      if (at > 2) throw new Errno('EINVAL');
      terminal.flush(at !== 1, at !== 0);
      return 0;
    case Ioctl.TCSBRK:
    case Ioctl.TCSBRKP:
    case Ioctl.TCXONC:
      // Output is written before write returns, so draining and flow control have nothing left to wait for.
      return 0;
    default:
      throw new Errno('ENOTTY');
  }
}

function ioctl(task: Task, which: number, request: number, at: number): number {
  const file = task.files.get(which);
  if ((file.flags & Open.path) !== 0) throw new Errno('EBADF');
  const done = fileRequest(task, which, file, request, at);
  if (done !== undefined) return done;
  const answered = file.isSocket ? loadSockets().socketRequest(task, file as Socket, request, at) : undefined;
  if (answered !== undefined) return answered;
  if (file.terminal === null) throw new Errno('ENOTTY');
  return ptyRequest(task, file, request, at) ?? terminalRequest(task, file.terminal, request, at);
}

const requestName: Argument<number> = { ...uint, print: (raw) => named(raw, Ioctl) };

const argument: Argument<number> = {
  ...uint,
  out: true,
  print(raw, { task, raw: { request }, result = -1 }) {
    if (result < 0) return hex(raw);
    const { memory } = task;
    if (request === Ioctl.TIOCGWINSZ) {
      const [rows, columns] = [memory.load16(raw), memory.load16(raw + 2)];
      return `{ws_row=${rows}, ws_col=${columns}, ws_xpixel=${memory.load16(raw + 4)}, ws_ypixel=${memory.load16(raw + 6)}}`;
    }
    const words: readonly number[] = [Ioctl.FIONREAD, Ioctl.TIOCGPGRP, Ioctl.TIOCSPGRP, Ioctl.TIOCGSID, Ioctl.FIONBIO];
    if (words.includes(request)) return `[${memory.load32(raw)}]`;
    return hex(raw);
  },
};

/** fs/ioctl.c, drivers/tty/. */
export const ioctlCalls: Rows = {
  ioctl: partial(
    'those of files in general, of terminals and of network interfaces; others are ENOTTY',
    row({ fd, request: requestName, argument }, (task, args) => ioctl(task, args.fd, args.request, args.argument)),
  ),
};
