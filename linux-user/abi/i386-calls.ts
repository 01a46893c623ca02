import { Access, pageSize } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import { Prot } from '../mm/vma.ts';
import type { Task } from '../task.ts';
import type { I386Abi } from './i386.ts';
import { encodeDescriptor, isConforming, isEmptyDesc, isPresent, loadUserDesc, userDescBytes } from './i386-tls.ts';

/** The calls only an i386 task can make, which its own ABI serves. */
const own = (task: Task): I386Abi => task.abi as I386Abi;

/** set_thread_area(2). Throws EFAULT, EINVAL, ESRCH. */
export function setThreadArea(task: Task, at: number): number {
  own(task).tls.set(task, at);
  return 0;
}

/** get_thread_area(2). Throws EFAULT, EINVAL. */
export function getThreadArea(task: Task, at: number): number {
  own(task).tls.get(task, at);
  return 0;
}

/** Where an address space keeps its LDT: beyond what it can map itself. */
const ldtAddress = 0xfffe_0000;
const descriptorBytes = 8;
/** LDT_ENTRIES. */
const ldtEntries = 8192;
const ldtBytes = ldtEntries * descriptorBytes;

/** The functions of modify_ldt(2). */
const Ldt = { read: 0, writeOld: 1, readDefault: 2, write: 0x11 } as const;

/** modify_ldt(2): returns the bytes read, or 0. Throws EFAULT, EINVAL, ENOSYS. */
export function modifyLdt(task: Task, what: number, at: number, bytes: number): number {
  switch (what) {
    case Ldt.read:
      return readLdt(task, at, bytes);
    case Ldt.readDefault: {
      const count = Math.min(bytes, defaultLdtBytes);
      task.memory.view(at, count, Access.write).fill(0);
      return count;
    }
    case Ldt.write:
    case Ldt.writeOld:
      return writeLdt(task, at, bytes, what === Ldt.writeOld);
    default:
      throw new Errno('ENOSYS');
  }
}

/** Five empty descriptors. */
const defaultLdtBytes = 5 * descriptorBytes;

const hasLdt = (task: Task): boolean => task.mm.vmas.at(ldtAddress) !== null;

function readLdt(task: Task, at: number, bytes: number): number {
  if (!hasLdt(task)) return 0;
  const count = Math.min(bytes, ldtBytes);
  task.memory.write(at, task.memory.copy(ldtAddress, count));
  return count;
}

function writeLdt(task: Task, at: number, bytes: number, old: boolean): number {
  if (bytes !== userDescBytes) throw new Errno('EINVAL');
  const desc = loadUserDesc(task, at);
  if (desc.entry >= ldtEntries || (isConforming(desc) && (old || isPresent(desc)))) throw new Errno('EINVAL');
  const empty = isEmptyDesc(desc) || (old && desc.base === 0 && desc.limit === 0);
  const [low, high] = empty ? [0, 0] : encodeDescriptor(desc);
  if (!hasLdt(task)) mapLdt(task);
  task.mm.writeKernelPages(ldtAddress + desc.entry * descriptorBytes, words(low, high));
  return 0;
}

const words = (...values: number[]): Uint8Array => new Uint8Array(Int32Array.from(values).buffer);

function mapLdt(task: Task): void {
  const page = new Uint8Array(pageSize);
  for (let offset = 0; offset < ldtBytes; offset += pageSize) {
    task.mm.mapKernelPage(ldtAddress + offset, page, Prot.READ, '[ldt]');
  }
  for (const each of task.process.tasks.values()) own(each).setLdt(each.cpu, ldtAddress, ldtBytes);
}
