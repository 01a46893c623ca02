import { execFileSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GuestMemory } from '#accel/guest-memory.ts';
import { abiOf } from '#linux-user/abi/architectures.ts';
import { I386Registers, Reg } from '#linux-user/abi/i386-registers.ts';
import { hostCredentials, rootCredentials } from '#linux-user/credentials.ts';
import { createEntropy } from '#linux-user/entropy.ts';
import type { GuestEngine } from '#linux-user/guest-engine.ts';
import { hostJob } from '#linux-user/host-job.ts';
import { Kernel } from '#linux-user/kernel.ts';
import { hostPrograms } from '#linux-user/loader/program-opener.ts';
import { MapFlags } from '#linux-user/mm/vma.ts';
import type { NetworkGate } from '#linux-user/net/gate.ts';
import { Network } from '#linux-user/net/network.ts';
import { Process } from '#linux-user/process.ts';
import { ResourceLimits } from '#linux-user/resource-limits.ts';
import type { SyscallTable } from '#linux-user/syscall-table.ts';
import { Task } from '#linux-user/task.ts';
import { FileSystem } from '#linux-user/vfs/file-system.ts';
import { FileTable } from '#linux-user/vfs/file-table.ts';
import { Ownership } from '#linux-user/vfs/ownership.ts';
import { createView } from '#linux-user/vfs/view.ts';
import { armSyscallNames } from '#syscalls/nr/arm.ts';
import { i386SyscallNames } from '#syscalls/nr/i386.ts';
import { createSyscallTable, type SyscallArch } from '#syscalls/table.ts';
import type { TraceForm } from '#syscalls/tracer.ts';
import { armTarget } from '#target/arm/target.ts';
import { i386Target } from '#target/i386/target.ts';
import { cpuHeader } from '#tcg/cpu-page.ts';
import type { CpuView, Target } from '#tcg/target.ts';
import { protectedMemory } from './guest-memory.ts';

/** How a program of an architecture asks for a call. */
interface Machine {
  readonly target: Target;
  readonly names: Readonly<Record<number, string>>;
  readonly argumentCount: number;
  /** Puts the number and the arguments where they belong. */
  readonly ask: (cpu: CpuView, number: number, args: readonly number[]) => void;
}

const i386Registers = new I386Registers(i386Target.layout);
const i386Arguments = [Reg.ebx, Reg.ecx, Reg.edx, Reg.esi, Reg.edi, Reg.ebp];
const exitArgument = cpuHeader.offset('exitArg') >> 2;
const interrupt = 0x80;

const machines: Readonly<Record<SyscallArch, Machine>> = {
  arm: {
    target: armTarget as Target,
    names: armSyscallNames,
    argumentCount: 7,
    ask(cpu, number, args) {
      const first = armTarget.layout.offset('r', 0) >> 2;
      args.forEach((value, index) => (cpu.i32[first + index] = value));
      cpu.i32[first + 7] = number;
      cpu.i32[exitArgument] = 0;
    },
  },
  i386: {
    target: i386Target as Target,
    names: i386SyscallNames,
    argumentCount: 6,
    ask(cpu, number, args) {
      args.forEach((value, index) => i386Registers.set(cpu, i386Arguments[index], value));
      i386Registers.set(cpu, Reg.eax, number);
      cpu.i32[exitArgument] = interrupt;
    },
  },
};

const stackBytes = 1 << 20;
const scratchBytes = 1 << 20;

export interface RigOptions {
  /** -L. */
  readonly prefix?: string | null;
  readonly seed?: bigint;
  readonly gate?: NetworkGate;
  /** Print the calls into `lines`. */
  readonly strace?: boolean;
  readonly traceForm?: TraceForm;
  /** Whose calls are made: ARM's if it is not given. */
  readonly arch?: SyscallArch;
  /** --root: the working directory is all of the host that the guest sees. */
  readonly confined?: boolean;
}

/** Removes a folder even if a guest has taken permissions from those in it. */
function removeTree(folder: string): void {
  const options = { recursive: true, force: true };
  try {
    rmSync(folder, options);
  } catch {
    execFileSync('chmod', ['-R', 'u+rwx', folder]);
    rmSync(folder, options);
  }
}

/**
 * A guest process without code: real memory, address space and files, a temporary folder as working directory, and
 * system calls made by name. Its engine only remembers what it was told to forget.
 */
export class SyscallRig {
  readonly memory: GuestMemory;
  readonly task: Task;
  readonly process: Process;
  /** The working directory, removed by `end`. */
  readonly folder: string;
  /** What strace printed. */
  trace = '';
  readonly unimplemented: string[] = [];
  readonly machine: Machine;
  private readonly numbers: ReadonlyMap<string, number>;
  private readonly table: SyscallTable;
  private readonly scratch: number;
  private used = 0;

