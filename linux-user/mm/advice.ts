import { pageSize } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import { ResourceLimit } from '../resource-limits.ts';
import type { Mm } from './mm.ts';
import { pageCeil, pageFloor } from './page-math.ts';
import { readIn, writeBack } from './pages.ts';
import { SyncFlags, slice, type Vma } from './vma.ts';

const MADV_DONTNEED = 4;
const MADV_FREE = 8;
/** Advice that changes nothing a program can see here (paging, forks to come, dumps, huge pages). */
const harmless = new Set([0, 1, 2, 3, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 25]);

export function madvise(mm: Mm, address: number, length: number, advice: number): void {
  if (advice !== MADV_DONTNEED && advice !== MADV_FREE && !harmless.has(advice)) throw new Errno('EINVAL');
  if (address % pageSize !== 0) throw new Errno('EINVAL');
  const end = address + pageCeil(length);
  if (end > 2 ** 32) throw new Errno('EINVAL');
  for (const vma of mm.vmas.overlapping(address, end)) {
    const piece = slice(vma, Math.max(address, vma.start), Math.min(end, vma.end));
    if (advice === MADV_FREE && (piece.file !== null || piece.shared)) throw new Errno('EINVAL');
    if (advice === MADV_DONTNEED) discard(mm, piece);
  }
  if (length > 0 && !mm.vmas.covers(address, end)) throw new Errno('ENOMEM');
}

/** Private pages go back to zero or to what the file holds; shared ones stay (the page cache has them). */
function discard(mm: Mm, vma: Vma): void {
  if (vma.locked || vma.start >= mm.taskSize) throw new Errno('EINVAL');
  if (vma.shared) return;
  mm.codeMayChange(vma);
  mm.clear(vma.start, vma.end);
  if (vma.file !== null) {
    mm.makeWritable(vma.start, vma.end);
    readIn(mm.memory, vma);
  }
  mm.setAccess(vma.start, vma.end, mm.access(vma.prot));
}

export function mincore(mm: Mm, address: number, length: number): Uint8Array {
  if (address % pageSize !== 0) throw new Errno('EINVAL');
  const end = address + pageCeil(length);
  if (end > mm.taskSize || (length > 0 && !mm.vmas.covers(address, end))) throw new Errno('ENOMEM');
  return new Uint8Array((end - address) / pageSize).fill(1);
}

export function msync(mm: Mm, address: number, length: number, flags: number): void {
  const { ASYNC, INVALIDATE, SYNC } = SyncFlags;
  if ((flags & ~(ASYNC | INVALIDATE | SYNC)) !== 0 || (flags & (ASYNC | SYNC)) === (ASYNC | SYNC)) {
    throw new Errno('EINVAL');
  }
  if (address % pageSize !== 0) throw new Errno('EINVAL');
  const end = address + pageCeil(length);
  if (end > 2 ** 32) throw new Errno('ENOMEM');
  for (const vma of mm.vmas.overlapping(address, end)) {
    if ((flags & INVALIDATE) !== 0 && vma.locked) throw new Errno('EBUSY');
    writeBack(mm.memory, slice(vma, Math.max(address, vma.start), Math.min(end, vma.end)));
  }
  if (length > 0 && !mm.vmas.covers(address, end)) throw new Errno('ENOMEM');
}

export function mlock(mm: Mm, address: number, length: number, locked: boolean): void {
  const start = pageFloor(address);
  const end = pageCeil(address + length);
  if (end > 2 ** 32) throw new Errno('EINVAL');
  if (end === start) return;
  if (locked && end - start + lockedBytes(mm) > mm.limits.get(ResourceLimit.MEMLOCK).soft) throw new Errno('ENOMEM');
  for (const vma of mm.vmas.overlapping(start, end)) {
    if (vma.locked === locked) continue;
    const [piece] = mm.vmas.carve(Math.max(start, vma.start), Math.min(end, vma.end));
    mm.vmas.insert({ ...piece, locked });
  }
  if (!mm.vmas.covers(start, end)) throw new Errno('ENOMEM');
}

function lockedBytes(mm: Mm): number {
  let bytes = 0;
  for (const vma of mm.vmas) if (vma.locked) bytes += vma.end - vma.start;
  return bytes;
}
