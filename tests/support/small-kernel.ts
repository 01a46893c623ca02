import { move } from './bare-machine.ts';

/** An uncompressed kernel of A32 words, for `-kernel`. */
export function smallKernel(words: readonly number[]): Uint8Array {
  // Shorter ones are taken for no kernel.
  const image = Uint32Array.from({ length: Math.max(16, words.length) }, (_, i) => words[i] ?? 0);
  return new Uint8Array(image.buffer);
}

/** Address of the word that `counting` counts in. */
export const counterAddress = 0x40001000;

/** Prints `A`, then counts for ever in the word at `counterAddress`. */
export const counting: readonly number[] = [
  ...move(1, 0x09000000),
  0xe3a02041, // mov r2, #'A'
  0xe5812000, // str r2, [r1]
  ...move(3, counterAddress),
  0xe3a04000, // mov r4, #0
  0xe2844001, // add r4, r4, #1
  0xe5834000, // str r4, [r3]
  0xeafffffc, // b to the add
];
