import { describe, expect, test } from 'vitest';
import { a32, t32, translated } from './support/arm-block.ts';

describe('A32 blocks', () => {
  test('cmp and a conditional branch become one compare', () => {
    // cmp r0, r1; blt
    expect(translated(a32(0xe1500001, 0xba000002), false)).toMatchInlineSnapshot(`
      "block 00010000 [00010000, 00010008)
        insn 0x10000
        v1 = get_i32 r0
        v2 = get_i32 r1
        v3 = sub_i32 v1, v2
        set_i32 nf, v3
        set_i32 zf, v3
        v6 = ge_u_i32 v1, v2
        set_i32 cf, v6
        v8 = xor_i32 v1, v2
        v9 = xor_i32 v1, v3
        v10 = and_i32 v8, v9
        set_i32 vf, v10
        insn 0x10004
        v13 = lt_s_i32 v1, v2
        branch v13, 0x10014, 0x10008
      "
    `);
  });

  test('adds and adc share the carry', () => {
    // adds r0, r0, r2; adc r1, r1, r3; bx lr
    expect(translated(a32(0xe0900002, 0xe0a11003, 0xe12fff1e), false)).toMatchInlineSnapshot(`
      "block 00010000 [00010000, 0001000c)
        insn 0x10000
        v1 = get_i32 r0
        v2 = get_i32 r2
        v3 = add_i32 v1, v2
        set_i32 nf, v3
        set_i32 zf, v3
        v6 = lt_u_i32 v3, v1
        set_i32 cf, v6
        v8 = xor_i32 v1, v3
        v9 = xor_i32 v2, v3
        v10 = and_i32 v8, v9
        set_i32 vf, v10
        set_i32 r0, v3
        insn 0x10004
        v14 = get_i32 r1
        v15 = get_i32 r3
        v16 = add_i32 v14, v15
        v17 = add_i32 v16, v6
        set_i32 r1, v17
        insn 0x10008
        v20 = get_i32 r14
        return v20
      "
    `);
  });

  test('addls pc, pc, r0, lsl #2 after cmp is a switch', () => {
    // cmp r0, #2; addls pc, pc, r0, lsl #2; b
    expect(translated(a32(0xe3500002, 0x908ff100, 0xea000010), false)).toMatchInlineSnapshot(`
      "block 00010000 [00010000, 0001000c)
        insn 0x10000
        v1 = get_i32 r0
        v2 = const_i32 2
        v3 = sub_i32 v1, v2
        set_i32 nf, v3
        set_i32 zf, v3
        v6 = ge_u_i32 v1, v2
        set_i32 cf, v6
        v8 = xor_i32 v1, v2
        v9 = xor_i32 v1, v3
        v10 = and_i32 v8, v9
        set_i32 vf, v10
        insn 0x10004
        v13 = le_u_i32 v1, v2
        if v13
          switch v1, [0x1000c, 0x10010, 0x10014, 0x1000c]
        endif
        insn 0x10008
        jump 0x10050
      "
    `);
  });

  test('a branch not taken bounds a jump table in an extended block', () => {
    // cmp r0, #3; bhi; ldr pc, [pc, r0, lsl #2]; table
    const code = a32(0xe3500003, 0x8a000002, 0xe79ff100, 0, 0x10004, 0x10008, 0x1000c, 0x10010);
    expect(translated(code, false, { extended: true })).toMatchInlineSnapshot(`
      "block 00010000 [00010000, 0001000c)
        insn 0x10000
        v1 = get_i32 r0
        v2 = const_i32 3
        v3 = sub_i32 v1, v2
        set_i32 nf, v3
        set_i32 zf, v3
        v6 = ge_u_i32 v1, v2
        set_i32 cf, v6
        v8 = xor_i32 v1, v2
        v9 = xor_i32 v1, v3
        v10 = and_i32 v8, v9
        set_i32 vf, v10
        insn 0x10004
        v13 = gt_u_i32 v1, v2
        if v13
          jump 0x10014
        endif
        insn 0x10008
        switch v1, [0x10004, 0x10008, 0x1000c, 0x10010, 0x10004]
      "
    `);
  });

  test('a run with one condition shares an if in an extended block', () => {
    // cmp r0, #0; ldreq r2, [r1]; addeq r2, r2, #1; streq r2, [r1]; bx lr
    const code = a32(0xe3500000, 0x05912000, 0x02822001, 0x05812000, 0xe12fff1e);
    expect(translated(code, false, { extended: true })).toMatchInlineSnapshot(`
      "block 00010000 [00010000, 00010014)
        insn 0x10000
        v1 = get_i32 r0
        set_i32 nf, v1
        set_i32 zf, v1
        set_i32 cf, 1
        set_i32 vf, 0
        insn 0x10004
        v9 = eqz_i32 v1
        if v9
          v11 = get_i32 r1
          v12 = load_i32 [v11]
          insn 0x10008
          v15 = add_i32 v12, 1
          set_i32 r2, v15
          insn 0x1000c
          store_i32 [v11], v15
        endif
        insn 0x10010
        v21 = get_i32 r14
        return v21
      "
    `);
  });

  test('mov lr, pc before a jump makes it a call', () => {
    // mov lr, pc; bx r3
    expect(translated(a32(0xe1a0e00f, 0xe12fff13), false)).toMatchInlineSnapshot(`
      "block 00010000 [00010000, 00010008)
        insn 0x10000
        set_i32 r14, 0x10008
        insn 0x10004
        v4 = get_i32 r3
        call_indirect v4, 0x10008
      "
    `);
  });

  test('a conditional exit goes on behind it', () => {
    // cmp r0, #0; svcne #0; bx lr
    expect(translated(a32(0xe3500000, 0x1f000000, 0xe12fff1e), false)).toMatchInlineSnapshot(`
      "block 00010000 [00010000, 0001000c)
        insn 0x10000
        v1 = get_i32 r0
        set_i32 nf, v1
        set_i32 zf, v1
        set_i32 cf, 1
        set_i32 vf, 0
        insn 0x10004
        if v1
          exit 0, syscall, 0x10008
        endif
        insn 0x10008
        v14 = get_i32 r14
        return v14
      "
    `);
  });

  test('an encoding without a row is undefined', () => {
    // udf #0
    expect(translated(a32(0xe7f000f0), false)).toMatchInlineSnapshot(`
      "block 00010000 [00010000, 00010004)
        insn 0x10000
        exit 0xe7f000f0, undefined, 0x10000
      "
    `);
  });
});

