import { getThreadArea, modifyLdt, setThreadArea } from '#linux-user/abi/i386-calls.ts';
import { SigHow, sigaction, sigprocmask } from '#linux-user/signal/actions.ts';
import { SaFlags } from '#linux-user/signal/signal-state.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Errno } from '#util/errno.ts';
import { address, hexWord, int, off64, path, signal, uint } from './arguments.ts';
import { i386SyscallNames } from './nr/i386.ts';
import { type Row, type Rows, row } from './row.ts';

/** The calls behind socketcall(2) by number from 1 on, and how many words each takes (net/socket.c). */
const socketCalls: readonly (readonly [name: string, words: number])[] = [
  ['socket', 3],
  ['bind', 3],
  ['connect', 3],
  ['listen', 2],
  ['accept', 3],
  ['getsockname', 3],
  ['getpeername', 3],
  ['socketpair', 4],
  ['send', 4],
  ['recv', 4],
  ['sendto', 6],
  ['recvfrom', 6],
  ['shutdown', 2],
  ['setsockopt', 5],
  ['getsockopt', 5],
  ['sendmsg', 3],
  ['recvmsg', 3],
  ['accept4', 4],
  ['recvmmsg', 5],
  ['sendmmsg', 4],
];

/** The arguments of ipc(2) beside the call's number. */
interface IpcArguments {
  readonly version: number;
  readonly first: number;
  readonly second: number;
  readonly third: number;
  readonly pointer: number;
  readonly fifth: number;
}

type IpcCall = readonly [name: string, words: (given: IpcArguments, task: Task) => readonly number[]];

/** The calls behind ipc(2) by number, and their own arguments (ipc/syscall.c). */
const ipcCalls: Readonly<Record<number, IpcCall>> = {
  1: ['semop', ({ first, pointer, second }) => [first, pointer, second]],
  2: ['semget', ({ first, second, third }) => [first, second, third]],
  3: ['semctl', ({ first, second, third, pointer }, task) => [first, second, third, ...loadWords(task, pointer, 1)]],
  4: ['semtimedop', ({ first, pointer, second, fifth }) => [first, pointer, second, fifth]],
  11: ['msgsnd', ({ first, pointer, second, third }) => [first, pointer, second, third]],
  12: [
    'msgrcv',
    ({ version, first, second, third, pointer, fifth }, task) => {
      // The old form has the message's address and type in memory.
      const [message, type] = version === 0 ? loadWords(task, pointer, 2) : [pointer, fifth];
      return [first, message, second, type, third];
    },
  ],
  13: ['msgget', ({ first, second }) => [first, second]],
  14: ['msgctl', ({ first, second, pointer }) => [first, second, pointer]],
  21: ['shmat', ({ first, pointer, second }) => [first, pointer, second]],
  22: ['shmdt', ({ pointer }) => [pointer]],
  23: ['shmget', ({ first, second, third }) => [first, second, third]],
  24: ['shmctl', ({ first, second, pointer }) => [first, second, pointer]],
};
const shmat = 21;

const pageBytes = 4096;

/** `count` words from `at`. Throws EFAULT. */
function loadWords({ memory }: Task, at: number, count: number): number[] {
  memory.require(at, 4 * count, 1);
  return Array.from({ length: count }, (_, i) => memory.load32(at + 4 * i));
}

/** signal(2): the handler before. */
function oldSignal(task: Task, signo: number, handler: number): number {
  const flags = SaFlags.SA_RESETHAND | SaFlags.SA_NODEFER;
  return sigaction(task, signo, { handler, flags: flags >>> 0, restorer: 0, mask: 0n }).handler;
}

