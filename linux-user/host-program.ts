import type { ChildProcess, StdioOptions } from 'node:child_process';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { createLog } from '#util/log.ts';
import { guardProgram } from './host-guard.ts';
import type { Process, Termination } from './process.ts';
import { Signal, signalName } from './signal/numbers.ts';
import { HostFile } from './vfs/host-file.ts';
import { type OpenFile, wouldBlock } from './vfs/open-file.ts';

const log = createLog('process');

/** ELF e_machine of the programs this host runs itself, by Node's name of its CPU. */
const hostMachines: Partial<Record<string, readonly number[]>> = {
  x64: [62, 3],
  ia32: [3],
  arm64: [183],
  arm: [40],
  riscv64: [243],
  ppc64: [21],
  s390x: [22],
  loong64: [258],
};

/** Bytes moved at once between a pipe of the guest and one of the host. */
const chunkBytes = 4096;

/** True for the start of a file that the host can run as it is. */
export function isHostProgram(start: Uint8Array): boolean {
  if (process.platform !== 'linux' || start.length < 20) return false;
  const isElf = start[0] === 0x7f && start[1] === 0x45 && start[2] === 0x4c && start[3] === 0x46;
  return isElf && (hostMachines[process.arch]?.includes(start[18] | (start[19] << 8)) ?? false);
}

/** What a host program is started with. */
export interface HostProgramRequest {
  readonly hostPath: string;
  readonly argv: readonly Uint8Array[];
  readonly environment: readonly Uint8Array[];
}

/** A program of the host in the place of a guest process: it has that process's files, and ends it with its own end. */
export class HostProgram {
  /** How it has ended, once everything it wrote is where it belongs. */
  readonly end: Promise<Termination>;
  private readonly child: ChildProcess;
  /** It has ended by itself. */
  private readonly unguard: () => void;
  private readonly pumps: Promise<void>[] = [];
  /** Host descriptors of the child's files, with the files whose offset they carry on. */
  private readonly opened: { readonly fd: number; readonly file: HostFile }[] = [];

  /** Throws what the host answers if it cannot be started (ENOENT, EACCES…). */
  constructor(owner: Process, { hostPath, argv, environment }: HostProgramRequest) {
    const { spawn } = process.getBuiltinModule('node:child_process');
    const texts = argv.map((text) => Buffer.from(text).toString());
    const bridged: [number, OpenFile][] = [];
    const stdio = this.stdio(owner, bridged);
    process.umask(owner.fs.umask);
    this.child = spawn(hostPath, texts.slice(1), {
      argv0: texts[0],
      cwd: owner.fs.cwd.toString(),
      env: Object.fromEntries(environment.map((text) => splitVariable(Buffer.from(text).toString()))),
      stdio,
    });
    this.unguard = this.child.pid === undefined ? () => {} : guardProgram(this.child.pid);
    this.end = this.watch();
    for (const [fd, file] of bridged) this.bridge(fd, file);
    log('process %d is host program %s, pid %d there', owner.pid, hostPath, this.child.pid ?? 0);
  }

  /** Passes a signal on. */
  signal(signo: number): void {
    const name = signalName(signo);
    if (name in constants.signals) this.child.kill(name as NodeJS.Signals);
  }

  /** What stands at each descriptor of the child. */
  private stdio(owner: Process, bridged: [number, OpenFile][]): StdioOptions {
    const list: (number | 'pipe' | 'ignore')[] = ['ignore', 'ignore', 'ignore'];
    for (const fd of owner.files.descriptors()) {
      if (owner.files.isCloseOnExec(fd)) continue;
      while (list.length < fd) list.push('ignore');
      const file = owner.files.get(fd);
      list[fd] = this.place(file);
      if (list[fd] === 'pipe') bridged.push([fd, file]);
    }
    return list;
  }

  private place(file: OpenFile): number | 'pipe' | 'ignore' {
    if (file instanceof HostFile) {
      const fd = file.openForHost();
      this.opened.push({ fd, file });
      return fd;
    }
    if (file.hostFd >= 0) return file.hostFd;
    return file.readable !== file.writable ? 'pipe' : 'ignore';
  }

  private bridge(fd: number, file: OpenFile): void {
    const stream = this.child.stdio[fd];
    if (!stream) return;
    file.retain();
    const broken = (): void => this.signal(Signal.SIGPIPE);
    const pump = file.readable ? pumpIn(file, stream as Writable) : pumpOut(stream as Readable, file, broken);
    this.pumps.push(pump.finally(() => file.release()));
  }

  private watch(): Promise<Termination> {
    return new Promise((resolve) => {
      this.child.on('error', (error) => {
        log('host program: %s', error.message);
        this.finish();
        resolve({ kind: 'exit', code: 127 });
      });
      this.child.on('exit', this.unguard);
      this.child.on('close', (code, signal) => {
        this.finish();
        const signo = signal === null ? 0 : constants.signals[signal];
        const info = { kind: 'kernel', signo, code: 0 } as const;
        const end: Termination =
          signal === null
            ? { kind: 'exit', code: code ?? 0 }
            : { kind: 'signal', signo, core: false, info, task: null };
        const writers = this.pumps;
        void Promise.all(writers).then(() => resolve(end));
      });
    });
  }

  private finish(): void {
    for (const { fd, file } of this.opened) file.continueFrom(fd);
    this.opened.length = 0;
  }
}

function splitVariable(text: string): [string, string] {
  const at = text.indexOf('=', 1);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

const ready = (file: OpenFile, or: (wake: () => void) => void): Promise<void> =>
  new Promise((resolve) => {
    file.readiness.add(resolve);
    or(resolve);
  });

/** From a pipe of the guest into the child, until that has closed its end or the pipe its writers. */
async function pumpIn(file: OpenFile, child: Writable): Promise<void> {
  const bytes = Buffer.alloc(chunkBytes);
  let closed = false;
  let wake: () => void = () => {};
  const close = (): void => {
    closed = true;
    wake();
  };
  child.on('error', close);
  child.on('close', close);
  while (!closed) {
    const count = file.read(bytes, 0, chunkBytes);
    if (count === 0) break;
    if (count === wouldBlock) await ready(file, (resolve) => (wake = resolve));
    else await new Promise<void>((resolve) => child.write(Buffer.from(bytes.subarray(0, count)), () => resolve()));
  }
  child.end();
}

/** From the child into a pipe of the guest, until either end is closed; `broken` is called when nobody reads it. */
async function pumpOut(child: Readable, file: OpenFile, broken: () => void): Promise<void> {
  const store = async (chunk: Buffer): Promise<void> => {
    for (let done = 0; done < chunk.length; ) {
      const count = file.write(chunk, done, chunk.length - done);
      if (count === wouldBlock) await ready(file, () => {});
      else done += count;
    }
    child.resume();
  };
  await new Promise<void>((resolve) => {
    child.on('data', (chunk: Buffer) => {
      child.pause();
      store(chunk).catch(() => {
        // EPIPE. The signal comes before the end of the stream, which the child would see as a reset connection.
        broken();
        child.destroy();
      });
    });
    child.on('error', () => {});
    child.on('close', () => resolve());
  });
}
