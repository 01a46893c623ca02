import { pageSize } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import type { Process } from '../process.ts';
import { Mode } from './flags.ts';
import { anonymousStat, type DirectoryEntry, type FileStat, OpenFile, Seek } from './open-file.ts';
import { normalizePath } from './path.ts';

/** What a path under /proc or /dev means where the host would show tsemu instead of the guest. */
export type VirtualNode =
  | { readonly kind: 'text'; readonly text: () => Uint8Array }
  | { readonly kind: 'link'; readonly target: () => Uint8Array }
  | { readonly kind: 'descriptor'; readonly fd: number }
  | { readonly kind: 'descriptors' }
  | { readonly kind: 'random' };

type ProcessFile = (process: Process) => VirtualNode;

const text = (make: (process: Process) => string | Uint8Array): ProcessFile => {
  return (process) => ({ kind: 'text', text: () => Buffer.from(make(process)) });
};
const link = (make: (process: Process) => string | Uint8Array): ProcessFile => {
  return (process) => ({ kind: 'link', target: () => Buffer.from(make(process)) });
};

/** Files of /proc/<pid> (proc(5)). What is not here is the host's, about tsemu. */
const processFiles: Readonly<Record<string, ProcessFile>> = {
  auxv: text(({ mm }) => mm.auxv),
  cmdline: text((process) => guestRange(process, process.mm.argStart, process.mm.argEnd)),
  comm: text((process) => `${commandName(process)}\n`),
  cwd: link((process) => process.fs.cwd),
  environ: text((process) => guestRange(process, process.mm.envStart, process.mm.envEnd)),
  exe: link((process) => process.exePath),
  fd: () => ({ kind: 'descriptors' }),
  maps: text(({ mm }) => mm.mapsText()),
  root: link(() => '/'),
  stat: text(statText),
  statm: text((process) => {
    const pages = process.mm.vmas.bytes / pageSize;
    return `${pages} ${pages} 0 0 0 ${pages} 0\n`;
  }),
  status: text(statusText),
};

/** The node at `path` (absolute), or null where the host's own file is right. */
export function virtualNode(process: Process, path: Uint8Array): VirtualNode | null {
  const parts = normalizePath(path).toString('latin1').split('/');
  if (parts[1] === 'dev') return deviceNode(parts);
  if (parts[1] !== 'proc') return null;
  if (parts.length === 3 && parts[2] === 'cpuinfo') return cpuInfo(process);
  if (parts.length === 3 && parts[2] === 'self')
    return { kind: 'link', target: () => Buffer.from(String(process.pid)) };
  const subject = processNamed(process, parts[2]);
  if (subject === undefined) return null;
  if (parts.length === 4 && Object.hasOwn(processFiles, parts[3])) return processFiles[parts[3]](subject);
  if (parts.length === 5 && parts[3] === 'fd') return descriptorNode(parts[4]);
  return null;
}

/** Whose /proc/<name> this is; undefined for a host process, or something else. */
function processNamed(process: Process, name: string): Process | undefined {
  if (name === 'self' || name === 'thread-self') return process;
  return /^[1-9]\d*$/.test(name) ? process.kernel.processes.get(Number(name)) : undefined;
}

function deviceNode(parts: readonly string[]): VirtualNode | null {
  const [, , name, fd] = parts;
  if (parts.length === 4 && name === 'fd') return descriptorNode(fd);
  if (parts.length !== 3) return null;
  if (name === 'random' || name === 'urandom') return { kind: 'random' };
  if (name === 'fd') return { kind: 'descriptors' };
  const standard = ['stdin', 'stdout', 'stderr'].indexOf(name);
  return standard < 0 ? null : { kind: 'descriptor', fd: standard };
}

function descriptorNode(name: string): VirtualNode {
  return { kind: 'descriptor', fd: /^\d+$/.test(name) ? Number(name) : -1 };
}

function cpuInfo(process: Process): VirtualNode | null {
  const { abi } = process;
  return abi.cpuInfo === undefined ? null : { kind: 'text', text: () => Buffer.from(abi.cpuInfo!()) };
}

