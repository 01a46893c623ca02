import { Access, type GuestMemory, pageSize } from '#accel/guest-memory.ts';
import { Prot, type Vma } from './vma.ts';

/** Bytes compared with zeroes at once. */
const scanBytes = 65536;
const zeroes = Buffer.alloc(scanBytes);

/** True for bytes that are all zero; at most `scanBytes` of them. */
export const isZero = (bytes: Uint8Array): boolean => Buffer.compare(bytes, zeroes.subarray(0, bytes.length)) === 0;

/**
 * Makes the pages [start, end) zero; they must be readable and writable. They go back to the host where that is
 * possible. Reading an untouched page costs the host no memory, writing one does: so only what is not zero is written.
 */
export function zeroPages(memory: GuestMemory, start: number, end: number): void {
  if (memory.discard(start, end)) return;
  for (let chunk = start; chunk < end; chunk += scanBytes) {
    const chunkEnd = Math.min(end, chunk + scanBytes);
    if (isZero(memory.view(chunk, chunkEnd - chunk))) continue;
    for (let page = chunk; page < chunkEnd; page += pageSize) {
      const bytes = memory.view(page, pageSize, Access.write);
      if (!isZero(bytes)) bytes.fill(0);
    }
  }
}

/** Copies pages between writable ranges that do not overlap; zero pages are not touched at the target (it is zero). */
export function copyPages(memory: GuestMemory, from: number, to: number, bytes: number): void {
  for (let done = 0; done < bytes; done += pageSize) {
    const source = memory.view(from + done, pageSize);
    if (!isZero(source)) memory.view(to + done, pageSize, Access.write).set(source);
  }
}

/** Do two memories hold the same in the pages of `vma`, whatever their permissions? */
export function sameContent(memory: GuestMemory, other: GuestMemory, { start, end }: Vma): boolean {
  return memory.equals(other, start, end, (a, b) => Buffer.compare(a, b) === 0);
}

/** Reads a file mapping's content into its pages, which are zero and writable. */
export function readIn(memory: GuestMemory, vma: Vma): void {
  let at = vma.start;
  while (at < vma.end) {
    const count = vma.file!.readAt(memory.view(at, vma.end - at, Access.write), vma.offset + (at - vma.start));
    if (count === 0) return;
    at += count;
  }
}

export function takeSnapshot(memory: GuestMemory, vma: Vma): Uint8Array {
  return memory.copy(vma.start, vma.end - vma.start);
}

/** Writes the pages of a shared file mapping that changed since the last time to the file. */
export function writeBack(memory: GuestMemory, vma: Vma): void {
  const { snapshot, file } = vma;
  if (snapshot === null || file === null) return;
  for (let page = vma.start; page < vma.end; page += pageSize) {
    // A page the guest can no longer read was written back when that began, or never written.
    if (memory.refused(page, pageSize, Prot.READ) >= 0) continue;
    const known = snapshot.subarray(page - vma.start, page - vma.start + pageSize);
    const bytes = memory.view(page, pageSize);
    if (Buffer.compare(bytes, known) === 0) continue;
    known.set(bytes);
    file.writeAt(known, vma.offset + (page - vma.start));
  }
}
