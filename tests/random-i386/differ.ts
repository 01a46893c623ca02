import type { X86Row } from '#target/i386/row.ts';
import { rows as allRows } from '#target/i386/rows.ts';
import { type Protection, type Tier, tsemuCommand } from '../support/run.ts';
import { candidates, generate, type Sequence } from './generate.ts';
import { approximate, compareFx } from './generate-fx.ts';
import {
  codeBase,
  codeEnd,
  type Report,
  type Request,
  type Result,
  type RigCommand,
  runRig,
  slotBytes,
} from './rig.ts';

/** tsemu in a tier; the other side is the host itself. */
export function tsemuRig(tier: Tier, protection: Protection = 'auto'): RigCommand {
  const [command, args] = tsemuCommand([], tier, protection, 'tsemu-i386');
  return [command, ...args];
}

export interface Finding {
  sequence: Sequence;
  differences: string[];
}

export interface Tally {
  sequences: number;
  instructions: number;
  faults: number;
  /** Sequences that killed the rig on the host: not compared. */
  deaths: number;
  findings: Finding[];
  byName: Map<string, number>;
}

const names = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
/** CF PF AF ZF SF DF OF. */
const comparedFlags = 0xcd5;
const SIGILL = 4;
/** Instructions with memory operands so long that processors begin anywhere in them. */
const longOperand = /^(FLDENV|FRSTOR)$/;
const SIGSEGV = 11;
const SI_KERNEL = 0x80;

const hex = (value: number): string => `0x${(value >>> 0).toString(16)}`;

/** A repeated comparison that faults leaves the flags before it or those of its last round: hardware differs. */
const openAtFault = /^(CMPS|SCAS)$/;

/** Code slots lie side by side, and after a death the two sides are at different ones: an address within its slot. */
const withinSlot = (address: number): number =>
  address >= codeBase && address < codeEnd ? codeBase + (address & (slotBytes - 1)) : address;

/** A fault where the other side may have memory: its stack, libraries or vDSO. */
const isElsewhere = ({ signal, address }: Report): boolean => signal === SIGSEGV && address >= 0xf700_0000;

/** An access past 2^32 is #GP or #SS on hardware; here it faults at its start. */
const wraps = (expected: Report, got: Report): boolean =>
  expected.code === siKernel && expected.address === 0 && got.signal === SIGSEGV && got.address > 0xffff_ffe0;
const siKernel = 0x80;

function compareReports(sequence: Sequence, expected: Report, got: Report): string[] {
  const differences: string[] = [];
  const check = (name: string, a: number, b: number): void => {
    if (a !== b) differences.push(`${name}: ${hex(a)} on the host, ${hex(b)} here`);
  };
  if (wraps(expected, got) || isElsewhere(expected) || isElsewhere(got)) return [];
  check('signal', expected.signal, got.signal);
  if (expected.signal !== 0) check('pc', expected.pcOffset, got.pcOffset);
  // What runs out of the address space is a protection fault of the segment on hardware.
  if (expected.signal === SIGSEGV && expected.code === SI_KERNEL && got.address > 0xffff_ff00) return differences;
  if (expected.signal === SIGSEGV) check('si_code', expected.code, got.code);
  const isLong = sequence.pieces.some(({ name }) => longOperand.test(name));
  if ((expected.signal === SIGSEGV && !isLong) || expected.signal === SIGILL)
    check('si_addr', withinSlot(expected.address), withinSlot(got.address));
  names.forEach((name, n) => check(name, expected.registers.r[n], got.registers.r[n]));
  const ignore = expected.signal !== 0 && sequence.pieces.some(({ name }) => openAtFault.test(name));
  if (!ignore) check('eflags', expected.registers.eflags & comparedFlags, got.registers.eflags & comparedFlags);
  if (!sequence.pieces.some(({ name }) => approximate.test(name)))
    check('scratch', expected.scratchHash, got.scratchHash);
  differences.push(...compareFx(sequence, expected.registers.fx, got.registers.fx));
  return differences;
}

