import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { monotonic, timerDelay } from '#linux-user/clock.ts';
import { restoreMask, setTemporaryMask } from '#linux-user/signal/actions.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Interruption, Task } from '#linux-user/task.ts';
import { Poll } from '#linux-user/vfs/flags.ts';
import { Errno } from '#util/errno.ts';
import { address, int, structIn, structOut, uint } from './arguments.ts';
import { PollName } from './names.ts';
import { bits } from './print.ts';
import { type Rows, row } from './row.ts';
import {
  loadDuration,
  loadTimespec,
  storeMilliseconds,
  storeTimespec,
  timespecIn,
  timevalIn,
  wideTimespecIn,
} from './time-values.ts';

/** One file to watch, and what has been found. */
interface Watch {
  readonly fd: number;
  readonly events: number;
  found: number;
}

/** Looks at all files once; returns how many have something. An fd that is not open has POLLNVAL. */
function scan(task: Task, watches: readonly Watch[]): number {
  const { files } = task;
  let ready = 0;
  for (const watch of watches) {
    watch.found = 0;
    if (watch.fd < 0) continue;
    watch.found = files.has(watch.fd) ? files.get(watch.fd).poll(watch.events) : Poll.nval;
    watch.found &= watch.events | Poll.err | Poll.hup | Poll.nval;
    if (watch.found !== 0) ready++;
  }
  return ready;
}

/** Waits until a file has something or `due` (of monotonic(); Infinity: for ever). */
async function waitFor(task: Task, watches: readonly Watch[], due: number, how: Interruption): Promise<number> {
  for (;;) {
    const left = due - monotonic();
    const ready = scan(task, watches);
    if (ready > 0 || left <= 0) return ready;
    await task.sleep<void>((wake) => {
      const stops = watches
        .filter(({ fd }) => task.files.has(fd))
        .map(({ fd }) => task.files.get(fd).readiness.add(wake));
      const timer = left === Infinity ? undefined : setTimeout(wake, timerDelay(left));
      return () => {
        clearTimeout(timer);
        for (const stop of stops) stop();
      };
    }, how);
  }
}

/** `timeout`: milliseconds; Infinity to wait for ever, 0 not to wait. `finish` stores what was found. */
function watch(
  task: Task,
  watches: readonly Watch[],
  timeout: number,
  how: Interruption,
  finish: (ready: number) => number,
): SyscallResult {
  const ready = scan(task, watches);
  if (ready > 0) return finish(ready);
  if (timeout === 0) {
    const { files } = task;
    const { network } = task.process;
    const hostDriven = watches.some(({ fd }) => files.has(fd) && files.get(fd).hostDriven);
    const turn = hostDriven ? network.turn() : null;
    return turn === null ? finish(ready) : turn.then(() => finish(scan(task, watches)));
  }
  const due = monotonic() + timeout;
  const again = async (): Promise<number> => {
    try {
      return finish(await waitFor(task, watches, due, how));
    } catch (error) {
      if (how === 'ERESTART_RESTARTBLOCK') task.restartBlock = again;
      throw error;
    }
  };
  return again();
}

// ---- poll

const pollfdBytes = 8;

function loadPollfds(task: Task, at: number, count: number): Watch[] {
  if (count > task.files.limit) throw new Errno('EINVAL');
  task.memory.require(at, pollfdBytes * count, Access.read | Access.write);
  const watches: Watch[] = [];
  for (let i = 0; i < count; i++) {
    const entry = at + pollfdBytes * i;
    watches.push({ fd: task.memory.load32(entry) | 0, events: task.memory.load16(entry + 4), found: 0 });
  }
  return watches;
}

function poll(task: Task, at: number, count: number, timeout: number, how: Interruption): SyscallResult {
  const watches = loadPollfds(task, at, count);
  return watch(task, watches, timeout, how, (ready) => {
    watches.forEach(({ found }, index) => task.memory.store16(at + pollfdBytes * index + 6, found));
    return ready;
  });
}

