import { join } from 'node:path';
import { runBatch } from '../random/batch.ts';
import { repoRoot } from '../support/cache.ts';

/** The rig's program; its record layouts are those of fixtures/i386/insnrig.c. */
export const rigProgram: string = join(repoRoot, 'fixtures/i386/insnrig');

/** Where the rig's scratch pages lie in guest memory, and their size in bytes. */
export const scratchBase = 0x2010_0000;
export const scratchBytes = 8192;
/** Its code slots, one for each request in turn. */
export const codeBase = 0x2100_0000;
export const slotBytes = 512;
export const codeEnd: number = codeBase + 512 * slotBytes;

/** CPU state before or after a sequence. */
export interface Registers {
  /** EAX ECX EDX EBX ESP EBP ESI EDI */
  r: number[];
  eflags: number;
  /** FXSAVE image, where the rig is told to use it. */
  fx?: Uint8Array;
}

/** What the rig runs. */
export interface Request {
  code: Uint8Array;
  scratchSeed: number;
  registers: Registers;
}

/** What became of a request. */
export interface Report {
  kind: 'report';
  /** 0, or the signal that the sequence raised. */
  signal: number;
  /** si_code and si_addr of the signal. */
  code: number;
  address: number;
  /** Of the fault, from the first code byte. */
  pcOffset: number;
  scratchHash: number;
  registers: Registers;
}

/** The whole runner ended at a request. */
export interface Death {
  kind: 'death';
  /** How, and the end of what it wrote to stderr. */
  reason: string;
}

export type Result = Report | Death;

const registersBytes = 36;
const requestHead = 12;
const reportHead = 20;
export const fxBytes = 512;

function encodeRequest({ code, scratchSeed, registers }: Request, fx: boolean): Buffer {
  const rounded = (code.length + 3) & ~3;
  const head = requestHead + registersBytes + (fx ? fxBytes : 0);
  const out = Buffer.alloc(head + rounded);
  out.writeUInt32LE(code.length, 0);
  out.writeUInt32LE(scratchSeed, 4);
  registers.r.forEach((value, i) => out.writeUInt32LE(value >>> 0, requestHead + 4 * i));
  out.writeUInt32LE(registers.eflags, requestHead + 32);
  if (fx && registers.fx) out.set(registers.fx, requestHead + registersBytes);
  out.set(code, head);
  return out;
}

function decodeReports(bytes: Buffer, fx: boolean): Report[] {
  const size = reportHead + registersBytes + (fx ? fxBytes : 0);
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, i) => {
    const at = i * size;
    const registers = at + reportHead;
    return {
      kind: 'report',
      signal: bytes.readUInt32LE(at),
      code: bytes.readInt32LE(at + 4),
      address: bytes.readUInt32LE(at + 8),
      pcOffset: bytes.readInt32LE(at + 12),
      scratchHash: bytes.readUInt32LE(at + 16),
      registers: {
        r: Array.from({ length: 8 }, (_r, n) => bytes.readUInt32LE(registers + 4 * n)),
        eflags: bytes.readUInt32LE(registers + 32),
        ...(fx && { fx: bytes.subarray(registers + registersBytes, at + size) }),
      },
    };
  });
}

/** A command line that runs the rig, without the rig's own path: empty on a host that runs it itself. */
export type RigCommand = readonly string[];

export interface RigOptions {
  /** Requests and reports have an FXSAVE image. */
  fx?: boolean;
  /** Milliseconds for one process. */
  timeout?: number;
}

/** A runner that keeps dying is not started for ever. */
const maxDeaths = 20;

/** Runs requests and returns one result each. A runner that dies is started again behind the request that killed it. */
export async function runRig(
  command: RigCommand,
  requests: readonly Request[],
  { fx = false, timeout = 120_000 }: RigOptions = {},
): Promise<Result[]> {
  const results: Result[] = [];
  let deaths = 0;
  while (results.length < requests.length) {
    const left = requests.slice(results.length);
    const input = Buffer.concat(left.map((request) => encodeRequest(request, fx)));
    const { stdout, reason } = await runBatch([...command, rigProgram, ...(fx ? ['fx'] : [])], input, timeout);
    results.push(...decodeReports(stdout, fx).slice(0, left.length));
    if (results.length === requests.length) break;
    deaths++;
    do results.push({ kind: 'death', reason });
    while (deaths >= maxDeaths && results.length < requests.length);
  }
  return results;
}
