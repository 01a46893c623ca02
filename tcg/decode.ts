/**
 * Decode tables: an instruction is one row of typed data.
 *
 *     row('ADC (immediate)', 'cond:4 0010101 s:1 rn:4 rd:4 imm:12', adcImmediate)
 *
 * A pattern is written most significant bit first, 16 or 32 bits in all (T32: first halfword first):
 * - `0` `1` fixed bits; `x` or `-` any bit; spaces anywhere between tokens;
 * - `(0)` `(1)` should-be bits: any bit when decoding, that value when encoding (the manual's UNPREDICTABLE);
 * - `name:width` a field, as a token of its own. A name that occurs twice is one field, most significant part first.
 *   Names do not begin with x.
 *
 * Decoding takes the first row of the list that matches, so a more specific row precedes a general one.
 */

type FieldNames<P extends string> = P extends `${infer Head} ${infer Rest}`
  ? FieldNames<Head> | FieldNames<Rest>
  : P extends `${infer Name}:${string}`
    ? Name
    : never;

/** The fields a pattern names, as the translate function gets them: unsigned numbers. */
export type Fields<P extends string> = { readonly [K in FieldNames<P>]: number };

export type FieldRecord = Readonly<Record<string, number>>;

export interface RowOptions<F, S extends Record<string, number> = Record<never, number>> {
  /** The row matches only if this holds too. Must not keep `f`. */
  readonly when?: (f: F) => boolean;
  /** Fields with a constant value, for translate functions shared with encodings that have them as bits. */
  readonly set?: S;
  /** The translate function tests the instruction's condition itself (branches). */
  readonly own?: true;
  /**
   * Cannot trap and, unless its `s` field is 1 or its `rd` the program counter, writes nothing but one register: a
   * conditional one may be executed always and its result selected.
   */
  readonly pure?: true;
}

/** The field records of a target, all of one shape. */
export interface FieldRecords {
  /** One with all fields that the patterns may name, absent. */
  readonly empty: () => Record<string, number | undefined>;
  /** Frequent fields: `set` knows them by their index here, which takes a tenth of the time that their names take. */
  readonly frequent: readonly string[];
  readonly set: (record: Record<string, number>, index: number, value: number) => void;
}

/** One instruction encoding. `C` is what the target's translate functions get. */
export interface Row<C> {
  /** The manual's name of the instruction. */
  readonly name: string;
  readonly pattern: string;
  readonly translate: (c: C, f: FieldRecord) => void;
  readonly options: RowOptions<FieldRecord, Record<string, number>>;
  readonly records: FieldRecords;
  /** Parsed when first needed. */
  bits: RowBits | undefined;
}

/** A pattern, parsed. */
export interface RowBits {
  readonly width: number;
  /** Bits that decide a match, and their values. */
  readonly mask: number;
  readonly value: number;
  /** Should-be bits and their values. */
  readonly shouldMask: number;
  readonly shouldValue: number;
  /** Field parts, most significant first. */
  readonly names: readonly string[];
  readonly shifts: readonly number[];
  readonly widths: readonly number[];
  /** By part: the field's index among the frequent ones, or -1. */
  readonly frequent: readonly number[];
  readonly set: FieldRecords['set'];
  /** No field has more than one part. */
  readonly whole: boolean;
  readonly when: RowOptions<FieldRecord>['when'];
  readonly own: boolean;
  readonly pure: boolean;
  /** The row's reusable field record: valid until the row matches again. */
  readonly record: Record<string, number>;
}

/** A `row` function for translate functions of context `C`; types their field record from the pattern. */
export const rowFor =
  <C>(records: FieldRecords) =>
  <const P extends string, S extends Record<string, number> = Record<never, number>>(
    name: string,
    pattern: P,
    translate: (c: C, f: Fields<P> & { readonly [K in keyof S]: number }) => void,
    options?: RowOptions<Fields<P>, S>,
  ): Row<C> => ({
    name,
    pattern,
    // The record the decoder fills has exactly the pattern's fields and the constant ones.
    translate: translate as (c: C, f: FieldRecord) => void,
    options: (options ?? noOptions) as RowOptions<FieldRecord, Record<string, number>>,
    records,
    bits: undefined,
  });

const noOptions = {};

const space = 32;
const open = 40;
const dash = 45;
const zero = 48;
const one = 49;
const colon = 58;
const letterX = 120;

/** The parsed pattern of a row. Throws on a malformed one. */
export function rowBits<C>(row: Row<C>): RowBits {
  return (row.bits ??= parsePattern(row));
}

