import { allCapabilities, Capability, type Credentials, capable, lastCapability } from '#linux-user/credentials.ts';
import { signalCount } from '#linux-user/signal/numbers.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { hexWord, oneOf } from './arguments.ts';
import { Prctl } from './names.ts';
import { cstring } from './print.ts';
import { type Argument, partial, type Rows, row } from './row.ts';
import { setFilter, setStrict } from './seccomp.ts';

/** Longest thread name (TASK_COMM_LEN), its NUL included. */
const nameBytes = 16;

/** The arguments after the option. */
type Rest = readonly [argument: number, third: number, fourth: number, fifth: number];

function setName(task: Task, at: number): number {
  const { memory } = task;
  let length = 0;
  while (length < nameBytes - 1 && memory.load8(at + length) !== 0) length++;
  task.name = Buffer.from(memory.copy(at, length)).toString('utf8');
  return 0;
}

function getName(task: Task, at: number): number {
  const name = new Uint8Array(nameBytes);
  name.set(Buffer.from(task.name).subarray(0, nameBytes - 1));
  task.memory.write(at, name);
  return 0;
}

function need(credentials: Credentials, capability: number): void {
  if (!capable(credentials, capability)) throw new Errno('EPERM');
}

/** EINVAL unless the arguments from index `first` on are zero. */
function unused(rest: Rest, first: number): void {
  if (rest.slice(first).some((value) => value !== 0)) throw new Errno('EINVAL');
}

/** 0 or 1; EINVAL. */
function boolean(value: number): boolean {
  if (value > 1) throw new Errno('EINVAL');
  return value === 1;
}

const Ambient = { IS_SET: 1, RAISE: 2, LOWER: 3, CLEAR_ALL: 4 } as const;

function ambient(credentials: Credentials, rest: Rest): number {
  const [what, capability] = rest;
  if (what === Ambient.CLEAR_ALL) {
    unused(rest, 1);
    credentials.ambient = 0n;
    return 0;
  }
  unused(rest, 2);
  if (capability > lastCapability) throw new Errno('EINVAL');
  const bit = 1n << BigInt(capability);
  switch (what) {
    case Ambient.IS_SET:
      return (credentials.ambient & bit) === 0n ? 0 : 1;
    case Ambient.RAISE:
      if ((credentials.permitted & credentials.inheritable & bit) === 0n) throw new Errno('EPERM');
      credentials.ambient |= bit;
      return 0;
    case Ambient.LOWER:
      credentials.ambient &= ~bit;
      return 0;
    default:
      throw new Errno('EINVAL');
  }
}

/** SECBIT_KEEP_CAPS, and all bits there are. */
const keepCapsBit = 0x10;
const allSecureBits = 0xff;

function setSecureBits(credentials: Credentials, bits: number): number {
  // A lock, in the odd bits, keeps the bit before it as it is.
  const locked = (credentials.secureBits & 0xaa) >> 1;
  const changed = credentials.secureBits ^ bits;
  const unlocks = (credentials.secureBits & 0xaa & ~bits) !== 0;
  if ((bits & ~allSecureBits) !== 0 || (locked & changed) !== 0 || unlocks) throw new Errno('EPERM');
  need(credentials, Capability.SETPCAP);
  credentials.secureBits = bits;
  credentials.keepCapabilities = (bits & keepCapsBit) !== 0;
  return 0;
}

/** The options about privileges; null for others. */
function privileges({ credentials, process }: Task, option: number, rest: Rest): number | null {
  const [argument] = rest;
  switch (option) {
    case Prctl.PR_GET_KEEPCAPS:
      return credentials.keepCapabilities ? 1 : 0;
    case Prctl.PR_SET_KEEPCAPS:
      credentials.keepCapabilities = boolean(argument);
      return 0;
    case Prctl.PR_GET_SECUREBITS:
      return credentials.secureBits | (credentials.keepCapabilities ? keepCapsBit : 0);
    case Prctl.PR_SET_SECUREBITS:
      return setSecureBits(credentials, argument);
    case Prctl.PR_GET_NO_NEW_PRIVS:
      unused(rest, 0);
      return process.noNewPrivileges ? 1 : 0;
    case Prctl.PR_SET_NO_NEW_PRIVS:
      if (argument !== 1) throw new Errno('EINVAL');
      unused(rest, 1);
      process.noNewPrivileges = true;
      return 0;
    case Prctl.PR_CAPBSET_READ:
      if (argument > lastCapability) throw new Errno('EINVAL');
      return Number((credentials.bounding >> BigInt(argument)) & 1n);
    case Prctl.PR_CAPBSET_DROP:
      need(credentials, Capability.SETPCAP);
      if (argument > lastCapability) throw new Errno('EINVAL');
      credentials.bounding &= allCapabilities & ~(1n << BigInt(argument));
      return 0;
    case Prctl.PR_CAP_AMBIENT:
      return ambient(credentials, rest);
    default:
      return null;
  }
}

