import { createEntropy, type Entropy } from '#linux-user/entropy.ts';
import type { Process } from '#linux-user/process.ts';
import { filterCall } from '#linux-user/seccomp.ts';
import type { SigInfo } from '#linux-user/signal/siginfo.ts';
import type { SyscallResult, SyscallTable } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { errnoNumbers, errnoOf } from '#util/errno.ts';
import { createLog } from '#util/log.ts';
import { armCalls } from './arm.ts';
import { commonSubjects } from './common-calls.ts';
import { CountTracer } from './count-tracer.ts';
import { fileCalls } from './file.ts';
import { i386Calls, i386Names } from './i386.ts';
import { JsonTracer } from './json-tracer.ts';
import { loadSockets } from './lazy.ts';
import { armSyscallNames } from './nr/arm.ts';
import { processCalls } from './process.ts';
import { processSubjects } from './process-calls.ts';
import { rareSubjects } from './rare-calls.ts';
import type { Refusal, Row, Rows } from './row.ts';
import { type CallTracer, LineTracer, type TraceForm } from './tracer.ts';

const log = createLog('syscalls');

export type SyscallArch = 'arm' | 'i386';

export interface SyscallTableOptions {
  /** -strace: takes pieces of lines, in order. */
  readonly strace?: ((text: string) => void) | null;
  readonly traceForm?: TraceForm;
  /** -d unimp: takes a line, without its newline, for each unimplemented call the guest makes, once per number. */
  readonly unimplemented?: ((line: string) => void) | null;
  /** uname -r (-r); null for ours. */
  readonly release?: string | null;
  /** All randomness of the guest; null for the host's. */
  readonly entropy?: Entropy | null;
}

/** Number to name, for each guest architecture. */
const syscallNames: Readonly<Record<SyscallArch, () => Readonly<Record<number, string>>>> = {
  arm: () => armSyscallNames,
  i386: i386Names,
};

/** The calls that have a handler, by subject and name, of which no program does without one. */
const firstSubjects: readonly Rows[] = [fileCalls, processCalls, armCalls];

/** The other subjects, loaded in this order until a call is found. */
const lateSubjects = (release: string | null, entropy: Entropy): readonly (() => readonly Rows[])[] => [
  () => commonSubjects({ release, entropy }),
  processSubjects,
  rareSubjects,
  () => loadSockets().socketSubjects,
];

/** All calls that have a handler, by name. */
export function allRows(release: string | null, entropy: Entropy): Rows {
  const late = lateSubjects(release, entropy).flatMap((load) => load());
  const rows: Rows = Object.assign({}, ...firstSubjects, ...late);
  return { ...rows, ...i386Calls(rows) };
}

/** Node's own refusals of arguments that a kernel would refuse too. */
const nodeRefusals: Readonly<Record<string, number>> = {
  ERR_OUT_OF_RANGE: errnoNumbers.EINVAL,
  ERR_INVALID_ARG_VALUE: errnoNumbers.EINVAL,
  ERR_FS_FILE_TOO_LARGE: errnoNumbers.EFBIG,
  ERR_FS_EISDIR: errnoNumbers.EISDIR,
};

/** The negative errno of what a handler threw. Rethrows what is no error of the guest's: a bug of ours. */
function failure(error: unknown): number {
  const number = errnoOf(error);
  if (number !== undefined) return -number;
  const { code, errno } = error as { code?: unknown; errno?: unknown };
  if (typeof code === 'string' && code in nodeRefusals) return -nodeRefusals[code];
  // An error that Node has no name for carries the host's number, which on Linux is the guest's.
  if (code === 'UNKNOWN' && typeof errno === 'number' && errno < 0 && process.platform === 'linux') return errno;
  throw error;
}

const tracers = { lines: LineTracer, json: JsonTracer, count: CountTracer } as const;

/** The calls of one architecture by number. */
interface NumberedCalls {
  readonly names: Readonly<Record<number, string>>;
  /** Those that were called. */
  readonly rows: (Row | undefined)[];
}

class Table implements SyscallTable {
  private readonly late: ReturnType<typeof lateSubjects>;
  private readonly every: () => Rows;
  /** Those of all architectures, made when one other than ARM asks. */
  private all: Rows | null = null;
  private readonly byArchitecture = new Map<string, NumberedCalls>();
  private readonly tracer: CallTracer | null;
  private readonly unimplemented: ((line: string) => void) | null;
  private readonly reported = new Set<string>();
  /** The architecture of the last call, and its calls. */
  private last = '';
  private calls: NumberedCalls = { names: {}, rows: [] };

