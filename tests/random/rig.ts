import { join } from 'node:path';
import { repoRoot } from '../support/cache.ts';
import type { Rig } from './runner.ts';

/** CPU state before or after a sequence. */
export interface Registers {
  /** r0–r14 */
  r: number[];
  /** Only NZCVQ and GE count. */
  cpsr: number;
  fpscr: number;
  d: bigint[];
}

function write(to: Buffer, at: number, registers: Registers): void {
  registers.r.forEach((value, i) => to.writeUInt32LE(value, at + i * 4));
  to.writeUInt32LE(registers.cpsr, at + 60);
  to.writeUInt32LE(registers.fpscr, at + 64);
  registers.d.forEach((value, i) => to.writeBigUInt64LE(value, at + 72 + i * 8));
}

function read(from: Buffer, at: number): Registers {
  return {
    r: Array.from({ length: 15 }, (_, i) => from.readUInt32LE(at + i * 4)),
    cpsr: from.readUInt32LE(at + 60),
    fpscr: from.readUInt32LE(at + 64),
    d: Array.from({ length: 32 }, (_, i) => from.readBigUInt64LE(at + 72 + i * 8)),
  };
}

export interface RigOptions {
  /** The rig looks at the cumulative flags of FPSCR, which makes tsemu keep them. */
  fpFlags?: boolean;
  /** The rig handles faults; else the first one is its end. */
  handlers?: boolean;
}

/** fixtures/arm/insnrig.c, whose `struct registers` has the same layout. */
export const armRig = ({ fpFlags = true, handlers = true }: RigOptions = {}): Rig<Registers> => ({
  command: [join(repoRoot, 'fixtures/arm/insnrig'), ...(fpFlags ? [] : ['flags']), ...(handlers ? [] : ['handlers'])],
  registersBytes: 328,
  write,
  read,
});
