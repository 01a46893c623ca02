import { describe, expect, it } from 'vitest';
import { Builder } from '#tcg/builder.ts';
import { cpuHeader } from '#tcg/cpu-page.ts';
import { copyBlock } from '#tcg/ir.ts';
import { Op, type OpName, opDefs, opNames, type ValueType } from '#tcg/ops.ts';
import { parseBlock, printBlock } from '#tcg/text.ts';
import { irLayout } from './support/ir-state.ts';

const b = new Builder();

function operand(type: ValueType): number {
  if (type === 'i32') return b.i32(1000);
  if (type === 'i64') return b.i64(-2, 0x7fffffff);
  if (type === 'f32') return b.f32Bits(0x7fa00001);
  if (type === 'f64') return b.f64Bits(1, -0x80000);
  return b.v128(-1, 2, 0x30405, -0x80000000);
}

/** A block with one op of the given name, and immediates by kind. */
function blockWith(name: OpName) {
  const def = opDefs[Op[name]]!;
  b.begin(-0x1000);
  b.block.start = 0xfffff000;
  b.block.end = 0xfffff008;
  const [first = -1, second = -1, third = -1] = def.args.map(operand);
  const words = (def.immediates ?? []).map((kind) => {
    if (kind === 'slot') return irLayout.offset('d', 3);
    if (kind === 'reason' || kind === 'access') return 2;
    if (kind === 'table') return b.block.tables.push(Int32Array.of(0x1000, -4, 0x2000)) - 1;
    return { int: -70000, high: 7, offset: 4095, size: 16, pc: 0x10074, lane: 1, helper: 3, aux: 8 }[kind];
  });
  const [x = 0, y = 0, z = 0] = def.bytes16 ? [0x04030201, -2, 0x1f] : words;
  if (name === 'insn') b.block.instructions++;
  b.emit(Op[name], first, second, third, x, y, z, def.bytes16 ? -5 : 0);
  return copyBlock(b.block);
}

describe('IR text', () => {
  it.each(opNames)('prints and parses %s', (name) => {
    const block = blockWith(name);
    expect(parseBlock(printBlock(block, irLayout), irLayout)).toEqual(block);
    expect(parseBlock(printBlock(block))).toEqual(block);
  });

  it('is readable', () => {
    b.begin(0x10074);
    b.block.start = 0x10074;
    b.block.end = 0x1007c;
    b.insn(0x10074, 5);
    const r3 = b.get32(irLayout.offset('r', 3));
    const address = b.addImm(r3, 4);
    const value = b.load(Op.load8_u, address, 12, 1);
    b.if(b.bin(Op.lt_u_i32, value, b.i32(0x12345678)));
    b.set32(cpuHeader.offset('faultAddress'), address);
    b.set32(irLayout.offset('d', 1) + 12, b.i32(-1));
    b.exit(4, 0x10078, 7);
    b.else();
    b.store(Op.store_i32, b.i32(-4096), value);
    b.endif();
    b.probe(address, 8, 2);
    b.set('f32', irLayout.offset('d'), b.f32Bits(0x3f800000));
    b.switch(value, [0x10000, 0x20000], 0x30000);
    expect(printBlock(b.block, irLayout)).toBe(`block 00010074 [00010074, 0001007c)
  insn 0x10074, 0x5
  v1 = get_i32 r3
  v3 = add_i32 v1, 4
  v4 = load8_u [v3 + 12], probed
  v6 = lt_u_i32 v4, 0x12345678
  if v6
    set_i32 cpu.faultAddress, v3
    set_i32 d1+12, -1
    exit 7, breakpoint, 0x10078
  else
    store_i32 [0xfffff000], v4
  endif
  probe v3, 8, w
  v18 = const_f32 0x3f800000 ; 1
  set_f32 d0, v18
  switch v4, [0x10000, 0x20000, 0x30000]
`);
  });

  it.each([
    ['v1 = nosuch 1', 'no op nosuch'],
    ['add_i32 1, 2', 'result expected'],
    ['v1 = add_i32 v0, 2', 'v0 is not defined'],
    ['v1 = add_i32 1', 'not a 32-bit number'],
    ['v1 = eqz_i32 1, 2', 'too many operands'],
    ['v1 = get_i32 nowhere', 'no state slot nowhere'],
    ['jump 0x1ffffffff', 'not a 32-bit number'],
    ['branch 1, 0x10', 'pc is missing'],
  ])('rejects %s', (line, message) => {
    expect(() => parseBlock(`block 0\n${line}\n`, irLayout)).toThrow(message);
  });
});
