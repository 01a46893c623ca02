import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno, type ErrnoName } from '#util/errno.ts';

/** Reads the arguments of one call from the registers, in order. */
export class ArgumentCursor {
  private task!: Task;
  private index = 0;
  private words: readonly number[] | null = null;

  /** `words`: the arguments of a call that comes through another one; null: they are in the registers. */
  start(task: Task, words: readonly number[] | null = null): this {
    this.task = task;
    this.index = 0;
    this.words = words;
    return this;
  }

  /** The next word, u32. */
  word(): number {
    const { abi, cpu } = this.task;
    if (this.words !== null) return this.words[this.index++];
    return abi.argument(cpu, this.index++);
  }

  /** The next 64-bit argument as a number (exact to 2^53, which is beyond every file and time). */
  pair(): number {
    if (this.task.abi.alignPairs) this.index += this.index & 1;
    const low = this.word();
    return (this.word() | 0) * 2 ** 32 + low;
  }
}

/** A call as -strace prints it: raw arguments by name, and the result once it is there. */
export interface TracedCall {
  readonly task: Task;
  readonly raw: Readonly<Record<string, number>>;
  /** What the call returned (a negative errno for failure); undefined before it has. */
  readonly result: number | undefined;
}

/** One kind of argument: how it is taken from registers, what the handler gets, and how strace shows it. */
export interface Argument<T> {
  /** From registers: i32, u32, or a 64-bit number. */
  raw(cursor: ArgumentCursor): number;
  /** What the handler gets. Throws Errno (EFAULT for a bad pointer). */
  value(raw: number, task: Task): T;
  print(raw: number, call: TracedCall): string;
  /** True if it is printed only after the call, which fills it in. */
  readonly out: boolean;
}

export type Arguments = Readonly<Record<string, Argument<unknown>>>;
export type Values<A extends Arguments> = { readonly [Name in keyof A]: A[Name] extends Argument<infer T> ? T : never };

/** How strace shows a result that is no error. */
export type Returns = 'number' | 'address' | 'octal' | 'nothing';

/** A deliberate error. */
export interface Refusal {
  readonly errno: ErrnoName;
  readonly reason: string;
}

/** One system call. */
export interface Row {
  readonly arguments: readonly (readonly [name: string, kind: Argument<unknown>])[];
  readonly returns: Returns;
  /** What is missing of it, for the documented coverage; null for a complete one. */
  readonly missing: string | null;
  /** The error that every call gets, and why, for the documented coverage; null for a row that serves. */
  readonly refusal: Refusal | null;
  /**
   * Decodes the registers, or the u32 words that a multiplexing call has collected, and runs the handler. Throws what
   * the handler throws.
   */
  call(task: Task, words?: readonly number[]): SyscallResult;
}

export type Rows = Readonly<Record<string, Row>>;

const cursor = new ArgumentCursor();

/** The raw arguments of a call, for strace. */
export function rawArguments(row: Row, task: Task): Record<string, number> {
  cursor.start(task);
  const raw: Record<string, number> = {};
  for (const [name, kind] of row.arguments) raw[name] = kind.raw(cursor);
  return raw;
}

type Handler = (task: Task, args: Readonly<Record<string, unknown>>) => SyscallResult;

/** Most rows are never called: one costs little to make, and its first call prepares it. */
class HandledRow implements Row {
  readonly returns: Returns;
  readonly missing: string | null = null;
  readonly refusal: Refusal | null = null;
  private readonly args: Arguments;
  private readonly handler: Handler;
  private names: readonly string[] | null = null;
  private kinds: readonly Argument<unknown>[] = [];
  private record: Record<string, unknown> | null = null;

  constructor(args: Arguments, handler: Handler, returns: Returns) {
    this.args = args;
    this.handler = handler;
    this.returns = returns;
  }

  get arguments(): Row['arguments'] {
    return Object.entries(this.args);
  }

  call(task: Task, words?: readonly number[]): SyscallResult {
    if (this.names === null) this.prepare();
    const { kinds } = this;
    const names = this.names!;
    const record = this.record!;
    cursor.start(task, words);
    for (let i = 0; i < kinds.length; i++) record[names[i]] = kinds[i].value(kinds[i].raw(cursor), task);
    return this.handler(task, record);
  }

  private prepare(): void {
    this.names = Object.keys(this.args);
    this.kinds = Object.values(this.args);
    this.record = Object.fromEntries(this.names.map((name) => [name, undefined]));
  }
}

/**
 * A row of the table. The handler gets its arguments by name in a record that the next call of the same name uses
 * again: destructure it in the parameter list. It returns the result, throws `Errno` (or a Node error, whose code is
 * the same), and returns a promise only where Linux may sleep.
 */
export const row = <A extends Arguments>(
  args: A,
  handler: (task: Task, args: Values<A>) => SyscallResult,
  returns: Returns = 'number',
): Row => new HandledRow(args, handler as Handler, returns);

/** A row that differs in what is said of it. */
const changed = (of: Row, what: Partial<Row>): Row =>
  Object.assign(Object.create(Object.getPrototypeOf(of) as object) as Row, of, what);

/** Marks a row as not complete; `missing` goes into the documented coverage. */
export const partial = (missing: string, complete: Row): Row => changed(complete, { missing });

/** A row that answers every call with the same error, as a kernel does that lacks something or denies it to all. */
export function refused(errno: ErrnoName, reason: string, args: Arguments = {}): Row {
  const refuse = (): never => {
    throw new Errno(errno);
  };
  return changed(row(args, refuse), { refusal: { errno, reason } });
}

/** What a kernel answers that was built without the call: programs have another way. */
export const absent = (reason: string, args: Arguments = {}): Row => refused('ENOSYS', reason, args);
