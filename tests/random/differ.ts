import { qemuArm } from '../support/oracle.ts';
import { type Protection, type Tier, tsemuCommand } from '../support/run.ts';
import { type CompareOptions, compare, type Difference } from './compare.ts';
import { generate, type Sequence, toRequest } from './generate.ts';
import { type Result, type RigCommand, runRig } from './rig.ts';
import type { InsnSet } from './rows.ts';

/** The CPU of the oracle: everything that it has, as ours has ARMv8's additions to A32 and T32 too. */
const oracleCpu = 'max';

/** The two sides of a comparison. */
export interface Sides {
  oracle: RigCommand;
  ours: RigCommand;
}

/** qemu-arm against tsemu in a tier, or qemu-arm against itself to try the rig. */
export async function makeSides(
  tier: Tier | 'oracle',
  { cpu = oracleCpu, protection = 'auto' }: { cpu?: string; protection?: Protection } = {},
): Promise<Sides> {
  const oracle: RigCommand = [await qemuArm(), ['-cpu', cpu]];
  return { oracle, ours: tier === 'oracle' ? oracle : tsemuCommand([], tier, protection) };
}

export interface Finding {
  sequence: Sequence;
  differences: Difference[];
}

export interface Tally {
  sequences: number;
  instructions: number;
  faults: number;
  findings: Finding[];
  /** Runners that died at a sequence that did not kill them when it was tried again. */
  unrepeated: number;
  /** Instructions tried, by row name. */
  byName: Map<string, number>;
}

const BATCH = 1000;
/** Faulting sequences of a batch that are tried where each is the end of a process. */
const DEATHS = 5;

export async function compareAll(
  sides: Sides,
  sequences: readonly Sequence[],
  options: CompareOptions,
  tally?: Tally,
): Promise<Finding[]> {
  const requests = sequences.map(toRequest);
  const { fpFlags, handlers } = options;
  const oracle = runRig(sides.oracle, requests, { fpFlags });
  if (handlers) {
    const [expected, got] = await Promise.all([oracle, runRig(sides.ours, requests, { fpFlags })]);
    if (tally) tally.faults += expected.filter(hasFaulted).length;
    return findingsOf(sequences, expected, got, options);
  }
  const faulted = (await oracle).map(hasFaulted);
  if (tally) tally.faults += faulted.filter(Boolean).length;
  // The deadly ones last: a rig that starts anew puts what follows elsewhere, and sequences see their own addresses.
  const harmless = sequences.filter((_, i) => !faulted[i]);
  const deadly = sequences.filter((_, i) => faulted[i]).slice(0, DEATHS);
  const ordered = [...harmless, ...deadly];
  const again = ordered.map(toRequest);
  const [expected, got] = await Promise.all([
    runRig(sides.oracle, again, { fpFlags }),
    runRig(sides.ours, again, { fpFlags, handlers }),
  ]);
  return findingsOf(ordered, expected, got, options);
}

const hasFaulted = (result: Result): boolean => result.kind === 'report' && result.signal !== 0;

function findingsOf(
  sequences: readonly Sequence[],
  expected: readonly Result[],
  got: readonly Result[],
  options: CompareOptions,
): Finding[] {
  const findings: Finding[] = [];
  for (const [i, sequence] of sequences.entries()) {
    const differences = compare(sequence, expected[i], got[i], options);
    if (differences.length > 0) findings.push({ sequence, differences });
  }
  return findings;
}

export interface DifferOptions extends CompareOptions {
  seed: number;
  /** Sequences to try, seeds `seed`, `seed + 1` … */
  count: number;
  /** Pieces in a sequence at most. */
  length: number;
  /** Ends early once this many differences are found. */
  limit: number;
  onProgress?: (done: number, findings: number) => void;
}

const fpFlagBits = 0x9f;

/** The sequence of a seed; where flags do not count, one that neither begins with any nor reads or writes FPSCR. */
function sequenceOf(set: InsnSet, seed: number, { length, fpFlags }: DifferOptions): Sequence {
  if (fpFlags) return generate(set, seed, length);
  const candidates = set.candidates.filter(({ name }) => !/^V(MRS|MSR)/.test(name));
  const sequence = generate({ ...set, candidates }, seed, length);
  sequence.registers.fpscr = (sequence.registers.fpscr & ~fpFlagBits) >>> 0;
  return sequence;
}

const hasDied = ({ differences }: Finding): boolean => differences.some(([what]) => what.endsWith(' died'));

/** Tries sequences of an instruction set on both sides. */
export async function differ(set: InsnSet, sides: Sides, options: DifferOptions): Promise<Tally> {
  const tally: Tally = { sequences: 0, instructions: 0, faults: 0, findings: [], unrepeated: 0, byName: new Map() };
  while (tally.sequences < options.count && tally.findings.length < options.limit) {
    const size = Math.min(BATCH, options.count - tally.sequences);
    const first = options.seed + tally.sequences;
    const sequences = Array.from({ length: size }, (_, i) => sequenceOf(set, first + i, options));
    const found = await compareAll(sides, sequences, options, tally);
    // A runner that ended and does not do so again was ended by something else: the machine's load, a full pipe.
    const repeated = await Promise.all(
      found.map(async (finding) => (hasDied(finding) ? compareAll(sides, [finding.sequence], options) : [finding])),
    );
    tally.findings.push(...repeated.flat());
    tally.unrepeated += repeated.filter((findings) => findings.length === 0).length;
    tally.sequences += size;
    for (const { name } of sequences.flatMap(({ pieces }) => pieces.flat())) {
      tally.instructions++;
      tally.byName.set(name, (tally.byName.get(name) ?? 0) + 1);
    }
    options.onProgress?.(tally.sequences, tally.findings.length);
  }
  return tally;
}

/** The finding with as few instructions as still differ. */
export async function minimise(finding: Finding, sides: Sides, options: CompareOptions): Promise<Finding> {
  let best = finding;
  for (;;) {
    const { sequence } = best;
    const candidates = sequence.pieces.map((_, i) => ({
      ...sequence,
      pieces: sequence.pieces.filter((_piece, j) => j !== i),
    }));
    const smaller = candidates.filter(({ pieces }) => pieces.length > 0);
    if (smaller.length === 0) return best;
    const [found] = await compareAll(sides, smaller, options);
    if (found === undefined) return best;
    best = found;
  }
}