  constructor(options: RigOptions = {}) {
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), 'tsemu-syscalls-')));
    const { arch = 'arm', confined = false } = options;
    this.machine = machines[arch];
    const { target, names } = this.machine;
    this.numbers = new Map(Object.entries(names).map(([number, name]) => [name, Number(number)]));
    const abi = abiOf(arch, target.layout, target.identity);
    const limits = new ResourceLimits(stackBytes);
    const entropy = createEntropy(options.seed ?? 1n);
    this.table = createSyscallTable({
      entropy,
      traceForm: options.traceForm ?? 'lines',
      strace: options.strace ? (text) => (this.trace += text) : null,
      unimplemented: (line) => this.unimplemented.push(line),
    });
    const engine = { run: () => 0, invalidate() {}, setExactState() {}, serveSyscall: () => false };
    const prefix = options.prefix ?? null;
    const kernel = new Kernel(
      {
        target,
        abi,
        programs: hostPrograms(prefix),
        entropy,
        taskSize: abi.taskSize,
        stackBytes,
        newMemory: protectedMemory,
      },
      this.table,
      (memory) => ({ ...engine, cpu: memory.cpu }) as unknown as GuestEngine,
    );
    const space = kernel.newSpace(limits, 'program');
    this.memory = space.mm.memory;
    space.mm.brkStart = space.mm.brkEnd = 0x20_0000;
    const { group, session } = hostJob();
    const owners = confined ? new Ownership(process.geteuid?.() ?? 0, process.getegid?.() ?? 0) : null;
    const view = createView({ entropy, prefix, root: confined ? this.folder : null, owners });
    this.process = new Process({
      pid: process.pid,
      kernel,
      parent: null,
      abi,
      space,
      files: new FileTable(),
      fs: new FileSystem({ cwd: confined ? '/' : this.folder, umask: 0o022, prefix, entropy, view }),
      network: new Network(options.gate),
      credentials: confined ? rootCredentials() : hostCredentials(),
      limits,
      exePath: join(this.folder, 'program'),
      group,
      session,
    });
    kernel.first = this.process;
    this.task = new Task(process.pid, this.process, abi, space.engine.cpu, 'program');
    space.seat(this.task);
    this.process.tasks.set(this.task.tid, this.task);
    this.scratch = this.mapScratch(0);
  }

  private mapScratch(address: number): number {
    const { mm } = this.process;
    const flags = MapFlags.PRIVATE | MapFlags.ANONYMOUS | (address === 0 ? 0 : MapFlags.FIXED);
    return mm.mmap({ address, length: scratchBytes, prot: 3, flags, file: null, offset: 0 });
  }

  end(): void {
    this.process.timers.stop();
    this.task.files.release();
    removeTree(this.folder);
  }

  /** Closes all descriptors. */
  closeFiles(): void {
    this.task.files.release();
    this.process.files = this.task.files = new FileTable();
  }

  /** Room for `bytes` in guest memory, on 8 bytes. */
  room(bytes: number): number {
    const at = this.scratch + this.used;
    this.used += (bytes + 7) & ~7;
    if (this.used > scratchBytes) throw new Error('the rig is out of scratch memory');
    return at;
  }

  /** Forgets all that `room` gave, and maps the scratch memory again if the guest has taken it away. */
  resetScratch(): void {
    this.mapScratch(this.scratch);
    this.used = 0;
  }

  /** Makes sure that the guest has not taken the scratch memory away. */
  keepScratch(): void {
    if (this.memory.refused(this.scratch, scratchBytes, 3) >= 0) this.resetScratch();
  }

  /** A NUL-terminated copy in guest memory. */
  string(text: string | Uint8Array): number {
    const bytes = Buffer.from(text);
    const at = this.room(bytes.length + 1);
    this.memory.write(at, bytes);
    this.memory.store8(at + bytes.length, 0);
    return at;
  }

  /** The bytes at `at` as text. */
  text(at: number, length: number): string {
    return Buffer.from(this.memory.copy(at, length)).toString();
  }

  /** Makes the call; arguments are register values, strings become pointers. */
  dispatch(name: string | number, ...args: readonly (number | string)[]): number | Promise<number> {
    const number = typeof name === 'number' ? name : this.numbers.get(name);
    if (number === undefined) throw new Error(`no system call ${name}`);
    const values = args.map((value) => (typeof value === 'string' ? this.string(value) : value));
    this.machine.ask(this.task.cpu, number, values);
    return this.table.dispatch(this.task);
  }

  /** The run is over: a trace that waits for that is printed. */
  finishTrace(): void {
    this.table.finish?.();
  }

  /** The result of a call that must not sleep. */
  call(name: string | number, ...args: readonly (number | string)[]): number {
    const result = this.dispatch(name, ...args);
    if (typeof result !== 'number') throw new Error(`${name} sleeps`);
    return result;
  }
}
