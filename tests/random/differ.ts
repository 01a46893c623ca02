import { qemuArm } from '../support/oracle.ts';
import { type Protection, type Tier, tsemuCommand } from '../support/run.ts';
import { type CampaignOptions, type Contest, campaign, type Finding, type Tally } from './campaign.ts';
import { type CompareOptions, compare, endedElsewhere } from './compare.ts';
import { generate, type Sequence } from './generate.ts';
import { armRig, type Registers } from './rig.ts';
import type { InsnSet } from './rows.ts';

/** The CPU of the oracle: everything that it has, as ours has ARMv8's additions to A32 and T32 too. */
const oracleCpu = 'max';

/** The two sides of a comparison: command lines without the rig's own. */
export interface Sides {
  oracle: readonly string[];
  ours: readonly string[];
}

/** qemu-arm against tsemu in a tier, or qemu-arm against itself to try the rig. */
export async function makeSides(
  tier: Tier | 'oracle',
  { cpu = oracleCpu, protection = 'auto', hot = 1 }: { cpu?: string; protection?: Protection; hot?: number } = {},
): Promise<Sides> {
  const oracle = [await qemuArm(), '-cpu', cpu];
  if (tier === 'oracle') return { oracle, ours: oracle };
  const [command, args] = tsemuCommand([], tier, protection);
  return { oracle, ours: [command, ...args, `--hot=${hot}`] };
}

/** What is compared with these options. */
export const armContest = (sides: Sides, options: CompareOptions): Contest<Registers, Sequence> => ({
  ...sides,
  rig: armRig({ fpFlags: options.fpFlags }),
  ...(!options.handlers && { withoutHandlers: armRig(options) }),
  isElsewhere: endedElsewhere,
  compare: (sequence, oracle, ours) => compare(sequence, oracle, ours, options),
});

export type ArmFinding = Finding<Sequence>;

export interface DifferOptions extends CompareOptions, CampaignOptions {
  /** Pieces in a sequence at most. */
  length: number;
  /** States that each is run from. */
  states: number;
}

const fpFlagBits = 0x9f;

/** The sequence of a seed; where flags do not count, one that neither begins with any nor reads or writes FPSCR. */
function sequenceOf(set: InsnSet, seed: number, { length, states, fpFlags }: DifferOptions): Sequence {
  if (fpFlags) return generate(set, seed, length, states);
  const candidates = set.candidates.filter(({ name }) => !/^V(MRS|MSR)/.test(name));
  const sequence = generate({ ...set, candidates }, seed, length, states);
  for (const registers of sequence.states) registers.fpscr = (registers.fpscr & ~fpFlagBits) >>> 0;
  return sequence;
}

/** Tries sequences of an instruction set on both sides. */
export const differ = (set: InsnSet, sides: Sides, options: DifferOptions): Promise<Tally<Sequence>> =>
  campaign(armContest(sides, options), (seed) => sequenceOf(set, seed, options), options);
