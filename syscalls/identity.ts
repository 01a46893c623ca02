import { Access } from '#accel/guest-memory.ts';
import { allCapabilities, Capability, type Credentials, capable, followUserIds } from '#linux-user/credentials.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { id, int, type StructPrinter, structIn, structOut } from './arguments.ts';
import { braces, hex } from './print.ts';
import { partial, type Row, type Rows, row } from './row.ts';

type IdKind = 'uid' | 'gid';
const names = {
  uid: { real: 'uid', effective: 'euid', saved: 'suid', file: 'fsuid' },
  gid: { real: 'gid', effective: 'egid', saved: 'sgid', file: 'fsgid' },
} as const;

/** May the thread take any id of this kind? */
const privileged = (credentials: Credentials, kind: IdKind): boolean =>
  capable(credentials, kind === 'uid' ? Capability.SETUID : Capability.SETGID);

function mayTake(
  credentials: Credentials,
  kind: IdKind,
  value: number,
  among: readonly (keyof Credentials)[],
): boolean {
  return privileged(credentials, kind) || among.some((field) => credentials[field] === value);
}

/** Changes ids (-1: leave), and what follows from that. */
function change(task: Task, kind: IdKind, real: number, effective: number, saved: number): void {
  const { credentials } = task;
  const { uid, euid, suid } = credentials;
  const field = names[kind];
  if (real !== -1) credentials[field.real] = real >>> 0;
  if (effective !== -1) credentials[field.effective] = credentials[field.file] = effective >>> 0;
  if (saved !== -1) credentials[field.saved] = saved >>> 0;
  if (kind !== 'uid') return;
  followUserIds(credentials, { uid, euid, suid });
  if (credentials.euid !== euid) task.process.dumpable = false;
}

/** setresuid(2), setresgid(2): each to one of the three that are held, or to any with the privilege. */
function setThree(task: Task, kind: IdKind, real: number, effective: number, saved: number): number {
  const field = names[kind];
  const held = [field.real, field.effective, field.saved];
  for (const value of [real, effective, saved]) {
    if (value !== -1 && !mayTake(task.credentials, kind, value >>> 0, held)) throw new Errno('EPERM');
  }
  change(task, kind, real, effective, saved);
  return 0;
}

/** setreuid(2), setregid(2): the saved id follows where the real one is set, or the effective one to another. */
function setTwo(task: Task, kind: IdKind, real: number, effective: number): number {
  const { credentials } = task;
  const field = names[kind];
  const realFrom = [field.real, field.effective];
  if (real !== -1 && !mayTake(credentials, kind, real >>> 0, realFrom)) throw new Errno('EPERM');
  const effectiveFrom = [...realFrom, field.saved];
  if (effective !== -1 && !mayTake(credentials, kind, effective >>> 0, effectiveFrom)) throw new Errno('EPERM');
  const follows = real !== -1 || (effective !== -1 && effective >>> 0 !== credentials[field.real]);
  const next = effective === -1 ? credentials[field.effective] : effective >>> 0;
  change(task, kind, real, effective, follows ? next | 0 : -1);
  return 0;
}

/** setuid(2), setgid(2): with the privilege all three, else the effective id to the real or saved one. */
function setOne(task: Task, kind: IdKind, value: number): number {
  const { credentials } = task;
  if (value === -1) throw new Errno('EINVAL');
  const field = names[kind];
  const all = privileged(credentials, kind);
  if (!mayTake(credentials, kind, value >>> 0, [field.real, field.saved])) throw new Errno('EPERM');
  change(task, kind, all ? value : -1, value, all ? value : -1);
  return 0;
}

function setFileId(task: Task, kind: IdKind, value: number): number {
  const { credentials } = task;
  const { real, effective, saved, file } = names[kind];
  const old = credentials[file];
  if (value !== -1 && mayTake(credentials, kind, value >>> 0, [real, effective, saved, file])) {
    credentials[file] = value >>> 0;
  }
  return old | 0;
}

function storeIds(task: Task, kind: IdKind, pointers: readonly number[], bytes: 2 | 4): number {
  const { real, effective, saved } = names[kind];
  const values = [real, effective, saved].map((field) => task.credentials[field]);
  pointers.forEach((at, index) => {
    if (bytes === 2) task.memory.store16(at, narrow(values[index]));
    else task.memory.store32(at, values[index]);
  });
  return 0;
}

