/**
 * Which random encodings are undefined, tsemu against qemu-arm, over all spaces and not only where tsemu has rows:
 *
 *     node tests/random/definedness.ts --seed 1 --count 20000 --cpu max --space neon
 *
 * --count N encodings of each space    --space NAME one of them    --limit N examples of each group
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { CpuModelName } from '#target/arm/cpu-models.ts';
import { repoRoot } from '../support/cache.ts';
import { qemuArm } from '../support/oracle.ts';
import { plainEnvironment } from '../support/run.ts';
import { isUndefined, rowNameOf } from './decoding.ts';
import { explain } from './definedness-known.ts';
import { Prng } from './prng.ts';

/** One encoding: T32 words have their first halfword on top. */
export interface Encoding {
  readonly thumb: boolean;
  readonly width: 16 | 32;
  readonly word: number;
}

const a32 = (word: number): Encoding => ({ thumb: false, width: 32, word: word >>> 0 });
const t32 = (word: number): Encoding => ({ thumb: true, width: 32, word: word >>> 0 });

/** Makes an encoding of a space; undefined where the draw is no good. */
type Draw = (rng: Prng) => Encoding | undefined;

/** Random bits with the fixed ones of `value`. */
const fixed = (rng: Prng, mask: number, value: number): number => ((rng.u32() & ~mask) | value) >>> 0;

/** In T32 the branches with 32 bits: defined, and they would leave the rig. */
const isT32Branch = (word: number): boolean =>
  word >>> 27 === 0b11110 &&
  (word & 0x8000) !== 0 &&
  ((word & 0x1000) !== 0 || ((word >>> 22) & 0xf) < 14 || (word & 0x4000) !== 0);

export const spaces: Readonly<Record<string, Draw>> = {
  /** Data processing, multiplications, extra loads, miscellaneous. */
  'a32-00': (rng) => a32(fixed(rng, 0xfe000000, rng.chance(75) ? 0xe0000000 : 0xe2000000)),
  'a32-misc': (rng) => a32(fixed(rng, 0xff900000, rng.chance(75) ? 0xe1000000 : 0xe3000000)),
  'a32-extra': (rng) => a32(fixed(rng, 0xfe000090, 0xe0000090)),
  /** Loads, stores, media. */
  'a32-media': (rng) => a32(fixed(rng, 0xfe000010, 0xe6000010)),
  'a32-memory': (rng) => a32(fixed(rng, 0xfc000000, 0xe4000000)),
  'a32-multiple': (rng) => a32(fixed(rng, 0xfe000000, 0xe8000000)),
  'a32-coprocessor': (rng) => a32(fixed(rng, 0xfc000000, 0xec000000) & (rng.chance(50) ? ~0x02000000 : ~0x01000000)),
  'a32-vfp': (rng) => {
    const word = fixed(rng, 0xfc000c00, 0xec000800);
    return (word & 0x03000000) === 0x03000000 ? undefined : a32(word);
  },
  'a32-vfp-data': (rng) => a32(fixed(rng, 0xff000c10, 0xee000800)),
  'a32-always': (rng) => {
    const word = fixed(rng, 0xf0000000, 0xf0000000);
    return (word & 0x0e000000) === 0x0a000000 ? undefined : a32(word);
  },
  'a32-always-vfp': (rng) => a32(fixed(rng, 0xfc000c00, 0xfc000800) & ~(rng.chance(50) ? 0x02000000 : 0x01000000)),
  'a32-system': (rng) => a32(fixed(rng, 0xfff0fe20, 0xf1000000)),
  'a32-exchange': (rng) => a32(fixed(rng, 0xffffffc0, 0xe12fff00)),
  'a32-cp15': (rng) => a32(fixed(rng, 0xff000f10, 0xee000f10)),
  neon: (rng) => a32(fixed(rng, 0xfe000000, 0xf2000000)),
  'neon-misc': (rng) => a32(fixed(rng, 0xffb00810, 0xf3b00000)),
  'neon-memory': (rng) => a32(fixed(rng, 0xff100000, 0xf4000000)),
  t32: (rng) => {
    const word = fixed(rng, 0xe0000000, 0xe0000000);
    return word >>> 27 === 0b11100 || isT32Branch(word) ? undefined : t32(word);
  },
  't32-control': (rng) => {
    const word = fixed(rng, 0xff80d000, 0xf3808000);
    return isT32Branch(word) ? undefined : t32(word);
  },
  't32-memory': (rng) => t32(fixed(rng, 0xfe000000, 0xf8000000)),
  't32-registers': (rng) => t32(fixed(rng, 0xff000000, 0xfa000000)),
  't32-multiple': (rng) => t32(fixed(rng, 0xfe000000, 0xe8000000)),
  't32-vfp': (rng) => t32(fixed(rng, 0xec000c00, 0xec000800)),
  't32-coprocessor': (rng) => t32(fixed(rng, 0xec000000, 0xec000000)),
  't32-cp15': (rng) => t32(fixed(rng, 0xff000f10, 0xee000f10)),
  't32-undefined': (rng) => t32(fixed(rng, 0xffe0d000, 0xf7e08000)),
  't32-exchange': (rng) => t32(fixed(rng, 0xfff0f0ff, 0xf3c08000)),
  't32-table': (rng) => t32(fixed(rng, 0xfff0ff00, 0xe8d0f000)),
  t16: (rng) => {
    const word = rng.below(0xe800);
    const branches = word >>> 12 === 0xd || word >>> 11 === 0b11100;
    return branches && (word & 0xff00) !== 0xde00 ? undefined : { thumb: true, width: 16, word };
  },
};

