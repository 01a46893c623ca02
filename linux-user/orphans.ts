import { createLog } from '#util/log.ts';
import { fork, standAlone } from './host-fork.ts';
import type { Kernel } from './kernel.ts';
import type { Process } from './process.ts';

/*
 * What a guest's first process leaves behind when it ends (daemons, `command &` in a script). Its end is tsemu's, so that
 * whoever started it goes on; the others go on in a copy of tsemu.
 */

const log = createLog('process');

/** Milliseconds that they have to end by themselves: most do, and a copy costs as much. */
const grace = 40;

const living = ({ processes }: Kernel): Process[] => [...processes].filter(({ zombie }) => !zombie);

/** A program of the host is this process's child, and a copy could not wait for it. */
const isMovable = ({ hostProgram }: Process): boolean => hostProgram === null;

/** Streams that none of the guests has open any more. */
function closedStreams(processes: readonly Process[]): number[] {
  const open = new Set<number>();
  for (const { tasks } of processes) {
    for (const { files } of tasks.values()) {
      for (const fd of files.descriptors()) open.add(files.get(fd).hostFd);
    }
  }
  return [0, 1, 2].filter((fd) => !open.has(fd));
}

/** 'original': this process is to end as the first guest has; 'copy': the others run on here; null: nothing has changed. */
export async function moveOrphans(kernel: Kernel, first: Process): Promise<'original' | 'copy' | null> {
  const over = (): boolean => !kernel.processes.anyAlive;
  if (!living(kernel).every(isMovable)) return null;
  await kernel.scheduler.runFor(grace, over);
  const left = living(kernel);
  if (left.length === 0 || !left.every(isMovable)) return null;
  kernel.scheduler.meter.settle();
  const which = await fork();
  if (which === null) log('processes that are left run on here: the host made no copy');
  if (which !== 'copy') return which;
  kernel.scheduler.meter.restart();
  for (const terminal of first.fs.terminals.host.values()) terminal.leave();
  const has = (what: 'session' | 'group'): boolean => left.some((each) => each[what] === first[what]);
  standAlone(has('session') ? (has('group') ? null : 'group') : 'session', closedStreams(left));
  return 'copy';
}
