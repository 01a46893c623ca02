/**
 * CPU state declared once: `stateLayout({ r: ['u32', 16], nf: 'u32', d: ['u64', 32] })`.
 *
 * IR slots, signal frames, gdb registers and snapshots read the declaration; nobody writes an offset by hand.
 * Offsets are bytes from the start of the CPU page (see `tcg/cpu-page.ts`); every field is naturally aligned
 * (16 bytes for v128) and laid out in declaration order.
 */

export type FieldType = 'u32' | 'u64' | 'v128';
export type FieldSpec = FieldType | readonly [FieldType, number];

export interface StateField {
  readonly name: string;
  readonly type: FieldType;
  /** Byte offset of element 0 from the start of the CPU page. */
  readonly offset: number;
  /** Bytes of one element. */
  readonly size: number;
  /** Number of elements; 1 for a scalar. */
  readonly count: number;
}

export interface StateLayout<Names extends string = string> {
  readonly fields: Readonly<Record<Names, StateField>>;
  /** First byte of the guest's state. */
  readonly start: number;
  /** One past its last byte. */
  readonly end: number;
  /** Byte offset of element `index` of field `name`. */
  offset(name: Names, index?: number): number;
  /** `r3`, `nf`, `d[7]+4`…: how a byte offset is written in dumps. */
  describe(offset: number): string;
}

const fieldSizes: Record<FieldType, number> = { u32: 4, u64: 8, v128: 16 };

/** Lays fields out from byte `start` of the CPU page. */
export function stateLayout<const Spec extends Record<string, FieldSpec>>(
  spec: Spec,
  start: number,
): StateLayout<Extract<keyof Spec, string>> {
  type Names = Extract<keyof Spec, string>;
  const fields = {} as Record<Names, StateField>;
  let end = start;
  for (const name of Object.keys(spec) as Names[]) {
    const entry: FieldSpec = spec[name]!;
    const [type, count] = typeof entry === 'string' ? [entry, 1] : entry;
    const size = fieldSizes[type];
    const offset = (end + size - 1) & -size;
    fields[name] = { name, type, offset, size, count };
    end = offset + size * count;
  }
  return {
    fields,
    start,
    end,
    offset(name, index = 0) {
      const field = fields[name];
      if (index < 0 || index >= field.count) throw new Error(`state field ${name} has no element ${index}`);
      return field.offset + index * field.size;
    },
    describe(offset) {
      for (const name of Object.keys(fields) as Names[]) {
        const field = fields[name];
        const distance = offset - field.offset;
        if (distance < 0 || distance >= field.size * field.count) continue;
        const element = field.count > 1 ? String(Math.floor(distance / field.size)) : '';
        const rest = distance % field.size;
        return rest ? `${name}${element}+${rest}` : `${name}${element}`;
      }
      return `state+${offset}`;
    },
  };
}
