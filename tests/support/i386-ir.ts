import { i386State } from '#target/i386/state.ts';
import { i386Target } from '#target/i386/target.ts';
import { Builder } from '#tcg/builder.ts';
import type { IrBlock } from '#tcg/ir.ts';
import type { CodeReader } from '#tcg/target.ts';
import { printBlock } from '#tcg/text.ts';
import { translateBlock } from '#tcg/translator.ts';
import { verifyBlock } from '#tcg/verify.ts';

/** Where the code of the tests lies. */
export const codeStart = 0x10000;

/** Bytes as constant memory from `codeStart`. */
export function byteReader(bytes: readonly number[]): CodeReader {
  const inside = (address: number, size: number) => address >= codeStart && address + size <= codeStart + bytes.length;
  const at = (address: number): number => bytes[address - codeStart]!;
  return {
    fetch8: (address) => (inside(address, 1) ? at(address) : -1),
    fetch16: (address) => (inside(address, 2) ? at(address) | (at(address + 1) << 8) : -1),
    fetch32: (address) => at(address) | (at(address + 1) << 8) | (at(address + 2) << 16) | (at(address + 3) << 24),
    fetchable: inside,
    constant: inside,
  };
}

/** The verified block of code from `codeStart`, at most `instructions` of it. */
export function i386Block(bytes: readonly number[], instructions = 64): IrBlock {
  const b = new Builder();
  const limits = { maxInstructions: instructions, pageEnd: codeStart + bytes.length };
  translateBlock(i386Target, b, byteReader(bytes), codeStart, 0, limits);
  verifyBlock(b.block, { layout: i386State, helpers: i386Target.helpers.length });
  return b.block;
}

/** Its text. */
export const i386Ir = (bytes: readonly number[], instructions?: number): string =>
  printBlock(i386Block(bytes, instructions), i386State)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('block'))
    .map((line) => line.replace(/^ {2}/, ''))
    .join('\n');