function parsePattern<C>({ pattern, name, options, records }: Row<C>): RowBits {
  let bits = 0;
  let mask = 0;
  let value = 0;
  let shouldMask = 0;
  let shouldValue = 0;
  const names: string[] = [];
  /** Bits before the part ends, turned into shifts at the end. */
  const shifts: number[] = [];
  const widths: number[] = [];
  let whole = true;
  // What the pattern does not name stays absent; translate functions are typed to know only what it names.
  const record = records.empty() as Record<string, number>;
  const length = pattern.length;
  for (let i = 0; i < length; i++) {
    const char = pattern.charCodeAt(i);
    if (char === zero || char === one) {
      bits++;
      mask = (mask << 1) | 1;
      value = (value << 1) | (char & 1);
      shouldMask <<= 1;
      shouldValue <<= 1;
      continue;
    }
    if (char === space) continue;
    if (char === letterX || char === dash) {
      bits++;
      mask <<= 1;
      value <<= 1;
      shouldMask <<= 1;
      shouldValue <<= 1;
      continue;
    }
    if (char === open) {
      bits++;
      mask <<= 1;
      value <<= 1;
      shouldMask = (shouldMask << 1) | 1;
      shouldValue = (shouldValue << 1) | (pattern.charCodeAt(i + 1) & 1);
      i += 2;
      continue;
    }
    const at = pattern.indexOf(':', i);
    if (at < 0) throw new Error(`decode row ${name}: bad pattern ${pattern}`);
    const field = pattern.slice(i, at);
    let width = 0;
    for (i = at + 1; i < length; i++) {
      const digit = pattern.charCodeAt(i) - zero;
      if (digit < 0 || digit > 9) break;
      width = width * 10 + digit;
    }
    i--;
    if (width === 0 || pattern.charCodeAt(at) !== colon) throw new Error(`decode row ${name}: bad field ${field}`);
    bits += width;
    mask <<= width;
    value <<= width;
    shouldMask <<= width;
    shouldValue <<= width;
    names.push(field);
    shifts.push(bits);
    widths.push(width);
    if (record[field] !== undefined) whole = false;
    record[field] = 0;
  }
  if (bits !== 16 && bits !== 32) throw new Error(`decode row ${name}: ${bits} bits in ${pattern}`);
  for (let i = 0; i < shifts.length; i++) shifts[i] = bits - shifts[i]!;
  if (options.set) Object.assign(record, options.set);
  const { when, own = false, pure = false } = options;
  const frequent = names.map((field) => records.frequent.indexOf(field));
  const { set } = records;
  const fields = { names, shifts, widths, frequent, set, whole, record };
  return { width: bits, mask, value, shouldMask, shouldValue, ...fields, when, own, pure };
}

/** Fills the row's field record from the encoding. */
export function fillFields(row: RowBits, encoding: number): FieldRecord {
  const { names, shifts, widths, frequent, whole, record } = row;
  if (whole) {
    for (let i = 0; i < names.length; i++) {
      const part = (encoding >>> shifts[i]!) & ((1 << widths[i]!) - 1);
      if (frequent[i]! >= 0) row.set(record, frequent[i]!, part);
      else record[names[i]!] = part;
    }
    return record;
  }
  for (const name of names) record[name] = 0;
  for (let i = 0; i < names.length; i++) {
    const width = widths[i]!;
    const part = (encoding >>> shifts[i]!) & ((1 << width) - 1);
    const name = names[i]!;
    record[name] = (record[name]! << width) | part;
  }
  return record;
}

/** True if the encoding has the row's fixed bits and satisfies its `when`; its field record is then filled. */
export function rowMatches<C>(row: Row<C>, encoding: number): boolean {
  const { value, mask } = rowBits(row);
  return ((encoding ^ value) & mask) === 0 && rowAccepts(row, encoding);
}

/** The same for an encoding that has the fixed bits. */
function rowAccepts<C>(row: Row<C>, encoding: number): boolean {
  const bits = row.bits ?? rowBits(row);
  const record = fillFields(bits, encoding);
  return bits.when === undefined || bits.when(record);
}

/** The encoding of `row` with `fields` (0 where absent) and its should-be bits as they should be; unsigned. */
export function encode<C>(row: Row<C>, fields: FieldRecord): number {
  const bits = rowBits(row);
  let encoding = bits.value | bits.shouldValue;
  const used: Record<string, number> = {};
  for (let i = bits.names.length - 1; i >= 0; i--) {
    const name = bits.names[i]!;
    const width = bits.widths[i]!;
    const from = used[name] ?? 0;
    encoding |= (((fields[name] ?? 0) >>> from) & ((1 << width) - 1)) << bits.shifts[i]!;
    used[name] = from + width;
  }
  return encoding >>> 0;
}

