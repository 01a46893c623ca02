import { defineHelper } from './helpers.ts';

/** Remainders of one byte for a bit-reversed polynomial. */
function remainders(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
}

/** A step of the CRC over the lowest `bits` (8, 16, 32) of `value`, neither inverted nor reversed at the ends. */
function step(table: Int32Array, crc: number, value: number, bits: number): number {
  const mask = bits === 32 ? -1 : (1 << bits) - 1;
  let rest = crc ^ (value & mask);
  for (let done = 0; done < bits; done += 8) rest = (rest >>> 8) ^ table[rest & 0xff]!;
  return rest | 0;
}

let ieee: Int32Array | undefined;
let castagnoli: Int32Array | undefined;

/** Helper index of polynomial 0x04C11DB7 (CRC32B, H, W): old CRC, value, bits of it. */
export const crc32Helper = defineHelper({
  name: 'crc32',
  pure: true,
  call: (_cpu, crc, value, bits) => step((ieee ??= remainders(0xedb88320)), crc, value, bits),
});

/** The same for polynomial 0x1EDC6F41 (CRC32CB, CRC32CH, CRC32CW). */
export const crc32cHelper = defineHelper({
  name: 'crc32c',
  pure: true,
  call: (_cpu, crc, value, bits) => step((castagnoli ??= remainders(0x82f63b78)), crc, value, bits),
});
