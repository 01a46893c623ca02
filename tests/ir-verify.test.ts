import { describe, expect, it } from 'vitest';
import { parseBlock } from '#tcg/text.ts';
import { verifyBlock } from '#tcg/verify.ts';
import { irLayout } from './support/ir-state.ts';

const verify = (text: string, change?: (block: ReturnType<typeof parseBlock>) => void) => {
  const block = parseBlock(text, irLayout);
  change?.(block);
  verifyBlock(block, { layout: irLayout, helpers: 2 });
};

describe('the verifier', () => {
  it('accepts a block with nested bodies and early exits', () => {
    verify(`block 10000
      insn 0x10000
      v1 = get_i32 r0
      if v1
        v2 = add_i32 v1, 1
        if v2
          set_i32 r1, v2
          jump 0x20000
        endif
        set_i32 cpu.faultAddress, v2
      else
        exit 0, syscall, 0x10004
      endif
      v3 = helper1 v1, 1
      jump_indirect v3
    `);
  });

  it.each([
    ['nothing', '', 'does not end in a terminal'],
    ['no terminal', 'set_i32 r0, 1', 'does not end in a terminal'],
    ['a block that ends in a body', 'if 1\n jump 0', 'is not closed'],
    ['endif alone', 'endif\njump 0', 'does not nest'],
    ['else alone', 'else\njump 0', 'does not nest'],
    ['two elses', 'if 1\nelse\nelse\nendif\njump 0', 'does not nest'],
    ['an op after a terminal', 'jump 0\njump 4', 'follows a terminal'],
    ['an op after a terminal in a body', 'if 1\njump 0\nset_i32 r0, 1\nendif\njump 4', 'follows a terminal'],
    ['a value out of its body', 'if 1\nv1 = get_i32 r0\nendif\nset_i32 r1, v1\njump 0', 'not visible'],
    ['a value of the other body', 'if 1\nv1 = get_i32 r0\nelse\nset_i32 r1, v1\nendif\njump 0', 'not visible'],
    ['a wrong type', 'v1 = get_i64 d0\nset_i32 r1, v1\njump 0', 'is i64, not i32'],
    ['a large offset', 'v1 = load_i32 [4 + 4096]\njump 0', 'offset 4096'],
    ['a negative offset', 'v1 = load_i32 [4 + -4]\njump 0', 'offset -4'],
    ['an unknown memory flag', 'v1 = load_i32 [4], 0x80\njump 0', 'int 128'],
    ['no access', 'probe 4, 4, none\njump 0', 'access 0'],
    ['an empty probe', 'probe 4, 0, r\njump 0', 'size 0'],
    ['no reason', 'exit 0, none, 0', 'reason 0'],
    ['a lane too many', 'v1 = get_v128 d0\nv2 = extract_lane_i32x4 v1, 4\njump 0', 'lane 4'],
    ['no such helper', 'v1 = helper0 2\njump 0', 'helper 2'],
    ['a slot past the state', 'set_i32 @4096, 1\njump 0', 'slot 4096'],
    ['a slot that is not aligned', 'v1 = get_i64 r1\njump 0', 'slot 68'],
  ])('rejects %s', (_, text, message) => {
    expect(() => verify(`block 10000\n${text}`)).toThrow(message);
  });

  it('rejects what text cannot say', () => {
    const text = 'block 10000\nv0 = add_i32 1, 2\njump 0';
    expect(() => verify(text, (block) => block.op.fill(9999))).toThrow('no such op');
    expect(() => verify(text, (block) => block.a.fill(2))).toThrow();
    expect(() => verify(text, (block) => block.b.fill(5, 2, 3))).toThrow('not an earlier op');
    expect(() => verify(text, (block) => block.c.fill(0, 2, 3))).toThrow('unused but not -1');
    expect(() => verify(text, (block) => block.w.fill(1))).toThrow('unused but not 0');
    expect(() => verify(text, (block) => void block.instructions++)).toThrow('insn markers');
  });
});