/** Runs a call with the signal mask at `mask` (0: none), which a signal's delivery or the call's own end takes back. */
export function withMask(task: Task, mask: number, size: number, call: () => SyscallResult): SyscallResult {
  if (mask === 0) return call();
  if (size !== 8) throw new Errno('EINVAL');
  setTemporaryMask(task, task.memory.load64(mask));
  let result: SyscallResult;
  try {
    result = call();
  } catch (error) {
    restoreMask(task);
    throw error;
  }
  if (typeof result === 'number') restoreMask(task);
  else result = result.then((value) => (restoreMask(task), value));
  return result;
}

/** What is left of the timeout goes back to the caller, as Linux does. */
function storeRest(task: Task, at: number, due: number, wide: boolean): void {
  if (at !== 0) storeMilliseconds(task.memory, at, Math.max(0, due - monotonic()), wide);
}

function ppoll(
  task: Task,
  at: number,
  count: number,
  time: number,
  mask: number,
  size: number,
  wide: boolean,
): SyscallResult {
  const timeout = time === 0 ? Infinity : loadDuration(task.memory, time, wide);
  const due = monotonic() + timeout;
  return withMask(task, mask, size, () => {
    const result = poll(task, at, count, timeout, 'ERESTARTNOHAND');
    if (typeof result !== 'number') return result.then((ready) => (storeRest(task, time, due, wide), ready));
    storeRest(task, time, due, wide);
    return result;
  });
}

// ---- select

const readEvents = Poll.in | Poll.rdNorm | Poll.rdBand;
const writeEvents = Poll.out | Poll.wrNorm | Poll.wrBand;
const readReady = readEvents | Poll.hup | Poll.err;
const writeReady = writeEvents | Poll.err;

function loadSet(memory: GuestMemory, at: number, words: number): Uint32Array {
  const set = new Uint32Array(words);
  if (at === 0) return set;
  memory.require(at, 4 * words, Access.read | Access.write);
  for (let i = 0; i < words; i++) set[i] = memory.load32(at + 4 * i);
  return set;
}

const has = (set: Uint32Array, fd: number): boolean => ((set[fd >> 5] >>> (fd & 31)) & 1) !== 0;

function select(
  task: Task,
  count: number,
  read: number,
  write: number,
  except: number,
  timeout: number,
): SyscallResult {
  if (count < 0) throw new Errno('EINVAL');
  const { memory } = task;
  const { files } = task;
  const limit = Math.min(count, files.limit);
  const words = Math.ceil(limit / 32);
  const sets = [read, write, except].map((at) => loadSet(memory, at, words));
  const watches: Watch[] = [];
  for (let fd = 0; fd < limit; fd++) {
    const [reads, writes, excepts] = sets.map((set) => has(set, fd));
    if (!reads && !writes && !excepts) continue;
    files.get(fd);
    watches.push({
      fd,
      events: (reads ? readEvents : 0) | (writes ? writeEvents : 0) | (excepts ? Poll.pri : 0),
      found: 0,
    });
  }
  return watch(task, watches, timeout, 'ERESTARTNOHAND', () => {
    const results = sets.map(() => new Uint32Array(words));
    let bitsSet = 0;
    for (const { fd, found } of watches) {
      [readReady, writeReady, Poll.pri].forEach((ready, index) => {
        if (!has(sets[index], fd) || (found & ready) === 0) return;
        results[index][fd >> 5] |= 1 << (fd & 31);
        bitsSet++;
      });
    }
    [read, write, except].forEach((at, index) => {
      if (at !== 0) results[index].forEach((word, i) => memory.store32(at + 4 * i, word));
    });
    return bitsSet;
  });
}

