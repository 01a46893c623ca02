import { Access } from '#accel/guest-memory.ts';
import type { Credentials } from '#linux-user/credentials.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, id, int, structOut } from './arguments.ts';
import { partial, type Row, type Rows, row } from './row.ts';

type IdKind = 'uid' | 'gid';
const names = {
  uid: { real: 'uid', effective: 'euid', saved: 'suid', file: 'fsuid' },
  gid: { real: 'gid', effective: 'egid', saved: 'sgid', file: 'fsgid' },
} as const;

/** root in a tree of its own (--root) is what it likes: the host is not asked. */
const privileged = ({ process: { credentials, fs } }: Task): boolean => fs.owners !== null && credentials.euid === 0;

/** The ids that a process may take. */
function allowed(task: Task, kind: IdKind, value: number): boolean {
  if (privileged(task)) return true;
  const { credentials } = task.process;
  const { real, effective, saved } = names[kind];
  return [credentials[real], credentials[effective], credentials[saved]].includes(value);
}

/**
 * Sets ids (-1: leave). Taking one that is held already is allowed; any other would have to change the host process,
 * whose ids stay: EPERM, as for a process without privileges. In a tree of its own root may.
 */
function setIds(task: Task, kind: IdKind, real: number, effective: number, saved: number): number {
  const { credentials } = task.process;
  for (const value of [real, effective, saved]) {
    if (value !== -1 && !allowed(task, kind, value >>> 0)) throw new Errno('EPERM');
  }
  const field = names[kind];
  if (real !== -1) credentials[field.real] = real >>> 0;
  if (effective !== -1) credentials[field.effective] = credentials[field.file] = effective >>> 0;
  if (saved !== -1) credentials[field.saved] = saved >>> 0;
  return 0;
}

/** setuid: a privileged process changes all three. */
function setId(task: Task, kind: IdKind, value: number): number {
  const { credentials } = task.process;
  const all = credentials.euid === 0;
  if (value === -1) throw new Errno('EINVAL');
  return setIds(task, kind, all ? value : -1, value, all ? value : -1);
}

function setFileId(task: Task, kind: IdKind, value: number): number {
  const { credentials } = task.process;
  const field = names[kind].file;
  const old = credentials[field];
  if (allowed(task, kind, value >>> 0)) credentials[field] = value >>> 0;
  return old | 0;
}

function storeIds(task: Task, kind: IdKind, pointers: readonly number[]): number {
  const { real, effective, saved } = names[kind];
  const values = [real, effective, saved].map((field) => task.process.credentials[field]);
  pointers.forEach((at, index) => task.memory.store32(at, values[index]));
  return 0;
}

function getgroups(task: Task, size: number, list: number, bytes: 2 | 4): number {
  const { groups } = task.process.credentials;
  if (size < 0) throw new Errno('EINVAL');
  if (size === 0) return groups.length;
  if (size < groups.length) throw new Errno('EINVAL');
  task.memory.require(list, bytes * groups.length, Access.write);
  groups.forEach((group, index) => {
    if (bytes === 2) task.memory.store16(list + 2 * index, group);
    else task.memory.store32(list + 4 * index, group);
  });
  return groups.length;
}

/** Only the groups it has already. */
function setgroups(task: Task, size: number, list: number, bytes: 2 | 4): number {
  if (size < 0 || size > 65536) throw new Errno('EINVAL');
  const { credentials } = task.process;
  const { groups } = credentials;
  const wanted: number[] = [];
  for (let index = 0; index < size; index++) {
    const group = bytes === 2 ? task.memory.load16(list + 2 * index) : task.memory.load32(list + 4 * index);
    if (!privileged(task) && !groups.includes(group)) throw new Errno('EPERM');
    wanted.push(group);
  }
  if (privileged(task)) credentials.groups = wanted;
  return 0;
}

/** The 16-bit call and the 32-bit one differ in their width only: an id that does not fit is the overflow id. */
const overflowId = 65534;
const narrow = (value: number): number => (value > 0xffff ? overflowId : value);
const widen = (value: number): number => ((value & 0xffff) === 0xffff ? -1 : value & 0xffff);

