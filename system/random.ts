import { createHash, randomFillSync } from 'node:crypto';
import type { RandomSource } from '#hw/virtio/rng.ts';

/** Random bytes of the host; `repeatable`: always the same ones, for runs that are to be repeated (`-icount`). */
export function randomSource(repeatable: boolean): RandomSource {
  return repeatable ? repeatableSource() : { fill: (bytes) => void randomFillSync(bytes) };
}

/** SHA-256 of a counter. */
function repeatableSource(): RandomSource {
  let count = 0;
  return {
    fill(bytes) {
      for (let at = 0; at < bytes.length; at += 32) {
        const block = createHash('sha256').update(`tsemu ${count++}`).digest();
        bytes.set(block.subarray(0, bytes.length - at), at);
      }
    },
  };
}