function newselect(
  task: Task,
  count: number,
  read: number,
  write: number,
  except: number,
  time: number,
): SyscallResult {
  const timeout = time === 0 ? Infinity : timevalMilliseconds(task, time);
  const due = monotonic() + timeout;
  const store = (ready: number): number => {
    if (time === 0) return ready;
    const left = Math.max(0, due - monotonic());
    storeTimespec(task.memory, time, Math.floor(left / 1000), Math.floor((left % 1000) * 1000), false);
    return ready;
  };
  const result = select(task, count, read, write, except, timeout);
  return typeof result === 'number' ? store(result) : result.then(store);
}

/** select takes more than a million microseconds. */
function timevalMilliseconds(task: Task, at: number): number {
  const { seconds, nanoseconds: micros } = loadTimespec(task.memory, at, false);
  if (seconds < 0 || micros < 0) throw new Errno('EINVAL');
  return seconds * 1000 + micros / 1000;
}

function pselect6(
  task: Task,
  count: number,
  read: number,
  write: number,
  except: number,
  time: number,
  maskPair: number,
  wide: boolean,
): SyscallResult {
  const { memory } = task;
  const timeout = time === 0 ? Infinity : loadDuration(memory, time, wide);
  const due = monotonic() + timeout;
  const mask = maskPair === 0 ? 0 : memory.load32(maskPair);
  const size = maskPair === 0 ? 0 : memory.load32(maskPair + 4);
  return withMask(task, mask, size, () => {
    const result = select(task, count, read, write, except, timeout);
    if (typeof result !== 'number') return result.then((ready) => (storeRest(task, time, due, wide), ready));
    storeRest(task, time, due, wide);
    return result;
  });
}

const pollfds = structIn((memory, at, { raw }) => {
  const shown: string[] = [];
  for (let i = 0; i < Math.min(raw.count, 32); i++) {
    const entry = at + pollfdBytes * i;
    shown.push(`{fd=${memory.load32(entry) | 0}, events=${bits(memory.load16(entry + 4), PollName)}}`);
  }
  return `[${shown.join(', ')}]`;
});

const fdSet = structOut((memory, at, { raw }) => {
  const words = Math.ceil(Math.min(raw.count, 1024) / 32);
  const set = loadSet(memory, at, words);
  const open: number[] = [];
  for (let fd = 0; fd < 32 * words; fd++) if (has(set, fd)) open.push(fd);
  return `[${open.join(' ')}]`;
});

/** fs/select.c. */
export const pollCalls: Rows = {
  poll: row({ fds: pollfds, count: uint, timeout: int }, (task, { fds, count, timeout }) =>
    poll(task, fds, count, timeout < 0 ? Infinity : timeout, 'ERESTART_RESTARTBLOCK'),
  ),
  ppoll: row(
    { fds: pollfds, count: uint, timeout: timespecIn, mask: address, size: uint },
    (task, { fds, count, timeout, mask, size }) => ppoll(task, fds, count, timeout, mask, size, false),
  ),
  ppoll_time64: row(
    { fds: pollfds, count: uint, timeout: wideTimespecIn, mask: address, size: uint },
    (task, { fds, count, timeout, mask, size }) => ppoll(task, fds, count, timeout, mask, size, true),
  ),
  _newselect: row(
    { count: int, read: fdSet, write: fdSet, except: fdSet, timeout: timevalIn },
    (task, { count, read, write, except, timeout }) => newselect(task, count, read, write, except, timeout),
  ),
  pselect6: row(
    { count: int, read: fdSet, write: fdSet, except: fdSet, timeout: timespecIn, mask: address },
    (task, { count, read, write, except, timeout, mask }) =>
      pselect6(task, count, read, write, except, timeout, mask, false),
  ),
  pselect6_time64: row(
    { count: int, read: fdSet, write: fdSet, except: fdSet, timeout: wideTimespecIn, mask: address },
    (task, { count, read, write, except, timeout, mask }) =>
      pselect6(task, count, read, write, except, timeout, mask, true),
  ),
};
