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

/** One instruction encoding. `C` is what the target's translate functions get. */
export interface Row<C> {
  /** The manual's name of the instruction. */
  readonly name: string;
  readonly pattern: string;
  readonly translate: (c: C, f: FieldRecord) => void;
  readonly options: RowOptions<FieldRecord, Record<string, number>>;
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
  /** The row's reusable field record: valid until the row matches again. */
  readonly record: Record<string, number>;
}

/** A `row` function for translate functions of context `C`; types their field record from the pattern. */
export const rowFor =
  <C>() =>
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

function parsePattern<C>({ pattern, name, options }: Row<C>): RowBits {
  let bits = 0;
  let mask = 0;
  let value = 0;
  let shouldMask = 0;
  let shouldValue = 0;
  const names: string[] = [];
  /** Bits before the part ends, turned into shifts at the end. */
  const shifts: number[] = [];
  const widths: number[] = [];
  const record: Record<string, number> = {};
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
    record[field] = 0;
  }
  if (bits !== 16 && bits !== 32) throw new Error(`decode row ${name}: ${bits} bits in ${pattern}`);
  for (let i = 0; i < shifts.length; i++) shifts[i] = bits - shifts[i]!;
  if (options.set) Object.assign(record, options.set);
  return { width: bits, mask, value, shouldMask, shouldValue, names, shifts, widths, record };
}

/** Fills the row's field record from the encoding. */
export function fillFields(row: RowBits, encoding: number): FieldRecord {
  const { names, shifts, widths, record } = row;
  for (let i = 0; i < names.length; i++) record[names[i]!] = 0;
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
  const bits = rowBits(row);
  if (((encoding ^ bits.value) & bits.mask) !== 0) return false;
  fillFields(bits, encoding);
  const { when } = row.options;
  return when === undefined || when(bits.record);
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

/**
 * Finds rows. Rows are sorted into buckets by encoding bits [shift + bits - 1 : shift] when a bucket is first asked
 * for, so that start-up pays for what it uses. Of a pattern not yet used only its head is read.
 */
export class Decoder<C> {
  readonly rows: readonly Row<C>[];
  private readonly shift: number;
  private readonly bucketMask: number;
  private readonly buckets: (readonly Row<C>[] | undefined)[];
  /** Fixed bits of each row from `shift` up, and their values. */
  private readonly headMasks: Int32Array;
  private readonly headValues: Int32Array;

  constructor(rows: readonly Row<C>[], width: 16 | 32, shift: number, bits: number) {
    this.rows = rows;
    this.shift = shift;
    this.bucketMask = (1 << bits) - 1;
    this.buckets = new Array<readonly Row<C>[] | undefined>(1 << bits).fill(undefined);
    this.headMasks = new Int32Array(rows.length);
    this.headValues = new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) this.readHead(i, width - shift);
  }

  /** The row of `encoding` with its field record filled, or undefined. */
  decode(encoding: number): Row<C> | undefined {
    const key = (encoding >>> this.shift) & this.bucketMask;
    const bucket = this.buckets[key] ?? this.fill(key);
    for (let i = 0; i < bucket.length; i++) {
      const row = bucket[i]!;
      // Most rows of a bucket fail this test of rowMatches: while code is cold, calls are what costs.
      const bits = row.bits ?? rowBits(row);
      if (((encoding ^ bits.value) & bits.mask) === 0 && rowMatches(row, encoding)) return row;
    }
    return undefined;
  }

  private fill(key: number): readonly Row<C>[] {
    const { bucketMask, headMasks, headValues } = this;
    const bucket: Row<C>[] = [];
    for (let i = 0; i < this.rows.length; i++) {
      if (((headValues[i]! ^ key) & headMasks[i]! & bucketMask) === 0) bucket.push(this.rows[i]!);
    }
    this.buckets[key] = bucket;
    return bucket;
  }

  /** Reads the first `bits` bits of a pattern. */
  private readHead(row: number, bits: number): void {
    const { pattern } = this.rows[row]!;
    let mask = 0;
    let value = 0;
    let read = 0;
    for (let i = 0; read < bits; i++) {
      const char = pattern.charCodeAt(i);
      if (char === space) continue;
      if (char === zero || char === one) {
        mask = (mask << 1) | 1;
        value = (value << 1) | (char & 1);
        read++;
        continue;
      }
      let width = 1;
      if (char === open) i += 2;
      else if (char !== letterX && char !== dash) {
        i = pattern.indexOf(':', i) + 1;
        width = pattern.charCodeAt(i) - zero;
        const second = pattern.charCodeAt(i + 1) - zero;
        if (second >= 0 && second <= 9) {
          width = width * 10 + second;
          i++;
        }
      }
      // Bits of a field that reaches past the head are shifted out again.
      mask <<= width;
      value <<= width;
      read += width;
    }
    this.headMasks[row] = mask >> (read - bits);
    this.headValues[row] = value >> (read - bits);
  }
}
