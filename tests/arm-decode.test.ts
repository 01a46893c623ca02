import { describe, expect, test } from 'vitest';
import { decodeA32 } from '#target/arm/a32.decode.ts';
import { a32Rows } from '#target/arm/a32.rows.ts';
import { type ArmRow, noFields } from '#target/arm/row.ts';
import { decodeT16, decodeT32 } from '#target/arm/t32.decode.ts';
import { t32Rows } from '#target/arm/t32.rows.ts';
import { encode, fieldWidths, type Row, rowBits, rowMatches } from '#tcg/decode.ts';

/** Deterministic 32-bit words. */
function* words(seed: number): Generator<number, never> {
  for (let state = seed | 1; ; ) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

const fillsGap = /\(literal\)$|^VEXT$|^VTBL|^VMOV.*\(immediate\)$/;

const bitCount = (word: number): number => (word >>> 0).toString(2).replaceAll('0', '').length;

const label = (row: ArmRow): string => `${row.name} [${row.pattern}]`;

/** An encoding the row accepts, or undefined if none of `tries` random ones is. */
function sample<C>(row: Row<C>, random: Generator<number, never>, tries: number): number | undefined {
  const widths = [...fieldWidths(row)];
  for (let i = 0; i < tries; i++) {
    const fields: Record<string, number> = {};
    for (const [name, width] of widths) fields[name] = random.next().value & ((1 << width) - 1);
    if (fields['cond'] === 15) fields['cond'] = 14;
    const encoding = encode(row, fields);
    if (rowMatches(row, encoding)) return encoding;
  }
  return undefined;
}

const isUnconditional = (row: ArmRow): boolean => row.pattern.startsWith('1111');

describe.each([
  ['A32 conditional', a32Rows.filter((row) => !isUnconditional(row)), decodeA32],
  ['A32 unconditional', a32Rows.filter(isUnconditional), decodeA32],
  ['T32 16-bit', t32Rows.filter((row) => rowBits(row).width === 16), decodeT16],
  ['T32 32-bit', t32Rows.filter((row) => rowBits(row).width === 32), decodeT32],
] as const)('%s rows', (_name, rows, decode) => {
  test('every row has encodings that decode to it', () => {
    const random = words(1);
    const shadowed: string[] = [];
    for (const row of rows) {
      let found = false;
      for (let i = 0; i < 200 && !found; i++) {
        const encoding = sample(row, random, 200);
        if (encoding === undefined) break;
        found = decode(encoding) === row;
      }
      if (!found) shadowed.push(label(row));
    }
    expect(shadowed).toEqual([]);
  });

  test('records have the shape of all others', () => {
    const shape = Object.keys(noFields());
    for (const row of rows) expect(Object.keys(rowBits(row).record), label(row)).toEqual(shape);
  });

  test('fields survive encoding and decoding', () => {
    const random = words(2);
    for (const row of rows) {
      const encoding = sample(row, random, 500);
      if (encoding === undefined) continue;
      const { record } = rowBits(row);
      const fields = { ...record };
      expect(encode(row, fields), label(row)).toBe(encoding);
    }
  });

  /**
   * Two rows overlap if some encoding has the fixed bits of both. Precedence settles it where the first one is more
   * specific (has more fixed bits), where one has a `when`, and for the rows that live where a field of others must not
   * be 15 (literal loads), 11 (VEXT, VTBL: sizes) or 000xxx (VMOV immediate: shifts). Every other pair is a mistake.
   */
  test('overlapping rows are ordered from specific to general', () => {
    const overlaps: string[] = [];
    rows.forEach((row, i) => {
      const a = rowBits(row);
      for (const other of rows.slice(i + 1)) {
        const b = rowBits(other);
        if (((a.value ^ b.value) & a.mask & b.mask) !== 0) continue;
        if (bitCount(a.mask) > bitCount(b.mask)) continue;
        if (row.options.when || other.options.when) continue;
        if (fillsGap.test(row.name) || other.name.endsWith('(literal)')) continue;
        overlaps.push(`${label(row)} / ${label(other)}`);
      }
    });
    expect(overlaps).toEqual([]);
  });
});
