// The calls that most programs make, by subject. The bundle loads them with the first one that is none of the few which
// every program makes.
import { directoryCalls } from './directory.ts';
import { fcntlCalls } from './fcntl.ts';
import { futexCalls } from './futex.ts';
import { identityCalls } from './identity.ts';
import { ioctlCalls } from './ioctl.ts';
import { limitCalls } from './limits.ts';
import { memoryCalls } from './memory.ts';
import { prctlCalls } from './prctl.ts';
import type { Rows } from './row.ts';
import { signalCalls } from './signal.ts';
import { statCalls } from './stat.ts';
import { systemCalls } from './system.ts';
import { timeCalls } from './time.ts';

export const commonSubjects = (options: Parameters<typeof systemCalls>[0]): readonly Rows[] => [
  directoryCalls,
  statCalls,
  fcntlCalls,
  ioctlCalls,
  memoryCalls,
  prctlCalls,
  signalCalls,
  futexCalls,
  timeCalls,
  identityCalls,
  limitCalls,
  systemCalls(options),
];
