import type { GuestMemory } from '#accel/guest-memory.ts';
import type { OpenFlags } from '#linux-user/abi/abi.ts';
import { Signal, signalName } from '#linux-user/signal/numbers.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { AT_FDCWD } from './names.ts';
import { bits, buffer, cstring, hex, named, octalMode, pointer } from './print.ts';
import type { Argument, ArgumentCursor, TracedCall } from './row.ts';

/*
 * The argument vocabulary: each kind says how an argument is taken from the registers, what the handler gets, and how
 * strace shows it. Kinds for pointers check nothing: handlers go through GuestMemory, which does.
 */

const word = (cursor: ArgumentCursor): number => cursor.word();
const signedWord = (cursor: ArgumentCursor): number => cursor.word() | 0;

function numeric(
  raw: (cursor: ArgumentCursor) => number,
  print: Argument<number>['print'],
  out = false,
): Argument<number> {
  return { raw, value: (value) => value, print, out };
}

/** int, long: i32. */
export const int = numeric(signedWord, String);
/** unsigned int, size_t: u32. */
export const uint = numeric(word, String);
/** A word shown in hexadecimal. */
export const hexWord = numeric(word, hex);
/** A file descriptor. */
export const fd = numeric(signedWord, String);
/** The directory of an *at call. */
export const dirfd = numeric(signedWord, (value) => (value === AT_FDCWD ? 'AT_FDCWD' : String(value)));
/** A guest address: u32. */
export const address = numeric(word, pointer);
/** Permission bits. */
export const mode = numeric(word, octalMode);
/** A 64-bit offset or length in an aligned register pair: a number exact to 2^53. */
export const off64 = numeric((cursor) => cursor.pair(), String);
/** A user or group id; -1 is "leave it". */
export const id = numeric(signedWord, (value) => (value === -1 ? '-1' : String(value >>> 0)));
/** A signal number. */
export const signal = numeric(signedWord, (value) => (value > 0 && value <= 64 ? signalName(value) : String(value)));
/** An argument that the call has and nothing reads; not shown. */
export const unused = numeric(word, String);

/** A path or other NUL-terminated string: its bytes. EFAULT, ENAMETOOLONG. */
export const path: Argument<Uint8Array> = {
  raw: word,
  value: (raw, task) => task.memory.cstring(raw),
  print: (raw, { task }) => cstring(task.memory, raw),
  out: false,
};

/** A path that may be a null pointer. */
export const optionalPath: Argument<Uint8Array | null> = {
  ...path,
  value: (raw, task) => (raw === 0 ? null : task.memory.cstring(raw)),
};

/** A buffer the call reads; its length is the argument named. The handler gets the address. */
export const bufferIn = (length: string): Argument<number> =>
  numeric(word, (raw, { task, raw: all }) => buffer(task.memory, raw, all[length]));

/** A buffer the call fills; the result is its length. The handler gets the address. */
export const bufferOut: Argument<number> = numeric(
  word,
  (raw, { task, result = -1 }) => (result < 0 ? pointer(raw) : buffer(task.memory, raw, result)),
  true,
);

/** A string the call fills and ends with NUL (getcwd). */
export const stringOut: Argument<number> = numeric(
  word,
  (raw, { task, result = -1 }) => (result < 0 ? pointer(raw) : cstring(task.memory, raw)),
  true,
);

/** Flags with names. */
export const flags = (names: Readonly<Record<string, number>>): Argument<number> =>
  numeric(word, (value) => bits(value, names));

/** One of several named values. */
export const oneOf = (names: Readonly<Record<string, number>>): Argument<number> =>
  numeric(signedWord, (value) => named(names === unsignedNames(names) ? value >>> 0 : value, names));

/** Tables with numbers past 2^31 are of unsigned words. */
function unsignedNames(names: Readonly<Record<string, number>>): Readonly<Record<string, number>> | null {
  return Object.values(names).some((value) => value > 0x7fffffff) ? names : null;
}

