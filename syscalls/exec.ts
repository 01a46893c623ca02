import type { GuestMemory } from '#accel/guest-memory.ts';
import { execute } from '#linux-user/exec.ts';
import { LoadError } from '#linux-user/loader/load-error.ts';
import type { ProgramFile } from '#linux-user/loader/program-file.ts';
import { ResourceLimit } from '#linux-user/resource-limits.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, dirfd, flags, path } from './arguments.ts';
import { AT_FDCWD, AtFlag } from './names.ts';
import { locate } from './paths.ts';
import { cstring, pointer } from './print.ts';
import { type Argument, type Rows, row } from './row.ts';

/** Longest single string (MAX_ARG_STRLEN), its NUL included. */
const longestString = 131072;
/** The least that arguments and environment may take (ARG_MAX). */
const leastRoom = 131072;

/** A NULL-terminated array of strings; a null pointer is an empty one. E2BIG past `room` bytes. */
function loadStrings(memory: GuestMemory, at: number, room: number): Uint8Array[] {
  const strings: Uint8Array[] = [];
  if (at === 0) return strings;
  let bytes = 0;
  for (let next = at; ; next += 4) {
    const text = memory.load32(next);
    if (text === 0) return strings;
    try {
      strings.push(memory.cstring(text, longestString));
    } catch (error) {
      throw error instanceof Errno && error.code === 'ENAMETOOLONG' ? new Errno('E2BIG') : error;
    }
    bytes += strings.at(-1)!.length + 5;
    if (bytes > room) throw new Errno('E2BIG');
  }
}

function exec(task: Task, open: () => ProgramFile, name: Uint8Array, argv: number, environment: number): SyscallResult {
  const { memory, process } = task;
  const room = Math.max(leastRoom, Math.floor(process.limits.get(ResourceLimit.STACK).soft / 4));
  const strings = loadStrings(memory, argv, room);
  // Linux gives a program without arguments an empty first one.
  const given = strings.length === 0 ? [new Uint8Array(0)] : strings;
  const variables = loadStrings(memory, environment, room);
  return execute(task, { path: name, file: opened(open), argv: given, environment: variables });
}

function execve(task: Task, name: Uint8Array, argv: number, environment: number): SyscallResult {
  return exec(task, () => program(task, AT_FDCWD, name, true), name, argv, environment);
}

/** The file that is to run. Throws LoadError. */
function program(task: Task, directory: number, name: Uint8Array, follow: boolean): ProgramFile {
  const { process } = task;
  const place = locate(task, directory, name, follow);
  return task.fs.openProgram(process, place, Buffer.from(name).toString());
}

/** Calls `open`, whose LoadError is an errno here. */
function opened(open: () => ProgramFile): ProgramFile {
  try {
    return open();
  } catch (error) {
    throw error instanceof LoadError ? new Errno(error.errno) : error;
  }
}

function execveat(
  task: Task,
  directory: number,
  name: Uint8Array,
  argv: number,
  environment: number,
  how: number,
): SyscallResult {
  if ((how & ~(AtFlag.AT_EMPTY_PATH | AtFlag.AT_SYMLINK_NOFOLLOW)) !== 0) throw new Errno('EINVAL');
  if (name.length > 0) {
    const noFollow = (how & AtFlag.AT_SYMLINK_NOFOLLOW) !== 0;
    if (noFollow && task.fs.stat(task.process, locate(task, directory, name, false), false).mode >> 12n === 10n)
      throw new Errno('ELOOP');
    const relative = directory !== AT_FDCWD && name[0] !== 0x2f;
    const shown = relative ? Buffer.concat([Buffer.from(`/dev/fd/${directory}/`), name]) : name;
    return exec(task, () => program(task, directory, name, !noFollow), shown, argv, environment);
  }
  if ((how & AtFlag.AT_EMPTY_PATH) === 0) throw new Errno('ENOENT');
  const { process } = task;
  const file = task.files.get(directory);
  const shown = Buffer.from(`/dev/fd/${directory}`);
  const place = { kind: 'file', path: Buffer.from(file.path), file } as const;
  return exec(task, () => task.fs.openProgram(process, place, shown.toString()), shown, argv, environment);
}

const strings: Argument<number> = {
  ...address,
  print(raw, { task: { memory } }) {
    if (raw === 0) return 'NULL';
    try {
      const shown: string[] = [];
      for (let at = raw; memory.load32(at) !== 0; at += 4) shown.push(cstring(memory, memory.load32(at)));
      return `[${shown.join(', ')}]`;
    } catch {
      return pointer(raw);
    }
  },
};

/** The environment as strace shortens it. */
const environmentStrings: Argument<number> = {
  ...address,
  print(raw, { task: { memory } }) {
    try {
      let count = 0;
      while (memory.load32(raw + 4 * count) !== 0) count++;
      return `${pointer(raw)} /* ${count} vars */`;
    } catch {
      return pointer(raw);
    }
  },
};

/** fs/exec.c. */
export const execCalls: Rows = {
  execve: row({ path, argv: strings, environment: environmentStrings }, (task, args) =>
    execve(task, args.path, args.argv, args.environment),
  ),
  execveat: row(
    { directory: dirfd, path, argv: strings, environment: environmentStrings, flags: flags(AtFlag) },
    (task, args) => execveat(task, args.directory, args.path, args.argv, args.environment, args.flags),
  ),
};
