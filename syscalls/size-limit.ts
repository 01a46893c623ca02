import { ResourceLimit, unlimited } from '#linux-user/resource-limits.ts';
import { Signal } from '#linux-user/signal/numbers.ts';
import { sendToTask } from '#linux-user/signal/send.ts';
import { SiCode } from '#linux-user/signal/siginfo.ts';
import type { Task } from '#linux-user/task.ts';
import { Mode, Open } from '#linux-user/vfs/flags.ts';
import { fileType, type OpenFile, Seek } from '#linux-user/vfs/open-file.ts';
import { Errno } from '#util/errno.ts';

/*
 * RLIMIT_FSIZE: what would make a file longer than the limit is cut there; what cannot even begin gets SIGXFSZ and EFBIG
 * (generic_write_check_limits, inode_newsize_ok).
 */

function tooLarge(task: Task): never {
  sendToTask(task, { kind: 'kernel', signo: Signal.SIGXFSZ, code: SiCode.SI_KERNEL });
  throw new Errno('EFBIG');
}

const limitOf = ({ process }: Task): number => process.limits.get(ResourceLimit.FSIZE).soft;

/** How many of `length` bytes may be written at `offset` (null: where the file stands). */
export function writableLength(task: Task, file: OpenFile, length: number, offset: number | null): number {
  const limit = limitOf(task);
  if (limit === unlimited || length === 0 || !file.seekable) return length;
  const stat = file.stat();
  if (fileType(stat.mode) !== Mode.regular) return length;
  const append = (file.flags & Open.append) !== 0;
  const at = append ? Number(stat.size) : (offset ?? file.seek(0, Seek.current));
  if (at >= limit) tooLarge(task);
  return Math.min(length, limit - at);
}

/** Refuses to make a file of `length` bytes. */
export function checkNewLength(task: Task, length: number): void {
  if (length > limitOf(task)) tooLarge(task);
}
