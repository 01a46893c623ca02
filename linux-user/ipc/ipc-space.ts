import type { Process } from '../process.ts';
import { MessageQueues } from './message-queues.ts';
import { PosixQueues } from './posix-queues.ts';
import { Semaphores } from './semaphores.ts';
import { SharedSegments } from './shared-segments.ts';

/** The System V IPC objects and POSIX message queues that a tree of processes has in common (ipc_namespaces(7)). */
export class IpcSpace {
  readonly segments: SharedSegments;
  readonly semaphores = new Semaphores();
  readonly messages = new MessageQueues();
  readonly posixQueues = new PosixQueues();

  constructor(processes: Iterable<Process>) {
    this.segments = new SharedSegments(processes);
  }
}