const idOut = structOut((memory, at) => `[${memory.load32(at)}]`);

function idCalls(kind: IdKind): Rows {
  const get = (field: keyof Credentials): Row => row({}, (task) => task.process.credentials[field] as number);
  const getNarrow = (field: keyof Credentials): Row =>
    row({}, (task) => narrow(task.process.credentials[field] as number));
  const own = 'only to ids the process has, but for root under --root';
  const { real, effective } = names[kind];
  return {
    [`get${kind}`]: getNarrow(real),
    [`get${kind}32`]: get(real),
    [`gete${kind}`]: getNarrow(effective),
    [`gete${kind}32`]: get(effective),
    [`set${kind}`]: partial(
      own,
      row({ id }, (task, { id: value }) => setId(task, kind, widen(value))),
    ),
    [`set${kind}32`]: partial(
      own,
      row({ id }, (task, { id: value }) => setId(task, kind, value)),
    ),
    [`setre${kind}`]: partial(
      own,
      row({ real: id, effective: id }, (task, ids) => setIds(task, kind, widen(ids.real), widen(ids.effective), -1)),
    ),
    [`setre${kind}32`]: partial(
      own,
      row({ real: id, effective: id }, (task, ids) => setIds(task, kind, ids.real, ids.effective, -1)),
    ),
    [`setres${kind}`]: partial(
      own,
      row({ real: id, effective: id, saved: id }, (task, ids) =>
        setIds(task, kind, widen(ids.real), widen(ids.effective), widen(ids.saved)),
      ),
    ),
    [`setres${kind}32`]: partial(
      own,
      row({ real: id, effective: id, saved: id }, (task, ids) =>
        setIds(task, kind, ids.real, ids.effective, ids.saved),
      ),
    ),
    [`getres${kind}32`]: row({ real: idOut, effective: idOut, saved: idOut }, (task, at) =>
      storeIds(task, kind, [at.real, at.effective, at.saved]),
    ),
    [`setfs${kind}`]: partial(
      own,
      row({ id }, (task, { id: value }) => setFileId(task, kind, widen(value))),
    ),
    [`setfs${kind}32`]: partial(
      own,
      row({ id }, (task, { id: value }) => setFileId(task, kind, value)),
    ),
  };
}

const _LINUX_CAPABILITY_VERSION_3 = 0x20080522;

/** capget(2): all or none, by the effective user id. */
function capget(task: Task, header: number, data: number): SyscallResult {
  const { memory } = task;
  const version = memory.load32(header);
  const pid = memory.load32(header + 4) | 0;
  if (version !== _LINUX_CAPABILITY_VERSION_3) {
    memory.store32(header, _LINUX_CAPABILITY_VERSION_3);
    if (data === 0) return 0;
    throw new Errno('EINVAL');
  }
  if (pid !== 0 && task.process.kernel.processes.find(pid) === undefined) throw new Errno('ESRCH');
  if (data === 0) return 0;
  const root = task.process.credentials.euid === 0;
  const words = root ? [0xffffffff, 0xffffffff, 0, 0x1ff, 0x1ff, 0] : [0, 0, 0, 0, 0, 0];
  memory.require(data, 24, Access.write);
  words.forEach((word, index) => memory.store32(data + 4 * index, word));
  return 0;
}

/** kernel/sys.c, kernel/groups.c. */
export const identityCalls: Rows = {
  ...idCalls('uid'),
  ...idCalls('gid'),
  getgroups: row({ size: int, list: address }, (task, { size, list }) => getgroups(task, size, list, 2)),
  getgroups32: row({ size: int, list: address }, (task, { size, list }) => getgroups(task, size, list, 4)),
  setgroups: partial(
    'only groups the process has, but for root under --root',
    row({ size: int, list: address }, (task, { size, list }) => setgroups(task, size, list, 2)),
  ),
  setgroups32: partial(
    'only groups the process has, but for root under --root',
    row({ size: int, list: address }, (task, { size, list }) => setgroups(task, size, list, 4)),
  ),
  capget: partial(
    'all or none, by the user id',
    row({ header: address, data: address }, (task, { header, data }) => capget(task, header, data)),
  ),
};
