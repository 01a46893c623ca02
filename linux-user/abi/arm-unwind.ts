import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Task } from '../task.ts';
import type { Backtrace, ImageFinder } from './abi.ts';
import type { ArmRegisters } from './arm-registers.ts';

/*
 * Backtraces from the exception index tables (EHABI32: "Exception Handling ABI for the Arm Architecture", 6 and 10.3);
 * where there is none, from what looks like return addresses on the stack.
 */

const maximumFrames = 40;
const scannedWords = 2048;
const SP = 13;
const LR = 14;
const PC = 15;
const cantUnwind = 1;

/** The target of a self-relative 31-bit offset. */
function prel31(address: number, word: number): number {
  return (address + ((word << 1) >> 1)) >>> 0;
}

/** Address of the unwind data word of the function that holds `pc`, or -1. */
function findEntry(memory: GuestMemory, table: { start: number; end: number }, pc: number): number {
  let low = 0;
  let high = Math.floor((table.end - table.start) / 8);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = table.start + middle * 8;
    if (prel31(at, memory.load32(at)) > pc) high = middle;
    else low = middle + 1;
  }
  return low === 0 ? -1 : table.start + (low - 1) * 8 + 4;
}

/** The unwinding instructions of a function, or null where the data say that it cannot be unwound. */
function unwindBytes(memory: GuestMemory, at: number): number[] | null {
  const data = memory.load32(at);
  if (data === cantUnwind) return null;
  if (data >>> 31 !== 0) return bytesOf(memory, data, 0, 0);
  let entry = prel31(at, data);
  let word = memory.load32(entry);
  if (word >>> 31 === 0) {
    // A personality routine of the language; C++'s keeps the same instructions behind a count of words.
    entry += 4;
    word = memory.load32(entry);
    return bytesOf(memory, word, word >>> 24, entry + 4);
  }
  const model = (word >>> 24) & 15;
  if (model === 0) return bytesOf(memory, word, 0, 0);
  if (model > 2) return null;
  return bytesOf(memory, word << 8, (word >>> 16) & 0xff, entry + 4, 2);
}

/** `count` leading bytes after the first of `word`, then the bytes of `words` more words. */
function bytesOf(memory: GuestMemory, word: number, words: number, rest: number, count = 3): number[] {
  const bytes: number[] = [];
  for (let i = 0; i < count; i++) bytes.push((word >>> (16 - 8 * i)) & 0xff);
  for (let i = 0; i < words; i++) {
    const next = memory.load32(rest + 4 * i);
    bytes.push(next >>> 24, (next >>> 16) & 0xff, (next >>> 8) & 0xff, next & 0xff);
  }
  return bytes;
}

/** Runs the instructions on `r` (r0…r15); false where they refuse. */
function execute(memory: GuestMemory, bytes: readonly number[], r: number[]): boolean {
  let vsp = r[SP];
  let pcSet = false;
  let spSet = false;
  const popMask = (mask: number, first: number): void => {
    for (let n = 0; mask >> n; n++) {
      if (((mask >> n) & 1) === 0) continue;
      const register = first + n;
      r[register] = memory.load32(vsp);
      vsp = (vsp + 4) >>> 0;
      if (register === PC) pcSet = true;
      if (register === SP) spSet = true;
    }
    if (spSet) vsp = r[SP];
  };
  for (let i = 0; i < bytes.length; i++) {
    const op = bytes[i];
    if (op < 0x40) vsp += (op << 2) + 4;
    else if (op < 0x80) vsp -= ((op & 0x3f) << 2) + 4;
    else if (op < 0x90) {
      const mask = ((op & 15) << 8) | (bytes[++i] ?? 0);
      if (mask === 0) return false;
      popMask(mask, 4);
    } else if (op < 0xa0) vsp = r[op & 15];
    else if (op < 0xb0) popMask(((2 << (op & 7)) - 1) | ((op & 8) !== 0 ? 1 << 10 : 0), 4);
    else if (op === 0xb0) break;
    else if (op === 0xb1) popMask((bytes[++i] ?? 0) & 15, 0);
    else if (op === 0xb2) {
      let value = 0;
      let shift = 0;
      let byte: number;
      do {
        byte = bytes[++i] ?? 0;
        value += (byte & 0x7f) * 2 ** shift;
        shift += 7;
      } while ((byte & 0x80) !== 0 && shift < 32);
      vsp += 0x204 + value * 4;
    } else if (op === 0xb3) vsp += ((bytes[++i] ?? 0) & 15) * 8 + 12;
    else if (op >= 0xb8 && op < 0xc0) vsp += (op & 7) * 8 + 12;
    else if (op === 0xc8 || op === 0xc9) vsp += ((bytes[++i] ?? 0) & 15) * 8 + 8;
    else if (op >= 0xd0 && op < 0xd8) vsp += (op & 7) * 8 + 8;
    else return false;
  }
  r[SP] = vsp >>> 0;
  if (!pcSet) r[PC] = r[LR];
  return true;
}

