import { Access, pageSize } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import type { Mm } from './mm.ts';
import { mmapMinAddress, pageCeil, pageFloor } from './page-math.ts';
import { copyPages, readIn, takeSnapshot, writeBack } from './pages.ts';
import { MapFlags, RemapFlags, type Vma } from './vma.ts';

const { MAYMOVE, FIXED, DONTUNMAP } = RemapFlags;

/** mremap(2). */
export function mremap(mm: Mm, address: number, oldSize: number, newSize: number, flags: number, to: number): number {
  const oldLength = pageCeil(oldSize);
  const newLength = pageCeil(newSize);
  if ((flags & ~(MAYMOVE | FIXED | DONTUNMAP)) !== 0) throw new Errno('EINVAL');
  if ((flags & FIXED) !== 0 && (flags & MAYMOVE) === 0) throw new Errno('EINVAL');
  if ((flags & DONTUNMAP) !== 0 && ((flags & MAYMOVE) === 0 || oldLength !== newLength)) throw new Errno('EINVAL');
  if (address % pageSize !== 0 || newLength === 0) throw new Errno('EINVAL');
  if (newLength > mm.taskSize) throw new Errno((flags & FIXED) !== 0 ? 'EINVAL' : 'ENOMEM');
  if ((flags & FIXED) !== 0) checkTarget(mm, address, oldLength, newLength, to);

  const vma = mm.vmas.at(address);
  if (vma === null || vma.start >= mm.taskSize) throw new Errno('EFAULT');
  if (oldLength === 0) return mapAgain(mm, vma, address, newLength, flags, to);
  if ((flags & (FIXED | DONTUNMAP)) === 0 && newLength <= oldLength) {
    if (newLength < oldLength) mm.munmap(address + newLength, oldLength - newLength);
    return address;
  }
  if (address + oldLength > vma.end) throw new Errno('EFAULT');
  if ((flags & (FIXED | DONTUNMAP)) === 0) {
    if (address + oldLength === vma.end && growInPlace(mm, vma, address + newLength)) return address;
    if ((flags & MAYMOVE) === 0) throw new Errno('ENOMEM');
  }
  return move(mm, address, oldLength, newLength, flags, to);
}

function checkTarget(mm: Mm, address: number, oldLength: number, newLength: number, to: number): void {
  if (to % pageSize !== 0 || to > mm.taskSize - newLength) throw new Errno('EINVAL');
  if (to < address + oldLength && address < to + newLength) throw new Errno('EINVAL');
  if (to < mmapMinAddress) throw new Errno('EPERM');
}

/** Maps bytes of a shared mapping at another address as well; `start` null: where there is room. */
function mapShared(mm: Mm, vma: Vma, start: number | null, length: number, offset: number): number {
  const { prot, file, object, name } = vma;
  if (object !== null) mm.publish(object);
  const fixed = start === null ? 0 : MapFlags.FIXED;
  const request = { address: start ?? 0, length, prot, flags: MapFlags.SHARED | fixed, file, offset, name };
  return mm.mmap(file === null && object !== null ? { ...request, object } : request);
}

/** mremap(2) of no bytes: a shared mapping's bytes are mapped once more. */
function mapAgain(mm: Mm, vma: Vma, address: number, length: number, flags: number, to: number): number {
  if (!vma.shared) throw new Errno('EINVAL');
  if ((flags & MAYMOVE) === 0) throw new Errno('ENOMEM');
  return mapShared(mm, vma, (flags & FIXED) === 0 ? null : to, length, vma.offset + (address - vma.start));
}

/** remap_file_pages(2): what is mapped from `address` on shows the file or shared memory from page `page` on. */
export function remapFilePages(mm: Mm, address: number, size: number, prot: number, page: number): void {
  const start = pageFloor(address);
  const length = pageFloor(size);
  if (prot !== 0 || length === 0 || start + length > mm.taskSize) throw new Errno('EINVAL');
  const vma = mm.vmas.at(start);
  if (vma === null || !vma.shared) throw new Errno('EINVAL');
  let reached = start;
  for (const piece of mm.vmas.overlapping(start, start + length)) {
    const alike = piece.file === vma.file && piece.object === vma.object && piece.prot === vma.prot;
    if (piece.start > reached || !alike) throw new Errno('EINVAL');
    reached = piece.end;
  }
  if (reached < start + length) throw new Errno('EINVAL');
  mapShared(mm, vma, start, length, page * pageSize);
}

function growInPlace(mm: Mm, vma: Vma, newEnd: number): boolean {
  if (newEnd > mm.taskSize || !mm.vmas.free(vma.end, newEnd)) return false;
  mm.checkLimits(newEnd - vma.end, vma.prot, vma.shared, vma.end);
  const offset = vma.file === null && vma.object === null ? 0 : vma.offset + (vma.end - vma.start);
  mm.place({ ...vma, start: vma.end, end: newEnd, offset, pristine: null, snapshot: null });
  return true;
}

function move(mm: Mm, address: number, oldLength: number, newLength: number, flags: number, to: number): number {
  const keep = (flags & DONTUNMAP) !== 0;
  const target = (flags & FIXED) !== 0 ? to : mm.findFree(keep ? to : 0, newLength);
  const source = mm.vmas.at(address)!;
  mm.checkLimits(keep ? newLength : newLength - oldLength, source.prot, source.shared, target);
  mm.drop(mm.vmas.carve(target, target + newLength));

  const [old] = mm.vmas.carve(address, address + oldLength);
  writeBack(mm.memory, old);
  mm.codeMayChange(old);
  const copied = Math.min(oldLength, newLength);
  mm.memory.protect(address, address + oldLength, Access.read | Access.write);
  mm.makeWritable(target, target + newLength);
  copyPages(mm.memory, address, target, copied);
  const aliased = mm.unalias(old);
  mm.clear(address, address + oldLength);
  if (newLength > copied && old.file !== null) {
    readIn(mm.memory, { ...old, start: target + copied, end: target + newLength, offset: old.offset + copied });
  }
  const moved = { ...old, start: target, end: target + newLength };
  const snapshot = old.snapshot === null ? null : takeSnapshot(mm.memory, moved);
  if (keep) {
    old.file?.retain();
    mm.makeWritable(address, address + oldLength);
    if (old.file !== null) readIn(mm.memory, old);
    mm.vmas.insert({ ...old, snapshot: old.snapshot === null ? null : takeSnapshot(mm.memory, old) });
    mm.setAccess(address, address + oldLength, mm.access(old.prot));
  } else {
    mm.memory.protect(address, address + oldLength, 0);
  }
  mm.vmas.insert({ ...moved, snapshot });
  mm.setAccess(target, target + newLength, mm.access(old.prot));
  if (aliased) mm.alias(old.object!);
  return target;
}