const SECCOMP_MODE_STRICT = 1;
const SECCOMP_MODE_FILTER = 2;

function seccompMode({ seccomp }: Task): number {
  if (seccomp === null) return 0;
  return seccomp.kind === 'strict' ? SECCOMP_MODE_STRICT : SECCOMP_MODE_FILTER;
}

function setSeccomp(task: Task, mode: number, filter: number): number {
  if (mode === SECCOMP_MODE_STRICT) return setStrict(task);
  if (mode === SECCOMP_MODE_FILTER) return setFilter(task, 0, filter);
  throw new Errno('EINVAL');
}

/** PR_MCE_KILL_DEFAULT: what becomes of a process with a broken page. */
const mceKillDefault = 2;

/** PR_MCE_KILL: 0 back to the default, 1 one of three policies. */
function setMceKill(rest: Rest): number {
  const [what, policy] = rest;
  unused(rest, 2);
  if (what > 1 || (what === 0 ? policy !== 0 : policy > mceKillDefault)) throw new Errno('EINVAL');
  return 0;
}

/** Nanoseconds that a sleep may take longer, unless said otherwise. */
const defaultSlack = 50_000;

function prctl(task: Task, option: number, rest: Rest): number {
  const [argument, third] = rest;
  const { memory, process } = task;
  const answer = privileges(task, option, rest);
  if (answer !== null) return answer;
  switch (option) {
    case Prctl.PR_SET_NAME:
      return setName(task, argument);
    case Prctl.PR_GET_NAME:
      return getName(task, argument);
    case Prctl.PR_GET_DUMPABLE:
      return process.dumpable ? 1 : 0;
    case Prctl.PR_SET_DUMPABLE:
      process.dumpable = boolean(argument);
      return 0;
    case Prctl.PR_GET_PDEATHSIG:
      memory.store32(argument, process.parentDeathSignal);
      return 0;
    case Prctl.PR_SET_PDEATHSIG:
      if (argument > signalCount) throw new Errno('EINVAL');
      process.parentDeathSignal = argument;
      return 0;
    case Prctl.PR_GET_CHILD_SUBREAPER:
      memory.store32(argument, process.subreaper ? 1 : 0);
      return 0;
    case Prctl.PR_SET_CHILD_SUBREAPER:
      process.subreaper = argument !== 0;
      return 0;
    case Prctl.PR_GET_SECCOMP:
      return seccompMode(task);
    case Prctl.PR_SET_SECCOMP:
      return setSeccomp(task, argument, third);
    case Prctl.PR_GET_TIMING:
      return 0;
    case Prctl.PR_SET_TIMING:
      if (argument !== 0) throw new Errno('EINVAL');
      return 0;
    case Prctl.PR_GET_TIMERSLACK:
      return task.timerSlack;
    case Prctl.PR_SET_TIMERSLACK:
      task.timerSlack = argument === 0 ? defaultSlack : argument;
      return 0;
    case Prctl.PR_GET_TID_ADDRESS:
      memory.store32(argument, task.clearChildTid);
      return 0;
    case Prctl.PR_GET_THP_DISABLE:
      unused(rest, 0);
      return process.hugePagesOff ? 1 : 0;
    case Prctl.PR_SET_THP_DISABLE:
      unused(rest, 1);
      process.hugePagesOff = argument !== 0;
      return 0;
    case Prctl.PR_MCE_KILL:
      return setMceKill(rest);
    case Prctl.PR_MCE_KILL_GET:
      unused(rest, 0);
      return mceKillDefault;
    case Prctl.PR_SET_MM:
    case Prctl.PR_SET_IO_FLUSHER:
    case Prctl.PR_GET_IO_FLUSHER:
      throw new Errno('EPERM');
    default:
      // What other CPUs have, and features that a kernel may be built without.
      throw new Errno('EINVAL');
  }
}

const argument: Argument<number> = {
  ...hexWord,
  print: (raw, call) =>
    call.raw.option === Prctl.PR_SET_NAME ? cstring(call.task.memory, raw) : hexWord.print(raw, call),
};

/** kernel/sys.c. */
export const prctlCalls: Rows = {
  prctl: partial(
    'PR_SET_MM and what only other CPUs have',
    row(
      { option: oneOf(Prctl), argument, third: hexWord, fourth: hexWord, fifth: hexWord },
      (task, { option, argument: first, third, fourth, fifth }) => prctl(task, option, [first, third, fourth, fifth]),
    ),
  ),
};