function byTables(memory: GuestMemory, start: readonly number[], images: ImageFinder): number[] {
  const r = [...start];
  const addresses: number[] = [];
  while (addresses.length < maximumFrames) {
    // A return address points behind the call: the call itself decides which function it is.
    const pc = addresses.length === 0 ? r[PC] : (r[PC] & ~1) - 2;
    const table = images(pc >>> 0)?.unwindTable;
    if (!table) break;
    const before = r[SP];
    try {
      const entry = findEntry(memory, table, pc >>> 0);
      const bytes = entry < 0 ? null : unwindBytes(memory, entry);
      if (bytes === null || !execute(memory, bytes, r)) break;
    } catch {
      break;
    }
    if (r[PC] === 0 || r[SP] < before || (r[SP] === before && addresses.length > 0)) break;
    addresses.push((r[PC] & ~1) >>> 0);
  }
  return addresses;
}

/** Does a call instruction end right before the return address `value`? */
function followsCall(memory: GuestMemory, value: number): boolean {
  const address = value & ~1;
  if (!memory.fetchable((address >>> 0) - 4, 4)) return false;
  if ((value & 1) !== 0) {
    const first = memory.fetch16((address >>> 0) - 4);
    const second = memory.fetch16((address >>> 0) - 2);
    const bl = (first & 0xf800) === 0xf000 && (second & 0xc000) === 0xc000;
    return bl || (second & 0xff87) === 0x4780;
  }
  if ((address & 3) !== 0) return false;
  const word = memory.fetch32((address >>> 0) - 4);
  return (word & 0x0f00_0000) === 0x0b00_0000 || word >>> 25 === 0x7d || (word & 0x0fff_fff0) === 0x012f_ff30;
}

function byScan(memory: GuestMemory, r: readonly number[]): number[] {
  const addresses: number[] = [];
  if (followsCall(memory, r[LR])) addresses.push((r[LR] & ~1) >>> 0);
  for (let i = 0; i < scannedWords && addresses.length < maximumFrames; i++) {
    const at = r[SP] + 4 * i;
    if (memory.refused(at, 4, 1) >= 0) break;
    const value = memory.load32(at);
    if (followsCall(memory, value)) addresses.push((value & ~1) >>> 0);
  }
  return addresses;
}

export function armBacktrace(registers: ArmRegisters, task: Task, images: ImageFinder): Backtrace {
  const r: number[] = [];
  for (let n = 0; n < 15; n++) r.push(registers.get(task.cpu, n));
  r.push((registers.pc(task.cpu) & ~1) >>> 0);
  const exact = byTables(task.memory, r, images);
  if (exact.length > 0) return { how: 'from unwind tables', addresses: exact };
  return { how: 'guessed from the stack', addresses: byScan(task.memory, r) };
}
