import { join } from 'node:path';
import type { Rig } from '../random/runner.ts';
import { repoRoot } from '../support/cache.ts';

/** The rig's program. */
export const rigProgram: string = join(repoRoot, 'fixtures/i386/insnrig');

/** CPU state before or after a sequence. */
export interface Registers {
  /** EAX ECX EDX EBX ESP EBP ESI EDI */
  r: number[];
  eflags: number;
  /** FXSAVE image, where the rig is told to use it. */
  fx?: Uint8Array;
}

export const fxBytes = 512;
const fxAt = 48;

function write(to: Buffer, at: number, { r, eflags, fx }: Registers): void {
  r.forEach((value, i) => to.writeUInt32LE(value >>> 0, at + 4 * i));
  to.writeUInt32LE(eflags, at + 32);
  if (fx) to.set(fx, at + fxAt);
}

function read(from: Buffer, at: number): Registers {
  return {
    r: Array.from({ length: 8 }, (_r, n) => from.readUInt32LE(at + 4 * n)),
    eflags: from.readUInt32LE(at + 32),
  };
}

export interface RigOptions {
  /** States have an FXSAVE image. */
  fx?: boolean;
  /** The rig asks for the exception flags of MXCSR, which makes tsemu keep them. */
  fpFlags?: boolean;
  /** The rig handles faults; else the first one is its end. */
  handlers?: boolean;
}

/** fixtures/i386/insnrig.c, whose `struct registers` has the same layout. */
export const i386Rig = ({ fx = false, fpFlags = true, handlers = true }: RigOptions): Rig<Registers> => ({
  command: [rigProgram, ...(fx ? ['fx'] : []), ...(fpFlags ? ['mxcsr'] : []), ...(handlers ? [] : ['handlers'])],
  registersBytes: fxAt + (fx ? fxBytes : 0),
  write,
  read: fx ? (from, at) => ({ ...read(from, at), fx: from.subarray(at + fxAt, at + fxAt + fxBytes) }) : read,
});
