import { pageSize } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import type { Credentials } from '../credentials.ts';
import type { Mm } from '../mm/mm.ts';
import { pageCeil } from '../mm/page-math.ts';
import { SharedMemory } from '../mm/shared-memory.ts';
import { MapFlags, Prot, type Vma } from '../mm/vma.ts';
import type { Process } from '../process.ts';
import type { Task } from '../task.ts';
import { Ipc, IpcAccess, IpcObject, IpcTable, now } from './ipc-table.ts';

/** Flags of shmat, and bits that shmctl shows in the mode (include/uapi/linux/shm.h). */
export const Shm = {
  RDONLY: 0o10000,
  RND: 0o20000,
  REMAP: 0o40000,
  EXEC: 0o100000,
  DEST: 0o1000,
  LOCKED: 0o2000,
} as const;

/** SHMMNI; SHMMAX and SHMALL (in pages) are what the host can be asked for. */
export const shmLimits = { segments: 4096, bytes: 2 ** 30, pages: 2 ** 20 } as const;

/** A shared memory segment (struct shmid_ds). */
export class Segment extends IpcObject {
  readonly size: number;
  readonly memory: SharedMemory;
  readonly cpid: number;
  lpid = 0;
  attached = 0;
  detached = 0;

  constructor(key: number, size: number, mode: number, credentials: Credentials, pid: number) {
    super(key, mode, credentials);
    this.size = size;
    this.memory = new SharedMemory(pageCeil(size));
    this.cpid = pid;
  }
}

/** Where shmat may attach: address alignment is the CPU's business (SHMLBA). */
export interface AttachRequest {
  readonly address: number;
  readonly flags: number;
  /** SHMLBA in bytes, and whether addresses that are only aligned to a page are refused. */
  readonly alignment: number;
}

/** System V shared memory (shmget(2), shmop(2)). A segment is mapped like any other memory that processes share. */
export class SharedSegments {
  readonly table = new IpcTable<Segment>(shmLimits.segments);
  private readonly processes: Iterable<Process>;

  constructor(processes: Iterable<Process>) {
    this.processes = processes;
  }

  get pages(): number {
    let pages = 0;
    for (const { size } of this.table) pages += pageCeil(size) / pageSize;
    return pages;
  }

  /** shmget(2): the id. */
  obtain({ process, credentials }: Task, key: number, size: number, flags: number): number {
    this.collect();
    const { pid } = process;
    return this.table.obtain({
      key,
      flags,
      credentials,
      make: () => {
        if (size < 1 || size > shmLimits.bytes) throw new Errno('EINVAL');
        if (this.pages + pageCeil(size) / pageSize > shmLimits.pages) throw new Errno('ENOSPC');
        return new Segment(key, size, flags, credentials, pid);
      },
      unsuitable: (found) => (size > found.size ? 'EINVAL' : null),
    });
  }

  /** The segment of an id; EINVAL, EACCES. */
  get(id: number): Segment {
    this.collect();
    return this.table.get(id);
  }

  /** How many mappings there are of a segment (shm_nattch). */
  attachments(segment: Segment): number {
    let count = 0;
    const seen = new Set<Mm>();
    for (const { zombie, mm } of this.processes) {
      if (zombie || seen.has(mm)) continue;
      seen.add(mm);
      for (const vma of mm.vmas) if (vma.object === segment.memory && vma.offset === 0) count++;
    }
    return count;
  }

  /** shmat(2): the address. */
  attach({ process, credentials }: Task, id: number, { address, flags, alignment }: AttachRequest): number {
    const segment = this.get(id);
    const write = (flags & Shm.RDONLY) === 0;
    const execute = (flags & Shm.EXEC) !== 0;
    const needs = IpcAccess.read | (write ? IpcAccess.write : 0) | (execute ? IpcAccess.execute : 0);
    segment.check(credentials, needs);
    let at = address;
    if (at % alignment !== 0) {
      if ((flags & Shm.RND) === 0) throw new Errno('EINVAL');
      at -= at % alignment;
    }
    const remap = (flags & Shm.REMAP) !== 0;
    if (at === 0 && remap) throw new Errno('EINVAL');
    const { mm } = process;
    const length = pageCeil(segment.size);
    if (at !== 0 && !remap && (at + length > mm.taskSize || !mm.vmas.free(at, at + length))) throw new Errno('EINVAL');
    const start = mm.mmap({
      address: at,
      length,
      prot: Prot.READ | (write ? Prot.WRITE : 0) | (execute ? Prot.EXEC : 0),
      flags: MapFlags.SHARED | MapFlags.ANONYMOUS | (at === 0 ? 0 : MapFlags.FIXED),
      file: null,
      offset: 0,
      name: `/SYSV${(segment.key >>> 0).toString(16).padStart(8, '0')} (deleted)`,
      object: segment.memory,
    });
    segment.attached = now();
    segment.lpid = process.pid;
    return start;
  }

  /** shmdt(2): unmaps what is left of the segment that was attached at `address`. EINVAL. */
  detach(process: Process, address: number): void {
    const { mm } = process;
    const first = mm.vmas.at(address);
    const segment = first === null ? undefined : this.ownerOf(first);
    if (first === null || segment === undefined || first.start - first.offset !== address) throw new Errno('EINVAL');
    for (const vma of mm.vmas.overlapping(address, address + pageCeil(segment.size))) {
      if (vma.object === segment.memory && vma.start - vma.offset === address)
        mm.munmap(vma.start, vma.end - vma.start);
    }
    segment.detached = now();
    segment.lpid = process.pid;
    this.collect();
  }

  private ownerOf({ object }: Vma): Segment | undefined {
    for (const segment of this.table) if (segment.memory === object) return segment;
    return undefined;
  }

  /** IPC_RMID: the segment goes with its last mapping. */
  markRemoved(segment: Segment): void {
    segment.mode |= Shm.DEST;
    segment.key = Ipc.PRIVATE;
    this.collect();
  }

  /** Forgets segments that are marked and mapped nowhere. */
  private collect(): void {
    for (const segment of [...this.table]) {
      if ((segment.mode & Shm.DEST) !== 0 && this.attachments(segment) === 0) this.table.remove(segment);
    }
  }
}
