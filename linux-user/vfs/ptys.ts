import { Errno } from '#util/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../process.ts';
import { Signal } from '../signal/numbers.ts';
import { sendToProcess } from '../signal/send.ts';
import { SiCode } from '../signal/siginfo.ts';
import { freshSettings } from '../tty.ts';
import { Mode, Open, Poll, pollInput, pollOutput } from './flags.ts';
import { DeviceInode, entryOf, hostEntries, Inode, openDirectory } from './inode.ts';
import { LineDiscipline } from './line-discipline.ts';
import {
  anonymousStat,
  type DirectoryEntry,
  type FileStat,
  OpenFile,
  type Terminal,
  type TerminalSettings,
  wouldBlock,
} from './open-file.ts';
import { processOutput } from './terminal-output.ts';
import type { Terminals } from './terminals.ts';
import { TimedRead } from './timed-read.ts';

/* Pseudoterminals (pty(7)): what a guest writes to the master is what the slave's terminal has on its keyboard. */

/** Bytes that wait for the master before the slave has to. */
const outputRoom = 65536;
/** Keys that wait for the slave before the master has to (N_TTY_BUF_SIZE). */
const inputRoom = 4096;
/** Major number of /dev/pts/N. */
const slaveMajor = 136;
const mostPtys = 4096;

/** Bits of a packet's first byte (ioctl_tty(2), TIOCPKT). */
const TIOCPKT_FLUSHREAD = 1;
const TIOCPKT_FLUSHWRITE = 2;

/** One pair, as a terminal. */
export class Pty implements Terminal {
  readonly index: number;
  readonly device: number;
  readonly kernel: Kernel;
  readonly slaveInode: DeviceInode;
  settings: TerminalSettings = { ...freshSettings, cc: freshSettings.cc.slice() };
  foregroundGroup = 0;
  session: number | null = null;
  /** TIOCSPTLCK: the slave cannot be opened yet. */
  locked = true;
  /** TIOCPKT. */
  packets = false;
  masterOpen = true;
  readonly slaves: Set<PtySlave> = new Set();
  private slaveSeen = false;
  private size: readonly [number, number, number, number] = [0, 0, 0, 0];
  readonly discipline: LineDiscipline;
  readonly timed: TimedRead;
  private output: Buffer[] = [];
  private outputBytes = 0;
  /** What a packet is to say first. */
  private status = 0;
  master: PtyMaster | null = null;
  private readonly terminals: Terminals;

  constructor(index: number, kernel: Kernel, terminals: Terminals) {
    this.index = index;
    this.device = (slaveMajor << 8) | index;
    this.kernel = kernel;
    this.terminals = terminals;
    this.discipline = new LineDiscipline({
      echo: (bytes) => this.send(processOutput(bytes, this.settings)),
      signal: (name) => this.signalForeground(Signal[name]),
    });
    this.discipline.settings = this.settings;
    this.timed = new TimedRead(() => this.wakeSlaves(pollInput));
    this.slaveInode = new DeviceInode(
      slaveMajor,
      index,
      (viewer, path, flags) => this.openSlave(viewer, path, flags),
      0o620,
    );
    terminals.made.add(this);
  }

  /** Opens the slave. EIO while it is locked or after the master has gone. */
  openSlave(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    if (this.locked || !this.masterOpen) throw new Errno('EIO');
    if ((flags & Open.noCtty) === 0) this.adopt(viewer);
    return this.open(path, flags);
  }

  open(path: Uint8Array, flags: number): OpenFile {
    if (!this.masterOpen) throw new Errno('EIO');
    const slave = new PtySlave(this, path, flags);
    this.slaves.add(slave);
    this.slaveSeen = true;
    return slave;
  }

  /** It becomes the controlling terminal of a session leader that has none; others it leaves alone. */
  private adopt({ pid, session, group, fs }: Process): void {
    if (session !== pid || this.session !== null || fs.terminals.controlling({ session }) !== null) return;
    this.session = session;
    this.foregroundGroup = group;
  }

  setSettings(settings: TerminalSettings, flushInput: boolean): void {
    const wasCanonical = this.settings.lflag & 2;
    this.settings = settings;
    if (flushInput) this.flush(true);
    this.discipline.settings = settings;
    if (wasCanonical !== (settings.lflag & 2)) this.discipline.modeChanged();
    if (this.discipline.hasInput) this.wakeSlaves(pollInput);
  }

  windowSize(): readonly [number, number, number, number] {
    return this.size;
  }

  setWindowSize(size: readonly [number, number, number, number]): void {
    if (size.every((value, index) => value === this.size[index])) return;
    this.size = size;
    this.signalForeground(Signal.SIGWINCH);
  }