/** Arithmetic into the PC, which could go anywhere: defined. */
const isComputedJump = ({ thumb, word }: Encoding): boolean =>
  !thumb && (word & 0xfc00f000) >>> 0 === 0xe000f000 && (word & 0x01800000) !== 0x01000000;

/** Calls of semihosting, which the oracle serves: SVC, BKPT 0xab, HLT 0x3c and 0xf000. */
function isCall({ thumb, width, word }: Encoding): boolean {
  if (width === 16) return (word & 0xff00) === 0xdf00 || word === 0xbeab || word === 0xbabc;
  if (thumb) return false;
  return (word & 0x0f000000) === 0x0f000000 || (word & 0x0ff000f0) === 0x01000070;
}

export function draw(space: string, rng: Prng): Encoding {
  for (;;) {
    const encoding = spaces[space]!(rng);
    if (encoding && !isCall(encoding) && !isComputedJump(encoding)) return encoding;
  }
}

const program = join(repoRoot, 'fixtures/arm/definedness');

/** What qemu-arm says of each: true for defined. */
export async function oracleSays(encodings: readonly Encoding[], cpu: CpuModelName): Promise<boolean[]> {
  const input = Buffer.alloc(8 * encodings.length);
  encodings.forEach(({ thumb, width, word }, i) => {
    input.writeUInt32LE((thumb ? 1 : 0) | (width === 16 ? 2 : 0), 8 * i);
    input.writeUInt32LE(word, 8 * i + 4);
  });
  const child = spawn(await qemuArm(), ['-cpu', cpu, program], { env: plainEnvironment });
  const parts: Buffer[] = [];
  child.stdout.on('data', (part: Buffer) => parts.push(part));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const status = await new Promise((resolve) => child.on('close', (code, signal) => resolve(signal ?? code)));
  const answers = Buffer.concat(parts);
  if (answers.length !== encodings.length)
    throw new Error(`the oracle ended (${String(status)}) near ${describe(encodings[answers.length]!)}`);
  return [...answers].map((answer) => answer !== 0);
}

const describe = ({ thumb, width, word }: Encoding): string =>
  `${thumb ? (width === 16 ? 'T16' : 'T32') : 'A32'} ${word.toString(16).padStart(width / 4, '0')}`;

export interface Disagreement {
  readonly encoding: Encoding;
  /** What qemu-arm says; tsemu says the opposite. */
  readonly defined: boolean;
  /** The row that takes the encoding. */
  readonly row: string;
}

/** Where tsemu and the oracle disagree and `explain` has no reason for it. */
export async function disagreements(
  space: string,
  seed: number,
  count: number,
  cpu: CpuModelName,
): Promise<Disagreement[]> {
  const rng = new Prng(seed);
  const encodings = Array.from({ length: count }, () => draw(space, rng));
  const said = await oracleSays(encodings, cpu);
  return encodings.flatMap((encoding, i) => {
    if (isUndefined(encoding, cpu) !== said[i] || explain(encoding, cpu) !== undefined) return [];
    return [{ encoding, defined: said[i]!, row: rowNameOf(encoding, cpu) }];
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string', default: '10000' },
      cpu: { type: 'string', default: 'max' },
      space: { type: 'string' },
      limit: { type: 'string', default: '4' },
    },
  });
  let total = 0;
  for (const space of values.space === undefined ? Object.keys(spaces) : [values.space]) {
    const found = await disagreements(space, Number(values.seed), Number(values.count), values.cpu as CpuModelName);
    total += found.length;
    process.stdout.write(`${space}: ${values.count} encodings, ${found.length} disagree\n`);
    const groups = Map.groupBy(found, ({ defined, row }) => `${defined ? 'qemu only' : 'tsemu only'}: ${row}`);
    for (const [title, members] of [...groups].sort((a, b) => b[1].length - a[1].length)) {
      const shown = members.slice(0, Number(values.limit)).map(({ encoding }) => describe(encoding));
      process.stdout.write(`  ${String(members.length).padStart(5)} ${title}  ${shown.join(', ')}\n`);
    }
  }
  process.exitCode = total === 0 ? 0 : 1;
}

if (process.argv[1] === import.meta.filename) await main();
