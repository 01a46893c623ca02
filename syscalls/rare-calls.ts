// The calls that few programs make, by subject: the bundle loads them with the first of them.
import { adjtimeCalls } from './adjtime.ts';
import { epollCalls } from './epoll.ts';
import { futex2Calls } from './futex2.ts';
import { inotifyCalls } from './inotify.ts';
import { inspectCalls } from './inspect.ts';
import { ipcCalls } from './ipc.ts';
import { membarrierCalls } from './membarrier.ts';
import { mqueueCalls } from './mqueue.ts';
import { msgCalls } from './msg.ts';
import { openHowCalls } from './open-how.ts';
import { pidfdCalls } from './pidfd.ts';
import { pollCalls } from './poll.ts';
import { ptraceCalls } from './ptrace.ts';
import { refusedCalls } from './refused.ts';
import { refusedFileCalls } from './refused-files.ts';
import type { Rows } from './row.ts';
import { scheduleCalls } from './schedule.ts';
import { seccompCalls } from './seccomp.ts';
import { semCalls } from './sem.ts';
import { shmCalls } from './shm.ts';
import { spliceCalls } from './splice.ts';
import { timerCalls } from './timers.ts';
import { unshareCalls } from './unshare.ts';
import { xattrCalls } from './xattr.ts';

export const rareSubjects = (): readonly Rows[] => [
  refusedCalls,
  refusedFileCalls,
  openHowCalls,
  xattrCalls,
  spliceCalls,
  inotifyCalls,
  pollCalls,
  epollCalls,
  pidfdCalls,
  seccompCalls,
  scheduleCalls,
  membarrierCalls,
  futex2Calls,
  adjtimeCalls,
  inspectCalls,
  ptraceCalls,
  unshareCalls,
  timerCalls,
  shmCalls,
  semCalls,
  msgCalls,
  ipcCalls,
  mqueueCalls,
];