function differencesOf(sequence: Sequence, expected: Result, got: Result): string[] {
  // A store gone astray may hit the rig on the host, whose stack and libraries lie elsewhere.
  if (expected.kind === 'death') return [];
  if (got.kind === 'death') return [`died: ${got.reason}`];
  return compareReports(sequence, expected, got);
}

const toRequest = ({ pieces, registers, scratchSeed }: Sequence): Request => ({
  code: Uint8Array.from(pieces.flatMap(({ bytes }) => bytes)),
  scratchSeed,
  registers,
});

async function compareAll(ours: RigCommand, sequences: readonly Sequence[], tally?: Tally): Promise<Finding[]> {
  const requests = sequences.map(toRequest);
  const options = { fx: sequences[0]?.registers.fx !== undefined };
  const [expected, got] = await Promise.all([runRig([], requests, options), runRig(ours, requests, options)]);
  if (tally) {
    tally.faults += expected.filter((result) => result.kind === 'report' && result.signal !== 0).length;
    tally.deaths += expected.filter(({ kind }) => kind === 'death').length;
  }
  return sequences
    .map((sequence, i) => ({ sequence, differences: differencesOf(sequence, expected[i], got[i]) }))
    .filter(({ differences }) => differences.length > 0);
}

export interface DifferOptions {
  /** Sequences to try, seeds `seed`, `seed + 1` … */
  seed: number;
  count: number;
  /** Pieces in a sequence at most. */
  length: number;
  /** Ends early once this many differences are found. */
  limit: number;
  rows?: readonly X86Row[];
  /** Sequences begin with random x87, MMX and SSE registers. */
  fx?: boolean;
  onProgress?: (tally: Tally) => void;
}

const batch = 2000;

/** Tries sequences on the host and under tsemu. */
export async function differ(ours: RigCommand, options: DifferOptions): Promise<Tally> {
  const rows = candidates(options.rows ?? allRows);
  const tally: Tally = { sequences: 0, instructions: 0, faults: 0, deaths: 0, findings: [], byName: new Map() };
  while (tally.sequences < options.count && tally.findings.length < options.limit) {
    const size = Math.min(batch, options.count - tally.sequences);
    const first = options.seed + tally.sequences;
    const sequences = Array.from({ length: size }, (_, i) => generate(rows, first + i, options.length, options.fx));
    tally.findings.push(...(await compareAll(ours, sequences, tally)));
    tally.sequences += size;
    for (const { name } of sequences.flatMap(({ pieces }) => pieces)) {
      tally.instructions++;
      tally.byName.set(name, (tally.byName.get(name) ?? 0) + 1);
    }
    options.onProgress?.(tally);
  }
  return tally;
}

/** The finding with as few instructions as still differ. */
export async function minimise(ours: RigCommand, finding: Finding): Promise<Finding> {
  let best = finding;
  for (;;) {
    const { sequence } = best;
    const smaller = sequence.pieces
      .map((_, i) => ({ ...sequence, pieces: sequence.pieces.filter((_piece, j) => j !== i) }))
      .filter(({ pieces }) => pieces.length > 0);
    if (smaller.length === 0) return best;
    const [found] = await compareAll(ours, smaller);
    if (found === undefined) return best;
    best = found;
  }
}

/** A finding in words: bytes, registers before, what differs. */
export function describeFinding({ sequence, differences }: Finding): string {
  const code = sequence.pieces
    .map(({ name, bytes }) => `${name}: ${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}`)
    .join('\n  ');
  const { r, eflags } = sequence.registers;
  const before = names.map((name, n) => `${name}=${hex(r[n])}`).join(' ');
  return `seed ${sequence.seed}\n  ${code}\n  ${before} eflags=${hex(eflags)}\n  ${differences.join('\n  ')}`;
}