  flush(input: boolean, output = false): void {
    if (input) {
      this.discipline.flush();
      if (this.packets) this.status |= TIOCPKT_FLUSHREAD;
    }
    if (output) {
      this.output = [];
      this.outputBytes = 0;
      if (this.packets) this.status |= TIOCPKT_FLUSHWRITE;
    }
  }

  // ---- the slave's side

  get canTake(): boolean {
    return this.outputBytes < outputRoom;
  }

  /** Takes what the slave writes: bytes taken. */
  fromSlave(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, outputRoom - this.outputBytes);
    this.send(processOutput(bytes.subarray(0, count), this.settings));
    return count;
  }

  private send(bytes: Buffer): void {
    if (bytes.length === 0 || !this.masterOpen) return;
    this.output.push(bytes);
    this.outputBytes += bytes.length;
    this.master?.readiness.wake(pollInput);
  }

  private wakeSlaves(events: number): void {
    for (const { readiness } of this.slaves) readiness.wake(events);
  }

  slaveClosed(slave: PtySlave): void {
    this.slaves.delete(slave);
    if (this.slaves.size === 0) this.master?.readiness.wake();
  }

  // ---- the master's side

  get outputReady(): number {
    return this.outputBytes;
  }

  get hungUp(): boolean {
    return this.slaveSeen && this.slaves.size === 0;
  }

  /** What the master reads: bytes, or -1 for "nothing yet". */
  toMaster(bytes: Uint8Array, start: number, length: number): number {
    if (this.packets && length > 0) {
      if (this.status === 0 && this.outputBytes === 0) return wouldBlock;
      bytes[start] = this.status;
      if (this.status !== 0) {
        this.status = 0;
        return 1;
      }
      return 1 + this.takeOutput(bytes, start + 1, length - 1);
    }
    return this.outputBytes === 0 ? wouldBlock : this.takeOutput(bytes, start, length);
  }

  private takeOutput(bytes: Uint8Array, start: number, length: number): number {
    let done = 0;
    while (done < length && this.output.length > 0) {
      const chunk = this.output[0];
      const count = Math.min(length - done, chunk.length);
      bytes.set(chunk.subarray(0, count), start + done);
      done += count;
      if (count === chunk.length) this.output.shift();
      else this.output[0] = chunk.subarray(count);
    }
    this.outputBytes -= done;
    if (this.canTake) this.wakeSlaves(pollOutput);
    return done;
  }

  /** Keys: how many have been taken. */
  fromMaster(bytes: Uint8Array): number {
    const canonical = (this.settings.lflag & 2) !== 0;
    const room = canonical ? inputRoom : inputRoom - this.discipline.available;
    const count = Math.min(bytes.length, Math.max(0, room));
    this.discipline.input(bytes.subarray(0, count));
    if (this.discipline.hasInput) this.wakeSlaves(pollInput);
    return count;
  }

  /** The slave has taken keys. */
  roomAgain(): void {
    this.master?.readiness.wake(pollOutput);
  }

  /** The master has been closed: the terminal is gone. */
  hangUp(): void {
    this.masterOpen = false;
    this.output = [];
    this.outputBytes = 0;
    this.terminals.made.delete(this);
    this.wakeSlaves(Poll.in | Poll.hup | pollOutput);
    this.disconnect();
  }

  /** The session no longer has the terminal: its leader and the foreground group are told (SIGHUP). */
  disconnect(): void {
    const { session, foregroundGroup } = this;
    this.session = null;
    if (session === null) return;
    for (const process of this.kernel.processes) {
      const leader = process.pid === session;
      if (!leader && (process.session !== session || process.group !== foregroundGroup)) continue;
      this.send1(process, Signal.SIGHUP);
      this.send1(process, Signal.SIGCONT);
    }
  }

  private signalForeground(signo: number): void {
    if (this.foregroundGroup === 0) return;
    for (const process of this.kernel.processes.group(this.foregroundGroup)) this.send1(process, signo);
  }

  private send1(process: Process, signo: number): void {
    sendToProcess(process, { kind: 'kernel', signo, code: SiCode.SI_KERNEL });
  }
}

export class PtyMaster extends OpenFile {
  readonly pty: Pty;
  private readonly identity: FileStat;

  constructor(pty: Pty, path: Uint8Array, flags: number, identity: FileStat) {
    super(path, flags);
    this.pty = pty;
    this.identity = identity;
    pty.master = this;
  }

  protected override close(): void {
    this.pty.master = null;
    this.pty.hangUp();
  }

  override stat(): FileStat {
    return this.identity;
  }

  override get pollable(): boolean {
    return true;
  }

