import { Access, pageSize } from '#accel/guest-memory.ts';
import { Errno } from '#util/errno.ts';
import type { Mm } from './mm.ts';
import { mmapMinAddress, pageCeil } from './page-math.ts';
import { copyPages, readIn, takeSnapshot, writeBack } from './pages.ts';
import { RemapFlags, type Vma } from './vma.ts';

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
  // Doubling a shared mapping (old length 0) would need two addresses for the same pages.
  if (oldLength === 0) throw new Errno('EINVAL');
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
