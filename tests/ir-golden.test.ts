import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { copyBlock } from '#tcg/ir.ts';
import { Optimizer } from '#tcg/optimize.ts';
import { parseBlock, printBlock } from '#tcg/text.ts';
import { verifyBlock } from '#tcg/verify.ts';
import { irHelpers } from './support/ir-exec.ts';
import { irLayout, irLazySlots } from './support/ir-state.ts';

const optimizer = new Optimizer({ layout: irLayout, lazySlots: irLazySlots, helpers: irHelpers });
const facts = { layout: irLayout, helpers: irHelpers.length };
const directory = join(import.meta.dirname, 'ir');

describe.each(readdirSync(directory))('%s', (file) => {
  const [, ...cases] = readFileSync(join(directory, file), 'utf8').split(/^; case: /m);
  it.each(cases.map((text) => [text.slice(0, text.indexOf('\n')), text] as const))('%s', (_, text) => {
    const [before, after] = text.slice(text.indexOf('\n')).split('; expect:') as [string, string];
    const block = parseBlock(before, irLayout);
    const expected = parseBlock(after, irLayout);
    verifyBlock(block, facts);
    verifyBlock(expected, facts);
    const exactState = /^; exact$/m.test(before);
    const optimized = copyBlock(block);
    optimizer.run(optimized, { exactState });
    verifyBlock(optimized, facts);
    expect(printBlock(optimized, irLayout)).toBe(printBlock(expected, irLayout));
  });
});

describe('liveness given by the caller', () => {
  const text = 'v1 = get_i32 r0\nset_i32 r1, v1\nset_i32 nf, v1\nif v1\njump 0x20\nendif\njump 0x10';
  const cell = (offset: number) => 1 << ((offset >> 2) & 31);
  const only = (name: 'r' | 'nf', index = 0) => {
    const live = new Int32Array((irLayout.end + 127) >> 7);
    const offset = irLayout.offset(name, index);
    live[offset >> 7] = cell(offset);
    return live;
  };

  it('keeps what one of the terminals needs', () => {
    const block = parseBlock(text, irLayout);
    optimizer.run(block, { exactState: false, liveOut: () => only('r', 1) });
    expect(printBlock(block, irLayout)).not.toContain('set_i32 nf');
    expect(printBlock(block, irLayout)).toContain('set_i32 r1');
    const other = parseBlock(text, irLayout);
    optimizer.run(other, { exactState: false, liveOut: (b, i) => only(b.x[i] === 0x20 ? 'nf' : 'r', 0) });
    expect(printBlock(other, irLayout)).toContain('set_i32 nf');
    expect(printBlock(other, irLayout)).not.toContain('set_i32 r1');
  });
});