  /** Settings and size are those of the slave. */
  override get terminal(): Terminal {
    return this.pty;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const count = this.pty.toMaster(bytes, start, length);
    if (count === wouldBlock && this.pty.hungUp) throw new Errno('EIO');
    return count;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    if (length === 0) return 0;
    const count = this.pty.fromMaster(Buffer.from(bytes.subarray(start, start + length)));
    return count === 0 ? wouldBlock : count;
  }

  override available(): number {
    return this.pty.outputReady;
  }

  override poll(events: number): number {
    const { pty } = this;
    let ready = events & pollOutput;
    if (pty.outputReady > 0) ready |= events & pollInput;
    if (pty.hungUp) ready |= Poll.hup;
    return ready;
  }

  override reopen(): OpenFile {
    throw new Errno('EIO');
  }
}

export class PtySlave extends OpenFile {
  readonly pty: Pty;

  constructor(pty: Pty, path: Uint8Array, flags: number) {
    super(path, flags);
    this.pty = pty;
  }

  protected override close(): void {
    this.pty.slaveClosed(this);
  }

  override stat(): FileStat {
    return this.pty.slaveInode.stat();
  }

  override chmod(mode: number): void {
    this.pty.slaveInode.chmod(mode);
  }

  override chown(uid: number, gid: number): void {
    this.pty.slaveInode.chown(uid, gid);
  }

  override get pollable(): boolean {
    return true;
  }

  override get terminal(): Terminal {
    return this.pty;
  }

  override read(bytes: Uint8Array, start: number, length: number): number {
    const { pty } = this;
    const { discipline } = pty;
    if (length === 0) return 0;
    if (discipline.available > 0) {
      pty.timed.stop();
      const count = discipline.read(bytes, start, length);
      pty.roomAgain();
      return count;
    }
    if (discipline.takeEndOfFile() || !pty.masterOpen) return 0;
    return pty.timed.ends(pty.settings) ? 0 : wouldBlock;
  }

  override write(bytes: Uint8Array, start: number, length: number): number {
    const { pty } = this;
    if (!pty.masterOpen) throw new Errno('EIO');
    if (length === 0) return 0;
    if (!pty.canTake) return wouldBlock;
    return pty.fromSlave(Buffer.from(bytes.subarray(start, start + length)));
  }

  override available(): number {
    return this.pty.discipline.available;
  }

  override poll(events: number): number {
    const { pty } = this;
    if (!pty.masterOpen) return (events & (pollInput | pollOutput)) | Poll.hup;
    let ready = pty.canTake ? events & pollOutput : 0;
    if (pty.discipline.hasInput) ready |= events & pollInput;
    return ready;
  }

  override reopen(flags: number): OpenFile {
    return this.pty.open(this.path, flags);
  }
}

/** The lowest number that no pair has. */
function freeIndex({ made }: Terminals): number {
  const used = new Set<number>();
  for (const terminal of made) used.add((terminal.device & 0xff) | ((terminal.device >> 12) & 0xfff00));
  for (let index = 0; index < mostPtys; index++) if (!used.has(index)) return index;
  throw new Errno('ENOSPC');
}

/** /dev/ptmx: each opening makes a new pair. */
export const ptyMultiplexer = (terminals: Terminals): Inode =>
  new DeviceInode(5, 2, (viewer, path, flags, identity) => {
    if ((flags & Open.path) !== 0) throw new Errno('EBADF');
    return new PtyMaster(new Pty(freeIndex(terminals), viewer.kernel, terminals), path, flags, identity);
  });

/** /dev/pts. */
export class PtsDirectory extends Inode {
  override readonly host: string | null;
  private readonly terminals: Terminals;
  private readonly multiplexer: Inode;
  private readonly identity = anonymousStat(Mode.directory | 0o755);

  constructor(terminals: Terminals, host: string | null) {
    super();
    this.terminals = terminals;
    this.host = host;
    this.multiplexer = ptyMultiplexer(terminals);
  }

  override stat(): FileStat {
    return this.identity;
  }

  private slaves(): [string, Inode][] {
    return [...this.terminals.made].flatMap((terminal) =>
      terminal instanceof Pty ? [[String(terminal.index), terminal.slaveInode] as [string, Inode]] : [],
    );
  }

  override lookup(name: string): Inode | null {
    if (name === 'ptmx') return this.multiplexer;
    return this.slaves().find(([each]) => each === name)?.[1] ?? null;
  }

  override list(): readonly DirectoryEntry[] {
    const own = [...this.slaves(), ['ptmx', this.multiplexer] as const].map(([name, inode]) => entryOf(name, inode));
    return this.host === null ? own : [...own, ...hostEntries(this.host, (name) => this.lookup(name) !== null)];
  }

  override open(viewer: Process, path: Uint8Array, flags: number): OpenFile {
    return openDirectory(this, viewer, path, flags);
  }
}
