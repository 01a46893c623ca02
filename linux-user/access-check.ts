import { Errno } from '#util/errno.ts';
import type { Process } from './process.ts';

/**
 * May `caller` look into `target` (ptrace_may_access): its memory, descriptors, kernel objects? A process may look into
 * itself and into those of the same ids; uid 0 into all. EPERM.
 */
export function checkAccess(caller: Process, target: Process): void {
  if (caller === target) return;
  const { uid, gid, euid } = caller.credentials;
  if (euid === 0) return;
  const other = target.credentials;
  const sameUser = [other.uid, other.euid, other.suid].every((each) => each === uid);
  const sameGroup = [other.gid, other.egid, other.sgid].every((each) => each === gid);
  if (!sameUser || !sameGroup || !target.dumpable) throw new Errno('EPERM');
}
