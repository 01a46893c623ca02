/**
 * Floating-point instructions on every combination of operand classes, rounding modes, flush-to-zero and default NaN,
 * tsemu against qemu-arm:
 *
 *     node tests/random/fp-vectors.ts --part 0 --of 50 --tier interp
 *
 * --part N --of M takes every Mth vector, the Nth first   --only REGEXP rows by name   --no-fp-flags as in main.ts
 */
import { parseArgs } from 'node:util';
import { encode, fieldWidths, rowBits } from '#tcg/decode.ts';
import type { Tier } from '../support/run.ts';
import { compareAll } from './campaign.ts';
import { type CompareOptions, describeDifference } from './compare.ts';
import { armContest, makeSides, type Sides } from './differ.ts';
import { encodingBytes, type Sequence } from './generate.ts';
import type { Registers } from './rig.ts';
import { type AnyRow, decodesTo, type InsnSet, loadRows } from './rows.ts';

/** Bits of a class in half, single and double precision, without the sign. */
const operandClasses: readonly (readonly [name: string, half: number, single: number, double: bigint])[] = [
  ['zero', 0, 0, 0n],
  ['smallest denormal', 1, 1, 1n],
  ['denormal', 0x2aa, 0x2aaaaa, 0x000aaaaaaaaaaaaan],
  ['smallest normal', 0x400, 0x00800000, 0x0010000000000000n],
  ['just above', 0x401, 0x00800001, 0x0010000000000001n],
  ['half', 0x3800, 0x3f000000, 0x3fe0000000000000n],
  ['normal', 0x3e55, 0x3fd55555, 0x3ffd555555555555n],
  ['integer and a half', 0x4100, 0x40200000, 0x4004000000000000n],
  ['large', 0x7800, 0x4f000000, 0x41e0000000000000n],
  ['largest', 0x7bff, 0x7f7fffff, 0x7fefffffffffffffn],
  ['infinity', 0x7c00, 0x7f800000, 0x7ff0000000000000n],
  ['quiet NaN', 0x7e12, 0x7fc01234, 0x7ff8000000001234n],
  ['signalling NaN', 0x7d12, 0x7f801234, 0x7ff0000000001234n],
];
const classCount = 2 * operandClasses.length;

/** Bits of a class with a sign, repeated over a D register. */
function registerOf(index: number, bits: 16 | 32 | 64): bigint {
  const [, half, single, double] = operandClasses[index >> 1]!;
  const negative = index & 1;
  if (bits === 64) return double | (BigInt(negative) << 63n);
  const element = bits === 32 ? ((single | (negative << 31)) >>> 0) * 1 : half | (negative << 15);
  const width = BigInt(bits);
  let value = 0n;
  for (let at = 0n; at < 64n; at += width) value |= BigInt(element) << at;
  return value;
}

const vectorRows =
  /^V(MLA|MLS|NMLA|NMLS|MUL|NMUL|ADD|SUB|DIV|FMA|FMS|FNMA|FNMS|SQRT|CMP|SEL|MAXNM|MINNM|RINT|CVT|JCVT|ABS|NEG|ABD|PADD|C[EGL][QTE]|AC|MAX|MIN|PMAX|PMIN|RECP|RSQRT|CADD|CMLA|FMAL|DOT\.BF16|MMLA\.BF16)/;
