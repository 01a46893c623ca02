import { X87Flag } from '#target/i386/extended.ts';
import type { X86Row } from '#target/i386/row.ts';
import { rows as allRows } from '#target/i386/rows.ts';
import {
  type CampaignOptions,
  type Contest,
  campaign,
  type Difference,
  type Finding,
  type Tally,
} from '../random/campaign.ts';
import type { Report } from '../random/runner.ts';
import { type Protection, type Tier, tsemuCommand } from '../support/run.ts';
import { candidates, generate, type Sequence } from './generate.ts';
import { approximate, compareFx, describeFx } from './generate-fx.ts';
import { i386Rig, type Registers, type RigOptions } from './rig.ts';

/** tsemu in a tier; the other side is the host itself. */
export function tsemuRig(tier: Tier, protection: Protection = 'auto', hot = 1): readonly string[] {
  const [command, args] = tsemuCommand([], tier, protection, 'tsemu-i386');
  return [command, ...args, `--hot=${hot}`];
}

const registerNames = ['eax', 'ecx', 'edx', 'ebx', 'esp', 'ebp', 'esi', 'edi'];
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

/** A fault where the other side may have memory: its stack, libraries or vDSO. */
const isElsewhere = ({ signal, address }: Report<Registers>): boolean => signal === SIGSEGV && address >= 0xf700_0000;

/**
 * Of a denormal, with that exception not masked, AMD's FLD pushes the number; here as by the manual there is no result
 * (SDM vol. 1, 8.5.2).
 */
const hasUnmaskedDenormal = (fx: Uint8Array | undefined): boolean =>
  fx !== undefined && (fx[0]! & X87Flag.denormal) === 0 && (fx[2]! & X87Flag.denormal) !== 0;

/** Which registers it has loaded before a fault is not specified: the host keeps them, here nothing is done. */
const loadsMany = /^POPA$/;

/** An access past 2^32 is #GP or #SS on hardware; here it faults at its start. */
const wraps = (expected: Report<Registers>, got: Report<Registers>): boolean =>
  expected.code === siKernel && expected.address === 0 && got.signal === SIGSEGV && got.address > 0xffff_ffe0;
const siKernel = 0x80;

function compare(
  { pieces }: Sequence,
  expected: Report<Registers>,
  got: Report<Registers>,
  fpFlags: boolean,
): Difference[] {
  const differences: Difference[] = [];
  const check = (name: string, a: number, b: number): void => {
    if (a !== b) differences.push([name, hex(a), hex(b)]);
  };
  const names = pieces.flat().map(({ name }) => name);
  if (wraps(expected, got) || isElsewhere(expected) || isElsewhere(got)) return [];
  check('signal', expected.signal, got.signal);
  if (expected.signal !== 0) check('pc', expected.pcOffset, got.pcOffset);
  // What runs out of the address space is a protection fault of the segment on hardware.
  if (expected.signal === SIGSEGV && expected.code === SI_KERNEL && got.address > 0xffff_ff00) return differences;
  if (expected.signal === SIGSEGV) check('si_code', expected.code, got.code);
  const isLong = names.some((name) => longOperand.test(name));
  if ((expected.signal === SIGSEGV && !isLong) || expected.signal === SIGILL)
    check('si_addr', expected.address, got.address);
  const isPartial = expected.signal !== 0 && names.some((name) => loadsMany.test(name));
  if (isPartial) return differences;
  registerNames.forEach((name, n) => check(name, expected.registers.r[n]!, got.registers.r[n]!));
  const ignore = expected.signal !== 0 && names.some((name) => openAtFault.test(name));
  if (!ignore) check('eflags', expected.registers.eflags & comparedFlags, got.registers.eflags & comparedFlags);
  check('scratch', expected.scratchHash, got.scratchHash);
  if (names.includes('FLD') && hasUnmaskedDenormal(expected.registers.fx)) return differences;
  return [
    ...differences,
    ...compareFx(expected.registers.fx, got.registers.fx, fpFlags, approximate.test(names.at(-1)!)),
  ];
}

export interface DifferOptions extends CampaignOptions, RigOptions {
  /** Pieces in a sequence at most. */
  length: number;
  /** States that each is run from. */
  states: number;
  rows?: readonly X86Row[];
}

/** What is compared with these options. */
export const i386Contest = (
  ours: readonly string[],
  { handlers = true, ...rig }: RigOptions,
): Contest<Registers, Sequence> => ({
  rig: i386Rig(rig),
  ...(!handlers && { withoutHandlers: i386Rig({ ...rig, handlers }) }),
  oracle: [],
  ours,
  compare: (sequence, expected, got) => compare(sequence, expected, got, rig.fpFlags ?? true),
});

/** Tries sequences on the host and under tsemu. */
export function differ(ours: readonly string[], options: DifferOptions): Promise<Tally<Sequence>> {
  const rows = candidates(options.rows ?? allRows);
  const { length, fx = false, states } = options;
  return campaign(i386Contest(ours, options), (seed) => generate(rows, seed, { length, fx, states }), options);
}

/** A finding in words: bytes, registers before, what differs. */
export function describeFinding({ trial, state, differences }: Finding<Sequence>): string {
  const code = trial.pieces
    .flat()
    .map(({ name, bytes }) => `${name}: ${bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')}`)
    .join('\n  ');
  const { r, eflags, fx } = trial.states[state]!;
  const before = registerNames.map((name, n) => `${name}=${hex(r[n]!)}`).join(' ');
  const image = fx === undefined ? [] : describeFx(fx);
  const found = differences.map(([what, host, here]) => `${what}: ${host} on the host, ${here} here`);
  return [`seed ${trial.seed}`, code, `${before} eflags=${hex(eflags)}`, ...image, ...found].join('\n  ');
}