function getgroups(task: Task, size: number, list: number, bytes: 2 | 4): number {
  const { groups } = task.credentials;
  if (size < 0) throw new Errno('EINVAL');
  if (size === 0) return groups.length;
  if (size < groups.length) throw new Errno('EINVAL');
  task.memory.require(list, bytes * groups.length, Access.write);
  groups.forEach((group, index) => {
    if (bytes === 2) task.memory.store16(list + 2 * index, narrow(group));
    else task.memory.store32(list + 4 * index, group);
  });
  return groups.length;
}

/** Most groups of a process (NGROUPS_MAX). */
const mostGroups = 65536;

function setgroups(task: Task, size: number, list: number, bytes: 2 | 4): number {
  const { credentials, memory } = task;
  if (!capable(credentials, Capability.SETGID)) throw new Errno('EPERM');
  if (size < 0 || size > mostGroups) throw new Errno('EINVAL');
  memory.require(list, size * bytes, Access.read);
  const load = (index: number): number =>
    bytes === 2 ? memory.load16(list + 2 * index) : memory.load32(list + 4 * index);
  credentials.groups = Array.from({ length: size }, (_, index) => load(index)).sort((a, b) => a - b);
  return 0;
}

/** The 16-bit call and the 32-bit one differ in their width only: an id that does not fit is the overflow id. */
const overflowId = 65534;
const narrow = (value: number): number => (value > 0xffff ? overflowId : value);
const widen = (value: number): number => ((value & 0xffff) === 0xffff ? -1 : value & 0xffff);

/** `[0, 20]`, as many as the result of getgroups or the size of setgroups says. */
const printGroups =
  (bytes: 2 | 4): StructPrinter =>
  (memory, at, { raw: { size }, result = size }) => {
    const count = size === 0 ? 0 : Math.min(result, mostGroups);
    const load = (index: number): number =>
      bytes === 2 ? memory.load16(at + 2 * index) : memory.load32(at + 4 * index);
    return `[${Array.from({ length: Math.max(0, count) }, (_, index) => load(index)).join(', ')}]`;
  };

const printHeader: StructPrinter = (memory, at) =>
  braces({ version: hex(memory.load32(at)), pid: memory.load32(at + 4) | 0 });
const printCapabilities: StructPrinter = (memory, at) => {
  const [effective, permitted, inheritable] = [0, 4, 8].map((offset) => hex(memory.load32(at + offset)));
  return braces({ effective, permitted, inheritable });
};

const idOut = structOut((memory, at) => `[${memory.load32(at)}]`);
const narrowIdOut = structOut((memory, at) => `[${memory.load16(at)}]`);

/** What is missing of all that change ids. */
const own = 'the host’s files are reached as who has started tsemu, whatever the ids';