function guestRange(process: Process, start: number, end: number): Uint8Array {
  return process.mm.memory.copy(start, end - start);
}

function commandName(process: Process): string {
  return (
    process.tasks.get(process.pid)?.name ?? Buffer.from(process.exePath.split('/').at(-1)!).toString().slice(0, 15)
  );
}

const stateLetter = ({ zombie, stopped }: Process): string => (zombie ? 'Z' : stopped ? 'T' : 'R');
const stateWords: Readonly<Record<string, string>> = { Z: 'zombie', T: 'stopped', R: 'running' };

/** The 52 fields of /proc/<pid>/stat; what nobody keeps count of here is 0, as for a kernel thread. */
function statText(process: Process): string {
  const { mm, pid, ppid } = process;
  const fields: (string | number)[] = new Array<number>(52).fill(0);
  fields[0] = pid;
  fields[1] = `(${commandName(process)})`;
  fields[2] = stateLetter(process);
  fields[3] = ppid;
  fields[4] = process.group;
  fields[5] = process.session;
  fields[17] = 20;
  fields[19] = process.tasks.size;
  fields[22] = mm.vmas.bytes;
  fields[23] = mm.vmas.bytes / pageSize;
  fields[24] = 4294967295;
  fields[27] = mm.stackTop;
  fields[37] = 17;
  fields[46] = mm.brkStart;
  fields[47] = mm.argStart;
  fields[48] = mm.argEnd;
  fields[49] = mm.envStart;
  fields[50] = mm.envEnd;
  return `${fields.join(' ')}\n`;
}

function statusText(process: Process): string {
  const { uid, euid, suid, fsuid, gid, egid, sgid, fsgid, groups } = process.credentials;
  const kilobytes = `${String(process.mm.vmas.bytes / 1024).padStart(8)} kB`;
  const mask = (bits: bigint): string => bits.toString(16).padStart(16, '0');
  const task = process.tasks.get(process.pid);
  return [
    `Name:\t${commandName(process)}`,
    `Umask:\t${process.fs.umask.toString(8).padStart(4, '0')}`,
    `State:\t${stateLetter(process)} (${stateWords[stateLetter(process)]})`,
    `Tgid:\t${process.pid}`,
    'Ngid:\t0',
    `Pid:\t${process.pid}`,
    `PPid:\t${process.ppid}`,
    'TracerPid:\t0',
    `Uid:\t${uid}\t${euid}\t${suid}\t${fsuid}`,
    `Gid:\t${gid}\t${egid}\t${sgid}\t${fsgid}`,
    `FDSize:\t64`,
    `Groups:\t${groups.join(' ')} `,
    `VmPeak:\t${kilobytes}`,
    `VmSize:\t${kilobytes}`,
    `VmHWM:\t${kilobytes}`,
    `VmRSS:\t${kilobytes}`,
    `Threads:\t${process.tasks.size}`,
    `SigPnd:\t${mask(task?.signals.pending.mask ?? 0n)}`,
    `ShdPnd:\t${mask(process.signals.pending.mask)}`,
    `SigBlk:\t${mask(task?.signals.blocked ?? 0n)}`,
    '',
  ].join('\n');
}

/** /proc/self/fd. */
export class DescriptorDirectory extends OpenFile {
  private readonly process: Process;
  private readonly identity = anonymousStat(Mode.directory | 0o500);

  constructor(process: Process, path: Uint8Array, flags: number) {
    super(path, flags);
    this.process = process;
  }

  override get isDirectory(): boolean {
    return true;
  }

  override stat(): FileStat {
    return this.identity;
  }

  override read(): number {
    throw new Errno('EISDIR');
  }

  override seek(offset: number, whence: number): number {
    if (whence !== Seek.set || offset < 0) throw new Errno('EINVAL');
    this.directoryOffset = offset;
    return offset;
  }

  override entries(): readonly DirectoryEntry[] {
    const names = ['.', '..', ...this.process.files.descriptors().map(String)];
    return names.map((name, index) => ({ name: Buffer.from(name), ino: BigInt(index + 1), type: index < 2 ? 4 : 10 }));
  }
}
