import { armState } from '#target/arm/state.ts';
import { armTarget } from '#target/arm/target.ts';
import { Builder } from '#tcg/builder.ts';
import { copyBlock } from '#tcg/ir.ts';
import { Optimizer } from '#tcg/optimize.ts';
import type { CodeReader } from '#tcg/target.ts';
import { printBlock } from '#tcg/text.ts';
import { type TranslationLimits, translateBlock } from '#tcg/translator.ts';
import { verifyBlock } from '#tcg/verify.ts';

export const codeStart = 0x10000;

/** Code that reads as constant, from `start`, and nothing around it. */
export function codeOf(bytes: Uint8Array, start = codeStart): CodeReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const inside = (address: number, length: number) => address >= start && address + length <= start + bytes.length;
  return {
    fetch8: (address) => (inside(address, 1) ? view.getUint8(address - start) : -1),
    fetch16: (address) => (inside(address, 2) ? view.getUint16(address - start, true) : -1),
    fetch32: (address) => view.getInt32(address - start, true),
    fetchable: inside,
    constant: inside,
  };
}

/** A32 instructions as bytes. */
export const a32 = (...encodings: number[]): Uint8Array => new Uint8Array(Uint32Array.from(encodings).buffer);
/** T32 halfwords as bytes. */
export const t32 = (...halfwords: number[]): Uint8Array => new Uint8Array(Uint16Array.from(halfwords).buffer);

export interface BlockOptions extends Partial<TranslationLimits> {
  readonly mode?: number;
  /** Where the code lies. */
  readonly start?: number;
  readonly optimize?: boolean;
}

const builder = new Builder();
const optimizer = new Optimizer(armTarget);

/** Translates, verifies and prints one block; `thumb` is bit 0 of the start. */
export function translated(bytes: Uint8Array, thumb: boolean, options: BlockOptions = {}): string {
  const { start = codeStart, mode = 0 } = options;
  const limits = { maxInstructions: bytes.length, pageEnd: start + bytes.length, ...options };
  translateBlock(armTarget, builder, codeOf(bytes, start), start | (thumb ? 1 : 0), mode, limits);
  const block = copyBlock(builder.block);
  const facts = { layout: armState, helpers: armTarget.helpers.length };
  verifyBlock(block, facts);
  if (options.optimize !== false) optimizer.run(block, { exactState: false });
  verifyBlock(block, facts);
  return printBlock(block, armState);
}
