import { runBatch } from './batch.ts';

/** What a rig runs: code, and the states to run it from. The record layouts are those of fixtures/insnrig.h. */
export interface Request<R> {
  code: Uint8Array;
  /** Which of the `slots` places the code goes to. */
  slot: number;
  thumb?: boolean;
  scratchSeed: number;
  states: readonly R[];
}

/** What became of one state. */
export interface Brief {
  /** Of all that the rig knows, but for bits that do not count. */
  digest: number;
  /** 0, or the signal that the code raised. */
  signal: number;
  /** Of the fault, from the first code byte. */
  pcOffset: number;
}

/** The same in detail. */
export interface Report<R> extends Brief {
  /** si_code and si_addr of the signal. */
  code: number;
  address: number;
  faultThumb: boolean;
  /** 0 where the scratch pages are as they were. */
  scratchHash: number;
  registers: R;
}

/** The whole runner ended at a request: how, and the end of what it wrote to stderr. */
export interface Death {
  kind: 'death';
  reason: string;
}

/** One report for each state of a request. */
export interface Answer<T extends Brief> {
  kind: 'answer';
  reports: T[];
}

export type Result<T extends Brief> = Answer<T> | Death;

/** A rig and its registers. */
export interface Rig<R> {
  /** Path of the program, and its arguments. */
  command: readonly string[];
  /** Bytes of a state. */
  registersBytes: number;
  write: (to: Buffer, at: number, registers: R) => void;
  read: (from: Buffer, at: number) => R;
}

/** Where the rigs' scratch pages lie in guest memory, and their size in bytes. */
export const scratchBase = 0x2010_0000;
export const scratchBytes = 8192;
/** Where the rigs put code. */
export const codeBase = 0x2100_0000;
export const slotBytes = 1024;
export const slots = 256;
export const codeBytes = 1000;

const requestHead = 24;
const briefBytes = 12;
const reportHead = 28;

function encodeRequest<R>(rig: Rig<R>, request: Request<R>, detail: boolean): Buffer {
  const rounded = (request.code.length + 3) & ~3;
  const states = requestHead + rounded;
  const out = Buffer.alloc(states + request.states.length * rig.registersBytes);
  if (request.code.length > codeBytes) throw new Error(`code of ${request.code.length} bytes`);
  out.writeUInt32LE(request.code.length, 0);
  out.writeUInt32LE(request.slot, 4);
  out.writeUInt32LE(request.scratchSeed, 8);
  out.writeUInt32LE(request.states.length, 12);
  out.writeUInt32LE(detail ? 1 : 0, 16);
  out.writeUInt32LE(request.thumb ? 1 : 0, 20);
  out.set(request.code, requestHead);
  request.states.forEach((registers, i) => rig.write(out, states + i * rig.registersBytes, registers));
  return out;
}

const readBrief = (bytes: Buffer, at: number): Brief => ({
  digest: bytes.readUInt32LE(at),
  signal: bytes.readUInt32LE(at + 4),
  pcOffset: bytes.readInt32LE(at + 8),
});

/** How reports of one kind are read. */
interface Form<T extends Brief> {
  detail: boolean;
  bytes: number;
  read: (bytes: Buffer, at: number) => T;
}

const brief: Form<Brief> = { detail: false, bytes: briefBytes, read: readBrief };

function whole<R>(rig: Rig<R>): Form<Report<R>> {
  const size = reportHead + rig.registersBytes;
  return {
    detail: true,
    bytes: size + briefBytes,
    read: (bytes, at) => ({
      ...readBrief(bytes, at + size),
      code: bytes.readInt32LE(at + 12),
      address: bytes.readUInt32LE(at + 16),
      faultThumb: bytes.readUInt32LE(at + 20) !== 0,
      scratchHash: bytes.readUInt32LE(at + 24),
      registers: rig.read(bytes, at + reportHead),
    }),
  };
}

// A runner that dies of every request would be started again for each.
const maxDeaths = 50;
// A runner that hangs costs a whole time-out.
const hangWeight = 20;
const batchTimeout = 600_000;

async function runForm<R, T extends Brief>(
  rig: Rig<R>,
  form: Form<T>,
  command: readonly string[],
  requests: readonly Request<R>[],
  timeout: number,
): Promise<Result<T>[]> {
  const results: Result<T>[] = [];
  let deaths = 0;
  while (results.length < requests.length) {
    const left = requests.slice(results.length);
    const input = Buffer.concat(left.map((request) => encodeRequest(rig, request, form.detail)));
    const { stdout, reason, timedOut } = await runBatch([...command, ...rig.command], input, timeout);
    let at = 0;
    for (const { states } of left) {
      const end = at + states.length * form.bytes;
      if (end > stdout.length) break;
      results.push({ kind: 'answer', reports: states.map((_, i) => form.read(stdout, at + i * form.bytes)) });
      at = end;
    }
    if (results.length === requests.length) break;
    deaths += timedOut ? hangWeight : 1;
    do results.push({ kind: 'death', reason });
    while (deaths >= maxDeaths && results.length < requests.length);
  }
  return results;
}

/**
 * Runs requests and returns one result each. A runner that dies is started again behind the request that killed it, but
 * not for ever: when it keeps dying, the requests left are all reported as deaths.
 */
export const runBrief = <R>(
  rig: Rig<R>,
  command: readonly string[],
  requests: readonly Request<R>[],
  timeout = batchTimeout,
): Promise<Result<Brief>[]> => runForm(rig, brief, command, requests, timeout);

/** The same with all that the rig can tell. */
export const runWhole = <R>(
  rig: Rig<R>,
  command: readonly string[],
  requests: readonly Request<R>[],
  timeout = batchTimeout,
): Promise<Result<Report<R>>[]> => runForm(rig, whole(rig), command, requests, timeout);
