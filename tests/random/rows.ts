import { type Row, rowBits, rowMatches } from '#tcg/decode.ts';
import { isExcluded } from './constraints.ts';

/** The generator never calls a translate function, so any context will do. */
export type AnyRow = Row<never>;

export type InsnClass = 'a32' | 't32' | 'vfp' | 'neon' | 't32-vfp' | 't32-neon';

export const insnClasses: readonly InsnClass[] = ['a32', 't32', 'vfp', 'neon', 't32-vfp', 't32-neon'];

const isRow = (value: unknown): value is AnyRow =>
  typeof value === 'object' && value !== null && 'name' in value && 'pattern' in value && 'translate' in value;

function rowsOf(module: object): AnyRow[] {
  const all = Object.values(module).flatMap((value: unknown) => (Array.isArray(value) ? value.filter(isRow) : []));
  return [...new Set(all)];
}

function classOf(row: AnyRow, thumb: boolean): InsnClass {
  if (!/^(V|AES|SHA[12])/i.test(row.name)) return thumb ? 't32' : 'a32';
  const { value, mask } = rowBits(row);
  const top = value >>> 24;
  // The NEON space: 1111001x and 11110100 in A32, 111x1111 and 11111001 in T32.
  const neon = thumb ? (top & 0xef) === 0xef || top === 0xf9 : mask >>> 28 === 15 && value >>> 28 === 15;
  if (thumb) return neon ? 't32-neon' : 't32-vfp';
  return neon ? 'neon' : 'vfp';
}

/** The decode tables of one instruction set, in decoding order. */
export interface InsnSet {
  thumb: boolean;
  /** Every row, excluded ones too: the first match decides what an encoding is. */
  all: readonly AnyRow[];
  /** Rows of the class that may be generated. */
  candidates: readonly AnyRow[];
}

/** Whether decoding `encoding` finds `row` and no earlier one. */
export function decodesTo(set: InsnSet, row: AnyRow, encoding: number): boolean {
  const { width } = rowBits(row);
  // In A32 condition 1111 is an instruction space of its own.
  const unconditional = !set.thumb && encoding >>> 28 === 15;
  const inSpace = (other: AnyRow): boolean => set.thumb || other.pattern.startsWith('1111') === unconditional;
  return (
    set.all.find((other) => rowBits(other).width === width && inSpace(other) && rowMatches(other, encoding)) === row
  );
}

/** The rows of an instruction class from the ARM decode tables. */
export async function loadRows(insnClass: InsnClass): Promise<InsnSet> {
  const thumb = insnClass.startsWith('t32');
  const module = (thumb ? await import('#target/arm/t32.rows.ts') : await import('#target/arm/a32.rows.ts')) as object;
  const all = rowsOf(module);
  const candidates = all.filter((row) => classOf(row, thumb) === insnClass && !isExcluded(row.name));
  return { thumb, all, candidates };
}