/** Shows what a pointer leads to; an EFAULT leaves the address. */
export type StructPrinter = (memory: GuestMemory, address: number, call: TracedCall) => string;

function printStruct(print: StructPrinter, raw: number, call: TracedCall): string {
  if (raw === 0) return 'NULL';
  try {
    return print(call.task.memory, raw, call);
  } catch {
    return hex(raw);
  }
}

/** A struct the call reads. The handler gets the address. */
export const structIn = (print: StructPrinter): Argument<number> =>
  numeric(word, (raw, call) => printStruct(print, raw, call));

/** A struct the call fills, shown once it has. The handler gets the address. */
export const structOut = (print: StructPrinter): Argument<number> =>
  numeric(word, (raw, call) => ((call.result ?? -1) < 0 ? pointer(raw) : printStruct(print, raw, call)), true);

/** Where the guest's numbers for open flags differ: its name in the ABI, ours. */
const openFlagPairs: readonly (readonly [keyof OpenFlags, number])[] = [
  ['O_DIRECTORY', Open.directory],
  ['O_NOFOLLOW', Open.noFollow],
  ['O_DIRECT', Open.direct],
  ['O_LARGEFILE', Open.largeFile],
];
const differingBits = openFlagPairs.reduce((all, [, bit]) => all | bit, 0);

const openFlagNames: Readonly<Record<string, number>> = {
  O_CREAT: Open.create,
  O_EXCL: Open.exclusive,
  O_NOCTTY: Open.noCtty,
  O_TRUNC: Open.truncate,
  O_APPEND: Open.append,
  O_NONBLOCK: Open.nonBlock,
  O_SYNC: Open.syncBit | Open.dsync,
  O_DSYNC: Open.dsync,
  FASYNC: Open.async,
  O_DIRECT: Open.direct,
  O_LARGEFILE: Open.largeFile,
  O_TMPFILE: Open.tmpFileBit | Open.directory,
  O_DIRECTORY: Open.directory,
  O_NOFOLLOW: Open.noFollow,
  O_NOATIME: Open.noAtime,
  O_CLOEXEC: Open.closeOnExec,
  O_PATH: Open.path,
};

/** The guest's open flags in our numbers. */
export function fromGuestOpenFlags(task: Task, guest: number): number {
  const { openFlags } = task.abi;
  let ours = guest & ~differingBits;
  for (const [name] of openFlagPairs) ours &= ~openFlags[name];
  for (const [name, bit] of openFlagPairs) if ((guest & openFlags[name]) !== 0) ours |= bit;
  return ours;
}

/** Our open flags in the guest's numbers. */
export function toGuestOpenFlags(task: Task, ours: number): number {
  let guest = ours & ~differingBits;
  for (const [name, bit] of openFlagPairs) if ((ours & bit) !== 0) guest |= task.abi.openFlags[name];
  return guest;
}

/** `O_RDONLY|O_CLOEXEC`, from our numbers. */
export function printOpenFlags(ours: number): string {
  const access = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'][ours & Open.accessMode];
  const rest = ours & ~Open.accessMode;
  return rest === 0 ? access : `${access}|${bits(rest, openFlagNames)}`;
}

/** Flags of open: the handler gets them in our numbers. */
export const openFlags: Argument<number> = {
  raw: word,
  value: (raw, task) => fromGuestOpenFlags(task, raw),
  print: (raw, { task }) => printOpenFlags(fromGuestOpenFlags(task, raw)),
  out: false,
};

/** The mode of open, which is there only if a file may be made. */
export const createMode: Argument<number> = {
  ...mode,
  print: (raw, { raw: all }) => ((all.flags & (Open.create | Open.tmpFileBit)) === 0 ? '' : octalMode(raw)),
};

/** O_CLOEXEC, O_NONBLOCK and the like of calls that make descriptors. */
export const descriptorFlags: Argument<number> = {
  ...openFlags,
  print: (raw, { task }) => bits(fromGuestOpenFlags(task, raw), openFlagNames),
};

export const signalNames: Readonly<Record<string, number>> = Signal;