function idCalls(kind: IdKind): Rows {
  const get = (field: keyof Credentials): Row => row({}, (task) => task.credentials[field] as number);
  const getNarrow = (field: keyof Credentials): Row => row({}, (task) => narrow(task.credentials[field] as number));
  const { real, effective } = names[kind];
  return {
    [`get${kind}`]: getNarrow(real),
    [`get${kind}32`]: get(real),
    [`gete${kind}`]: getNarrow(effective),
    [`gete${kind}32`]: get(effective),
    [`set${kind}`]: partial(
      own,
      row({ id }, (task, { id: value }) => setOne(task, kind, widen(value))),
    ),
    [`set${kind}32`]: partial(
      own,
      row({ id }, (task, { id: value }) => setOne(task, kind, value)),
    ),
    [`setre${kind}`]: partial(
      own,
      row({ real: id, effective: id }, (task, ids) => setTwo(task, kind, widen(ids.real), widen(ids.effective))),
    ),
    [`setre${kind}32`]: partial(
      own,
      row({ real: id, effective: id }, (task, ids) => setTwo(task, kind, ids.real, ids.effective)),
    ),
    [`setres${kind}`]: partial(
      own,
      row({ real: id, effective: id, saved: id }, (task, ids) =>
        setThree(task, kind, widen(ids.real), widen(ids.effective), widen(ids.saved)),
      ),
    ),
    [`setres${kind}32`]: partial(
      own,
      row({ real: id, effective: id, saved: id }, (task, ids) =>
        setThree(task, kind, ids.real, ids.effective, ids.saved),
      ),
    ),
    [`getres${kind}`]: row({ real: narrowIdOut, effective: narrowIdOut, saved: narrowIdOut }, (task, at) =>
      storeIds(task, kind, [at.real, at.effective, at.saved], 2),
    ),
    [`getres${kind}32`]: row({ real: idOut, effective: idOut, saved: idOut }, (task, at) =>
      storeIds(task, kind, [at.real, at.effective, at.saved], 4),
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

/** _LINUX_CAPABILITY_VERSION_1 to 3, with the words of each set that they have. */
const versions: Readonly<Record<number, number>> = { 0x19980330: 1, 0x20071026: 2, 0x20080522: 2 };
const newestVersion = 0x20080522;

/** The words of a set in a call's version. An unknown one is told the newest: then EINVAL, or null for a mere question. */
function capabilityWords(task: Task, header: number, question: boolean): number | null {
  const words = versions[task.memory.load32(header)];
  if (words !== undefined) return words;
  task.memory.store32(header, newestVersion);
  if (question) return null;
  throw new Errno('EINVAL');
}

/** The thread that a header names. EINVAL, ESRCH. */
function capabilityTarget(task: Task, header: number): Credentials {
  const pid = task.memory.load32(header + 4) | 0;
  if (pid < 0) throw new Errno('EINVAL');
  const target = pid === 0 ? task : task.process.kernel.processes.task(pid);
  if (target === undefined) throw new Errno('ESRCH');
  return target.credentials;
}

/** struct __user_cap_data_struct: effective, permitted, inheritable; one for each 32 capabilities. */
const capabilitySets = ['effective', 'permitted', 'inheritable'] as const;
const capabilityBytes = 12;

function capget(task: Task, header: number, data: number): number {
  const words = capabilityWords(task, header, data === 0);
  if (words === null) return 0;
  const target = capabilityTarget(task, header);
  if (data === 0) return 0;
  task.memory.require(data, words * capabilityBytes, Access.write);
  for (let word = 0; word < words; word++) {
    capabilitySets.forEach((set, index) => {
      const bits = Number((target[set] >> BigInt(32 * word)) & 0xffffffffn);
      task.memory.store32(data + word * capabilityBytes + 4 * index, bits);
    });
  }
  return 0;
}

/** capset(2): of the calling thread only; nothing that is not permitted already. */
function capset(task: Task, header: number, data: number): number {
  const words = capabilityWords(task, header, false)!;
  const { credentials, memory } = task;
  if (capabilityTarget(task, header) !== credentials) throw new Errno('EPERM');
  memory.require(data, words * capabilityBytes, Access.read);
  const [effective, permitted, inheritable] = capabilitySets.map((_, index) => {
    let bits = 0n;
    for (let word = 0; word < words; word++) {
      bits |= BigInt(memory.load32(data + word * capabilityBytes + 4 * index)) << BigInt(32 * word);
    }
    return bits & allCapabilities;
  });
  const mayInherit = capable(credentials, Capability.SETPCAP) ? credentials.bounding : credentials.permitted;
  const wrong =
    (permitted & ~credentials.permitted) !== 0n ||
    (effective & ~permitted) !== 0n ||
    (inheritable & ~(credentials.inheritable | mayInherit)) !== 0n;
  if (wrong) throw new Errno('EPERM');
  Object.assign(credentials, { effective, permitted, inheritable });
  credentials.ambient &= permitted & inheritable;
  return 0;
}

/** kernel/sys.c, kernel/groups.c, kernel/capability.c. */
export const identityCalls: Rows = {
  ...idCalls('uid'),
  ...idCalls('gid'),
  getgroups: row({ size: int, list: structOut(printGroups(2)) }, (task, { size, list }) =>
    getgroups(task, size, list, 2),
  ),
  getgroups32: row({ size: int, list: structOut(printGroups(4)) }, (task, { size, list }) =>
    getgroups(task, size, list, 4),
  ),
  setgroups: partial(
    own,
    row({ size: int, list: structIn(printGroups(2)) }, (task, { size, list }) => setgroups(task, size, list, 2)),
  ),
  setgroups32: partial(
    own,
    row({ size: int, list: structIn(printGroups(4)) }, (task, { size, list }) => setgroups(task, size, list, 4)),
  ),
  capget: row({ header: structIn(printHeader), data: structOut(printCapabilities) }, (task, { header, data }) =>
    capget(task, header, data),
  ),
  capset: row({ header: structIn(printHeader), data: structIn(printCapabilities) }, (task, { header, data }) =>
    capset(task, header, data),
  ),
};
