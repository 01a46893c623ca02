import { decodeA32 } from '#target/arm/a32.decode.ts';
import { a32Rows } from '#target/arm/a32.rows.ts';
import type { ArmRow } from '#target/arm/row.ts';
import { decodeT16, decodeT32 } from '#target/arm/t32.decode.ts';
import { t32Rows } from '#target/arm/t32.rows.ts';
import { draw, spaces } from './definedness.ts';
import { generate } from './generate.ts';
import { Prng } from './prng.ts';
import { insnClasses, loadRows } from './rows.ts';

/** How often one decode row is met. Both counts depend on the seed only. */
export interface RowCoverage {
  readonly row: ArmRow;
  readonly thumb: boolean;
  /** As an instruction of the random sequences that are compared with qemu-arm. */
  fuzz: number;
  /** As a random encoding that is compared for being defined. */
  drawn: number;
}

const littleEndian = (bytes: readonly number[], at: number): number => bytes[at]! | (bytes[at + 1]! << 8);

function rowOf(bytes: readonly number[], thumb: boolean): ArmRow | undefined {
  const low = littleEndian(bytes, 0);
  if (bytes.length === 2) return decodeT16(low);
  const high = littleEndian(bytes, 2);
  return thumb ? decodeT32(((low << 16) | high) >>> 0) : decodeA32(((high << 16) | low) >>> 0);
}

/** All rows with what `sequences` random sequences of each class and `encodings` of each space meet of them. */
export async function rowCoverage(sequences: number, encodings: number): Promise<RowCoverage[]> {
  const known = new Map<ArmRow, RowCoverage>();
  for (const row of a32Rows) known.set(row, { row, thumb: false, fuzz: 0, drawn: 0 });
  for (const row of t32Rows) known.set(row, { row, thumb: true, fuzz: 0, drawn: 0 });
  for (const insnClass of insnClasses) {
    const set = await loadRows(insnClass);
    for (let seed = 1; seed <= sequences; seed++) {
      for (const { bytes } of generate(set, seed).pieces.flat()) {
        const row = rowOf(bytes, set.thumb);
        if (row) known.get(row)!.fuzz++;
      }
    }
  }
  for (const space of Object.keys(spaces)) {
    const rng = new Prng(1);
    for (let i = 0; i < encodings; i++) {
      const { thumb, width, word } = draw(space, rng);
      const row = !thumb ? decodeA32(word) : width === 16 ? decodeT16(word) : decodeT32(word);
      if (row) known.get(row)!.drawn++;
    }
  }
  return [...known.values()];
}

/**
 * Rows that neither meets: they leave the place where they stand, or ask the system. Programs have them: which tests
 * run them.
 */
export const metByPrograms: readonly (readonly [names: RegExp, tests: string])[] = [
  [/^(B|BL|BLX|BX|BXJ)\b/, 'arm-fixtures, guest-programs, debian'],
  [/^(CBZ|TB[BH])/, 'guest-programs, debian'],
  [/^SVC$/, 'every test with a program'],
  [/^UDF/, 'arm-fixtures (undefined)'],
  [/^M(RC|CR) /, 'guest-programs (threads), debian'],
];

export const programsOf = (name: string): string | undefined => metByPrograms.find(([names]) => names.test(name))?.[1];
