import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { Builder } from '#tcg/builder.ts';
import type { CodeReader } from '#tcg/target.ts';
import { printBlock } from '#tcg/text.ts';
import { translateBlock } from '#tcg/translator.ts';
import { verifyBlock } from '#tcg/verify.ts';

/** Where the code of the tests lies. */
export const codeStart = 0x10000;

/** Code, then optionally data behind it, as constant memory from `codeStart`. */
export function codeReader(units: readonly number[], bytesPerUnit: 2 | 4): CodeReader {
  const bytes = new Uint8Array(units.length * bytesPerUnit);
  const view = new DataView(bytes.buffer);
  units.forEach((unit, i) =>
    bytesPerUnit === 2 ? view.setUint16(i * 2, unit, true) : view.setUint32(i * 4, unit >>> 0, true),
  );
  const inside = (address: number, size: number) => address >= codeStart && address + size <= codeStart + bytes.length;
  return {
    fetch8: (address) => (inside(address, 1) ? view.getUint8(address - codeStart) : -1),
    fetch16: (address) => (inside(address, 2) ? view.getUint16(address - codeStart, true) : -1),
    fetch32: (address) => view.getInt32(address - codeStart, true),
    fetchable: inside,
    constant: inside,
  };
}

function ir(units: readonly number[], thumb: boolean, instructions: number, mode: number): string {
  const b = new Builder();
  const pc = codeStart | (thumb ? 1 : 0);
  const size = thumb ? 2 : 4;
  const limits = { maxInstructions: instructions, pageEnd: codeStart + units.length * size };
  translateBlock(armTarget, b, codeReader(units, size), pc, mode, limits);
  verifyBlock(b.block, { layout: armState });
  return printBlock(b.block, armState)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('block'))
    .map((line) => line.replace(/^ {2}/, ''))
    .join('\n');
}

/** IR text of A32 words (`instructions` of them are code, the rest data) from `codeStart`. */
export const a32Ir = (words: readonly number[], instructions = words.length, mode = 0): string =>
  ir(words, false, instructions, mode);

/** IR text of T32 halfwords, `instructions` instructions at most. */
export const t32Ir = (halfwords: readonly number[], instructions = halfwords.length, mode = 0): string =>
  ir(halfwords, true, instructions, mode);

/** Number of ops the IR of one A32 instruction takes, the marker and the closing jump left out. */
export function a32Ops(word: number): number {
  const b = new Builder();
  translateBlock(armTarget, b, codeReader([word], 4), codeStart, 0, { maxInstructions: 1 });
  return b.block.length - 2;
}