/** Calls of i386 alone: the predecessors of others, and several in one. `rows` are those of all architectures. */
export function i386Calls(rows: Rows): Rows {
  const call = (task: Task, name: string, words: readonly number[]): SyscallResult => {
    const found: Row | undefined = Object.hasOwn(rows, name) ? rows[name] : undefined;
    if (found === undefined) throw new Errno('ENOSYS');
    return found.call(task, words);
  };
  return {
    set_thread_area: row({ descriptor: address }, (task, { descriptor }) => setThreadArea(task, descriptor)),
    get_thread_area: row({ descriptor: address }, (task, { descriptor }) => getThreadArea(task, descriptor)),
    modify_ldt: row({ function: int, buffer: address, bytes: uint }, (task, { function: what, buffer, bytes }) =>
      modifyLdt(task, what, buffer, bytes),
    ),
    // What the others of its functions set up, the guest's CPU does not have.
    arch_prctl: row({ option: hexWord, address }, () => {
      throw new Errno('EINVAL');
    }),
    iopl: row({ level: uint }, (_task, { level }) => {
      if (level > 3) throw new Errno('EINVAL');
      if (level > 0) throw new Errno('EPERM');
      return 0;
    }),
    ioperm: row({ from: uint, count: uint, on: int }, (_task, { from, count, on }) => {
      if (from + count > 65536) throw new Errno('EINVAL');
      if (on !== 0) throw new Errno('EPERM');
      return 0;
    }),
    socketcall: row({ call: int, arguments: address }, (task, { call: number, arguments: at }) => {
      const found = socketCalls[number - 1];
      if (found === undefined) throw new Errno('EINVAL');
      const [name, words] = found;
      return call(task, name, loadWords(task, at, words));
    }),
    ipc: row(
      { call: uint, first: int, second: uint, third: uint, pointer: address, fifth: uint },
      (task, { call: which, first, second, third, pointer, fifth }) => {
        const found = ipcCalls[which & 0xffff];
        if (found === undefined) throw new Errno('ENOSYS');
        const [name, words] = found;
        const given = { version: which >>> 16, first: first >>> 0, second, third, pointer, fifth };
        const result = call(task, name, words(given, task));
        if ((which & 0xffff) !== shmat || typeof result !== 'number') return result;
        task.memory.store32(third, result);
        return 0;
      },
    ),
    mmap: row(
      { arguments: address },
      (task, { arguments: at }) => {
        const words = loadWords(task, at, 6);
        if (words[5] % pageBytes !== 0) throw new Errno('EINVAL');
        return call(task, 'mmap2', [...words.slice(0, 5), words[5] / pageBytes]);
      },
      'address',
    ),
    select: row({ arguments: address }, (task, { arguments: at }) => call(task, '_newselect', loadWords(task, at, 5))),
    waitpid: row({ pid: int, status: address, options: hexWord }, (task, { pid, status, options }) =>
      call(task, 'wait4', [pid >>> 0, status, options, 0]),
    ),
    signal: row({ signal, handler: address }, (task, { signal: signo, handler }) => oldSignal(task, signo, handler)),
    sgetmask: row({}, (task) => Number(task.signals.blocked & 0xffff_ffffn) | 0),
    ssetmask: row({ mask: hexWord }, (task, { mask }) => {
      const high = task.signals.blocked & ~0xffff_ffffn;
      return Number(sigprocmask(task, SigHow.SIG_SETMASK, high | BigInt(mask)) & 0xffff_ffffn) | 0;
    }),
    stime: row({ time: address }, () => {
      throw new Errno('EPERM');
    }),
    umount: row({ path }, () => {
      throw new Errno('EPERM');
    }),
    fadvise64: row({ fd: int, offset: off64, length: uint, advice: int }, (task, { fd, offset, length, advice }) =>
      call(task, 'arm_fadvise64_64', [fd >>> 0, advice >>> 0, ...pair(offset), ...pair(length)]),
    ),
    fadvise64_64: row({ fd: int, offset: off64, length: off64, advice: int }, (task, { fd, offset, length, advice }) =>
      call(task, 'arm_fadvise64_64', [fd >>> 0, advice >>> 0, ...pair(offset), ...pair(length)]),
    ),
    sync_file_range: row(
      { fd: int, offset: off64, length: off64, flags: hexWord },
      (task, { fd, offset, length, flags }) =>
        call(task, 'arm_sync_file_range', [fd >>> 0, flags, ...pair(offset), ...pair(length)]),
    ),
  };
}

/** A 64-bit number as the words it came in. */
const pair = (value: number): [low: number, high: number] => [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];

/** Number to name. */
export const i386Names = (): Readonly<Record<number, string>> => i386SyscallNames;
