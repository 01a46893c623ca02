import { describe, expect, test } from 'vitest';
import { a32Ir, a32Ops, t32Ir } from './support/arm-ir.ts';

describe('parallel arithmetic', () => {
  test('uqsub8 r0, r1, r2 is one vector subtraction', () => {
    expect(a32Ir([0xe6610ff2])).toBe(
      [
        'insn 0x10000',
        'v1 = get_i32 r1',
        'v2 = get_i32 r2',
        'v3 = splat_i32x4 v1',
        'v4 = splat_i32x4 v2',
        'v5 = sub_sat_u_i8x16 v3, v4',
        'v6 = extract_lane_i32x4 v5, 0',
        'set_i32 r0, v6',
        'jump 0x10004',
      ].join('\n'),
    );
  });

  test('uadd8 then sel: the selection takes the carries as they are', () => {
    const [, sel] = a32Ir([0xe6510f92, 0xe6830fb4]).split('insn 0x10004\n');
    expect(sel).toBe(
      [
        'v18 = get_i32 r3',
        'v19 = get_i32 r4',
        'v20 = xor_i32 v18, v19',
        'v21 = and_i32 v20, v8',
        'v22 = xor_i32 v19, v21',
        'set_i32 r0, v22',
        'jump 0x10008',
      ].join('\n'),
    );
  });

  test('T32 encodings give the IR of the A32 ones', () => {
    const body = (text: string): string => text.split('\n').slice(1, -1).join('\n');
    expect(body(t32Ir([0xfa81, 0xf042]))).toBe(body(a32Ir([0xe6510f92])));
  });
});

describe('ops of an instruction, constants included', () => {
  test.each([
    ['uadd8', 0xe6510f92, 16],
    ['sel', 0xe6810fb2, 13],
    ['sadd16', 0xe6110f12, 19],
    ['uhadd8', 0xe6710f92, 11],
    ['usad8', 0xe780f211, 20],
    ['qadd', 0xe1020051, 17],
    ['smlabb', 0xe1003281, 16],
    ['ssat', 0xe6a70011, 13],
    ['umaal', 0xe0410392, 17],
  ])('%s', (_name, word, most) => {
    expect(a32Ops(word)).toBeLessThanOrEqual(most);
  });
});

describe('CRC32', () => {
  test('crc32w r0, r1, r2 calls the pure helper for 32 bits', () => {
    expect(a32Ir([0xe1410042])).toMatch(/helper3 v1, v2, 32, \d+/);
  });

  test('undefined with a size of 64 bits', () => {
    expect(a32Ir([0xe1610042])).toContain('undefined');
  });
});

test('R15 is no operand', () => {
  expect(a32Ir([0xe651ff92])).toContain('undefined');
  expect(a32Ir([0xe1003f81])).toContain('undefined');
});