const integerRow =
  /integer\)|^V(MLA|MLS|MUL|ADD|SUB)(\/|L|$|W|HN| \(by)|^V(ABD|ABDL|CGT|CGE|CEQ|MAX|MIN|PMAX|PMIN|ADDW|SUBL|SUBW|SUBHN|ADDHN|MLAL|MLSL)( \(|$)/;

/** Fields that name registers and are fixed here: d from 2, n from 4, m from 6. */
const registerFields: Readonly<Record<string, number>> = { vd: 2, vn: 4, vm: 6, d: 0, n: 0, m: 0, cond: 14 };

/** All small choices of a row's other fields. */
function choices(row: AnyRow): Record<string, number>[] {
  let all: Record<string, number>[] = [{ ...row.options.set, ...registerFields }];
  for (const [field, width] of fieldWidths(row)) {
    if (field in registerFields) continue;
    const values = width > 3 ? [2 ** width - 1, 2 ** width - 9, 2 ** (width - 1) + 5] : [...Array(2 ** width).keys()];
    all = all.flatMap((fields) => values.map((value) => ({ ...fields, [field]: value })));
  }
  return all;
}

interface Instruction {
  readonly name: string;
  readonly fields: Record<string, number>;
  readonly bytes: number[];
  readonly bits: readonly (16 | 32 | 64)[];
}

function precisionOf(row: AnyRow, fields: Record<string, number>): readonly (16 | 32 | 64)[] {
  if (/half|F16|VFMAL|BF16/i.test(row.name)) return [16, 32];
  if (/between formats|JCVT/.test(row.name)) return [32, 64];
  if (fields['sz'] !== undefined) return [fields['sz'] ? 64 : 32];
  return fields['size'] === 1 ? [16] : [32];
}

async function instructions(only: RegExp): Promise<Instruction[]> {
  const found: Instruction[] = [];
  for (const insnClass of ['vfp', 'neon'] as const) {
    const set: InsnSet = await loadRows(insnClass);
    for (const row of set.candidates) {
      if (!vectorRows.test(row.name) || integerRow.test(row.name) || !only.test(row.name)) continue;
      for (const fields of choices(row)) {
        const encoding = encode(row, fields);
        if (!decodesTo(set, row, encoding) || rowBits(row).width !== 32) continue;
        const bits = precisionOf(row, fields);
        found.push({ name: row.name, fields, bytes: encodingBytes(encoding, 32, false), bits });
      }
    }
  }
  return found;
}

/** FPSCR by number 0…15: rounding mode, FZ with FZ16, DN. */
const fpscrOf = (mode: number): number =>
  ((mode & 3) << 22) | (mode & 4 ? (1 << 24) | (1 << 19) : 0) | (mode & 8 ? 1 << 25 : 0);

function registersOf(bits: 16 | 32 | 64, n: number, m: number, d: number, mode: number): Registers {
  const registers = Array.from({ length: 32 }, () => 0n);
  // Single registers of the same numbers lie in D1 to D3.
  for (const at of [1, 2, 3]) registers[at] = registerOf(d, bits);
  for (const at of [4, 5]) registers[at] = registerOf(n, bits);
  for (const at of [6, 7]) registers[at] = registerOf(m, bits);
  if (bits !== 64) {
    registers[1] = registerOf(d, bits);
    registers[2] = registerOf(n, bits);
    registers[3] = registerOf(m, bits);
  }
  return { r: Array.from({ length: 15 }, () => 0x20100800), cpsr: 0x10, fpscr: fpscrOf(mode), d: registers };
}

/** All vectors in a fixed order, of which `part`, `part` + `of` … are taken: an instruction with its states. */
function* vectors(all: readonly Instruction[], part: number, of: number): Generator<Sequence> {
  let at = 0;
  for (const [seed, { name, fields, bytes, bits: sizes }] of all.entries()) {
    const states: Registers[] = [];
    for (const bits of sizes) {
      for (let pair = 0; pair < classCount * classCount; pair++) {
        for (let mode = 0; mode < 16; mode++) {
          if (at++ % of !== part) continue;
          const n = pair % classCount;
          const m = Math.floor(pair / classCount);
          states.push(registersOf(bits, n, m, (5 * n + 3 * m + mode) % classCount, mode));
        }
      }
    }
    if (states.length > 0) yield { seed, thumb: false, pieces: [[{ name, fields, bytes }]], scratchSeed: 1, states };
  }
}

export interface VectorRun {
  readonly tried: number;
  /** The first differences, described. */
  readonly differences: string[];
}

/** Vectors in one process. */
const BATCH = 20_000;
const SHOWN = 20;

/** Compares every `of`th vector, beginning with the `part`th. */
export async function compareVectors(
  sides: Sides,
  part: number,
  of: number,
  options: CompareOptions,
  only = /./,
): Promise<VectorRun> {
  const differences: string[] = [];
  let tried = 0;
  let batch: Sequence[] = [];
  let pending = 0;
  const flush = async (): Promise<void> => {
    for (const finding of await compareAll(armContest(sides, options), batch))
      differences.push(describeDifference(finding, options));
    tried += pending;
    pending = 0;
    batch = [];
  };
  for (const sequence of vectors(await instructions(only), part, of)) {
    batch.push(sequence);
    pending += sequence.states.length;
    if (pending >= BATCH) await flush();
    if (differences.length > SHOWN) break;
  }
  if (batch.length > 0) await flush();
  return { tried, differences };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      part: { type: 'string', default: '0' },
      of: { type: 'string', default: '1' },
      tier: { type: 'string', default: 'interp' },
      only: { type: 'string', default: '.' },
      'no-fp-flags': { type: 'boolean', default: false },
    },
  });
  const sides = await makeSides(values.tier as Tier);
  const options = { fpFlags: !values['no-fp-flags'], handlers: true };
  const run = await compareVectors(
    sides,
    Number(values.part),
    Number(values.of),
    options,
    new RegExp(values.only, 'i'),
  );
  for (const difference of run.differences.slice(0, SHOWN)) process.stdout.write(`${difference}\n\n`);
  process.stdout.write(`${run.tried} vectors, ${run.differences.length} differ\n`);
  process.exitCode = run.differences.length === 0 ? 0 : 1;
}

if (import.meta.main) await main();
