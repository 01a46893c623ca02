import { describe, expect, test } from 'vitest';
import { a32Ir, t32Ir } from './support/arm-ir.ts';

/** CPSR.E in `Target.mode`. */
const bigEndian = 0x100;

const lines = (...text: string[]): string => text.join('\n');

describe('one register', () => {
  test('ldr r0, [r1, #12]: the offset is the access’s own', () => {
    expect(a32Ir([0xe591000c])).toBe(
      lines('insn 0x10000', 'v1 = get_i32 r1', 'v2 = load_i32 [v1 + 12]', 'set_i32 r0, v2', 'jump 0x10004'),
    );
  });

  test('ldrsb r0, [r1], #1: the base is written after the access', () => {
    expect(a32Ir([0xe0d100d1])).toBe(
      lines(
        'insn 0x10000',
        'v1 = get_i32 r1',
        'v3 = add_i32 v1, 1',
        'v4 = load8_s [v1]',
        'set_i32 r1, v3',
        'set_i32 r0, v4',
        'jump 0x10004',
      ),
    );
  });

  test('ldr r0, [pc]: a constant of the code', () => {
    const text = a32Ir([0xe59f0000, 0xe320f000, 0x12345678], 1);
    expect(text).toContain('set_i32 r0, 0x12345678');
    expect(text).not.toContain('load');
  });

  test('ldrd r0, r1, [pc, #4]: two constants of the code', () => {
    const text = t32Ir([0xe9df, 0x0101, 0xbf00, 0xbf00, 1, 2, 3, 4], 1);
    expect(text).toMatch(/0x20001[^]*0x40003/);
    expect(text).not.toContain('load');
  });

  test('ldr pc, [sp], #4 returns; ldr pc, [r0] jumps', () => {
    expect(a32Ir([0xe49df004])).toMatch(/return v\d+$/);
    expect(a32Ir([0xe590f000])).toMatch(/jump_indirect v\d+$/);
  });

  test('cmp r3, #2; ldrls pc, [pc, r3, lsl #2]: a switch', () => {
    const text = a32Ir([0xe3530002, 0x979ff103, 0xe320f000, 0x10100, 0x10201, 0x10300], 2);
    expect(text).toContain('switch v1, [0x10100, 0x10201, 0x10300, 0x10100]');
    expect(text).toMatch(/jump 0x10008$/);
  });

  test('undefined: ldrb pc, writeback to PC, T32 stores relative to PC', () => {
    expect(a32Ir([0xe5d1f000])).toContain('undefined');
    expect(a32Ir([0xe5bf0004])).toContain('undefined');
    expect(t32Ir([0xf8cf, 0x0004])).toContain('undefined');
  });

  test('T32 preload hints are loads of bytes into R15 and do nothing', () => {
    expect(t32Ir([0xf890, 0xf000])).toBe(lines('insn 0x10001', 'jump 0x10005'));
  });
});

describe('several registers', () => {
  test('push {r4, lr}: probed, stored, then SP', () => {
    expect(t32Ir([0xb510])).toBe(
      lines(
        'insn 0x10001',
        'v1 = get_i32 r13',
        'v3 = add_i32 v1, -8',
        'probe v3, 8, w',
        'v5 = get_i32 r4',
        'store_i32 [v3], v5, probed',
        'v7 = get_i32 r14',
        'store_i32 [v3 + 4], v7, probed',
        'set_i32 r13, v3',
        'jump 0x10003',
      ),
    );
  });

  test('pop {r4, pc}: loaded before any register changes, then returns', () => {
    expect(t32Ir([0xbd10])).toBe(
      lines(
        'insn 0x10001',
        'v1 = get_i32 r13',
        'v3 = add_i32 v1, 8',
        'probe v1, 8, r',
        'v5 = load_i32 [v1], probed',
        'v6 = load_i32 [v1 + 4], probed',
        'set_i32 r13, v3',
        'set_i32 r4, v5',
        'return v6',
      ),
    );
  });

  test('undefined: empty lists, writeback to a loaded register, one register in T32, ^', () => {
    expect(a32Ir([0xe8900000])).toContain('undefined');
    expect(a32Ir([0xe8b00003])).toContain('undefined');
    expect(t32Ir([0xe890, 0x0002])).toContain('undefined');
    expect(a32Ir([0xe8d00003])).toContain('undefined');
  });

  test('ldrd r0, r1 needs an even register in A32', () => {
    expect(a32Ir([0xe1c200d0])).toContain('probe v1, 8, r');
    expect(a32Ir([0xe1c210d0])).toContain('undefined');
  });
});

describe('big-endian data', () => {
  test('str r0, [r1] stores the bytes reversed', () => {
    expect(a32Ir([0xe5810000], 1, bigEndian)).toBe(
      lines(
        'insn 0x10000',
        'v1 = get_i32 r1',
        'v2 = get_i32 r0',
        'v4 = rotr_i32 v2, 8',
        'v6 = and_i32 v4, 0xff00ff00',
        'v8 = rotr_i32 v2, 24',
        'v10 = and_i32 v8, 0xff00ff',
        'v11 = or_i32 v6, v10',
        'store_i32 [v1], v11',
        'jump 0x10004',
      ),
    );
  });

  test('ldrsh is extended after the exchange; bytes stay', () => {
    expect(a32Ir([0xe1d100f0], 1, bigEndian)).toMatch(/load16_u[^]*extend16_s_i32/);
    expect(a32Ir([0xe5d10000], 1, bigEndian)).not.toContain('rot');
  });
});

describe('exclusives', () => {
  test('ldrex r0, [r1] tests the alignment and remembers address and value', () => {
    expect(a32Ir([0xe1910f9f])).toBe(
      lines(
        'insn 0x10000',
        'v1 = get_i32 r1',
        'v3 = and_i32 v1, 3',
        'if v3',
        '  set_i32 cpu.faultAddress, v1',
        '  exit 0, alignment, 0x10000',
        'endif',
        'v9 = load_i32 [v1]',
        'set_i32 exclusiveAddress, v1',
        'set_i32 exclusiveLow, v9',
        'set_i32 r0, v9',
        'jump 0x10004',
      ),
    );
  });

  test('strex r2, r0, [r1] exchanges if memory still holds that value, and closes', () => {
    const text = a32Ir([0xe1812f90]);
    expect(text).toMatch(/if v\d+\n {2}v(\d+) = get_i32 exclusiveLow\n {2}v\d+ = cmpxchg_i32 \[v1\], v\1, v\d+/);
    expect(text).toMatch(/else\n {2}set_i32 r2, 1\nendif\nset_i32 exclusiveAddress, -1\njump 0x10004$/);
  });

  test('strex with the status register among its operands is undefined', () => {
    expect(a32Ir([0xe1811f90])).toContain('undefined');
    expect(a32Ir([0xe1810f90])).toContain('undefined');
  });
});
