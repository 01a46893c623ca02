import { describe, expect, test } from 'vitest';
import { i386State } from '#target/i386/state.ts';
import { i386Target } from '#target/i386/target.ts';
import { Builder } from '#tcg/builder.ts';
import { Optimizer } from '#tcg/optimize.ts';
import type { Target } from '#tcg/target.ts';
import { printBlock } from '#tcg/text.ts';
import { translateBlock } from '#tcg/translator.ts';
import { byteReader, codeStart, i386Block, i386Ir } from './support/i386-ir.ts';

/** The IR after the passes, where only the state that a later block could see counts. */
function optimized(bytes: readonly number[]): string[] {
  const block = i386Block(bytes);
  new Optimizer(i386Target as Target).run(block, { exactState: false });
  return printBlock(block, i386State)
    .split('\n')
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

describe('flags', () => {
  test.each([
    ['cmp eax, ebx; jl', [0x39, 0xd8, 0x7c, 0x05], 'lt_s_i32'],
    ['cmp eax, ebx; jbe', [0x39, 0xd8, 0x76, 0x05], 'le_u_i32'],
    ['cmp al, 5; jae', [0x3c, 0x05, 0x73, 0x05], 'ge_u_i32'],
    ['dec eax; jle', [0x48, 0x7e, 0x05], 'le_s_i32'],
    ['inc eax; jg', [0x40, 0x7f, 0x05], 'gt_s_i32'],
    ['test eax, eax; jle', [0x85, 0xc0, 0x7e, 0x05], 'le_s_i32'],
  ])('%s is one comparison', (_name, bytes, compare) => {
    const lines = i386Ir(bytes).split('\n');
    const [, condition] = /^branch (v\d+),/.exec(lines.at(-1)!)!;
    expect(lines.find((line) => line.startsWith(`${condition} = `))).toContain(compare);
  });

  test('those that are set again are not computed', () => {
    // add eax, ebx; sub ecx, edx; and esi, edi
    const lines = optimized([0x01, 0xd8, 0x29, 0xd1, 0x21, 0xfe, 0xeb, 0x00]);
    expect(lines.filter((line) => /lt_u|xor/.test(line))).toEqual([]);
    expect(lines.filter((line) => line.startsWith('set_i32 cf'))).toHaveLength(1);
  });

  test('a shift by CL sets them only if the count is not 0', () => {
    const lines = optimized([0xd3, 0xe0, 0xeb, 0x00]);
    const start = lines.findIndex((line) => line.startsWith('if '));
    expect(lines.slice(0, start).some((line) => /set_i32 [zsco]f/.test(line))).toBe(false);
    expect(lines.slice(start).some((line) => line.startsWith('set_i32 cf'))).toBe(true);
  });
});

describe('calls', () => {
  test('a call of the next instruction is a jump', () => {
    expect(i386Ir([0xe8, 0, 0, 0, 0])).toMatch(/jump 0x10005$/);
  });

  test('CALL, RET and the address on the stack', () => {
    expect(i386Ir([0xe8, 0x10, 0, 0, 0])).toMatch(/store_i32 \[v\d+\], v\d+\n.*call 0x10015, 0x10005$/s);
    expect(i386Ir([0xc3])).toMatch(/return v\d+$/);
  });
});

describe('position-independent code', () => {
  /** Code at `codeStart`, and `data` behind it. */
  const laidOut = (code: readonly number[], data: readonly number[] = []): string[] =>
    i386Ir([...code, ...data], 8).split('\n');

  test('the call of a thunk that reads the PC is no call', () => {
    // call thunk; add ebx, 0x100; inc eax; jmp; thunk: mov ebx, [esp]; ret
    const lines = laidOut([0xe8, 9, 0, 0, 0, 0x81, 0xc3, 0, 1, 0, 0, 0x40, 0xeb, 0], [0x8b, 0x1c, 0x24, 0xc3]);
    expect(lines.filter((line) => /\bcall\b/.test(line))).toEqual([]);
    expect(lines.join('\n')).toMatch(/store_i32/);
    expect(lines.at(-1)).toBe('jump 0x1000e');
  });

  test.each([
    ['with the table in sight', [0xe8, 35, 0, 0, 0, 0x81, 0xc3, 0x1b, 0, 0, 0], false],
    ['with the table of another block, which is compared', [], true],
  ])('a jump by offsets is a switch, %s', (_name, prologue, guessed) => {
    // cmp eax, 1; ja; mov eax, [ebx + 4 × eax]; add eax, ebx; jmp eax. Behind it the thunk and the table's two offsets.
    const jump = [0x83, 0xf8, 1, 0x77, 0x40, 0x8b, 0x84, 0x83, 0, 0, 0, 0, 1, 0xd8, 0xff, 0xe0];
    const space = Array.from({ length: 32 - prologue.length - jump.length }, () => 0x90);
    const thunk = [0x8b, 0x1c, 0x24, 0xc3];
    // The GOT's address that the first case shows is what the second one guesses: 0x10020.
    const code = [...prologue, ...jump, ...space, 0x10, 0, 0, 0, 0x20, 0, 0, 0, ...thunk];
    const b = new Builder();
    const limits = { maxInstructions: 16, extended: true };
    translateBlock(i386Target, b, byteReader(code), codeStart, 0, limits);
    const text = printBlock(b.block, i386State);
    expect(text).toMatch(/switch v\d+/);
    expect(text.includes('jump_indirect')).toBe(guessed);
  });
});

describe('an access that faults', () => {
  test.each([
    ['push eax', [0x50]],
    ['pop [eax]', [0x8f, 0x00]],
    ['call [eax]', [0xff, 0x10]],
    ['add [eax], ebx', [0x01, 0x18]],
    ['xadd [eax], ebx', [0x0f, 0xc1, 0x18]],
    ['movs', [0xa5]],
    ['enter 8, 2', [0xc8, 8, 0, 2]],
    ['popa', [0x61]],
    ['ret', [0xc3]],
  ])('%s writes registers and flags after its last access', (_name, bytes) => {
    const lines = i386Ir(bytes, 1).split('\n');
    const lastAccess = lines.findLastIndex((line) => /\b(load|store|probe)/.test(line));
    const firstWrite = lines.findIndex((line) => line.startsWith('set_i32'));
    expect(lastAccess).toBeGreaterThan(0);
    if (firstWrite >= 0) expect(firstWrite).toBeGreaterThan(lastAccess);
  });
});
