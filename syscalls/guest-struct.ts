import { Access, type GuestMemory } from '#accel/guest-memory.ts';

/** Types of struct fields in guest memory. `long` is the guest's C long: 32 bits here. */
type FieldType = 'u8' | 'u16' | 'u32' | 'i32' | 'u64' | 'i64';
type FieldValue<T extends FieldType> = T extends 'u64' | 'i64' ? bigint : number;
type Fields = Readonly<Record<string, FieldType>>;
type Read<F extends Fields> = { -readonly [Name in keyof F]: FieldValue<F[Name]> };

const sizes: Readonly<Record<FieldType, number>> = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, i64: 8 };

/** A C struct in guest memory. */
export interface GuestStruct<F extends Fields> {
  readonly bytes: number;
  /** Reads all fields; EFAULT. */
  load(memory: GuestMemory, address: number): Read<F>;
  /** Writes the struct, fields left out (and padding) as zero; EFAULT. */
  store(memory: GuestMemory, address: number, values: Partial<Read<F>>): void;
}

/** Lays a struct out in declaration order with natural alignment, as the ARM EABI does (64-bit integers on 8 bytes). */
export function guestStruct<const F extends Fields>(fields: F): GuestStruct<F> {
  let end = 0;
  let alignment = 1;
  const places = Object.entries(fields).map(([name, type]) => {
    const size = sizes[type];
    const offset = Math.ceil(end / size) * size;
    end = offset + size;
    alignment = Math.max(alignment, size);
    return { name, type, offset };
  });
  const bytes = Math.ceil(end / alignment) * alignment;
  // Made whole here and then written: one look at the guest's permissions, not one for each field.
  const made = new Uint8Array(bytes);
  const view = new DataView(made.buffer);
  return {
    bytes,
    load(memory, address) {
      memory.require(address, bytes, Access.read);
      const values: Record<string, number | bigint> = {};
      for (const { name, type, offset } of places) values[name] = loadField(memory, address + offset, type);
      return values as Read<F>;
    },
    store(memory, address, values) {
      made.fill(0);
      for (const { name, type, offset } of places) {
        const value = (values as Record<string, number | bigint | undefined>)[name];
        if (value !== undefined) storeField(view, offset, type, value);
      }
      memory.write(address, made);
    },
  };
}

function loadField(memory: GuestMemory, address: number, type: FieldType): number | bigint {
  switch (type) {
    case 'u8':
      return memory.load8(address);
    case 'u16':
      return memory.load16(address);
    case 'u32':
      return memory.load32(address);
    case 'i32':
      return memory.load32(address) | 0;
    case 'u64':
      return memory.load64(address);
    case 'i64':
      return BigInt.asIntN(64, memory.load64(address));
  }
}

function storeField(view: DataView, offset: number, type: FieldType, value: number | bigint): void {
  if (type === 'u64' || type === 'i64') view.setBigUint64(offset, BigInt(value), true);
  else if (type === 'u8') view.setUint8(offset, Number(value));
  else if (type === 'u16') view.setUint16(offset, Number(value), true);
  else view.setUint32(offset, Number(value), true);
}
