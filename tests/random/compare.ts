import type { Difference, Finding } from './campaign.ts';
import { isLoad, isMultiple, isStore } from './constraints.ts';
import type { Sequence } from './generate.ts';
import type { Registers } from './rig.ts';
import type { Report } from './runner.ts';

export interface CompareOptions {
  /** Whether the cumulative exception flags of FPSCR count; if not, sequences run as in programs that ignore them. */
  fpFlags: boolean;
  /** Whether the rig handles faults on our side. If not, of a fault only the signal counts. */
  handlers: boolean;
}

const SIGBUS = 7;
const SIGSEGV = 11;
/** N Z C V Q and GE. */
const CPSR_MASK = 0xf80f0000;
/** All but reserved bits. */
const FPSCR_MASK = 0xffc0009f;
const FP_FLAGS = 0x9f;

const hex = (value: number | bigint, digits = 8): string => value.toString(16).padStart(digits, '0');

/** All named values of a register file, as text. */
function* values(registers: Registers, options: CompareOptions): Generator<[string, string]> {
  for (const [i, value] of registers.r.entries()) yield [i === 13 ? 'sp' : i === 14 ? 'lr' : `r${i}`, hex(value)];
  yield ['cpsr', hex((registers.cpsr & CPSR_MASK) >>> 0)];
  yield ['fpscr', hex((registers.fpscr & (options.fpFlags ? FPSCR_MASK : FPSCR_MASK & ~FP_FLAGS)) >>> 0)];
  for (const [i, value] of registers.d.entries()) yield [`d${i}`, hex(value, 16)];
}

/** Addresses that both sides map alike: the rig, its scratch page and its code. */
const ownStart = 0x2000_0000;
const ownEnd = 0x2200_0000;

const isOwn = (address: number): boolean => address >= ownStart && address < ownEnd;

/** The same of a process of tsemu that ended so, by its report. */
export function endedElsewhere(reason: string): boolean {
  const address = /(?:read from|write to) 0x([0-9a-f]+)/.exec(reason)?.[1];
  return address !== undefined && !isOwn(parseInt(address, 16));
}

/** True if a side faulted at an address where the other may have something mapped. */
const hasForeignFault = (reports: readonly Report<Registers>[]): boolean =>
  reports.some(({ signal, address }) => signal === SIGSEGV && !isOwn(address));

/** How two reports differ; empty if they do not. */
export function compare(
  sequence: Sequence,
  oracle: Report<Registers>,
  ours: Report<Registers>,
  options: CompareOptions,
): Difference[] {
  const out: Difference[] = [];
  // The oracle checks alignment as hardware does; Linux mends some such accesses and tsemu follows Linux.
  if (oracle.signal === SIGBUS) return out;
  const differ = (what: string, a: string, b: string): void => {
    if (a !== b) out.push([what, a, b]);
  };
  const sameEnd = oracle.signal === ours.signal && oracle.pcOffset === ours.pcOffset;
  if (!sameEnd && hasForeignFault([oracle, ours])) return out;
  differ('signal', String(oracle.signal), String(ours.signal));
  if (oracle.signal !== ours.signal) return out;
  const names = sequence.pieces.flat().map(({ name }) => name);
  const faulted = oracle.signal !== 0;
  if (faulted) {
    differ('fault PC offset', String(oracle.pcOffset), String(ours.pcOffset));
    differ('fault T bit', String(oracle.faultThumb), String(ours.faultThumb));
    // An access across a page end may be reported at its start or at the page.
    const near = Math.abs(oracle.address - ours.address) < 16;
    if (oracle.signal === 11 && !near) differ('fault address', hex(oracle.address), hex(ours.address));
  }
  // What an interrupted transfer of several registers has done by then is not specified.
  const partial = faulted && names.some(isMultiple);
  if (!(partial && names.some(isLoad))) {
    const mine = new Map(values(ours.registers, options));
    for (const [what, value] of values(oracle.registers, options)) differ(what, value, mine.get(what)!);
  }
  if (!(partial && names.some(isStore))) differ('scratch', hex(oracle.scratchHash), hex(ours.scratchHash));
  return out;
}

const bytesText = (bytes: readonly number[], thumb: boolean): string => {
  const size = thumb ? 2 : 4;
  const units: string[] = [];
  for (let i = 0; i < bytes.length; i += size) {
    const unit = bytes.slice(i, i + size);
    units.push(
      unit
        .reverse()
        .map((byte) => hex(byte, 2))
        .join(''),
    );
  }
  return units.join(' ');
};

/** A difference for people: the instructions, the start values that matter, and what came out on both sides. */
export function describeDifference(
  { trial: sequence, state, differences }: Finding<Sequence>,
  options: CompareOptions,
): string {
  const lines = [`seed ${sequence.seed} (${sequence.thumb ? 'T32' : 'A32'})`];
  for (const { name, fields, bytes } of sequence.pieces.flat()) {
    const operands = Object.entries(fields).map(([field, value]) => `${field}=${value}`);
    lines.push(`  ${bytesText(bytes, sequence.thumb).padEnd(10)} ${name} ${operands.join(' ')}`);
  }
  const start = [...values(sequence.states[state]!, { ...options, fpFlags: true })];
  const used = mentionedRegisters(sequence);
  const shown = start.filter(([what]) => used.has(what));
  lines.push(
    `  start: ${shown.map(([what, value]) => `${what}=${value}`).join(' ')} scratch=${hex(sequence.scratchSeed)}`,
  );
  for (const [what, oracle, ours] of differences) lines.push(`  ${what}: qemu-arm ${oracle}  tsemu ${ours}`);
  return lines.join('\n');
}

function mentionedRegisters(sequence: Sequence): Set<string> {
  const used = new Set(['cpsr']);
  for (const { name, fields } of sequence.pieces.flat()) {
    if (/^V/i.test(name)) used.add('fpscr');
    for (const [field, value] of Object.entries(fields)) {
      if (field.startsWith('r') || field === 'hi' || field === 'lo')
        used.add(value === 13 ? 'sp' : value === 14 ? 'lr' : `r${value}`);
      const vector = /^v([dnm])$/.exec(field);
      if (!vector) continue;
      const top = fields[vector[1]] ?? 0;
      // Single or double: show both registers that the field may mean, and the second half of a quad.
      used.add(`d${value >> 1}`);
      used.add(`d${(top << 4) | value}`);
      used.add(`d${(((top << 4) | value) + 1) & 31}`);
    }
  }
  return used;
}
