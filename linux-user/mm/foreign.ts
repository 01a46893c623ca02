import { Access, pageSize } from '#accel/guest-memory.ts';
import type { Mm } from './mm.ts';
import { pageCeil, pageFloor } from './page-math.ts';

/*
 * How a debugger reads and writes another program's memory (access_process_vm with FOLL_FORCE): what is mapped can be
 * read, whatever its permissions, and what is mapped privately written to, as a breakpoint in the program's code is.
 */

/** How many of the `length` bytes from `address` on are there to read, or to write. */
function reachable(mm: Mm, address: number, length: number, write: boolean): number {
  let end = address;
  for (const vma of mm.vmas.overlapping(address, address + length)) {
    if (vma.start > end) break;
    if (write && vma.shared && (vma.prot & Access.write) === 0) break;
    end = Math.min(address + length, vma.end);
  }
  return end - address;
}

/** The bytes from `address` on, up to the first that is not mapped. */
export function readForeign(mm: Mm, address: number, length: number): Uint8Array {
  const bytes = new Uint8Array(reachable(mm, address, length, false));
  mm.memory.copyOut(address, bytes, () => false);
  return bytes;
}

/** Writes as many of the bytes as can be: returns how many. */
export function writeForeign(mm: Mm, address: number, bytes: Uint8Array): number {
  const { memory } = mm;
  const count = reachable(mm, address, bytes.length, true);
  for (let done = 0; done < count; ) {
    const at = address + done;
    const piece = bytes.subarray(done, Math.min(count, done + pageSize - (at % pageSize)));
    const [start, end] = [pageFloor(at), pageCeil(at + piece.length)];
    if (memory.refused(at, piece.length, Access.write) < 0) memory.write(at, piece);
    else {
      mm.makeWritable(start, end);
      memory.write(at, piece);
      memory.protect(start, end, mm.access(mm.vmas.at(at)!.prot));
    }
    mm.onCodeChange(start, end);
    done += piece.length;
  }
  return count;
}
