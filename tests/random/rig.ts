import { join } from 'node:path';
import { repoRoot } from '../support/cache.ts';
import { runBatch } from './batch.ts';

/** The rig's program; its record layouts are those of fixtures/arm/insnrig.c. */
export const rigProgram: string = join(repoRoot, 'fixtures/arm/insnrig');

/** Where the rig's scratch page lies in guest memory, and its size in bytes. */
export const scratchBase = 0x2010_0000;
export const scratchBytes = 4096;

/** CPU state before or after a sequence. */
export interface Registers {
  /** r0–r14 */
  r: number[];
  /** Only NZCVQ and GE count. */
  cpsr: number;
  fpscr: number;
  d: bigint[];
}

/** What the rig runs. */
export interface Request {
  thumb: boolean;
  code: Uint8Array;
  scratchSeed: number;
  registers: Registers;
}

/** What became of a request. */
export interface Report {
  kind: 'report';
  /** 0, or the signal that the sequence raised. */
  signal: number;
  /** si_addr of the signal. */
  address: number;
  /** Of the fault, from the first code byte. */
  pcOffset: number;
  faultThumb: boolean;
  scratchHash: number;
  registers: Registers;
  scratch: Uint8Array | undefined;
}

/** The whole runner ended at a request. */
export interface Death {
  kind: 'death';
  /** How, and the end of what it wrote to stderr. */
  reason: string;
}

export type Result = Report | Death;

const registersBytes = 328;
const requestHead = 16;
const reportHead = 24;

function writeRegisters(to: Buffer, at: number, registers: Registers): void {
  registers.r.forEach((value, i) => to.writeUInt32LE(value, at + i * 4));
  to.writeUInt32LE(registers.cpsr, at + 60);
  to.writeUInt32LE(registers.fpscr, at + 64);
  registers.d.forEach((value, i) => to.writeBigUInt64LE(value, at + 72 + i * 8));
}

function readRegisters(from: Buffer, at: number): Registers {
  return {
    r: Array.from({ length: 15 }, (_, i) => from.readUInt32LE(at + i * 4)),
    cpsr: from.readUInt32LE(at + 60),
    fpscr: from.readUInt32LE(at + 64),
    d: Array.from({ length: 32 }, (_, i) => from.readBigUInt64LE(at + 72 + i * 8)),
  };
}

function encodeRequest(request: Request, dump: boolean): Buffer {
  const rounded = (request.code.length + 3) & ~3;
  const out = Buffer.alloc(requestHead + registersBytes + rounded);
  out.writeUInt32LE(request.thumb ? 1 : 0, 0);
  out.writeUInt32LE(request.code.length, 4);
  out.writeUInt32LE(request.scratchSeed, 8);
  out.writeUInt32LE(dump ? 1 : 0, 12);
  writeRegisters(out, requestHead, request.registers);
  out.set(request.code, requestHead + registersBytes);
  return out;
}

function decodeReports(bytes: Buffer, dump: boolean): Report[] {
  const size = reportHead + registersBytes + (dump ? scratchBytes : 0);
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => {
    const at = i * size;
    return {
      kind: 'report',
      signal: bytes.readUInt32LE(at),
      address: bytes.readUInt32LE(at + 8),
      pcOffset: bytes.readInt32LE(at + 12),
      faultThumb: bytes.readUInt32LE(at + 16) !== 0,
      scratchHash: bytes.readUInt32LE(at + 20),
      registers: readRegisters(bytes, at + reportHead),
      scratch: dump ? bytes.subarray(at + reportHead + registersBytes, at + size) : undefined,
    };
  });
}

/** A command line that runs the rig, without the rig's own path. */
export type RigCommand = [command: string, args: readonly string[]];

export interface RigOptions {
  /** The scratch page comes with each report. */
  dump?: boolean;
  /** Milliseconds for one process. */
  timeout?: number;
  /** The rig looks at the cumulative flags of FPSCR, which makes tsemu keep them. */
  fpFlags?: boolean;
  /** The rig handles faults; else the first one is its end. */
  handlers?: boolean;
}

// A runner that dies of every request would be started again for each.
const MAX_DEATHS = 50;
// A runner that hangs costs a whole time-out.
const HANG_WEIGHT = 20;

/**
 * Runs requests and returns one result each. A runner that dies is started again behind the request that killed it,
 * but not for ever: when it keeps dying, the requests left are all reported as deaths.
 */
export async function runRig(
  command: RigCommand,
  requests: readonly Request[],
  { dump = false, timeout = 60_000, fpFlags = true, handlers = true }: RigOptions = {},
): Promise<Result[]> {
  const results: Result[] = [];
  let deaths = 0;
  const [program, args] = command;
  const rigArgs = [...(fpFlags ? [] : ['flags']), ...(handlers ? [] : ['handlers'])];
  while (results.length < requests.length) {
    const left = requests.slice(results.length);
    const input = Buffer.concat(left.map((request) => encodeRequest(request, dump)));
    const end = await runBatch([program, ...args, rigProgram, ...rigArgs], input, timeout);
    results.push(...decodeReports(end.stdout, dump).slice(0, left.length));
    if (results.length === requests.length) break;
    deaths += end.timedOut ? HANG_WEIGHT : 1;
    do results.push({ kind: 'death', reason: end.reason });
    while (deaths >= MAX_DEATHS && results.length < requests.length);
  }
  return results;
}
