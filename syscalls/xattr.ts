import { Access } from '#accel/guest-memory.ts';
import type { Task } from '#linux-user/task.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { XattrFlag, type Xattrs, xattrNames, xattrsOfFile, xattrsOfPlace } from '#linux-user/vfs/xattr.ts';
import { Errno } from '#util/errno.ts';
import { address, bufferIn, bufferOut, fd, flags, path, uint } from './arguments.ts';
import { base, locate } from './paths.ts';
import { partial, type Row, type Rows, row } from './row.ts';

/** Longest name, and longest value (XATTR_NAME_MAX, XATTR_SIZE_MAX). */
const longestName = 255;
const longestValue = 65536;

type Target = { readonly name: Uint8Array; readonly follow: boolean } | { readonly fd: number };

function attributes(task: Task, target: Target): Xattrs {
  const { files, fs } = task;
  if ('fd' in target) {
    const file = files.get(target.fd);
    if ((file.flags & Open.path) !== 0) throw new Errno('EBADF');
    return xattrsOfFile(file, fs.confined);
  }
  return xattrsOfPlace(locate(task, base.cwd, target.name, target.follow), target.follow, fs.confined);
}

function attributeName(name: Uint8Array): string {
  if (name.length === 0 || name.length > longestName) throw new Errno('ERANGE');
  return Buffer.from(name).toString('latin1');
}

/** Gives a value whose length can be asked for with a size of 0. ERANGE. */
function give(task: Task, bytes: Uint8Array, to: number, size: number): number {
  if (size === 0) return bytes.length;
  if (bytes.length > size) throw new Errno('ERANGE');
  task.memory.write(to, bytes);
  return bytes.length;
}

function set(task: Task, target: Target, name: Uint8Array, value: number, size: number, how: number): number {
  if ((how & ~3) !== 0 || how === 3) throw new Errno('EINVAL');
  const text = attributeName(name);
  if (size > longestValue) throw new Errno('E2BIG');
  task.memory.require(value, size, Access.read);
  attributes(task, target).set(text, task.memory.copy(value, size), how);
  return 0;
}

function get(task: Task, target: Target, name: Uint8Array, to: number, size: number): number {
  const text = attributeName(name);
  return give(task, attributes(task, target).get(text), to, size);
}

function list(task: Task, target: Target, to: number, size: number): number {
  const names = xattrNames(attributes(task, target)).map((name) => `${name}\0`);
  return give(task, Buffer.from(names.join(''), 'latin1'), to, size);
}

function remove(task: Task, target: Target, name: Uint8Array): number {
  attributes(task, target).remove(attributeName(name));
  return 0;
}

const missing = 'only "user." on files in memory, and nothing on hosts that are not Linux (EOPNOTSUPP)';
const setFlags = flags(XattrFlag);
const values = { name: path, value: bufferIn('size'), size: uint } as const;

function pathCalls(follow: boolean): Record<'set' | 'get' | 'list' | 'remove', Row> {
  return {
    set: row({ path, ...values, flags: setFlags }, (task, args) =>
      set(task, { name: args.path, follow }, args.name, args.value, args.size, args.flags),
    ),
    get: row({ path, name: path, value: bufferOut, size: uint }, (task, args) =>
      get(task, { name: args.path, follow }, args.name, args.value, args.size),
    ),
    list: row({ path, list: address, size: uint }, (task, args) =>
      list(task, { name: args.path, follow }, args.list, args.size),
    ),
    remove: row({ path, name: path }, (task, args) => remove(task, { name: args.path, follow }, args.name)),
  };
}

const followed = pathCalls(true);
const links = pathCalls(false);

/** fs/xattr.c. */
export const xattrCalls: Rows = {
  setxattr: partial(missing, followed.set),
  lsetxattr: partial(missing, links.set),
  fsetxattr: partial(
    missing,
    row({ fd, ...values, flags: setFlags }, (task, args) =>
      set(task, args, args.name, args.value, args.size, args.flags),
    ),
  ),
  getxattr: partial(missing, followed.get),
  lgetxattr: partial(missing, links.get),
  fgetxattr: partial(
    missing,
    row({ fd, name: path, value: bufferOut, size: uint }, (task, args) =>
      get(task, args, args.name, args.value, args.size),
    ),
  ),
  listxattr: partial(missing, followed.list),
  llistxattr: partial(missing, links.list),
  flistxattr: partial(
    missing,
    row({ fd, list: address, size: uint }, (task, args) => list(task, args, args.list, args.size)),
  ),
  removexattr: partial(missing, followed.remove),
  lremovexattr: partial(missing, links.remove),
  fremovexattr: partial(
    missing,
    row({ fd, name: path }, (task, args) => remove(task, args, args.name)),
  ),
};
