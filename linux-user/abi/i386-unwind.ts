import type { GuestMemory } from '#accel/guest-memory.ts';
import type { Task } from '../task.ts';
import type { Backtrace } from './abi.ts';
import { type I386Registers, Reg } from './i386-registers.ts';

/* Backtraces along the frame pointers; where there are none, from what looks like return addresses on the stack. */

const maximumFrames = 40;
const scannedWords = 2048;
/** Bytes that a frame can have, and the least number of frames that a chain must have to be believed. */
const largestFrame = 1 << 20;
const fewestFrames = 2;

/** Does a call instruction end right before `address`: CALL rel32, or CALL r/m of 2, 3, 4, 6 or 7 bytes? */
function followsCall(memory: GuestMemory, address: number): boolean {
  if (address < 8 || !memory.fetchable(address - 7, 7)) return false;
  if (memory.fetch8(address - 5) === 0xe8) return true;
  return [2, 3, 4, 6, 7].some((length) => {
    const modrm = memory.fetch8(address - length + 1);
    return memory.fetch8(address - length) === 0xff && (modrm & 0x38) === 0x10;
  });
}

function byFramePointers(memory: GuestMemory, start: number): number[] {
  const addresses: number[] = [];
  let frame = start;
  while (addresses.length < maximumFrames && memory.refused(frame, 8, 1) < 0) {
    const returnTo = memory.load32(frame + 4);
    if (!followsCall(memory, returnTo)) break;
    addresses.push(returnTo);
    const next = memory.load32(frame);
    if (next <= frame || next - frame > largestFrame) break;
    frame = next;
  }
  return addresses;
}

function byScan(memory: GuestMemory, stackPointer: number): number[] {
  const addresses: number[] = [];
  for (let i = 0; i < scannedWords && addresses.length < maximumFrames; i++) {
    const at = stackPointer + 4 * i;
    if (memory.refused(at, 4, 1) >= 0) break;
    const value = memory.load32(at);
    if (followsCall(memory, value)) addresses.push(value);
  }
  return addresses;
}

export function i386Backtrace(registers: I386Registers, { cpu, memory }: Task): Backtrace {
  const chain = byFramePointers(memory, registers.get(cpu, Reg.ebp));
  if (chain.length >= fewestFrames) return { how: 'along the frame pointers', addresses: chain };
  return { how: 'guessed from the stack', addresses: byScan(memory, registers.get(cpu, Reg.esp)) };
}