  constructor(options: SyscallTableOptions) {
    const { release = null } = options;
    const entropy = options.entropy ?? createEntropy(null);
    this.late = lateSubjects(release, entropy);
    this.every = () => allRows(release, entropy);
    this.tracer = options.strace ? new tracers[options.traceForm ?? 'lines'](options.strace) : null;
    this.unimplemented = options.unimplemented ?? null;
  }

  dispatch(task: Task): SyscallResult {
    const { abi, cpu } = task;
    if (abi.name !== this.last) this.enter(abi.name);
    const number = abi.syscallNumber(cpu);
    const found = this.calls.rows[number] ?? this.find(number);
    if (this.tracer === null) return this.answer(task, number, found);
    const name = this.calls.names[number] ?? `syscall_${number}`;
    return this.tracer.trace(task, name, found ?? null, () => this.answer(task, number, found));
  }

  private answer(task: Task, number: number, found: Row | undefined): SyscallResult {
    if (task.seccomp !== null) {
      const verdict = filterCall(task, number, this.calls.names[number]);
      if (verdict !== null) return verdict;
    }
    return found === undefined ? this.refuse(number) : this.serve(found, task);
  }

  /** The calls that follow are those of another architecture. */
  private enter(architecture: string): void {
    let calls = this.byArchitecture.get(architecture);
    if (calls === undefined) {
      calls = { names: syscallNames[architecture as SyscallArch](), rows: [] };
      this.byArchitecture.set(architecture, calls);
    }
    this.last = architecture;
    this.calls = calls;
  }

  /** The row of a number that was not called before. */
  private find(number: number): Row | undefined {
    const { names, rows } = this.calls;
    const name = Object.hasOwn(names, number) ? names[number] : '';
    const found = this.rowOf(name);
    if (found !== undefined) rows[number] = found;
    return found;
  }

  private rowOf(name: string): Row | undefined {
    const has = (each: Rows): boolean => Object.hasOwn(each, name);
    if (this.last === 'arm') {
      let found = firstSubjects.find(has);
      for (let i = 0; found === undefined && i < this.late.length; i++) found = this.late[i]().find(has);
      return found?.[name];
    }
    this.all ??= this.every();
    return has(this.all) ? this.all[name] : undefined;
  }

  private serve(found: Row, task: Task): SyscallResult {
    try {
      const result = found.call(task);
      return typeof result === 'number' ? result : result.catch(failure);
    } catch (error) {
      return failure(error);
    }
  }

  signal(task: Task, info: SigInfo): void {
    this.tracer?.signal(task, info);
  }

  ended(process: Process): void {
    this.tracer?.ended(process);
  }

  finish(): void {
    this.tracer?.finish();
  }

  private refuse(number: number): number {
    const key = `${this.last} ${number}`;
    if (!this.reported.has(key)) {
      this.reported.add(key);
      const line = `unimplemented system call ${this.calls.names[number] ?? 'of no name'} (${number})`;
      log('%s', line);
      this.unimplemented?.(line);
    }
    return -errnoNumbers.ENOSYS;
  }
}

/** The system calls of all guest architectures, as `src/` gives them to the kernel layer. */
export function createSyscallTable(options: SyscallTableOptions): SyscallTable {
  return new Table(options);
}

/** What the documented coverage says of one name. */
export type Coverage = 'complete' | 'ENOSYS' | { readonly missing: string } | Refusal;

/** All names of an architecture, in the order of their numbers, with what is served. */
export function coverage(arch: SyscallArch): readonly (readonly [number: number, name: string, Coverage])[] {
  const rows = allRows(null, createEntropy(null));
  return Object.entries(syscallNames[arch]()).map(([number, name]) => {
    const found = Object.hasOwn(rows, name) ? rows[name] : undefined;
    return [Number(number), name, stateOf(found)];
  });
}

function stateOf(found: Row | undefined): Coverage {
  if (found === undefined) return 'ENOSYS';
  if (found.refusal !== null) return found.refusal;
  return found.missing === null ? 'complete' : { missing: found.missing };
}
