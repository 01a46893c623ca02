import { writeSync } from 'node:fs';
import { isAgain } from './vfs/host-stream.ts';

const retryMilliseconds = 1;

/** Writes all of `bytes` to a descriptor of tsemu's own output, which somebody may have made non-blocking. */
export function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(fd, bytes, at);
    } catch (error) {
      if (!isAgain(error)) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, retryMilliseconds);
    }
  }
}