/** Total width of each field of a row, in pattern order. */
export function fieldWidths<C>(row: Row<C>): Map<string, number> {
  const { names, widths } = rowBits(row);
  const total = new Map<string, number>();
  for (let i = 0; i < names.length; i++) total.set(names[i]!, (total.get(names[i]!) ?? 0) + widths[i]!);
  return total;
}

/** `name field=value …`, the fallback text of an instruction whose record is filled. */
export function describeRow<C>(row: Row<C>): string {
  const { record, names } = rowBits(row);
  const parts = [...new Set(names)].map(
    (name) => `${name}=${record[name]! < 10 ? record[name] : `0x${record[name]!.toString(16)}`}`,
  );
  return parts.length === 0 ? row.name : `${row.name} ${parts.join(' ')}`;
}

/** Which rows an encoding may match, told by bits [shift + bits - 1 : shift] of it: its key. Plain data. */
export interface DecodeIndex {
  readonly shift: number;
  readonly bits: number;
  /** By row: the bits that decide a match, and their values. */
  readonly masks: Int32Array;
  readonly values: Int32Array;
  /** By key: where its list of row numbers begins in `lists`; each ends with `endOfList`. */
  readonly starts: Uint16Array;
  readonly lists: Uint16Array;
}

const endOfList = 0xffff;

/** The index of those of `rows` that `belongs` accepts; the row numbers are those of `rows`. */
export function indexRows<C>(
  rows: readonly Row<C>[],
  shift: number,
  bits: number,
  belongs: (row: Row<C>) => boolean,
): DecodeIndex {
  const parsed = rows.map((row) => ({ belongs: belongs(row), ...parsePattern(row) }));
  const keys = (1 << bits) - 1;
  const lists: number[] = [];
  const known = new Map<string, number>();
  const starts = Uint16Array.from({ length: keys + 1 }, (_, key) => {
    const numbers = [...parsed.keys()].filter((i) => {
      const row = parsed[i]!;
      return row.belongs && (((row.value >>> shift) ^ key) & (row.mask >>> shift) & keys) === 0;
    });
    const name = numbers.join();
    const start = known.get(name) ?? lists.length;
    if (start === lists.length) lists.push(...numbers, endOfList);
    known.set(name, start);
    return start;
  });
  return {
    shift,
    bits,
    masks: Int32Array.from(parsed, ({ mask }) => mask),
    values: Int32Array.from(parsed, ({ value }) => value),
    starts,
    lists: Uint16Array.from(lists),
  };
}

/** Finds rows. Of rows that never match not even the pattern is read. */
export class Decoder<C> {
  private readonly rows: readonly Row<C>[];
  private readonly shift: number;
  private readonly keys: number;
  private readonly masks: Int32Array;
  private readonly values: Int32Array;
  private readonly starts: Uint16Array;
  private readonly lists: Uint16Array;
  private readonly neededBy: (row: Row<C>) => number;
  /** What each row needs; -1 where nobody asked yet. */
  private readonly needed: Int32Array;

  /** `neededBy`: bits of the CPU features that a row's instruction needs. */
  constructor(rows: readonly Row<C>[], index: DecodeIndex, neededBy: (row: Row<C>) => number) {
    this.rows = rows;
    this.neededBy = neededBy;
    this.needed = new Int32Array(rows.length).fill(-1);
    this.shift = index.shift;
    this.keys = (1 << index.bits) - 1;
    this.masks = index.masks;
    this.values = index.values;
    this.starts = index.starts;
    this.lists = index.lists;
  }

  /** The row of `encoding` on a CPU with `features` (-1: all that there are), with its field record filled, or undefined. */
  decode(encoding: number, features: number): Row<C> | undefined {
    const { masks, values, lists } = this;
    const lacking = ~features;
    let at = this.starts[(encoding >>> this.shift) & this.keys]!;
    for (let i = lists[at]!; i !== endOfList; i = lists[++at]!) {
      if (((encoding ^ values[i]!) & masks[i]!) !== 0) continue;
      if (lacking !== 0 && (this.needs(i) & lacking) !== 0) continue;
      const row = this.rows[i]!;
      if (rowAccepts(row, encoding)) return row;
    }
    return undefined;
  }

  private needs(i: number): number {
    const known = this.needed[i]!;
    return known >= 0 ? known : (this.needed[i] = this.neededBy(this.rows[i]!));
  }
}
