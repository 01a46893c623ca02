import { Access, type GuestMemory } from '#accel/guest-memory.ts';
import { monotonic, timerDelay } from '#linux-user/clock.ts';
import type { SyscallResult } from '#linux-user/syscall-table.ts';
import type { Task } from '#linux-user/task.ts';
import { Epoll, EpollFlag } from '#linux-user/vfs/epoll.ts';
import { Open } from '#linux-user/vfs/flags.ts';
import { Errno } from '#util/errno.ts';
import { address, descriptorFlags, fd, int, oneOf, structIn, structOut, uint } from './arguments.ts';
import { EpollOp, PollName } from './names.ts';
import { withMask } from './poll.ts';
import { bits, hex } from './print.ts';
import { type Rows, row } from './row.ts';
import { loadDuration, wideTimespecIn } from './time-values.ts';

/** struct epoll_event: events, and 64 bits on their own alignment. */
interface EventLayout {
  readonly bytes: number;
  readonly data: number;
}
const layoutOf = ({ abi }: Task): EventLayout => (abi.align64 === 8 ? { bytes: 16, data: 8 } : { bytes: 12, data: 4 });

/** Most events of one wait: as many as fit into INT_MAX bytes. */
const maxEvents = (task: Task): number => Math.floor(0x7fffffff / layoutOf(task).bytes);

function epollOf(task: Task, which: number): Epoll {
  const file = task.files.get(which);
  if (!(file instanceof Epoll)) throw new Errno('EINVAL');
  return file;
}

function create(task: Task, how: number): number {
  if ((how & ~Open.closeOnExec) !== 0) throw new Errno('EINVAL');
  return task.files.add(new Epoll(), (how & Open.closeOnExec) !== 0);
}

function control(task: Task, which: number, operation: number, target: number, at: number): number {
  const { memory } = task;
  const { files } = task;
  const layout = layoutOf(task);
  const takesEvent = operation !== EpollOp.EPOLL_CTL_DEL;
  if (takesEvent) memory.require(at, layout.bytes, Access.read);
  const events = takesEvent ? memory.load32(at) & ~EpollFlag.wakeUp : 0;
  const data = takesEvent ? memory.load64(at + layout.data) : 0n;
  const holder = files.get(which);
  const file = files.get(target);
  if (((file.flags | holder.flags) & Open.path) !== 0) throw new Errno('EBADF');
  if (!file.pollable) throw new Errno('EPERM');
  if (file === holder) throw new Errno('EINVAL');
  const epoll = epollOf(task, which);
  switch (operation) {
    case EpollOp.EPOLL_CTL_ADD:
      epoll.add(target, file, events, data);
      return 0;
    case EpollOp.EPOLL_CTL_MOD:
      epoll.modify(target, file, events, data);
      return 0;
    case EpollOp.EPOLL_CTL_DEL:
      epoll.remove(target, file);
      return 0;
    default:
      throw new Errno('EINVAL');
  }
}

/** `timeout`: milliseconds; Infinity to wait for ever. */
function wait(task: Task, which: number, at: number, most: number, timeout: number): SyscallResult {
  const { memory } = task;
  if (most <= 0 || most > maxEvents(task)) throw new Errno('EINVAL');
  const layout = layoutOf(task);
  if (at + most * layout.bytes > task.abi.taskSize) throw new Errno('EFAULT');
  const epoll = epollOf(task, which);
  const collect = (): number =>
    epoll.collect(most, (index, { events, data }) => {
      const entry = at + layout.bytes * index;
      memory.require(entry, layout.bytes, Access.write);
      memory.store32(entry, events);
      memory.store64(entry + layout.data, data);
    });
  const found = collect();
  if (found > 0) return found;
  if (timeout > 0) return waitFor(task, epoll, collect, monotonic() + timeout);
  const turn = epoll.hostDriven ? task.process.network.turn() : null;
  return turn === null ? 0 : turn.then(collect);
}

async function waitFor(task: Task, epoll: Epoll, collect: () => number, due: number): Promise<number> {
  for (;;) {
    const left = due - monotonic();
    if (left <= 0) return 0;
    await task.sleep<void>((wake) => {
      const stop = epoll.readiness.add(wake);
      const timer = left === Infinity ? undefined : setTimeout(wake, timerDelay(left));
      return () => {
        clearTimeout(timer);
        stop();
      };
    }, 'EINTR');
    const found = collect();
    if (found > 0) return found;
  }
}

const milliseconds = (timeout: number): number => (timeout < 0 ? Infinity : timeout);

// ---- strace

const EpollEventName: Readonly<Record<string, number>> = {
  ...Object.fromEntries(Object.entries(PollName).map(([name, bit]) => [name.replace('POLL', 'EPOLL'), bit])),
  EPOLLEXCLUSIVE: EpollFlag.exclusive,
  EPOLLWAKEUP: EpollFlag.wakeUp,
  EPOLLONESHOT: EpollFlag.oneShot,
  EPOLLET: EpollFlag.edge,
};

function printEvent(memory: GuestMemory, at: number, { data }: EventLayout): string {
  const value = memory.load64(at + data);
  return `{events=${bits(memory.load32(at), EpollEventName)}, data={u32=${value & 0xffffffffn}, u64=${value}}}`;
}

const eventIn = structIn((memory, at, { task, raw }) =>
  raw.operation === EpollOp.EPOLL_CTL_DEL ? hex(at) : printEvent(memory, at, layoutOf(task)),
);
const eventsOut = structOut((memory, at, { task, result = 0 }) => {
  const layout = layoutOf(task);
  const shown = Array.from({ length: Math.min(result, 32) }, (_, i) =>
    printEvent(memory, at + layout.bytes * i, layout),
  );
  return `[${shown.join(', ')}]`;
});

/** fs/eventpoll.c. */
export const epollCalls: Rows = {
  epoll_create: row({ size: int }, (task, { size }) => {
    if (size <= 0) throw new Errno('EINVAL');
    return create(task, 0);
  }),
  epoll_create1: row({ flags: descriptorFlags }, (task, { flags }) => create(task, flags)),
  epoll_ctl: row({ epfd: fd, operation: oneOf(EpollOp), fd, event: eventIn }, (task, args) =>
    control(task, args.epfd, args.operation, args.fd, args.event),
  ),
  epoll_wait: row({ epfd: fd, events: eventsOut, count: int, timeout: int }, (task, args) =>
    wait(task, args.epfd, args.events, args.count, milliseconds(args.timeout)),
  ),
  epoll_pwait: row(
    { epfd: fd, events: eventsOut, count: int, timeout: int, mask: address, size: uint },
    (task, { epfd, events, count, timeout, mask, size }) =>
      withMask(task, mask, size, () => wait(task, epfd, events, count, milliseconds(timeout))),
  ),
  epoll_pwait2: row(
    { epfd: fd, events: eventsOut, count: int, timeout: wideTimespecIn, mask: address, size: uint },
    (task, { epfd, events, count, timeout, mask, size }) => {
      const time = timeout === 0 ? Infinity : loadDuration(task.memory, timeout, true);
      return withMask(task, mask, size, () => wait(task, epfd, events, count, time));
    },
  ),
};