describe('T32 blocks', () => {
  test('bl', () => {
    expect(translated(t32(0xf000, 0xf804), true)).toMatchInlineSnapshot(`
      "block 00010001 [00010000, 00010004)
        insn 0x10001
        set_i32 r14, 0x10005
        call 0x1000d, 0x10005
      "
    `);
  });

  test('the table of a tbb is read in the upper half of the address space', () => {
    // cmp r0, #2; bhi; tbb [pc, r0]; table
    const code = t32(0x2802, 0xd807, 0xe8df, 0xf000, 0x0402, 0x0006, 0x4770);
    expect(translated(code, true, { extended: true, start: 0xf6fe0000 })).toMatch(
      /switch v\d+, \[0xf6fe000d, 0xf6fe0011, 0xf6fe0015, 0xf6fe000d\]/,
    );
  });

  test('tbb after cmp and bhi is a switch in an extended block', () => {
    // cmp r0, #2; bhi; tbb [pc, r0]; table
    const code = t32(0x2802, 0xd807, 0xe8df, 0xf000, 0x0402, 0x0006, 0x4770);
    expect(translated(code, true, { extended: true })).toMatchInlineSnapshot(`
      "block 00010001 [00010000, 00010008)
        insn 0x10001
        v1 = get_i32 r0
        v2 = const_i32 2
        v3 = sub_i32 v1, v2
        set_i32 nf, v3
        set_i32 zf, v3
        v6 = ge_u_i32 v1, v2
        set_i32 cf, v6
        v8 = xor_i32 v1, v2
        v9 = xor_i32 v1, v3
        v10 = and_i32 v8, v9
        set_i32 vf, v10
        insn 0x10003
        v13 = gt_u_i32 v1, v2
        if v13
          jump 0x10015
        endif
        insn 0x10005
        switch v1, [0x1000d, 0x10011, 0x10015, 0x1000d]
      "
    `);
  });

  test('single conditional results are selected', () => {
    // cmp r0, #0; ite eq; moveq r1, #1; movne r1, #2; bx lr
    expect(translated(t32(0x2800, 0xbf0c, 0x2101, 0x2102, 0x4770), true)).toMatchInlineSnapshot(`
      "block 00010001 [00010000, 0001000a)
        insn 0x10001
        v1 = get_i32 r0
        set_i32 nf, v1
        set_i32 zf, v1
        set_i32 cf, 1
        set_i32 vf, 0
        insn 0x10003
        insn 0x10005, 0xc
        v10 = const_i32 1
        v11 = get_i32 r1
        v12 = select_i32 v11, v10, v1
        insn 0x10007, 0x18
        v15 = select_i32 2, v12, v1
        set_i32 r1, v15
        insn 0x10009
        v18 = get_i32 r14
        return v18
      "
    `);
  });

  test('a run in an IT block shares an if, and a conditional return goes on behind it', () => {
    // cmp r1, r0; itt lt; ldrlt r1, [r0]; poplt {r4, pc}; nop; bx lr
    expect(translated(t32(0x4281, 0xbfbc, 0x6801, 0xbd10, 0xbf00, 0x4770), true)).toMatchInlineSnapshot(`
      "block 00010001 [00010000, 0001000c)
        insn 0x10001
        v1 = get_i32 r1
        v2 = get_i32 r0
        v3 = sub_i32 v1, v2
        set_i32 nf, v3
        set_i32 zf, v3
        v6 = ge_u_i32 v1, v2
        set_i32 cf, v6
        v8 = xor_i32 v1, v2
        v9 = xor_i32 v1, v3
        v10 = and_i32 v8, v9
        set_i32 vf, v10
        insn 0x10003
        insn 0x10005, 0xbc
        v14 = lt_s_i32 v1, v2
        if v14
          v16 = load_i32 [v2]
          set_i32 r1, v16
          insn 0x10007, 0xb8
          v19 = get_i32 r13
          v21 = add_i32 v19, 8
          probe v19, 8, r
          v23 = load_i32 [v19], probed
          v24 = load_i32 [v19 + 4], probed
          set_i32 r13, v21
          set_i32 r4, v23
          return v24
        endif
        insn 0x10009
        insn 0x1000b
        v31 = get_i32 r14
        return v31
      "
    `);
  });

  test('a block that starts inside an IT block ends with it', () => {
    // (ite eq) moveq r1, #1; bne; bx lr
    expect(translated(t32(0x2101, 0xe000, 0x4770), true, { mode: 0x0c })).toMatchInlineSnapshot(`
      "block 00010001 [00010000, 00010004)
        insn 0x10001, 0xc
        set_i32 itstate, 0
        v3 = get_i32 zf
        v4 = const_i32 1
        v5 = get_i32 r1
        v6 = select_i32 v5, v4, v3
        set_i32 r1, v6
        insn 0x10003, 0x18
        if v3
          exit 0, mode, 0x10007
        endif
        exit 0, mode, 0x10005
      "
    `);
  });

  test('an instruction cut off by the end of the code faults on its second half', () => {
    expect(translated(t32(0xf000), true, { pageEnd: 0x11000 })).toMatchInlineSnapshot(`
      "block 00010001 [00010000, 00010002)
        insn 0x10001
        set_i32 cpu.faultAddress, 0x10002
        exit 0, fetchFault, 0x10001
      "
    `);
  });
});
